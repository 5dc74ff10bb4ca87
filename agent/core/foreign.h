/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Programs of others that keep ours off a cgroup. The kernel takes ours only as one of several (MULTI), and refuses
 * that where the cgroup itself has a program that was attached alone (with or without BPF_F_ALLOW_OVERRIDE), or where
 * the nearest cgroup above that has any was attached without BPF_F_ALLOW_OVERRIDE, which is for the whole subtree.
 *
 * What others attach as one of several is no obstacle and no way out: all run, and each can refuse. Below a cgroup that
 * has ours, whatever is attached in whichever way runs in addition to it. One exception: since 5.18 a program that runs
 * after ours (on a cgroup above, or attached later) can take back a refused call with bpf_set_retval(), though not a
 * dropped packet. Whoever can attach it is root on this host; the self-test sees it, as selftest-leak. */

#include "agent/core/isolate.h"

struct foreign {
        enum isolate_hook hook;
        char *path; /* of the cgroup that it sits on; owned */
        uint32_t prog_id;
        char name[16];    /* of the program; whatever its loader called it */
        bool overridable; /* attached with BPF_F_ALLOW_OVERRIDE */
};

struct foreign_list {
        struct foreign v[_ISOLATE_HOOK_MAX];
        size_t n;
};

/* Looks at every hook of the cgroup and of those above it, up to the root of the hierarchy: at most one obstacle for
 * each hook. Never fails: what cannot be read is no obstacle known. */
void foreign_find(const char *root, const char *path, struct foreign_list *ret);
void foreign_list_done(struct foreign_list *l);
/* [{"hook","cgroup","prog_id","name","overridable"}], the cgroup as paths_to_text() has it; new reference, NULL when
 * out of memory. */
json_t *foreign_to_json(const struct foreign_list *l);
