/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the relay of this host says of itself (/run/freezed-relay/state.json): whether it hears the fleet's brokers. The
 * host signed none of it, and it is shown as that. */

#include "ctl/exchange.h"

#define RELAYSTATE_FILE "/run/freezed-relay/state.json"

/* A line of the page, or with --json an object of its own; nothing where no relay runs. */
void relaystate_show(struct ctl *c, const struct page *p, const char *file);
