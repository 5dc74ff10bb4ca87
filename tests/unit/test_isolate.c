/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/isolate.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: agent/core/isolate_set.c */
/* LINK: tests/lib/cage.c */

/* What each hook stops, and what it does not: real sockets of a held cgroup beside twins of none. */

#include "lib/cage.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>

#include "lib/isolate_box.h"

#define PROTO_TEST 253 /* RFC 3692: for experiments */

/* One way to call out, and what a socket of the held cgroup and a twin are told. */
struct call {
        enum isolate_hook by;
        const char *ip;
        int family, type;
        enum { CONNECT, SENDTO, BIND } how;
};

static const struct call calls[] = {
        { ISOLATE_CONNECT4, "10.0.0.1", AF_INET, SOCK_STREAM, CONNECT },
        { ISOLATE_CONNECT4, "10.0.0.1", AF_INET, SOCK_DGRAM, CONNECT },
        { ISOLATE_CONNECT4, "127.0.0.1", AF_INET, SOCK_STREAM, CONNECT },
        { ISOLATE_CONNECT6, "fd00::1", AF_INET6, SOCK_STREAM, CONNECT },
        { ISOLATE_CONNECT6, "fd00::1", AF_INET6, SOCK_DGRAM, CONNECT },
        { ISOLATE_CONNECT6, "::1", AF_INET6, SOCK_STREAM, CONNECT },
        { ISOLATE_CONNECT6, "::ffff:10.0.0.1", AF_INET6, SOCK_STREAM, CONNECT },
        { ISOLATE_SENDMSG4, "10.0.0.1", AF_INET, SOCK_DGRAM, SENDTO },
        { ISOLATE_SENDMSG6, "fd00::1", AF_INET6, SOCK_DGRAM, SENDTO },
        /* the kernel hands a mapped address on to the IPv4 side before it asks anyone */
        { ISOLATE_SENDMSG4, "::ffff:10.0.0.1", AF_INET6, SOCK_DGRAM, SENDTO },
        { ISOLATE_BIND4, "10.0.0.1", AF_INET, SOCK_STREAM, BIND },
        { ISOLATE_BIND4, "0.0.0.0", AF_INET, SOCK_DGRAM, BIND },
        { ISOLATE_BIND6, "fd00::1", AF_INET6, SOCK_STREAM, BIND },
        { ISOLATE_BIND6, "::ffff:10.0.0.1", AF_INET6, SOCK_STREAM, BIND },
};

static int do_call(const struct call *c, int fd) {
        union wire_addr to = { 0 };
        _cleanup_close_ int listener = -EBADF;
        char byte = 0;

        if (c->how == BIND) {
                to = wire_addr(c->ip, 0);
                return bind(fd, &to.sa, wire_size(&to)) < 0 ? -errno : 0;
        }
        listener = wire_listen(c->ip, c->type, &to);
        return c->how == CONNECT ? wire_connect(fd, &to) : wire_sendto(fd, &to, &byte, 1);
}

static void each_call(bool (*stopped)(const struct call *c)) {
        for (size_t k = 0; k < ELEMENTSOF(calls); k++) {
                _cleanup_close_ int inside = cage_socket(&cage, calls[k].family, calls[k].type, 0);
                _cleanup_close_ int twin = wire_socket(calls[k].family, calls[k].type, 0);

                assert_int_equal(do_call(&calls[k], inside), stopped(&calls[k]) ? -EPERM : 0);
                assert_int_equal(do_call(&calls[k], twin), 0);
        }
}

static bool always(const struct call *c) {
        (void) c;
        return true;
}

static bool never(const struct call *c) {
        (void) c;
        return false;
}

static enum isolate_hook the_hook;

static bool by_the_hook(const struct call *c) {
        return c->by == the_hook;
}

static void without_a_hold_every_call_goes_through(void **state) {
        (void) state;
        each_call(never);
}

static void calls_are_refused_at_once_and_a_twin_outside_is_not(void **state) {
        (void) state;
        hold(&hold_a, NULL, 0, true, false);
        each_call(always);
}

