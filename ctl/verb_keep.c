/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/bagdir.h"
#include "ctl/order.h"
#include "ctl/text.h"

/* Ids as targets, each once. */
struct list {
        char targets[COMMAND_TARGETS_MAX][TARGET_STR_SIZE];
        char *v[COMMAND_TARGETS_MAX];
        size_t n;
};

static int list_add(struct list *l, const char *id, struct why *w) {
        char target[TARGET_STR_SIZE];
        int x = order_hold_target(id, target, w);

        for (size_t i = 0; x == 0 && i < l->n; i++)
                if (strcmp(l->targets[i], target) == 0)
                        return 0;
        if (x == 0 && l->n == ELEMENTSOF(l->v))
                return why_set(w, CTL_USAGE, "an order names at most %u of them", COMMAND_TARGETS_MAX);
        if (x == 0) {
                memcpy(l->targets[l->n], target, sizeof(target));
                l->v[l->n] = l->targets[l->n];
                l->n++;
        }
        return x;
}

/* An id as it is; else whatever this host has of it. What is signed are ids: evidence that comes later is not meant. */
static int list_find(struct list *l, const struct options *o, const char *word, struct why *w) {
        _cleanup_free_ struct bagdir *found = NULL;
        struct command_id id;
        size_t n = 0;

        if (command_id_from_str(word, &id) == 0)
                return list_add(l, word, w);
        int x = bagdir_match(o, word, &found, &n, w);
        for (size_t i = 0; x == 0 && i < n; i++) {
                char hold[33];

                (void) snprintf(hold, sizeof(hold), "%.32s", strrchr(found[i].path, '/') + 1);
                x = list_add(l, hold, w);
        }
        return x;
}

static int order(struct ctl *c, enum verb verb, char **words, size_t n) {
        _cleanup_free_ struct list *l = calloc(1, sizeof(*l));
        int x = l ? 0 : why_errno(&c->why, -ENOMEM, "evidence");

        for (size_t i = 0; x == 0 && i < n; i++)
                x = verb == VERB_EVIDENCE_UNHOLD ? list_add(l, words[i], &c->why)
                                                 : list_find(l, &c->opt, words[i], &c->why);
        return x != 0 ? x : order_run(c, verb, false, l->v, l->n);
}

int verb_evidence_hold(struct ctl *c, char **words, size_t n) {
        return order(c, VERB_EVIDENCE_HOLD, words, n);
}

int verb_evidence_unhold(struct ctl *c, char **words, size_t n) {
        return order(c, VERB_EVIDENCE_UNHOLD, words, n);
}

int verb_evidence_delete(struct ctl *c, char **words, size_t n) {
        return order(c, VERB_EVIDENCE_DELETE, words, n);
}
