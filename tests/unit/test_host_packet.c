/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/hostset.c agent/core/isolate.c agent/core/isolate_set.c agent/core/cgroup.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* What the programs of a hold on the whole host make of packets, run by the kernel on crafted bytes: whatever is true
 * of one protocol family is asked of the other. The kernel runs a program with a socket of the caller's cgroup, so who
 * it is can be chosen; that the socket is a TCP one cannot, which tests/host/065-host.sh tries with real ones. */

#include "lib/cage.h"

#include <bpf/libbpf.h>

#include <linux/if_ether.h>
#include <net/if.h>

#include "lib/isolate_box.h"
#include "lib/packet.h"

#include "agent/core/hostset.h"

#define MARK      0xfee1c001U
#define NOT_RUN   4711       /* no program's verdict */
#define GO_ON     UINT32_MAX /* TCX_NEXT, TC_ACT_UNSPEC */
#define DROP      2
#define SOLICIT   (133 << 8)
#define NEIGHBOUR (135 << 8)
#define REDIRECT  (137 << 8)
#define ECHO6     (128 << 8)
#define MLD2      (143 << 8)

static struct hostset set;
static struct management facts;
static unsigned uplink;

/* The programs ask for the index of the interface, and the loopback's is no uplink. */
static int begin(void **state) {
        int r = box_begin(state);

        if (r != 0)
                return r;
        assert_int_equal(system("ip link show dev up0 >/dev/null 2>&1 || ip link add up0 type veth peer name up1"), 0);
        uplink = if_nametoindex("up0");
        assert_int_not_equal(uplink, 0);
        facts = (struct management) { .root_id = cage_top()->id };
        return 0;
}

static int end(void **state) {
        hostset_close(&set);
        return box_end(state);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void load(const char *net, uint16_t port, uint8_t proto) {
        const struct permit p = net ? permit_of(net, port, proto) : (struct permit) { 0 };

        hostset_close(&set);
        assert_int_equal(hostset_load(&facts, MARK, &p, net ? 1 : 0, NULL, 0, -EBADF, &set), 0);
}

static void load_unit(uint32_t may) {
        facts.units[0] = (struct management_unit) { .cgroup_id = cage.id, .may = may };
        facts.n_units = 1;
        load(NULL, 0, 0);
}

struct run {
        int prog;
        unsigned ifindex;
        const struct packet *p;
};

struct verdict {
        uint32_t value, mark;
};

static struct verdict run(const struct run *r) {
        struct __sk_buff in = { .ifindex = r->ifindex }, out = { 0 };
        LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = r->p->b, .data_size_in = (uint32_t) r->p->n, .repeat = 1,
                    .ctx_in = &in, .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out));

        if (bpf_prog_test_run_opts(r->prog, &opts) < 0)
                return (struct verdict) { .value = NOT_RUN };
        return (struct verdict) { .value = opts.retval, .mark = out.mark };
}

/* As exit status of whoever it is run as. */
enum { DROPPED, PASSED, MARKED, UNKNOWN };

static int run_hook(void *userdata) {
        const struct verdict v = run(userdata);

        return v.value > 1 ? UNKNOWN : v.value == 0 ? DROPPED : v.mark == MARK ? MARKED : PASSED;
}

static bool sends(const struct cage *who, const struct packet *p) {
        struct run r = { .prog = set.hook[ISOLATE_EGRESS], .ifindex = uplink, .p = p };
        const int verdict = cage_call(who, run_hook, &r);

        assert_true(verdict == DROPPED || verdict == MARKED);
        return verdict == MARKED;
}

static bool gets(const struct cage *who, const struct packet *p) {
        struct run r = { .prog = set.hook[ISOLATE_INGRESS], .ifindex = uplink, .p = p };

        const int verdict = cage_call(who, run_hook, &r);

        assert_true(verdict == DROPPED || verdict == PASSED);
        return verdict == PASSED;
}

static int run_uplink(void *userdata) {
        const struct verdict v = run(userdata);

        return v.value == GO_ON ? PASSED : v.value == DROP ? DROPPED : UNKNOWN;
}

static bool leaves(const struct cage *who, const struct packet *p) {
        struct run r = { .prog = set.uplink, .ifindex = uplink, .p = p };

        const int verdict = cage_call(who, run_uplink, &r);

        assert_true(verdict == DROPPED || verdict == PASSED);
        return verdict == PASSED;
}

