/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/seenset.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "ctl/seenset.h"

static void seenset_knows_what_it_was_given_and_nothing_else(void **state) {
        _cleanup_(seenset_done) struct seenset s = SEENSET_NULL;

        (void) state;
        for (int round = 0; round < 2; round++)
                for (int i = 0; i < 100000; i++) {
                        assert_int_equal(seenset_has(&s, &i, sizeof(i)), round > 0);
                        assert_int_equal(seenset_add(&s, &i, sizeof(i)), round == 0);
                }
        assert_int_equal(s.n, 100000);
}

static void seenset_tells_lengths_apart(void **state) {
        _cleanup_(seenset_done) struct seenset s = SEENSET_NULL;

        (void) state;
        assert_int_equal(seenset_add(&s, "aa", 1), 1);
        assert_int_equal(seenset_add(&s, "aa", 2), 1);
        assert_int_equal(seenset_add(&s, "", 0), 1);
        assert_int_equal(seenset_add(&s, "aa", 1), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(seenset_knows_what_it_was_given_and_nothing_else),
                cmocka_unit_test(seenset_tells_lengths_apart),
        };
        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
