/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Asking all hosts of a fleet how they are, over its brokers, and telling it. */

#include <stdio.h>

#include "ctl/carrier.h"
#include "ctl/ctl.h"
#include "ctl/muster.h"
#include "ctl/render.h"
#include "policy/trust.h"

struct fleet_ask {
        struct ctl *c;
        struct trust *trust;
        struct inventory inventory;
        struct broker broker;
        struct carrier *carrier; /* NULL: not connected */
        unsigned rounds;         /* of this connection */
        int64_t asked_ms;        /* when the last round began; boot_ms */
        struct muster muster;
};

#define FLEET_ASK_MS 5000

/* By the options: trust root, inventory, and the brokers when they are given. Returns 0 or an exit code. */
int fleet_ask_open(struct ctl *c, struct fleet_ask *ret) _warn_unused_;
void fleet_ask_done(struct fleet_ask *a);
/* One round: asks, and hears until all have answered or the time is over. 0, or an exit code when nobody could be
 * asked, or not all could be heard. */
int fleet_ask_round(struct fleet_ask *a, int64_t timeout_ms) _warn_unused_;

/* The verdict, a row for each host, those first that somebody has to look at, and what else came; at most so many rows
 * of hosts. ages: how old is what each said, instead of how long it took to answer. */
void fleet_ask_page(const struct fleet_ask *a, const struct page *p, int code, size_t rows, bool ages);
/* What is told of a host, and of all, in JSON: new reference, NULL when out of memory. */
json_t *fleet_ask_host(const struct fleet_ask *a, const struct muster_entry *e) _warn_unused_;
json_t *fleet_ask_summary(const struct fleet_ask *a, int code) _warn_unused_;
/* "fresh", "withheld 2": what a host says about heads. Returns ret. */
const char *fleet_ask_head(const json_t *report, char *ret, size_t n);
