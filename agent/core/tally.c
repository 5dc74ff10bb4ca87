/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/tally.h"

#include <stdlib.h>
#include <string.h>

#include "policy/cleanup.h"

static const char *const ids[_REPAIR_MAX] = {
#define X(name, id) [REPAIR_##name] = id,
        REPAIR_TABLE(X)
#undef X
};

void tally_add(struct tally *t, enum repair what, int64_t us) {
        t->repairs[what]++;
        t->last_us = us;
        t->worst_us = MAX(t->worst_us, us);
        t->recent[t->n++ % TALLY_RECENT] = (uint32_t) MIN(us, (int64_t) UINT32_MAX);
}

uint64_t tally_sum(const struct tally *t) {
        uint64_t sum = 0;

        for (size_t k = 0; k < _REPAIR_MAX; k++)
                sum += t->repairs[k];
        return sum;
}

static int compare(const void *a, const void *b) {
        const uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return x < y ? -1 : x > y;
}

static json_int_t median(const struct tally *t) {
        const size_t n = (size_t) MIN(t->n, (uint64_t) TALLY_RECENT);
        uint32_t sorted[TALLY_RECENT];

        memcpy(sorted, t->recent, sizeof(sorted));
        qsort(sorted, n, sizeof(*sorted), compare);
        return n > 0 ? sorted[n / 2] : 0;
}

json_t *tally_to_json(const struct tally *t) {
        json_t *repairs = json_object();

        for (size_t k = 0; repairs && k < _REPAIR_MAX; k++)
                (void) json_object_set_new(repairs, ids[k], json_integer((json_int_t) t->repairs[k]));
        return json_pack("{so sI s{sI sI sI}}", "repairs", repairs, "failed", (json_int_t) t->failed, "latency_us",
                         "last", (json_int_t) t->last_us, "worst", (json_int_t) t->worst_us, "p50", median(t));
}
