/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Orders that wait at the fleet's brokers for signatures (board.h), for the verbs. Each opens a connection and closes
 * it again before any key is read. t may be NULL, which is an error. Each returns 0 or an exit code. */

#include "ctl/ctl.h"
#include "ctl/trustfile.h"

/* What waits: a page, or a line of JSON each and a summary. */
int pending_list(struct ctl *c, const struct trust *t) _warn_unused_;
int pending_get(struct ctl *c, const struct trust *t, const struct command_id *id,
                struct signed_file *ret) _warn_unused_;
/* Puts it there; f has all signatures then that are there. */
int pending_put(struct ctl *c, const struct trust *t, struct signed_file *f) _warn_unused_;
