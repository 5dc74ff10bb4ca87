/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What was ordered in the last ESCALATE_MEMORY_MS: it says which event was there before, what is cooling down, and what
 * the budgets have left; and it keeps an order that nobody has answered yet, signed, so that it is sent again after a
 * crash. One small file, replaced as a whole.
 *
 * Times are of the wall clock. What seems to be from the future counts, and is not forgotten. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/escalate_fill.h"
#include "ctl/escalate_outcome.h"

#define ESCALATE_STATE_FILE_MAX (32U * 1024 * 1024)
/* automatic incidents are numbered from here, people's from 001: so the holds of one are not released with the other */
#define ESCALATE_STATE_SERIAL 900

struct escalate_record {
        struct command_id id;
        uint8_t key[32], subject[32];
        char rule[ESCALATE_NAME_MAX + 1];
        char incident[COMMAND_INCIDENT_MAX + 1];
        uint8_t host[32];               /* of an order to one host */
        int64_t n_hosts;                /* how many it may reach */
        int64_t at_ms, cool_ms, exp_ms; /* ordered; the cool-down ends; the order ends to be valid */
        char event[ESCALATE_EVENT_TEXT_MAX + 1];
        char *envelope;   /* owned; NULL: answered, or given up */
        bool loaded;      /* from the disk: who wrote it there may have sent it */
        bool answered;    /* the agent here took it, and has more to say; not kept */
        bool refused;     /* it refused what was sent last, for what may pass; not kept */
        int64_t again_ms; /* CLOCK_MONOTONIC: then it is asked for once more; 0: not yet answered; not kept */
};

struct escalate_state {
        struct escalate_record *v; /* owned */
        size_t n;
};

#define ESCALATE_STATE_NULL ((struct escalate_state) { .v = NULL })

/* X(NAME, OUTCOME, "sentence") */
#define ESCALATE_VERDICT_TABLE(X)                                                                                \
        X(GO, ORDERED, "")                                                                                       \
        X(DUPLICATE, DUPLICATE, "this event has ordered this before")                                            \
        X(COOLDOWN, COOLDOWN, "this rule has ordered the same for these targets, and its cool-down is not over") \
        X(HOUR, BUDGET, "as much was ordered within the last hour as the rules allow (budgets.per_hour)")        \
        X(INCIDENT, BUDGET, "as much was ordered for this incident as the rules allow (budgets.per_incident)")   \
        X(BREADTH, BUDGET, "this would be more hosts of this incident than the rules allow (hosts_per_incident)")

enum escalate_verdict {
#define X(name, ...) ESCALATE_VERDICT_##name,
        ESCALATE_VERDICT_TABLE(X)
#undef X
                _ESCALATE_VERDICT_MAX,
};

enum escalate_outcome escalate_verdict_outcome(enum escalate_verdict v);
const char *escalate_verdict_text(enum escalate_verdict v);

/* Forgets what is older than ESCALATE_MEMORY_MS. */
void escalate_state_forget(struct escalate_state *s, int64_t now_ms);
/* The incident of an order that was given none: one for each rule and day (UTC), SA-YYYYMMDD-NNN. */
void escalate_state_incident(const struct escalate_state *s, const char *rule, int64_t now_ms,
                             char ret[static COMMAND_INCIDENT_MAX + 1]);
/* May it be ordered? d has its incident. host: of an order to one host, NULL otherwise. */
enum escalate_verdict escalate_state_judge(const struct escalate_state *s, const struct escalate_rules *r,
                                           const struct escalate_draft *d, const uint8_t *key, const uint8_t *host,
                                           int64_t now_ms);
/* Adds a record, taking over what it owns. -ENOMEM: it is still the caller's. */
int escalate_state_add(struct escalate_state *s, struct escalate_record *r) _warn_unused_;
/* Borrowed; NULL when there is none. */
struct escalate_record *escalate_state_find(struct escalate_state *s, const struct command_id *id);
/* As if it had never been ordered: the same event may order it again. */
void escalate_state_drop(struct escalate_state *s, const struct command_id *id);
void escalate_state_done(struct escalate_state *s);

/* The file's text. *ret is malloc'ed. -ENOMEM. */
int escalate_state_to_json(const struct escalate_state *s, char **ret) _warn_unused_;
/* -EBADMSG for anything else than the above writes; -ENOMEM. *ret untouched then. */
int escalate_state_from_json(const char *text, size_t n, struct escalate_state *ret) _warn_unused_;
