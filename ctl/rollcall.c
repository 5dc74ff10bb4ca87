/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/member.h"
#include "ctl/rollcall.h"

const char *rollcall_class_str(enum rollcall_class c) {
        static const char *const names[_ROLLCALL_CLASS_MAX] = {
#define X(name, str) [ROLLCALL_##name] = str,
                ROLLCALL_CLASS_TABLE(X)
#undef X
        };

        return names[c];
}

static int compare_entries(const void *x, const void *y) {
        const struct rollcall_entry *a = x, *b = y;

        return memcmp(a->host->key.id, b->host->key.id, sizeof(a->host->key.id));
}

static int compare_id(const void *id, const void *entry) {
        const struct rollcall_entry *e = entry;

        return memcmp(id, e->host->key.id, sizeof(e->host->key.id));
}

int rollcall_init(struct rollcall *ret, const struct inventory_host *const *hosts, size_t n, const char *id,
                  const uint8_t *digest) {
        struct rollcall r = { .v = calloc(MAX(n, (size_t) 1), sizeof(*r.v)), .n = n, .counts[ROLLCALL_SILENT] = n };

        if (!r.v)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                r.v[i] = (struct rollcall_entry) { .host = &hosts[i]->host,
                                                   .digest = digest ? NULL : hosts[i]->digest,
                                                   .class = ROLLCALL_SILENT,
                                                   .state = _RECEIPT_STATE_MAX,
                                                   .code = CTL_SILENT,
                                                   .ledger = -1 };
        qsort(r.v, n, sizeof(*r.v), compare_entries);
        (void) snprintf(r.id, sizeof(r.id), "%s", id);
        if (digest)
                memcpy(r.digest, digest, sizeof(r.digest));
        *ret = r;
        return 0;
}

void rollcall_done(struct rollcall *r) {
        for (size_t i = 0; i < r->n; i++)
                free(r->v[i].payload);
        free(r->v);
        *r = ROLLCALL_NULL;
}

static enum reason refusal(const json_t *told) {
        size_t unknown;
        reason_set set = member_reasons(told, "reasons", &unknown);

        for (enum reason r = 0; unknown == 0 && r < _REASON_MAX; r++)
                if (set & reason_bit(r))
                        return r;
        return _REASON_MAX;
}

/* What a believed receipt makes of its host. */
static struct rollcall_entry judge(const struct receipt *r, const struct rollcall_entry *old, int64_t at_ms) {
        const json_t *told = receipt_told(r->payload);
        /* a duplicate without the receipt of the first is of an order that is still being carried out */
        const bool under_way = receipt_state(told) == RECEIPT_STATE_DUPLICATE;
        struct rollcall_entry e = { .host = old->host,
                                    .digest = old->digest,
                                    .class = ROLLCALL_ACCEPTED,
                                    .state = receipt_state(told),
                                    .code = receipt_exit(r),
                                    .final = receipt_is_final(r) && !under_way,
                                    .ledger = member_int(json_object_get(r->payload, "ledger"), "n", -1),
                                    .at_ms = at_ms };

        if (e.state == RECEIPT_STATE_REFUSED) {
                e.class = ROLLCALL_REFUSED;
                e.reason = refusal(told);
        } else if (!e.final)
                e.code = e.code == CTL_OK ? CTL_PARTIAL : e.code;
        else if (e.code == CTL_OK)
                e.class = ROLLCALL_VERIFIED;
        return e;
}

static bool counts_before(const struct rollcall_entry *new, const struct rollcall_entry *old) {
        if (old->class == ROLLCALL_SILENT)
                return true;
        return new->final != old->final ? new->final : new->ledger > old->ledger;
}

/* Keeps the bytes that were signed: as JSON in memory they take seven times as much. */
static void replace(struct rollcall *r, struct rollcall_entry *old, struct rollcall_entry *new, char **payload) {
        new->payload = TAKE_PTR(*payload);
        r->counts[old->class]--;
        r->counts[new->class]++;
        r->finals += (size_t) new->final - (size_t) old->final;
        free(old->payload);
        *old = *new;
}

static void stray(struct rollcall *r, const char *text) {
        r->strays++;
        (void) snprintf(r->stray, sizeof(r->stray), "%s", text);
}

int rollcall_add(struct rollcall *r, const uint8_t from[static 32], const char *msg, size_t n, int64_t at_ms,
                 const struct rollcall_entry **ret_changed) {
        struct rollcall_entry *e = r->n > 0 ? bsearch(from, r->v, r->n, sizeof(*r->v), compare_id) : NULL;
        struct receipt got = RECEIPT_NULL;

        *ret_changed = NULL;
        if (!e) {
                stray(r, "it comes from a host that was not asked");
                return 0;
        }
        struct host one = *e->host;
        const struct hosts known = { &one, 1 };
        const struct receipt_want want = { .type = DSSE_RECEIPT,
                                           .id = r->id,
                                           .digest = e->digest ? e->digest : r->digest,
                                           .hosts = &one.key.id,
                                           .n_hosts = 1 };
        int x = receipt_read(msg, n, &known, &want, &got);
        if (x == 0 && got.kind == RECEIPT_SIGNED) {
                struct rollcall_entry new = judge(&got, e, at_ms);
                if (counts_before(&new, e)) {
                        replace(r, e, &new, &got.signed_text);
                        *ret_changed = e;
                }
        } else if (x == 0)
                stray(r, got.text);
        receipt_done(&got);
        return x;
}

bool rollcall_is_over(const struct rollcall *r) {
        return r->finals == r->n;
}

int rollcall_exit(const struct rollcall *r) {
        for (size_t i = 1; i < r->n; i++)
                if (r->v[i].code != r->v[0].code)
                        return CTL_PARTIAL;
        return r->n > 0 ? r->v[0].code : CTL_SILENT;
}
