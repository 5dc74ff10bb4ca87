/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Orders to hosts elsewhere: with --nats what is for a group, for all or for another host goes over the fleet's
 * brokers. Whom an order is for is read from the inventory before it is signed, and that many hosts are promised in it
 * and count against the budget. What each of them signed is told as it comes (rollcall.h). While no broker is there an
 * order is kept as any other is, and given when one is back, until it expires; nothing here waits for a broker.
 *
 * Nothing but what is for the host that this runs on needs an agent here. */

#include <stdbool.h>

#include "ctl/hosts.h"

struct escalate;
struct escalate_draft;
struct escalate_record;
struct escalate_fleet;

/* Reads --nats and the inventory, and starts what talks to brokers, unless it is a rehearsal: before any key is read
 * and any thread is there. x has its trust root. Returns 0 or an exit code. */
int escalate_fleet_start(struct escalate *x) _warn_unused_;
void escalate_fleet_freep(struct escalate_fleet **f);

/* The hosts that an event may name: those of the inventory whose name no other one has. */
const struct hosts *escalate_fleet_names(const struct escalate_fleet *f);
/* Whether an order goes over brokers, by whom it is for: NULL and 32 zero bytes are several hosts. */
bool escalate_fleet_has(const struct escalate *x, const uint8_t *host);
/* How many hosts it is for becomes d->n_hosts. NULL, or why there is no such order; static. */
const char *escalate_fleet_expect(const struct escalate *x, struct escalate_draft *d);

/* Gives what is to be given, and ends what is over. */
void escalate_fleet_all(struct escalate *x);
/* Takes what has come, but not all of it when that is much. -EPIPE: there will be no more. */
int escalate_fleet_hear(struct escalate *x) _warn_unused_;
/* To poll for input; -1: none. */
int escalate_fleet_fd(const struct escalate_fleet *f);
/* As escalate_flight_wait. */
int escalate_fleet_wait(const struct escalate *x);
