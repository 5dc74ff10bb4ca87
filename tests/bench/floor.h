/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The floor: what any containment that keeps this one's promises has to pay the kernel and the processor, done as
 * directly as can be. Two signatures checked (one by the gate, one by the core), one record of the same size made
 * durable on the same disk, the same programs linked to the same cgroups, the cgroups frozen and read until all of them
 * say so. The programs are loaded ahead, as the agent's are. */

#include <stdint.h>

#include "tests/bench/orders.h"

struct floor;

struct floor_times {
        int64_t verify, record, links, freeze, total;
};

/* dir: where the record goes. envelope: an order as the agent gets it. n_record: bytes of a record. */
struct floor *floor_new(const struct orders_signers *s, const char *envelope, const char *dir,
                        const char *const *cgroups, size_t n_cgroups, size_t n_record);
void floor_free(struct floor *f);
/* One round, undone when it returns. */
void floor_round(struct floor *f, struct floor_times *ret);
