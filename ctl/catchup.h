/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the fleet's stream of orders keeps, asked for message by message (JetStream's direct get), as hosts do. Nothing
 * that comes is believed: a broker keeps back, plays again and makes up what it likes. */

#include <stdint.h>

#include "ctl/carrier.h"

/* One question. last: for the last message under that subject, and body is ""; NULL: body says for which. 0 with *ret
 * NULL: there is none. Else *ret is to be freed. Returns 0 or an exit code. */
int catchup_ask(struct carrier *c, const char *fleet, const char *last, const char *body, struct carrier_event **ret,
                struct why *w) _warn_unused_;
/* The first message from number *from on that is kept under the pattern; *from is behind it then. The same answers. What
 * has no number that can be read, or a lower one, is what comes next: whoever stored it must not end what is behind it.
 * So there is no end of what a broker sends round in a circle, and it is for who asks to have enough. */
int catchup_next(struct carrier *c, const char *fleet, const char *pattern, int64_t *from, struct carrier_event **ret,
                 struct why *w) _warn_unused_;
