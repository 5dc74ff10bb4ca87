/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/descriptors.c agent/core/process.c agent/core/ways.c agent/core/sockets.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* Real connections of a cgroup, and of processes in it, are destroyed; nothing beside them is. */

#include "lib/sockets_box.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>

static int family_of(const char *ip) {
        return strchr(ip, ':') ? AF_INET6 : AF_INET;
}

static const char *const ips[] = { "10.0.0.1", "fd00::1", "::ffff:10.0.0.1", "127.0.0.1", "::1" };

static void both_ends_of_a_connection_learn_at_once(void **state) {
        struct cage a = cage_make("a");

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(ips); k++) {
                int in = cage_socket(&a, family_of(ips[k]), SOCK_STREAM, 0), out;
                int twin = wire_socket(family_of(ips[k]), SOCK_STREAM, 0), peer;

                wire_join(in, ips[k], SOCK_STREAM, &out);
                wire_join(twin, ips[k], SOCK_STREAM, &peer);
                check(sweep(&a, false), 0, 1, 0, 0);
                assert_int_equal(error_of(in), -EAGAIN);
                check(sweep(&a, true), 1, 0, 0, 0);
                assert_int_equal(error_of(in), -ECONNABORTED);
                assert_int_equal(error_of(out), -ECONNRESET);
                check(sweep(&a, true), 0, 0, 0, 0);
                assert_int_equal(wire_send(twin, "x", 1), 0);
                assert_int_equal(wire_arrived(peer), 1);
                (void) close(in), (void) close(out), (void) close(twin), (void) close(peer);
        }
}

static void the_end_that_accepted_is_destroyed_too(void **state) {
        struct cage a = cage_make("a");
        union wire_addr any = wire_addr("10.0.0.1", 0), at;
        int listener = cage_socket(&a, AF_INET, SOCK_STREAM, 0), queued = wire_socket(AF_INET, SOCK_STREAM, 0),
            accepted = wire_socket(AF_INET, SOCK_STREAM, 0), in, again = wire_socket(AF_INET, SOCK_STREAM, 0), last;

        (void) state;
        assert_int_equal(bind(listener, &any.sa, sizeof(any.v4)), 0);
        assert_int_equal(listen(listener, 4), 0);
        at = wire_name(listener);
        assert_int_equal(wire_connect(accepted, &at), 0);
        wire_settle();
        in = accept(listener, NULL, NULL);
        assert_true(in >= 0);
        /* nobody has accepted this one yet */
        assert_int_equal(wire_connect(queued, &at), 0);
        wire_settle();
        check(sweep(&a, true), 2, 0, 0, 1);
        assert_int_equal(error_of(accepted), -ECONNRESET);
        assert_int_equal(error_of(queued), -ECONNRESET);
        /* the listener lives on; what it had queued comes out of it dead */
        (void) close(accept(listener, NULL, NULL));
        assert_int_equal(wire_connect(again, &at), 0);
        wire_settle();
        last = accept(listener, NULL, NULL);
        assert_true(last >= 0);
        check(sweep(&a, true), 1, 0, 0, 1);
        assert_int_equal(error_of(again), -ECONNRESET);
        (void) close(listener), (void) close(accepted), (void) close(queued), (void) close(in), (void) close(again),
                (void) close(last);
}

static void connected_datagram_sockets_are_destroyed_and_others_not(void **state) {
        struct cage a = cage_make("a");

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(ips); k++) {
                int in = cage_socket(&a, family_of(ips[k]), SOCK_DGRAM, 0), out;
                int loose = cage_socket(&a, family_of(ips[k]), SOCK_DGRAM, 0);
                union wire_addr at;
                int listener = wire_listen(ips[k], SOCK_DGRAM, &at);

                assert_int_equal(wire_sendto(loose, &at, "x", 1), 0);
                wire_join(in, ips[k], SOCK_DGRAM, &out);
                check(sweep(&a, true), 1, 0, 0, 0);
                assert_int_equal(error_of(in), -ECONNABORTED);
                assert_int_equal(wire_send(in, "x", 1), -EDESTADDRREQ);
                assert_int_equal(wire_sendto(loose, &at, "x", 1), 0);
                assert_int_equal(wire_arrived(listener), 2);
                (void) close(in), (void) close(out), (void) close(loose), (void) close(listener);
        }
}

