/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Takes heads (heard.h), and writes into the ledger when a host that heard its fleet hears it no more, and when it does
 * again: once a minute at most, whatever comes. */

#include "agent/core/agent.h"
#include "agent/core/link.h"

/* Judges one, and answers with a report, whatever it is worth. 0 or -errno. */
int hearing_take(struct agent *a, const struct dsse *d, const struct answer *to) _warn_unused_;
/* From the start on, and whenever the trust root may be another: ends a head whose herald it does not name. */
void hearing_begin(struct agent *a);