/* One of each family, both ways and on an uplink. */
static void all_pass(const struct packet *p4, const struct packet *p6, bool pass) {
        const struct packet *const both[] = { p4, p6 };

        for (size_t k = 0; k < ELEMENTSOF(both); k++) {
                assert_int_equal(sends(&cage, both[k]), pass);
                assert_int_equal(gets(&cage, both[k]), pass);
                assert_int_equal(leaves(&cage, both[k]), pass);
        }
}

#define ALL_PASS(pass, ...)                                                                       \
        do {                                                                                      \
                const struct packet p4 = make_v4(V4(__VA_ARGS__)), p6 = make_v6(V6(__VA_ARGS__)); \
                all_pass(&p4, &p6, pass);                                                         \
        } while (false)

static struct packet ethernet(uint16_t type, size_t n) {
        struct packet p = { .n = n };

        p.b[12] = (uint8_t) (type >> 8);
        p.b[13] = (uint8_t) type;
        return p;
}

static struct packet dhcp4(const char *dst, int sport, int dport) {
        return make_v4(V4(.src = "0.0.0.0", .dst = dst, .proto = IPPROTO_UDP, .sport = sport, .dport = dport));
}

static struct packet dhcp6(const char *dst, int sport, int dport) {
        return make_v6(V6(.src = "fe80::1", .dst = dst, .proto = IPPROTO_UDP, .sport = sport, .dport = dport));
}

static void nothing_passes_that_nobody_permits(void **state) {
        (void) state;
        load(NULL, 0, 0);
        ALL_PASS(false, .proto = IPPROTO_TCP);
        ALL_PASS(false, .proto = IPPROTO_UDP);
        ALL_PASS(false, .proto = IPPROTO_SCTP);
        ALL_PASS(false, .proto = IPPROTO_TCP, .sport = 22);
        ALL_PASS(false, .proto = IPPROTO_UDP, .dport = 53);
        const struct packet ping4 = make_v4(V4(.proto = IPPROTO_ICMP, .sport = 8 << 8));
        const struct packet ping6 = make_v6(V6(.proto = IPPROTO_ICMPV6, .sport = ECHO6, .hops = 255));

        all_pass(&ping4, &ping6, false);
}

static void the_loopback_is_nobodys_way_out(void **state) {
        const struct packet p4 = make_v4(V4()), p6 = make_v6(V6());
        struct run r = { .ifindex = 1 };

        (void) state;
        load(NULL, 0, 0);
        for (int k = 0; k < 4; k++) {
                r.prog = set.hook[k % 2 ? ISOLATE_EGRESS : ISOLATE_INGRESS];
                r.p = k < 2 ? &p4 : &p6;
                assert_int_equal(run(&r).value, 1);
                assert_int_equal(run(&r).mark, 0);
        }
}

static void a_permit_is_for_its_address_port_and_protocol_in_both_families(void **state) {
        static const char *const nets[] = { "10.0.0.5/32", "fd00::5/128" };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(nets); k++) {
                const struct packet out[] = { make_v4(V4()), make_v6(V6()) };
                const struct packet in[] = {
                        make_v4(V4(.src = "10.0.0.5", .dst = "10.0.0.9", .sport = 443, .dport = 1234)),
                        make_v6(V6(.src = "fd00::5", .dst = "fd00::9", .sport = 443, .dport = 1234)),
                };
                const struct packet other[] = { make_v4(V4(.dst = "10.0.0.4")), make_v6(V6(.dst = "fd00::4")) };
                const struct packet port[] = { make_v4(V4(.dport = 444)), make_v6(V6(.dport = 444)) };
                const struct packet proto[] = { make_v4(V4(.proto = IPPROTO_UDP)), make_v6(V6(.proto = IPPROTO_UDP)) };

                load(nets[k], 443, IPPROTO_TCP);
                assert_true(sends(&cage, &out[k]) && leaves(&cage, &out[k]) && gets(&cage, &in[k]));
                assert_false(sends(&cage, &out[!k]) || leaves(&cage, &out[!k]) || gets(&cage, &in[!k]));
                assert_false(gets(&cage, &out[k]));
                assert_false(sends(&cage, &in[k]) || leaves(&cage, &in[k]));
                assert_false(sends(&cage, &other[k]) || leaves(&cage, &other[k]));
                assert_false(sends(&cage, &port[k]) || leaves(&cage, &port[k]));
                assert_false(sends(&cage, &proto[k]) || leaves(&cage, &proto[k]));
        }
}

