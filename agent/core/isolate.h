/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The isolation programs of bpf/isolate.bpf.c: loaded ahead of need, attached by cgroup link, pinned so that they
 * outlive the agent.
 *
 * Pins: PINS/<hold id>/<cgroup id in hex>_<hook> (bpffs takes no dot in a name). A pin proves nothing (a detached link
 * keeps its pin): isolate_read asks the kernel which cgroup each link is attached to. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "bpf/isolate_abi.h"
#include "policy/cleanup.h"
#include "policy/command.h"

enum isolate_phase {
        ISOLATE_CALLS,
        ISOLATE_PACKETS,
};

/* What the kernel says about one hook of one held cgroup. link_id 0: not attached. */
struct isolate_link {
        uint32_t link_id, prog_id;
        uint64_t cgroup_id;
};

struct isolate;

/* pins: directory on a bpffs, made when missing. Returns 0 even where the kernel takes no programs: isolate_prepare
 * tells. -ENOMEM. */
int isolate_new(const char *pins, struct isolate **ret) _warn_unused_;
void isolate_free(struct isolate *i);
void isolate_freep(struct isolate **i);

/* Where sets tell what they refused (isolate_abi.h), shared by all and pinned as PINS/attempts. Borrowed; negative when
 * there is none and sets only count. */
int isolate_ring(const struct isolate *i);

/* Loads a spare set if there is none (7 ms measured); call it when idle so that an order finds one waiting. 0 or
 * -errno. */
int isolate_prepare(struct isolate *i);

/* Takes the spare set (loading one if need be) for this hold and fixes its permits for good. 0 or -errno. */
int isolate_begin(struct isolate *i, const struct command_id *hold, const struct permit *a, size_t n_a,
                  const struct permit *b, size_t n_b) _warn_unused_;
/* Attaches and pins the hooks of one phase to one cgroup. Goes on after a failure; the first -errno is returned, and
 * -EPERM from a cgroup that carries a foreign exclusive program comes back as -EBUSY. A link that is pinned and
 * attached stays, with the program of before when that is this code with these permits, and with the set's in its place
 * when it is not: whoever can write there may have left one of his own. */
int isolate_attach(struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id,
                   enum isolate_phase phase) _warn_unused_;
/* False when a link that is pinned for the cgroup runs something else than isolate_attach would have put there. True
 * also where this kernel takes no programs. */
bool isolate_is_ours(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, const struct permit *a,
                     size_t n_a, const struct permit *b, size_t n_b);
/* Ends the use of the set taken by isolate_begin; what is attached stays. */
void isolate_end(struct isolate *i);

/* Leaves a mark beside the pins that the hold froze this cgroup: an empty directory, which ends with the boot as the
 * freeze does. */
int isolate_mark(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id) _warn_unused_;

/* Takes it away again. */
void isolate_unmark(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id);

/* True when that mark is there. */
bool isolate_marked(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id);

/* Reads back every hook of one cgroup under one hold. Entries that are not attached to exactly this cgroup are zero.
 * Never fails. */
void isolate_read(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id,
                  struct isolate_link ret[static _ISOLATE_HOOK_MAX]);
/* Opens the pinned link of one hook if it is attached to exactly this cgroup: an open link stays attached when its pin
 * is removed. A descriptor that the caller owns, or -ENODATA. *ret is what isolate_link_read says of it. */
int isolate_open_link(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, enum isolate_hook h,
                      struct isolate_link *ret) _warn_unused_;
/* False when the open link is not attached to exactly this cgroup. */
bool isolate_link_read(int link, enum isolate_hook h, uint64_t cgroup_id, struct isolate_link *ret);
/* Attaches this very program, which is one of a set that was attached before, and pins the new link in the place of
 * what is pinned there. A descriptor of the link that the caller owns, or -errno. */
int isolate_attach_program(struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id,
                           enum isolate_hook h, int prog) _warn_unused_;
/* Pins an open link in its place. 0 or -errno. */
int isolate_pin(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, enum isolate_hook h,
                int link) _warn_unused_;
/* The directory of the hold's pins. -errno. */
int isolate_stat(const struct isolate *i, const struct command_id *hold, struct stat *ret) _warn_unused_;
/* How a socket is asked whether it is of that cgroup or one below it. All zero when nobody would answer. */
struct isolate_question isolate_question(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id);
/* What the hold's programs counted on that cgroup. False when they are gone. */
bool isolate_count(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id,
                   struct isolate_counters *ret);

/* Detaches and unpins everything of a hold, then checks that nothing of it is left. 0, -EBUSY when something is, or
 * -errno. */
int isolate_drop(struct isolate *i, const struct command_id *hold) _warn_unused_;
/* The ids of the cgroups that the hold has pins or marks for, at most max of them; tells how many. They are what is
 * left of a hold when the ledger is lost. */
size_t isolate_cgroups(const struct isolate *i, const struct command_id *hold, uint64_t *ret, size_t max);
/* Calls fn for each hold that has pins or marks. */
int isolate_each(const struct isolate *i, int (*fn)(const struct command_id *hold, void *userdata),
                 void *userdata) _warn_unused_;

/* When it is attached. */
enum isolate_phase isolate_hook_phase(enum isolate_hook h);
/* The form in which the programs compare it. */
void isolate_fill_permit(const struct permit *p, struct isolate_permit *ret);
const char *isolate_hook_id(enum isolate_hook h);
