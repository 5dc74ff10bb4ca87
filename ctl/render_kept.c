/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>

#include "ctl/member.h"
#include "ctl/render_bag.h"
#include "ctl/text.h"

static void render_people(const struct page *p, const json_t *order) {
        const json_t *one;
        size_t i;

        json_array_foreach(json_object_get(order, "people"), i, one) if (json_is_string(one))
                render_row(p, NULL, "%s (%s)", CLEAN(json_string_value(one)), CLEAN(member_str(order, "role")));
}

static void render_tombstone(const struct page *p, const json_t *t) {
        const json_t *order = json_object_get(t, "order");

        render_row(p, "deleted", "%s: %" PRId64 " files, %" PRId64 " bytes; %s", TIME(member_int(t, "wall_ms", 0)),
                   member_int(t, "files", 0), member_int(t, "bytes", 0),
                   json_is_object(order) ? "it was ordered" : "the time for which it is kept was over");
        if (!json_is_object(order))
                return;
        render_row(p, NULL, "%s", CLEAN(member_str(order, "reason")));
        render_people(p, order);
}

void render_kept(const struct page *p, const struct bag *b) {
        const int64_t keep = member_int(b->keeping, "keep_ms", 0);
        const json_t *h;
        size_t i;

        if (b->tombstone)
                render_tombstone(p, b->tombstone);
        json_array_foreach(json_object_get(b->keeping, "legal_holds"), i, h) {
                render_row(p, i == 0 ? "legal holds" : NULL, "%s  %s", CLEAN(member_str(h, "id")),
                           CLEAN(member_str(h, "reason")));
                render_people(p, h);
        }
        if (keep > 0)
                render_row(p, "kept for", "%s from when it was sealed, by the ledger's clock", SPAN(keep));
}
