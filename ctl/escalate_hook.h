/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lifecycle events to a webhook, in a thread of its own: how slow the other end is delays no order. What does not fit
 * into the queue, and what could not be told after some tries, is said on standard output, one line each. */

#include "ctl/why.h"

#define ESCALATE_HOOK_QUEUE 256U

struct escalate_hook;

int escalate_hook_new(const char *url, struct escalate_hook **ret, struct why *w) _warn_unused_;
/* Takes over json, which is one CloudEvent; id: its id, of letters, digits, "/" and "-" only. */
void escalate_hook_put(struct escalate_hook *h, const char *id, char *json);
/* Waits for what is still to be told, but not long, and frees it. */
void escalate_hook_freep(struct escalate_hook **h);
