/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Records of what was done while the ledger had no room: bodies in the order in which they are to be written. */

#include <jansson.h>
#include <stdbool.h>

/* Of a body, borrowed. */
const char *late_id(const json_t *body);
bool late_is_order(const json_t *body);
/* Whether an order waits for room, or anything of this id, which may be NULL. What follows an order in time follows it
 * in the ledger too: whoever replays that would take it for one of later. */
bool late_waits(const json_t *queue, const char *id);
/* The last outcome of this id that waits, borrowed; NULL: none does. */
json_t *late_outcome(const json_t *queue, const char *id);
/* Makes the queue where there is none; the body is borrowed. Where there is no place for an outcome it takes that of
 * one of its id which promised another, or none. */
void late_keep(json_t **queue, json_t *body);
