/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/descriptors.c agent/core/sockets.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* Real connections of a cgroup, and of processes in it, are destroyed in every namespace; nothing beside them is. */

#include "lib/cage.h"
#include "lib/reasons.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/core/cgroup.h"
#include "agent/core/sockets.h"

#define GAP(r) reason_bit(REASON_##r)

/* The scope that enforcing would make of the cgroup now. */
struct scope {
        struct sockets_scope s;
        uint64_t *ids;
        pid_t *pids;
};

static struct scope scope_of(const struct cage *c) {
        struct scope r = { .ids = NULL };

        assert_int_equal(cgroup_ids(c->fd, &r.ids, &r.s.n_cgroup_ids), 0);
        assert_int_equal(cgroup_pids(c->fd, &r.pids, &r.s.n_pids), 0);
        r.s.cgroup_ids = r.ids;
        r.s.pids = r.pids;
        return r;
}

static void scope_done(struct scope *s) {
        free(s->ids);
        free(s->pids);
}

static struct sockets_result sweep(const struct cage *c, bool destroy) {
        _cleanup_(scope_done) struct scope s = scope_of(c);
        struct sockets_result r;

        sockets_destroy(&s.s, 1, destroy, &r);
        return r;
}

static void check(struct sockets_result r, unsigned destroyed, unsigned left, unsigned foreign, unsigned listeners) {
        assert_int_equal(r.destroyed, destroyed);
        assert_int_equal(r.left, left);
        assert_int_equal(r.foreign, foreign);
        assert_int_equal(r.listeners, listeners);
        assert_reasons(r.gaps, (left ? GAP(SOCKETS_LEFT) : 0) | (foreign ? GAP(FOREIGN_SOCKET) : 0));
}

static int family_of(const char *ip) {
        return strchr(ip, ':') ? AF_INET6 : AF_INET;
}

static int error_of(int fd) {
        char c;
        ssize_t n;

        wire_settle();
        n = recv(fd, &c, 1, 0);
        return n < 0 ? -errno : (int) n;
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

static void *keep_it(void *userdata) {
        atomic_bool *kept = userdata;

        (void) unshare(CLONE_FILES);
        atomic_store(kept, true);
        for (;;)
                (void) pause();
        return NULL;
}

static void leave_it_to_a_thread(void *userdata) {
        static atomic_bool kept;
        pthread_t thread;

        (void) userdata;
        (void) pthread_create(&thread, NULL, keep_it, &kept);
        while (!atomic_load(&kept))
                (void) usleep(1000);
        (void) close(CAGE_HELD);
}

/* A thread can have descriptors that its process does not show. */
static void what_only_a_thread_holds_is_found(void **state) {
        struct cage a = cage_make("a");
        int fd = wire_socket(AF_INET, SOCK_STREAM, 0), peer;

        (void) state;
        wire_join(fd, "10.0.0.1", SOCK_STREAM, &peer);
        (void) cage_spawn_with(&a, fd, leave_it_to_a_thread, NULL);
        check(sweep(&a, true), 1, 0, 1, 0);
        assert_int_equal(error_of(peer), -ECONNRESET);
        (void) close(fd), (void) close(peer);
}

static void *stay(void *userdata) {
        for (;;)
                (void) pause();
        return userdata;
}

static void *go_ahead(void *userdata) {
        const atomic_bool *go = userdata;

        while (!atomic_load(go))
                (void) usleep(1000);
        (void) usleep(20 * 1000);
        if (write(CAGE_HELD + 1, "", 1) != 1)
                _exit(1);
        return stay(NULL);
}

/* The first thread ends, and says so through another. */
static void end_the_first_thread(void *userdata) {
        static atomic_bool go;
        pthread_t thread;

        (void) userdata;
        (void) pthread_create(&thread, NULL, go_ahead, &go);
        atomic_store(&go, true);
        (void) syscall(SYS_exit, 0);
}

/* The first thread is a zombie then, and /proc/PID has neither its descriptors nor its namespaces. */
static void a_process_whose_first_thread_has_ended_is_looked_into(void **state) {
        struct cage a = cage_make("a");
        int fd = wire_socket(AF_INET, SOCK_STREAM, 0), peer;

        (void) state;
        wire_join(fd, "10.0.0.1", SOCK_STREAM, &peer);
        (void) cage_spawn_with(&a, fd, end_the_first_thread, NULL);
        check(sweep(&a, true), 1, 0, 1, 0);
        assert_int_equal(error_of(peer), -ECONNRESET);
        (void) close(fd), (void) close(peer);
}

/* A connection within a network namespace of its own, and how it is. */
struct far {
        int error;
        bool by_thread;
        volatile bool up, look, looked;
};

static void *be_far(void *userdata) {
        struct far *far = userdata;
        union wire_addr at = wire_addr("127.0.0.1", 0);
        socklen_t size = sizeof(at);
        int listener, fd, in;
        char c;

        if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0) /* NOLINT */
                return NULL;
        listener = socket(AF_INET, SOCK_STREAM, 0);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(listener, &at.sa, sizeof(at.v4)) < 0 || listen(listener, 1) < 0 ||
            getsockname(listener, &at.sa, &size) < 0 || connect(fd, &at.sa, sizeof(at.v4)) < 0)
                return NULL;
        in = accept(listener, NULL, NULL);
        (void) close(listener);
        far->up = true;
        while (!far->look)
                (void) usleep(1000);
        far->error = recv(in, &c, 1, MSG_DONTWAIT) < 0 ? errno : 0;
        far->looked = true;
        for (;;)
                (void) pause();
        return NULL;
}

