/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/ears.c agent/relay/answer.c */

/* What a host listens to is for it, and a fleet that cannot come back at once comes back slower. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/relay/ears.h"

#define HOST    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SAMPLES 2000
#define SECOND  1000000LL

struct heard {
        char text[2048];
        int n, stop_at;
};

static int hear(void *userdata, const char *subject) {
        struct heard *h = userdata;

        strcat(strcat(h->text, subject), " ");
        return ++h->n == h->stop_at ? -EIO : 0;
}

static void a_host_listens_to_what_is_for_it(void **state) {
        const struct who who = { .fleet = "prod", .groups = { "eu", "web.1" }, .n_groups = 2 };
        struct heard h = { 0 };

        (void) state;
        assert_int_equal(ears_each(&who, hear, &h), 0);
        assert_string_equal(h.text,
                            "_INBOX." HOST ".* frz.v1.prod.cmd.host." HOST ".* frz.v1.prod.cmd.all.* "
                            "frz.v1.prod.trust.* frz.v1.prod.head frz.v1.prod.ask.all frz.v1.prod.ask.host." HOST
                            " frz.v1.prod.cmd.group.eu.* frz.v1.prod.cmd.group.web~1.* ");
}

static void the_first_that_is_not_heard_is_the_last(void **state) {
        const struct who who = { .fleet = "prod" }, nobody = { .n_groups = 0 };
        struct heard h = { .stop_at = 3 }, none = { 0 };

        (void) state;
        assert_int_equal(ears_each(&who, hear, &h), -EIO);
        assert_int_equal(h.n, 3);
        assert_int_equal(ears_each(&nobody, hear, &none), -EINVAL);
}

/* The longest of many waits in seconds, rounded up; none is shorter than one. */
static int64_t longest(int64_t spread_s, unsigned failures) {
        const struct broker b = { .spread_s = spread_s };
        int64_t most = 0;

        for (int i = 0; i < SAMPLES; i++) {
                const int64_t us = ears_retry_us(&b, failures);
                assert_true(us >= SECOND);
                most = MAX(most, us);
        }
        return (most + SECOND - 1) / SECOND;
}

static void who_fails_again_waits_longer_but_not_for_ever(void **state) {
        (void) state;
        assert_int_equal(longest(30, 0), 1 + 5);
        assert_int_equal(longest(30, 1), 1 + 10);
        assert_int_equal(longest(30, 2), 1 + 20);
        assert_int_equal(longest(30, 1000), 1 + 30);
        assert_int_equal(longest(3600, 1000), 1 + 80);
        assert_int_equal(longest(0, 1000), 1);
}

static void what_was_missed_is_asked_for_within_the_spread(void **state) {
        const struct broker at_once = { .spread_s = 0 }, later = { .spread_s = 30 };
        int64_t most = 0;

        (void) state;
        assert_int_equal(ears_catch_up_us(&at_once), 0);
        for (int i = 0; i < SAMPLES; i++)
                most = MAX(most, ears_catch_up_us(&later));
        assert_in_range(most, 20 * SECOND, 30 * SECOND);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_host_listens_to_what_is_for_it),
                cmocka_unit_test(the_first_that_is_not_heard_is_the_last),
                cmocka_unit_test(who_fails_again_waits_longer_but_not_for_ever),
                cmocka_unit_test(what_was_missed_is_asked_for_within_the_spread),
        };

        return cmocka_run_group_tests_name("ears", tests, NULL, NULL);
}
