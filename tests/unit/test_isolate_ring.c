/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/isolate.c agent/core/isolate_set.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* What the programs tell about what they refused: who, where to, when; at which rate, and that nothing is lost by it
 * that is not counted. Real sockets of a held cgroup. */

#include "lib/cage.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "agent/util/clock.h"
#include "lib/isolate_box.h"

#define TOLD_MAX 8192

static struct isolate_attempt told[TOLD_MAX];
static size_t n_told;

static int on_told(void *userdata, void *data, size_t size) {
        (void) userdata;
        assert_int_equal(size, sizeof(told[0]));
        assert_true(n_told < TOLD_MAX);
        memcpy(&told[n_told++], data, size);
        return 0;
}

/* Takes out what there is. */
static void hear(void) {
        struct ring_buffer *ring;

        assert_true(isolate_ring(isolate) >= 0);
        ring = ring_buffer__new(isolate_ring(isolate), on_told, NULL, NULL);
        assert_non_null(ring);
        n_told = 0;
        assert_true(ring_buffer__consume(ring) >= 0);
        ring_buffer__free(ring);
}

static uint64_t accounted(void) {
        uint64_t sum = 0;

        for (size_t k = 0; k < n_told; k++)
                sum += told[k].times + told[k].missed;
        return sum;
}

static int ring_begin(void **state) {
        int r = box_begin(state);

        if (r == 0)
                hear();
        return r;
}

#define RING_CASE(name) cmocka_unit_test_setup_teardown(name, ring_begin, box_end)

static int in; /* a datagram socket of the held cgroup */

static int tries(const char *ip, uint16_t port) {
        const union wire_addr to = wire_addr(ip, port);

        return wire_connect(in, &to);
}

static void hold_all(void) {
        in = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);
        hold(&hold_a, NULL, 0, true, true);
        hear();
}

/* Long enough for what is repeated to be told again, and for a record more. */
static void rest(void) {
        (void) usleep(1100000);
}

static void call_out(void *userdata) {
        const union wire_addr to = wire_addr("10.0.0.1", 443);
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        (void) userdata;
        (void) prctl(PR_SET_NAME, "caller");
        (void) connect(fd, &to.sa, sizeof(to.v4));
        (void) socket(AF_INET, SOCK_RAW, 1);
}

static void a_refused_call_is_told_with_who_where_and_when(void **state) {
        const int64_t before = clock_boot_ms();
        const uint8_t remote[16] = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1 };
        pid_t pid;

        (void) state;
        hold_all();
        pid = cage_spawn(&cage, call_out, NULL);
        hear();
        assert_int_equal(n_told, 2);
        assert_int_equal(told[0].hook, ISOLATE_CONNECT4);
        assert_int_equal(told[0].tgid, pid);
        assert_string_equal(told[0].comm, "caller");
        assert_int_equal(told[0].cgroup_id, cage.id);
        assert_memory_equal(told[0].hold, hold_a.b, sizeof(hold_a.b));
        assert_memory_equal(told[0].addr, remote, sizeof(remote));
        assert_int_equal(told[0].port, 443);
        assert_int_equal(told[0].proto, IPPROTO_TCP);
        assert_int_equal(told[0].family, AF_INET);
        assert_int_equal(told[0].type, SOCK_STREAM);
        assert_int_equal(told[0].times, 1);
        assert_int_equal(told[0].missed, 0);
        assert_in_range(told[0].t_ns / 1000000, before, clock_boot_ms());
        assert_int_equal(told[1].hook, ISOLATE_CREATE);
        assert_int_equal(told[1].type, SOCK_RAW);
        assert_int_equal(told[1].proto, IPPROTO_ICMP);
        (void) close(in);
}

