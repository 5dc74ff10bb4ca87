/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/epochkey.c agent/core/hostkey.c */
/* LINK: agent/core/preserved.c */
/* LINK: agent/core/hosttest.c */
/* LINK: agent/core/hostparts.c */
/* LINK: agent/core/subtree.c */
/* LINK: agent/core/resolve_pid.c agent/core/branch_path.c agent/core/process.c agent/core/branch.c agent/core/elsewhere.c */
/* LINK: agent/core/find.c agent/core/container.c agent/core/user.c agent/core/paths.c */
/* LINK: agent/core/fence.c agent/core/fencefile.c agent/core/stamps.c agent/core/reload.c */
/* LINK: agent/core/guard.c agent/core/guard_want.c agent/core/guard_trial.c */
/* LINK: agent/core/subtree.c */
/* LINK: agent/core/hosthold.c agent/core/hostset.c agent/core/uplink.c agent/core/uplink_list.c agent/core/uplink_prog.c agent/core/direct.c agent/core/netns.c agent/core/management.c */
/* LINK: agent/util/log.c agent/core/enforce.c agent/core/prove.c agent/core/fold.c agent/core/record.c agent/core/site.c agent/core/resolve.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/foreign.c agent/core/unfrozen.c */
/* LINK: agent/core/tried.c */
/* LINK: agent/core/isolate.c agent/core/probe.c agent/core/probe_child.c agent/core/probe_try.c agent/core/descriptors.c agent/core/ways.c agent/core/sockets.c agent/core/sweep.c agent/core/systemd.c */
/* LINK: agent/core/isolate_set.c */
/* LINK: agent/core/cgroup.c agent/core/floor.c agent/core/ledger.c agent/core/segment.c agent/core/report_json.c */
/* LINK: agent/core/strays.c agent/core/cgroup_events.c agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */
/* WRAP: fgetxattr */
/* WRAP: readdir */

/* What a receipt and a status say of a hold is what the kernel says: what is missing, whoever is the cause, is a gap,
 * and nothing else is. */

#include "lib/cage.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "lib/enforce_box.h"
#include "lib/reasons.h"

#include "agent/util/io.h"

static void what_is_undone_behind_its_back_is_seen(void **state) {
        const struct command_id one = id_of(1);
        char id[33], path[256];
        struct proof p;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        check_state(stop(1, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        cage_freeze(&cage, false);
        p = look(1);
        assert_false(p.frozen);
        assert_reasons(p.gaps, GAP(NOT_FROZEN));
        cage_freeze(&cage, true);
        assert_reasons(look(1).gaps, 0);
        command_id_to_str(&one, id);
        (void) snprintf(path, sizeof(path), "%s/%s/%llx_bind6", cage_pins(), id, (unsigned long long) cage.id);
        _cleanup_close_ int fd = bpf_obj_get(path);

        assert_int_equal(bpf_link_detach(fd), 0);
        p = look(1);
        assert_reasons(p.gaps, GAP(LINK_LOST));
        assert_int_equal(prove_fold(_HOLD_STATE_MAX, &p, VERB_CONTAIN), HOLD_PARTIAL);
        (void) close(cage.fd);
        cage_remove(&cage);
        cage = cage_make("held");
        p = look(1);
        assert_false(p.present);
        assert_reasons(p.gaps, GAP(CGROUP_REPLACED));
        assert_int_equal(prove_fold(_HOLD_STATE_MAX, &p, VERB_CONTAIN), HOLD_FAILED);
        assert_reasons(let_go(1), 0);
}

static void a_program_that_keeps_ours_off_is_named(void **state) {
        static const struct bpf_insn pass[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
                { .code = BPF_JMP | BPF_EXIT },
        };
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET_EGRESS);
        _cleanup_close_ int prog =
                bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "pass", "GPL", pass, ELEMENTSOF(pass), &opts);
        struct proven *p;

        (void) state;
        assert_int_equal(bpf_prog_attach(prog, cage.fd, BPF_CGROUP_INET_EGRESS, 0), 0);
        (void) cage_spawn(&cage, NULL, NULL);
        p = stop(1, VERB_CONTAIN, &cage);
        assert_int_equal(proven_site(p, 0)->selftest.open_datagram, PROBE_LEAK);
        check_links(proven_site(p, 0), _ISOLATE_HOOK_MAX - 1);
        check_state(p, HOLD_PARTIAL, GAP(FOREIGN_BPF) | GAP(SELFTEST_LEAK));
        assert_reasons(let_go(1), 0);
        assert_int_equal(bpf_prog_detach2(prog, cage.fd, BPF_CGROUP_INET_EGRESS), 0);
}

