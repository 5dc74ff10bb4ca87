/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The isolation of one cgroup under one hold, kept as it was found: its links and programs are held open, so that
 * removing pins takes nothing away, and a link that is detached comes back with the very same program, permits and
 * counters. Reading it costs one call for each link, and opens nothing. */

#include "agent/core/isolate.h"

struct kept {
        int link[_ISOLATE_HOOK_MAX], prog[_ISOLATE_HOOK_MAX]; /* -EBADF: was not attached when it was opened */
        uint32_t prog_id[_ISOLATE_HOOK_MAX];
        struct stat pins; /* of their directory, when all were there */
        bool settled;     /* and it had been as it was for so long that a later change shows in its time */
};

#define KEPT_NONE \
        { [0 ... _ISOLATE_HOOK_MAX - 1] = -EBADF }
#define KEPT_NULL ((struct kept) { .link = KEPT_NONE, .prog = KEPT_NONE })

/* What is not as it was. */
struct kept_loss {
        bool link[_ISOLATE_HOOK_MAX]; /* detached, or another program was put in the place of ours */
        bool any_link, pins;
};

/* Opens what is attached now. */
void kept_open(struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id);
void kept_close(struct kept *k);
/* The hold has been enforced again meanwhile: opens what is attached in the place of what is not. True when something
 * was lost of what was there when it was opened: enforcing put it back, and nobody else has seen it. */
bool kept_adopt(struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id);
/* True when something is lost of what was there when it was opened. Notes what the pins look like when none is. */
bool kept_look(struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id,
               struct kept_loss *ret);
/* Puts back what is lost. 0 or the first -errno, after having tried all. -ENODATA when there is a hook that was not
 * attached before either: only enforcing anew helps then. */
int kept_mend(struct kept *k, struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id,
              const struct kept_loss *loss) _warn_unused_;
/* Attaches the same programs to another cgroup that took the place of the first, and keeps it from now on. As
 * kept_mend. */
int kept_move(struct kept *k, struct isolate *i, const struct command_id *hold, int cgroup_fd,
              uint64_t cgroup_id) _warn_unused_;
