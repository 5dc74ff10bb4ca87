/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What was undone behind the agent's back and put back by it: how often, and after how long. */

#include <stdint.h>

#include <jansson.h>

/* X(NAME, "id") */
#define REPAIR_TABLE(X)                                                      \
        X(THAW, "thaw")         /* the cgroup was thawed */                  \
        X(LINK, "link")         /* a program was detached or exchanged */    \
        X(PIN, "pin")           /* a pin was removed, its link held on */    \
        X(MOVED, "moved")       /* a process was moved out of the cgroup */  \
        X(REPLACED, "replaced") /* the cgroup was removed and made again */  \
        X(FENCE, "fence")       /* systemd was let start the unit again */   \
        X(UPLINK, "uplink")     /* an interface lost a program or a table */ \
        X(GUARD, "guard")       /* a pin of the guard was removed, or the core or PID 1 taken elsewhere */

enum repair {
#define X(name, id) REPAIR_##name,
        REPAIR_TABLE(X)
#undef X
                _REPAIR_MAX,
};

#define TALLY_RECENT 64U

struct tally {
        uint64_t repairs[_REPAIR_MAX];
        uint64_t failed; /* attempts that put nothing back; each is made again */
        int64_t last_us, worst_us;
        uint32_t recent[TALLY_RECENT];
        uint64_t n; /* of latencies so far */
};

/* us: from the event, or where the clock found it from the last look that found all in force, to the kernel's word that
 * it is in force again. */
void tally_add(struct tally *t, enum repair what, int64_t us);
uint64_t tally_sum(const struct tally *t);
/* {"repairs":{...},"failed","latency_us":{"last","worst","p50"}}; p50 is of the last TALLY_RECENT. New reference, NULL
 * when out of memory. */
json_t *tally_to_json(const struct tally *t);