static void give_up_roots(void *userdata) {
        drop_raw(userdata);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                _exit(1);
}

static void be_somebody(void *userdata) {
        const uid_t saved = *(const uid_t *) userdata;

        if (setresuid(65534, 65534, saved) < 0)
                _exit(1);
}

static void be_somebody_with(void *userdata) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = { 0 };
        const uid_t nobody = 65534;

        data[0].effective = data[0].permitted = 1U << *(const unsigned *) userdata;
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                _exit(1);
        be_somebody((void *) &nobody);
        if (syscall(SYS_capset, &header, data) < 0)
                _exit(1);
}

static void be_root_of_his_own(void *userdata) {
        const uid_t nobody = 65534;

        be_somebody((void *) &nobody);
        if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 || unshare(CLONE_NEWUSER) < 0 ||
            io_write_string(AT_FDCWD, "/proc/self/uid_map", "0 65534 1\n") < 0)
                _exit(1);
        drop_raw(userdata);
}

static void *sleep_on(void *userdata) {
        for (;;)
                (void) pause();
        return userdata;
}

/* The first thread has it no more, and the other has. */
static void keep_it_beside(void *userdata) {
        pthread_t t;

        if (pthread_create(&t, NULL, sleep_on, NULL) != 0)
                _exit(1);
        keep_no_raw(userdata);
}

static void who_can_come_to_open_packet_sockets_has_a_way_out(void **state) {
        static const unsigned root = 0, nobody = 65534;
        static const unsigned set_uid = CAP_SETUID, set_fcap = CAP_SETFCAP, kill_any = CAP_KILL;
        static const struct {
                void (*body)(void *userdata);
                const unsigned *with;
                enum reason gap;
        } bodies[] = {
                { keep_no_raw, NULL, REASON_NONE },
                { drop_raw, NULL, REASON_PACKET_SOCKETS },
                { give_up_roots, NULL, REASON_NONE },
                { be_somebody, &nobody, REASON_NONE },
                { be_somebody, &root, REASON_PACKET_SOCKETS },
                { be_somebody_with, &kill_any, REASON_NONE },
                { be_somebody_with, &set_uid, REASON_PACKET_SOCKETS },
                { be_somebody_with, &set_fcap, REASON_PACKET_SOCKETS },
                { be_root_of_his_own, NULL, REASON_PACKET_SOCKETS },
                { keep_it_beside, NULL, REASON_PACKET_SOCKETS },
        };

        (void) state;
        for (uint32_t k = 0; k < ELEMENTSOF(bodies); k++) {
                pid_t pid = cage_spawn(&cage, bodies[k].body, (void *) bodies[k].with);

                check_state(stop(k + 1, VERB_ISOLATE, &cage), bodies[k].gap ? HOLD_PARTIAL : HOLD_HELD,
                            reason_bit(bodies[k].gap));
                assert_reasons(let_go(k + 1), 0);
                cage_kill(pid);
        }
}

/* Each thread makes the next one before it is looked at. */
static bool ever_more_threads;

