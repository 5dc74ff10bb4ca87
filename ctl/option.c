/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/option.h"
#include "ctl/text.h"
#include "policy/schema.h"

/* Each stores a value where member points; returns what it wanted instead, or NULL. */
static const char *store_FLAG(const char *value, void *member) {
        (void) value;
        *(bool *) member = true;
        return NULL;
}

static const char *store_TEXT(const char *value, void *member) {
        const char **s = member;

        if (*s)
                return "to be given once";
        if (!*value)
                return "a value";
        *s = value;
        return NULL;
}

static const char *store_LIST(const char *value, void *member) {
        struct option_list *l = member;

        if (!*value)
                return "a value";
        if (l->n == OPTION_LIST_MAX)
                return "at most 64 values";
        l->v[l->n++] = value;
        return NULL;
}

static const char *store_SPAN(const char *value, void *member) {
        return text_span_from_str(value, member) < 0 ? "a duration with its unit, as in 10s, 15m, 2h or 30d" : NULL;
}

static const char *store_SEVERITY(const char *value, void *member) {
        return severity_from_id(value, member) ? NULL : "P0, P1, P2, P3 or Critical, High, Medium, Low";
}

static const char *store_PROFILE(const char *value, void *member) {
        return profile_from_id(value, member) ? NULL : "default, logs or full";
}

static const char *store_COUNT(const char *value, void *member) {
        unsigned v = 0;

        for (const char *p = value; *p; p++) {
                if (*p < '0' || *p > '9' || v > 99)
                        return "a small number";
                v = v * 10 + (unsigned) (*p - '0');
        }
        if (v == 0)
                return "a number of at least 1";
        *(unsigned *) member = v;
        return NULL;
}

static const char *store_SERIAL(const char *value, void *member) {
        int64_t v = 0;

        for (const char *p = value; *p; p++) {
                if (*p < '0' || *p > '9' || v > SCHEMA_INT_MAX / 10)
                        return "a number";
                v = v * 10 + (*p - '0');
        }
        if (v == 0 || v > SCHEMA_INT_MAX)
                return "a number from 1 to 9007199254740991";
        *(int64_t *) member = v;
        return NULL;
}

static const struct {
        struct option_info info;
        size_t offset;
        const char *(*store)(const char *value, void *member);
} table[_OPTION_MAX] = {
#define X(id, name, kind, member, arg, text) \
        [OPTION_##id] = { { name, arg, text }, offsetof(struct options, member), store_##kind },
        OPTION_TABLE(X)
#undef X
};

const struct option_info *option_info(enum option o) {
        return &table[o].info;
}

/* Index of the option whose name is the first n bytes; _OPTION_MAX when there is none. Never a guess from a prefix: an
 * abbreviation that is right today means something else when an option is added. */
static size_t find(const char *name, size_t n) {
        size_t i = 0;

        while (i < _OPTION_MAX && (strlen(table[i].info.name) != n || memcmp(table[i].info.name, name, n) != 0))
                i++;
        return i;
}

/* One option at words[i]; *ret_used is how many words it took. */
static int parse_one(char **words, size_t left, uint64_t allowed, struct options *ret, size_t *ret_used,
                     struct why *w) {
        const char *name = words[0] + 2, *eq = strchr(name, '='), *value = eq ? eq + 1 : NULL;
        size_t i = find(name, eq ? (size_t) (eq - name) : strlen(name));

        *ret_used = 1;
        if (words[0][1] != '-' || i == _OPTION_MAX)
                return why_set(w, CTL_USAGE, "there is no option %s", CLEAN(words[0]));
        const struct option_info *info = &table[i].info;
        if (!(allowed & UINT64_C(1) << i))
                return why_set(w, CTL_USAGE, "this verb does not take --%s", info->name);
        if (!info->arg && value)
                return why_set(w, CTL_USAGE, "--%s takes no value", info->name);
        if (info->arg && !value) {
                if (left < 2)
                        return why_set(w, CTL_USAGE, "--%s needs %s", info->name, info->arg);
                value = words[1];
                *ret_used = 2;
        }
        const char *wanted = table[i].store(value, (char *) ret + table[i].offset);
        if (wanted)
                return why_set(w, CTL_USAGE, "--%s wants %s%s%s%s", info->name, wanted, value ? ", not \"" : "",
                               value ? CLEAN(value) : "", value ? "\"" : "");
        return 0;
}

int option_parse(char **words, size_t n, uint64_t allowed, struct options *ret, size_t *ret_n, bool *ret_help,
                 struct why *w) {
        size_t kept = 0, used;
        bool ended = false;

        *ret_help = false;
        for (size_t i = 0; i < n; i += used) {
                used = 1;
                if (ended || words[i][0] != '-' || words[i][1] == '\0') {
                        words[kept++] = words[i];
                        continue;
                }
                if (strcmp(words[i], "--") == 0) {
                        ended = true;
                        continue;
                }
                if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
                        *ret_help = true;
                        return 0;
                }
                int x = parse_one(words + i, n - i, allowed, ret, &used, w);
                if (x != 0)
                        return x;
        }
        *ret_n = kept;
        return 0;
}
