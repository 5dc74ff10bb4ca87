/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Sixth stage: enforce -> PROVE -> preserve. Reads back from the kernel what is in force at each site and tries to get
 * out of it. What a receipt or a status says about a hold comes from here and from nowhere else. */

#include "agent/core/elsewhere.h"
#include "agent/core/enforce.h"
#include "agent/core/fence.h"
#include "agent/core/foreign.h"
#include "agent/core/subtree.h"
#include "agent/core/unfrozen.h"
#include "agent/core/uplink.h"

/* What the kernel says about one site of one hold, now. */
struct proof {
        pid_t *pids; /* owned */
        size_t n_pids;
        bool present; /* the recorded cgroup exists */
        bool frozen;
        struct unfrozen_list unfrozen; /* when it is not: on whom the freeze waits */
        struct isolate_link links[_ISOLATE_HOOK_MAX];
        struct uplinks uplinks; /* of the whole host; owned */
        struct isolate_counters counted;
        struct foreign_list foreign;   /* what keeps our programs off, where one is not attached */
        struct sockets_result sockets; /* as enforcing left them; `left` and `foreign` are counted anew */
        struct probe_report selftest;
        struct permit permits[PROBE_PERMITS_MAX]; /* what selftest.permits[] are about */
        bool tested;
        struct elsewhere elsewhere; /* owned */
        enum fence_state fence;
        struct subtree subtree; /* owned */
        bool fresh;             /* of an order that just came */
        reason_set gaps;        /* of kind GAP, and the reason of a missing site */
};

struct proven;

/* Takes the enforced over. -ENOMEM. */
int prove(struct agent *a, struct enforced *e, struct proven **ret) _warn_unused_;
void proven_free(struct proven *p);
void proven_freep(struct proven **p);

/* Borrowed. */
struct recorded *proven_recorded(const struct proven *p);
const struct proof *proven_site(const struct proven *p, size_t site);
/* HELD only when every site has everything that the verb asks for; FAILED when no site has any of it. */
enum hold_state proven_state(const struct proven *p);
/* All sites' gaps together. */
reason_set proven_gaps(const struct proven *p);

/* Nobody is there to be held, at any site. */
bool proven_nobody(const struct proven *p);
/* The kernel holds it first, and systemd is told after that: true when some site waits for it. */
bool proven_awaits_fence(const struct proven *p);
/* systemd was told: asks it whether the fences that were pending stand, and folds what it says into state and gaps. Not
 * asked when it did not answer that either. */
void prove_fences(struct agent *a, struct proven *p, bool told);

void proof_done(struct proof *p);
/* The same reading for all sites of an active hold at any time, without a command. Changes nothing but that the
 * self-test sends its own bytes. fn, unless it is NULL, is given each site's proof. *ret_gaps: all gaps together. */
typedef void (*prove_fn)(const struct site *s, const struct proof *p, const struct hold *h, void *userdata);
enum hold_state prove_hold(struct agent *a, const struct hold *h, prove_fn fn, void *userdata, reason_set *ret_gaps);
/* Folds one more site into a state; begin with _HOLD_STATE_MAX. */
enum hold_state prove_fold(enum hold_state so_far, const struct proof *p, enum verb verb);
