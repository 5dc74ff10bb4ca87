/* SPDX-License-Identifier: Apache-2.0 */

/* The host's policy, and after the first NUL the name of a unit. No policy takes a vital unit out, reading twice gives
 * the same, and the patterns match as a slow matcher says that cannot get lost. */

#include <string.h>

#include "policy/local.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

/* One row per character of the pattern: can[i] says whether the pattern so far matches the first i characters. */
static bool slow_match(const char *pattern, const char *name) {
        bool can[2 * TARGET_NAME_MAX] = { true };
        size_t n = strlen(name);

        for (; *pattern; pattern++)
                if (*pattern == '*')
                        for (size_t i = 1; i <= n; i++)
                                can[i] = can[i] || can[i - 1];
                else {
                        for (size_t i = n; i > 0; i--)
                                can[i] = can[i - 1] && (*pattern == '?' || *pattern == name[i - 1]);
                        can[0] = false;
                }
        return can[n];
}

static void check_local(const struct local *l, const char *unit) {
        static const char *const vital[] = { "init.scope",   "-.slice",         "system.slice",
                                             "dbus.service", "freezed.service", "systemd-journald.service" };
        struct local nothing = {};
        bool slow = local_protects(&nothing, unit);

        for (size_t i = 0; i < ELEMENTSOF(vital); i++)
                CHECK(local_protects(l, vital[i]));
        CHECK(l->n_patterns <= LOCAL_PATTERNS_MAX && l->n_permits <= COMMAND_PERMITS_MAX);
        CHECK(l->automation_budget_ms >= 0 && l->automation_day_ms >= 0 && l->n_logs <= LOCAL_LOGS_MAX);
        CHECK(l->evidence_quota_bytes >= 0 && l->evidence_free_bytes >= 0);
        for (size_t i = 0; i < _PROFILE_MAX; i++) {
                const struct profile_budget *b = &l->profiles[i];

                CHECK(b->window_ms >= 0 && b->max_bytes >= 0);
                CHECK(b->deadline_ms >= LOCAL_DEADLINE_MIN_MS && b->deadline_ms <= LOCAL_DEADLINE_MAX_MS);
        }
        for (size_t i = 0; i < l->n_logs; i++)
                CHECK(wildcard_path_ok(l->logs[i]));
        for (size_t i = 0; i < l->n_patterns; i++) {
                CHECK(l->patterns[i][0] != '\0' && local_protects(l, l->patterns[i]));
                slow = slow || slow_match(l->patterns[i], unit);
        }
        CHECK(local_protects(l, unit) == slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct local l, again;
        enum reason reason = _REASON_MAX, second = _REASON_MAX;
        const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
        size_t n = nul ? (size_t) (nul - data) : size, n_unit = nul ? size - n - 1 : 0;
        char unit[TARGET_NAME_MAX + 1] = "";

        memset(&l, 0xaa, sizeof(l));
        memset(&again, 0xaa, sizeof(again));
        CHECK(local_parse(data, n, &l, &reason) == 0 && local_parse(data, n, &again, &second) == 0);
        CHECK(reason == second && reason < _REASON_MAX && memcmp(&l, &again, sizeof(l)) == 0);
        if (reason != REASON_NONE)
                return 0;
        if (nul)
                memcpy(unit, nul + 1, MIN(n_unit, sizeof(unit) - 1));
        check_local(&l, unit);
        return 0;
}