static void each_call_is_refused_by_its_own_hook(void **state) {
        (void) state;
        for (the_hook = 0; the_hook < ISOLATE_EGRESS; the_hook++) {
                hold_with_only(the_hook);
                each_call(by_the_hook);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        }
}

static void sockets_of_cgroups_below_are_held_too(void **state) {
        struct cage below = cage_make("held/below");
        _cleanup_close_ int fd = cage_socket(&below, AF_INET, SOCK_STREAM, 0);

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(do_call(&calls[0], fd), -EPERM);
}

static int call_from_another_netns(void *userdata) {
        (void) userdata;
        if (unshare(CLONE_NEWNET) < 0)
                return 2;
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        const union wire_addr to = wire_addr("127.0.0.1", 9);

        return connect(fd, &to.sa, sizeof(to.v4)) < 0 && errno == EPERM ? 0 : 1;
}

static void another_network_namespace_is_no_way_out(void **state) {
        (void) state;
        assert_int_equal(cage_call(&cage, call_from_another_netns, NULL), 1);
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(cage_call(&cage, call_from_another_netns, NULL), 0);
}

/* An open connection between a socket of the cgroup and one of none. */
struct open {
        int in, out;
};

static struct open open_pair(const char *ip, int type) {
        struct open o = { .in = cage_socket(&cage, strchr(ip, ':') ? AF_INET6 : AF_INET, type, 0) };

        wire_join(o.in, ip, type, &o.out);
        return o;
}

static void close_pair(struct open *o) {
        (void) close(o->in);
        (void) close(o->out);
}

static const struct {
        const char *ip;
        int type;
} paths[] = {
        { "10.0.0.1", SOCK_STREAM }, { "10.0.0.1", SOCK_DGRAM }, { "fd00::1", SOCK_STREAM }, { "fd00::1", SOCK_DGRAM }
};

static void what_is_connected_passes_the_call_hooks(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(paths); k++) {
                struct open o = open_pair(paths[k].ip, paths[k].type);

                hold(&hold_a, NULL, 0, true, false);
                assert_int_equal(wire_send(o.in, "x", 1), 0);
                assert_int_equal(wire_arrived(o.out), 1);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
                close_pair(&o);
        }
}

static int tcp_state(int fd) {
        struct tcp_info info;
        socklen_t size = sizeof(info);

        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
        return info.tcpi_state;
}

