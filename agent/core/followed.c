/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/followed.h"

#include <stdlib.h>

void followed_list_done(struct followed_list *l) {
        free(l->v);
        *l = (struct followed_list) { 0 };
}

struct followed *followed_find(const struct followed_list *l, const struct command_id *hold) {
        for (size_t i = 0; i < l->n; i++)
                if (command_id_equal(&l->v[i].hold, hold))
                        return &l->v[i];
        return NULL;
}

struct followed *followed_get(struct followed_list *l, const struct command_id *hold) {
        struct followed *f = followed_find(l, hold), *more;

        if (f)
                return f;
        more = reallocarray(l->v, l->n + 1, sizeof(*more));
        if (!more)
                return NULL;
        l->v = more;
        l->v[l->n] = (struct followed) { .hold = *hold };
        return &l->v[l->n++];
}

void followed_remove(struct followed_list *l, size_t i) {
        l->v[i] = l->v[--l->n];
}

void followed_want(struct followed *f, int64_t now_us, int64_t delay_us) {
        const int64_t due = MAX(now_us + delay_us, f->recorded_us ? f->recorded_us + f->backoff_us : 0);

        f->due_us = f->due_us ? MIN(f->due_us, due) : due;
}

void followed_recorded(struct followed *f, int64_t now_us) {
        const bool goes_on = f->recorded_us && now_us - f->recorded_us < 2 * f->backoff_us;

        f->backoff_us = goes_on ? MIN(2 * f->backoff_us, FOLLOWED_MAX_US) : FOLLOWED_MIN_US;
        f->recorded_us = now_us;
        f->due_us = 0;
}
