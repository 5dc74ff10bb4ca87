/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What happens to the frozen as soon as they are thawed: fatal signals that wait for them, and a watchdog that went on
 * counting. */

#include "agent/core/agent.h"

/* Adds to o, of the n processes of the site: "signalled", a list of {"pid","signals"}, and "watchdog_expired". Returns
 * the notes that go with what was found. Asks systemd. */
reason_set awaiting_add(struct agent *a, const struct site *s, const pid_t *pids, size_t n, json_t *o);