/* Else a busy listener would have new connections again before the last hook is in place. */
static void while_sockets_are_destroyed_none_is_made_and_their_reset_still_leaves(void **state) {
        const struct linger reset = { .l_onoff = 1 };
        union wire_addr any = wire_addr("10.0.0.1", 0), at;
        int listener = cage_socket(&cage, AF_INET, SOCK_STREAM, 0), before = wire_socket(AF_INET, SOCK_STREAM, 0),
            after = wire_socket(AF_INET, SOCK_STREAM, 0), in;
        char c;

        (void) state;
        assert_int_equal(bind(listener, &any.sa, sizeof(any.v4)), 0);
        assert_int_equal(listen(listener, 4), 0);
        at = wire_name(listener);
        assert_int_equal(wire_connect(before, &at), 0);
        wire_settle();
        in = accept(listener, NULL, NULL);
        assert_true(in >= 0);
        hold(&hold_a, NULL, 0, true, false);
        assert_int_equal(wire_connect(after, &at), 0);
        wire_settle();
        assert_int_equal(tcp_state(after), TCP_SYN_SENT);
        assert_int_equal(setsockopt(in, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        (void) close(in);
        wire_settle();
        assert_int_equal(recv(before, &c, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        (void) close(listener), (void) close(before), (void) close(after);
}

static void what_is_connected_is_cut_both_ways_by_the_packet_hooks(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(paths); k++) {
                struct open o = open_pair(paths[k].ip, paths[k].type),
                            other = { .in = wire_socket(strchr(paths[k].ip, ':') ? AF_INET6 : AF_INET, paths[k].type,
                                                        0) };
                const bool tcp = paths[k].type == SOCK_STREAM;

                wire_join(other.in, paths[k].ip, paths[k].type, &other.out);
                hold(&hold_a, NULL, 0, true, true);
                /* TCP keeps what it could not send, a datagram is refused */
                assert_int_equal(wire_send(o.in, "x", 1), tcp ? 0 : -EPERM);
                assert_int_equal(wire_arrived(o.out), 0);
                assert_int_equal(wire_send(o.out, "y", 1), 0);
                assert_int_equal(wire_arrived(o.in), 0);
                assert_int_equal(wire_send(other.in, "z", 1), 0);
                assert_int_equal(wire_arrived(other.out), 1);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
                if (!tcp) {
                        assert_int_equal(wire_send(o.in, "x", 1), 0);
                        assert_int_equal(wire_arrived(o.out), 1);
                }
                close_pair(&o);
                close_pair(&other);
        }
}

static void each_direction_is_cut_by_its_own_hook(void **state) {
        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(paths); k++) {
                if (paths[k].type != SOCK_DGRAM)
                        continue;
                for (enum isolate_hook h = ISOLATE_EGRESS; h <= ISOLATE_INGRESS; h++) {
                        struct open o = open_pair(paths[k].ip, SOCK_DGRAM);

                        hold_with_only(h);
                        assert_int_equal(wire_send(o.in, "x", 1), h == ISOLATE_EGRESS ? -EPERM : 0);
                        assert_int_equal(wire_arrived(o.out), h == ISOLATE_EGRESS ? 0 : 1);
                        assert_int_equal(wire_send(o.out, "y", 1), 0);
                        assert_int_equal(wire_arrived(o.in), h == ISOLATE_INGRESS ? 0 : 1);
                        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
                        close_pair(&o);
                }
        }
}

static void a_listener_in_there_does_not_answer(void **state) {
        union wire_addr any = wire_addr("10.0.0.1", 0), at;
        int listener = cage_socket(&cage, AF_INET, SOCK_STREAM, 0), before = wire_socket(AF_INET, SOCK_STREAM, 0),
            after = wire_socket(AF_INET, SOCK_STREAM, 0);

        (void) state;
        assert_int_equal(bind(listener, &any.sa, sizeof(any.v4)), 0);
        assert_int_equal(listen(listener, 4), 0);
        at = wire_name(listener);
        assert_int_equal(wire_connect(before, &at), 0);
        wire_settle();
        assert_int_equal(tcp_state(before), TCP_ESTABLISHED);
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(wire_connect(after, &at), 0);
        wire_settle();
        assert_int_equal(tcp_state(after), TCP_SYN_SENT);
        (void) close(listener);
        (void) close(before);
        (void) close(after);
}

static int send_raw(int fd, bool with_header, const char *ip) {
        const union wire_addr to = wire_addr(ip, 0);
        struct {
                struct iphdr ip;
                char data[8];
        } p = { .ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = PROTO_TEST, .daddr = to.v4.sin_addr.s_addr } };

        return with_header ? wire_sendto(fd, &to, &p, sizeof(p)) : wire_sendto(fd, &to, p.data, sizeof(p.data));
}

static void raw_sockets_are_cut_both_ways(void **state) {
        (void) state;
        for (int with_header = 0; with_header < 2; with_header++) {
                _cleanup_close_ int in = cage_socket(&cage, AF_INET, SOCK_RAW, PROTO_TEST);
                _cleanup_close_ int out = wire_socket(AF_INET, SOCK_RAW, PROTO_TEST);

                assert_int_equal(setsockopt(in, IPPROTO_IP, IP_HDRINCL, &with_header, sizeof(with_header)), 0);
                assert_int_equal(setsockopt(out, IPPROTO_IP, IP_HDRINCL, &with_header, sizeof(with_header)), 0);
                assert_int_equal(send_raw(in, with_header, "10.0.0.1"), 0);
                assert_true(wire_arrived(out) > 0);
                assert_true(wire_arrived(in) > 0);
                hold(&hold_a, NULL, 0, true, true);
                assert_int_equal(send_raw(in, with_header, "10.0.0.1"), -EPERM);
                assert_int_equal(wire_arrived(out), 0);
                assert_int_equal(send_raw(out, with_header, "10.0.0.1"), 0);
                assert_true(wire_arrived(out) > 0);
                assert_int_equal(wire_arrived(in), 0);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        }
}

static void echo_requests_are_refused(void **state) {
        const union wire_addr to = wire_addr("10.0.0.1", 0);
        _cleanup_close_ int in = cage_socket(&cage, AF_INET, SOCK_RAW, IPPROTO_ICMP);
        static const uint8_t echo[8] = { 8, 0, 0xf7, 0xff };

        (void) state;
        assert_int_equal(wire_sendto(in, &to, echo, sizeof(echo)), 0);
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(wire_sendto(in, &to, echo, sizeof(echo)), -EPERM);
}

static bool reaches(const char *ip, int type) {
        union wire_addr to;
        _cleanup_close_ int listener = wire_listen(ip, type, &to);
        _cleanup_close_ int fd = cage_socket(&cage, to.sa.sa_family, type, 0);
        _cleanup_close_ int peer = -EBADF;

        if (wire_connect(fd, &to) != 0 || wire_send(fd, "x", 1) != 0) {
                wire_settle();
                if (type != SOCK_STREAM || tcp_state(fd) != TCP_ESTABLISHED)
                        return false;
                assert_int_equal(wire_send(fd, "x", 1), 0);
        }
        if (type == SOCK_DGRAM)
                return wire_arrived(listener) == 1;
        wire_settle();
        peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer < 0 || wire_arrived(peer) != 1)
                return false;
        /* and back */
        assert_int_equal(wire_send(peer, "y", 1), 0);
        return wire_arrived(fd) == 1;
}

