/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/probe.c agent/core/probe_child.c agent/core/probe_try.c agent/core/isolate.c agent/core/descriptors.c agent/core/process.c agent/core/ways.c agent/core/sockets.c */
/* LINK: agent/core/isolate_set.c */
/* LINK: agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* The self-test has to see what is there: with the whole hold it is blocked, without one hook exactly that hook's line
 * changes, and nobody can make it see what is not. */

#include "lib/cage.h"

#include <linux/capability.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/core/cgroup.h"
#include "agent/core/probe.h"
#include "agent/core/sockets.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "lib/isolate_box.h"
#include "lib/scratch.h"

static struct probe *probe;

static int begin(void **state) {
        int r = box_begin(state);

        if (r == 0)
                assert_int_equal(probe_start(&probe), 0);
        return r;
}

static int end(void **state) {
        probe_free(TAKE_PTR(probe));
        return box_end(state);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void enter(const struct cage *c, size_t n_permits) {
        assert_int_equal(probe_enter(probe, c->fd, c->id, n_permits), 0);
}

static void check(const struct cage *c, enum probe_result fresh, enum probe_result stream, enum probe_result datagram,
                  enum probe_result inbound) {
        struct probe_report r;

        memset(&r, 0xff, sizeof(r));
        assert_int_equal(probe_check(probe, c->id, NULL, 0, &r), 0);
        assert_true(r.baseline);
        assert_string_equal(probe_result_id(r.new_connection), probe_result_id(fresh));
        assert_string_equal(probe_result_id(r.open_stream), probe_result_id(stream));
        assert_string_equal(probe_result_id(r.open_datagram), probe_result_id(datagram));
        assert_string_equal(probe_result_id(r.inbound), probe_result_id(inbound));
        assert_int_equal(r.n_permits, 0);
}

static void check_all(const struct cage *c, enum probe_result r) {
        check(c, r, r, r, r);
}

static void without_a_hold_everything_leaks(void **state) {
        (void) state;
        enter(&cage, 0);
        for (int i = 0; i < 100; i++)
                check_all(&cage, PROBE_LEAK);
}

static void with_a_hold_everything_is_blocked(void **state) {
        (void) state;
        enter(&cage, 0);
        hold(&hold_a, NULL, 0, true, true);
        for (int i = 0; i < 20; i++)
                check_all(&cage, PROBE_BLOCKED);
}

static void each_missing_hook_changes_its_own_line(void **state) {
        static const enum probe_result B = PROBE_BLOCKED, L = PROBE_LEAK;
        const struct {
                enum probe_result fresh, stream, datagram, inbound;
        } without[_ISOLATE_HOOK_MAX] = {
                [ISOLATE_CONNECT4] = { L, B, B, B },
                [ISOLATE_CONNECT6] = { L, B, B, B },
                /* these are read back, not tried */
                [ISOLATE_CREATE] = { B, B, B, B },
                [ISOLATE_SETSOCKOPT] = { B, B, B, B },
                [ISOLATE_SENDMSG4] = { B, B, B, B },
                [ISOLATE_SENDMSG6] = { B, B, B, B },
                [ISOLATE_BIND4] = { B, B, B, B },
                [ISOLATE_BIND6] = { B, B, B, B },
                [ISOLATE_EGRESS] = { B, L, L, B },
                [ISOLATE_INGRESS] = { B, B, B, L },
        };

        (void) state;
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                enter(&cage, 0);
                hold_without(h);
                check(&cage, without[h].fresh, without[h].stream, without[h].datagram, without[h].inbound);
                /* put back, it is blocked, whatever came of the attempts before */
                hold(&hold_a, NULL, 0, true, true);
                check_all(&cage, PROBE_BLOCKED);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
                probe_leave(probe, cage.id);
        }
}

static void a_frozen_cgroup_cannot_be_entered(void **state) {
        struct probe_report r;
        int64_t start;

        (void) state;
        cage_freeze(&cage, true);
        start = clock_mono_us();
        assert_int_equal(probe_enter(probe, cage.fd, cage.id, 0), -EBUSY);
        assert_true(clock_mono_us() - start < 60LL * 1000 * 1000);
        assert_int_equal(probe_check(probe, cage.id, NULL, 0, &r), -ENOENT);
        /* who could not run in there is not left in there */
        assert_true(cage_says(&cage, "cgroup.events", "populated 0"));
        cage_freeze(&cage, false);
        enter(&cage, 0);
        check_all(&cage, PROBE_LEAK);
}

