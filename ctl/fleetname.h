/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which fleet a verb is about that takes no trust root's word for anything else. */

#include "ctl/ctl.h"
#include "policy/command.h"

/* --fleet, or what the trust root says. Returns 0 or an exit code. */
int fleetname_get(struct ctl *c, char ret[static COMMAND_FLEET_MAX + 1]) _warn_unused_;