static void a_permitted_address_is_reached_and_answers(void **state) {
        const struct permit p[] = { permit_of("10.0.0.1/32", 0, IPPROTO_TCP), permit_of("10.0.0.2/31", 0, IPPROTO_UDP),
                                    permit_of("fd00::1/128", 0, 0) };

        (void) state;
        hold(&hold_a, p, ELEMENTSOF(p), true, true);
        assert_true(reaches("10.0.0.1", SOCK_STREAM));
        assert_true(reaches("10.0.0.3", SOCK_DGRAM));
        assert_true(reaches("fd00::1", SOCK_STREAM));
        assert_true(reaches("fd00::1", SOCK_DGRAM));
        assert_true(reaches("::ffff:10.0.0.1", SOCK_STREAM));
        assert_false(reaches("10.0.0.1", SOCK_DGRAM));
        assert_false(reaches("10.0.0.2", SOCK_STREAM));
        assert_false(reaches("10.0.0.4", SOCK_DGRAM));
        assert_false(reaches("fd00::2", SOCK_STREAM));
        assert_false(reaches("::ffff:10.0.0.4", SOCK_DGRAM));
        assert_false(reaches("127.0.0.1", SOCK_STREAM));
}

static void a_permitted_port_is_the_remote_one(void **state) {
        union wire_addr to, other;
        _cleanup_close_ int listener = wire_listen("10.0.0.1", SOCK_DGRAM, &to);
        _cleanup_close_ int wrong = wire_listen("10.0.0.1", SOCK_DGRAM, &other);
        _cleanup_close_ int in = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);
        const struct permit p = permit_of("10.0.0.1/32", ntohs(to.v4.sin_port), IPPROTO_UDP);
        union wire_addr from;

        (void) state;
        assert_int_equal(wire_sendto(in, &other, "x", 1), 0); /* binds it */
        from = wire_name(in);
        from.v4.sin_addr.s_addr = htonl(0x0a000001);
        assert_int_equal(wire_arrived(wrong), 1);
        hold(&hold_a, &p, 1, true, true);
        assert_int_equal(wire_sendto(in, &to, "x", 1), 0);
        assert_int_equal(wire_arrived(listener), 1);
        assert_int_equal(wire_sendto(in, &other, "x", 1), -EPERM);
        assert_int_equal(wire_sendto(listener, &from, "y", 1), 0);
        assert_int_equal(wire_arrived(in), 1);
        assert_int_equal(wire_sendto(wrong, &from, "y", 1), 0);
        assert_int_equal(wire_arrived(in), 0);
}