static void go_far(void *userdata) {
        struct far *far = userdata;
        pthread_t thread;

        if (!far->by_thread && fork() == 0)
                (void) be_far(far);
        if (far->by_thread)
                (void) pthread_create(&thread, NULL, be_far, far);
        while (!far->up)
                (void) usleep(1000);
}

static void in_a_far_namespace(bool by_thread) {
        struct cage a = cage_make("a");
        struct far *far = mmap(NULL, sizeof(*far), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct stat before, after;
        struct sockets_result r;

        assert_ptr_not_equal(far, MAP_FAILED);
        far->by_thread = by_thread;
        (void) cage_spawn(&a, go_far, far);
        assert_int_equal(stat("/proc/self/ns/net", &before), 0);
        r = sweep(&a, true);
        /* destroying the one end may be the end of the other */
        assert_in_range(r.destroyed, 1, 2);
        check(r, r.destroyed, 0, 0, 0);
        assert_int_equal(stat("/proc/self/ns/net", &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
        far->look = true;
        while (!far->looked)
                (void) usleep(1000);
        assert_true(far->error == ECONNABORTED || far->error == ECONNRESET);
        check(sweep(&a, true), 0, 0, 0, 0);
        assert_int_equal(munmap(far, sizeof(*far)), 0);
}

static void other_network_namespaces_are_entered(void **state) {
        (void) state;
        in_a_far_namespace(false);
}

static void the_namespace_of_a_thread_is_entered(void **state) {
        (void) state;
        in_a_far_namespace(true);
}

static int drop_capability(int cap) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_capget, &header, data) < 0)
                return -1;
        data[cap / 32].effective &= ~(1U << (cap % 32));
        data[cap / 32].permitted &= ~(1U << (cap % 32));
        return (int) syscall(SYS_capset, &header, data);
}

struct unable {
        const struct sockets_scope *scope;
        int cap;
        unsigned destroyed, left;
        reason_set gaps;
};

static int sweep_without(void *userdata) {
        const struct unable *u = userdata;
        struct sockets_result r;

        if (drop_capability(u->cap) < 0)
                return 1;
        sockets_destroy(u->scope, 1, true, &r);
        return r.destroyed != u->destroyed ? 2 : r.left != u->left ? 3 : r.gaps != u->gaps ? 4 : 0;
}

static void what_may_not_be_destroyed_is_said_to_be_left(void **state) {
        struct cage a = cage_make("a");
        int in = cage_socket(&a, AF_INET, SOCK_STREAM, 0), out;
        struct unable u = { .cap = CAP_NET_ADMIN, .left = 1, .gaps = GAP(SOCKETS_LEFT) };
        _cleanup_(scope_done) struct scope s = scope_of(&a);

        (void) state;
        wire_join(in, "10.0.0.1", SOCK_STREAM, &out);
        u.scope = &s.s;
        assert_int_equal(cage_call(cage_top(), sweep_without, &u), 0);
        assert_int_equal(error_of(in), -EAGAIN);
        (void) close(in), (void) close(out);
}

