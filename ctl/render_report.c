/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

#define NAMES_SIZE 1024U

static bool hold_matches(const json_t *hold, const char *filter) {
        size_t i;
        json_t *t;

        if (!filter || strcmp(member_str(hold, "id"), filter) == 0)
                return true;
        /* FAIL-CLOSED: of a hold whose targets had no room in the answer, it may be any */
        if (json_object_get(hold, "targets_total"))
                return true;
        json_array_foreach(json_object_get(hold, "targets"), i,
                           t) if (strcmp(member_str(t, "target"), filter) == 0) return true;
        return false;
}

static void render_hold(const struct page *p, const json_t *hold) {
        enum receipt_state s = receipt_state(hold);
        int64_t held = member_int(hold, "held_ms", -1), left = member_int(hold, "lease_left_ms", 0);
        const char *id = CLEAN(member_str(hold, "id")), *recorded = member_str(hold, "recorded");
        char names[NAMES_SIZE];
        size_t i;
        json_t *t;

        render_target_names(json_object_get(hold, "targets"), names, sizeof(names));
        render_verdict(p,
                       s == RECEIPT_STATE_CONTAINED ? TONE_GOOD
                       : s == RECEIPT_STATE_PARTIAL ? TONE_DOUBT
                                                    : TONE_BAD,
                       receipt_verdict(s), "%s (%s)%s%s", names, CLEAN(member_str(hold, "verb")),
                       held >= 0 ? " for " : "", held >= 0 ? SPAN(held) : "");
        render_row(p, "hold", "%s", id);
        render_row(p, "incident", "%s %s", CLEAN(member_str(hold, "severity")), CLEAN(member_str(hold, "incident")));
        if (left > 0 && left <= TEXT_SPAN_MAX_MS)
                render_row(p, "lease", "ends by itself in %s", SPAN(left));
        if (strcmp(recorded, "unknown") == 0)
                render_row(p, "recorded", "nowhere: the ledger does not know who ordered it");
        else if (*recorded && strcmp(recorded, member_str(hold, "state")) != 0)
                render_row(p, "recorded", "%s, which the kernel does not bear out now", CLEAN(recorded));
        json_array_foreach(json_object_get(hold, "targets"), i, t) if (json_is_object(t))
                render_target(p, t, member_str(hold, "verb"));
        render_tried(p, json_object_get(hold, "tried"));
        render_repaired(p, json_object_get(hold, "repaired"));
        render_reasons(p, hold, "reasons");
        fprintf(p->f, "Let it go again:  freezectl release %s\n", id);
}

size_t render_matching(const json_t *report, const char *filter) {
        size_t i, n = 0;
        json_t *h;

        json_array_foreach(json_object_get(report, "holds"), i, h) n += hold_matches(h, filter);
        return n;
}

static void show_status(const struct page *p, const struct receipt *r, const char *filter) {
        json_t *holds = json_object_get(r->payload, "holds"), *h;
        size_t i, n = render_matching(r->payload, filter);

        if (member_int(r->payload, "omitted", 0) > 0) { /* FAIL-CLOSED: it may be among them */
                render_verdict(p, TONE_DOUBT, "NOT WHOLE",
                               "%" PRId64 " more holds had no room in the answer: ask for one, or see the receipts",
                               member_int(r->payload, "omitted", 0));
        } else if (n == 0) {
                render_verdict(p, TONE_PLAIN, "NOTHING HELD", "on %s%s%s", r->host->name, filter ? " that is " : "",
                               CLEAN(filter));
                if (json_is_object(json_object_get(r->payload, "ended"))) {
                        fprintf(p->f, "It was, and is over. The last receipt that has its id:\n");
                        render_told(p, json_object_get(r->payload, "ended"), r->host->name, CTL_OK);
                }
                return;
        }
        render_verdict(p, TONE_PLAIN, "HELD", "%zu on %s, as the kernel says now", n, r->host->name);
        json_array_foreach(holds, i, h) {
                if (!hold_matches(h, filter))
                        continue;
                fputc('\n', p->f);
                render_hold(p, h);
        }
}

/* That nothing is held means less where orders may not arrive. */
void render_status(const struct page *p, const struct receipt *r, const char *filter) {
        const json_t *head = json_object_get(r->payload, "head");

        show_status(p, r, filter);
        if (strcmp(member_str(head, "state"), "stale") == 0 || json_array_size(json_object_get(head, "withheld")) > 0)
                render_heard(p, head);
}

static void render_layers(const struct page *p, const json_t *layers) {
        size_t i;
        json_t *l;

        json_array_foreach(layers, i, l) {
                const char *why = member_str(l, "why");
                render_row(p, i == 0 ? "layers" : NULL, "%-3s %s%s%s", CLEAN(member_str(l, "state")),
                           CLEAN(member_str(l, "id")), *why ? ": " : "", CLEAN(why));
        }
}

