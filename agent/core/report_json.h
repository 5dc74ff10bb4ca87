/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Small pieces of JSON that records, receipts and reports share. */

#include "policy/cleanup.h"
#include "policy/reason.h"

/* The ids of the set's members that are of one of the kinds (bits of enum reason_kind; 0: any), in table order. New
 * reference, NULL when out of memory. */
json_t *reasons_to_json(reason_set set, unsigned kinds);
