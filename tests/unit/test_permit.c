/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "policy/permit.h"

static const struct {
        const char *in, *out;
        uint8_t prefix;
} nets[] = {
        { "10.0.0.5", "10.0.0.5/32", 128 },
        { "10.0.0.5/32", "10.0.0.5/32", 128 },
        { "10.0.0.0/8", "10.0.0.0/8", 104 },
        { "10.128.0.0/9", "10.128.0.0/9", 105 },
        { "0.0.0.0/0", "0.0.0.0/0", 96 },
        { "128.0.0.0/1", "128.0.0.0/1", 97 },
        { "255.255.255.255", "255.255.255.255/32", 128 },
        { "fd00::/8", "fd00::/8", 8 },
        { "::1", "::1/128", 128 },
        { "::1/128", "::1/128", 128 },
        { "2000::/3", "2000::/3", 3 },
        { "8000::/1", "8000::/1", 1 },
        { "FE80::0:1", "fe80::1/128", 128 },
        { "64:ff9b::10.0.0.5", "64:ff9b::a00:5/128", 128 },
        { "::/96", "::/96", 96 },
        { "::fffe:0:0/96", "::fffe:0:0/96", 96 },
        { "2001:db8:ffff:ffff:ffff:ffff:255.255.255.255", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff/128", 128 },
};

static const char *const refused[] = {
        "",
        "/",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/+8",
        "10.0.0.0/-1",
        "10.0.0.0/08",
        "10.0.0.0/ 8",
        "10.0.0.0/8 ",
        "10.0.0.0/8/8",
        "10.0.0.0/8x",
        "10.0.0.0/0x8",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/4294967304",
        "10.0.0.0/18446744073709551624",
        "fd00::/129",
        "fd00::/1000",
        "10.0.0",
        "10",
        "10.0.0.0.0",
        "10.0.0.256",
        "010.0.0.1",
        "0x0a.0.0.1",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1\n",
        "example.org",
        "localhost",
        "fe80::1%lo",
        "fe80::1%lo/64",
        "[::1]",
        "::1/",
        ":::",
        "1:2:3:4:5:6:7:8:9",
        "10.0.0.1:443",
        /* host bits */
        "10.0.0.5/8",
        "10.0.0.1/31",
        "128.0.0.1/1",
        "1.0.0.0/0",
        "0.0.0.1/0",
        "fd00::1/8",
        "fd80::/8",
        "::1/127",
        "2001:db8::1/64",
        "::1/0",
        /* covers, or is, IPv4 written as IPv6 */
        "::/0",
        "::/1",
        "::/80",
        "::ffff:10.0.0.5",
        "::ffff:10.0.0.0/104",
        "::ffff:0:0/96",
        "::ffff:0:0/95",
        "::fffe:0:0/95",
        "::ffff:0.0.0.0",
        /* longer than any address */
        "1111:2222:3333:4444:5555:6666:255.255.255.2555/128",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static void permit_nets_are_read_and_written_back(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(nets); i++) {
                struct permit p = { .port = 7, .proto = IPPROTO_UDP }, again = p;
                char s[PERMIT_STR_SIZE];

                if (permit_net_from_str(nets[i].in, &p) < 0)
                        fail_msg("refused: %s", nets[i].in);
                assert_int_equal(p.prefix, nets[i].prefix);
                assert_int_equal(p.port, 7);
                assert_int_equal(p.proto, IPPROTO_UDP);
                permit_net_to_str(&p, s, sizeof(s));
                assert_string_equal(s, nets[i].out);
                assert_int_equal(permit_net_from_str(s, &again), 0);
                assert_memory_equal(&again, &p, sizeof(p));
        }
}

static void permit_nets_of_any_other_form_are_refused(void **state) {
        struct permit before, p;

        (void) state;
        memset(&before, 0xaa, sizeof(before));
        p = before;
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                if (permit_net_from_str(refused[i], &p) != -EINVAL)
                        fail_msg("accepted: %s", refused[i]);
                assert_memory_equal(&p, &before, sizeof(p));
        }
}

static void permit_keeps_ipv4_as_mapped_ipv6(void **state) {
        static const uint8_t addr[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1 };
        struct permit p = {};

        (void) state;
        assert_int_equal(permit_net_from_str("10.1.0.0/16", &p), 0);
        assert_memory_equal(p.addr, addr, sizeof(addr));
        assert_int_equal(p.prefix, 96 + 16);
}

