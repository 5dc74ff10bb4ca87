/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/target.h"

#include <string.h>

#include "policy/command.h"
#include "policy/schema.h"

#define UNIT_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\"

static const struct {
        const char *suffix;
        enum target_class cls;
} suffixes[] = {
        { ".service", TARGET_UNIT }, { ".scope", TARGET_UNIT }, { ".socket", TARGET_UNIT },
        { ".mount", TARGET_UNIT },   { ".swap", TARGET_UNIT },  { ".slice", TARGET_SLICE },
};

/* Length of the name before its suffix; 0 when it has no suffix of the class, or nothing before it. */
static size_t stem_size(const char *name, enum target_class cls) {
        const char *dot = strrchr(name, '.');

        for (size_t i = 0; dot && i < ELEMENTSOF(suffixes); i++)
                if (suffixes[i].cls == cls && strcmp(suffixes[i].suffix, dot) == 0)
                        return (size_t) (dot - name);
        return 0;
}

static bool is_unit(const char *name) {
        size_t n = stem_size(name, TARGET_UNIT), n_prefix = strspn(name, UNIT_CHARS);

        /* The first "@" divides prefix from instance, and an instance may hold more of them. */
        if (name[n_prefix] == '@' && (n_prefix == 0 || n_prefix + 1 == n))
                return false;
        return n > 0 && strspn(name, UNIT_CHARS "@") == strlen(name);
}

static bool is_slice(const char *name) {
        size_t n = stem_size(name, TARGET_SLICE);

        if (n == 0 || strspn(name, UNIT_CHARS) != strlen(name))
                return false;
        return n == 1 || (name[0] != '-' && name[n - 1] != '-' && !strstr(name, "--"));
}

static bool is_cgroup(const char *name) {
        const char *p = name;

        while (*p == '/') {
                size_t n = strcspn(++p, "/");

                if (strncmp(p, "..", n) == 0) /* also "." and "" */
                        return false;
                p += n;
        }
        return p > name && *p == '\0' && schema_is_text(name, TARGET_NAME_MAX + 1);
}

static bool is_hold(const char *name) {
        struct command_id id;

        return command_id_from_str(name, &id) == 0;
}

static bool (*const checks[_TARGET_MAX])(const char *name) = {
        [TARGET_UNIT] = is_unit,
        [TARGET_SLICE] = is_slice,
        [TARGET_CGROUP] = is_cgroup,
        [TARGET_HOLD] = is_hold,
};

/* Divides "class:name"; without a colon the suffix decides. */
static int class_from_str(const char *s, enum target_class *ret, const char **ret_name) {
        const char *colon = strchr(s, ':');
        char id[TARGET_STR_SIZE - TARGET_NAME_MAX] = "";

        if (!colon) {
                *ret = stem_size(s, TARGET_SLICE) > 0 ? TARGET_SLICE : TARGET_UNIT;
                *ret_name = s;
                return 0;
        }
        if ((size_t) (colon - s) >= sizeof(id))
                return -EINVAL;
        memcpy(id, s, (size_t) (colon - s));
        *ret_name = colon + 1;
        return target_class_from_id(id, ret) ? 0 : -EINVAL;
}

int target_from_str(const char *s, struct target *ret) {
        struct target t = {};
        const char *name;
        size_t n;

        if (class_from_str(s, &t.cls, &name) < 0)
                return -EINVAL;
        n = strnlen(name, sizeof(t.name));
        if (n >= sizeof(t.name) || !checks[t.cls](name))
                return -EINVAL;
        memcpy(t.name, name, n);
        *ret = t;
        return 0;
}

void target_to_str(const struct target *t, char *ret, size_t n) {
        (void) snprintf(ret, n, "%s:%s", target_class_id(t->cls), t->name);
}
