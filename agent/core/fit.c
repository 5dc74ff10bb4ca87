/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/fit.h"

#include <stdbool.h>
#include <string.h>

#include "policy/schema.h"

/* What is left of a target: enough to know which it is, and whether it is held. */
static const char *const kept[] = { "target", "gaps", "missing", "present", "frozen", "pids_total", "processes_total" };

static void shorten_target(json_t *t) {
        _cleanup_json_ json_t *copy = json_is_object(t) ? json_object() : NULL;

        if (!copy)
                return; /* a name alone, as in a release */
        for (size_t i = 0; i < ELEMENTSOF(kept); i++) {
                json_t *v = json_object_get(t, kept[i]);

                if (v && json_object_set(copy, kept[i], v) < 0)
                        return;
        }
        /* the copy has but members that are there already: nothing is allocated for them */
        (void) json_object_clear(t);
        (void) json_object_update(t, copy);
}

static void shorten_targets(json_t *owner, bool all) {
        json_t *targets = json_object_get(owner, "targets"), *t;
        size_t i;

        json_array_foreach(targets, i, t) if (all || json_array_size(json_object_get(t, "gaps")) == 0)
                shorten_target(t);
}

static void drop_receipts(json_t *payload) {
        json_t *h;
        size_t i;

        json_array_foreach(json_object_get(payload, "holds"), i, h)(void) json_object_del(h, "receipt");
}

/* What was tried stays in the ledger. */
static void drop_tried(json_t *payload) {
        json_t *h;
        size_t i;

        json_array_foreach(json_object_get(payload, "holds"), i, h)(void) json_object_del(h, "tried");
}

static void shorten_good(json_t *payload) {
        json_t *h;
        size_t i;

        shorten_targets(payload, false);
        json_array_foreach(json_object_get(payload, "holds"), i, h) shorten_targets(h, false);
}

static void shorten_all(json_t *payload) {
        json_t *h;
        size_t i;

        shorten_targets(payload, true);
        json_array_foreach(json_object_get(payload, "holds"), i, h) shorten_targets(h, true);
}

static void drop_names(json_t *payload) {
        json_t *h;
        size_t i;

        json_array_foreach(json_object_get(payload, "holds"), i, h) {
                const size_t n = json_array_size(json_object_get(h, "targets"));

                if (json_object_del(h, "targets") == 0)
                        (void) json_object_set_new(h, "targets_total", json_integer((json_int_t) n));
        }
}

static void (*const steps[])(json_t *payload) = { drop_receipts, drop_tried, shorten_good, shorten_all, drop_names };

/* Takes as many from the end of the list as their share of what is too much, and one more. */
static int omit(json_t *payload, size_t size, size_t max) {
        json_t *list =
                json_object_get(payload, json_array_size(json_object_get(payload, "holds")) > 0 ? "holds" : "targets");
        const size_t n = json_array_size(list), keep = n * max / size;
        json_int_t omitted = json_integer_value(json_object_get(payload, "omitted"));

        if (n == 0)
                return -E2BIG;
        for (size_t i = n; i > 0 && (i > keep || i == n); i--, omitted++)
                (void) json_array_remove(list, i - 1);
        return json_object_set_new(payload, "omitted", json_integer(omitted)) < 0 ? -ENOMEM : 0;
}

int fit_dump(json_t *payload, size_t max, char **ret) {
        for (size_t step = 0;; step++) {
                _cleanup_free_ char *text = NULL;
                size_t n;
                int r = 0;

                if (schema_dump(payload, &text) < 0)
                        return -ENOMEM;
                n = strlen(text);
                if (n <= max) {
                        *ret = TAKE_PTR(text);
                        return 0;
                }
                if (json_object_set_new(payload, "shortened", json_true()) < 0)
                        return -ENOMEM;
                if (step < ELEMENTSOF(steps))
                        steps[step](payload);
                else
                        r = omit(payload, n, max);
                if (r < 0)
                        return r;
        }
}