struct dirent *__real_readdir(DIR *d);
struct dirent *__wrap_readdir(DIR *d) {
        struct dirent *e = __real_readdir(d);
        char link[64], path[64] = "";

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd(d));
        if (e || !ever_more_threads || readlink(link, path, sizeof(path) - 1) < 5 ||
            strcmp(path + strlen(path) - 5, "/task") != 0)
                return e;
        rewinddir(d);
        return __real_readdir(d);
}

static void keep_no_raw_beside(void *userdata) {
        pthread_t t;

        keep_no_raw(userdata);
        if (pthread_create(&t, NULL, sleep_on, NULL) != 0)
                _exit(1);
}

static void who_makes_threads_without_end_is_a_gap_and_holds_nobody_up(void **state) {
        (void) state;
        (void) cage_spawn(&cage, keep_no_raw_beside, NULL);
        check_state(stop(1, VERB_ISOLATE, &cage), HOLD_HELD, 0);
        ever_more_threads = true;
        assert_reasons(look(1).gaps, GAP(PACKET_SOCKETS) | GAP(SOCKETS_LEFT));
        ever_more_threads = false;
        assert_reasons(look(1).gaps, 0);
        assert_reasons(let_go(1), 0);
}

static void a_socket_that_was_handed_in_is_told(void **state) {
        int fd = wire_socket(AF_INET, SOCK_STREAM, 0), peer, datagram = wire_socket(AF_INET, SOCK_DGRAM, 0), other;
        struct proven *p;

        (void) state;
        wire_join(fd, "10.0.0.1", SOCK_STREAM, &peer);
        wire_join(datagram, "10.0.0.1", SOCK_DGRAM, &other);
        (void) cage_spawn_with(&cage, fd, keep_no_raw, NULL);
        (void) cage_spawn_with(&cage, datagram, keep_no_raw, NULL);
        /* who is frozen can do nothing with what is destroyed */
        p = stop(1, VERB_CONTAIN, &cage);
        assert_int_equal(proven_site(p, 0)->sockets.destroyed, 2);
        check_state(p, HOLD_HELD, 0);
        assert_reasons(let_go(1), 0);
        (void) close(fd), (void) close(peer), (void) close(datagram), (void) close(other);
}

static void who_runs_on_with_a_socket_that_was_handed_in_has_a_way_out(void **state) {
        int fd = wire_socket(AF_INET, SOCK_DGRAM, 0), peer;
        struct proven *p;

        (void) state;
        wire_join(fd, "10.0.0.1", SOCK_DGRAM, &peer);
        (void) cage_spawn_with(&cage, fd, keep_no_raw, NULL);
        p = stop(1, VERB_ISOLATE, &cage);
        assert_int_equal(proven_site(p, 0)->sockets.foreign, 1);
        check_state(p, HOLD_PARTIAL, GAP(FOREIGN_SOCKET));
        assert_reasons(let_go(1), 0);
        (void) close(fd), (void) close(peer);
}

/* Each in a process that may not open another. Most of them nobody lists. */
static const struct {
        int family, type, protocol;
        enum reason gap; /* when it was made outside */
} sockets[] = {
        { AF_INET, SOCK_STREAM, 0, REASON_FOREIGN_SOCKET },
        { AF_INET6, SOCK_DGRAM, 0, REASON_FOREIGN_SOCKET },
        { AF_INET, SOCK_RAW, IPPROTO_ICMP, REASON_FOREIGN_SOCKET },
        { AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, REASON_FOREIGN_SOCKET },
        { AF_INET, SOCK_STREAM, IPPROTO_MPTCP, REASON_FOREIGN_SOCKET },
        { AF_PACKET, SOCK_RAW, 0, REASON_PACKET_SOCKETS },
        { AF_XDP, SOCK_RAW, 0, REASON_PACKET_SOCKETS },
        { AF_UNIX, SOCK_STREAM, 0, REASON_NONE },
        { AF_UNIX, SOCK_DGRAM, 0, REASON_NONE },
        { AF_NETLINK, SOCK_RAW, 0, REASON_NONE },
};

