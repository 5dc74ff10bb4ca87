/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the service manager has in force for the units, which need not be what their files say: one object of kind
 * `unit-properties`, the text of `systemctl show`.
 *
 * systemctl is another process, made before the collector gives up what it takes to make one and to run a program. It
 * is told names only, writes to memory only, and ends with the collector. */

#include "agent/collect/units.h"

struct properties {
        pid_t pid;  /* 0: not started */
        int ask;    /* where it waits for names */
        int output; /* memfd */
        bool asked;
        int err; /* it could not be started or asked */
};
#define PROPERTIES_NULL ((struct properties) { .ask = -EBADF, .output = -EBADF })
/* Its life, from when it was asked. */
#define PROPERTIES_SECONDS 5U

/* Before sandbox_mounts(), which leaves nothing that can be executed. Does nothing where there is no systemd. */
void properties_start(struct properties *ret);
/* Tells it which units. Does not wait for the answer. */
void properties_ask(struct properties *p, const struct units *u);
/* Waits for the answer; for what there is none, or not all of it, there is a hole. */
void properties_collect(struct properties *p, struct store *s);
void properties_done(struct properties *p);
