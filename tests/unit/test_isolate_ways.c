/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/isolate.c agent/core/isolate_set.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* Less common ways of making sockets and of using them: none leads out of a held cgroup. */

#include "lib/cage.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/isolate_box.h"

/* MSG_FASTOPEN connects and sends in one call; MPTCP makes sockets of its own for its paths. */
static void connecting_in_other_ways_is_no_way_out(void **state) {
        union wire_addr to;
        _cleanup_close_ int listener = wire_listen("10.0.0.1", SOCK_STREAM, &to);
        _cleanup_close_ int fast = cage_socket(&cage, AF_INET, SOCK_STREAM, 0);
        _cleanup_close_ int peer = -EBADF;
        int multi = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

        (void) state;
        if (multi >= 0) {
                (void) close(multi);
                multi = cage_socket(&cage, AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
        }
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(sendto(fast, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, &to.sa, sizeof(to.v4)), -1);
        assert_int_equal(errno, EPERM);
        if (multi >= 0) {
                (void) wire_connect(multi, &to);
                (void) close(multi);
        }
        wire_settle();
        peer = accept(listener, NULL, NULL);
        assert_int_equal(peer, -1);
}

/* Kinds of sockets, and whether one is needed to do what a permit for TCP or UDP allows. */
static const struct kind {
        int family, type, protocol;
        bool common;
} kinds[] = {
        { AF_INET, SOCK_STREAM, 0, true },
        { AF_INET6, SOCK_STREAM, IPPROTO_TCP, true },
        { AF_INET, SOCK_DGRAM, 0, true },
        { AF_INET6, SOCK_DGRAM, IPPROTO_UDP, true },
        { AF_INET, SOCK_RAW, IPPROTO_RAW, false },
        { AF_INET, SOCK_RAW, IPPROTO_TCP, false },
        { AF_INET, SOCK_RAW, IPPROTO_UDP, false },
        { AF_INET6, SOCK_RAW, IPPROTO_RAW, false },
        { AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, false },
        { AF_INET, SOCK_DGRAM, IPPROTO_ICMP, false },
        { AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, false },
        { AF_INET, SOCK_STREAM, IPPROTO_MPTCP, false },
        { AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, false },
        { AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP, false },
        { AF_INET, SOCK_DGRAM, 115 /* L2TP */, false },
};

static int make_kind(void *userdata) {
        const struct kind *k = userdata;
        int fd = socket(k->family, k->type, k->protocol);

        return fd >= 0 ? 0 : errno;
}

/* Kinds that this kernel does not have, or that root alone may not have, are no way out in the first place. */
static unsigned each_kind_is(bool refused) {
        unsigned n = 0;

        for (size_t k = 0; k < ELEMENTSOF(kinds); k++) {
                struct kind kind = kinds[k];
                const int twin = make_kind(&kind);

                assert_int_equal(cage_call(&cage, make_kind, &kind),
                                 twin == 0 && refused && !kind.common ? EPERM : twin);
                n += twin == 0;
        }
        return n;
}

static void only_tcp_and_udp_sockets_can_be_made(void **state) {
        const struct permit tcp = permit_of("10.0.0.1/32", 443, IPPROTO_TCP), any = permit_of("10.0.0.1/32", 0, 0);
        struct isolate_counters c;

        (void) state;
        assert_true(each_kind_is(false) >= 9);
        hold(&hold_a, NULL, 0, true, false);
        assert_true(each_kind_is(true) >= 9);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        hold(&hold_a, &tcp, 1, true, true);
        assert_true(each_kind_is(true) >= 9);
        assert_true(isolate_count(isolate, &hold_a, cage.id, &c));
        assert_true(c.refused >= 5);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        hold(&hold_a, &any, 1, true, true);
        assert_true(each_kind_is(false) >= 9);
}

static void other_kinds_are_refused_by_their_own_hook(void **state) {
        (void) state;
        hold_without(ISOLATE_CREATE);
        (void) each_kind_is(false);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        hold_with_only(ISOLATE_CREATE);
        (void) each_kind_is(true);
}

/* A ring of the kernel's own workers: one request, and what comes of it. */
static int through_uring(unsigned setup, struct io_uring_sqe sqe) {
        struct io_uring_params p = { .flags = setup };
        const int fd = (int) syscall(SYS_io_uring_setup, 4, &p);
        uint8_t *sq, *cq;
        struct io_uring_sqe *sqes;
        struct io_uring_cqe *cqe;

        if (fd < 0)
                return -ENOSYS;
        sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
        cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*cqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                  IORING_OFF_CQ_RING);
        sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
        if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
                return -ENOMEM;
        sqe.flags |= IOSQE_ASYNC;
        sqes[0] = sqe;
        *(uint32_t *) (sq + p.sq_off.array) = 0;
        __atomic_store_n((uint32_t *) (sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
        if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0) < 0)
                return -errno;
        cqe = (struct io_uring_cqe *) (cq + p.cq_off.cqes);
        (void) close(fd);
        return cqe->res;
}

