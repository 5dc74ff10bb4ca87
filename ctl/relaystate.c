/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/file.h"
#include "ctl/member.h"
#include "ctl/relaystate.h"
#include "ctl/text.h"
#include "policy/schema.h"

#define FILE_MAX   (64U * 1024)
#define LISTED_MAX 10U

/* Whoever runs the relay has made the file: nothing but a plain file of a sane size is looked at. */
static json_t *load(const char *file) {
        _cleanup_free_ char *text = NULL;
        enum reason reason;
        json_t *o = NULL;
        size_t n;

        if (file_read_plain(file, FILE_MAX, &text, &n) < 0 || schema_json(text, n, &o, &reason) < 0 ||
            reason != REASON_NONE)
                return NULL;
        return o;
}

static void render(const struct page *p, const json_t *o) {
        const char *subject = CLEAN(member_str(o, "subject")), *why = CLEAN(member_str(o, "why")),
                   *server = CLEAN(member_str(o, "server"));
        const json_t *n = json_object_get(o, "counters"), *id;
        size_t i;

        render_row(p, "relay", "%s%s%s since %s%s%s%s%s (unsigned: what the relay says)", CLEAN(member_str(o, "state")),
                   *subject ? " " : "", subject, TIME(member_int(o, "since_ms", 0)), *server ? ", " : "", server,
                   *why ? ": " : "", why);
        render_row(p, "",
                   "%" PRId64 " envelopes, %" PRId64 " caught up, %" PRId64 " answers, %" PRId64 " refused, %" PRId64
                   " garbage, %" PRId64 " dropped",
                   member_int(n, "envelopes", 0), member_int(n, "caught_up", 0), member_int(n, "answers", 0),
                   member_int(n, "refused", 0), member_int(n, "garbage", 0), member_int(n, "dropped", 0));
        json_array_foreach(json_object_get(o, "withheld"), i, id) if (i < LISTED_MAX)
                render_row(p, i == 0 ? "withheld" : NULL, "%s", CLEAN(json_string_value(id)));
        if (i > LISTED_MAX)
                render_row(p, NULL, "and %zu more", i - LISTED_MAX);
}

void relaystate_show(struct ctl *c, const struct page *p, const char *file) {
        _cleanup_json_ json_t *o = load(file), *line = NULL;

        if (!json_is_object(o))
                return;
        if (!c->opt.json) {
                render(p, o);
                return;
        }
        line = json_pack("{sO sb}", "relay", o, "signed", 0);
        if (line)
                exchange_json_line(c, line);
}
