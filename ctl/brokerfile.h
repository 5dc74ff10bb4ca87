/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What --nats names: nats://HOST:PORT, or a file of broker.h. */

#include "ctl/why.h"
#include "policy/broker.h"

/* nats may be NULL: CTL_USAGE. Returns 0 or an exit code. */
int brokerfile_load(const char *nats, struct broker *ret, struct why *w) _warn_unused_;
