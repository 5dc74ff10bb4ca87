/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/isolate.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: agent/core/isolate_set.c */
/* LINK: tests/lib/cage.c */

/* What the packet programs make of packets that no socket here would send: the kernel runs the loaded programs on
 * crafted bytes. */

#include "lib/cage.h"

#include "lib/isolate_box.h"
#include "lib/packet.h"

/* The verdict of the attached program itself. */
static bool passes(enum isolate_hook h, const struct packet *p) {
        struct isolate_link links[_ISOLATE_HOOK_MAX];
        LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = p->b, .data_size_in = (uint32_t) p->n, .repeat = 1);

        isolate_read(isolate, &hold_a, cage.id, links);
        _cleanup_close_ int prog = bpf_prog_get_fd_by_id(links[h].prog_id);

        assert_true(prog >= 0);
        assert_int_equal(bpf_prog_test_run_opts(prog, &run), 0);
        assert_in_range(run.retval, 0, 1);
        return run.retval == 1;
}

static bool out4(const struct v4 *f) {
        const struct packet p = make_v4(f);

        return passes(ISOLATE_EGRESS, &p);
}

static bool in4(const struct v4 *f) {
        const struct packet p = make_v4(f);

        return passes(ISOLATE_INGRESS, &p);
}

static bool out6(const struct v6 *f) {
        const struct packet p = make_v6(f);

        return passes(ISOLATE_EGRESS, &p);
}

static bool in6(const struct v6 *f) {
        const struct packet p = make_v6(f);

        return passes(ISOLATE_INGRESS, &p);
}

static void allow(const struct permit *p, size_t n) {
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        hold(&hold_a, p, n, true, true);
}

static void allow_one(const char *net, uint16_t port, uint8_t proto) {
        const struct permit p = permit_of(net, port, proto);

        allow(&p, 1);
}

static void nothing_passes_without_a_permit(void **state) {
        struct packet arp = make_v4(V4());

        (void) state;
        allow(NULL, 0);
        assert_false(out4(V4()));
        assert_false(in4(V4()));
        assert_false(out6(V6()));
        assert_false(in6(V6()));
        /* what a map of zeros would match if it counted */
        assert_false(out6(V6(.dst = "::", .src = "::", .sport = NO_PORT, .dport = NO_PORT)));
        arp.b[13] = 0x06;
        assert_false(passes(ISOLATE_EGRESS, &arp));
}

static void a_permit_is_for_its_address_port_and_protocol(void **state) {
        (void) state;
        allow_one("10.0.0.5/32", 443, IPPROTO_TCP);
        assert_true(out4(V4()));
        assert_false(out4(V4(.dst = "10.0.0.4")));
        assert_false(out4(V4(.dst = "10.0.0.7")));
        assert_false(out4(V4(.dport = 444)));
        assert_false(out4(V4(.dport = 0xbb01))) /* 443 the other way round */;
        assert_false(out4(V4(.sport = 443, .dport = 1234)));
        assert_false(out4(V4(.proto = IPPROTO_UDP)));
        assert_false(out4(V4(.proto = IPPROTO_ICMP)));
        assert_false(out4(V4(.src = "10.0.0.5", .dst = "10.0.0.9")));
        /* and back */
        assert_true(in4(V4(.src = "10.0.0.5", .dst = "10.0.0.9", .sport = 443, .dport = 1234)));
        assert_false(in4(V4(.src = "10.0.0.5", .dst = "10.0.0.9", .sport = 1234, .dport = 443)));
        assert_false(in4(V4()));
        assert_false(out6(V6(.dst = "::10.0.0.5")));
}

static void an_ipv6_permit_is_for_its_address_port_and_protocol(void **state) {
        (void) state;
        allow_one("fd00::5/128", 443, IPPROTO_TCP);
        assert_true(out6(V6()));
        assert_false(out6(V6(.dst = "fd00::4")));
        assert_false(out6(V6(.dst = "fd01::5")));
        assert_false(out6(V6(.dport = 442)));
        assert_false(out6(V6(.proto = IPPROTO_UDP)));
        assert_true(in6(V6(.src = "fd00::5", .dst = "fd00::9", .sport = 443, .dport = 1234)));
        assert_false(in6(V6()));
        assert_false(out4(V4()));
}

