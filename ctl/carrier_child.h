/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The other end of carrier.h: everything that is called of libnats. */

#include <stddef.h>
#include <stdint.h>

#include "ctl/carrier_frame.h"
#include "policy/broker.h"
#include "policy/nkey.h"

/* Connects and does what it is told until fd is closed. key NULL: logs in without. room: what may wait of each
 * subscription, in bytes. */
_Noreturn void carrier_child(int fd, const struct broker *b, const char *server, const struct nkey *key, size_t room);