static void a_dropped_packet_is_told_without_a_caller(void **state) {
        const union wire_addr any = wire_addr("10.0.0.1", 0);
        union wire_addr there, here;
        _cleanup_close_ int out = wire_listen("10.0.0.2", SOCK_DGRAM, &there);

        (void) state;
        in = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);
        assert_int_equal(bind(in, &any.sa, sizeof(any.v4)), 0);
        assert_int_equal(wire_connect(in, &there), 0);
        here = wire_name(in);
        hold(&hold_a, NULL, 0, true, true);
        hear();
        assert_int_equal(wire_send(in, "x", 1), -EPERM);
        assert_int_equal(wire_sendto(out, &here, "y", 1), 0);
        hear();
        assert_int_equal(n_told, 2);
        for (size_t k = 0; k < 2; k++) {
                assert_int_equal(told[k].hook, k == 0 ? ISOLATE_EGRESS : ISOLATE_INGRESS);
                assert_int_equal(told[k].port, ntohs(there.v4.sin_port));
                assert_int_equal(told[k].local_port, ntohs(here.v4.sin_port));
                assert_int_equal(told[k].addr[3], there.v4.sin_addr.s_addr);
                assert_int_equal(told[k].proto, IPPROTO_UDP);
                assert_int_equal(told[k].cgroup_id, cage.id);
                assert_int_equal(told[k].tgid, 0);
                assert_string_equal(told[k].comm, "");
        }
        (void) close(in);
}

static void what_is_permitted_is_not_told(void **state) {
        const struct permit p = permit_of("10.0.0.1/32", 0, 0);
        union wire_addr there;
        _cleanup_close_ int out = wire_listen("10.0.0.1", SOCK_DGRAM, &there);
        _cleanup_close_ int socket_of_it = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);

        (void) state;
        hold(&hold_a, &p, 1, true, true);
        hear();
        assert_int_equal(wire_connect(socket_of_it, &there), 0);
        assert_int_equal(wire_send(socket_of_it, "x", 1), 0);
        assert_int_equal(wire_arrived(out), 1);
        hear();
        assert_int_equal(n_told, 0);
}

static void a_flood_of_the_same_is_one_record_a_second_with_its_times(void **state) {
        (void) state;
        hold_all();
        for (unsigned k = 0; k < 10000; k++)
                assert_int_equal(tries("10.0.0.1", 443), -EPERM);
        hear();
        assert_in_range(n_told, 1, 3);
        assert_int_equal(told[0].times, 1);
        const uint64_t so_far = accounted();

        rest();
        assert_int_equal(tries("10.0.0.1", 443), -EPERM);
        hear();
        assert_int_equal(n_told, 1);
        assert_int_equal(so_far + accounted(), 10001);
        (void) close(in);
}

static void a_flood_of_one_hides_no_other(void **state) {
        (void) state;
        hold_all();
        for (unsigned k = 0; k < 10000; k++)
                assert_int_equal(tries("10.0.0.1", 443), -EPERM);
        assert_int_equal(tries("10.0.0.2", 443), -EPERM);
        hear();
        assert_int_equal(told[n_told - 1].addr[3], htonl(0x0a000002));
        (void) close(in);
}

static void a_scan_is_told_up_to_the_limit_and_the_rest_is_counted(void **state) {
        uint64_t sum;

        (void) state;
        hold_all();
        for (uint16_t port = 1; port <= 20000; port++)
                assert_int_equal(tries("10.0.0.1", port), -EPERM);
        hear();
        assert_in_range(n_told, 4, ISOLATE_TELL_BURST + 10 * ISOLATE_TELL_PER_S);
        sum = accounted();
        assert_true(sum < 20000);
        rest();
        /* whatever the slots still know is told when something else needs them */
        for (uint16_t port = 1; port <= 200 && sum < 20000; port++) {
                assert_int_equal(tries("10.0.0.3", port), -EPERM);
                (void) usleep(70000);
                hear();
                sum += accounted() - 1;
        }
        assert_int_equal(sum, 20000);
        (void) close(in);
}

static void who_floods_from_outside_hides_nothing_of_what_goes_out(void **state) {
        const union wire_addr any = wire_addr("10.0.0.1", 0);
        _cleanup_close_ int out = wire_socket(AF_INET, SOCK_DGRAM, 0);
        union wire_addr here;
        bool found = false;

        (void) state;
        in = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);
        assert_int_equal(bind(in, &any.sa, sizeof(any.v4)), 0);
        here = wire_name(in);
        hold(&hold_a, NULL, 0, true, true);
        hear();
        for (uint16_t k = 1; k < 2000; k++) {
                const struct in_addr from = { .s_addr = htonl(0x0a010000U + k) };
                _cleanup_close_ int fd = wire_socket(AF_INET, SOCK_DGRAM, 0);
                const struct sockaddr_in source = { .sin_family = AF_INET, .sin_addr = from };

                assert_int_equal(bind(fd, (const struct sockaddr *) &source, sizeof(source)), 0);
                assert_int_equal(wire_sendto(fd, &here, "x", 1), 0);
        }
        assert_int_equal(tries("10.0.0.9", 9), -EPERM);
        hear();
        for (size_t k = 0; k < n_told; k++)
                found |= told[k].hook == ISOLATE_CONNECT4 && told[k].port == 9;
        assert_true(found);
        assert_true(n_told < 2000);
        (void) close(in);
}