static void what_hides_its_ports_passes_only_where_everything_does(void **state) {
        const struct packet fragment = make_v4(V4(.fragment = 1)), options = make_v4(V4(.ihl = 6));
        const struct packet extended[] = { make_v6(V6(.extended = true, .extension = IPPROTO_FRAGMENT)),
                                           make_v6(V6(.extended = true, .extension = IPPROTO_ROUTING)),
                                           make_v6(V6(.extended = true, .extension = IPPROTO_DSTOPTS)),
                                           make_v6(V6(.extended = true, .extension = IPPROTO_HOPOPTS)) };

        (void) state;
        load("10.0.0.5/32", 443, IPPROTO_TCP);
        assert_false(sends(&cage, &fragment) || leaves(&cage, &fragment));
        assert_false(sends(&cage, &options) || leaves(&cage, &options));
        load("10.0.0.5/32", 0, IPPROTO_TCP);
        assert_true(sends(&cage, &fragment) && leaves(&cage, &fragment));
        assert_false(sends(&cage, &options) || leaves(&cage, &options));
        load("10.0.0.5/32", 0, 0);
        assert_true(sends(&cage, &fragment) && leaves(&cage, &fragment));
        assert_true(sends(&cage, &options) && leaves(&cage, &options));
        load("fd00::5/128", 443, IPPROTO_TCP);
        for (size_t k = 0; k < ELEMENTSOF(extended); k++)
                assert_false(sends(&cage, &extended[k]) || leaves(&cage, &extended[k]));
        load("fd00::5/128", 0, 0);
        for (size_t k = 0; k < ELEMENTSOF(extended); k++)
                assert_true(sends(&cage, &extended[k]) && leaves(&cage, &extended[k]));
}

/* On less than a header newer kernels run nothing. */
static void a_header_that_is_too_short_to_be_one_passes_nowhere(void **state) {
        (void) state;
        load("0.0.0.0/0", 0, 0);
        for (uint8_t ihl = 16; ihl < 16 + 5; ihl++) { /* 16 is 0 to the header */
                const struct packet p = make_v4(V4(.ihl = ihl));

                assert_false(sends(&cage, &p) || gets(&cage, &p) || leaves(&cage, &p));
        }
}

static void what_has_no_ports_left_passes_only_where_every_port_does(void **state) {
        const struct packet short4 = make_v4(V4(.cut = 23)), short6 = make_v6(V6(.cut = 43));

        (void) state;
        load("10.0.0.5/32", 443, IPPROTO_TCP);
        assert_false(sends(&cage, &short4) || leaves(&cage, &short4));
        load("10.0.0.5/32", 0, IPPROTO_TCP);
        assert_true(sends(&cage, &short4) && leaves(&cage, &short4));
        load("fd00::5/128", 443, IPPROTO_TCP);
        assert_false(sends(&cage, &short6) || leaves(&cage, &short6));
        load("fd00::5/128", 0, IPPROTO_TCP);
        assert_true(sends(&cage, &short6) && leaves(&cage, &short6));
}

static void nothing_but_ip_and_arp_leaves(void **state) {
        const struct packet arp = ethernet(ETH_P_ARP, 42), padded = ethernet(ETH_P_ARP, 60),
                            most = ethernet(ETH_P_ARP, 64), long_arp = ethernet(ETH_P_ARP, 65);
        static const uint16_t types[] = { ETH_P_8021Q, ETH_P_8021AD, ETH_P_PAE, ETH_P_SLOW, 0x88b5, ETH_P_MPLS_UC };
        struct packet tagged = make_v4(V4()), disguised = make_v6(V6());

        (void) state;
        load(NULL, 0, 0);
        assert_true(leaves(&cage, &arp) && leaves(&cage, &padded) && leaves(&cage, &most));
        assert_false(leaves(&cage, &long_arp));
        for (size_t k = 0; k < ELEMENTSOF(types); k++) {
                const struct packet p = ethernet(types[k], 60);

                assert_false(leaves(&cage, &p));
        }
        /* a tag in the frame hides from which address to which it goes */
        load("0.0.0.0/0", 0, 0);
        tagged.b[12] = ETH_P_8021Q >> 8;
        tagged.b[13] = ETH_P_8021Q & 0xff;
        assert_false(leaves(&cage, &tagged));
        /* nor is anything IPv6 that does not say so */
        load("fd00::5/128", 0, 0);
        assert_true(sends(&cage, &disguised));
        disguised.b[12] = 0x88;
        disguised.b[13] = 0xb5;
        assert_false(sends(&cage, &disguised) || gets(&cage, &disguised) || leaves(&cage, &disguised));
}