static void a_namespace_that_may_not_be_entered_is_a_gap(void **state) {
        struct cage a = cage_make("a");
        struct far *far = mmap(NULL, sizeof(*far), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct unable u = { .cap = CAP_SYS_ADMIN, .gaps = GAP(NETNS) };

        (void) state;
        assert_ptr_not_equal(far, MAP_FAILED);
        (void) cage_spawn(&a, go_far, far);
        _cleanup_(scope_done) struct scope s = scope_of(&a);

        u.scope = &s.s;
        assert_int_equal(cage_call(cage_top(), sweep_without, &u), 0);
        assert_int_equal(munmap(far, sizeof(*far)), 0);
}

static void a_process_that_may_not_be_looked_into_is_a_gap(void **state) {
        struct cage a = cage_make("a");
        struct unable u = { .cap = CAP_SYS_PTRACE, .gaps = GAP(NETNS) | GAP(SOCKETS_LEFT) };

        (void) state;
        (void) cage_spawn_with(&a, 0, NULL, NULL);
        _cleanup_(scope_done) struct scope s = scope_of(&a);

        u.scope = &s.s;
        assert_int_equal(cage_call(cage_top(), sweep_without, &u), 0);
}

static void each_one_that_resists_is_counted(void **state) {
        struct cage a = cage_make("a");
        int in[3], out[3];

        (void) state;
        for (size_t k = 0; k < 3; k++) {
                in[k] = cage_socket(&a, AF_INET, SOCK_STREAM, 0);
                wire_join(in[k], "10.0.0.1", SOCK_STREAM, &out[k]);
        }
        assert_int_equal(setenv("FREEZED_FAULT", "fail:2", 1), 0);
        check(sweep(&a, true), 2, 1, 0, 0);
        assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
        check(sweep(&a, false), 0, 1, 0, 0);
        check(sweep(&a, true), 1, 0, 0, 0);
        for (size_t k = 0; k < 3; k++)
                (void) close(in[k]), (void) close(out[k]);
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

static void nothing_stays_open(void **state) {
        struct cage a = cage_make("a");
        struct far *far = mmap(NULL, sizeof(*far), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        size_t fds;

        (void) state;
        assert_ptr_not_equal(far, MAP_FAILED);
        (void) cage_spawn(&a, go_far, far);
        fds = wire_open_fds();
        for (int k = 0; k < 3; k++)
                (void) sweep(&a, true);
        assert_int_equal(wire_open_fds(), fds);
        assert_int_equal(munmap(far, sizeof(*far)), 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CAGE_CASE(both_ends_of_a_connection_learn_at_once),
                CAGE_CASE(the_end_that_accepted_is_destroyed_too),
                CAGE_CASE(connected_datagram_sockets_are_destroyed_and_others_not),
                CAGE_CASE(a_connection_on_its_way_is_destroyed),
                CAGE_CASE(a_connection_that_outlives_its_process_is_destroyed),
                CAGE_CASE(sockets_of_cgroups_below_are_destroyed),
                CAGE_CASE(many_are_destroyed),
                CAGE_CASE(the_spared_one_is_spared_and_the_self_tests_own_is_not_counted),
                CAGE_CASE(inherited_sockets_are_foreign_and_destroyed),
                CAGE_CASE(what_only_a_thread_holds_is_found),
                CAGE_CASE(a_process_whose_first_thread_has_ended_is_looked_into),
                CAGE_CASE(other_network_namespaces_are_entered),
                CAGE_CASE(the_namespace_of_a_thread_is_entered),
                CAGE_CASE(what_may_not_be_destroyed_is_said_to_be_left),
                CAGE_CASE(a_namespace_that_may_not_be_entered_is_a_gap),
                CAGE_CASE(a_process_that_may_not_be_looked_into_is_a_gap),
                CAGE_CASE(each_one_that_resists_is_counted),
                CAGE_CASE(processes_that_are_gone_are_no_gap),
                CAGE_CASE(nothing_stays_open),
        };

        return CAGE_MAIN(cases);
}
