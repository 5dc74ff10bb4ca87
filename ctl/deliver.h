/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The way to the agent: a connection on which one signed order goes out, and its answers come back, a message each
 * (PROTOCOL.md, section 6). This is the one place that knows which way that is; it never waits for an answer. */

#include "ctl/client.h"
#include "ctl/ctl.h"

/* As client_connect and client_send; the answer has c's --timeout from then on. */
int deliver(const struct ctl *c, const char *envelope, struct client *ret) _warn_unused_;