static void only_who_configures_the_network_asks_for_an_address(void **state) {
        const struct packet ask4 = dhcp4("255.255.255.255", 68, 67), ask6 = dhcp6("ff02::1:2", 546, 547);
        const struct packet renew4 = dhcp4("10.0.0.1", 68, 67), renew6 = dhcp6("fd00::1", 546, 547);
        const struct packet others4 = dhcp4("10.0.0.2", 68, 67);
        const struct packet near6[] = { dhcp6("ff02::1:3", 546, 547), dhcp6("ff05::1:2", 546, 547) };
        const struct packet answer4 = make_v4(V4(.src = "10.0.0.1", .proto = IPPROTO_UDP, .sport = 67, .dport = 68));
        const struct packet answer6 = make_v6(V6(.src = "fd00::1", .proto = IPPROTO_UDP, .sport = 547, .dport = 546));
        const struct packet wrong4[] = { dhcp4("10.0.0.1", 67, 68), dhcp4("10.0.0.1", 68, 53),
                                         dhcp4("10.0.0.1", 67, 67) };
        const struct packet wrong6[] = { dhcp6("fd00::1", 547, 546), dhcp6("fd00::1", 546, 53),
                                         dhcp6("fd00::1", 547, 547) };
        const struct packet tcp4 = make_v4(V4(.sport = 68, .dport = 67)),
                            tcp6 = make_v6(V6(.sport = 546, .dport = 547));
        const struct cage other = cage_make("other");

        (void) state;
        load_unit(HOST_CONFIGURES);
        assert_true(sends(&cage, &ask4) && leaves(&cage, &ask4) && gets(&cage, &answer4));
        assert_true(sends(&cage, &ask6) && leaves(&cage, &ask6) && gets(&cage, &answer6));
        /* whoever it is where nobody knows who leased the address, for there are clients whose leases are not read */
        assert_true(sends(&cage, &renew4) && leaves(&cage, &renew4) && sends(&cage, &renew6) && leaves(&cage, &renew6));
        assert_false(sends(&other, &renew4) || leaves(&other, &renew4));
        /* else everyone on the link, or who leased it, and no other */
        facts.leases[0] = permit_of("10.0.0.1", 67, IPPROTO_UDP);
        facts.n_leases = 1;
        load_unit(HOST_CONFIGURES);
        assert_true(sends(&cage, &renew4) && leaves(&cage, &renew4));
        assert_false(sends(&cage, &others4) || leaves(&cage, &others4));
        assert_false(sends(&cage, &renew6) || leaves(&cage, &renew6));
        for (size_t k = 0; k < ELEMENTSOF(near6); k++)
                assert_false(sends(&cage, &near6[k]) || leaves(&cage, &near6[k]));
        assert_false(sends(&other, &renew4) || leaves(&other, &renew4));
        assert_false(sends(&other, &ask4) || leaves(&other, &ask4) || gets(&other, &answer4));
        assert_false(sends(&other, &ask6) || leaves(&other, &ask6) || gets(&other, &answer6));
        for (size_t k = 0; k < ELEMENTSOF(wrong4); k++)
                assert_false(sends(&cage, &wrong4[k]) || sends(&cage, &wrong6[k]));
        assert_false(sends(&cage, &tcp4) || sends(&cage, &tcp6));
        /* whoever answers does not configure */
        load_unit(HOST_ANSWERS);
        assert_false(sends(&cage, &ask4) || sends(&cage, &ask6));
}

static void neighbour_discovery_is_the_kernels_own(void **state) {
        const struct packet found = make_v6(V6(.proto = IPPROTO_ICMPV6, .sport = NEIGHBOUR, .hops = 255));
        const struct packet forged = make_v6(V6(.proto = IPPROTO_ICMPV6, .sport = NEIGHBOUR, .hops = 254));
        const struct packet last = make_v6(V6(.proto = IPPROTO_ICMPV6, .sport = REDIRECT, .hops = 255));
        const struct packet next = make_v6(V6(.proto = IPPROTO_ICMPV6, .sport = 138 << 8, .hops = 255));
        const struct packet before = make_v6(V6(.proto = IPPROTO_ICMPV6, .sport = 132 << 8, .hops = 255));
        const struct packet report = make_v6(V6(.dst = "ff02::16", .proto = IPPROTO_ICMPV6, .extended = true,
                                                .extension = IPPROTO_HOPOPTS, .sport = MLD2, .hops = 1));
        const struct packet away = make_v6(V6(.dst = "fd00::5", .proto = IPPROTO_ICMPV6, .extended = true,
                                              .extension = IPPROTO_HOPOPTS, .sport = MLD2, .hops = 1));

        const struct packet far = make_v6(V6(.dst = "ff02::16", .proto = IPPROTO_ICMPV6, .extended = true,
                                             .extension = IPPROTO_HOPOPTS, .sport = MLD2, .hops = 2));
        const struct packet other = make_v6(V6(.dst = "ff02::16", .proto = IPPROTO_UDP, .extended = true,
                                               .extension = IPPROTO_HOPOPTS, .sport = MLD2, .hops = 1));

        (void) state;
        load(NULL, 0, 0);
        assert_false(sends(&cage, &found) || leaves(&cage, &found) || sends(&cage, &report));
        /* a socket outside of the root that is held is the kernel's */
        facts.root_id = cage_top()->id + 1;
        load(NULL, 0, 0);
        assert_true(sends(&cage, &found) && gets(&cage, &found) && leaves(&cage, &found) && sends(&cage, &last));
        assert_true(sends(&cage, &report) && leaves(&cage, &report));
        assert_false(sends(&cage, &forged) || leaves(&cage, &forged) || gets(&cage, &forged));
        assert_false(sends(&cage, &next) || sends(&cage, &before) || sends(&cage, &away));
        assert_false(sends(&cage, &far) || sends(&cage, &other));
}

