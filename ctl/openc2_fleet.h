/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An OpenC2 command about a device elsewhere: its order goes over the fleet's brokers. */

#include "ctl/ctl.h"
#include "ctl/inventory.h"
#include "ctl/receipt.h"
#include "policy/broker.h"
#include "policy/command.h"
#include "policy/trust.h"

struct openc2_fleet {
        struct broker broker;
        struct inventory inventory;
        struct courier *courier;
        bool up;
};

/* Reads --nats and the inventory, and starts what talks to brokers: before any key is read. Returns 0 or an exit code.
 */
int openc2_fleet_start(struct ctl *c, const struct trust *t, struct openc2_fleet *ret) _warn_unused_;
void openc2_fleet_done(struct openc2_fleet *f);
/* By fingerprint, or by a name that no other host has; NULL: there is none. Borrowed. */
const struct host *openc2_fleet_host(const struct openc2_fleet *f, const char *name);

/* Sends an order to one host and waits for its final answer, timeout_ms for the first one. 0: *ret is signed by it, and
 * *ret_envelope is that as it came, malloc'ed. -ETIMEDOUT, -EPIPE, -ENOMEM; *ret_given says whether a broker was there
 * to give it to. */
int openc2_fleet_ask(struct openc2_fleet *f, const struct command *cmd, const char *envelope,
                     const struct receipt_want *want, int64_t timeout_ms, struct receipt *ret, char **ret_envelope,
                     bool *ret_given) _warn_unused_;
