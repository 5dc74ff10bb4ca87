/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/local.h"

#include <string.h>

#include "policy/schema.h"

#define PATTERN_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@*?"

/* Without these the host, the way to it, or its agent dies. Patterns as in the policy; the slices are ancestors of all
 * the rest. */
static const char *const compiled_in[] = {
        "init.scope",
        "-.slice",
        "system.slice",
        "user.slice",
        "machine.slice",
        "dbus.service",
        "dbus.socket",
        "dbus-broker.service",
        "systemd-journald*.service",
        "systemd-journald*.socket",
        "systemd-udevd*",
        "systemd-logind.service",
        "systemd-networkd*.service",
        "systemd-networkd*.socket",
        "systemd-resolved.service",
        "systemd-oomd.service",
        "polkit.service",
        "freezed*.service",
        "freezed*.socket",
        "freezed*.slice",
};

/* The same as default-policy.json, which is there to be read and copied. */
static const char *const default_patterns[] = {
        "ssh.service",
        "ssh@*.service",
        "ssh.socket",
        "sshd.service",
        "sshd@*.service",
        "sshd.socket",
        "chrony.service",
        "chronyd.service",
        "ntp.service",
        "ntpsec.service",
        "systemd-timesyncd.service",
        "NetworkManager.service",
        "networking.service",
        "auditd.service",
        "user-0.slice",
};

/* the same */
static const char *const default_management[] = {
        "ssh.service", "ssh@*.service",         "ssh.socket", "sshd.service", "sshd@*.service",
        "sshd.socket", "freezed-relay.service",
};

static const char *const configures[] = {
        "systemd-networkd.service", "NetworkManager.service", "networking.service",      "ifup@*.service",
        "dhcpcd.service",           "dhcpcd@*.service",       "wpa_supplicant*.service",
};

_Static_assert(ELEMENTSOF(default_patterns) <= LOCAL_PATTERNS_MAX, "the defaults fit");

void local_defaults(struct local *ret) {
        *ret = (struct local) {
                .n_patterns = ELEMENTSOF(default_patterns),
                .n_management = ELEMENTSOF(default_management),
                .automation_budget_ms = 4LL * 3600 * 1000,
                .evidence_window_ms = 15LL * 60 * 1000,
                .evidence_deadline_ms = 60LL * 1000,
                .evidence_max_bytes = 1LL << 30,
        };
        for (size_t i = 0; i < ELEMENTSOF(default_patterns); i++)
                memcpy(ret->patterns[i], default_patterns[i], strlen(default_patterns[i]) + 1);
        for (size_t i = 0; i < ELEMENTSOF(default_management); i++)
                memcpy(ret->management[i], default_management[i], strlen(default_management[i]) + 1);
}

static enum reason read_pattern(const json_t *v, void *ret) {
        const char *s = json_string_value(v);
        size_t n = json_string_length(v);

        if (n == 0 || n > TARGET_NAME_MAX || strspn(s, PATTERN_CHARS) != n)
                return REASON_SCHEMA;
        memcpy(ret, s, n);
        return REASON_NONE;
}

static enum reason read_patterns(const json_t *v, char (*ret)[TARGET_NAME_MAX + 1], size_t *ret_n) {
        static const struct schema_list list = { TARGET_NAME_MAX + 1, 0, LOCAL_PATTERNS_MAX, false, read_pattern };
        _cleanup_free_ void *patterns = NULL;
        size_t n = 0;
        enum reason reason = schema_array(v, &list, &patterns, &n);

        if (reason != REASON_NONE)
                return reason;
        memset(ret, 0, LOCAL_PATTERNS_MAX * sizeof(*ret));
        if (n > 0)
                memcpy(ret, patterns, n * sizeof(*ret));
        *ret_n = n;
        return REASON_NONE;
}

static enum reason read_protected(const json_t *v, const struct schema_field *f, void *ret) {
        struct local *l = ret;

