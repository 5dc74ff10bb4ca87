/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/pull.c agent/relay/fetch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/relay/pull.h"

/* Of as many groups as there can be: each order may be at so many places. */
static struct who host_of_all(void) {
        struct who w = { .fleet = "prod", .n_groups = WHO_GROUPS_MAX };

        for (unsigned i = 0; i < WHO_GROUPS_MAX; i++)
                (void) snprintf(w.groups[i], sizeof(w.groups[i]), "g%u", i);
        return w;
}

static struct answer missing(unsigned first, size_t n) {
        struct answer a = { .kind = ANSWER_HEAD, .n_missing = n };

        for (size_t i = 0; i < n; i++) {
                a.missing[i].b[0] = (uint8_t) (first + i);
                a.missing[i].b[15] = 1;
        }
        return a;
}

/* Answers all that is asked with "there is none"; marks the orders that were asked for. */
static void answer_all(struct fetch *f, const struct who *w, bool ret_asked[static 256]) {
        char subject[FETCH_SUBJECT_SIZE], body[FETCH_BODY_SIZE];

        while (fetch_next(f, w, subject, body)) {
                const char *id = strrchr(subject, '.') + 1;
                char byte[3] = { id[0], id[1] };

                ret_asked[strtoul(byte, NULL, 16)] = true;
                (void) fetch_came(f, FETCH_NONE, 0);
        }
}

static void each_has_its_turn_however_many_never_come(void **state) {
        const struct answer a = missing(0, ANSWER_MISSING_MAX);
        const struct who w = host_of_all();
        _cleanup_(fetch_freep) struct fetch *f = NULL;
        struct pull p = {};
        bool asked[256] = {};
        size_t n = 0;

        (void) state;
        assert_int_equal(ANSWER_MISSING_MAX, 256);
        assert_int_equal(fetch_new(&f), 0);
        for (unsigned head = 0; head < 256 * (WHO_GROUPS_MAX + 2) / FETCH_ORDERS_MAX + 1; head++) {
                pull_head(&p, &a, f, &w);
                answer_all(f, &w, asked);
        }
        for (size_t i = 0; i < ELEMENTSOF(asked); i++)
                n += asked[i];
        assert_int_equal(n, 256);
}

/* The stream is slow: of none that has no room is it said that it was asked for, nor that part of it was. */
static void what_has_no_room_was_not_asked_for(void **state) {
        const struct answer a = missing(0, 64);
        const struct who w = host_of_all();
        _cleanup_(fetch_freep) struct fetch *f = NULL;
        struct pull p = {};
        bool asked[256] = {};

        (void) state;
        assert_int_equal(fetch_new(&f), 0);
        for (unsigned head = 0; head < 3; head++)
                pull_head(&p, &a, f, &w);
        answer_all(f, &w, asked);
        for (size_t i = 0; i < 64; i++)
                assert_int_equal(asked[i], pull_was_asked(&p, &a.missing[i]));
        assert_true(asked[0]);
        assert_false(asked[63]);
}

static void what_is_named_no_more_is_forgotten(void **state) {
        const struct answer both = missing(1, 2), second = missing(2, 1), none = missing(0, 0);
        const struct who w = host_of_all();
        _cleanup_(fetch_freep) struct fetch *f = NULL;
        struct pull p = {};

        (void) state;
        assert_int_equal(fetch_new(&f), 0);
        assert_false(pull_was_asked(&p, &both.missing[0]));
        pull_head(&p, &both, f, &w);
        assert_true(pull_was_asked(&p, &both.missing[0]) && pull_was_asked(&p, &both.missing[1]));
        pull_head(&p, &second, f, &w);
        assert_false(pull_was_asked(&p, &both.missing[0]));
        assert_true(pull_was_asked(&p, &both.missing[1]));
        pull_head(&p, &none, f, &w);
        assert_false(pull_was_asked(&p, &both.missing[1]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_has_its_turn_however_many_never_come),
                cmocka_unit_test(what_has_no_room_was_not_asked_for),
                cmocka_unit_test(what_is_named_no_more_is_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