static void the_sockets_go_on_when_the_cgroup_is_frozen(void **state) {
        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        enter(&cage, 0);
        cage_freeze(&cage, true);
        check_all(&cage, PROBE_LEAK);
        hold(&hold_a, NULL, 0, true, true);
        check_all(&cage, PROBE_BLOCKED);
        /* a second hold finds them */
        enter(&cage, 0);
        check_all(&cage, PROBE_BLOCKED);
}

static void cgroups_are_told_apart(void **state) {
        struct cage other = cage_make("other"), none = cage_make("none");
        struct probe_report r;

        (void) state;
        enter(&cage, 0);
        enter(&other, 0);
        hold(&hold_a, NULL, 0, true, true);
        check_all(&cage, PROBE_BLOCKED);
        check_all(&other, PROBE_LEAK);
        assert_int_equal(probe_check(probe, none.id, NULL, 0, &r), -ENOENT);
        probe_leave(probe, other.id);
        assert_int_equal(probe_check(probe, other.id, NULL, 0, &r), -ENOENT);
        probe_leave(probe, other.id);
        check_all(&cage, PROBE_BLOCKED);
}

static void entering_can_be_begun_before_it_is_waited_for(void **state) {
        struct cage other = cage_make("other");

        (void) state;
        enter(&cage, 0);
        probe_begin_enter(probe, other.fd, other.id, 0);
        enter(&other, 0);
        probe_leave(probe, other.id);
        /* another question comes between */
        probe_begin_enter(probe, other.fd, other.id, 0);
        check_all(&cage, PROBE_LEAK);
        check_all(&other, PROBE_LEAK);
        probe_leave(probe, other.id);
        cage_freeze(&other, true);
        probe_begin_enter(probe, other.fd, other.id, 0);
        assert_int_equal(probe_enter(probe, other.fd, other.id, 0), -EBUSY);
        probe_begin_enter(probe, other.fd, other.id, 0);
        check_all(&cage, PROBE_LEAK);
}

/* Enforcing destroys connections; what is spared goes on testing the packet hooks, also when the cgroups are within
 * each other. */
static void what_is_spared_still_tests(void **state) {
        struct cage below = cage_make("held/below");
        const uint64_t below_ids[] = { below.id };
        uint64_t ids[] = { MIN(cage.id, below.id), MAX(cage.id, below.id) }, spare[PROBE_CGROUPS_MAX],
                 own[PROBE_CGROUPS_MAX];
        struct sockets_scope scope = { .cgroup_ids = ids, .n_cgroup_ids = 2, .spare_inodes = spare, .own_inodes = own };
        struct sockets_result r;

        (void) state;
        enter(&cage, 0);
        enter(&below, 0);
        scope.n_inodes = probe_inodes(probe, spare, own);
        assert_int_equal(scope.n_inodes, 2);
        sockets_destroy(&scope, 1, true, &r);
        /* their connections are gone, as is shown below, and are nobody's but the self-test's */
        assert_int_equal(r.destroyed, 0);
        scope.cgroup_ids = below_ids;
        scope.n_cgroup_ids = 1;
        sockets_destroy(&scope, 1, true, &r);
        assert_int_equal(r.destroyed, 0);
        check(&cage, PROBE_LEAK, PROBE_BLOCKED, PROBE_LEAK, PROBE_LEAK);
        check(&below, PROBE_LEAK, PROBE_BLOCKED, PROBE_LEAK, PROBE_LEAK);
        hold(&hold_a, NULL, 0, true, true);
        check_all(&cage, PROBE_BLOCKED);
        check_all(&below, PROBE_BLOCKED);
        probe_leave(probe, below.id);
        assert_int_equal(probe_inodes(probe, spare, own), 1);
}

static void a_socket_that_is_dead_proves_nothing(void **state) {
        const uint64_t ids[] = { cage.id };
        const struct sockets_scope scope = { .cgroup_ids = ids, .n_cgroup_ids = 1 };
        struct sockets_result r;

        (void) state;
        enter(&cage, 0);
        sockets_destroy(&scope, 1, true, &r);
        assert_int_equal(r.destroyed, 2);
        check(&cage, PROBE_LEAK, PROBE_BLOCKED, PROBE_NOT_RUN, PROBE_LEAK);
        hold(&hold_a, NULL, 0, true, true);
        check(&cage, PROBE_BLOCKED, PROBE_BLOCKED, PROBE_NOT_RUN, PROBE_BLOCKED);
}

/* An address and port, and what the self-test is to find there. */
struct way {
        struct permit permit;
        enum probe_result result;
};

