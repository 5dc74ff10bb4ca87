/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One question to the agent and its answer, and how both kinds of output tell it: a page for people, or an object for
 * each host and a summary.
 *
 * There are five classes of hosts, which are never merged: verified (signed, final), accepted (signed, but more was to
 * come), refused, unverified (somebody answered, but not provably the host), and silent. */

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

/* Asks and waits for the final answer. What is not yet final is told on standard error while waiting.
 * 0: *ret is an answer of any kind, owned by the caller. CTL_PARTIAL: only a preliminary one came, which is in *ret.
 * CTL_SILENT: none came. CTL_MACHINE: the question could not be asked. c->why says it. *ret has to be RECEIPT_NULL
 * before. */
int exchange_run(struct ctl *c, struct exchange *x, struct receipt *ret) _warn_unused_;
/* The report of that name ("status", "health"), of one hold when its id is given. The same answers. */
int exchange_query(struct ctl *c, const char *report, const char *hold, const struct hosts *known,
                   struct receipt *ret) _warn_unused_;

/* Where a page goes. */
struct page exchange_page(const struct ctl *c);
/* --json: the host's line. answer: what exchange_run returned; told: the member that the payload is put under. */
void exchange_json_host(struct ctl *c, int answer, const struct receipt *r, const char *told);
/* --json: the summary object, after which nothing may be printed; more is borrowed and has further members. */
void exchange_json_summary(struct ctl *c, int answer, const struct receipt *r, int code, json_t *more);
/* One JSON value on a line of its own, escaped so that it can do nothing to a terminal. */
void exchange_json_line(struct ctl *c, const json_t *o);
/* --to resolved to one known host; for `local` with several known hosts the agent is asked who it is. Returns 0 or an
 * exit code. */
int exchange_host(struct ctl *c, const struct hosts *known, const struct host **ret) _warn_unused_;
