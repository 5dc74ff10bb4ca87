/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/journalfile.c agent/collect/export.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/export.h"
#include "ctl/journalfile.h"

/* Reads all entries of the bytes; *ret is the last one, the result that of the last call. */
static int read_all(const void *bytes, size_t n, size_t *ret_entries, struct journalfile_entry *ret) {
        FILE *f = fmemopen((void *) bytes, n, "r");
        int r = 1;

        assert_non_null(f);
        *ret_entries = 0;
        *ret = JOURNALFILE_ENTRY_NULL;
        while (r > 0) {
                struct journalfile_entry e = JOURNALFILE_ENTRY_NULL;

                r = journalfile_next(f, &e);
                if (r > 0) {
                        journalfile_entry_done(ret);
                        *ret = e;
                        ++*ret_entries;
                } else
                        journalfile_entry_done(&e);
        }
        assert_int_equal(fclose(f), 0);
        return r;
}

static int read_text(const char *text, size_t *ret_entries, struct journalfile_entry *ret) {
        return read_all(text, strlen(text), ret_entries, ret);
}

static void assert_value(const struct journalfile_entry *e, enum journalfile_field f, const void *bytes, size_t n) {
        assert_int_equal(e->v[f].n, n);
        if (n > 0)
                assert_memory_equal(e->v[f].bytes, bytes, n);
}

static void journalfile_reads_what_the_collector_writes_whatever_was_logged(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
        } messages[] = {
                { "plain", 5 }, { "a\nMESSAGE=forged\n\n", 18 }, { "\0\xff", 2 }, { "", 0 }, { "\xc3\xa9", 2 }
        };
        struct export x = { .n = 0 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(messages); i++) {
                char field[64] = "MESSAGE=";
                _cleanup_(journalfile_entry_done) struct journalfile_entry e = JOURNALFILE_ENTRY_NULL;
                size_t n;

                memcpy(field + 8, messages[i].bytes, messages[i].n);
                export_reset(&x);
                assert_int_equal(export_text(&x, "__REALTIME_TIMESTAMP=%d\n", 1795000), 0);
                assert_int_equal(export_field(&x, field, 8 + messages[i].n), 0);
                assert_int_equal(export_field(&x, "_PID=4711", 9), 0);
                assert_int_equal(export_text(&x, "\n"), 0);
                assert_int_equal(read_all(x.bytes, x.n, &n, &e), 0);
                assert_int_equal(n, 1);
                assert_value(&e, JOURNALFILE_MESSAGE, messages[i].bytes, messages[i].n);
                assert_int_equal(journalfile_number(&e, JOURNALFILE_REALTIME), 1795000);
                assert_int_equal(journalfile_number(&e, JOURNALFILE_PID), 4711);
        }
        export_done(&x);
}

static void journalfile_takes_the_first_of_a_field_and_skips_the_others(void **state) {
        _cleanup_(journalfile_entry_done) struct journalfile_entry e = JOURNALFILE_ENTRY_NULL;
        size_t n;

        (void) state;
        assert_int_equal(read_text("\n\nMESSAGE=1\nMESSAGE=2\nOTHER=3\n\n\nMESSAGE=4\nMESSAGE=5\n\n\n", &n, &e), 0);
        assert_int_equal(n, 2);
        assert_value(&e, JOURNALFILE_MESSAGE, "4", 1);
}

static void journalfile_keeps_the_beginning_of_what_is_large(void **state) {
        const size_t size = 3 * JOURNALFILE_VALUE_MAX;
        _cleanup_(journalfile_entry_done) struct journalfile_entry e = JOURNALFILE_ENTRY_NULL;
        _cleanup_free_ char *text = malloc(size + 64);
        size_t n;

        (void) state;
        assert_non_null(text);
        strcpy(text, "MESSAGE=");
        memset(text + 8, 'x', size);
        strcpy(text + 8 + size, "\n_PID=1\n\n");
        assert_int_equal(read_text(text, &n, &e), 0);
        assert_int_equal(e.v[JOURNALFILE_MESSAGE].n, JOURNALFILE_VALUE_MAX);
        assert_int_equal(journalfile_number(&e, JOURNALFILE_PID), 1);
}

static void journalfile_says_where_it_ends_in_the_middle(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
        } bad[] = {
                { "MESSAGE=1\n\nMESSAGE=2\n", 21 },
                { "MESSAGE=1\n\nMESS", 15 },
                { "MESSAGE=1\n\nMESSAGE\n\1\0\0", 22 },
                { "MESSAGE=1\n\nMESSAGE\n\2\0\0\0\0\0\0\0x\n", 29 },
                { "MESSAGE=1\n\nmessage=1\n\n", 22 },
                { "MESSAGE=1\n\nMESSAGE\n\1\0\0\0\0\0\0\0xy\n", 30 },
                { "MESSAGE=1\n\nMESSAGE\n\377\377\377\377\377\377\377\377x", 28 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_(journalfile_entry_done) struct journalfile_entry e = JOURNALFILE_ENTRY_NULL;
                size_t n;

                assert_int_equal(read_all(bad[i].bytes, bad[i].n, &n, &e), -EBADMSG);
                assert_int_equal(n, 1);
        }
}

static void journalfile_numbers_are_digits(void **state) {
        static const char *const bad[] = { "-1", "1x", "", " 1", "1234567890123456789" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct journalfile_entry e = { .v[JOURNALFILE_PID] = { (uint8_t *) bad[i], strlen(bad[i]) } };

                assert_int_equal(journalfile_number(&e, JOURNALFILE_PID), -1);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(journalfile_reads_what_the_collector_writes_whatever_was_logged),
                cmocka_unit_test(journalfile_takes_the_first_of_a_field_and_skips_the_others),
                cmocka_unit_test(journalfile_keeps_the_beginning_of_what_is_large),
                cmocka_unit_test(journalfile_says_where_it_ends_in_the_middle),
                cmocka_unit_test(journalfile_numbers_are_digits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
