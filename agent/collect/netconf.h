/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How a network namespace sends what it sends: neighbours, routes and rules of every table, links with what is attached
 * to them, addresses; connections that the kernel follows; and the rules that packets are filtered by. Runs in a
 * reader. */

#include "agent/collect/reader.h"

/* False when the collector does not listen any more. */
bool netconf_copy(struct reader_out *o, const char *source);
