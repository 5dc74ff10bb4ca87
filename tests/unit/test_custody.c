/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/custody.h"

static void custody_layout_is_byte_for_byte_as_documented(void **state) {
        struct custody c = { .act = CUSTODY_EXPORT }, back;
        uint8_t bytes[CUSTODY_SIZE], want[CUSTODY_SIZE];

        (void) state;
        memset(c.nonce, 1, sizeof(c.nonce));
        memset(c.hold, 2, sizeof(c.hold));
        memset(c.sha256, 3, sizeof(c.sha256));
        memset(want, 1, 16);
        memset(want + 16, 2, 16);
        memset(want + 32, 3, 32);
        want[64] = 3;
        custody_pack(&c, bytes);
        assert_memory_equal(bytes, want, sizeof(want));
        assert_int_equal(custody_unpack(bytes, sizeof(bytes), &back), 0);
        assert_int_equal(back.act, CUSTODY_EXPORT);
        assert_memory_equal(back.nonce, c.nonce, sizeof(c.nonce));
        assert_memory_equal(back.hold, c.hold, sizeof(c.hold));
        assert_memory_equal(back.sha256, c.sha256, sizeof(c.sha256));
}

static void custody_takes_no_other_size_and_no_act_that_it_does_not_know(void **state) {
        uint8_t bytes[CUSTODY_SIZE + 1] = { 0 };
        struct custody c = { .act = CUSTODY_DECRYPT };

        (void) state;
        assert_int_equal(custody_unpack(bytes, CUSTODY_SIZE - 1, &c), -EBADMSG);
        assert_int_equal(custody_unpack(bytes, CUSTODY_SIZE + 1, &c), -EBADMSG);
        for (unsigned act = _CUSTODY_ACT_MAX; act <= UINT8_MAX; act++) {
                bytes[64] = (uint8_t) act;
                assert_int_equal(custody_unpack(bytes, CUSTODY_SIZE, &c), -EBADMSG);
        }
        assert_int_equal(c.act, CUSTODY_DECRYPT);
}

static void custody_ids_differ(void **state) {
        (void) state;
        for (int a = 0; a < _CUSTODY_ACT_MAX; a++)
                for (int b = 0; b < a; b++)
                        assert_string_not_equal(custody_act_id(a), custody_act_id(b));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(custody_layout_is_byte_for_byte_as_documented),
                cmocka_unit_test(custody_takes_no_other_size_and_no_act_that_it_does_not_know),
                cmocka_unit_test(custody_ids_differ),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
