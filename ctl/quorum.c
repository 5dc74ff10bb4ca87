/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/quorum.h"

void quorum_done(struct quorum *q) {
        signed_file_done(&q->file);
        *q = QUORUM_NULL;
}

/* One by one: dsse_verify lets a false signature by a known key spoil the others, which is right where it comes from a
 * person and wrong where anybody may add one. */
static int strip(const struct trust *t, struct dsse *d, size_t *ret_dropped) {
        struct sshkey keys[TRUST_KEYS_MAX];
        struct dsse kept = { .type = d->type, .payload = d->payload, .n_payload = d->n_payload };
        int r = 0;

        trust_keys(t, keys);
        for (size_t i = 0; r == 0 && i < d->n_sigs; i++) {
                const struct dsse one = { .type = d->type,
                                          .payload = d->payload,
                                          .n_payload = d->n_payload,
                                          .sigs = { d->sigs[i] },
                                          .n_sigs = 1 };
                for (size_t k = 0; r == 0 && k < t->n_keys; k++) {
                        enum reason reason;
                        uint64_t by;
                        if (memcmp(keys[k].id, d->sigs[i].keyid, sizeof(keys[k].id)) != 0)
                                continue;
                        r = dsse_verify(&one, &keys[k], 1, &by, &reason);
                        if (r == 0 && reason == REASON_NONE)
                                r = dsse_add(&kept, d->sigs[i].keyid, d->sigs[i].sig);
                }
        }
        *ret_dropped = d->n_sigs - kept.n_sigs;
        memcpy(d->sigs, kept.sigs, sizeof(d->sigs));
        d->n_sigs = kept.n_sigs;
        return r;
}

static enum reason judge(const struct quorum *q, const struct trust *t, const struct command_id *id, int64_t now_ms) {
        const struct command *c = q->file.command;

        if (id && !command_id_equal(&c->id, id))
                return REASON_ID_REUSED;
        if (strcmp(c->fleet, t->fleet) != 0)
                return REASON_FLEET;
        if (c->exp_ms <= now_ms)
                return REASON_EXPIRED;
        return q->s.now.need == 0 || q->s.now.have == 0 ? REASON_ROLE : REASON_NONE;
}

int quorum_read(const struct trust *t, const struct command_id *id, const char *text, size_t n, int64_t now_ms,
                struct quorum *ret, enum reason *ret_reason) {
        _cleanup_(quorum_done) struct quorum q = QUORUM_NULL;
        struct dsse *d = &q.file.env;
        int r = dsse_parse(text, n, d, ret_reason);

        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        if (d->type != DSSE_COMMAND)
                *ret_reason = REASON_TYPE;
        else
                r = strip(t, d, &q.dropped);
        if (r == 0 && *ret_reason == REASON_NONE && d->n_sigs == 0)
                *ret_reason = REASON_UNTRUSTED;
        if (r == 0 && *ret_reason == REASON_NONE)
                r = command_parse(d->payload, d->n_payload, &q.file.command, ret_reason);
        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        r = signed_file_count(&q.file, t, &q.s);
        if (r < 0)
                return r;
        *ret_reason = judge(&q, t, id, now_ms);
        if (*ret_reason == REASON_NONE) {
                *ret = q;
                q = QUORUM_NULL;
        }
        return 0;
}

int quorum_merge(struct quorum *q, const struct trust *t, const struct quorum *other, bool *ret_more) {
        const struct dsse *o = &other->file.env;
        struct dsse *d = &q->file.env;
        const size_t before = d->n_sigs;
        int r = 0;

        *ret_more = false;
        if (o->n_payload != d->n_payload || memcmp(o->payload, d->payload, d->n_payload) != 0)
                return 0;
        for (size_t i = 0; r == 0 && i < o->n_sigs; i++)
                r = dsse_add(d, o->sigs[i].keyid, o->sigs[i].sig);
        *ret_more = d->n_sigs > before;
        /* more people than fit: those that are on it are enough, or none is */
        if (r == -ENOSPC)
                r = 0;
        return r < 0 ? r : signed_file_count(&q->file, t, &q->s);
}

uint64_t quorum_may_sign(const struct quorum *q, const struct trust *t) {
        return q->s.now.role ? trust_role_people(t, q->s.now.role) & ~q->s.now.people : 0;
}

unsigned quorum_missing(const struct quorum *q) {
        return q->s.now.need > q->s.now.have ? q->s.now.need - q->s.now.have : 0;
}
