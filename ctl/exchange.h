/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One question to the agent and its answer, and how both kinds of output tell it: a page for people, or an object for each host and a summary.
 *
 * There are five classes of hosts, which are never merged: verified (signed, final), accepted (signed, but more was to come), refused,
 * unverified (somebody answered, but not provably the host), and silent. */

#include "ctl/ctl.h"
#include "ctl/receipt.h"
#include "ctl/render.h"

struct exchange {
        const char *message;
        size_t n;
        const struct hosts *known;
        struct receipt_want want;
        bool sent; /* set by exchange_run: whoever listens has the message */
};

/* Asks and waits for the final answer, --timeout in all. What is not yet final is told on standard error while waiting.
 * 0: *ret is an answer of any kind, owned by the caller. CTL_SILENT: none came, or (ret->kind is RECEIPT_SIGNED) only a preliminary one;
 * c->why says it. CTL_MACHINE likewise. *ret has to be RECEIPT_NULL before. */
int exchange_run(struct ctl *c, struct exchange *x, struct receipt *ret) _warn_unused_;
/* {"query":...} and its report. known: whose report is believed. The same answers. */
int exchange_query(struct ctl *c, const char *query, const struct hosts *known, struct receipt *ret) _warn_unused_;

/* Where a page goes. */
struct page exchange_page(const struct ctl *c);
/* --json: the host's line. answer: what exchange_run returned; told: the member that the payload is put under. */
void exchange_json_host(struct ctl *c, int answer, const struct receipt *r, const char *told);
/* --json: the summary object, after which nothing may be printed; more is borrowed and has further members. */
void exchange_json_summary(struct ctl *c, int answer, const struct receipt *r, int code, json_t *more);
/* One JSON value on a line of its own, escaped so that it can do nothing to a terminal. */
void exchange_json_line(struct ctl *c, const json_t *o);
/* --to resolved to one known host; for `local` with several known hosts the agent is asked who it is. Returns 0 or an exit code. */
int exchange_host(struct ctl *c, const struct hosts *known, const struct host **ret) _warn_unused_;
