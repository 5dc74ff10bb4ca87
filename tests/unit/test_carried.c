/* SPDX-License-Identifier: Apache-2.0 */

/* What is put around an envelope comes off again, and nothing else does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdlib.h>

#include "policy/carried.h"

static void what_is_wrapped_is_unwrapped_byte_for_byte(void **state) {
        static const char *const texts[] = { "", "{}", "{\"a\":1}\n", "}", "{\"carried\":{}}" };

        (void) state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                _cleanup_free_ char *wrapped = NULL;
                size_t n;

                assert_int_equal(carried_wrap(texts[i], strlen(texts[i]), &wrapped, &n), 0);
                assert_int_equal(n, strlen(texts[i]) + CARRIED_EXTRA);
                assert_int_equal(strlen(wrapped), n);
                const char *text = wrapped;
                assert_true(carried_unwrap(&text, &n));
                assert_int_equal(n, strlen(texts[i]));
                assert_memory_equal(text, texts[i], n);
        }
}

static void it_is_written_just_so(void **state) {
        static const char *const texts[] = {
                "",
                "{",
                "{\"carried\":",
                "{\"carried\":{}}\n",
                "{ \"carried\":{}}",
                " {\"carried\":{}}",
                "{\"Carried\":{}}",
                "{\"carried\" :{}}",
                "{\"payload\":\"\",\"carried\":true}",
        };

        (void) state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                const char *text = texts[i];
                size_t n = strlen(text);

                assert_false(carried_unwrap(&text, &n));
                assert_ptr_equal(text, texts[i]);
                assert_int_equal(n, strlen(text));
        }
}

/* A message has no NUL behind it. What is inside may be anything: whoever reads it sees that a brace is missing. */
static void nothing_beyond_the_message_is_read(void **state) {
        static const char whole[] = "{\"carried\":{}}";

        (void) state;
        for (size_t n = 0; n < sizeof(whole); n++) {
                _cleanup_free_ char *copy = malloc(n > 0 ? n : 1);
                const char *text = copy;
                size_t left = n;

                memcpy(copy, whole, n);
                assert_int_equal(carried_unwrap(&text, &left), n > CARRIED_EXTRA && n < sizeof(whole));
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_wrapped_is_unwrapped_byte_for_byte),
                cmocka_unit_test(it_is_written_just_so),
                cmocka_unit_test(nothing_beyond_the_message_is_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