static struct way way_of(const char *net, uint16_t port, uint8_t proto, enum probe_result result) {
        return (struct way) { .permit = permit_of(net, port, proto), .result = result };
}

static void check_ways(const struct way *w, size_t n, size_t tried) {
        struct permit p[2 * PROBE_PERMITS_MAX];
        struct probe_report r;
        int64_t start = clock_mono_us();

        for (size_t k = 0; k < n; k++)
                p[k] = w[k].permit;
        assert_int_equal(probe_check(probe, cage.id, p, n, &r), 0);
        assert_true(clock_mono_us() - start < 60LL * 1000 * 1000);
        assert_int_equal(r.n_permits, tried);
        for (size_t k = 0; k < tried; k++)
                assert_string_equal(probe_result_id(r.permits[k]), probe_result_id(w[k].result));
}

static int full_listener(const char *ip, uint16_t *ret_port, int *ret_client) {
        union wire_addr any = wire_addr(ip, 0), at;
        int fd = wire_socket(AF_INET, SOCK_STREAM, 0);

        assert_int_equal(bind(fd, &any.sa, sizeof(any.v4)), 0);
        assert_int_equal(listen(fd, 0), 0);
        at = wire_name(fd);
        *ret_client = wire_socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(wire_connect(*ret_client, &at), 0);
        wire_settle();
        *ret_port = ntohs(at.v4.sin_port);
        return fd;
}

static void permitted_addresses_are_tried_one_by_one(void **state) {
        union wire_addr v4, v6;
        uint16_t full_port;
        int client, full = full_listener("10.0.0.1", &full_port, &client);
        int listener4 = wire_listen("10.0.0.2", SOCK_STREAM, &v4), listener6 = wire_listen("fd00::2", SOCK_STREAM, &v6);
        const struct way ways[] = {
                way_of("10.0.0.1/32", full_port, IPPROTO_TCP, PROBE_NO_ANSWER),
                /* what is known at once stays known while the first is waited for */
                way_of("10.0.0.2/32", ntohs(v4.v4.sin_port), IPPROTO_TCP, PROBE_REACHED),
                way_of("fd00::2/128", ntohs(v6.v6.sin6_port), 0, PROBE_REACHED),
                way_of("10.0.0.2/32", 9, IPPROTO_TCP, PROBE_REFUSED),
                way_of("fd00::2/128", 9, IPPROTO_TCP, PROBE_REFUSED),
                way_of("192.0.2.1/32", 443, IPPROTO_TCP, PROBE_NO_ANSWER), /* no route */
                way_of("10.0.0.0/24", 443, IPPROTO_TCP, PROBE_NOT_RUN),
                way_of("10.0.0.2/32", 53, IPPROTO_UDP, PROBE_NOT_RUN),
                way_of("10.0.0.2/32", 443, IPPROTO_TCP, PROBE_NOT_RUN), /* more than are tried */
        };
        struct permit p[ELEMENTSOF(ways)];

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(ways); k++)
                p[k] = ways[k].permit;
        enter(&cage, ELEMENTSOF(ways));
        hold(&hold_a, p, ELEMENTSOF(ways), true, true);
        check_ways(ways, ELEMENTSOF(ways), PROBE_PERMITS_MAX);
        check_all(&cage, PROBE_BLOCKED);
        (void) close(client), (void) close(full), (void) close(listener4), (void) close(listener6);
}

static void a_permit_that_another_hold_does_not_give_is_cut(void **state) {
        union wire_addr at;
        int listener = wire_listen("10.0.0.2", SOCK_STREAM, &at);
        struct way ways[] = { way_of("10.0.0.2/32", ntohs(at.v4.sin_port), IPPROTO_TCP, PROBE_CUT),
                              way_of("10.0.0.2/32", 0, 0, PROBE_NOT_RUN) };

        (void) state;
        enter(&cage, 2);
        hold(&hold_a, &ways[0].permit, 1, true, true);
        hold(&hold_b, NULL, 0, true, true);
        check_ways(ways, 2, 2);
        /* tried once: the next hold on the cgroup has no sockets for it */
        ways[0].result = PROBE_NOT_RUN;
        check_ways(ways, 2, 2);
        (void) close(listener);
}