static void a_connection_on_its_way_is_destroyed(void **state) {
        struct cage a = cage_make("a");
        union wire_addr any = wire_addr("10.0.0.1", 0), at;
        int listener = wire_socket(AF_INET, SOCK_STREAM, 0), first = wire_socket(AF_INET, SOCK_STREAM, 0);
        int in = cage_socket(&a, AF_INET, SOCK_STREAM, 0);
        struct tcp_info info;
        socklen_t size = sizeof(info);

        (void) state;
        /* no room for a second one, whose first segment is dropped */
        assert_int_equal(bind(listener, &any.sa, sizeof(any.v4)), 0);
        assert_int_equal(listen(listener, 0), 0);
        at = wire_name(listener);
        assert_int_equal(wire_connect(first, &at), 0);
        wire_settle();
        assert_int_equal(wire_connect(in, &at), 0);
        assert_int_equal(getsockopt(in, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
        assert_int_equal(info.tcpi_state, TCP_SYN_SENT);
        check(sweep(&a, true), 1, 0, 0, 0);
        (void) close(listener), (void) close(first), (void) close(in);
}

/* Its process has closed it, and the kernel goes on sending what is queued. */
static void a_connection_that_outlives_its_process_is_destroyed(void **state) {
        static char block[65536];
        struct cage a = cage_make("a");
        int in = cage_socket(&a, AF_INET, SOCK_STREAM, 0), out;

        (void) state;
        wire_join(in, "10.0.0.1", SOCK_STREAM, &out);
        while (send(in, block, sizeof(block), MSG_NOSIGNAL) > 0)
                wire_settle();
        (void) close(in);
        check(sweep(&a, true), 1, 0, 0, 0);
        wire_settle();
        while (recv(out, block, sizeof(block), 0) > 0)
                ;
        assert_int_equal(errno, ECONNRESET);
        (void) close(out);
}

static void sockets_of_cgroups_below_are_destroyed(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b"), beside = cage_make("beside");
        int in = cage_socket(&b, AF_INET, SOCK_STREAM, 0), out, twin = cage_socket(&beside, AF_INET, SOCK_STREAM, 0),
            peer;

        (void) state;
        wire_join(in, "10.0.0.1", SOCK_STREAM, &out);
        wire_join(twin, "10.0.0.1", SOCK_STREAM, &peer);
        check(sweep(&a, true), 1, 0, 0, 0);
        assert_int_equal(error_of(twin), -EAGAIN);
        (void) close(in), (void) close(out), (void) close(twin), (void) close(peer);
}

static void two_targets_are_swept_in_one_go_and_each_has_its_own(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b"), c = cage_make("c");
        const struct cage *cages[] = { &a, &b, &c };
        int in[3], out[3];
        struct scope s[2];
        struct sockets_result r[2];

        (void) state;
        for (size_t k = 0; k < 3; k++) {
                in[k] = cage_socket(cages[k], AF_INET, SOCK_STREAM, 0);
                wire_join(in[k], "10.0.0.1", SOCK_STREAM, &out[k]);
        }
        /* a has b below it: what is in b is of both */
        s[0] = scope_of(&a);
        s[1] = scope_of(&b);
        sockets_destroy((const struct sockets_scope[]) { s[0].s, s[1].s }, 2, false, r);
        check(r[0], 0, 2, 0, 0);
        check(r[1], 0, 1, 0, 0);
        scope_done(&s[1]);
        s[1] = scope_of(&c);
        sockets_destroy((const struct sockets_scope[]) { s[0].s, s[1].s }, 2, true, r);
        check(r[0], 2, 0, 0, 0);
        check(r[1], 1, 0, 0, 0);
        for (size_t k = 0; k < 3; k++) {
                assert_int_equal(error_of(in[k]), -ECONNABORTED);
                (void) close(in[k]), (void) close(out[k]);
        }
        scope_done(&s[0]);
        scope_done(&s[1]);
}

static void what_two_targets_share_is_destroyed_and_counted_once(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b");
        int in = cage_socket(&b, AF_INET, SOCK_STREAM, 0), out;
        _cleanup_(scope_done) struct scope above = scope_of(&a), below = scope_of(&b);
        struct sockets_result r[2];

        (void) state;
        wire_join(in, "10.0.0.1", SOCK_STREAM, &out);
        sockets_destroy((const struct sockets_scope[]) { above.s, below.s }, 2, true, r);
        check(r[0], 1, 0, 0, 0);
        check(r[1], 0, 0, 0, 0);
        assert_int_equal(error_of(in), -ECONNABORTED);
        (void) close(in), (void) close(out);
}

static void many_are_destroyed(void **state) {
        enum { MANY = 100 }; /* descriptors beyond 250 cannot be handed over by the cage */
        struct cage a = cage_make("a");
        int in[MANY], out[MANY];

        (void) state;
        for (size_t k = 0; k < MANY; k++) {
                in[k] = cage_socket(&a, AF_INET, SOCK_STREAM, 0);
                wire_join(in[k], "10.0.0.1", SOCK_STREAM, &out[k]);
        }
        check(sweep(&a, true), MANY, 0, 0, 0);
        for (size_t k = 0; k < MANY; k++) {
                assert_int_equal(error_of(out[k]), -ECONNRESET);
                (void) close(in[k]), (void) close(out[k]);
        }
}

static void the_spared_one_is_spared_and_the_self_tests_own_is_not_counted(void **state) {
        struct cage a = cage_make("a");
        int in[3], out[3];
        uint64_t spare, own;
        struct stat st;
        struct sockets_result r;
        _cleanup_(scope_done) struct scope s = scope_of(&a);

        (void) state;
        for (size_t k = 0; k < 3; k++) {
                in[k] = cage_socket(&a, AF_INET, SOCK_DGRAM, 0);
                wire_join(in[k], "10.0.0.1", SOCK_DGRAM, &out[k]);
        }
        assert_int_equal(fstat(in[1], &st), 0);
        spare = st.st_ino;
        assert_int_equal(fstat(in[2], &st), 0);
        own = st.st_ino;
        s.s.spare_inodes = &spare;
        s.s.own_inodes = &own;
        s.s.n_inodes = 1;
        sockets_destroy(&s.s, 1, true, &r);
        check(r, 1, 0, 0, 0);
        sockets_destroy(&s.s, 1, false, &r);
        check(r, 0, 0, 0, 0);
        for (size_t k = 0; k < 3; k++) {
                assert_int_equal(error_of(in[k]), k == 1 ? -EAGAIN : -ECONNABORTED);
                (void) close(in[k]), (void) close(out[k]);
        }
}

static void inherited_sockets_are_foreign_and_destroyed(void **state) {
        struct cage a = cage_make("a");
        union wire_addr at;
        int fd = wire_socket(AF_INET, SOCK_STREAM, 0), peer, datagram = wire_socket(AF_INET6, SOCK_DGRAM, 0),
            datagram_peer, listener;

        (void) state;
        wire_join(fd, "10.0.0.1", SOCK_STREAM, &peer);
        wire_join(datagram, "fd00::1", SOCK_DGRAM, &datagram_peer);
        listener = wire_listen("10.0.0.1", SOCK_STREAM, &at);
        check(sweep(&a, true), 0, 0, 0, 0);
        (void) cage_spawn_with(&a, fd, NULL, NULL);
        (void) cage_spawn_with(&a, datagram, NULL, NULL);
        (void) cage_spawn_with(&a, listener, NULL, NULL);
        check(sweep(&a, true), 2, 0, 3, 1);
        assert_int_equal(error_of(peer), -ECONNRESET);
        /* what was connected is not listed any more, though it is still held */
        check(sweep(&a, false), 0, 0, 1, 1);
        (void) close(fd), (void) close(peer), (void) close(datagram), (void) close(datagram_peer),
                (void) close(listener);
}

static void processes_that_are_gone_are_no_gap(void **state) {
        struct cage a = cage_make("a");
        pid_t pid = cage_spawn(&a, NULL, NULL);
        _cleanup_(scope_done) struct scope s = scope_of(&a);
        struct sockets_result r;

        (void) state;
        cage_kill(pid);
        sockets_destroy(&s.s, 1, true, &r);
        check(r, 0, 0, 0, 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CAGE_CASE(both_ends_of_a_connection_learn_at_once),
                CAGE_CASE(the_end_that_accepted_is_destroyed_too),
                CAGE_CASE(connected_datagram_sockets_are_destroyed_and_others_not),
                CAGE_CASE(a_connection_on_its_way_is_destroyed),
                CAGE_CASE(a_connection_that_outlives_its_process_is_destroyed),
                CAGE_CASE(sockets_of_cgroups_below_are_destroyed),
                CAGE_CASE(two_targets_are_swept_in_one_go_and_each_has_its_own),
                CAGE_CASE(what_two_targets_share_is_destroyed_and_counted_once),
                CAGE_CASE(many_are_destroyed),
                CAGE_CASE(the_spared_one_is_spared_and_the_self_tests_own_is_not_counted),
                CAGE_CASE(inherited_sockets_are_foreign_and_destroyed),
                CAGE_CASE(processes_that_are_gone_are_no_gap),
        };

        return CAGE_MAIN(cases);
}
