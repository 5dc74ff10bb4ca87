/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/member.h"
#include "ctl/muster.h"

static const struct {
        const char *word;
        int code;
} states[_MUSTER_STATE_MAX] = {
#define X(name, word, code) [MUSTER_##name] = { word, code },
        MUSTER_STATE_TABLE(X)
#undef X
};

const char *muster_state_str(enum muster_state s) {
        return states[s].word;
}

int muster_state_exit(enum muster_state s) {
        return states[s].code;
}

int muster_init(struct muster *ret, const struct inventory *i) {
        struct muster m = { .v = calloc(MAX(i->n, (size_t) 1), sizeof(*m.v)), .n = i->n };

        if (!m.v)
                return -ENOMEM;
        for (size_t k = 0; k < i->n; k++)
                m.v[k].host = &i->v[k];
        *ret = m;
        return 0;
}

void muster_done(struct muster *m) {
        for (size_t i = 0; i < m->n; i++)
                json_decref(m->v[i].report);
        free(m->v);
        *m = MUSTER_NULL;
}

void muster_begin(struct muster *m, const char nonce[static 33]) {
        m->round++;
        memcpy(m->nonce, nonce, sizeof(m->nonce));
        m->answered = m->strays = m->n_strangers = 0;
        m->stray[0] = '\0';
}

static int compare_id(const void *id, const void *entry) {
        const struct muster_entry *e = entry;

        return memcmp(id, e->host->host.key.id, sizeof(e->host->host.key.id));
}

static void stranger(struct muster *m, const uint8_t from[static 32]) {
        for (size_t i = 0; i < MIN(m->n_strangers, (size_t) MUSTER_STRANGERS_MAX); i++)
                if (memcmp(m->strangers[i], from, 32) == 0)
                        return;
        if (m->n_strangers < MUSTER_STRANGERS_MAX)
                memcpy(m->strangers[m->n_strangers], from, 32);
        m->n_strangers++;
}

int muster_add(struct muster *m, const uint8_t from[static 32], const char *msg, size_t n, int64_t at_ms) {
        struct muster_entry *e = m->n > 0 ? bsearch(from, m->v, m->n, sizeof(*m->v), compare_id) : NULL;
        struct receipt got = RECEIPT_NULL;

        if (!e) {
                stranger(m, from);
                return 0;
        }
        struct host one = e->host->host;
        const struct hosts known = { &one, 1 };
        const struct receipt_want want = { .type = DSSE_REPORT, .report = "health", .nonce = m->nonce };
        int r = receipt_read(msg, n, &known, &want, &got);
        if (r == 0 && got.kind != RECEIPT_SIGNED) {
                m->strays++;
                (void) snprintf(m->stray, sizeof(m->stray), "%s", got.text);
        } else if (r == 0 && e->round != m->round) {
                json_decref(e->report);
                e->report = json_incref(got.payload);
                e->at_ms = at_ms;
                e->round = m->round;
                m->answered++;
        }
        receipt_done(&got);
        return r;
}

bool muster_has_answered(const struct muster *m, const struct muster_entry *e) {
        return m->round > 0 && e->round == m->round;
}

bool muster_is_over(const struct muster *m) {
        return m->answered == m->n;
}

enum muster_state muster_judge(const json_t *report) {
        const json_t *holds = json_object_get(report, "holds"), *head = json_object_get(report, "head");

        if (!member_is_true(json_object_get(report, "ledger"), "ok"))
                return MUSTER_LEDGER;
        if (strcmp(member_str(json_object_get(report, "trust"), "state"), "valid") != 0)
                return MUSTER_TRUST;
        if (strcmp(member_str(json_object_get(report, "policy"), "state"), "broken") == 0)
                return MUSTER_POLICY;
        if (json_array_size(json_object_get(head, "withheld")) > 0)
                return MUSTER_WITHHELD;
        if (member_int(holds, "partial", 0) > 0 || json_array_size(json_object_get(holds, "orphans")) > 0)
                return MUSTER_PARTIAL;
        if (strcmp(member_str(head, "state"), "stale") == 0)
                return MUSTER_DEAF;
        return member_int(holds, "active", 0) > 0 ? MUSTER_HOLDING : MUSTER_READY;
}

enum muster_state muster_state(const struct muster *m, const struct muster_entry *e) {
        return muster_has_answered(m, e) ? muster_judge(e->report) : MUSTER_SILENT;
}

int muster_exit(const struct muster *m) {
        int code = m->n > 0 ? muster_state_exit(muster_state(m, &m->v[0])) : CTL_SILENT;

        for (size_t i = 1; i < m->n; i++)
                if (muster_state_exit(muster_state(m, &m->v[i])) != code)
                        return CTL_PARTIAL;
        return code;
}

size_t muster_gaps(const json_t *report) {
        size_t n = 0, i;
        json_t *l;

        json_array_foreach(json_object_get(report, "layers"), i, l) n += strcmp(member_str(l, "state"), "yes") != 0;
        return n;
}
