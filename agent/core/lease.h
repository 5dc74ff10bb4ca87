/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Holds that end by themselves, and those whose end has to be tried again. One timer on CLOCK_BOOTTIME, armed only
 * while there is such a hold, so that a host without one never wakes up for it. */

#include "agent/core/agent.h"

/* Sets the timer to the next end of a lease. Call after anything that changes holds. */
void lease_arm(struct agent *a);
