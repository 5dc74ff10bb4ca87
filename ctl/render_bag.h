/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Evidence for people: what a folder is, what is proven of it, and what came out of it. */

#include "ctl/bag.h"
#include "ctl/chain.h"
#include "ctl/opened.h"
#include "ctl/render.h"

/* One line of a list; against: what the ledger has against it, a finding's bit or 0. */
void render_bag_line(const struct page *p, const char *path, const struct bag *b, uint32_t against);
/* The same of one that the ledger tells of, and that is not there. */
void render_gone_line(const struct page *p, const char *path, const struct chain_folder *f);
/* What the host says of it; nothing when that is traced to nobody. */
void render_bag(const struct page *p, const char *path, const struct bag *b);
/* That it was deleted, its legal holds and how long it is kept; rows only where there is something to tell. */
void render_kept(const struct page *p, const struct bag *b);
/* What is not as it should be; no rows when all is. */
void render_bag_findings(const struct page *p, const struct bag *b);
/* The verdict first, then each finding. */
void render_bag_verdict(const struct page *p, const char *path, const struct bag *b);
/* The holes, and whatever keeps it from being all of it. */
void render_opened_findings(const struct page *p, const struct opened *o);
void render_opened(const struct page *p, const char *out, const struct opened *o, int code);

/* The same for scripts. New references, NULL when out of memory. */
json_t *bag_to_json(const char *path, const struct bag *b);
json_t *gone_to_json(const char *path, const struct chain_folder *f);
json_t *opened_to_json(const struct opened *o);