static void of_two_holds_both_have_to_allow(void **state) {
        const struct permit a[] = { permit_of("10.0.0.1/32", 0, 0), permit_of("10.0.0.2/32", 0, 0) };
        const struct permit b[] = { permit_of("10.0.0.2/32", 0, 0), permit_of("10.0.0.3/32", 0, 0) };

        (void) state;
        hold(&hold_a, a, 2, true, true);
        hold(&hold_b, b, 2, true, true);
        assert_false(reaches("10.0.0.1", SOCK_STREAM));
        assert_true(reaches("10.0.0.2", SOCK_STREAM));
        assert_false(reaches("10.0.0.3", SOCK_STREAM));
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_false(reaches("10.0.0.1", SOCK_STREAM));
        assert_true(reaches("10.0.0.2", SOCK_STREAM));
        assert_true(reaches("10.0.0.3", SOCK_STREAM));
        assert_int_equal(isolate_drop(isolate, &hold_b), 0);
        assert_true(reaches("10.0.0.1", SOCK_STREAM));
}

static void what_is_refused_dropped_and_passed_is_counted(void **state) {
        const struct permit p = permit_of("10.0.0.1/32", 0, 0);
        struct open o = open_pair("10.0.0.2", SOCK_DGRAM);
        struct isolate_counters c;

        (void) state;
        hold(&hold_a, &p, 1, true, true);
        assert_true(isolate_count(isolate, &hold_a, cage.id, &c));
        assert_int_equal(c.refused + c.dropped_in + c.dropped_out + c.passed_in + c.passed_out, 0);
        assert_false(reaches("10.0.0.2", SOCK_STREAM));
        assert_int_equal(wire_send(o.in, "x", 1), -EPERM);
        assert_int_equal(wire_send(o.in, "x", 1), -EPERM);
        assert_int_equal(wire_send(o.out, "x", 1), 0);
        assert_true(reaches("10.0.0.1", SOCK_DGRAM));
        assert_true(isolate_count(isolate, &hold_a, cage.id, &c));
        assert_int_equal(c.refused, 1);
        assert_int_equal(c.dropped_out, 2);
        assert_int_equal(c.dropped_in, 1);
        assert_int_equal(c.passed_out, 1);
        assert_int_equal(c.passed_in, 0);
        assert_false(isolate_count(isolate, &hold_b, cage.id, &c));
        close_pair(&o);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(without_a_hold_every_call_goes_through),
                CASE(calls_are_refused_at_once_and_a_twin_outside_is_not),
                CASE(each_call_is_refused_by_its_own_hook),
                CASE(sockets_of_cgroups_below_are_held_too),
                CASE(another_network_namespace_is_no_way_out),
                CASE(what_is_connected_passes_the_call_hooks),
                CASE(while_sockets_are_destroyed_none_is_made_and_their_reset_still_leaves),
                CASE(what_is_connected_is_cut_both_ways_by_the_packet_hooks),
                CASE(each_direction_is_cut_by_its_own_hook),
                CASE(a_listener_in_there_does_not_answer),
                CASE(raw_sockets_are_cut_both_ways),
                CASE(echo_requests_are_refused),
                CASE(a_permitted_address_is_reached_and_answers),
                CASE(a_permitted_port_is_the_remote_one),
                CASE(of_two_holds_both_have_to_allow),
                CASE(what_is_refused_dropped_and_passed_is_counted),
        };

        return CAGE_MAIN(cases);
}