static void render_counters(const struct page *p, json_t *counters) {
        const char *name, *label = "counters";
        json_t *v;

        json_object_foreach(counters, name, v) {
                render_row(p, label, "%s %" PRId64, CLEAN(name), (int64_t) json_integer_value(v));
                label = NULL;
        }
}

static void render_watch(const struct page *p, const json_t *w) {
        if (!json_is_object(w))
                return;
        render_row(p, "watch", "%" PRId64 " events told by the %s, %" PRId64 " looks", member_int(w, "events", 0),
                   CLEAN(member_str(w, "source")), member_int(w, "checks", 0));
        render_repaired(p, w);
}

static void render_agent(const struct page *p, const json_t *a) {
        if (!json_is_object(a))
                return;
        render_row(p, "agent", "version %s, pid %" PRId64 ", up %s, %" PRId64 " KiB", CLEAN(member_str(a, "version")),
                   member_int(a, "pid", 0), SPAN(member_int(a, "uptime_ms", 0)), member_int(a, "rss_kb", 0));
}

/* Absent where the host is older, or has no trust root to name any. */
static void render_recipients(const struct page *p, const json_t *recipients) {
        const json_t *r;
        size_t i;

        if (!json_is_array(recipients))
                return;
        if (json_array_size(recipients) == 0)
                render_row(p, "evidence", "NOT taken: the trust root names nobody to whom it could be sealed");
        json_array_foreach(recipients, i, r)
                render_row(p, i == 0 ? "evidence" : NULL, "sealed to %s", CLEAN(json_string_value(r)));
}

static void render_evidence_kept(const struct page *p, const json_t *e) {
        if (!json_is_object(e))
                return;
        if (json_is_null(json_object_get(e, "kept"))) {
                render_row(p, "kept", "not known: the ledger that tells of it is another core's");
                return;
        }
        render_row(p, "kept",
                   "%" PRId64 " of evidence, %" PRId64 " bytes; %" PRId64 " under legal hold, %" PRId64
                   " being deleted%s",
                   member_int(e, "kept", 0), member_int(e, "bytes", 0), member_int(e, "under_legal_hold", 0),
                   member_int(e, "deleting", 0),
                   member_is_false(e, "reserved") ? "; NOTHING is set aside for a full disk" : "");
}

static void render_trust_state(const struct page *p, const json_t *t) {
        int64_t expires = member_int(t, "expires_ms", 0);

        if (!json_is_object(t))
                return;
        render_row(p, "trust root", "%s: fleet %s, version %" PRId64 "%s%s", CLEAN(member_str(t, "state")),
                   CLEAN(member_str(t, "fleet")), member_int(t, "version", 0), expires > 0 ? ", expires " : "",
                   expires > 0 ? TIME(expires) : "");
        render_recipients(p, json_object_get(t, "recipients"));
}

void render_health(const struct page *p, const struct receipt *r, int code) {
        const json_t *h = r->payload, *ledger = json_object_get(h, "ledger"), *clock = json_object_get(h, "clock");
        const json_t *holds = json_object_get(h, "holds");
        char id[SSHKEY_ID_SIZE];

        sshkey_id_to_str(r->host->key.id, id);
        render_verdict(p, render_tone(code), code == CTL_OK ? "HEALTHY" : "NOT HEALTHY", "%s (%s)", r->host->name, id);
        render_agent(p, json_object_get(h, "agent"));
        render_trust_state(p, json_object_get(h, "trust"));
        if (json_is_object(json_object_get(h, "policy")))
                render_row(p, "policy", "%s", CLEAN(member_str(json_object_get(h, "policy"), "state")));
        if (json_is_object(ledger))
                render_row(p, "ledger", "%s, %" PRId64 " records in %" PRId64 " epochs, %" PRId64 " bytes of room",
                           member_is_true(ledger, "ok") ? "ok" : "FAILED", member_int(ledger, "n", 0),
                           member_int(ledger, "epoch", 0), member_int(ledger, "room", 0));
        if (json_is_object(clock))
                render_row(p, "clock", "%s, not before %s",
                           member_is_true(clock, "synced") ? "synchronised" : "NOT synchronised",
                           TIME(member_int(clock, "floor_ms", 0)));
        if (json_is_object(holds))
                render_row(p, "holds", "%" PRId64 " active, %" PRId64 " of them partial",
                           member_int(holds, "active", 0), member_int(holds, "partial", 0));
        render_certified(p, json_object_get(h, "attributes"));
        render_heard(p, json_object_get(h, "head"));
        render_watch(p, json_object_get(h, "watch"));
        if (json_array_size(json_object_get(holds, "orphans")) > 0)
                render_row(p, "ORPHANS", "%zu holds are in force that the ledger does not know",
                           json_array_size(json_object_get(holds, "orphans")));
        if (member_int(json_object_get(h, "systemd"), "version", 0) > 0)
                render_row(p, "systemd", "%" PRId64, member_int(json_object_get(h, "systemd"), "version", 0));
        render_evidence_kept(p, json_object_get(h, "evidence"));
        render_layers(p, json_object_get(h, "layers"));
        render_counters(p, json_object_get(h, "counters"));
}
