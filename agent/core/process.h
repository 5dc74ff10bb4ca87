/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One process as /proc tells of it: enough to know it again, and whose it is. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/cleanup.h"

struct process {
        pid_t parent;
        uint64_t start; /* in ticks since the boot; a number that is given again has another */
        uint64_t stack; /* where it begins, the same in whoever is forked; 0 for who may not be looked into */
        bool forked;    /* it has not executed a program since: it is a copy of who forked it */
        bool ends;      /* all of it is on its way out in the kernel */
        bool dead;      /* a zombie */
        bool kernel;    /* a thread of the kernel's */
};

/* -ESRCH when there is none of that number, -errno. */
int process_read(pid_t pid, struct process *ret) _warn_unused_;
/* True when it is the other one or was born below it. One whose parents have died between them is nobody's child any
 * more. */
bool process_descends(pid_t pid, pid_t from);
/* True when it is a copy of the other one, or of one that was, that has not come to execute its own program. Made not
 * to be fooled by chance; root can have a process look like that. */
bool process_is_copy(pid_t pid, pid_t of);
/* True when SIGKILL is on its way to it, or it is ending: it executes nothing more of its own, for however long the
 * kernel keeps it from that. */
bool process_is_killed(pid_t pid);
/* Its real uid. -ESRCH, -errno. */
int process_uid(pid_t pid, uint32_t *ret) _warn_unused_;
/* True when it has the uid as its real, effective, saved or file system one. */
bool process_has_uid(pid_t pid, uint32_t uid);
/* Calls fn with each, until it returns other than 0, which is then returned. -errno. */
int process_each(int (*fn)(pid_t pid, void *userdata), void *userdata) _warn_unused_;
