/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A receipt or report that is larger than an envelope may be would be lost on its way, and the gate's connection with
 * it. So what is too large is told shorter, the least important first: stored receipts of holds, then what was tried,
 * then the details of targets at which everything is in force, then those of the others, then names of targets, and at
 * last whole members of the list. States, reasons and gaps of what is listed stay. "shortened" says that something was
 * left out, "omitted" how many members of the list. */

#include <stddef.h>

#include <jansson.h>

#include "policy/cleanup.h"
#include "policy/dsse.h"

/* A receipt leaves room for the one around it when it is told again as that of a duplicate, and for what became of a
 * snapshot. */
#define FIT_REPORT_MAX  DSSE_HOST_PAYLOAD_MAX
#define FIT_RECEIPT_MAX (DSSE_HOST_PAYLOAD_MAX - 4U * 1024)

/* Dumps the object in max bytes at most, changing it where it is too large. *ret is malloc'ed. -ENOMEM; -E2BIG when it
 * is too large without any list. */
int fit_dump(json_t *payload, size_t max, char **ret) _warn_unused_;
