/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What each key of automation was granted on this host: for each incident, and within a day of the floor. Part of
 * struct hold_set and rebuilt with it. The signer names the incident, so its sum bounds automation that runs wild, and
 * only the day's bounds a thief of the key. Every key has accounts of its own, whose number is bounded: one that names
 * incident after incident has its own ones forgotten, and takes nothing from another. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/command.h"

/* as many as a trust root has keys; then the one that was charged least recently is forgotten */
#define ACCOUNT_KEYS_MAX 64U
/* of one key; the same */
#define ACCOUNT_INCIDENTS_MAX 128U
/* An incident is forgotten this long after it was charged. */
#define ACCOUNT_INCIDENT_MS (7LL * 24 * 3600 * 1000)
/* What is charged within an hour of the floor counts until a day after the hour's end. */
#define ACCOUNT_SLOT_MS 3600000LL
#define ACCOUNT_SLOTS   25
/* Each hold that is made or extended counts as this much of the day at least: a second's hold, too, ends every
 * connection, and each order takes an id that has to be remembered. */
#define ACCOUNT_LEAST_MS 60000LL

/* Who is charged, and when by the floor. */
struct account_charge {
        uint8_t key[32];  /* fingerprint; zeros in ledgers that did not name it */
        int64_t floor_ms; /* from 0 */
};

struct account;

/* Zeroed, it is empty. */
struct account_set {
        struct account *all;
        size_t n;
};

/* Frees what s owns. */
void account_done(struct account_set *s);

/* Charges ms to the incident, and to the day as account_day_cost says. -ENOMEM: nothing was charged. */
int account_add(struct account_set *s, const struct account_charge *to, const char *incident, int64_t ms) _warn_unused_;
/* What a grant of ms costs of the day. */
int64_t account_day_cost(int64_t ms);
/* What the key was granted for the incident, the holds that ended included. */
int64_t account_incident_used(const struct account_set *s, const struct account_charge *of, const char *incident);
/* What it was granted within the day before now. */
int64_t account_day_used(const struct account_set *s, const struct account_charge *of);
