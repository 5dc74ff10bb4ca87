/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_event.c ctl/escalate_mend.c ctl/escalate_path.c ctl/escalate_lines.c ctl/escalate_template.c ctl/member.c ctl/text.c */

/* What comes in. The first byte chooses the source, or what a value of an event makes of a target. Every message is at
 * least one event, but for an empty batch, and each of them has a name that can be told; and whatever an event says, a
 * target is of the class that the rule wrote down, and below the path that it wrote down. */

#include <string.h>

#include "ctl/escalate_event.h"
#include "ctl/escalate_lines.h"
#include "ctl/escalate_path.h"
#include "ctl/escalate_template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static const struct {
        const char *text;
        enum target_class cls;
} templates[] = {
        { "unit:{v}", TARGET_UNIT }, { "slice:{v}", TARGET_SLICE }, { "container:{v}", TARGET_CONTAINER },
        { "user:{v}", TARGET_USER }, { "pid:{v}", TARGET_PID },     { "cgroup:/system.slice/{v}", TARGET_CGROUP },
};

static void check_targets(const json_t *event) {
        for (size_t i = 0; i < ELEMENTSOF(templates); i++) {
                struct target t;

                if (escalate_template_target(templates[i].text, event, &t))
                        continue;
                CHECK(t.cls == templates[i].cls && *t.name);
                if (t.cls == TARGET_CGROUP)
                        CHECK(strncmp(t.name, "/system.slice/", 14) == 0 && t.name[14] && !strchr(t.name + 14, '/') &&
                              strcmp(t.name + 14, "..") != 0);
                CHECK(strcmp(t.name, "-.slice") != 0);
        }
}

static void check_events(struct escalate_events *e) {
        for (size_t i = 0; i < e->n; i++) {
                const struct escalate_event *one = &e->v[i];

                CHECK(*one->id && (one->wrong != NULL) == (one->json == NULL) && one->time_ms >= -1);
                for (const char *p = one->id; *p; p++)
                        CHECK((unsigned char) *p >= 0x20 && *p != 0x7f);
                if (one->json)
                        check_targets(one->json);
        }
        escalate_events_done(e);
}

static void check_lines(const char *bytes, size_t n) {
        struct escalate_lines l = ESCALATE_LINES_NULL;
        size_t lines = 0;

        for (size_t at = 0, taken; at < n; at += taken) {
                const int how = escalate_lines_feed(&l, bytes + at, MIN(n - at, (size_t) 7), &taken);

                CHECK(how >= 0 && taken > 0);
                lines += how == ESCALATE_LINES_LINE;
                CHECK(how != ESCALATE_LINES_LINE || !memchr(l.text, '\n', l.n));
        }
        for (size_t i = 0; i < n; i++)
                lines -= bytes[i] == '\n';
        CHECK(lines == 0);
        escalate_lines_done(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct escalate_events e = ESCALATE_EVENTS_NULL;

        if (size < 1)
                return 0;
        const char *text = (const char *) data + 1;
        if (data[0] == 'L')
                check_lines(text, size - 1);
        else if (data[0] == 'B') {
                _cleanup_free_ char *value = strndup(text, size - 1);
                const struct escalate_header headers[] = {
                        { (char *) "ce-specversion", (char *) "1.0" },
                        { (char *) "ce-id", value },
                        { (char *) "ce-source", value },
                        { (char *) "ce-type", (char *) "t" },
                };

                CHECK(value && escalate_event_read_binary(headers, 4, "application/json", text, size - 1, &e) == 0);
        } else
                CHECK(escalate_event_read((enum escalate_source)(data[0] % _ESCALATE_SOURCE_MAX), text, size - 1, &e) ==
                      0);
        check_events(&e);
        return 0;
}
