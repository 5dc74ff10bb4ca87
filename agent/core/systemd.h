/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the service manager knows about a unit, and telling it about a freeze. Speaks to PID 1 on its private socket, so
 * a stuck or contained D-Bus daemon is not in the way. A stuck PID 1 must not be either: each call has a short timeout,
 * and after one that ran into it all others give up at once until systemd_rest(). */

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/paths.h"
#include "policy/cleanup.h"

struct systemd;

/* Never fails but for -ENOMEM: where PID 1 is not systemd, systemd_version gives 0 and every call -EOPNOTSUPP. */
int systemd_new(struct systemd **ret) _warn_unused_;
void systemd_free(struct systemd *s);
void systemd_freep(struct systemd **s);

/* Starts to connect without waiting for it, so that PID 1 has taken the connection by the time that it is asked
 * something: that is most of what a first call costs. */
void systemd_begin(struct systemd *s);
/* After each piece of work: closes the connection, and forgets that PID 1 was silent; the next call makes a new one.
 * PID 1 sends every signal to every private connection, so one that nobody reads must not stay open. */
void systemd_rest(struct systemd *s);
/* True when it did not answer in time since systemd_rest(). */
bool systemd_is_silent(const struct systemd *s);
/* Until systemd_rest() it is as if it had not: nothing is asked. Not as long as its silence would say that the host is
 * still coming up. */
void systemd_give_up(struct systemd *s);

/* Major version, 0 without systemd. */
int systemd_version(struct systemd *s);
/* True while the host comes up: something of what is started at boot has not been yet. Once it is up it is not asked
 * again. A manager that does not say is at it for the first minutes after power-on, and then it is not. */
bool systemd_is_booting(struct systemd *s);
/* True for a unit that is being started, and has not been; also when the manager does not say. */
bool systemd_unit_is_starting(struct systemd *s, const char *name);
/* Unified path of a service, scope, socket, mount, swap or slice; "" when it has no cgroup now. *ret is malloc'ed.
 * -ENOENT for a unit that does not exist. Another -errno, -ETIMEDOUT among them, says nothing of the unit: the manager
 * was not reached or did not answer. */
int systemd_unit_cgroup(struct systemd *s, const char *name, char **ret) _warn_unused_;
/* False when the manager says that the cgroup at that path is not the unit's, or that there is no such unit. */
bool systemd_unit_may_be_at(struct systemd *s, const char *name, const char *path);
/* The same as systemd_unit_cgroup() without asking, for a unit of system.slice that runs: PID 1 writes the id of a
 * unit's invocation down in a directory of its own and on the cgroup that it made for it, where only root can, and here
 * both are the same. 1300 us less than asking. root: the hierarchy's mount point. -ENOENT where that does not tell,
 * which says nothing about the unit. */
int systemd_unit_cgroup_written(const char *root, const char *name, char **ret) _warn_unused_;
/* Calls fn for each unit that is loaded, has a cgroup now and fits one of the patterns (`*`, `?`; NULL after the last),
 * those of templates after all others; it returns false when it wants no more. 0, or -errno as above, after which
 * nothing is known of any. May fail after some. */
int systemd_each_unit(struct systemd *s, char **patterns,
                      bool (*fn)(const char *name, const char *cgroup, void *userdata), void *userdata) _warn_unused_;
/* The unit's watchdog if this manager kills a frozen unit with it, in microseconds; 0 when there is none, when this
 * version does not, or when it cannot be told. */
uint64_t systemd_unit_watchdog(struct systemd *s, const char *name);
/* True when such a watchdog has run out, and the unit is failed for it or about to be. */
bool systemd_unit_watchdog_expired(struct systemd *s, const char *name);
/* The units that are required to stop or to fail with this one: RequiredBy, RequisiteOf, BoundBy, ConsistsOf. Adds to
 * *ret, which is the caller's. -errno. */
int systemd_unit_dependents(struct systemd *s, const char *name, struct paths *ret) _warn_unused_;
/* Makes the manager's own view agree with a freeze or thaw that the kernel has already made. */
int systemd_unit_frozen(struct systemd *s, const char *name, bool frozen) _warn_unused_;

/* What the manager has in force of a unit's fence (fencefile.h). */
struct systemd_fence {
        bool has_file; /* it read a drop-in of that name */
        bool refuses;  /* to start and to stop it by hand */
        bool never;    /* what would start it otherwise finds that its condition does not hold, and Restart= is off */
};

/* -ETIMEDOUT, -errno. A unit without a file can have a drop-in. */
int systemd_unit_fence(struct systemd *s, const char *name, const char *file, struct systemd_fence *ret) _warn_unused_;
