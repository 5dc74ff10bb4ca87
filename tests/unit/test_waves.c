/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/waves.c */

/* Waves: as large as was said, without a host in common, and together everybody. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/waves.h"

#define FLEET_MAX 600U

static const uint8_t salt[PLACE_SALT_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static uint8_t fleet[FLEET_MAX][32];

static struct waves waves_of(const char *text) {
        struct waves w;

        assert_int_equal(waves_parse(text, &w), 0);
        return w;
}

/* The same fleet for the same number, every time. */
static void make_fleet(uint8_t number) {
        const uint8_t seed[randombytes_SEEDBYTES] = { number };

        randombytes_buf_deterministic(fleet, sizeof(fleet), seed);
}

static void a_plan_in_words_is_steps(void **state) {
        const struct waves w = waves_of("1,25,10%,999999999,100%"), one = waves_of("100%");
        static const struct waves_step steps[] = {
                { false, 1 }, { false, 25 }, { true, 10 }, { false, 999999999 }, { true, 100 }
        };

        (void) state;
        assert_int_equal(w.n, ELEMENTSOF(steps));
        for (size_t i = 0; i < w.n; i++)
                assert_true(w.v[i].percent == steps[i].percent && w.v[i].value == steps[i].value);
        assert_int_equal(one.n, 1);
}

static void what_is_no_plan_is_refused(void **state) {
        static const char *const bad[] = { "",
                                           "1",
                                           "10%",
                                           "1,10%",
                                           "100%,200",
                                           "0,100%",
                                           "0%,100%",
                                           "01,100%",
                                           "1,1,100%",
                                           "5,1,100%",
                                           "50%,10%,100%",
                                           "10%,10%,100%",
                                           "100%,100%",
                                           "101%",
                                           "1,,100%",
                                           ",100%",
                                           "100%,",
                                           "1, 100%",
                                           " 100%",
                                           "100% ",
                                           "100%%",
                                           "-1,100%",
                                           "+1,100%",
                                           "1.5%,100%",
                                           "x,100%",
                                           "1000000000,100%",
                                           "99999999999999999999,100%",
                                           "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,100%" };
        struct waves w = { .n = 77 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (waves_parse(bad[i], &w) != -EINVAL || w.n != 77)
                        fail_msg("taken: %s", bad[i]);
        assert_int_equal(waves_parse("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,100%", &w), 0);
        assert_int_equal(w.n, WAVES_MAX);
}

static void sizes_are_what_was_said(void **state) {
        static const struct {
                const char *text;
                size_t n, sizes[5];
        } rows[] = {
                { "1,10%,100%", 600, { 1, 59, 540 } },
                { "1,10%,100%", 11, { 1, 1, 9 } },
                { "1,10%,100%", 10, { 1, 9 } },
                { "1,10%,100%", 1, { 1 } },
                { "1,10%,100%", 2, { 1, 1 } },
                { "33%,34%,100%", 100, { 33, 1, 66 } },
                { "500,100%", 20, { 20 } },
                { "10,10%,100%", 20, { 10, 10 } },
                { "99%,100%", 100, { 99, 1 } },
                { "99%,100%", 99, { 99 } },
                { "100%", 7, { 7 } },
        };

        (void) state;
        make_fleet(1);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct waves w = waves_of(rows[i].text);
                struct waves_part parts[WAVES_MAX];
                size_t n = 0;
                assert_int_equal(waves_cut(&w, salt, fleet, rows[i].n, parts, &n), 0);
                for (size_t k = 0; k < ELEMENTSOF(rows[i].sizes); k++)
                        if (rows[i].sizes[k] != (k < n ? parts[k].hosts : 0))
                                fail_msg("%s of %zu: wave %zu", rows[i].text, rows[i].n, k + 1);
        }
}

static size_t hosts_in(const struct place_part *p, size_t n) {
        size_t in = 0;

        for (size_t i = 0; i < n; i++)
                in += place_is_in(p, fleet[i]);
        return in;
}

/* What the hosts do with the parts, for fleets of every size. */
static void every_host_is_of_one_wave_and_the_waves_are_as_large_as_they_say(void **state) {
        static const char *const plans[] = { "1,10%,100%", "3,50%,51%,99%,100%", "100%", "1,2,3,4,5,6,7,8,9,100%" };

        (void) state;
        for (uint8_t f = 0; f < 200; f++) {
                const struct waves w = waves_of(plans[f % ELEMENTSOF(plans)]);
                struct waves_part parts[WAVES_MAX];
                size_t n = 1 + 2 * (size_t) f, n_parts = 0, sum = 0;
                make_fleet(f);
                assert_int_equal(waves_cut(&w, salt, fleet, n, parts, &n_parts), 0);
                assert_true(n_parts >= 1 && n_parts <= WAVES_MAX);
                assert_int_equal(parts[0].part.from, 0);
                assert_int_equal(parts[n_parts - 1].part.below, PLACE_END);
                for (size_t k = 0; k < n_parts; sum += parts[k++].hosts) {
                        assert_true(parts[k].part.is_set && parts[k].part.from < parts[k].part.below);
                        assert_true(k == 0 || parts[k].part.from == parts[k - 1].part.below);
                        assert_memory_equal(parts[k].part.salt, salt, sizeof(salt));
                        assert_true(parts[k].hosts >= 1);
                        assert_int_equal(hosts_in(&parts[k].part, n), parts[k].hosts);
                }
                assert_int_equal(sum, n);
        }
}

static void the_salt_says_who_comes_first(void **state) {
        static const uint8_t other[PLACE_SALT_SIZE] = { 9 };
        const struct waves w = waves_of("50%,100%");
        struct waves_part a[WAVES_MAX], b[WAVES_MAX];
        size_t n, both = 0;

        (void) state;
        make_fleet(3);
        assert_int_equal(waves_cut(&w, salt, fleet, FLEET_MAX, a, &n), 0);
        assert_int_equal(waves_cut(&w, other, fleet, FLEET_MAX, b, &n), 0);
        for (size_t i = 0; i < FLEET_MAX; i++)
                both += place_is_in(&a[0].part, fleet[i]) && place_is_in(&b[0].part, fleet[i]);
        assert_true(both > 0 && both < FLEET_MAX / 2);
}

/* The same host twice is two hosts at one place, as a collision is. */
static void what_cannot_be_cut_is_not(void **state) {
        const struct waves w = waves_of("1,100%"), whole = waves_of("100%");
        struct waves_part parts[WAVES_MAX] = { { .hosts = 77 } };
        size_t n = 77;

        (void) state;
        make_fleet(4);
        memcpy(fleet[1], fleet[0], sizeof(fleet[0]));
        assert_int_equal(waves_cut(&w, salt, fleet, 2, parts, &n), -EEXIST);
        assert_int_equal(waves_cut(&w, salt, fleet, 0, parts, &n), -EINVAL);
        assert_true(n == 77 && parts[0].hosts == 77);
        assert_int_equal(waves_cut(&whole, salt, fleet, 2, parts, &n), 0);
        assert_int_equal(parts[0].hosts, 2);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_plan_in_words_is_steps),
                cmocka_unit_test(what_is_no_plan_is_refused),
                cmocka_unit_test(sizes_are_what_was_said),
                cmocka_unit_test(every_host_is_of_one_wave_and_the_waves_are_as_large_as_they_say),
                cmocka_unit_test(the_salt_says_who_comes_first),
                cmocka_unit_test(what_cannot_be_cut_is_not),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
