/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Deletes what is condemned (policy/shelf.h), a step at a time and only while the event loop has nothing else to do.
 * Nothing is remembered of how far it came: each step finds that out from the folders. */

#include "agent/core/agent.h"

struct removal;

/* Something was deleted, and that is recorded; or it could not be. It must not free the removal. */
typedef void (*removal_fn)(void *userdata);

int removal_new(struct agent *a, removal_fn fn, void *userdata, struct removal **ret) _warn_unused_;
void removal_free(struct removal *r);
/* Begins, or tries anew what failed. True when there is anything to delete. */
bool removal_start(struct removal *r);
/* The last attempt at it failed. */
bool removal_failed(const struct removal *r, const struct command_id *id);
