/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The orders that heads name and this host does not have: which of them the stream is asked for now, as there is not
 * room for all at once, and which were asked for before.
 *
 * Pure: no I/O, no clock. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/relay/answer.h"
#include "agent/relay/fetch.h"
#include "policy/subject.h"

struct pull {
        struct {
                struct command_id id;
                bool asked;           /* for it */
        } orders[ANSWER_MISSING_MAX]; /* that the last head named */
        size_t n;
        struct command_id last; /* that was asked for */
};

/* Was it asked for already, and has been named by every head since? */
bool pull_was_asked(const struct pull *p, const struct command_id *id);
/* What is missing after another head. It asks for as many as there is room for, from the one behind the last that it
 * asked for before: so all have their turn, however many of the others never come. */
void pull_head(struct pull *p, const struct answer *a, struct fetch *f, const struct who *w);
