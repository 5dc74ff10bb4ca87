/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a herald of the fleet was heard to say (policy/herald.h), and what of that has not come. It is told, and it
 * changes nothing else: whatever this holds, orders are judged as if it were empty. Taking heads: hearing.h. */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "policy/command.h"
#include "policy/dsse.h"
#include "policy/herald.h"
#include "policy/reason.h"

struct agent;

/* X(NAME, "id") */
#define HEARD_STATE_TABLE(X)                                                                \
        X(UNKNOWN, "unknown") /* too early to say, or the clock cannot tell old from new */ \
        X(NONE, "none")       /* the trust root names no herald */                          \
        X(FRESH, "fresh")                                                                   \
        X(STALE, "stale")

enum heard_state {
#define X(name, id) HEARD_##name,
        HEARD_STATE_TABLE(X)
#undef X
                _HEARD_STATE_MAX,
};

#define HEARD_MISSING_MAX 256U
/* What no head has named for so long is missing no more: a herald has named all there is several times by then. When
 * there is no room left, HERALD_LIFE_MS is enough. */
#define HEARD_UNNAMED_MS  (60LL * 60 * 1000)
#define HEARD_REFUSED_MAX 256U

/* All zero: nothing was heard. Times are CLOCK_BOOTTIME, in ms. */
struct heard {
        struct dsse head; /* the one that is believed, owned; no payload: there is none */
        int64_t n, trust_version, came_ms;
        int64_t iat_ms, exp_ms; /* by the clock of who made it */
        int64_t until_ms;       /* also of one that is believed no more; 0: none came */
        int64_t since_ms;       /* when this host began to listen */
        struct {
                struct command_id id;
                uint8_t digest[HERALD_DIGEST_SIZE];
                int64_t since_ms, exp_ms; /* exp_ms by the wall clock or the floor */
                int64_t named_ms;         /* when the last head that names it came */
        } missing[HEARD_MISSING_MAX];
        size_t n_missing;
        uint8_t refused[HEARD_REFUSED_MAX][HERALD_DIGEST_SIZE]; /* came, may be ordered, and was refused: the ledger
                                                                   remembers none */
        size_t next_refused;
        enum heard_state recorded; /* FRESH, STALE: the ledger's last word; UNKNOWN: it has none */
        int64_t recorded_ms;       /* when this agent wrote that; 0: it has not */
        sd_event_source *timer;
};

void heard_done(struct heard *h);
const char *heard_state_id(enum heard_state s);
/* False and *ret untouched when the id is not in the table. */
bool heard_state_from_id(const char *id, enum heard_state *ret);

/* There is a head, and its time is not over. */
bool heard_believes(const struct heard *h);
/* When it is no more too early to say that there should be one. */
int64_t heard_missed_from(const struct heard *h);
/* As it is now. */
enum heard_state heard_state(const struct agent *a);
/* HEAD_STALE, WITHHELD: for receipts. */
reason_set heard_notes(struct agent *a);
/* {"state", "n"*, "age_ms"*, "trust_version"*, "withheld"*}: new reference, NULL when out of memory. */
json_t *heard_to_json(struct agent *a);
/* Ids of what is missing, an array; the same. */
json_t *heard_missing_to_json(struct agent *a);

/* The orders of a head that was taken: those for this host that have not come are missing from now on. */
void heard_list(struct agent *a, const struct herald_head *h);
/* An order of a class that heads list, and that its signers may give, has come, whatever became of it. */
void heard_arrived(struct agent *a, const struct command_id *id, const uint8_t digest[static 32]);
/* What is missing was for what this host is no more; the next head tells anew. */
void heard_forget_missing(struct agent *a);