/* Sends to every port of the self-test that there is, and connects to it, as fast as it can. */
static void flood(void *userdata) {
        int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

        if (fork() != 0)
                return;
        (void) userdata;
        for (;;) {
                static const char *const tables[] = { "/proc/net/udp", "/proc/net/tcp" };
                uint64_t word = 1;

                for (size_t t = 0; t < ELEMENTSOF(tables); t++) {
                        _cleanup_fclose_ FILE *f = fopen(tables[t], "re");
                        char line[256];
                        unsigned addr, port;

                        while (f && fgets(line, sizeof(line), f)) {
                                union wire_addr to = { .v4 = { .sin_family = AF_INET } };

                                if (sscanf(line, " %*u: %x:%x", &addr, &port) != 2 || addr != htonl(PROBE_ADDRESS))
                                        continue;
                                to.v4.sin_addr.s_addr = addr;
                                to.v4.sin_port = htons((uint16_t) port);
                                for (int k = 0; t == 0 && k < 400; k++)
                                        (void) sendto(udp, &word, k % 2 ? sizeof(word) : 1, 0, &to.sa, sizeof(to.v4));
                                if (t == 1) {
                                        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

                                        (void) connect(fd, &to.sa, sizeof(to.v4));
                                        (void) close(fd);
                                }
                        }
                }
        }
}

static void a_flood_from_beside_changes_nothing(void **state) {
        struct cage hostile = cage_make("hostile");

        (void) state;
        for (int k = 0; k < 2; k++)
                (void) cage_spawn(&hostile, flood, NULL);
        enter(&cage, 0);
        for (int k = 0; k < 30; k++)
                check_all(&cage, PROBE_LEAK);
        hold(&hold_a, NULL, 0, true, true);
        for (int k = 0; k < 30; k++)
                check_all(&cage, PROBE_BLOCKED);
        for (int k = 0; k < 10; k++) {
                probe_leave(probe, cage.id);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
                enter(&cage, 0);
                hold_without(ISOLATE_EGRESS);
                check(&cage, PROBE_BLOCKED, PROBE_LEAK, PROBE_LEAK, PROBE_BLOCKED);
        }
}

/* The child, as the only one that this process has besides its janitor. */
static pid_t the_child(void) {
        char path[96], comm[32];
        _cleanup_free_ char *children = NULL;
        char *save = NULL;

        (void) snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int) getpid());
        assert_int_equal(io_read_file(AT_FDCWD, path, 65536, &children, NULL), 0);
        for (char *word = strtok_r(children, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                _cleanup_free_ char *name = NULL;

                (void) snprintf(comm, sizeof(comm), "/proc/%s/comm", word);
                if (io_read_file(AT_FDCWD, comm, 64, &name, NULL) == 0 && strcmp(name, "freezed-probe\n") == 0)
                        return (pid_t) atoi(word);
        }
        fail_msg("the self-test has no child");
        return -1;
}

static void a_child_that_is_gone_is_no_answer(void **state) {
        struct probe_report r;

        (void) state;
        enter(&cage, 0);
        assert_int_equal(kill(the_child(), SIGKILL), 0);
        assert_int_equal(probe_check(probe, cage.id, NULL, 0, &r), -EPIPE);
        assert_int_equal(probe_enter(probe, cage.fd, cage.id, 0), -EPIPE);
        probe_leave(probe, cage.id);
        probe_begin_enter(probe, cage.fd, cage.id, 0);
        assert_int_equal(probe_enter(probe, cage.fd, cage.id, 0), -EPIPE);
}

static void a_child_that_does_not_answer_is_waited_for_once(void **state) {
        struct probe_report r;
        int64_t start = clock_mono_us();
        bool quick = false;

        (void) state;
        enter(&cage, 0);
        assert_int_equal(kill(the_child(), SIGSTOP), 0);
        assert_int_equal(probe_check(probe, cage.id, NULL, 0, &r), -EPIPE);
        assert_in_range(clock_mono_us() - start, 1000 * 1000, 60LL * 1000 * 1000);
        for (int k = 0; k < 5; k++) {
                start = clock_mono_us();
                assert_int_equal(probe_check(probe, cage.id, NULL, 0, &r), -EPIPE);
                quick |= clock_mono_us() - start < 1000 * 1000;
        }
        /* who is waited for again is, every time; a busy machine takes its time now and then */
        assert_true(quick);
}

static void the_child_can_do_little_more_than_enter(void **state) {
        static const char *const lines[] = { "CapPrm:\t0000000000000002\n", "CapEff:\t0000000000000002\n",
                                             "CapBnd:\t0000000000000000\n", "CapInh:\t0000000000000000\n" };
        char path[64];
        _cleanup_free_ char *status = NULL;

        (void) state;
        enter(&cage, 0);
        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) the_child());
        assert_int_equal(io_read_file(AT_FDCWD, path, 65536, &status, NULL), 0);
        for (size_t k = 0; k < ELEMENTSOF(lines); k++)
                assert_non_null(strstr(status, lines[k]));
}

