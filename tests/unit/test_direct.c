/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/direct.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* The rules for packets that are handed to a driver directly, on an interface of the test's own network namespace, with
 * real packet sockets at both of its ends. */

#include "lib/cage.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/core/direct.h"

#define MARK  0xfee1c001U
#define OTHER "table netdev others { chain out { type filter hook egress device \"up0\" priority 5; policy accept; }; }"

static const struct command_id hold_a = { { 0xa } }, hold_b = { { 0xb } };

static struct uplink link0;
static int out, in;

static int packet_socket(const char *name, int type) {
        const struct sockaddr_ll at = { .sll_family = AF_PACKET,
                                        .sll_ifindex = (int) if_nametoindex(name),
                                        .sll_protocol = htons(ETH_P_ALL) };
        const int fd = socket(AF_PACKET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (const struct sockaddr *) &at, sizeof(at)), 0);
        return fd;
}

static void shell(const char *command) {
        assert_int_equal(system(command), 0);
}

static int begin(void **state) {
        const int r = cage_begin(state), on = 1;

        if (r != 0)
                return r;
        shell("ip link add up0 type veth peer name up1 && ip link set up0 up && ip link set up1 up");
        link0 = (struct uplink) { .name = "up0", .ifindex = if_nametoindex("up0") };
        out = packet_socket("up0", SOCK_RAW);
        in = packet_socket("up1", SOCK_RAW);
        assert_int_equal(setsockopt(out, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)), 0);
        return 0;
}

