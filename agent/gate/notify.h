/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tells the service manager that the gate runs. sd_notify() opens a socket for every message, which the sandbox
 * forbids; here it is opened once, before. */

#include <systemd/sd-event.h>

#include "policy/cleanup.h"

struct notify;

/* Connects to $NOTIFY_SOCKET, and answers the manager's watchdog from the loop if it has one. Without the variable
 * there is nobody to tell. -errno. */
int notify_new(sd_event *event, struct notify **ret) _warn_unused_;
void notify_free(struct notify *n);
void notify_freep(struct notify **n);

/* The start is complete. Does not block. */
void notify_ready(const struct notify *n);
