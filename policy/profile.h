/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How much a snapshot takes. A command names a profile (args.snapshot); what it costs is the host's policy. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define PROFILE_MINUTES(n)   ((n) *60LL * 1000)
#define PROFILE_GIBIBYTES(n) ((n) * (1LL << 30))

/* X(NAME, "id", memory, journal before the order, deadline, bytes of the disk, "sentence") */
#define PROFILE_TABLE(X)                                                                              \
        X(DEFAULT, "default", true, PROFILE_MINUTES(15), PROFILE_MINUTES(1), PROFILE_GIBIBYTES(1),    \
          "everything, with a quarter of an hour of the journal")                                     \
        X(LOGS, "logs", false, PROFILE_MINUTES(24 * 60), PROFILE_MINUTES(1), PROFILE_GIBIBYTES(1),    \
          "a day of the journal, log files, what the kernel tells; neither memory nor deleted files") \
        X(FULL, "full", true, PROFILE_MINUTES(24 * 60), PROFILE_MINUTES(15), PROFILE_GIBIBYTES(16),   \
          "everything, with a day of the journal and time for large memory")

enum profile {
#define X(name, ...) PROFILE_##name,
        PROFILE_TABLE(X)
#undef X
                _PROFILE_MAX,
};

struct profile_budget {
        int64_t window_ms;   /* journal before the order */
        int64_t deadline_ms; /* the collector is killed after that */
        int64_t max_bytes;   /* of the disk */
};

struct profile_info {
        const char *id, *text;
        bool memory;                  /* memory, registers, and files that only processes still hold */
        struct profile_budget budget; /* unless the host's policy says otherwise */
};

/* p must be of the table. */
const struct profile_info *profile_info(enum profile p);
/* False, *ret untouched, when there is no such profile. */
bool profile_from_id(const char *id, enum profile *ret);