/* No IPv6 network that is accepted holds any IPv4 address, by a walk over the bits that is not the code's own. */
static void permit_of_ipv6_never_covers_ipv4(void **state) {
        (void) state;
        for (unsigned int prefix = 0; prefix <= 128; prefix++)
                for (unsigned int flip = 0; flip <= 128; flip++) {
                        uint8_t addr[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1 };
                        struct permit p = { .prefix = (uint8_t) prefix }, back = {};
                        char s[64];

                        if (flip < 128)
                                addr[flip / 8] ^= (uint8_t) (0x80U >> flip % 8);
                        for (unsigned int bit = prefix; bit < 128; bit++)
                                addr[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
                        memcpy(p.addr, addr, sizeof(addr));
                        (void) snprintf(s, sizeof(s),
                                        "%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x:%02x%02x/%u",
                                        addr[0], addr[1], addr[2], addr[3], addr[4], addr[5], addr[6], addr[7], addr[8],
                                        addr[9], addr[10], addr[11], addr[12], addr[13], addr[14], addr[15], prefix);
                        /* The flip is inside the prefix and before bit 96: the network is apart from all of IPv4. */
                        if (flip < prefix && flip < 96)
                                assert_int_equal(permit_net_from_str(s, &back), 0);
                        else
                                assert_int_equal(permit_net_from_str(s, &back), -EINVAL);
                }
}

static enum reason parse(const char *json, size_t max, struct permit **ret, size_t *ret_n) {
        _cleanup_json_ json_t *j = json_loads(json, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(j);
        return permits_from_json(j, max, ret, ret_n);
}

static void permits_are_read_from_json_and_written_back(void **state) {
        static const char json[] =
                "[{\"net\":\"10.0.0.5/32\",\"port\":443,\"proto\":\"tcp\"},{\"net\":\"fd00::/8\"},"
                "{\"net\":\"10.0.0.0/8\",\"port\":65535},{\"net\":\"10.9.0.0/16\",\"proto\":\"udp\"}]";
        _cleanup_json_ json_t *out = NULL;
        _cleanup_free_ struct permit *p = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n = 0;

        (void) state;
        assert_int_equal(parse(json, 4, &p, &n), REASON_NONE);
        assert_int_equal(n, 4);
        assert_int_equal(p[0].port, 443);
        assert_int_equal(p[0].proto, IPPROTO_TCP);
        assert_int_equal(p[1].port, 0);
        assert_int_equal(p[1].proto, 0);
        assert_int_equal(p[2].port, 65535);
        assert_int_equal(p[3].proto, IPPROTO_UDP);

        out = permits_to_json(p, n);
        text = json_dumps(out, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(text, json);
}

static void permits_of_nothing_are_none(void **state) {
        _cleanup_json_ json_t *out = permits_to_json(NULL, 0);
        struct permit *p = (struct permit *) 1;
        size_t n = 7;

        (void) state;
        assert_int_equal(permits_from_json(NULL, 4, &p, &n), REASON_NONE);
        assert_null(p);
        assert_int_equal(n, 0);
        assert_int_equal(parse("[]", 0, &p, &n), REASON_NONE);
        assert_null(p);
        assert_int_equal(json_array_size(out), 0);
}

static void permits_refuse_each_wrong_entry(void **state) {
        static const struct {
                const char *json;
                enum reason reason;
        } rows[] = {
                { "{}", REASON_SCHEMA },
                { "null", REASON_SCHEMA },
                { "\"10.0.0.5\"", REASON_SCHEMA },
                { "[\"10.0.0.5\"]", REASON_SCHEMA },
                { "[{}]", REASON_SCHEMA },
                { "[[]]", REASON_SCHEMA },
                { "[null]", REASON_SCHEMA },
                { "[{\"port\":443}]", REASON_SCHEMA },
                { "[{\"net\":10}]", REASON_SCHEMA },
                { "[{\"net\":null}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5/8\"}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"port\":0}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"port\":-1}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"port\":65536}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"port\":443.0}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"port\":\"443\"}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"port\":null}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"proto\":\"TCP\"}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"proto\":\"icmp\"}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"proto\":\"\"}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"proto\":6}]", REASON_SCHEMA },
                { "[{\"net\":\"10.0.0.5\",\"ports\":443}]", REASON_FIELD },
                { "[{\"net\":\"10.0.0.5\",\"Net\":\"10.0.0.5\"}]", REASON_FIELD },
                { "[{\"net\":\"10.0.0.5\"},{\"net\":\"10.0.0.6\"},{\"net\":\"10.0.0.7\"}]", REASON_SCHEMA },
        };
        struct permit *p = (struct permit *) 1;
        size_t n = 7;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (parse(rows[i].json, 2, &p, &n) != rows[i].reason)
                        fail_msg("%s", rows[i].json);
                assert_ptr_equal(p, (struct permit *) 1);
                assert_int_equal(n, 7);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(permit_nets_are_read_and_written_back),
                cmocka_unit_test(permit_nets_of_any_other_form_are_refused),
                cmocka_unit_test(permit_keeps_ipv4_as_mapped_ipv6),
                cmocka_unit_test(permit_of_ipv6_never_covers_ipv4),
                cmocka_unit_test(permits_are_read_from_json_and_written_back),
                cmocka_unit_test(permits_of_nothing_are_none),
                cmocka_unit_test(permits_refuse_each_wrong_entry),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
