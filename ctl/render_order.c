/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include <sodium.h>

#include "ctl/render.h"
#include "ctl/text.h"

static const char *const severity_words[_SEVERITY_MAX] = {
#define X(name, id, word) [SEVERITY_##name] = word,
        SEVERITY_TABLE(X)
#undef X
};

static void render_when(const struct page *p, const char *label, int64_t end_ms, int64_t now_ms) {
        if (end_ms <= now_ms)
                render_row(p, label, "%s: EXPIRED %s ago", TIME(end_ms), SPAN(now_ms - end_ms));
        else
                render_row(p, label, "%s (%s left)", TIME(end_ms), SPAN(end_ms - now_ms));
}

static void render_hosts(const struct page *p, const struct command *c, const struct hosts *h) {
        if (c->to == COMMAND_TO_GROUP)
                render_row(p, "hosts", "group %s, at most %" PRIu32, c->group, c->max_hosts);
        if (c->to == COMMAND_TO_ALL)
                render_row(p, "hosts", "ALL of the fleet, at most %" PRIu32, c->max_hosts);
        if (c->part.is_set)
                render_row(p, NULL, "of these the places from %.2f to %.2f of a hundred: one wave of several",
                           (double) c->part.from * 100 / (double) PLACE_END,
                           (double) c->part.below * 100 / (double) PLACE_END);
        for (size_t i = 0; c->to == COMMAND_TO_HOSTS && i < c->n_hosts; i++) {
                const struct host *known = h ? hosts_by_id(h, c->hosts[i]) : NULL;
                char id[SSHKEY_ID_SIZE];
                sshkey_id_to_str(c->hosts[i], id);
                render_row(p, i == 0 ? "hosts" : NULL, "%s (%s)", known ? known->name : "a host that is not known here",
                           id);
        }
}

static void render_permits(const struct page *p, const struct command *c) {
        for (size_t i = 0; i < c->n_permits; i++) {
                const struct permit *permit = &c->permits[i];
                char net[PERMIT_STR_SIZE], port[24] = "";
                permit_net_to_str(permit, net, sizeof(net));
                if (permit->port != 0)
                        (void) snprintf(port, sizeof(port), " port %u", permit->port);
                render_row(p, i == 0 ? "reachable" : NULL, "%s%s%s", net, port,
                           permit->proto == IPPROTO_TCP   ? " tcp"
                           : permit->proto == IPPROTO_UDP ? " udp"
                                                          : "");
        }
}

static void render_digest(const struct page *p, const struct dsse *d) {
        uint8_t digest[32];
        char hex[TEXT_HEX32_SIZE];

        (void) crypto_hash_sha256(digest, d->payload, d->n_payload);
        render_row(p, "SHA-256", "%s", text_hex32(digest, hex));
}

static void render_doing(const struct page *p, const struct command *c) {
        const struct verb_info *v = verb_info(c->verb);

        render_verdict(p, TONE_PLAIN, "ORDER", "%s%s: %s%s", c->plan ? "plan " : "", v->id, v->text,
                       c->plan ? " (changes nothing)" : "");
        for (size_t i = 0; i < c->n_targets; i++) {
                char target[TARGET_STR_SIZE];
                target_to_str(&c->targets[i], target, sizeof(target));
                render_row(p, i == 0 ? "targets" : NULL, "%s", CLEAN(target));
        }
        if (c->step)
                render_row(p, "step", "thaws only: what is isolated stays isolated until another release");
}

static void render_terms(const struct page *p, const struct command *c, int64_t now_ms) {
        const struct verb_info *v = verb_info(c->verb);

        render_row(p, "fleet", "%s%s", CLEAN(c->fleet), c->drill ? " (a drill)" : "");
        render_row(p, "incident", "%s (%s)%s%s", severity_id(c->severity), severity_words[c->severity],
                   *c->incident ? " " : "", CLEAN(c->incident));
        render_row(p, "reason", "%s", CLEAN(c->reason));
        if (v->cls == VERB_CLASS_STOP || v->cls == VERB_CLASS_EXTEND)
                render_row(p, "lease", "%s", c->lease_ms > 0 ? SPAN(c->lease_ms) : "none: until it is released");
        if (v->snapshots)
                render_row(p, "evidence", "%s: %s", profile_info(c->profile)->id, profile_info(c->profile)->text);
        render_permits(p, c);
        render_when(p, "valid until", c->exp_ms, now_ms);
}

