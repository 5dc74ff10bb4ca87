/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/local.h"

#include <netinet/in.h>
#include <string.h>

#include "policy/schema.h"

#define DAY_DEFAULT_MS (8LL * 3600 * 1000)
/* below what a file can say */
#define DAY_ABSENT (-1)

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
        "systemd-udevd*.service",
        "systemd-udevd*.socket",
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

#define RELAY "freezed-relay.service"

_Static_assert(LOCAL_PATTERNS_MAX + ELEMENTSOF(configures) + 1 <= LOCAL_SPOKEN_FOR_MAX, "all are spoken for");

/* the same: who logged in and what the kernel's audit saw, where the host writes that to files */
static const char *const default_logs[] = { "/var/log/auth.log*", "/var/log/audit/audit.log*" };

_Static_assert(ELEMENTSOF(default_patterns) <= LOCAL_PATTERNS_MAX, "the defaults fit");

void local_defaults(struct local *ret) {
        *ret = (struct local) {
                .n_patterns = ELEMENTSOF(default_patterns),
                .n_management = ELEMENTSOF(default_management),
                .automation_budget_ms = 4LL * 3600 * 1000,
                .automation_day_ms = DAY_DEFAULT_MS,
                .evidence_quota_bytes = 64LL << 30,
                .evidence_free_bytes = 64LL << 20,
                .n_logs = ELEMENTSOF(default_logs),
        };
        for (size_t i = 0; i < _PROFILE_MAX; i++)
                ret->profiles[i] = profile_info((enum profile) i)->budget;
        for (size_t i = 0; i < ELEMENTSOF(default_logs); i++)
                memcpy(ret->logs[i], default_logs[i], strlen(default_logs[i]) + 1);
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

/* FAIL-CLOSED: an address that is open at every port would be a way out for whoever gets into the relay's cgroup. */
static enum reason read_brokers(const json_t *v, const struct schema_field *f, void *ret) {
        _cleanup_free_ struct permit *permits = NULL;
        struct local *l = ret;
        size_t n = 0;
        enum reason reason = permits_from_json(v, LOCAL_BROKERS_MAX, &permits, &n);

        (void) f;
        for (size_t i = 0; i < n && reason == REASON_NONE; i++)
                if (permits[i].port == 0 || permits[i].proto != IPPROTO_TCP)
                        reason = REASON_SCHEMA;
        if (reason != REASON_NONE)
                return reason;
        if (n > 0)
                memcpy(l->brokers, permits, n * sizeof(*permits));
        l->n_brokers = n;
        return REASON_NONE;
}

#define MEMBER(name) SCHEMA_MEMBER(struct local, name)

static enum reason read_log(const json_t *v, void *ret) {
        const char *s = json_string_value(v);

        if (!s || !wildcard_path_ok(s))
                return REASON_SCHEMA;
        memcpy(ret, s, strlen(s) + 1);
        return REASON_NONE;
}

static enum reason read_logs(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_list list = { WILDCARD_PATH_SIZE, 0, LOCAL_LOGS_MAX, true, read_log };
        _cleanup_free_ void *logs = NULL;
        struct local *l = ret;
        size_t n = 0;
        enum reason reason = schema_array(v, &list, &logs, &n);

        (void) f;
        if (reason != REASON_NONE)
                return reason;
        memset(l->logs, 0, sizeof(l->logs));
        if (n > 0)
                memcpy(l->logs, logs, n * WILDCARD_PATH_SIZE);
        l->n_logs = n;
        return REASON_NONE;
}

#define BUDGET(profile)                                                                                                  \
        { "window_ms", false, schema_int, MEMBER(profiles[profile].window_ms), 0, SCHEMA_INT_MAX },                      \
                { "deadline_ms",        false, schema_int, MEMBER(profiles[profile].deadline_ms), LOCAL_DEADLINE_MIN_MS, \
                  LOCAL_DEADLINE_MAX_MS },                                                                               \
        {                                                                                                                \
                "max_bytes", false, schema_int, MEMBER(profiles[profile].max_bytes), 0, SCHEMA_INT_MAX                   \
        }

static enum reason read_profile_logs(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_field fields[] = { BUDGET(PROFILE_LOGS) };

        (void) f;
        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

static enum reason read_profile_full(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_field fields[] = { BUDGET(PROFILE_FULL) };

        (void) f;
        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

static enum reason read_profiles(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_field fields[] = {
                { "logs", false, read_profile_logs, SCHEMA_WHOLE, 0, 0 },
                { "full", false, read_profile_full, SCHEMA_WHOLE, 0, 0 },
        };

        (void) f;
        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

static enum reason read_evidence(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_field fields[] = {
                BUDGET(PROFILE_DEFAULT),
                { "profiles", false, read_profiles, SCHEMA_WHOLE, 0, 0 },
                { "logs", false, read_logs, SCHEMA_WHOLE, 0, 0 },
                { "quota_bytes", false, schema_int, MEMBER(evidence_quota_bytes), 0, SCHEMA_INT_MAX },
                { "free_bytes", false, schema_int, MEMBER(evidence_free_bytes), 0, SCHEMA_INT_MAX },
        };

        (void) f;
        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

static const struct schema_field fields[] = {
        { "v", true, schema_skip, SCHEMA_WHOLE, 0, 0 },
        { "protected", false, read_protected, SCHEMA_WHOLE, 0, 0 },
        { "management", false, read_management, SCHEMA_WHOLE, 0, 0 },
        { "brokers", false, read_brokers, SCHEMA_WHOLE, 0, 0 },
        { "permitted", false, read_permitted, SCHEMA_WHOLE, 0, 0 },
        { "automation_budget_ms", false, schema_int, MEMBER(automation_budget_ms), 0, SCHEMA_INT_MAX },
        { "automation_day_ms", false, schema_int, MEMBER(automation_day_ms), 0, SCHEMA_INT_MAX },
        { "evidence", false, read_evidence, SCHEMA_WHOLE, 0, 0 },
};

int local_parse(const uint8_t *json, size_t n, struct local *ret, enum reason *ret_reason) {
        struct local l;
        int r;

        local_defaults(&l);
        l.automation_day_ms = DAY_ABSENT;
        r = schema_read(json, n, LOCAL_FILE_MAX, fields, ELEMENTSOF(fields), &l, ret_reason);
        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        /* a file that allows one incident more than a day by default means it */
        if (l.automation_day_ms == DAY_ABSENT)
                l.automation_day_ms = MAX(DAY_DEFAULT_MS, l.automation_budget_ms);
        *ret = l;
        return 0;
}

bool local_protects(const struct local *l, const char *unit) {
        for (size_t i = 0; i < ELEMENTSOF(compiled_in); i++)
                if (wildcard_matches(compiled_in[i], unit))
                        return true;
        for (size_t i = 0; i < l->n_patterns; i++)
                if (wildcard_matches(l->patterns[i], unit))
                        return true;
        return false;
}

bool local_answers(const struct local *l, const char *unit) {
        for (size_t i = 0; i < l->n_management; i++)
                if (wildcard_matches(l->management[i], unit))
                        return true;
        return false;
}

bool local_asks(const char *unit) {
        return strcmp(unit, RELAY) == 0;
}

bool local_configures(const char *unit) {
        for (size_t i = 0; i < ELEMENTSOF(configures); i++)
                if (wildcard_matches(configures[i], unit))
                        return true;
        return false;
}

const char *local_spoken_for(const struct local *l, size_t i) {
        if (i < l->n_management)
                return l->management[i];
        i -= l->n_management;
        if (i < ELEMENTSOF(configures))
                return configures[i];
        return i == ELEMENTSOF(configures) ? RELAY : NULL;
}