static struct ways hold_who_has(uint32_t n, int fd, reason_set gaps) {
        pid_t pid = cage_spawn_with(&cage, fd, keep_no_raw, NULL);
        struct proof p;

        /* who is frozen does nothing with any of them */
        check_state(stop(n, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        assert_reasons(let_go(n), 0);
        check_state(stop(n + 1, VERB_ISOLATE, &cage), gaps ? HOLD_PARTIAL : HOLD_HELD, gaps);
        p = look(n + 1);
        assert_reasons(p.gaps, gaps);
        assert_reasons(let_go(n + 1), 0);
        cage_kill(pid);
        return p.sockets.ways;
}

static void who_runs_on_with_a_socket_that_no_program_sees_has_a_way_out(void **state) {
        (void) state;
        for (uint32_t k = 0; k < ELEMENTSOF(sockets); k++) {
                _cleanup_close_ int fd = wire_socket(sockets[k].family, sockets[k].type, sockets[k].protocol);

                (void) hold_who_has(2 * k + 1, fd, reason_bit(sockets[k].gap));
        }
}

static void who_runs_on_with_a_tun_has_a_way_out(void **state) {
        _cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

        (void) state;
        if (fd < 0) {
                print_message("skip: /dev/net/tun cannot be opened here\n");
                skip();
        }
        (void) hold_who_has(1, fd, GAP(PACKET_SOCKETS));
}

static void whose_socket_is_his_own_is_seen_unless_it_makes_frames(void **state) {
        (void) state;
        for (uint32_t k = 0; k < ELEMENTSOF(sockets); k++) {
                _cleanup_close_ int fd = cage_socket(&cage, sockets[k].family, sockets[k].type, sockets[k].protocol);

                (void) hold_who_has(2 * k + 1, fd, reason_bit(sockets[k].gap) & ~(reason_bit(REASON_FOREIGN_SOCKET)));
        }
}

/* Kinds that few kernels have are simulated: each socket has the name of that one. */
static const char *simulated;

ssize_t __real_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size) {
        return simulated ? snprintf(value, size, "%s", simulated) + 1 : __real_fgetxattr(fd, name, value, size);
}

/* They answer as a socket of the cgroup does. Of those that the guard need not see, that it is live says nothing. */
static void who_runs_on_with_a_socket_of_a_kind_without_hooks_has_a_way_out(void **state) {
        static const struct {
                const char *name;
                bool open;
        } kinds[] = {
                { "SMC", false }, { "SMC6", false },  { "XDP", true },     { "PPPOE", true },
                { "TIPC", true }, { "L2CAP", true },  { "CAN_RAW", true }, { "RXRPC", true },
                { "TC", true },   { "TCPv66", true }, { "", true },
        };
        _cleanup_close_ int fd = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);

        (void) state;
        (void) hold_who_has(1, fd, 0);
        for (uint32_t k = 0; k < ELEMENTSOF(kinds); k++) {
                simulated = kinds[k].name;
                assert_reasons(hold_who_has(2 * k + 3, fd, GAP(PACKET_SOCKETS)).open,
                               kinds[k].open ? GAP(PACKET_SOCKETS) : 0);
        }
        simulated = NULL;
}

/* A program of somebody's, at the cgroup that the socket is of, answers as ours would. */
static void who_refuses_whatever_he_is_asked_is_not_believed(void **state) {
        static const struct bpf_insn refuse[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
                { .code = BPF_JMP | BPF_EXIT },
        };
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_SETSOCKOPT);
        _cleanup_close_ int prog =
                bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCKOPT, "refuse", "GPL", refuse, ELEMENTSOF(refuse), &opts);
        struct cage other = cage_make("other");
        _cleanup_close_ int fd = cage_socket(&other, AF_INET, SOCK_RAW, IPPROTO_ICMP);

        (void) state;
        assert_int_equal(bpf_prog_attach(prog, other.fd, BPF_CGROUP_SETSOCKOPT, 0), 0);
        assert_int_equal(setsockopt(fd, SOL_IP, IP_TTL, &(int) { 9 }, sizeof(int)), -1);
        assert_int_equal(errno, EPERM);
        (void) hold_who_has(1, fd, GAP(FOREIGN_SOCKET));
}

