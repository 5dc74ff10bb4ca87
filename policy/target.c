/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/target.h"

#include <string.h>

#include "policy/command.h"
#include "policy/schema.h"

#define ALNUM      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define UNIT_CHARS ALNUM ":-_.\\"

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

static bool is_container(const char *name) {
        return strspn(name, ALNUM) > 0 && strspn(name, ALNUM "_.+-") == strlen(name);
}

/* Decimal in its one spelling: no sign, no leading zero. */
static bool number_from_str(const char *s, uint64_t max, uint64_t *ret) {
        const size_t n = strspn(s, "0123456789");
        uint64_t v;

        if (n == 0 || n > 10 || s[n] != '\0' || (s[0] == '0' && n > 1))
                return false;
        v = strtoull(s, NULL, 10);
        if (v > max)
                return false;
        *ret = v;
        return true;
}

/* Names as useradd takes them, and the "." and the "$" at the end that other tools do. */
static bool is_user(const char *name) {
        const size_t n = strspn(name, ALNUM "_.-");
        uint64_t uid;

        if (number_from_str(name, UINT32_MAX - 1U, &uid)) /* the last one means "none" */
                return true;
        return n > 0 && !strchr("0123456789-.", name[0]) && (name[n] == '\0' || strcmp(name + n, "$") == 0);
}

static bool is_pid(const char *name) {
        uint64_t pid;

        return number_from_str(name, TARGET_PID_MAX, &pid) && pid > 0;
}

/* The host has no name: "host:" and whatever follows is no target. */
static bool is_host(const char *name) {
        (void) name;
        return false;
}

static bool is_hold(const char *name) {
        struct command_id id;

        return command_id_from_str(name, &id) == 0;
}

static bool (*const checks[_TARGET_MAX])(const char *name) = {
        [TARGET_UNIT] = is_unit,           [TARGET_SLICE] = is_slice, [TARGET_CGROUP] = is_cgroup,
        [TARGET_CONTAINER] = is_container, [TARGET_USER] = is_user,   [TARGET_PID] = is_pid,
        [TARGET_HOST] = is_host,           [TARGET_HOLD] = is_hold,
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

        if (strcmp(s, target_class_id(TARGET_HOST)) == 0) {
                *ret = (struct target) { .cls = TARGET_HOST };
                return 0;
        }
        if (class_from_str(s, &t.cls, &name) < 0)
                return -EINVAL;
        n = strnlen(name, sizeof(t.name));
        if (n >= sizeof(t.name) || !checks[t.cls](name))
                return -EINVAL;
        memcpy(t.name, name, n);
        *ret = t;
        return 0;
}

bool target_uid(const struct target *t, uint32_t *ret) {
        uint64_t uid;

        if (t->cls != TARGET_USER || !number_from_str(t->name, UINT32_MAX - 1U, &uid))
                return false;
        *ret = (uint32_t) uid;
        return true;
}

void target_to_str(const struct target *t, char *ret, size_t n) {
        (void) snprintf(ret, n, "%s%s%s", target_class_id(t->cls), t->cls == TARGET_HOST ? "" : ":", t->name);
}
