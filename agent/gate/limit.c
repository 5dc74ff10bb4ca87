/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/limit.h"

#include "policy/cleanup.h"

static void refill(struct limit_account *a, int64_t now_us) {
        a->balance_us = MIN(LIMIT_BUDGET_US, a->balance_us + (now_us - a->seen_us));
        a->seen_us = now_us;
}

int64_t limit_cost_us(size_t n_bytes, unsigned int n_verified) {
        return (int64_t) (1 + n_bytes / LIMIT_UNIT_BYTES + n_verified) * LIMIT_UNIT_US;
}

/* True when a is the better one to take over: never used, then never failed, then failed longest ago. */
static bool is_staler(const struct limit_account *a, const struct limit_account *than) {
        if (a->used != than->used)
                return !a->used;
        if ((a->n_failed > 0) != (than->n_failed > 0))
                return a->n_failed == 0;
        return a->failed_us < than->failed_us;
}

struct limit_account *limit_account(struct limit *l, uid_t uid, int64_t now_us) {
        struct limit_account *best = NULL;

        for (size_t i = 0; i < LIMIT_ACCOUNTS_MAX; i++) {
                struct limit_account *a = &l->accounts[i];

                if (a->used && a->uid == uid)
                        return a;
                if (a->n_connections == 0 && (!best || is_staler(a, best)))
                        best = a;
        }
        *best = (struct limit_account) {
                .uid = uid,
                .used = true,
                .balance_us = LIMIT_BUDGET_US,
                .seen_us = now_us,
        };
        return best;
}

unsigned int limit_rank(uid_t uid) {
        return uid == 0 ? 0 : uid <= LIMIT_SERVICE_UID_MAX ? 1 : 2;
}

bool limit_is_full(const struct limit *l, uid_t uid) {
        for (unsigned int rank = 0; rank <= limit_rank(uid); rank++)
                if (l->n_from[rank] >= LIMIT_CONNECTIONS_MAX - rank * LIMIT_CONNECTIONS_KEPT)
                        return true;
        return false;
}

static void count(struct limit *l, struct limit_account *a, int by) {
        for (unsigned int rank = 0; rank <= limit_rank(a->uid); rank++)
                l->n_from[rank] += (unsigned int) by;
        a->n_connections += (unsigned int) by;
}

bool limit_connect(struct limit *l, struct limit_account *a) {
        if (limit_is_full(l, a->uid) || a->n_connections >= LIMIT_CONNECTIONS_PER_UID)
                return false;
        count(l, a, 1);
        return true;
}

void limit_disconnect(struct limit *l, struct limit_account *a) {
        count(l, a, -1);
}

void limit_fail(struct limit_account *a, int64_t cost_us, int64_t now_us) {
        refill(a, now_us);
        /* A uid that connects too often is charged although it is not read; its debt has to end somewhere. */
        a->balance_us = MAX(-LIMIT_BUDGET_US, a->balance_us - cost_us);
        a->waiting = a->waiting || a->balance_us <= 0;
        if (now_us - a->failed_us >= LIMIT_CLEAN_US)
                a->n_failed = 0;
        a->n_failed = MIN(a->n_failed + 1, LIMIT_SLIPS_MAX);
        a->failed_us = now_us;
        a->n_unsaid++;
}

int64_t limit_wait_us(struct limit_account *a, int64_t now_us) {
        refill(a, now_us);
        a->waiting = a->waiting && a->balance_us < LIMIT_RESUME_US;
        return a->waiting ? LIMIT_RESUME_US - a->balance_us : 0;
}

bool limit_is_clean(const struct limit_account *a, int64_t now_us) {
        return a->n_failed < LIMIT_SLIPS_MAX || now_us - a->failed_us >= LIMIT_CLEAN_US;
}

bool limit_say(struct limit_account *a, int64_t now_us, uint64_t *ret_n) {
        if (a->n_unsaid == 0 || (a->said && now_us - a->said_us < LIMIT_SAY_US))
                return false;
        *ret_n = a->n_unsaid;
        a->n_unsaid = 0;
        a->said = true;
        a->said_us = now_us;
        return true;
}