/* Another says of it that it is a unix socket. */
static void what_a_program_says_of_a_socket_is_not_believed(void **state) {
        static const struct bpf_insn unix_socket[] = {
                { .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_1, .off = 8 },
                { .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_1, .off = 16 },
                { .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_2 },
                { .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_4, .imm = sizeof(int) },
                { .code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_3, .off = 1 },
                { .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2, .imm = AF_UNIX },
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
                { .code = BPF_JMP | BPF_EXIT },
        };
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_GETSOCKOPT);
        _cleanup_close_ int prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCKOPT, "unix_socket", "GPL", unix_socket,
                                                 ELEMENTSOF(unix_socket), &opts);
        struct cage other = cage_make("other");
        _cleanup_close_ int raw = cage_socket(&other, AF_INET, SOCK_RAW, IPPROTO_ICMP),
                            packet = cage_socket(&other, AF_PACKET, SOCK_RAW, 0),
                            xdp = cage_socket(&other, AF_XDP, SOCK_RAW, 0);
        int family = 0;

        (void) state;
        assert_int_equal(bpf_prog_attach(prog, other.fd, BPF_CGROUP_GETSOCKOPT, 0), 0);
        assert_int_equal(getsockopt(xdp, SOL_SOCKET, SO_DOMAIN, &family, &(socklen_t) { sizeof(family) }), 0);
        assert_int_equal(family, AF_UNIX);
        assert_reasons(hold_who_has(1, raw, GAP(FOREIGN_SOCKET)).open, 0);
        assert_reasons(hold_who_has(3, packet, GAP(PACKET_SOCKETS)).open, 0);
        assert_reasons(hold_who_has(5, xdp, GAP(PACKET_SOCKETS)).open, GAP(PACKET_SOCKETS));
}

static void what_is_permitted_is_not_taken_for_a_leak(void **state) {
        struct proven *p;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        agent.local.n_permits = 1;
        assert_int_equal(permit_net_from_str("127.0.0.0/8", &agent.local.permits[0]), 0);
        p = stop(1, VERB_CONTAIN, &cage);
        assert_false(proven_site(p, 0)->tested);
        check_state(p, HOLD_PARTIAL, GAP(SELFTEST_NOT_RUN));
        assert_reasons(let_go(1), 0);
        assert_int_equal(permit_net_from_str("127.0.0.1/32", &agent.local.permits[0]), 0);
        p = stop(2, VERB_CONTAIN, &cage);
        check_blocked(proven_site(p, 0));
        check_state(p, HOLD_HELD, 0);
        assert_reasons(let_go(2), 0);
}

/* so many connections are there to be destroyed */
#define ACCEPTED 16

/* Connects again and again from beside. */
static void keep_connecting(void *userdata) {
        const union wire_addr *to = userdata;

        if (fork() != 0)
                return;
        for (;;) {
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

                (void) connect(fd, &to->sa, sizeof(to->v4));
                (void) usleep(100);
                (void) close(fd);
        }
}

static void accept_all(void *userdata) {
        volatile unsigned *accepted = userdata;
        int fds[64] = { 0 };

        if (fork() != 0)
                return;
        for (unsigned k = 0;; k = (k + 1) % ELEMENTSOF(fds)) {
                if (fds[k] > 0)
                        (void) close(fds[k]);
                fds[k] = accept(CAGE_HELD, NULL, NULL);
                ++*accepted;
        }
}

