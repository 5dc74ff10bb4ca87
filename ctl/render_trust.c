/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/render.h"
#include "ctl/text.h"
#include "policy/decide.h"

#define LIST_SIZE 1024U
#define ROW_WIDTH 64U

/* The names whose bit is set, "a, b". */
static const char *list(uint64_t bits, size_t n, const char *(*name)(const void *of, size_t i), const void *of,
                        char ret[static LIST_SIZE]) {
        size_t used = 0;

        ret[0] = '\0';
        for (size_t i = 0; i < n && used < LIST_SIZE; i++)
                if (bits & UINT64_C(1) << i)
                        used += (size_t) snprintf(ret + used, LIST_SIZE - used, "%s%s", used ? ", " : "", name(of, i));
        return ret;
}

static const char *severity_name(const void *of, size_t i) {
        (void) of;
        return severity_id((enum severity) i);
}

static const char *class_name(const void *of, size_t i) {
        (void) of;
        return target_class_id((enum target_class) i);
}

/* All of the people, in as many rows as they take. */
static void render_names(const struct page *p, const char *label, uint64_t bits, const struct trust *t) {
        char row[ROW_WIDTH + TRUST_NAME_MAX + 3] = "";
        size_t used = 0;

        for (size_t i = 0; i < t->n_people; i++) {
                if (!(bits & UINT64_C(1) << i))
                        continue;
                if (used > 0)
                        used += (size_t) snprintf(row + used, sizeof(row) - used, ",");
                if (used > 0 && used + strlen(t->people[i]) >= ROW_WIDTH) {
                        render_row(p, label, "%s", row);
                        label = NULL;
                        used = 0;
                }
                used += (size_t) snprintf(row + used, sizeof(row) - used, "%s%s", used ? " " : "", t->people[i]);
        }
        render_row(p, label, "%s", used ? row : "nobody");
}

static void render_people(const struct page *p, const struct trust *t) {
        for (size_t i = 0; i < t->n_people; i++) {
                const char *name = t->people[i];
                for (size_t j = 0; j < t->n_keys; j++) {
                        char id[SSHKEY_ID_SIZE];
                        if (t->keys[j].person != i)
                                continue;
                        sshkey_id_to_str(t->keys[j].key.id, id);
                        render_row(p, name, "%s", id);
                        name = NULL;
                }
        }
}

static void render_rule(const struct page *p, const struct trust *t, const struct trust_rule *r) {
        char severities[LIST_SIZE], classes[LIST_SIZE];

        (void) list(r->severities, _SEVERITY_MAX, severity_name, NULL, severities);
        (void) list(r->targets, _TARGET_MAX, class_name, NULL, classes);
        char hosts[32] = "";

        if (r->max_hosts > 0)
                (void) snprintf(hosts, sizeof(hosts), "; at most %" PRIu32 " hosts", r->max_hosts);
        render_row(p, verb_info(r->verb)->id, "%u of %s%s%s; %s; %s%s", r->k, t->roles[r->role].name,
                   r->max_lease_ms > 0 ? ", with a lease of at most " : "",
                   r->max_lease_ms > 0 ? SPAN(r->max_lease_ms) : "", severities, classes, hosts);
}

void render_trust_made(const struct page *p, const struct trust *t, int64_t now_ms) {
        if (t->iat_ms > now_ms + DECIDE_AHEAD_MS)
                render_row(
                        p, "made",
                        "%s: AHEAD of this machine's clock by %s. If the clock that made it is wrong, make it again: "
                        "hosts whose clock is not synchronised release nothing until then",
                        TIME(t->iat_ms), SPAN(t->iat_ms - now_ms));
        else
                render_row(p, "made", "%s%s%s%s", TIME(t->iat_ms), t->iat_ms < now_ms ? " (" : "",
                           t->iat_ms < now_ms ? SPAN(now_ms - t->iat_ms) : "", t->iat_ms < now_ms ? " ago)" : "");
}

void render_trust(const struct page *p, const struct trust *t, int64_t now_ms) {
        render_verdict(p, t->expires_ms > now_ms ? TONE_PLAIN : TONE_BAD, "TRUST ROOT", "of fleet %s, version %" PRId64,
                       t->fleet, t->version);
        render_trust_made(p, t, now_ms);
        if (t->expires_ms > now_ms)
                render_row(p, "valid until", "%s", TIME(t->expires_ms));
        else
                render_row(p, "valid until", "%s: EXPIRED; it can still stop things, but release nothing",
                           TIME(t->expires_ms));
        render_row(p, "changed by", "%u of root", t->root_k);
        fprintf(p->f, "People and their keys\n");
        render_people(p, t);
        fprintf(p->f, "Roles\n");
        for (size_t i = 0; i < t->n_roles; i++)
                render_names(p, t->roles[i].name, t->roles[i].people, t);
        fprintf(p->f, "Who can open evidence\n");
        for (size_t i = 0; i < t->n_recipients; i++) {
                char s[AGE_RECIPIENT_SIZE];

                age_recipient_to_str(&t->recipients[i], s);
                render_row(p, NULL, "%s", s);
        }
        if (t->n_recipients == 0)
                render_row(p, NULL, "nobody: none is taken");
        if (t->n_recipients > 0)
                render_row(p, "kept for", "%s",
                           t->retention_ms > 0 ? SPAN(t->retention_ms) : "ever, until custodians delete it");
        fprintf(p->f, "Who keeps the heads of their ledgers\n");
        for (size_t i = 0; i < t->n_witnesses; i++) {
                char s[NOTE_KEY_SIZE];

                note_key_to_str(&t->witnesses[i], s);
                render_row(p, NULL, "%s", s);
        }
        if (t->n_witnesses == 0)
                render_row(p, NULL, "nobody: a host alone says that its ledger is whole");
        fprintf(p->f, "Who may order what\n");
        for (size_t i = 0; i < t->n_rules; i++)
                render_rule(p, t, &t->rules[i]);
}
