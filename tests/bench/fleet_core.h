/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The agent of a host of which there are thousands in one process. What the gate parses, and what the core verifies,
 * decides, remembers and signs, is their own code, linked in (pipeline.h names the stages); only what is done to a
 * kernel is played (fleet_played.c): an order that every rule allows is one that was carried out. Each host has its
 * key, its attributes, its holds and its opinion of the fleet's head. They share one ledger, and orders are not written
 * to it. */

#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "policy/attributes.h"
#include "policy/cleanup.h"

struct fleet_world;
struct fleet_core;

/* Reads the trust root; makes a ledger in that directory. -errno. */
int fleet_world_new(sd_event *event, const char *trust, const char *ledger, struct fleet_world **ret) _warn_unused_;

/* A host of that world: its key and its attributes are in the state directory, as a real one's are. -errno; -ENODATA
 * when its attributes are not in force. */
int fleet_core_new(const struct fleet_world *w, const char *state, struct fleet_core **ret) _warn_unused_;
/* What is in force; borrowed. */
const struct attributes *fleet_core_attributes(const struct fleet_core *c);

/* One message, as the relay would hand it to the gate; each envelope that the host signs as an answer is given to
 * say(). What no gate takes, and what the core cannot answer, is answered with nothing. */
void fleet_core_take(struct fleet_core *c, const char *text, size_t n,
                     void (*say)(void *userdata, const char *envelope), void *userdata);
