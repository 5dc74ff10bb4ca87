/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a real agent does to a kernel, and how it tells systemd, played: the functions of the core that the linker puts
 * these in the place of (tests.mk). An order is carried out at once, at four processes of one service, and found to be;
 * evidence is taken in no time. */

#include "agent/core/agent.h"
#include "agent/core/link.h"

/* Last, so that the agent of an answer is its host. */
struct fleet_core {
        struct agent agent;
        struct command_id last_id;
        json_t *last; /* the last receipt of an order, owned: what a duplicate carries */
};

/* Where link_answer() goes. */
extern void (*fleet_played_say)(void *userdata, const char *envelope);
extern void *fleet_played_userdata;
