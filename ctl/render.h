/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a tired person reads at 03:12: the verdict in capitals on the first line, then what was proven and how, then
 * what is missing and what to do about it, and the exact command that comes next. Everything that was not made here
 * goes through text_clean. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/receipt.h"
#include "ctl/trustfile.h"

struct page {
        FILE *f;
        bool colour;
};

enum tone {
        TONE_GOOD,
        TONE_DOUBT,
        TONE_BAD,
        TONE_PLAIN,
};

/* The first line: the capitals in the tone's colour, then the rest. */
void render_verdict(const struct page *p, enum tone tone, const char *capitals, const char *fmt, ...) _printf_(4, 5);
/* "  label         text"; a NULL label continues the row above. */
void render_row(const struct page *p, const char *label, const char *fmt, ...) _printf_(3, 4);
/* A reason with its sentence and what to do next. */
void render_reason(const struct page *p, enum reason r);
/* The array's reasons, each kind below its own heading, and those that this version does not know. */
void render_reasons(const struct page *p, const json_t *payload, const char *array);
/* What to do about a reason; NULL when there is nothing to say. */
const char *render_advice(enum reason r);
/* The tone of an exit code. */
enum tone render_tone(int code);

/* One line, "CONTAINED beacon.service on web1 (14.2 ms)"; payload is a receipt's. */
void render_headline(const struct page *p, const struct receipt *r);
/* An answer to an order, whatever it is worth. */
void render_receipt(const struct page *p, const struct receipt *r);
/* A receipt's payload that may be believed; code: what its verdict is coloured by. */
void render_told(const struct page *p, const json_t *told, const char *host, int code);
/* One of a receipt's or a hold's targets. */
void render_target(const struct page *p, const json_t *target, const char *verb);
/* What somebody undid of a hold, or of all, and the agent put back: how often, and after how long. Nothing when that is
 * nothing. */
void render_repaired(const struct page *p, const json_t *repaired);
/* What waits for the frozen of a target to be thawed. Nothing when nothing does. */
void render_awaiting(const struct page *p, const json_t *target);
/* What became of the targets of a hold when they were thawed. */
void render_thawed(const struct page *p, const json_t *thawed);
/* What the processes of a hold tried while they were held. */
void render_tried(const struct page *p, const json_t *tried);
/* Names of the targets, "beacon.service, +2 more". */
void render_target_names(const json_t *targets, char *ret, size_t n);

/* An answer to a query; filter: show only the holds of that id or target, NULL all. */
void render_status(const struct page *p, const struct receipt *r, const char *filter);
/* How many of a status report's holds that shows. */
size_t render_matching(const json_t *report, const char *filter);
/* code: what freezectl will exit with. */
void render_health(const struct page *p, const struct receipt *r, int code);

/* What a file orders, in plain words. trust and hosts may be NULL: then fingerprints stand for names. */
void render_order(const struct page *p, const struct signed_file *f, const struct trust *t, const struct hosts *h,
                  int64_t now_ms);
/* The same of an order, but for whom, and under which id. */
void render_effect(const struct page *p, const struct command *c, int64_t now_ms);
void render_trust(const struct page *p, const struct trust *t, int64_t now_ms);
/* When a trust root was made, and that it is ahead of this machine's clock by more than hosts let pass. */
void render_trust_made(const struct page *p, const struct trust *t, int64_t now_ms);
void render_attributes(const struct page *p, const struct attributes *a);
void render_head(const struct page *p, const struct herald_head *h);
/* What a host says that it is certified as, and whether it hears its fleet: members of a report. */
void render_certified(const struct page *p, const json_t *attributes);
void render_heard(const struct page *p, const json_t *head);
/* Who signed it, and how many of whom it takes. */
void render_signatures(const struct page *p, const struct dsse *d, const struct signatures *s);
