/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Has the service manager read its unit files again. That takes PID 1 from 20 ms to seconds on a host with thousands
 * of units, so nobody waits for it here: whoever asked is told. What changed on disk while one was under way is read
 * by another one. */

#include <systemd/sd-event.h>

#include "policy/cleanup.h"

struct reload;

/* r: 0 when it has read what was on disk when it was asked for; -ETIMEDOUT, -EOPNOTSUPP without systemd, -errno. */
typedef void (*reload_fn)(int r, void *userdata);

/* -ENOMEM. */
int reload_new(sd_event *event, struct reload **ret) _warn_unused_;
/* What still waits is given to its drop function and never told. */
void reload_free(struct reload *r);

/* fn may be called before this returns, and is called exactly once unless reload_free comes first. Both functions may
 * be NULL. -ENOMEM, in which case it is not called. */
int reload_ask(struct reload *r, reload_fn fn, void (*drop)(void *userdata), void *userdata) _warn_unused_;
/* The same and waits: 0, -ETIMEDOUT, -errno. For a start, when nobody has come yet. */
int reload_now(int64_t timeout_us) _warn_unused_;