static void any_port_and_any_protocol_are_each_their_own(void **state) {
        (void) state;
        allow_one("10.0.0.5/32", 0, IPPROTO_UDP);
        assert_true(out4(V4(.proto = IPPROTO_UDP, .dport = 1)));
        assert_false(out4(V4(.dport = 1)));
        allow_one("10.0.0.5/32", 443, 0);
        assert_true(out4(V4()));
        assert_true(out4(V4(.proto = IPPROTO_UDP)));
        assert_false(out4(V4(.dport = 442)));
        /* no ports, so no port that is permitted */
        assert_false(out4(V4(.proto = IPPROTO_ICMP)));
        assert_false(out4(V4(.proto = IPPROTO_SCTP)));
        allow_one("10.0.0.5/32", 0, 0);
        assert_true(out4(V4(.proto = IPPROTO_ICMP)));
        assert_true(out4(V4(.proto = IPPROTO_SCTP)));
        assert_true(out4(V4(.proto = IPPROTO_TCP, .dport = 1)));
}

static void prefixes_end_where_they_say(void **state) {
        static const struct {
                const char *net, *inside[2], *outside[2];
        } edges4[] = {
                { "0.0.0.0/0", { "0.0.0.0", "255.255.255.255" }, { NULL, NULL } },
                { "128.0.0.0/1", { "128.0.0.0", "255.255.255.255" }, { "127.255.255.255", "0.0.0.0" } },
                { "10.0.0.0/8", { "10.0.0.0", "10.255.255.255" }, { "9.255.255.255", "11.0.0.0" } },
                { "10.16.0.0/12", { "10.16.0.0", "10.31.255.255" }, { "10.15.255.255", "10.32.0.0" } },
                { "10.1.2.4/31", { "10.1.2.4", "10.1.2.5" }, { "10.1.2.3", "10.1.2.6" } },
                { "10.1.2.4/32", { "10.1.2.4", "10.1.2.4" }, { "10.1.2.3", "10.1.2.5" } },
        }, edges6[] = {
                { "fc00::/7", { "fc00::", "fdff:ffff::1" }, { "fbff:ffff::", "fe00::" } },
                { "fd00:0:0:1::/64", { "fd00:0:0:1::", "fd00:0:0:1:ffff:ffff:ffff:ffff" }, { "fd00:0:0:0:ffff::", "fd00:0:0:2::" } },
                { "fd00::4/127", { "fd00::4", "fd00::5" }, { "fd00::3", "fd00::6" } },
                { "fd00::4/128", { "fd00::4", "fd00::4" }, { "fd00::3", "fd00::5" } },
        };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(edges4); k++) {
                allow_one(edges4[k].net, 443, IPPROTO_TCP);
                for (size_t i = 0; i < 2; i++) {
                        assert_true(out4(V4(.dst = edges4[k].inside[i])));
                        assert_false(edges4[k].outside[i] && out4(V4(.dst = edges4[k].outside[i])));
                }
                assert_false(out6(V6()));
        }
        for (size_t k = 0; k < ELEMENTSOF(edges6); k++) {
                allow_one(edges6[k].net, 443, IPPROTO_TCP);
                for (size_t i = 0; i < 2; i++) {
                        assert_true(out6(V6(.dst = edges6[k].inside[i])));
                        assert_false(out6(V6(.dst = edges6[k].outside[i])));
                }
                assert_false(out4(V4()));
        }
}

static void every_entry_counts_up_to_the_last(void **state) {
        struct permit p[ISOLATE_PERMITS_MAX + 1];

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(p); k++) {
                char net[32];

                (void) snprintf(net, sizeof(net), "10.9.0.%zu/32", k);
                p[k] = permit_of(net, 443, IPPROTO_TCP);
        }
        allow(p, ISOLATE_PERMITS_MAX);
        assert_true(out4(V4(.dst = "10.9.0.0")));
        assert_true(out4(V4(.dst = "10.9.0.127")));
        assert_false(out4(V4(.dst = "10.9.0.128")));
        assert_int_equal(isolate_begin(isolate, &hold_a, p, ISOLATE_PERMITS_MAX + 1, NULL, 0), -E2BIG);
        assert_int_equal(isolate_begin(isolate, &hold_a, p, ISOLATE_PERMITS_MAX, p, 1), -E2BIG);
        /* both lists, in one */
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_int_equal(isolate_begin(isolate, &hold_a, &p[1], 1, &p[2], 1), 0);
        assert_int_equal(isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_PACKETS), 0);
        isolate_end(isolate);
        assert_false(out4(V4(.dst = "10.9.0.0")));
        assert_true(out4(V4(.dst = "10.9.0.1")));
        assert_true(out4(V4(.dst = "10.9.0.2")));
        assert_false(out4(V4(.dst = "10.9.0.3")));
}

