/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/fit.c */

/* Whatever a host has to tell fits in an envelope, and what is left says what was left out. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/fit.h"

static json_t *target(size_t i, const char *gap, size_t padding) {
        char name[48], *pad = calloc(1, padding + 1);
        json_t *t;

        memset(pad, 'x', padding);
        (void) snprintf(name, sizeof(name), "unit:s%zu.service", i);
        t = json_pack("{ss s[] sb so s{ss}}", "target", name, "gaps", "frozen", 1, "links", json_string(pad),
                      "selftest", "new", "blocked");
        if (gap)
                (void) json_array_append_new(json_object_get(t, "gaps"), json_string(gap));
        free(pad);
        return t;
}

static json_t *receipt(size_t n, const char *gap, size_t padding) {
        json_t *targets = json_array();

        for (size_t i = 0; i < n; i++)
                (void) json_array_append_new(targets, target(i, i == n - 1 ? gap : NULL, padding));
        return json_pack("{ss so}", "state", "contained", "targets", targets);
}

static json_t *fitted(json_t *o, size_t max) {
        _cleanup_free_ char *text = NULL;
        json_t *again;

        assert_int_equal(fit_dump(o, max, &text), 0);
        assert_true(strlen(text) <= max);
        again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(again);
        json_decref(o);
        return again;
}

static json_t *nth(const json_t *o, const char *list, size_t i) {
        return json_array_get(json_object_get(o, list), i);
}

static void fit_leaves_alone_what_fits(void **state) {
        json_t *o = receipt(3, NULL, 100), *before = json_deep_copy(o);

        (void) state;
        o = fitted(o, FIT_RECEIPT_MAX);
        assert_true(json_equal(o, before));
        json_decref(o);
        json_decref(before);
}

static void fit_shortens_what_is_in_force_before_what_is_not(void **state) {
        json_t *o = fitted(receipt(10, "not-frozen", 200), 1500);

        (void) state;
        assert_true(json_is_true(json_object_get(o, "shortened")));
        assert_null(json_object_get(o, "omitted"));
        assert_int_equal(json_array_size(json_object_get(o, "targets")), 10);
        assert_null(json_object_get(nth(o, "targets", 0), "links"));
        assert_true(json_is_true(json_object_get(nth(o, "targets", 0), "frozen")));
        assert_non_null(json_object_get(nth(o, "targets", 9), "links"));
        json_decref(o);
}

static void fit_keeps_state_and_gaps_of_what_is_listed(void **state) {
        json_t *o = fitted(receipt(10, "not-frozen", 2000), 1000);

        (void) state;
        assert_string_equal(json_string_value(json_object_get(o, "state")), "contained");
        assert_null(json_object_get(nth(o, "targets", 9), "links"));
        assert_string_equal(json_string_value(nth(nth(o, "targets", 9), "gaps", 0)), "not-frozen");
        json_decref(o);
}

static void fit_counts_what_it_omits(void **state) {
        json_t *o = fitted(receipt(250, NULL, 10), 2000);
        const size_t left = json_array_size(json_object_get(o, "targets"));

        (void) state;
        assert_true(left > 5 && left < 250);
        assert_int_equal(json_integer_value(json_object_get(o, "omitted")), 250 - left);
        json_decref(o);
}

static json_t *status(size_t n_holds, size_t n_targets) {
        json_t *holds = json_array();

        for (size_t i = 0; i < n_holds; i++) {
                json_t *h = receipt(n_targets, NULL, 100);

                (void) json_object_set_new(h, "receipt", receipt(n_targets, NULL, 100));
                (void) json_array_append_new(holds, h);
        }
        return json_pack("{so}", "holds", holds);
}

static void fit_drops_stored_receipts_of_holds_first(void **state) {
        json_t *o = fitted(status(3, 3), 2000);

        (void) state;
        assert_null(json_object_get(nth(o, "holds", 0), "receipt"));
        assert_non_null(json_object_get(nth(nth(o, "holds", 2), "targets", 2), "links"));
        json_decref(o);
}

static void fit_lists_every_hold_before_it_omits_one(void **state) {
        json_t *o = fitted(status(20, 50), 2000);

        (void) state;
        assert_int_equal(json_array_size(json_object_get(o, "holds")), 20);
        assert_int_equal(json_integer_value(json_object_get(nth(o, "holds", 19), "targets_total")), 50);
        assert_null(json_object_get(o, "omitted"));
        json_decref(o);
        o = fitted(status(200, 5), 2000);
        assert_int_equal(json_array_size(json_object_get(o, "holds")) +
                                 (size_t) json_integer_value(json_object_get(o, "omitted")),
                         200);
        json_decref(o);
}

static void fit_keeps_names_of_a_release_while_it_can(void **state) {
        json_t *o = json_pack("{s[{ss s[ss]}{ss s[ss]}]}", "holds", "id", "1", "targets", "unit:a.service",
                              "unit:b.service", "id", "2", "targets", "unit:c.service", "unit:d.service");
        size_t all;
        _cleanup_free_ char *text = NULL;

        (void) state;
        assert_int_equal(fit_dump(o, 1000, &text), 0);
        all = strlen(text);
        o = fitted(o, all);
        assert_int_equal(json_array_size(json_object_get(nth(o, "holds", 1), "targets")), 2);
        o = fitted(o, all - 1);
        assert_int_equal(json_integer_value(json_object_get(nth(o, "holds", 1), "targets_total")), 2);
        json_decref(o);
}

static void fit_fails_where_there_is_no_list_to_shorten(void **state) {
        json_t *o = json_pack("{ss}", "state", "a long word");
        char *text = NULL;

        (void) state;
        assert_int_equal(fit_dump(o, 10, &text), -E2BIG);
        assert_null(text);
        json_decref(o);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fit_leaves_alone_what_fits),
                cmocka_unit_test(fit_shortens_what_is_in_force_before_what_is_not),
                cmocka_unit_test(fit_keeps_state_and_gaps_of_what_is_listed),
                cmocka_unit_test(fit_counts_what_it_omits),
                cmocka_unit_test(fit_drops_stored_receipts_of_holds_first),
                cmocka_unit_test(fit_lists_every_hold_before_it_omits_one),
                cmocka_unit_test(fit_keeps_names_of_a_release_while_it_can),
                cmocka_unit_test(fit_fails_where_there_is_no_list_to_shorten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
