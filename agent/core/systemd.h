/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the service manager knows about a unit, and telling it about a freeze. Speaks to PID 1 on its private socket, so a stuck or
 * contained D-Bus daemon is not in the way; every call has its own short timeout, because a stuck PID 1 must not be either. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/cleanup.h"

struct systemd;

struct systemd_unit {
        char *cgroup;         /* unified path; empty when the unit has none now */
        uint64_t watchdog_us; /* 0: none */
};

/* Never fails but for -ENOMEM: where PID 1 is not systemd, systemd_version gives 0 and every call -EOPNOTSUPP. */
int systemd_new(struct systemd **ret) _warn_unused_;
void systemd_free(struct systemd *s);
void systemd_freep(struct systemd **s);

/* Closes the connection; the next call makes a new one. PID 1 sends every signal to every private connection, so one that nobody reads must
 * not stay open. */
void systemd_rest(struct systemd *s);

/* Major version, 0 without systemd. */
int systemd_version(struct systemd *s);
/* name: a service, scope, socket, mount, swap or slice. -ENOENT for a unit that does not exist, -ETIMEDOUT, -errno. *ret is owned. */
int systemd_unit_read(struct systemd *s, const char *name, struct systemd_unit *ret) _warn_unused_;
void systemd_unit_done(struct systemd_unit *u);
/* Makes the manager's own view agree with a freeze or thaw that the kernel has already made. */
int systemd_unit_frozen(struct systemd *s, const char *name, bool frozen) _warn_unused_;