static void a_later_fragment_passes_only_where_every_port_does(void **state) {
        (void) state;
        allow_one("10.0.0.5/32", 443, IPPROTO_TCP);
        assert_true(out4(V4(.fragment = IP_MF)));
        assert_true(out4(V4(.fragment = IP_DF)));
        assert_false(out4(V4(.fragment = 1)));
        assert_false(out4(V4(.fragment = IP_MF | 1)));
        assert_false(out4(V4(.fragment = 0x1fff)));
        allow_one("10.0.0.5/32", 0, IPPROTO_TCP);
        assert_true(out4(V4(.fragment = IP_MF | 1)));
        assert_false(out4(V4(.fragment = IP_MF | 1, .proto = IPPROTO_UDP)));
}

static void a_packet_with_options_passes_only_where_everything_does(void **state) {
        (void) state;
        allow_one("10.0.0.5/32", 443, IPPROTO_TCP);
        for (uint8_t ihl = 6; ihl <= 15; ihl++)
                assert_false(out4(V4(.ihl = ihl)));
        allow_one("10.0.0.5/32", 0, IPPROTO_TCP);
        assert_false(out4(V4(.ihl = 6)));
        allow_one("10.0.0.5/32", 0, 0);
        assert_true(out4(V4(.ihl = 6)));
        assert_true(out4(V4(.ihl = 15)));
        assert_false(out4(V4(.ihl = 6, .dst = "10.0.0.6")));
}

static void a_header_that_is_too_short_to_be_one_passes_nowhere(void **state) {
        (void) state;
        allow_one("0.0.0.0/0", 0, 0);
        assert_true(out4(V4()));
        for (uint8_t ihl = 16; ihl < 16 + 5; ihl++) /* 16 is 0 to the header */
                assert_false(out4(V4(.ihl = ihl)));
}

static void what_is_cut_short_is_not_permitted(void **state) {
        (void) state;
        allow_one("10.0.0.5/32", 443, IPPROTO_TCP);
        assert_true(out4(V4(.cut = 24)));
        assert_false(out4(V4(.cut = 23)));
        assert_false(out4(V4(.cut = 20)));
        allow_one("fd00::5/128", 443, IPPROTO_TCP);
        assert_true(out6(V6(.cut = 44)));
        assert_false(out6(V6(.cut = 43)));
        assert_false(out6(V6(.cut = 40)));
}

static void extension_headers_pass_only_where_everything_does(void **state) {
        static const uint8_t extensions[] = {
                IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT, IPPROTO_DSTOPTS, 51, 135
        };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(extensions); k++) {
                allow_one("fd00::5/128", 443, IPPROTO_TCP);
                assert_false(out6(V6(.extended = true, .extension = extensions[k])));
                assert_false(in6(V6(.src = "fd00::5", .dst = "fd00::9", .sport = 443, .extended = true,
                                    .extension = extensions[k])));
                allow_one("fd00::5/128", 0, IPPROTO_TCP);
                assert_false(out6(V6(.extended = true, .extension = extensions[k])));
                allow_one("fd00::5/128", 443, 0);
                assert_false(out6(V6(.extended = true, .extension = extensions[k])));
                allow_one("fd00::5/128", 0, 0);
                assert_true(out6(V6(.extended = true, .extension = extensions[k])));
                assert_false(out6(V6(.dst = "fd00::6", .extended = true, .extension = extensions[k])));
        }
}

/* Loading is on the path of an order that finds no spare set. */
static void the_verifier_walks_little(void **state) {
        struct isolate_link links[_ISOLATE_HOOK_MAX];

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        isolate_read(isolate, &hold_a, cage.id, links);
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                _cleanup_close_ int prog = bpf_prog_get_fd_by_id(links[h].prog_id);
                struct bpf_prog_info info = { 0 };
                uint32_t size = sizeof(info);

                assert_true(prog >= 0);
                assert_int_equal(bpf_obj_get_info_by_fd(prog, &info, &size), 0);
                assert_in_range(info.verified_insns, 1, 20000);
        }
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(nothing_passes_without_a_permit),
                CASE(a_permit_is_for_its_address_port_and_protocol),
                CASE(an_ipv6_permit_is_for_its_address_port_and_protocol),
                CASE(any_port_and_any_protocol_are_each_their_own),
                CASE(prefixes_end_where_they_say),
                CASE(every_entry_counts_up_to_the_last),
                CASE(a_later_fragment_passes_only_where_every_port_does),
                CASE(a_packet_with_options_passes_only_where_everything_does),
                CASE(a_header_that_is_too_short_to_be_one_passes_nowhere),
                CASE(what_is_cut_short_is_not_permitted),
                CASE(extension_headers_pass_only_where_everything_does),
                CASE(the_verifier_walks_little),
        };

        return CAGE_MAIN(cases);
}
