/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a host listens to, and how a fleet keeps from doing the same thing at the same moment. Pure but for the dice. */

#include <stdint.h>

#include "agent/relay/answer.h"
#include "policy/broker.h"
#include "policy/cleanup.h"

/* Gives each subject to hear(), answers to the host's own questions first; below 0 stops and is returned. -EINVAL when
 * w is of no fleet. */
int ears_each(const struct who *w, int (*hear)(void *userdata, const char *subject), void *userdata) _warn_unused_;

/* How long a host without a server waits before it tries again, when it tried in vain so often since it had one. The
 * more often, the longer: a server to which everybody comes back at once answers nobody in time, and those who give up
 * and come again take from it what the others wait for. Never beyond what spread_s allows. */
int64_t ears_retry_us(const struct broker *b, unsigned failures);
/* How long after a connection it asks for what it missed. */
int64_t ears_catch_up_us(const struct broker *b);
