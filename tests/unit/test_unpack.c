/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/unpack.c ctl/sums.c ctl/member.c agent/collect/pack.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/pack.h"
#include "ctl/unpack.h"

#define BLOCK 512U

struct seen {
        size_t n;
        char names[8][64];
        size_t sizes[8];
        int stop;
};

static int see(const char *name, const uint8_t *bytes, size_t n, void *userdata) {
        struct seen *s = userdata;

        assert_true(s->n < ELEMENTSOF(s->names));
        for (size_t i = 0; i < n; i++)
                assert_int_equal(bytes[i], 'x');
        (void) snprintf(s->names[s->n], sizeof(s->names[0]), "%s", name);
        s->sizes[s->n++] = n;
        return s->stop;
}

static void fill(struct pack *p) {
        static const size_t sizes[] = { 0, 1, 512, 1000 };
        char bytes[1000];

        memset(bytes, 'x', sizeof(bytes));
        assert_int_equal(pack_init(p), 0);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                char name[32];

                (void) snprintf(name, sizeof(name), "%06zu-kind", i + 1);
                pack_add(p, name, bytes, sizes[i], 0);
        }
        pack_end(p);
}

static void what_the_collector_packs_is_unpacked(void **state) {
        struct seen s = { .n = 0 };
        struct pack p;

        (void) state;
        fill(&p);
        assert_int_equal(unpack(p.bytes, p.n, see, &s), 0);
        assert_int_equal(s.n, 4);
        assert_string_equal(s.names[3], "000004-kind");
        assert_int_equal(s.sizes[3], 1000);
        s = (struct seen) { .stop = -ECANCELED };
        assert_int_equal(unpack(p.bytes, p.n, see, &s), -ECANCELED);
        assert_int_equal(s.n, 1);
        pack_done(&p);
}

/* On the heap as long as it is, so that a byte read behind it is seen. */
static int unpack_cut(const struct pack *p, size_t n, struct seen *s) {
        _cleanup_free_ uint8_t *bytes = malloc(n ? n : 1);

        memcpy(bytes, p->bytes, n);
        *s = (struct seen) { .n = 0 };
        return unpack(bytes, n, see, s);
}

static void an_archive_that_is_cut_anywhere_is_an_error_after_what_is_whole_of_it(void **state) {
        struct seen s;
        struct pack p;

        (void) state;
        fill(&p);
        for (size_t n = 0; n < p.n - BLOCK; n += 13)
                assert_int_equal(unpack_cut(&p, n, &s), -EBADMSG);
        assert_int_equal(s.n, 4);
        assert_int_equal(unpack_cut(&p, p.n - BLOCK, &s), 0);
        pack_done(&p);
}

static void sizes_and_names_that_lead_elsewhere_are_refused(void **state) {
        static const char *const names[] = { "",
                                             "..",
                                             "../../etc/passwd",
                                             "/etc/passwd",
                                             "a/b",
                                             ".hidden",
                                             "a\nb",
                                             "A",
                                             "a b",
                                             "\xff",
                                             "a\\",
                                             "-\x1b[2J",
                                             "0123456789012345678901234567890123456789012345678901234567890123" };
        static const char *const sizes[] = { "77777777777", "00000004001", "-0000000001",
                                             "0000000001x", "00000000 10", "\x80" };
        struct seen s;
        struct pack p;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                fill(&p);
                memset(p.bytes, 0, 100);
                memcpy(p.bytes, names[i], strlen(names[i]));
                assert_int_equal(unpack_cut(&p, p.n, &s), -EBADMSG);
                assert_int_equal(s.n, 0);
                pack_done(&p);
        }
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                fill(&p);
                memcpy(p.bytes + p.n - 2 * BLOCK - 3 * BLOCK + 124, sizes[i], strlen(sizes[i]));
                assert_int_equal(unpack_cut(&p, p.n, &s), -EBADMSG);
                assert_int_equal(s.n, 3);
                pack_done(&p);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_the_collector_packs_is_unpacked),
                cmocka_unit_test(an_archive_that_is_cut_anywhere_is_an_error_after_what_is_whole_of_it),
                cmocka_unit_test(sizes_and_names_that_lead_elsewhere_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
