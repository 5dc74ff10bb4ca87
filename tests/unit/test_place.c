/* SPDX-License-Identifier: Apache-2.0 */

/* Where hosts stand: the same everywhere, in one part each, and not for anybody to choose. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/cleanup.h"
#include "policy/place.h"

static const uint8_t salt[8] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77 };

/* hashlib.sha256(salt + host).digest()[:4] */
static void a_place_is_what_the_specification_says(void **state) {
        static const uint8_t ff[8] = { 255, 255, 255, 255, 255, 255, 255, 255 }, zeros[32];
        uint8_t host[32];

        (void) state;
        memset(host, 0x11, sizeof(host));
        assert_int_equal(place_get(salt, host), 0x3e53aae6);
        assert_int_equal(place_get(ff, zeros), 0x56bd9cf2);
}

static void parts_that_meet_have_every_host_once(void **state) {
        const int64_t cut = INT64_C(42949672);
        const struct place_part parts[] = { { true, { 1 }, 0, cut },
                                            { true, { 1 }, cut, PLACE_END / 2 },
                                            { true, { 1 }, PLACE_END / 2, PLACE_END } };
        unsigned int in[ELEMENTSOF(parts)] = { 0 };

        (void) state;
        for (uint32_t i = 0; i < 4000; i++) {
                uint8_t host[32];
                unsigned int n = 0;

                (void) crypto_hash_sha256(host, (const uint8_t *) &i, sizeof(i));
                for (size_t k = 0; k < ELEMENTSOF(parts); k++) {
                        n += place_is_in(&parts[k], host);
                        in[k] += place_is_in(&parts[k], host);
                }
                assert_int_equal(n, 1);
        }
        /* 1, 49 and 50 of a hundred */
        assert_in_range(in[0], 10, 90);
        assert_in_range(in[1], 1700, 2200);
        assert_in_range(in[2], 1800, 2200);
}

static void bounds_are_from_and_below(void **state) {
        uint8_t host[32];
        const int64_t place = 0x3e53aae6;
        struct place_part p = { .is_set = true, .from = place, .below = place + 1 };

        (void) state;
        memset(host, 0x11, sizeof(host));
        memcpy(p.salt, salt, sizeof(salt));
        assert_true(place_is_in(&p, host));
        p.from++;
        p.below++;
        assert_false(place_is_in(&p, host));
        p.from = 0;
        p.below = place;
        assert_false(place_is_in(&p, host));
        p.is_set = false;
        assert_true(place_is_in(&p, host));
}

static void another_salt_is_another_order(void **state) {
        unsigned int moved = 0;

        (void) state;
        for (uint8_t i = 0; i < 100; i++) {
                const uint8_t host[32] = { i }, other[8] = { 9 };

                moved += place_get(salt, host) < PLACE_END / 2 && place_get(other, host) >= PLACE_END / 2;
        }
        assert_in_range(moved, 5, 60);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_place_is_what_the_specification_says),
                cmocka_unit_test(parts_that_meet_have_every_host_once),
                cmocka_unit_test(bounds_are_from_and_below),
                cmocka_unit_test(another_salt_is_another_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
