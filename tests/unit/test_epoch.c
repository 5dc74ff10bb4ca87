/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/epoch.h"

#define ORIGIN "freezed/host"

static uint8_t pub[32], secret[64];

static struct epoch make(void) {
        struct epoch e = { .number = 7, .why = EPOCH_HOUR, .size = 412 };
        char message[EPOCH_MESSAGE_SIZE];

        memset(e.pub, 0x11, sizeof(e.pub));
        memset(e.root, 0x22, sizeof(e.root));
        (void) crypto_sign_detached(e.sig, NULL, (uint8_t *) message, epoch_message(&e, ORIGIN, message), secret);
        return e;
}

static void what_is_signed_is_what_the_header_says(void **state) {
        static const char expect[] = "freezed epoch v1\n" ORIGIN "\n7 hour\n"
                                     "1111111111111111111111111111111111111111111111111111111111111111\n"
                                     "412 2222222222222222222222222222222222222222222222222222222222222222\n";
        const struct epoch e = make();
        char message[EPOCH_MESSAGE_SIZE];

        (void) state;
        assert_int_equal(epoch_message(&e, ORIGIN, message), strlen(expect));
        assert_string_equal(message, expect);
        assert_true(epoch_is_signed(&e, ORIGIN, pub));
}

static void nothing_of_an_epoch_can_be_changed(void **state) {
        struct epoch e = make();
        const struct epoch good = e;

        (void) state;
        assert_false(epoch_is_signed(&e, "freezed/other", pub));
        assert_false(epoch_is_signed(&e, ORIGIN, e.pub));
        e.number++;
        assert_false(epoch_is_signed(&e, ORIGIN, pub));
        e = good;
        e.why = EPOCH_BOOT;
        assert_false(epoch_is_signed(&e, ORIGIN, pub));
        e = good;
        e.size--;
        assert_false(epoch_is_signed(&e, ORIGIN, pub));
        for (size_t i = 0; i < 32; i++) {
                e = good;
                e.pub[i] ^= 1;
                assert_false(epoch_is_signed(&e, ORIGIN, pub));
                e = good;
                e.root[i] ^= 0x80;
                assert_false(epoch_is_signed(&e, ORIGIN, pub));
                e = good;
                e.sig[2 * i] ^= 1;
                assert_false(epoch_is_signed(&e, ORIGIN, pub));
        }
}

static void a_record_reads_back_as_it_was_written(void **state) {
        const struct epoch e = make();
        _cleanup_json_ json_t *o = epoch_to_json(&e);
        struct epoch back;

        (void) state;
        assert_int_equal(epoch_from_json(o, &back), 0);
        assert_memory_equal(&back, &e, sizeof(e));
}

static void a_record_that_is_no_epoch_is_refused(void **state) {
        static const char *const members[] = { "epoch", "why", "public", "size", "root", "sig" };
        static const char *const bad[] = {
                "{\"epoch\": 0}",
                "{\"epoch\": \"7\"}",
                "{\"why\": \"because\"}",
                "{\"why\": 1}",
                "{\"public\": \"\"}",
                "{\"public\": \"111111111111111111111111111111111111111111111111111111111111111\"}",
                "{\"public\": \"AA11111111111111111111111111111111111111111111111111111111111111\"}",
                "{\"public\": \"zz11111111111111111111111111111111111111111111111111111111111111\"}",
                "{\"size\": -1}",
                "{\"size\": 1.5}",
                "{\"root\": 7}",
                "{\"sig\": \"1111111111111111111111111111111111111111111111111111111111111111\"}",
        };
        const struct epoch e = make();
        struct epoch back;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                _cleanup_json_ json_t *o = epoch_to_json(&e);

                assert_int_equal(json_object_del(o, members[i]), 0);
                assert_int_equal(epoch_from_json(o, &back), -EBADMSG);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_json_ json_t *o = epoch_to_json(&e), *change = json_loads(bad[i], 0, NULL);

                assert_int_equal(json_object_update(o, change), 0);
                assert_int_equal(epoch_from_json(o, &back), -EBADMSG);
        }
}

static void only_a_beginning_without_a_key_is_by_the_host(void **state) {
        (void) state;
        assert_true(epoch_is_by_host(EPOCH_FIRST) && epoch_is_by_host(EPOCH_BOOT) && epoch_is_by_host(EPOCH_LOST));
        assert_false(epoch_is_by_host(EPOCH_HOUR) || epoch_is_by_host(EPOCH_EVIDENCE));
}

int main(void) {
        static const uint8_t seed[32] = { 9 };
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_signed_is_what_the_header_says),
                cmocka_unit_test(nothing_of_an_epoch_can_be_changed),
                cmocka_unit_test(a_record_reads_back_as_it_was_written),
                cmocka_unit_test(a_record_that_is_no_epoch_is_refused),
                cmocka_unit_test(only_a_beginning_without_a_key_is_by_the_host),
        };

        if (sodium_init() < 0)
                return 1;
        (void) crypto_sign_seed_keypair(pub, secret, seed);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