void render_effect(const struct page *p, const struct command *c, int64_t now_ms) {
        render_doing(p, c);
        render_terms(p, c, now_ms);
}

static void render_command(const struct page *p, const struct command *c, const struct hosts *h, int64_t now_ms) {
        char id[33];

        command_id_to_str(&c->id, id);
        render_doing(p, c);
        render_hosts(p, c, h);
        render_terms(p, c, now_ms);
        render_row(p, "id", "%s", id);
}

static bool is_named(const struct trust *t, const uint8_t id[static 32]) {
        for (size_t i = 0; t && i < t->n_keys; i++)
                if (memcmp(t->keys[i].key.id, id, 32) == 0)
                        return true;
        return false;
}

/* The people of one trust root whose signatures are good. Returns the label of the next row. */
static const char *render_signed_people(const struct page *p, const char *label, const struct trust *t,
                                        const struct tally *tally, const struct trust *but) {
        for (size_t i = 0; i < t->n_people; i++) {
                bool said = false;
                for (size_t j = 0; but && j < but->n_people; j++)
                        said |= strcmp(but->people[j], t->people[i]) == 0;
                if (said || !(tally->people & UINT64_C(1) << i))
                        continue;
                render_row(p, label, "%s", t->people[i]);
                label = NULL;
        }
        return label;
}

void render_signatures(const struct page *p, const struct dsse *d, const struct signatures *s) {
        const char *label = "signed by";

        if (s->now.reason == REASON_SIGNATURE || s->then.reason == REASON_SIGNATURE) {
                render_row(p, label, "A SIGNATURE DOES NOT MATCH: this was changed after somebody signed it");
                return;
        }
        if (s->by)
                label = render_signed_people(p, label, s->by, &s->now, NULL);
        if (s->before)
                label = render_signed_people(p, label, s->before, &s->then, s->by);
        for (size_t i = 0; i < d->n_sigs; i++) {
                char id[SSHKEY_ID_SIZE];
                if (is_named(s->by, d->sigs[i].keyid) || is_named(s->before, d->sigs[i].keyid))
                        continue;
                sshkey_id_to_str(d->sigs[i].keyid, id);
                render_row(p, label, "%s, %s", id,
                           s->by ? "whom the trust root does not name" : "not checked: no trust root here");
                label = NULL;
        }
        if (label)
                render_row(p, label, "nobody");
        if (s->by && s->now.need > 0)
                render_row(p, "signatures", "%u of %u people of the role %s%s", MIN(s->now.have, s->now.need),
                           s->now.need, s->now.role, s->now.have >= s->now.need ? ": enough" : "");
        else if (s->by && s->now.people != 0)
                render_row(p, "signatures", "no rule of the trust root lets these people order this");
        if (s->by && s->now.people != 0 && s->now.key < 0)
                render_row(p, NULL, "its id is of no key that signed it, so hosts refuse it (foreign-id)");
        if (s->before)
                render_row(p, NULL, "%u of %u people of the role %s of version %" PRId64, s->then.have, s->then.need,
                           s->then.role, s->before->version);
}

void render_order(const struct page *p, const struct signed_file *f, const struct trust *t, const struct hosts *h,
                  int64_t now_ms) {
        struct signatures s;

        if (f->command)
                render_command(p, f->command, h, now_ms);
        else if (f->trust)
                render_trust(p, f->trust, now_ms);
        else if (f->attributes)
                render_attributes(p, f->attributes);
        else if (f->head)
                render_head(p, f->head);
        else
                render_verdict(p, TONE_BAD, "UNREADABLE", "payload (%s): %s", reason_id(f->reason),
                               reason_text(f->reason));
        render_digest(p, &f->env);
        if (signed_file_count(f, t, &s) >= 0)
                render_signatures(p, &f->env, &s);
}
