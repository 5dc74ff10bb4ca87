/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/attrs.c agent/collect/index.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/netlink.h>

#include "agent/collect/attrs.h"
#include "agent/collect/index.h"

static const struct attrs inner[] = { { 1, ATTRS_U32, "n", NULL, NULL }, { 0 } };
static const struct attrs_field fields[] = {
        { "low", 0, ATTRS_U16, 0 }, { "mac", 2, ATTRS_ADDRESS, 6 }, { "late", 8, ATTRS_U32, 0 }, { 0 }
};
static const struct attrs table[] = {
        { 1, ATTRS_U8, "u8", NULL, NULL },
        { 2, ATTRS_U16, "u16", NULL, NULL },
        { 3, ATTRS_U32, "u32", NULL, NULL },
        { 4, ATTRS_U64, "u64", NULL, NULL },
        { 5, ATTRS_BE16, "be16", NULL, NULL },
        { 6, ATTRS_BE32, "be32", NULL, NULL },
        { 7, ATTRS_BE64, "be64", NULL, NULL },
        { 8, ATTRS_TEXT, "text", NULL, NULL },
        { 9, ATTRS_UNIX, "path", NULL, NULL },
        { 10, ATTRS_ADDRESS, "addr", NULL, NULL },
        { 11, ATTRS_NEST, "nest", inner, NULL },
        { 12, ATTRS_LIST, "list", inner, NULL },
        { 13, ATTRS_STRUCT, "struct", NULL, fields },
        { 14, ATTRS_HEX, "hex", NULL, NULL },
        { 0 },
};
/* A table that is its own nest, as expressions have it. */
static const struct attrs endless[] = { { 1, ATTRS_NEST, "in", endless, NULL }, { 0 } };

/* Attributes one after the other, as the kernel writes them. */
struct message {
        uint8_t bytes[4096];
        size_t n;
};

static void put(struct message *m, unsigned id, const void *bytes, size_t n) {
        const struct nlattr a = { .nla_len = (uint16_t) (NLA_HDRLEN + n), .nla_type = (uint16_t) id };

        memcpy(m->bytes + m->n, &a, sizeof(a));
        if (n > 0)
                memcpy(m->bytes + m->n + NLA_HDRLEN, bytes, n);
        m->n += NLA_ALIGN(NLA_HDRLEN + n);
}

static void expect_of(const struct message *m, const struct attrs *t, const char *json) {
        _cleanup_json_ json_t *o = json_object(), *want = json_loads(json, 0, NULL);
        _cleanup_free_ char *line = NULL;

        assert_non_null(want);
        assert_int_equal(attrs_decode(o, m->bytes, m->n, t), 0);
        assert_int_equal(index_json_line(o, &line), 0);
        if (!json_equal(o, want))
                fail_msg("%s is not %s", line, json);
}

static void expect(const struct message *m, const char *json) {
        expect_of(m, table, json);
}

static void numbers_are_read_in_their_order_of_bytes(void **state) {
        const uint16_t u16 = 0x1234;
        const uint32_t u32 = 0xfedcba98;
        const uint64_t u64 = 0x0102030405060708, above = UINT64_MAX;
        struct message m = { .n = 0 };

        (void) state;
        put(&m, 1, "\xff", 1);
        put(&m, 2, &u16, 2);
        put(&m, 3, &u32, 4);
        put(&m, 4, &u64, 8);
        put(&m, 5, "\x12\x34", 2);
        put(&m, 6, "\xfe\xdc\xba\x98", 4);
        put(&m, 7, "\1\2\3\4\5\6\7\x08", 8);
        expect(&m, "{\"u8\":255,\"u16\":4660,\"u32\":4275878552,\"u64\":72623859790382856,\"be16\":4660,"
                   "\"be32\":4275878552,\"be64\":72623859790382856}");
        m.n = 0;
        put(&m, 4, &above, 8);
        expect(&m, "{\"u64\":\"18446744073709551615\"}");
}

static void what_no_table_knows_is_kept_in_hex(void **state) {
        struct message m = { .n = 0 };

        (void) state;
        put(&m, 99, "\xde\xad", 2);
        put(&m, 98, NULL, 0);
        put(&m, 1, "\1\2", 2); /* longer than a byte is */
        put(&m, NLA_F_NESTED | 14, "\xbe", 1);
        expect(&m, "{\"attr_99\":\"dead\",\"attr_98\":\"\",\"attr_1\":\"0102\",\"hex\":\"be\"}");
}

static void what_comes_twice_is_an_array(void **state) {
        struct message m = { .n = 0 };

        (void) state;
        put(&m, 1, "\1", 1);
        put(&m, 1, "\2", 1);
        put(&m, 1, "\3", 1);
        expect(&m, "{\"u8\":[1,2,3]}");
}

