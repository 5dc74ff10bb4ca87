/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/escalate_mend.h"
#include "ctl/escalate_rules.h"
#include "ctl/escalate_template.h"

#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

bool escalate_template_ok(const char *s) {
        if (!*s || !schema_is_text(s, ESCALATE_TEMPLATE_MAX + 1))
                return false;
        for (const char *p = s; *p; p++) {
                char path[ESCALATE_TEMPLATE_MAX + 1];
                size_t n;

                if (*p == '}')
                        return false;
                if (*p != '{')
                        continue;
                n = strcspn(++p, "}");
                memcpy(path, p, n);
                path[n] = '\0';
                if (p[n] != '}' || !escalate_path_ok(path))
                        return false;
                p += n;
        }
        return true;
}

/* The class that is written in front; false when there is none. */
static bool written_class(const char *s, enum target_class *ret) {
        char id[TARGET_STR_SIZE - TARGET_NAME_MAX];
        const size_t n = strcspn(s, ":{");

        if (s[n] != ':' || n >= sizeof(id))
                return false;
        memcpy(id, s, n);
        id[n] = '\0';
        return target_class_from_id(id, ret);
}

bool escalate_template_is_target(const char *s) {
        struct target t;
        enum target_class cls;

        if (!escalate_template_ok(s))
                return false;
        if (!strchr(s, '{'))
                return target_from_str(s, &t) >= 0 && t.cls != TARGET_HOLD;
        return written_class(s, &cls) && cls != TARGET_HOLD;
}

/* The places that say on which host it happened, and are not said by what is watched. Of Falco there is none: its
 * hostname is that of a container where Falco runs in one. */
static const struct {
        enum escalate_source source;
        const char *prefix;
} host_places[] = {
        { ESCALATE_ALERTMANAGER, "labels." }, { ESCALATE_ALERTMANAGER, "commonLabels." },
        { ESCALATE_TETRAGON, "node_name" },   { ESCALATE_CLOUDEVENTS, "data." },
        { ESCALATE_CLOUDEVENTS, "subject" },  { ESCALATE_CLOUDEVENTS, "source" },
};

static bool may_name_host(const char *path, size_t n, enum escalate_source source) {
        for (size_t i = 0; i < ELEMENTSOF(host_places); i++) {
                const char *prefix = host_places[i].prefix;
                const size_t k = strlen(prefix);

                if (host_places[i].source == source && n >= k && memcmp(path, prefix, k) == 0 &&
                    (n == k || prefix[k - 1] == '.'))
                        return true;
        }
        return false;
}

const char *escalate_template_to_problem(const char *s, enum escalate_source source) {
        static const char host[] = "host=", group[] = "group=";

        if (strcmp(s, "local") == 0 || strcmp(s, "all") == 0)
                return NULL;
        if (strncmp(s, group, strlen(group)) == 0)
                return schema_is_name(s + strlen(group), COMMAND_FLEET_MAX + 1)
                               ? NULL
                               : "wants the name of a group behind group=";
        if (strncmp(s, host, strlen(host)) != 0 || !s[strlen(host)])
                return "wants local, host=NAME, group=NAME or all";
        for (const char *p = strchr(s, '{'); p; p = strchr(p, '{')) {
                const size_t n = strcspn(++p, "}");

                if (!may_name_host(p, n, source))
                        return "this place of the event does not say for sure which host it is: labels.NAME of "
                               "alertmanager, node_name of tetragon, data.NAME, subject and source of cloudevents do, "
                               "and "
                               "nothing of falco, whose hostname may be a container's";
        }
        return NULL;
}

bool escalate_template_is_incident(const char *s) {
        const size_t letters = strspn(s, UPPER);

        if (letters < 2 || letters > 8 || s[letters] != '-')
                return false;
        s += letters + 1;
        if (strspn(s, DIGITS) != 8 || s[8] != '-')
                return false;
        s += 9;
        const size_t n = strspn(s, DIGITS);
        return n >= 3 && n <= 6 && s[n] == '\0';
}

bool escalate_template_may_be_incident(const char *s) {
        return strchr(s, '{') || escalate_template_is_incident(s);
}

/* value: what may stand in place of a place. */
static const char *value_problem(const char *value) {
        if (!*value)
                return "a place of the event is empty";
        if (strstr(value, ESCALATE_MEND_MARK) || !schema_is_text(value, ESCALATE_VALUE_MAX + 1))
                return "a place of the event has bytes that are no text";
        return NULL;
}

const char *escalate_template_fill(const char *s, const json_t *event, char *ret, size_t n) {
        char value[ESCALATE_VALUE_MAX + 1], path[ESCALATE_TEMPLATE_MAX + 1];
        size_t used = 0;

        while (*s) {
                size_t k = strcspn(s, "{");
                const char *from = s;

                if (k == 0) {
                        const size_t n_path = strcspn(s + 1, "}");

                        memcpy(path, s + 1, n_path);
                        path[n_path] = '\0';
                        if (!escalate_path_text(escalate_path_find(event, path), value))
                                return "a place of the event that the rule names is not there, or no text";
                        const char *problem = value_problem(value);
                        if (problem)
                                return problem;
                        s += n_path + 2;
                        from = value;
                        k = strlen(value);
                } else
                        s += k;
                if (k >= n - used)
                        return "a place of the event is too long";
                memcpy(ret + used, from, k);
                used += k;
        }
        ret[used] = '\0';
        return NULL;
}

/* A value in a path is one name of it: "/" in it would name something above or below what the rule means. Counted
 * instead of looked for, because the values are in the text already. */
static bool has_same_names(const char *template, const char *filled) {
        size_t want = 0, have = 0;

        for (const char *p = template; *p; p++) {
                if (*p == '{')
                        p += strcspn(p, "}");
                want += *p == '/';
        }
        for (; *filled; filled++)
                have += *filled == '/';
        return want == have;
}

const char *escalate_template_target(const char *s, const json_t *event, struct target *ret) {
        char text[TARGET_STR_SIZE];
        struct target t;
        enum target_class cls;
        const char *problem = escalate_template_fill(s, event, text, sizeof(text));

        if (problem)
                return problem;
        if (target_from_str(text, &t) < 0)
                return "with what the event says this is no target";
        if (!strchr(s, '{')) {
                *ret = t;
                return NULL;
        }
        if (!written_class(s, &cls) || t.cls != cls)
                return "with what the event says this is a target of another class";
        if (t.cls == TARGET_CGROUP && !has_same_names(s, text))
                return "what the event says is more than one name of a path";
        /* everything, by a name that is no pattern */
        if (t.cls == TARGET_SLICE && strcmp(t.name, "-.slice") == 0)
                return "what the event says is the root slice, which is all of the host";
        *ret = t;
        return NULL;
}
