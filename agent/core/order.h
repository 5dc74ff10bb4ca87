/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A stop order and a snapshot through the stages from record to report. */

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "agent/core/prove.h"

/* Both take the authorisation over and answer. 0, or -errno when nothing was done and nothing was answered. */
int order_stop(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
               const struct answer *to) _warn_unused_;
int order_snapshot(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                   const struct answer *to) _warn_unused_;

/* NONE when at least one target can be held; else why the first cannot. */
enum reason order_nothing_to_hold(const struct sites *s);
/* Records the outcome of a proven hold and makes its signed receipt; also for recovery. of: see struct outcome.
 * *ret_receipt and *ret are owned by the caller. -ENOMEM. */
int order_conclude(struct agent *a, struct proven *p, const char *of, bool final, json_t **ret_receipt,
                   char **ret) _warn_unused_;
/* Our own other hold on the site's cgroup is not someone else's freeze: what was there before it is what a release goes
 * back to. */
void order_inherit_was_frozen(const struct agent *a, struct site *s);
/* Makes the service manager's view agree with what was frozen. */
void order_tell_systemd(struct agent *a, struct proven *p);
