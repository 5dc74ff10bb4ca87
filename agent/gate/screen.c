/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/screen.h"

#include <string.h>

static bool is_named(const struct dsse_sig *s) {
        static const uint8_t none[sizeof(s->keyid)];

        return memcmp(s->keyid, none, sizeof(none)) != 0;
}

static bool is_known(const struct dsse_sig *s, const struct sshkey *keys, size_t n_keys) {
        for (size_t i = 0; i < n_keys; i++)
                if (memcmp(s->keyid, keys[i].id, sizeof(s->keyid)) == 0)
                        return true;
        return false;
}

/* Splits the signatures: named and known ones stay in d, those without a name go to ret, the rest goes nowhere. */
static size_t sort_signatures(struct dsse *d, const struct sshkey *keys, size_t n_keys,
                              struct dsse_sig ret[static DSSE_SIGS_MAX]) {
        /* Of a trust root those who are new in it sign as well: whom it names the core finds in it. */
        const bool may_be_new = d->type == DSSE_TRUST;
        size_t n_known = 0, n_nameless = 0;

        for (size_t i = 0; i < d->n_sigs; i++) {
                struct dsse_sig s = d->sigs[i];

                if (!is_named(&s))
                        ret[n_nameless++] = s;
                else if (may_be_new || is_known(&s, keys, n_keys))
                        d->sigs[n_known++] = s;
        }
        d->n_sigs = n_known;
        return n_nameless;
}

/* Tries one nameless signature against as many keys as are left to try; adds it to d under its key's id when one of
 * them made it. */
static int resolve(struct dsse *d, const struct dsse_sig *s, const struct sshkey *keys, size_t n_keys,
                   size_t *tries_left) {
        struct dsse one = {
                .type = d->type, .payload = d->payload, .n_payload = d->n_payload, .sigs = { *s }, .n_sigs = 1
        };
        size_t n = MIN(n_keys, *tries_left), found;
        enum reason reason;
        uint64_t mask;
        int r;

        r = dsse_verify(&one, keys, n, &mask, &reason);
        if (r < 0)
                return r;
        if (reason != REASON_NONE) {
                *tries_left -= n;
                return 0;
        }
        found = (size_t) __builtin_ctzll(mask);
        *tries_left -= found + 1;
        return dsse_add(d, keys[found].id, s->sig);
}

int screen_envelope(struct dsse *d, const struct sshkey *keys, size_t n_keys, unsigned int *ret_verified,
                    enum reason *ret_reason) {
        size_t n_nameless, n_named, tries_left = SCREEN_TRIES_MAX;
        struct dsse_sig nameless[DSSE_SIGS_MAX];
        enum reason reason = n_keys == 0 ? REASON_NO_TRUST : REASON_NONE;
        uint64_t mask;
        int r;

        n_nameless = sort_signatures(d, keys, n_keys, nameless);
        n_named = d->n_sigs;
        if (n_named > 0) {
                r = dsse_verify(d, keys, n_keys, &mask, &reason);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < n_nameless && reason == REASON_NONE && tries_left > 0; i++) {
                r = resolve(d, &nameless[i], keys, n_keys, &tries_left);
                if (r < 0)
                        return r;
        }
        *ret_verified = (unsigned int) (n_named + SCREEN_TRIES_MAX - tries_left);
        *ret_reason = reason == REASON_NONE && d->n_sigs == 0 ? REASON_UNTRUSTED : reason;
        return 0;
}
