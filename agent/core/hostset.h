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
        bool loaded;
};

/* Loads a set with these permits and facts, and the mark that it leaves on what it lets out, which nothing can change
 * afterwards. 0, -E2BIG, -errno. */
int hostset_load(const struct management *m, uint32_t mark, const struct permit *a, size_t n_a, const struct permit *b,
                 size_t n_b, struct hostset *ret) _warn_unused_;
void hostset_close(struct hostset *s);
/* True for the hooks that a hold on a whole host has. */
bool hostset_has(enum isolate_hook h);