static void each_of_two_holds_tells(void **state) {
        (void) state;
        hold_all();
        hold(&hold_b, NULL, 0, true, true);
        assert_int_equal(tries("10.0.0.1", 443), -EPERM);
        hear();
        assert_int_equal(n_told, 2);
        assert_memory_not_equal(told[0].hold, told[1].hold, sizeof(told[0].hold));
        (void) close(in);
}

static void while_nobody_listens_it_is_kept(void **state) {
        (void) state;
        hold_all();
        isolate_free(TAKE_PTR(isolate));
        assert_int_equal(tries("10.0.0.1", 443), -EPERM);
        assert_int_equal(isolate_new(cage_pins(), &isolate), 0);
        hear();
        assert_int_equal(n_told, 1);
        assert_int_equal(told[0].port, 443);
        (void) close(in);
}

/* Many sets, so that together they may tell more than the ring holds. */
static void what_the_ring_has_no_room_for_is_counted_and_refused_all_the_same(void **state) {
        enum { SETS = 50, TRIES = 300 };
        uint64_t sum;

        (void) state;
        in = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);
        for (uint8_t k = 0; k < SETS; k++) {
                const struct command_id id = { { 0xf0, k } };

                hold(&id, NULL, 0, true, false);
        }
        hear();
        for (uint16_t port = 1; port <= TRIES; port++)
                assert_int_equal(tries("10.0.0.1", port), -EPERM);
        hear();
        /* as much as there is room for, with the ring's own 8 bytes each */
        assert_in_range(n_told, 4 * SETS, ISOLATE_RING_SIZE / (sizeof(told[0]) + 8));
        sum = accounted();
        rest();
        assert_int_equal(tries("10.0.0.2", 1), -EPERM);
        hear();
        sum += accounted();
        /* all but what the slots still know */
        assert_in_range(sum, (uint64_t) SETS * (TRIES + 1 - ISOLATE_SLOTS), (uint64_t) SETS * (TRIES + 1));
        (void) close(in);
}

static void without_a_ring_refusals_are_counted_only(void **state) {
        struct isolate_counters c;
        char path[512];
        int other;

        (void) state;
        isolate_free(TAKE_PTR(isolate));
        (void) snprintf(path, sizeof(path), "%s/attempts", cage_pins());
        assert_int_equal(unlink(path), 0);
        other = bpf_map_create(BPF_MAP_TYPE_ARRAY, "somebody", 4, 4, 1, NULL);
        assert_true(other >= 0);
        assert_int_equal(bpf_obj_pin(other, path), 0);
        assert_int_equal(isolate_new(cage_pins(), &isolate), 0);
        assert_true(isolate_ring(isolate) < 0);
        in = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(tries("10.0.0.1", 443), -EPERM);
        assert_true(isolate_count(isolate, &hold_a, cage.id, &c));
        assert_int_equal(c.refused, 1);
        (void) close(in);
        (void) close(other);
        assert_int_equal(unlink(path), 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                RING_CASE(a_refused_call_is_told_with_who_where_and_when),
                RING_CASE(a_dropped_packet_is_told_without_a_caller),
                RING_CASE(what_is_permitted_is_not_told),
                RING_CASE(a_flood_of_the_same_is_one_record_a_second_with_its_times),
                RING_CASE(a_flood_of_one_hides_no_other),
                RING_CASE(a_scan_is_told_up_to_the_limit_and_the_rest_is_counted),
                RING_CASE(who_floods_from_outside_hides_nothing_of_what_goes_out),
                RING_CASE(each_of_two_holds_tells),
                RING_CASE(while_nobody_listens_it_is_kept),
                RING_CASE(what_the_ring_has_no_room_for_is_counted_and_refused_all_the_same),
                RING_CASE(without_a_ring_refusals_are_counted_only),
        };

        return CAGE_MAIN(cases);
}