static void await_more(volatile unsigned *accepted) {
        const unsigned before = *accepted;

        for (int i = 0; i < 60000 && *accepted - before < ACCEPTED; i++)
                (void) usleep(1000);
        assert_true(*accepted - before >= ACCEPTED);
}

static void a_busy_listener_is_held_whole(void **state) {
        struct cage beside = cage_make("beside");
        union wire_addr any = wire_addr("10.0.0.1", 0), at;
        int listener = cage_socket(&cage, AF_INET, SOCK_STREAM, 0);
        volatile unsigned *accepted =
                mmap(NULL, sizeof(*accepted), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        (void) state;
        assert_true(accepted != MAP_FAILED);
        assert_int_equal(bind(listener, &any.sa, sizeof(any.v4)), 0);
        assert_int_equal(listen(listener, 64), 0);
        assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
        at = wire_name(listener);
        (void) cage_spawn_with(&cage, listener, accept_all, (void *) accepted);
        (void) close(listener);
        for (int k = 0; k < 2; k++)
                (void) cage_spawn(&beside, keep_connecting, &at);
        for (uint32_t n = 1; n <= 5; n++) {
                await_more(accepted);
                struct proven *p = stop(n, VERB_CONTAIN, &cage);

                assert_true(proven_site(p, 0)->sockets.destroyed > 1);
                assert_int_equal(proven_site(p, 0)->sockets.listeners, 1);
                check_state(p, HOLD_HELD, 0);
                assert_reasons(let_go(n), 0);
        }
        assert_int_equal(munmap((void *) accepted, sizeof(*accepted)), 0);
}

static void what_is_missing_of_several_is_partial(void **state) {
        struct cage empty = cage_make("empty");
        struct proven *p;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        order(VERB_CONTAIN);
        AIM(&cage, &empty);
        p = carry_out(1);
        assert_reasons(proven_site(p, 0)->gaps, 0);
        assert_reasons(proven_site(p, 1)->gaps, GAP(NOT_RUNNING));
        check_state(p, HOLD_PARTIAL, GAP(NOT_RUNNING));
        assert_reasons(let_go(1), 0);
}

/* Both have sockets of the self-test in the one that lies deeper, and destroying for the one must not cost the other
 * its test. */
static void two_targets_within_each_other_are_both_tested(void **state) {
        struct cage below = cage_make("held/below");
        struct proven *p;

        (void) state;
        (void) cage_spawn(&below, NULL, NULL);
        order(VERB_CONTAIN);
        AIM(&cage, &below);
        p = carry_out(1);
        check_blocked(proven_site(p, 0));
        check_blocked(proven_site(p, 1));
        check_state(p, HOLD_HELD, 0);
        assert_reasons(let_go(1), 0);
        assert_int_equal(attached(&below), 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(what_is_undone_behind_its_back_is_seen),
                CASE(a_program_that_keeps_ours_off_is_named),
                CASE(who_makes_threads_without_end_is_a_gap_and_holds_nobody_up),
                CASE(a_socket_that_was_handed_in_is_told),
                CASE(who_runs_on_with_a_socket_that_was_handed_in_has_a_way_out),
                CASE(who_runs_on_with_a_socket_that_no_program_sees_has_a_way_out),
                CASE(who_runs_on_with_a_tun_has_a_way_out),
                CASE(who_can_come_to_open_packet_sockets_has_a_way_out),
                CASE(whose_socket_is_his_own_is_seen_unless_it_makes_frames),
                CASE(who_runs_on_with_a_socket_of_a_kind_without_hooks_has_a_way_out),
                CASE(who_refuses_whatever_he_is_asked_is_not_believed),
                CASE(what_a_program_says_of_a_socket_is_not_believed),
                CASE(what_is_permitted_is_not_taken_for_a_leak),
                CASE(a_busy_listener_is_held_whole),
                CASE(what_is_missing_of_several_is_partial),
                CASE(two_targets_within_each_other_are_both_tested),
        };

        return CAGE_MAIN(cases);
}
