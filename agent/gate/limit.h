/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How much of the gate's time each uid may waste, and how many connections it may have. Only failures cost: a message
 * that the core gets to see is paid for by waiting for its answer. The budget is kept in microseconds: it fills by one
 * a microsecond, so what a failure costs is also how long its sender has to wait for it in the long run. Accounts
 * outlive connections, so reconnecting buys nothing.
 *
 * Pure: no clock, no I/O, no allocation. Every now_us is CLOCK_MONOTONIC and never goes back. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LIMIT_CONNECTIONS_MAX     64U
#define LIMIT_CONNECTIONS_PER_UID 16U
/* Of these so many are only for root, and as many more only for root and the host's services, of which the relay is
 * one: whoever may be many users, all of people, does not shut them out. */
#define LIMIT_CONNECTIONS_KEPT 8U
#define LIMIT_SERVICE_UID_MAX  999U
#define LIMIT_RANKS            3U
/* Twice the connections: at least half the accounts have none and can remember who failed before. */
#define LIMIT_ACCOUNTS_MAX (2U * LIMIT_CONNECTIONS_MAX)

/* One unit is about 50 us of the gate's time on a 2020s server: a small message parsed and refused, 4 KiB more of it,
 * or one Ed25519 verification. It costs 1 ms, so one uid's failures take some 5 % of one CPU however it sends them. */
#define LIMIT_UNIT_US    1000LL
#define LIMIT_UNIT_BYTES 4096U
#define LIMIT_BUDGET_US  (1000LL * LIMIT_UNIT_US)
/* Who has spent everything is read again only when this much is back: else every unit would be a wake-up. */
#define LIMIT_RESUME_US (100LL * LIMIT_UNIT_US)
/* Served after the others is who failed this often, and every time within that long of the time before: a few slips are
 * human. */
#define LIMIT_SLIPS_MAX 8U
#define LIMIT_CLEAN_US  (10LL * 1000 * 1000)
/* One line of log about a uid in this time. */
#define LIMIT_SAY_US (60LL * 1000 * 1000)

struct limit_account {
        uid_t uid;
        bool used;    /* it has this uid */
        bool said;    /* ever */
        bool waiting; /* spent: not read before LIMIT_RESUME_US are back */
        unsigned int n_connections;
        int64_t balance_us; /* below zero after an expensive failure; right at seen_us */
        int64_t seen_us;
        int64_t failed_us;     /* the last failure */
        unsigned int n_failed; /* each within LIMIT_CLEAN_US of the one before */
        int64_t said_us;
        uint64_t n_unsaid; /* failures that no line of log has counted yet */
};

struct limit {
        struct limit_account accounts[LIMIT_ACCOUNTS_MAX]; /* all zero at start */
        /* connections of those who come as late as that rank, or later: the first is all of them */
        unsigned int n_from[LIMIT_RANKS];
};

/* What a failure costs: its bytes as received, and the signature checks made for it. */
int64_t limit_cost_us(size_t n_bytes, unsigned int n_verified);

/* The account of a uid; never NULL. A new uid takes the account of the one without connections whose last failure is
 * longest ago. Stays valid while it has a connection, else until the next call. */
struct limit_account *limit_account(struct limit *l, uid_t uid, int64_t now_us);

/* Who comes first when places are short: 0 root, 1 the host's services, 2 everybody else. */
unsigned int limit_rank(uid_t uid);
/* True when there is no place for that uid, however few it has itself. */
bool limit_is_full(const struct limit *l, uid_t uid);
/* Counts a connection; false, and nothing counted, when the uid or the gate has as many as it may. */
bool limit_connect(struct limit *l, struct limit_account *a);
void limit_disconnect(struct limit *l, struct limit_account *a);

/* Charges a failure. */
void limit_fail(struct limit_account *a, int64_t cost_us, int64_t now_us);
/* 0 when the uid's connections may be read, else how many microseconds from now to ask again. */
int64_t limit_wait_us(struct limit_account *a, int64_t now_us);
/* True when the uid has not failed, or not often, of late. */
bool limit_is_clean(const struct limit_account *a, int64_t now_us);
/* True, with the number of failures since the last time, when a line of log about this uid is due. */
bool limit_say(struct limit_account *a, int64_t now_us, uint64_t *ret_n);