static void keep_capabilities(uint32_t low, uint32_t high) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_capget, &header, data) < 0)
                _exit(2);
        data[0].effective = data[0].permitted &= low;
        data[1].effective = data[1].permitted &= high;
        if (syscall(SYS_capset, &header, data) < 0)
                _exit(3);
}

static int trace(void *userdata) {
        const pid_t *pid = userdata;

        keep_capabilities(~(1U << CAP_SYS_PTRACE), ~0U);
        return ptrace(PTRACE_SEIZE, *pid, NULL, NULL) < 0 && errno == EPERM ? 0 : 1;
}

/* As little as the child has. */
static void keep_little(void *userdata) {
        (void) userdata;
        keep_capabilities(1U << CAP_DAC_OVERRIDE, 0);
}

/* Another process of root's in the target would, and then it had the test's sockets. */
static void root_without_the_privilege_cannot_trace_the_child(void **state) {
        pid_t other = cage_spawn(&cage, keep_little, NULL), pid;

        (void) state;
        enter(&cage, 0);
        pid = the_child();
        assert_int_equal(cage_call(cage_top(), trace, &pid), 0);
        assert_int_equal(cage_call(cage_top(), trace, &other), 1);
}

static void the_oldest_of_too_many_goes(void **state) {
        enum { MANY = PROBE_CGROUPS_MAX + 20 };
        static struct cage c[MANY];
        static uint64_t spare[PROBE_CGROUPS_MAX], own[PROBE_CGROUPS_MAX];
        struct probe_report r;

        (void) state;
        for (size_t k = 0; k < MANY; k++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "many%zu", k);
                c[k] = cage_make(name);
                enter(&c[k], 0);
        }
        assert_int_equal(probe_inodes(probe, spare, own), PROBE_CGROUPS_MAX);
        for (size_t k = 0; k < MANY; k++)
                if (k < MANY - PROBE_CGROUPS_MAX)
                        assert_int_equal(probe_check(probe, c[k].id, NULL, 0, &r), -ENOENT);
                else
                        check_all(&c[k], PROBE_LEAK);
}

/* A held cgroup whose self-test was forgotten because others came and went would not be spared at the next look. */
static void who_stays_is_not_forgotten_for_those_that_come_and_go(void **state) {
        uint64_t spare[PROBE_CGROUPS_MAX], own[PROBE_CGROUPS_MAX];
        struct cage other = cage_make("other");

        (void) state;
        enter(&cage, 0);
        for (size_t k = 0; k < PROBE_CGROUPS_MAX + 10; k++) {
                enter(&other, 0);
                probe_leave(probe, other.id);
        }
        assert_int_equal(probe_inodes(probe, spare, own), 1);
        check_all(&cage, PROBE_LEAK);
}

static void nothing_stays_open(void **state) {
        size_t fds;

        (void) state;
        enter(&cage, 1);
        fds = wire_open_fds();
        for (int k = 0; k < 5; k++) {
                enter(&cage, 1);
                check_all(&cage, PROBE_LEAK);
                probe_leave(probe, cage.id);
        }
        assert_int_equal(wire_open_fds(), fds);
}

/* The soft limit that services get. */
static void limit_as_usual(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = MIN(limit.rlim_max, (rlim_t) 1024);
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(without_a_hold_everything_leaks),
                CASE(with_a_hold_everything_is_blocked),
                CASE(each_missing_hook_changes_its_own_line),
                CASE(a_frozen_cgroup_cannot_be_entered),
                CASE(the_sockets_go_on_when_the_cgroup_is_frozen),
                CASE(cgroups_are_told_apart),
                CASE(entering_can_be_begun_before_it_is_waited_for),
                CASE(what_is_spared_still_tests),
                CASE(a_socket_that_is_dead_proves_nothing),
                CASE(permitted_addresses_are_tried_one_by_one),
                CASE(a_permit_that_another_hold_does_not_give_is_cut),
                CASE(a_flood_from_beside_changes_nothing),
                CASE(a_child_that_is_gone_is_no_answer),
                CASE(a_child_that_does_not_answer_is_waited_for_once),
                CASE(the_child_can_do_little_more_than_enter),
                CASE(root_without_the_privilege_cannot_trace_the_child),
                CASE(the_oldest_of_too_many_goes),
                CASE(who_stays_is_not_forgotten_for_those_that_come_and_go),
                CASE(nothing_stays_open),
        };

        limit_as_usual();
        return CAGE_MAIN(cases);
}
