/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Events into orders: `freezectl escalate`. One thread decides, and never waits for anything but the disk: an order is
 * signed, kept in the state file, sent, and its answers are awaited beside everything else. Each line or request that
 * comes in is answered by at least one line of JSON that says what became of it.
 *
 * FAIL-OPEN: an order whose state cannot be kept (a full disk) is given all the same; its line says so.
 * FAIL-CLOSED: without a budget, a lease or a target for sure nothing is ordered. */

#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/escalate_fleet.h"
#include "ctl/escalate_hook.h"
#include "ctl/escalate_http.h"
#include "ctl/escalate_lines.h"
#include "ctl/escalate_state.h"
#include "ctl/receipt.h"
#include "ctl/sign.h"
#include "policy/trust.h"

/* orders whose answers are awaited at the same time, a connection each: a gate gives one user 16. The others wait in
 * the state. */
#define ESCALATE_FLIGHTS_MAX 12U
/* of these, those that wait for the end of what was taken; the others are asked for it later */
#define ESCALATE_ANSWERED_MAX 4U

struct escalate_flight {
        struct command_id id;
        struct client client; /* not connected: waits for at_ms */
        int64_t at_ms;        /* CLOCK_MONOTONIC: the next try */
        char name[33];        /* of the order */
        uint8_t digest[32], host[1][32];
        size_t n_hosts;
        bool sent, answered, troubled;
};

struct escalate {
        struct ctl *c;
        struct escalate_rules rules;
        struct escalate_state state;
        struct escalate_lines lines;
        struct escalate_flight flights[ESCALATE_FLIGHTS_MAX];
        size_t n_flights;
        struct hosts known;
        struct signers signers;
        struct trust *trust;   /* NULL: there is none */
        const struct host *me; /* whom "local" is; NULL when nothing is sent */
        struct escalate_http *http;
        struct escalate_hook *hook;
        struct escalate_fleet *fleet; /* NULL: everything is for the agent here */
        char state_path[512];
        int lock;                   /* of the state: two that write it would each forget what the other ordered */
        enum escalate_source input; /* of standard input */
        bool reads_input, state_failed;
        int worst; /* exit code */
};

/* Takes what comes until there is no more and everything was answered, or a signal can be read (signalfd): what nobody
 * answered yet is in the state file then. Returns an exit code. */
int escalate_loop(struct escalate *x, int signals) _warn_unused_;

/* escalate_order.c: signs what is to be ordered, keeps it, and says so. 0, or an exit code when it could not be signed;
 * c->why says it. */
int escalate_order(struct escalate *x, const struct escalate_draft *d, const struct escalate_event *e) _warn_unused_;
/* What was asked, read from the order itself, and the digest of its payload: the one that a crash left behind is no
 * other. -EBADMSG. */
int escalate_order_read(const struct escalate_record *r, struct command **ret,
                        uint8_t ret_digest[static 32]) _warn_unused_;
/* Writes the state file; says it when that fails, and when it succeeds again. */
void escalate_order_keep(struct escalate *x);
/* Whose fingerprint an order has that goes to one host; NULL: it goes to several. */
const uint8_t *escalate_order_host(const struct escalate *x, const struct escalate_draft *d);

/* escalate_flight.c: sends what has no answer yet, as far as there is room; again when it is time to. */
void escalate_flight_all(struct escalate *x);
/* One of them has something to read, or to say that it ended. */
void escalate_flight_hear(struct escalate *x, struct escalate_flight *f);
/* ms until escalate_flight_all has something to do; -1: nothing. */
int escalate_flight_wait(const struct escalate *x);
bool escalate_flight_is_idle(const struct escalate *x);
