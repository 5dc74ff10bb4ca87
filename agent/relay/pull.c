/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/pull.h"

bool pull_was_asked(const struct pull *p, const struct command_id *id) {
        for (size_t i = 0; i < p->n; i++)
                if (command_id_equal(&p->orders[i].id, id))
                        return p->orders[i].asked;
        return false;
}

void pull_head(struct pull *p, const struct answer *a, struct fetch *f, const struct who *w) {
        struct pull now = { .n = a->n_missing, .last = p->last };
        size_t from = 0;

        for (size_t i = 0; i < now.n; i++) {
                now.orders[i].id = a->missing[i];
                now.orders[i].asked = pull_was_asked(p, &a->missing[i]);
                if (command_id_equal(&a->missing[i], &p->last))
                        from = i + 1;
        }
        for (size_t i = 0; i < now.n; i++) {
                const size_t k = (from + i) % now.n;

                if (!fetch_order(f, w, &now.orders[k].id))
                        break;
                now.orders[k].asked = true;
                now.last = now.orders[k].id;
        }
        *p = now;
}
