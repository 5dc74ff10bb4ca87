/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The programs of bpf/host.bpf.c, loaded for one hold and one state of the host's management. The only user of the
 * generated skeleton. */

#include "agent/core/isolate.h"
#include "agent/core/management.h"

struct hostset {
        int hook[_ISOLATE_HOOK_MAX]; /* -EBADF where a whole host needs none */
        int uplink;
        uint32_t uplink_id;
        int count; /* the map that they count in */
        bool loaded;
};

/* Loads a set with these permits and facts, and the mark that it leaves on what it lets out, which nothing can change
 * afterwards. count: of the set in whose place it comes; negative: there was none. 0, -E2BIG, -errno. */
int hostset_load(const struct management *m, uint32_t mark, const struct permit *a, size_t n_a, const struct permit *b,
                 size_t n_b, int count, struct hostset *ret) _warn_unused_;
/* Leaves the uplinks the program that they have: it is of a set with the same permits, mark and counters, and with
 * facts that differ in nothing but the host's own addresses, of which it knows nothing. */
void hostset_keep_uplink(struct hostset *s, struct hostset *before);
void hostset_close(struct hostset *s);
/* True for the hooks that a hold on a whole host has. */
bool hostset_has(enum isolate_hook h);
