/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/pack.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/pack.h"
#include "lib/scratch.h"

#define WHEN 1795211530

/* Unpacked by a stock tar that complains about anything odd; true when the command is content with what came out. */
static bool unpack(struct pack *p, const struct scratch *s, const char *check) {
        char command[512];

        scratch_write(scratch_path(s, "pack.tar"), p->bytes, p->n);
        (void) snprintf(command, sizeof(command),
                        "cd %s && tar -xpf pack.tar 2>said && test ! -s said && rm pack.tar said && { %s; }", s->path,
                        check);
        return system(command) == 0; /* NOLINT: a fixed command */
}

static void what_goes_in_comes_out_of_a_stock_tar(void **state) {
        static const size_t sizes[] = { 0, 1, 511, 512, 513, PACK_MEMBER_MAX };
        _cleanup_free_ uint8_t *bytes = malloc(PACK_MEMBER_MAX);
        _cleanup_scratch_ struct scratch s;
        struct pack p;

        (void) state;
        assert_int_equal(pack_init(&p), 0);
        for (size_t i = 0; i < PACK_MEMBER_MAX; i++)
                bytes[i] = (uint8_t) (i * 7 + i / 251);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                char name[PACK_NAME_MAX + 1];
                const size_t before = p.n;

                (void) snprintf(name, sizeof(name), "%06zu-kind", i + 1);
                assert_true(pack_has_room(&p, sizes[i]));
                pack_add(&p, name, bytes, sizes[i], WHEN);
                assert_int_equal(p.n - before, pack_cost(sizes[i]));
        }
        assert_int_equal(p.members, ELEMENTSOF(sizes));
        pack_end(&p);
        scratch_make(&s);
        assert_true(unpack(&p, &s, "test $(ls | wc -l) = 6 && test $(stat -c %Y-%a 000003-kind) = 1795211530-400"));
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                char name[PACK_NAME_MAX + 1];

                (void) snprintf(name, sizeof(name), "%06zu-kind", i + 1);
                _cleanup_(scratch_bytes_done) struct scratch_bytes is = scratch_read(scratch_path(&s, name));

                assert_int_equal(is.n, sizes[i]);
                assert_memory_equal(is.data, bytes, sizes[i]);
        }
        pack_done(&p);
}

static void a_changed_byte_of_a_header_is_seen_by_a_stock_tar(void **state) {
        _cleanup_scratch_ struct scratch s;
        struct pack p;

        (void) state;
        assert_int_equal(pack_init(&p), 0);
        pack_add(&p, "000001-a", "hello", 5, WHEN);
        pack_end(&p);
        scratch_make(&s);
        assert_true(unpack(&p, &s, "test $(cat 000001-a) = hello"));
        p.bytes[5] ^= 1;
        assert_false(unpack(&p, &s, "true"));
        pack_done(&p);
}

/* It is asked before each member, and believed: the memory behind it is not the pack's. */
static void a_pack_is_full_before_it_is_larger_than_its_memory(void **state) {
        static uint8_t bytes[PACK_MEMBER_MAX];
        struct pack p;

        (void) state;
        for (size_t n = 0; n <= PACK_MEMBER_MAX; n = n * 3 + 511) {
                size_t members = 0;

                assert_int_equal(pack_init(&p), 0);
                for (; pack_has_room(&p, n); members++)
                        pack_add(&p, "000001-a", bytes, n, WHEN);
                pack_end(&p);
                assert_true(p.n <= PACK_SIZE);
                assert_true(p.n + pack_cost(n) > PACK_SIZE);
                assert_int_equal(p.members, members);
                pack_reset(&p);
                assert_int_equal(p.n + p.members, 0);
                pack_done(&p);
        }
}

static void times_that_no_header_can_hold_do_not_spill_into_the_next_field(void **state) {
        static const time_t times[] = { -1, 0, 077777777777, 0100000000000, INT64_MAX };
        _cleanup_scratch_ struct scratch s;
        char command[256];
        struct pack p;

        (void) state;
        assert_int_equal(pack_init(&p), 0);
        for (size_t i = 0; i < ELEMENTSOF(times); i++)
                pack_add(&p, "000001-a", "x", 1, times[i]);
        pack_end(&p);
        scratch_make(&s);
        scratch_write(scratch_path(&s, "pack.tar"), p.bytes, p.n);
        (void) snprintf(command, sizeof(command), "test $(tar -tf %s/pack.tar | grep -cx 000001-a) = 5", s.path);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
        pack_done(&p);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_goes_in_comes_out_of_a_stock_tar),
                cmocka_unit_test(a_changed_byte_of_a_header_is_seen_by_a_stock_tar),
                cmocka_unit_test(a_pack_is_full_before_it_is_larger_than_its_memory),
                cmocka_unit_test(times_that_no_header_can_hold_do_not_spill_into_the_next_field),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