static int end(void **state) {
        (void) close(out);
        (void) close(in);
        shell("nft flush ruleset; ip link delete up0");
        return cage_end(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void drain(void) {
        char bytes[256];

        while (recv(in, bytes, sizeof(bytes), 0) > 0)
                ;
}

/* Sends a frame of that type and size past the queueing disciplines; true when it comes out of the other end. */
static bool passes(uint16_t type, const void *payload, size_t n_payload, size_t n) {
        uint8_t frame[256] = { 0x02, [11] = 0x01 }, got[256];
        ssize_t r;

        frame[12] = (uint8_t) (type >> 8);
        frame[13] = (uint8_t) type;
        memcpy(frame + 14, payload, n_payload);
        drain();
        (void) send(out, frame, n, 0);
        while ((r = recv(in, got, sizeof(got), 0)) > 0)
                if ((size_t) r == n && memcmp(got, frame, n) == 0)
                        return true;
        return false;
}

static bool ordinary_passes(void) {
        return passes(0x88b5, "mark", 4, 60);
}

static void a_packet_socket_hands_nothing_to_the_driver(void **state) {
        (void) state;
        assert_true(ordinary_passes());
        direct_cover(&hold_a, MARK, &link0, 1);
        assert_true(link0.direct && link0.mended);
        assert_false(ordinary_passes());
        assert_false(passes(ETH_P_IPV6, "mark", 4, 60));
        link0.mended = false;
        direct_cover(&hold_a, MARK, &link0, 1);
        assert_true(link0.direct && !link0.mended);
        assert_int_equal(direct_drop(&hold_a), 0);
        assert_true(ordinary_passes());
        direct_read(&hold_a, MARK, &link0, 1);
        assert_false(link0.direct);
        assert_int_equal(direct_drop(&hold_a), 0);
}

static void what_the_programs_let_through_goes_on(void **state) {
        const int mark = (int) MARK, wrong = (int) MARK - 1, none = 0;

        (void) state;
        direct_cover(&hold_a, MARK, &link0, 1);
        assert_int_equal(setsockopt(out, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
        assert_true(ordinary_passes());
        assert_int_equal(setsockopt(out, SOL_SOCKET, SO_MARK, &wrong, sizeof(wrong)), 0);
        assert_false(ordinary_passes());
        assert_int_equal(setsockopt(out, SOL_SOCKET, SO_MARK, &none, sizeof(none)), 0);
        assert_false(ordinary_passes());
}

/* A datagram comes out of the other end. */
static bool routed_passes(void) {
        const struct sockaddr_in to = { .sin_family = AF_INET,
                                        .sin_port = htons(7),
                                        .sin_addr.s_addr = htonl(0x0a090002) };
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char got[256];
        ssize_t r;
        bool passed = false;

        drain();
        assert_int_equal(sendto(fd, "routed", 6, 0, (const struct sockaddr *) &to, sizeof(to)), 6);
        while ((r = recv(in, got, sizeof(got), 0)) > 0)
                passed |= memmem(got, (size_t) r, "routed", 6) != NULL;
        (void) close(fd);
        return passed;
}

/* What the cgroup's hook did not see, and so has no mark. */
static void what_has_a_route_goes_on_to_the_uplinks_program(void **state) {
        (void) state;
        shell("ip address add 10.9.0.1/24 dev up0 && ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:01 dev up0");
        direct_cover(&hold_a, MARK, &link0, 1);
        assert_true(routed_passes());
        shell("nft delete rule $(nft -a list ruleset | sed -n 's/.*chain \\(up[0-9]*\\) .*/netdev "
              "freezed_0a000000000000000000000000000000 \\1/p; s/.*rtclassid.* # \\(handle .*\\)/\\1/p')");
        assert_false(routed_passes());
}

static void what_configures_an_interface_goes_on_to_its_program(void **state) {
        /* 0.0.0.0:68 to 255.255.255.255:67, the same from an address, and to another port */
        uint8_t ask[] = {
                0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 68, 0, 67, 0, 26
        };

        (void) state;
        direct_cover(&hold_a, MARK, &link0, 1);
        assert_true(passes(ETH_P_ARP, "", 0, 42));
        assert_true(passes(ETH_P_ARP, "", 0, 64));
        assert_false(passes(ETH_P_ARP, "", 0, 65));
        assert_true(passes(ETH_P_PAE, "", 0, 200));
        assert_true(passes(ETH_P_IP, ask, sizeof(ask), 60));
        ask[12] = 10;
        assert_false(passes(ETH_P_IP, ask, sizeof(ask), 60));
        ask[12] = 0;
        ask[19] = 1;
        assert_false(passes(ETH_P_IP, ask, sizeof(ask), 60));
        ask[19] = 255;
        ask[23] = 53;
        assert_false(passes(ETH_P_IP, ask, sizeof(ask), 60));
        ask[23] = 67;
        ask[9] = IPPROTO_TCP;
        assert_false(passes(ETH_P_IP, ask, sizeof(ask), 60));
}

static void what_somebody_undoes_is_seen_and_put_back(void **state) {
        static const char *const ways[] = {
                "nft flush ruleset",
                "nft delete table netdev freezed_0a000000000000000000000000000000",
                "nft flush table netdev freezed_0a000000000000000000000000000000",
                "nft insert rule netdev freezed_0a000000000000000000000000000000 $(nft list ruleset | "
                "sed -n 's/.*chain \\(up[0-9]*\\) .*/\\1/p') accept",
                "nft -a list ruleset | sed -n 's/.*skuid.*handle \\(.*\\)/\\1/p' | while read -r h; do nft delete rule "
                "netdev freezed_0a000000000000000000000000000000 $(nft list ruleset | sed -n 's/.*chain \\(up[0-9]*\\) "
                ".*/\\1/p') handle $h; done",
        };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(ways); k++) {
                direct_cover(&hold_a, MARK, &link0, 1);
                assert_true(link0.direct);
                assert_false(ordinary_passes());
                shell(ways[k]);
                assert_true(ordinary_passes());
                direct_read(&hold_a, MARK, &link0, 1);
                assert_false(link0.direct);
                link0.mended = false;
                direct_cover(&hold_a, MARK, &link0, 1);
                assert_true(link0.direct && link0.mended);
                assert_false(ordinary_passes());
        }
}

static void nobody_elses_table_is_touched(void **state) {
        (void) state;
        shell("nft '" OTHER "'");
        direct_cover(&hold_a, MARK, &link0, 1);
        direct_cover(&hold_b, MARK, &link0, 1);
        shell("nft list table netdev others >/dev/null");
        assert_int_equal(direct_drop(&hold_a), 0);
        assert_false(ordinary_passes());
        direct_read(&hold_b, MARK, &link0, 1);
        assert_true(link0.direct);
        assert_int_equal(direct_drop(&hold_b), 0);
        shell("nft list table netdev others >/dev/null && test \"$(nft list tables | wc -l)\" = 1");
        assert_true(ordinary_passes());
}

static void each_interface_is_on_its_own(void **state) {
        struct uplink links[] = { link0,
                                  { .name = "a\";drop", .ifindex = 4711 },
                                  { .name = "", .ifindex = 4712 },
                                  { .name = "up1", .ifindex = if_nametoindex("up1") } };

        (void) state;
        direct_cover(&hold_a, MARK, links, ELEMENTSOF(links));
        assert_true(links[0].direct && links[3].direct);
        assert_false(links[1].direct || links[2].direct);
        /* under another name it still is, and has to be told so */
        shell("ip link set up0 down && ip link set up0 name new0 && ip link set new0 up");
        (void) snprintf(links[0].name, sizeof(links[0].name), "new0");
        direct_cover(&hold_a, MARK, links, 1);
        assert_true(links[0].direct);
        assert_false(ordinary_passes());
        shell("ip link set new0 down && ip link set new0 name up0");
}

static void the_kernel_is_asked_and_nothing_stays(void **state) {
        (void) state;
        assert_int_equal(direct_try(), 0);
        shell("test -z \"$(nft list tables)\"");
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(a_packet_socket_hands_nothing_to_the_driver),
                CASE(what_the_programs_let_through_goes_on),
                CASE(what_has_a_route_goes_on_to_the_uplinks_program),
                CASE(what_configures_an_interface_goes_on_to_its_program),
                CASE(what_somebody_undoes_is_seen_and_put_back),
                CASE(nobody_elses_table_is_touched),
                CASE(each_interface_is_on_its_own),
                CASE(the_kernel_is_asked_and_nothing_stays),
        };

        return CAGE_MAIN(cases);
}
