/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/cleanup.h"

static int calls;

static int next(int first) {
        return first + calls++;
}

/* A deadline that is asked for twice is another one the second time: -1 is for ever to poll. */
static void each_of_two_is_evaluated_once(void **state) {
        (void) state;
        calls = 0;
        assert_int_equal(MAX(next(1), 0), 1);
        assert_int_equal(calls, 1);
        assert_int_equal(MIN(next(-2), 0), -1);
        assert_int_equal(calls, 2);
        assert_int_equal(MIN(MAX(next(5), 0), 100), 7);
        assert_int_equal(calls, 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_of_two_is_evaluated_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