static void text_of_an_attacker_is_no_more_than_text(void **state) {
        struct message m = { .n = 0 };

        (void) state;
        put(&m, 8, "eth0\0rest", 9);
        put(&m, 9, "/run/a b\n\x1b[2J", 13);
        expect(&m, "{\"text\":\"eth0\",\"path\":\"/run/a b\\n\\u001b[2J\"}");
        m.n = 0;
        put(&m, 9, "\0hidden", 7);
        put(&m, 8, "\xff\xfe", 2);
        expect(&m, "{\"abstract\":\"hidden\",\"text_b64\":\"//4=\"}");
        m.n = 0;
        put(&m, 9, "\0a\0b", 4);
        expect(&m, "{\"abstract_b64\":\"YQBi\"}");
}

static void addresses_are_written_by_their_length(void **state) {
        struct message m = { .n = 0 };

        (void) state;
        put(&m, 10, "\x7f\0\0\1", 4);
        put(&m, 10, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
        put(&m, 10, "\2\0\0\0\0\x0a", 6);
        put(&m, 10, "\1\2\3", 3);
        expect(&m, "{\"addr\":[\"127.0.0.1\",\"::1\",\"02:00:00:00:00:0a\",\"010203\"]}");
}

static void structures_end_where_the_kernel_ends_them(void **state) {
        struct message m = { .n = 0 };

        (void) state;
        put(&m, 13, "\1\0\2\0\0\0\0\1\7\0\0\0", 12);
        expect(&m, "{\"struct\":{\"low\":1,\"mac\":\"02:00:00:00:00:01\",\"late\":7}}");
        m.n = 0;
        put(&m, 13, "\1\0\2\0\0\0\0\1\7\0\0", 11);
        expect(&m, "{\"struct\":{\"low\":1,\"mac\":\"02:00:00:00:00:01\"}}");
        m.n = 0;
        put(&m, 13, NULL, 0);
        expect(&m, "{\"struct\":{}}");
}

static void lists_are_arrays_of_what_is_in_them(void **state) {
        struct message one = { .n = 0 }, list = { .n = 0 }, m = { .n = 0 };

        (void) state;
        put(&one, 1, "\5\0\0\0", 4);
        put(&list, 1, one.bytes, one.n);
        put(&list, 2, one.bytes, one.n);
        put(&m, 12, list.bytes, list.n);
        put(&m, 11, one.bytes, one.n);
        expect(&m, "{\"list\":[{\"n\":5},{\"n\":5}],\"nest\":{\"n\":5}}");
        m.n = 0;
        put(&m, 12, "\3\0\0\0\7", 5);
        expect(&m, "{\"list\":[\"0300000007\"]}");
}

static void lengths_that_lie_end_the_message_in_hex(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
                const char *json;
        } cases[] = {
                { "", 0, "{}" },
                { "\1", 1, "{\"rest\":\"01\"}" },
                { "\0\0\1\0", 4, "{\"rest\":\"00000100\"}" },
                { "\3\0\1\0", 4, "{\"rest\":\"03000100\"}" },
                { "\5\0\1\0", 4, "{\"rest\":\"05000100\"}" },
                { "\xff\xff\1\0\1", 5, "{\"rest\":\"ffff010001\"}" },
                { "\5\0\1\0\7", 5, "{\"u8\":7}" },
                { "\5\0\1\0\7\0\0\0\4", 9, "{\"u8\":7,\"rest\":\"04\"}" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct message m = { .n = cases[i].n };

                memcpy(m.bytes, cases[i].bytes, cases[i].n);
                expect(&m, cases[i].json);
        }
}

static void nests_without_end_end(void **state) {
        _cleanup_json_ json_t *o = json_object();
        struct message m = { .n = 0 };
        unsigned depth = 0;

        (void) state;
        for (int i = 0; i < 500; i++) {
                struct message outer = { .n = 0 };

                put(&outer, 1, m.bytes, m.n);
                m = outer;
        }
        assert_int_equal(attrs_decode(o, m.bytes, m.n, endless), 0);
        for (const json_t *in = o; in; in = json_object_get(in, "in"))
                depth++;
        assert_in_range(depth, 2, 32);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(numbers_are_read_in_their_order_of_bytes),
                cmocka_unit_test(what_no_table_knows_is_kept_in_hex),
                cmocka_unit_test(what_comes_twice_is_an_array),
                cmocka_unit_test(text_of_an_attacker_is_no_more_than_text),
                cmocka_unit_test(addresses_are_written_by_their_length),
                cmocka_unit_test(structures_end_where_the_kernel_ends_them),
                cmocka_unit_test(lists_are_arrays_of_what_is_in_them),
                cmocka_unit_test(lengths_that_lie_end_the_message_in_hex),
                cmocka_unit_test(nests_without_end_end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