static const unsigned uring_setups[] = { 0, IORING_SETUP_SQPOLL };

static int try_uring(void *userdata) {
        const bool held = *(const bool *) userdata;
        const union wire_addr to = wire_addr("127.0.0.1", 9);

        for (size_t k = 0; k < ELEMENTSOF(uring_setups); k++) {
                const struct io_uring_sqe raw = {
                        .opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_RAW, .len = IPPROTO_ICMP
                };
                struct io_uring_sqe use = { .addr = (uintptr_t) &to };
                int r = through_uring(uring_setups[k], raw);

                if (r == -ENOSYS)
                        return 77;
                if (held != (r == -EPERM))
                        return 1;
                use.opcode = IORING_OP_CONNECT;
                use.fd = socket(AF_INET, SOCK_DGRAM, 0);
                use.off = sizeof(to.v4);
                r = through_uring(uring_setups[k], use);
                if (held != (r == -EPERM))
                        return 2;
                use.opcode = IORING_OP_SEND;
                use.fd = socket(AF_INET, SOCK_DGRAM, 0);
                use.off = (uintptr_t) &to;
                use.addr_len = sizeof(to.v4);
                use.len = 1;
                r = through_uring(uring_setups[k], use);
                if (held != (r == -EPERM))
                        return 3;
        }
        return 0;
}

static void the_kernels_own_workers_are_no_way_out(void **state) {
        bool held = false;
        const int before = cage_call(&cage, try_uring, &held);

        (void) state;
        if (before == 77) {
                print_message("no io_uring here\n");
                skip();
        }
        assert_int_equal(before, 0);
        hold(&hold_a, NULL, 0, true, true);
        held = true;
        assert_int_equal(cage_call(&cage, try_uring, &held), 0);
}

static void what_is_corked_for_one_does_not_go_to_another(void **state) {
        const struct permit p = permit_of("10.0.0.1/32", 0, 0);
        union wire_addr allowed, other;
        _cleanup_close_ int a = wire_listen("10.0.0.1", SOCK_DGRAM, &allowed);
        _cleanup_close_ int b = wire_listen("10.0.0.2", SOCK_DGRAM, &other);
        _cleanup_close_ int in = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);

        (void) state;
        hold(&hold_a, &p, 1, true, true);
        assert_int_equal(sendto(in, "x", 1, MSG_MORE, &allowed.sa, sizeof(allowed.v4)), 1);
        /* no hook is asked about the second address, and nothing goes there */
        assert_int_equal(sendto(in, "y", 1, 0, &other.sa, sizeof(other.v4)), 1);
        assert_int_equal(wire_arrived(b), 0);
        assert_int_equal(wire_arrived(a), 2);
}

static int ask(int fd, const struct isolate_question *q) {
        return setsockopt(fd, q->level, q->name, NULL, 0) < 0 ? errno : 0;
}

/* Nobody else knows what a set is asked with, and none answers for another. */
static void each_set_knows_its_own_sockets(void **state) {
        struct isolate_question a, b, again;
        _cleanup_close_ int in = cage_socket(&cage, AF_INET, SOCK_STREAM, 0),
                            out = wire_socket(AF_INET, SOCK_STREAM, 0);

        (void) state;
        a = isolate_question(isolate, &hold_a, cage.id);
        assert_int_equal(a.level, 0);
        hold(&hold_a, NULL, 0, true, true);
        hold(&hold_b, NULL, 0, true, true);
        a = isolate_question(isolate, &hold_a, cage.id);
        b = isolate_question(isolate, &hold_b, cage.id);
        again = isolate_question(isolate, &hold_a, cage.id);
        assert_memory_equal(&a, &again, sizeof(a));
        assert_true(a.level > 1 << 16 && b.level > 1 << 16 && memcmp(&a, &b, sizeof(a)) != 0);
        assert_int_equal(ask(in, &a), EPERM);
        assert_int_equal(ask(in, &b), EPERM);
        assert_int_equal(ask(out, &a), ENOPROTOOPT);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_int_equal(ask(in, &a), ENOPROTOOPT);
        assert_int_equal(ask(in, &b), EPERM);
        a = isolate_question(isolate, &hold_a, cage.id);
        assert_int_equal(a.level, 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(connecting_in_other_ways_is_no_way_out),        CASE(the_kernels_own_workers_are_no_way_out),
                CASE(what_is_corked_for_one_does_not_go_to_another), CASE(only_tcp_and_udp_sockets_can_be_made),
                CASE(other_kinds_are_refused_by_their_own_hook),     CASE(each_set_knows_its_own_sockets),
        };

        return CAGE_MAIN(cases);
}
