/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Fifth stage: record -> ENFORCE -> prove. Makes the kernel do what was recorded, in the one order that leaves no way
 * out: new connections are refused and nothing comes in, then existing sockets are destroyed while their RST can still
 * leave, then nothing goes out, then the processes are frozen. Freezing first would be wrong: a frozen process's socket
 * still sends what it has queued.
 *
 * Every step is idempotent and goes on with the next site when one fails: a stop is rather partial than undone. What is
 * missing is not decided here but read back by prove. */

#include "agent/core/record.h"
#include "agent/core/sockets.h"

/* how long the slowest task may take to freeze; one in uninterruptible sleep can take for ever */
#define ENFORCE_FREEZE_US (2LL * 1000 * 1000)

/* What was noticed while enforcing one site and cannot be read back later. */
struct enforced_site {
        struct sockets_result sockets;
        reason_set gaps;
        int probe_error;   /* of entering the cgroup for the self-test */
        bool try_permits;  /* one site stands for all: the programs have the same permits everywhere */
        uint32_t answered; /* of the whole host: see hosttest_before() */
        bool fresh; /* enforced for an order that just came, not for one that was in force before the agent started */
};

struct enforced;

/* Has the self-test begin to open its sockets, which changes nothing, so that it does while the record is made durable.
 */
void enforce_begin(struct agent *a, const struct command *c, const struct sites *sites);
/* Takes the record over. -ENOMEM, in which case nothing was done. */
int enforce_apply(struct agent *a, struct recorded *r, struct enforced **ret) _warn_unused_;
void enforced_free(struct enforced *e);
void enforced_freep(struct enforced **e);

/* Takes the isolation of the whole host back: management does not answer. What is frozen stays so. */
void enforce_take_back(struct agent *a, const struct command_id *hold);

/* Borrowed. */
struct recorded *enforced_recorded(const struct enforced *e);
const struct enforced_site *enforced_site(const struct enforced *e, size_t site);

/* True when a hold other than this one freezes the very same cgroup. */
bool enforce_frozen_by_other(const struct agent *a, const struct command_id *hold, uint64_t cgroup_id);
/* The two halves of undoing one hold that is RELEASING, or that only its pins still tell of (the ledger was lost):
 * thaws what no other active hold freezes; then detaches this hold's programs and checks that they are gone. In between
 * the target runs and is still isolated. *ret gets PERSISTS when something is still in force, HELD_BY_OTHER when
 * another hold keeps a site. */
void enforce_thaw(struct agent *a, const struct command_id *hold, reason_set *ret);
void enforce_lift(struct agent *a, const struct command_id *hold, reason_set *ret);
