/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/tell.c agent/util/clock.c agent/util/io.c agent/util/fault.c agent/util/log.c */

/* What a server says in refusing something to a relay, up to the relay's state file: a subject is only what it has in
 * quotes, and in the file it is one member of printable ASCII. */

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/relay/tell.h"
#include "policy/schema.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static char dir[64], file[96];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean_up(void) {
        (void) unlink(file);
        (void) rmdir(dir);
}

static void make_dir(void) {
        if (*dir)
                return;
        (void) snprintf(dir, sizeof(dir), "%s/freezed-fuzz-XXXXXX",
                        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        CHECK(mkdtemp(dir) && atexit(clean_up) == 0);
        (void) snprintf(file, sizeof(file), "%s/state.json", dir);
}

static bool is_plain(const char *s) {
        for (; *s; s++)
                if (*s < ' ' || *s > '~')
                        return false;
        return true;
}

static void check_file(const struct tell *t) {
        _cleanup_json_ json_t *o = json_load_file(file, JSON_REJECT_DUPLICATES, NULL);
        const char *const members[][2] = { { "subject", t->subject }, { "why", t->why } };

        CHECK(o && json_object_size(o) == 5U + !!*t->subject + !!*t->why);
        CHECK(strcmp(json_string_value(json_object_get(o, "state")), tell_state_str(t->state)) == 0);
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                const char *s = json_string_value(json_object_get(o, members[i][0]));
                CHECK(strcmp(s ? s : "", members[i][1]) == 0 && is_plain(members[i][1]));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *said = strndup((const char *) data, size);
        char subject[SUBJECT_SIZE], quoted[SUBJECT_SIZE + 1];
        struct tell t = { .dir = dir };

        make_dir();
        CHECK(said);
        memset(subject, 0xa5, sizeof(subject));
        enum tell_state state = tell_denied(said, subject);
        CHECK(state == (strstr(said, "Subscription") ? TELL_DEAF : TELL_MUTE));
        CHECK(memchr(subject, '\0', sizeof(subject)) && !strchr(subject, '"'));
        (void) snprintf(quoted, sizeof(quoted), "\"%s", subject);
        CHECK(!*subject || strncmp(strchr(said, '"'), quoted, strlen(quoted)) == 0);
        tell_text(t.why, sizeof(t.why), said);
        CHECK(tell_set(&t, state, subject) && !tell_set(&t, state, t.subject));
        tell_now(&t, NULL);
        check_file(&t);
        return 0;
}
