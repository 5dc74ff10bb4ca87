/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/member.h"
#include "ctl/parallel.h"
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

struct rollcall_entry *rollcall_find(const struct rollcall *r, const uint8_t host[static 32]) {
        return r->n > 0 ? bsearch(host, r->v, r->n, sizeof(*r->v), compare_id) : NULL;
}

/* What a believed receipt makes of its host. */
static struct rollcall_entry judge(const struct receipt *r, const struct rollcall_entry *old, int64_t at_ms) {
        const json_t *told = receipt_told(r->payload);
        struct rollcall_entry e = { .host = old->host,
                                    .digest = old->digest,
                                    .class = ROLLCALL_ACCEPTED,
                                    .state = receipt_state(told),
                                    .code = receipt_exit(r),
                                    .final = receipt_is_final(r),
                                    .ledger = member_int(json_object_get(r->payload, "ledger"), "n", -1),
                                    .at_ms = at_ms };

        if (e.state == RECEIPT_STATE_REFUSED) {
                e.class = ROLLCALL_REFUSED;
                e.reason = receipt_refusal(told);
        } else if (!e.final)
                e.code = e.code == CTL_OK ? CTL_PARTIAL : e.code;
        else if (e.code == CTL_OK)
                e.class = ROLLCALL_VERIFIED;
        return e;
}

/* Who was refused for what may pass can be asked again, and what is said then takes its time, too. */
static bool ends(const struct rollcall_entry *e) {
        return e->final && !rollcall_may_pass(e);
}

static bool counts_before(const struct rollcall_entry *new, const struct rollcall_entry *old) {
        if (old->class == ROLLCALL_SILENT)
                return true;
        /* who took these bytes did not refuse them: when they came again, something else had changed */
        if (new->class == ROLLCALL_REFUSED && old->class != ROLLCALL_REFUSED)
                return false;
        return ends(new) != ends(old) ? ends(new) : new->ledger > old->ledger;
}

static void replace(struct rollcall *r, struct rollcall_entry *old, struct rollcall_entry *new) {
        r->counts[old->class]--;
        r->counts[new->class]++;
        r->finals += (size_t) new->final - (size_t) old->final;
        free(old->payload);
        *old = *new;
}

/* What one message proves. */
struct said {
        struct rollcall_entry *of; /* of whom it is an answer; NULL: of nobody */
        struct rollcall_entry is;  /* what that makes of it; owned payload */
        int r;
        char stray[RECEIPT_TEXT_MAX];
};

struct reading {
        const struct rollcall *calls;
        const struct rollcall_message *v;
        struct said *said;
};

/* Keeps the bytes that were signed: as JSON in memory they take seven times as much. */
static void keep(struct said *s, struct rollcall_entry *e, struct receipt *got, int64_t at_ms) {
        s->of = e;
        s->is = judge(got, e, at_ms);
        s->is.payload = TAKE_PTR(got->signed_text);
}

/* One of several at a time: nothing of the roll call changes meanwhile. */
static void read_one(void *arg, size_t i) {
        const struct reading *g = arg;
        const struct rollcall *r = g->calls;
        const struct rollcall_message *m = &g->v[i];
        struct rollcall_entry *e = rollcall_find(r, m->from);
        struct receipt got = RECEIPT_NULL;
        struct said *s = &g->said[i];

        if (!e) {
                (void) snprintf(s->stray, sizeof(s->stray), "it comes from a host that was not asked");
                return;
        }
        struct host one = *e->host;
        const struct hosts known = { &one, 1 };
        const struct receipt_want want = { .type = DSSE_RECEIPT,
                                           .id = r->id,
                                           .digest = e->digest ? e->digest : r->digest,
                                           .hosts = &one.key.id,
                                           .n_hosts = 1 };
        s->r = receipt_read(m->text, m->n, &known, &want, &got);
        if (s->r == 0 && got.kind == RECEIPT_SIGNED)
                keep(s, e, &got, m->at_ms);
        else
                (void) snprintf(s->stray, sizeof(s->stray), "%s", got.text);
        receipt_done(&got);
}

static const struct rollcall_entry *take(struct rollcall *r, struct said *s) {
        if (s->of && counts_before(&s->is, s->of)) {
                replace(r, s->of, &s->is);
                return s->of;
        }
        if (!s->of && s->r == 0) {
                r->strays++;
                memcpy(r->stray, s->stray, sizeof(r->stray));
        }
        free(s->is.payload);
        return NULL;
}

int rollcall_add(struct rollcall *r, const struct rollcall_message *v, size_t n,
                 const struct rollcall_entry **ret_changed) {
        _cleanup_free_ struct said *said = calloc(MAX(n, (size_t) 1), sizeof(*said));
        struct reading g = { r, v, said };
        int x = 0;

        if (!said)
                return -ENOMEM;
        parallel_for(n, read_one, &g);
        for (size_t i = 0; i < n; i++) {
                ret_changed[i] = take(r, &said[i]);
                x = x < 0 ? x : said[i].r;
        }
        return x;
}

bool rollcall_is_over(const struct rollcall *r) {
        return r->finals == r->n;
}

bool rollcall_may_pass(const struct rollcall_entry *e) {
        return e->class == ROLLCALL_REFUSED && reason_may_pass(e->reason);
}

bool rollcall_stands(const struct rollcall *r) {
        for (size_t i = 0; i < r->n; i++)
                if (rollcall_may_pass(&r->v[i]))
                        return false;
        return rollcall_is_over(r);
}

int rollcall_exit(const struct rollcall *r) {
        for (size_t i = 1; i < r->n; i++)
                if (r->v[i].code != r->v[0].code)
                        return CTL_PARTIAL;
        return r->n > 0 ? r->v[0].code : CTL_SILENT;
}