        (void) f;
        return read_patterns(v, l->patterns, &l->n_patterns);
}

static enum reason read_management(const json_t *v, const struct schema_field *f, void *ret) {
        struct local *l = ret;

        (void) f;
        return read_patterns(v, l->management, &l->n_management);
}

static enum reason read_permitted(const json_t *v, const struct schema_field *f, void *ret) {
        _cleanup_free_ struct permit *permits = NULL;
        struct local *l = ret;
        size_t n = 0;
        enum reason reason = permits_from_json(v, COMMAND_PERMITS_MAX, &permits, &n);

        (void) f;
        if (reason != REASON_NONE)
                return reason;
        if (n > 0)
                memcpy(l->permits, permits, n * sizeof(*permits));
        l->n_permits = n;
        return REASON_NONE;
}

#define MEMBER(name) SCHEMA_MEMBER(struct local, name)

static enum reason read_evidence(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_field fields[] = {
                { "window_ms", false, schema_int, MEMBER(evidence_window_ms), 0, SCHEMA_INT_MAX },
                { "deadline_ms", false, schema_int, MEMBER(evidence_deadline_ms), LOCAL_DEADLINE_MIN_MS,
                  LOCAL_DEADLINE_MAX_MS },
                { "max_bytes", false, schema_int, MEMBER(evidence_max_bytes), 0, SCHEMA_INT_MAX },
        };

        (void) f;
        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

static const struct schema_field fields[] = {
        { "v", true, schema_skip, SCHEMA_WHOLE, 0, 0 },
        { "protected", false, read_protected, SCHEMA_WHOLE, 0, 0 },
        { "management", false, read_management, SCHEMA_WHOLE, 0, 0 },
        { "permitted", false, read_permitted, SCHEMA_WHOLE, 0, 0 },
        { "automation_budget_ms", false, schema_int, MEMBER(automation_budget_ms), 0, SCHEMA_INT_MAX },
        { "evidence", false, read_evidence, SCHEMA_WHOLE, 0, 0 },
};

int local_parse(const uint8_t *json, size_t n, struct local *ret, enum reason *ret_reason) {
        _cleanup_json_ json_t *root = NULL;
        enum reason reason;
        struct local l;
        int r;

        r = schema_load(json, n, LOCAL_FILE_MAX, &root, &reason);
        if (r < 0)
                return r;
        local_defaults(&l);
        if (reason == REASON_NONE)
                reason = schema_object(root, fields, ELEMENTSOF(fields), &l);
        r = schema_result(reason, ret_reason);
        if (r == 0 && reason == REASON_NONE)
                *ret = l;
        return r;
}

/* fnmatch() would read the backslashes of escaped unit names, and brackets, as its own. Only the last `*` is ever gone
 * back to, so no pattern takes longer than its length times the name's. */
static bool matches(const char *pattern, const char *name) {
        const char *star = NULL, *star_name = NULL;

        while (*name) {
                if (*pattern == '*') {
                        star = pattern++;
                        star_name = name;
                } else if (*pattern == '?' || *pattern == *name) {
                        pattern++;
                        name++;
                } else if (star) {
                        pattern = star + 1;
                        name = ++star_name;
                } else
                        return false;
        }
        return pattern[strspn(pattern, "*")] == '\0';
}

bool local_protects(const struct local *l, const char *unit) {
        for (size_t i = 0; i < ELEMENTSOF(compiled_in); i++)
                if (matches(compiled_in[i], unit))
                        return true;
        for (size_t i = 0; i < l->n_patterns; i++)
                if (matches(l->patterns[i], unit))
                        return true;
        return false;
}

bool local_answers(const struct local *l, const char *unit) {
        for (size_t i = 0; i < l->n_management; i++)
                if (matches(l->management[i], unit))
                        return true;
        return false;
}

bool local_configures(const char *unit) {
        for (size_t i = 0; i < ELEMENTSOF(configures); i++)
                if (matches(configures[i], unit))
                        return true;
        return false;
}
