/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One loaded set of the programs of bpf/isolate.bpf.c and the ring in which all sets tell what they refused. The only
 * user of the generated skeleton. */

#include <stdbool.h>
#include <stdint.h>

#include <linux/bpf.h>

#include "bpf/isolate_abi.h"
#include "policy/cleanup.h"

/* The file descriptors keep it alive. All zero: none is loaded. */
struct isolate_set {
        int prog[_ISOLATE_HOOK_MAX];
        int policy;
        bool loaded;
};

/* Opens the ring pinned at path, or makes and pins it. Its descriptor, owned by the caller; or -errno: this kernel has
 * none (before 5.8), or something else is in its place, which is left alone. */
int isolate_ring_open(const char *path) _warn_unused_;

/* Loads a set that tells in the ring; without a ring (-EBADF), or where the kernel cannot tell who is asking, one that
 * only counts. 0 or -errno. */
int isolate_set_load(int ring, struct isolate_set *ret) _warn_unused_;
/* Writes the policy, for good. 0; or -errno, and the set is of no use any more. */
int isolate_set_fix(struct isolate_set *s, const struct isolate_policy *policy) _warn_unused_;
/* True when the loaded program of that id is the same code as the set's for that hook, and follows this very policy,
 * which nobody can change any more. */
bool isolate_set_is_twin(const struct isolate_set *s, enum isolate_hook h, uint32_t prog_id,
                         const struct isolate_policy *policy);
/* What the loaded program of that id, which is of some set, is asked with. False when it cannot be told. */
bool isolate_set_question(uint32_t prog_id, struct isolate_question *ret);
void isolate_set_close(struct isolate_set *s);