static void only_who_configures_the_network_solicits_routers(void **state) {
        const struct packet ask = make_v6(V6(.dst = "ff02::2", .proto = IPPROTO_ICMPV6, .sport = SOLICIT, .hops = 255));
        const struct packet away =
                make_v6(V6(.dst = "fd00::2", .proto = IPPROTO_ICMPV6, .sport = SOLICIT, .hops = 255));
        const struct packet far = make_v6(V6(.dst = "ff02::2", .proto = IPPROTO_ICMPV6, .sport = SOLICIT, .hops = 64));

        (void) state;
        load_unit(HOST_CONFIGURES);
        assert_true(sends(&cage, &ask));
        assert_false(sends(&cage, &away) || sends(&cage, &far));
        load_unit(HOST_ANSWERS);
        assert_false(sends(&cage, &ask));
}

static uint64_t count_dropped(void) {
        const size_t cpus = (size_t) libbpf_num_possible_cpus();
        _cleanup_free_ struct isolate_counters *c = calloc(cpus, sizeof(*c));
        uint64_t n = 0;

        assert_non_null(c);
        assert_int_equal(bpf_map_lookup_elem(set.count, &(uint32_t) { 0 }, c), 0);
        for (size_t k = 0; k < cpus; k++)
                n += c[k].dropped_out;
        return n;
}

/* So that a walk through all namespaces gives none of them another. */
static void an_address_of_the_host_leaves_the_uplinks_their_program(void **state) {
        const struct packet p = make_v4(V4(.dst = "10.0.0.9", .proto = IPPROTO_TCP, .dport = 443));
        struct management before;
        struct hostset next;
        uint32_t id;

        (void) state;
        load_unit(HOST_ANSWERS);
        id = set.uplink_id;
        assert_false(leaves(&cage, &p));
        before = facts;
        assert_int_equal(permit_net_from_str("10.0.0.7", &facts.own[facts.n_own++]), 0);
        assert_true(management_only_moved(&before, &facts));
        assert_int_equal(hostset_load(&facts, MARK, NULL, 0, NULL, 0, set.count, &next), 0);
        assert_int_not_equal(next.uplink_id, id);
        hostset_keep_uplink(&next, &set);
        hostset_close(&set);
        set = next;
        assert_int_equal(set.uplink_id, id);
        assert_false(leaves(&cage, &p));
        assert_false(sends(&cage, &p));
        /* what was counted before is counted with it */
        assert_int_equal(count_dropped(), 3);
        facts.units[0].may = HOST_ASKS;
        assert_false(management_only_moved(&before, &facts));
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(nothing_passes_that_nobody_permits),
                CASE(the_loopback_is_nobodys_way_out),
                CASE(a_permit_is_for_its_address_port_and_protocol_in_both_families),
                CASE(what_hides_its_ports_passes_only_where_everything_does),
                CASE(a_header_that_is_too_short_to_be_one_passes_nowhere),
                CASE(what_has_no_ports_left_passes_only_where_every_port_does),
                CASE(nothing_but_ip_and_arp_leaves),
                CASE(only_who_configures_the_network_asks_for_an_address),
                CASE(neighbour_discovery_is_the_kernels_own),
                CASE(only_who_configures_the_network_solicits_routers),
                CASE(an_address_of_the_host_leaves_the_uplinks_their_program),
        };

        return CAGE_MAIN(cases);
}
