/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/fleet_head.c ctl/active.c ctl/seenset.c ctl/trustfile.c ctl/member.c ctl/file.c ctl/text.c ctl/why.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "ctl/fleet_head.h"
#include "lib/scratch.h"
#include "policy/schema.h"

#define NOW 1795000000000LL
#define DAY (24LL * 3600 * 1000)

static void numbers_rise_with_the_time_and_above_what_was_said(void **state) {
        (void) state;
        assert_int_equal(fleet_head_next(NOW, 0, 0), NOW);
        assert_int_equal(fleet_head_next(NOW, NOW - 15000, 0), NOW);
        assert_int_equal(fleet_head_next(NOW, NOW, 0), NOW + 1);
        /* the clock was put back by an hour */
        assert_int_equal(fleet_head_next(NOW, NOW + DAY / 24, 0), NOW + DAY / 24 + 1);
        assert_int_equal(fleet_head_next(NOW, NOW - 9, NOW + 5000), NOW + 5001);
        assert_int_equal(fleet_head_next(NOW, NOW + 6000, NOW + 5000), NOW + 6001);
}

/* Each begins where the other one is, whichever of them is behind. */
static void two_heralds_never_say_the_same_number_nor_fall_behind(void **state) {
        int64_t said[2] = { 0, 0 }, last = 0;

        (void) state;
        for (int i = 0; i < 100; i++) {
                const int who = i % 3 == 0;
                /* one of them is two minutes behind */
                said[who] = fleet_head_next(NOW + i * 7000 - who * 120000, said[who], last);
                assert_true(said[who] > last);
                last = said[who];
        }
}

static void nobody_is_followed_to_the_last_number(void **state) {
        (void) state;
        assert_int_equal(fleet_head_next(NOW, NOW - 1, SCHEMA_INT_MAX), NOW);
        assert_int_equal(fleet_head_next(NOW, SCHEMA_INT_MAX, SCHEMA_INT_MAX), NOW);
        assert_int_equal(fleet_head_next(NOW, NOW + DAY + 1, NOW - 5), NOW);
}

static void what_was_said_is_known_after_a_restart(void **state) {
        struct ctl c = { .opt = OPTIONS_NULL };
        struct fleet_head a = { .c = &c, .lock = -EBADF }, b = a;
        struct scratch dir;
        char path[PATH_MAX];

        (void) state;
        scratch_make(&dir);
        (void) snprintf(path, sizeof(path), "%s/x", dir.path);
        c.opt.state_dir = path;
        assert_int_equal(fleet_head_open_state(&a), 0);
        assert_int_equal(a.said, 0);
        assert_int_equal(fleet_head_save_state(&a, NOW), 0);
        assert_int_equal(fleet_head_open_state(&b), CTL_MACHINE);
        assert_non_null(strstr(c.why.text, "another herald"));
        assert_int_equal(close(a.lock), 0);
        assert_int_equal(fleet_head_open_state(&b), 0);
        assert_int_equal(b.said, NOW);
        closep(&b.lock);
        assert_int_equal(truncate(b.state_path, 3), 0);
        assert_int_equal(fleet_head_open_state(&b), 0);
        assert_int_equal(b.said, 0);
        closep(&b.lock);
        scratch_remove(&dir);
}

static void what_a_broker_lost_is_still_ordered(void **state) {
        struct fleet_head h = { .from = 9, .rounds = 9, .strays = 9 };

        (void) state;
        struct active_share *s = &h.active.by[ACTIVE_BY_PEOPLE];
        s->v = calloc(1, sizeof(*s->v));
        s->v[0].exp_ms = NOW + 1;
        s->n = 1;
        fleet_head_again(&h);
        assert_int_equal(h.from, 1);
        assert_int_equal(h.rounds + h.strays, 0);
        assert_int_equal(active_count(&h.active, NOW), 1);
        fleet_head_forget(&h);
        assert_int_equal(active_count(&h.active, NOW), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(numbers_rise_with_the_time_and_above_what_was_said),
                cmocka_unit_test(two_heralds_never_say_the_same_number_nor_fall_behind),
                cmocka_unit_test(nobody_is_followed_to_the_last_number),
                cmocka_unit_test(what_was_said_is_known_after_a_restart),
                cmocka_unit_test(what_a_broker_lost_is_still_ordered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
