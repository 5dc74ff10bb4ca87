/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The programs of bpf/guard.bpf.c, where the kernel runs BPF LSM: with them not even root lets go of what is held, but
 * through the core. Elsewhere there is no guard, and health and receipts say so.
 *
 * They are attached for as long as the core runs and do nothing while nothing is held. With the first hold they are
 * pinned under PINS/guard, maps and all, and outlive the core; the next core puts its own in their place one by one, so
 * that there is no moment without. With the last hold the pins go.
 *
 * Who is the core is told by its cgroup, /freezed.slice/freezed.service: a core that runs elsewhere attaches nothing,
 * or it would lock itself out. */

#include <stdbool.h>
#include <stdint.h>

#include "bpf/guard_abi.h"
#include "policy/cleanup.h"
#include "policy/command.h"

struct agent;
struct guard;
struct site;

/* Loads, attaches and tries every program. Returns 0 also where there is none to be had: guard_is_live tells. state:
 * the directory with ledger and evidence; run: one on a disk that never hangs, where calls are tried. -ENOMEM. */
int guard_new(const char *pins, const char *state, const char *run, struct guard **ret) _warn_unused_;
void guard_free(struct guard *g);
void guard_freep(struct guard **g);

/* True when every program is attached and was seen to refuse. */
bool guard_is_live(const struct guard *g);
/* And guards this site: not one that is GUARD_DEPTH_MAX levels deep. */
bool guard_covers(const struct guard *g, const struct site *s);
/* The guard as a whole and, where its programs could be loaded, each of them, with why it guards nothing: 0, or a
 * negative errno; -ENODATA for one that is attached and does not run, -EXDEV for a core that runs elsewhere. */
void guard_each_layer(const struct guard *g, void (*fn)(const char *id, int error, void *userdata), void *userdata);

/* A map of the core's that nobody else may write to from now on. Returns 0 also where nothing guards it. -errno. */
int guard_own_map(struct guard *g, int fd) _warn_unused_;

/* Makes what is guarded agree with the holds of the agent and their sites. To be called before anything is frozen, and
 * after anything else that changes them. */
void guard_update(struct agent *a);
/* Puts back pins that somebody took away; the programs stay attached meanwhile, because this core has them. And the
 * core and PID 1 go back to their own cgroups: the programs know either wherever it is, but what is attached to a
 * cgroup does not. 0 when nothing was missing, 1, or -errno. */
int guard_mend(struct guard *g) _warn_unused_;
/* Before a hold is thawed: what it froze may be touched again. It stays isolated until it is gone. */
void guard_let_thaw(struct agent *a, const struct command_id *hold);
/* Lets PID 1 freeze the unit's cgroup for itself, which is how it learns of it; and no longer. */
void guard_let_manager(struct agent *a, uint64_t cgroup_id, bool may);
