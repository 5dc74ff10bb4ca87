/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/tell.h"

#include <fcntl.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "agent/util/log.h"
#include "policy/schema.h"
#include "policy/sshkey.h"

static const char *const states[] = {
#define X(name, str) [TELL_##name] = str,
        TELL_STATE_TABLE(X)
#undef X
};

const char *tell_state_str(enum tell_state s) {
        return (unsigned) s < _TELL_STATE_MAX ? states[s] : NULL;
}

void tell_text(char *ret, size_t size, const char *said) {
        (void) snprintf(ret, size, "%s", said);
        for (char *c = ret; *c; c++)
                if (*c < ' ' || *c > '~')
                        *c = '?';
}

enum tell_state tell_denied(const char *said, char ret_subject[static SUBJECT_SIZE]) {
        const char *open = strchr(said, '"'), *close = open ? strchr(open + 1, '"') : NULL;

        (void) snprintf(ret_subject, SUBJECT_SIZE, "%.*s", close ? (int) (close - open - 1) : 0, close ? open + 1 : "");
        return strstr(said, "Subscription") ? TELL_DEAF : TELL_MUTE;
}

enum tell_state tell_down(int64_t for_us) {
        return for_us > TELL_CUT_OFF_US ? TELL_CUT_OFF : TELL_CONNECTING;
}

bool tell_set(struct tell *t, enum tell_state s, const char *subject) {
        if (t->state == s && strcmp(t->subject, subject) == 0 && t->since_ms != 0)
                return false;
        t->state = s;
        tell_text(t->subject, sizeof(t->subject), subject);
        t->since_ms = clock_wall_ms();
        return true;
}

static void add(json_t *o, const char *name, const char *value) {
        if (value[0])
                (void) json_object_set_new(o, name, json_string(value));
}

static json_t *counters(const struct tell *t) {
        json_t *o = json_object();

#define X(name) (void) json_object_set_new(o, #name, json_integer(t->counters.name));
        TELL_COUNTER_TABLE(X)
#undef X
        return o;
}

static json_t *withheld(const struct tell *t) {
        json_t *o = json_array();
        char id[33];

        for (size_t i = 0; i < t->n_withheld; i++) {
                command_id_to_str(&t->withheld[i], id);
                (void) json_array_append_new(o, json_string(id));
        }
        return o;
}

static json_t *to_json(const struct tell *t, const struct who *w) {
        json_t *o = json_pack("{si ss sI so so}", "v", 1, "state", states[t->state], "since_ms",
                              (json_int_t) t->since_ms, "withheld", withheld(t), "counters", counters(t)),
               *groups = w ? json_array() : NULL;
        char host[SSHKEY_ID_SIZE];

        add(o, "subject", t->subject);
        add(o, "why", t->why);
        add(o, "server", t->server);
        if (!w)
                return o;
        sshkey_id_to_str(w->host, host);
        add(o, "host", host);
        add(o, "fleet", w->fleet);
        for (size_t i = 0; i < w->n_groups; i++)
                (void) json_array_append_new(groups, json_string(w->groups[i]));
        (void) json_object_set_new(o, "groups", groups);
        return o;
}

void tell_now(const struct tell *t, const struct who *w) {
        static struct log_limit limit = LOG_LIMIT(1);
        _cleanup_json_ json_t *o = to_json(t, w);
        _cleanup_close_ int dir = -EBADF;
        _cleanup_free_ char *text = NULL;

        (void) sd_notifyf(false, "STATUS=%s%s%s%s%s", states[t->state], t->subject[0] ? " " : "", t->subject,
                          t->why[0] ? ": " : "", t->why);
        if (!t->dir || !o || schema_dump(o, &text) < 0)
                return;
        dir = open(t->dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (dir < 0 || io_replace_file(dir, "state.json", text, strlen(text), 0644) < 0)
                log_lossy(&limit, LOG_NOTICE, NULL, LOG_FIELDS(.stage = "relay"), "The state file cannot be written");
}
