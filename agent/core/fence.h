/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Has systemd itself keep what is held as it is: neither a command to it, nor a socket, path, timer, dependency, D-Bus
 * name, Restart= or reboot starts a process of a held unit anew, stops or reloads it. The kernel holds it before this
 * begins; this is for the process that would come instead. One file for each held unit (fencefile.h), and the service
 * manager told to read it. It is counted like all else: a unit's file lists the holds that want it.
 *
 * What is in force is read back from PID 1, never remembered. */

#include "agent/core/agent.h"

/* What a proof says of a site: */
#define FENCE_TABLE(X)                                                                     \
        X(NONE, "none")       /* no unit, or no systemd: there is nothing to fence */      \
        X(PENDING, "pending") /* systemd is being told */                                  \
        X(STANDS, "stands")   /* systemd says that it neither starts nor stops the unit */ \
        X(OPEN, "open")       /* it does not */

enum fence_state {
#define X(name, id) FENCE_##name,
        FENCE_TABLE(X)
#undef X
                _FENCE_STATE_MAX,
};

struct fence;

/* persistent and runtime: directories that systemd reads units from; the second one is used where the first cannot be
 * written, and instead of it when the disk may hang. -ENOMEM. */
int fence_new(sd_event *event, const char *persistent, const char *runtime, bool hangs,
              struct fence **ret) _warn_unused_;
void fence_free(struct fence *f);

/* Writes the files for a hold, as far as they are not there yet. Has nobody read them. */
void fence_raise(struct agent *a, const struct command_id *hold);
/* Takes the hold out of every file that lists it, also one that the ledger does not know. -errno when a file could not
 * be changed. */
int fence_drop(struct agent *a, const struct command_id *hold) _warn_unused_;
/* Has systemd read what was written or taken away since it last did; fn is called when it has, at once when there is
 * nothing to read. See reload_ask. */
int fence_tell(struct agent *a, void (*fn)(int r, void *userdata), void (*drop)(void *userdata),
               void *userdata) _warn_unused_;

/* What to expect of this site. */
bool fence_applies(const struct site *s);
/* Asks systemd. */
enum fence_state fence_read(struct agent *a, const struct site *s);
/* 1 when systemd still has a file for the site's unit that is not there any more, 0 when it has none; -errno when it
 * does not say, which is neither. */
int fence_lingers(struct agent *a, const struct site *s);

/* Cheap: true while nobody has touched the files of the active holds. */
bool fence_stands(struct agent *a);
/* Puts back what is missing for the active holds and has systemd read it, without waiting. */
void fence_keep(struct agent *a);
/* The same at a start, and waits for systemd: what is proven next counts on it. */
void fence_restore(struct agent *a);

/* The holds that files list and the ledger does not know, each as often as it is listed. */
int fence_each_orphan(struct agent *a, int (*fn)(const struct command_id *hold, const char *unit, void *userdata),
                      void *userdata) _warn_unused_;

const char *fence_state_id(enum fence_state s);
