/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/journal_match.h"

#include <stdbool.h>
#include <string.h>

#include "agent/collect/runtime.h"

#define MATCH_MAX  320U
#define SLICES_MAX 256U

/* What journalctl shows for a unit, a disjunction of these: its own messages, its core dumps, what the service manager
 * says about it, what privileged daemons say about it, and for a slice all that runs in it. MESSAGE_ID:
 * systemd-coredump's, from its catalog. */
struct alternative {
        const char *fixed[2];
        const char *field;
};

static const struct alternative alternatives[] = {
        { { NULL }, "_SYSTEMD_UNIT" },
        { { "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1", "_UID=0" }, "COREDUMP_UNIT" },
        { { "_PID=1" }, "UNIT" },
        { { "_UID=0" }, "OBJECT_SYSTEMD_UNIT" },
};
static const struct alternative slice_alternative = { { NULL }, "_SYSTEMD_SLICE" };
/* Docker's and podman's, set by whoever writes for them: told apart from a liar by the fields that journald adds. */
static const struct alternative container_alternative = { { NULL }, "CONTAINER_ID_FULL" };

static int add_alternative(sd_journal *j, const struct alternative *a, const char *value, size_t n_value) {
        char match[MATCH_MAX];
        int n = snprintf(match, sizeof(match), "%s=%.*s", a->field, (int) n_value, value);
        int r = n < 0 || (size_t) n >= sizeof(match) ? -ENAMETOOLONG : sd_journal_add_disjunction(j);

        if (r >= 0)
                r = sd_journal_add_match(j, match, 0);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(a->fixed) && a->fixed[i]; i++)
                r = sd_journal_add_match(j, a->fixed[i], 0);
        return r < 0 ? r : 0;
}

static bool ends_with(const char *s, size_t n, const char *end) {
        size_t k = strlen(end);
        return n >= k && memcmp(s + n - k, end, k) == 0;
}

/* "app.slice" holds "app-web.slice": the name says so, and a slice that is gone is known to the journal alone. */
static int add_slices(sd_journal *j, const char *unit) {
        static const char field[] = "_SYSTEMD_SLICE=";
        const size_t skip = sizeof(field) - 1, prefix = strlen(unit) - strlen(".slice");
        size_t n, found = 0;
        const void *data;
        int r = sd_journal_query_unique(j, "_SYSTEMD_SLICE");

        while (r >= 0 && (r = sd_journal_enumerate_available_unique(j, &data, &n)) > 0) {
                const char *value = (const char *) data + skip;

                if (n <= skip + prefix || memcmp(value, unit, prefix) != 0 || value[prefix] != '-' ||
                    memchr(data, '\0', n) || !ends_with(data, n, ".slice"))
                        continue;
                if (++found > SLICES_MAX)
                        return -E2BIG;
                r = add_alternative(j, &slice_alternative, value, n - skip);
        }
        return r;
}

int journal_match_unit(sd_journal *j, const char *unit) {
        const char *id = runtime_id(unit);
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(alternatives); i++)
                r = add_alternative(j, &alternatives[i], unit, strlen(unit));
        if (r == 0 && id)
                r = add_alternative(j, &container_alternative, id, RUNTIME_ID_SIZE);
        if (r == 0 && ends_with(unit, strlen(unit), ".slice")) {
                r = add_alternative(j, &slice_alternative, unit, strlen(unit));
                if (r == 0)
                        r = add_slices(j, unit);
        }
        return r;
}

int journal_match_kernel(sd_journal *j, const char *unit) {
        int r = sd_journal_add_match(j, "_TRANSPORT=kernel", 0);

        (void) unit;
        /* the same field again: one of them */
        if (r >= 0)
                r = sd_journal_add_match(j, "_TRANSPORT=audit", 0);
        return r < 0 ? r : 0;
}

int journal_match_all(sd_journal *j, const char *unit) {
        (void) j;
        (void) unit;
        return 0;
}
