/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The self-test of a hold on the whole host, in both directions: a socket of ours, which are no management unit, tries
 * to connect to an address that nobody has, and to those that are permitted. Asked before the hold as well: only an
 * address that answered then can be said to have been cut off. */

#include "agent/core/prove.h"

/* Bit n: the n-th permit, local policy's first, answers now. 0 when there is none that can be tried. */
uint32_t hosttest_before(struct agent *a, const struct hold *h, const struct site *s);
/* Tries, and fills in the proof what came of it: SELFTEST_LEAK, SELFTEST_NOT_RUN, or MANAGEMENT when what answered
 * before does not any more. */
void hosttest_after(struct agent *a, const struct hold *h, const struct site *s, uint32_t before, struct proof *p);
