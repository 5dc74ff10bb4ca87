/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/epochkey.c agent/core/hostkey.c */
/* LINK: agent/core/preserved.c */
/* LINK: agent/core/hosttest.c */
/* LINK: agent/core/hosthold.c agent/core/hostparts.c agent/core/hostset.c agent/core/management.c agent/core/netns.c agent/core/uplink.c agent/core/uplink_list.c agent/core/uplink_prog.c agent/core/direct.c */
/* LINK: agent/core/fence.c agent/core/fencefile.c agent/core/stamps.c agent/core/reload.c */
/* LINK: agent/core/subtree.c */
/* LINK: agent/core/resolve_pid.c agent/core/branch_path.c agent/core/process.c agent/core/branch.c agent/core/elsewhere.c */
/* LINK: agent/core/guard.c agent/core/guard_want.c agent/core/guard_trial.c */
/* LINK: agent/core/find.c agent/core/container.c agent/core/user.c agent/core/paths.c */
/* LINK: agent/util/log.c agent/core/enforce.c agent/core/prove.c agent/core/fold.c agent/core/record.c agent/core/site.c agent/core/resolve.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/foreign.c agent/core/unfrozen.c */
/* LINK: agent/core/tried.c */
/* LINK: agent/core/isolate.c agent/core/probe.c agent/core/probe_child.c agent/core/probe_try.c agent/core/descriptors.c agent/core/ways.c agent/core/sockets.c agent/core/sweep.c agent/core/systemd.c */
/* LINK: agent/core/isolate_set.c */
/* LINK: agent/core/cgroup.c agent/core/floor.c agent/core/ledger.c agent/core/segment.c agent/core/report_json.c */
/* LINK: agent/core/strays.c agent/core/cgroup_events.c agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* One process of several is held with its descendants; the others run on, and everything is given back. */

#include "lib/cage.h"

#include "lib/enforce_box.h"
#include "lib/reasons.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "agent/core/branch_path.h"
#include "agent/core/cgroup.h"
#include "agent/core/elsewhere.h"
#include "agent/core/process.h"

/* What the processes of a case tell each other. */
static struct shared {
        pid_t child, grandchild;
        volatile unsigned beats;
} * shared;

static int begin(void **state) {
        int r = box_begin(state);

        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(shared, MAP_FAILED);
        return r;
}

static int end(void **state) {
        assert_int_equal(munmap(shared, sizeof(*shared)), 0);
        return box_end(state);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void sleep_for_ever(void) {
        for (;;)
                (void) pause();
}

static void have_family(void *userdata) {
        int ready[2];
        pid_t child;
        char c;

        (void) userdata;
        keep_no_raw(NULL);
        if (pipe(ready) < 0)
                _exit(1);
        child = fork();
        if (child == 0) {
                child = fork();
                if (child == 0)
                        sleep_for_ever();
                shared->grandchild = child;
                (void) !write(ready[1], "x", 1);
                sleep_for_ever();
        }
        shared->child = child;
        (void) !read(ready[0], &c, 1);
        (void) close(ready[0]), (void) close(ready[1]);
}

static void beat(void *userdata) {
        (void) userdata;
        if (fork() == 0)
                for (;;) {
                        shared->beats++;
                        (void) usleep(1000);
                }
}

/* so many processes, and it is at it */
#define MULTIPLIED 8

/* Goes on forking: children that wait, and some whose parent dies at once. */
static void multiply(void *userdata) {
        (void) userdata;
        (void) setsid();
        (void) signal(SIGCHLD, SIG_IGN);
        if (fork() > 0)
                return;
        for (unsigned i = 0;; i++) {
                if (i % 2 == 0 && fork() == 0) {
                        if (fork() == 0) {
                                (void) usleep(20000);
                                _exit(0);
                        }
                        (void) usleep(200);
                        _exit(0);
                }
                (void) usleep(100);
        }
}

static void aim_at(pid_t pid) {
        char text[32];

        (void) snprintf(text, sizeof(text), "pid:%d", (int) pid);
        assert_int_equal(target_from_str(text, &w.targets[0]), 0);
        w.c.n_targets = 1;
}

static struct proven *stop_pid(uint32_t n, enum verb verb, pid_t pid) {
        order(verb);
        aim_at(pid);
        return carry_out(n);
}

static bool is_in(pid_t pid, const char *cgroup) {
        _cleanup_free_ char *its = NULL;

        return cgroup_of_pid(pid, &its) == 0 && strcmp(its, cgroup) == 0;
}

static char *branch_of(const char *cgroup, uint32_t n) {
        const struct command_id id = id_of(n);
        char *path;

        assert_int_equal(branch_path_make(cgroup, &id, &path), 0);
        return path;
}

static bool exists(const char *cgroup) {
        char dir[1024];

        (void) snprintf(dir, sizeof(dir), "%s%s", cage_hierarchy(), cgroup);
        return access(dir, F_OK) == 0;
}

static bool is_running(void) {
        const unsigned before = shared->beats;

        for (int i = 0; i < 12000 && shared->beats == before; i++)
                (void) usleep(5000);
        return shared->beats != before;
}

static void a_process_and_its_descendants_stop_and_the_others_run_on(void **state) {
        pid_t pid = cage_spawn(&cage, have_family, NULL), sibling = cage_spawn(&cage, beat, NULL);
        const pid_t family[] = { pid, shared->child, shared->grandchild };
        _cleanup_free_ char *branch = branch_of(cage.path, 1);
        struct proven *p = stop_pid(1, VERB_CONTAIN, pid);

        (void) state;
        assert_int_equal(proven_site(p, 0)->n_pids, 3);
        check_links(proven_site(p, 0), _ISOLATE_HOOK_MAX);
        check_blocked(proven_site(p, 0));
        check_state(p, HOLD_HELD, 0);
        for (size_t i = 0; i < ELEMENTSOF(family); i++)
                assert_true(is_in(family[i], branch));
        assert_true(is_in(sibling, cage.path));
        assert_true(is_running());
        assert_true(cage_says(&cage, "cgroup.freeze", "0"));
        assert_true(cage_says(&cage, "cgroup.events", "frozen 0"));

        assert_reasons(let_go(1), 0);
        for (size_t i = 0; i < ELEMENTSOF(family); i++)
                assert_true(is_in(family[i], cage.path));
        assert_false(exists(branch));
        assert_true(is_running());
        assert_true(cage_says(&cage, "cgroup.events", "frozen 0"));
}

static void isolating_one_leaves_it_running(void **state) {
        pid_t pid = cage_spawn(&cage, keep_no_raw, NULL);
        _cleanup_free_ char *branch = branch_of(cage.path, 1);

        (void) state;
        check_state(stop_pid(1, VERB_ISOLATE, pid), HOLD_HELD, 0);
        assert_true(is_in(pid, branch));
        assert_int_equal(attached(&cage), 0);
        assert_reasons(let_go(1), 0);
        assert_true(is_in(pid, cage.path));
}

static unsigned of_session(const pid_t *pids, size_t n, pid_t session) {
        unsigned sum = 0;

        for (size_t i = 0; i < n; i++)
                sum += getsid(pids[i]) == session;
        return sum;
}

static void who_forks_all_the_time_does_not_get_away(void **state) {
        for (uint32_t round = 1; round <= 5; round++) {
                struct cage crowd = cage_make("crowd");
                _cleanup_free_ char *branch = branch_of(crowd.path, round);
                _cleanup_free_ pid_t *all = NULL, *held = NULL;
                _cleanup_close_ int fd = -EBADF;
                size_t n = 0, n_held;
                pid_t pid;
                uint64_t id;
                struct proven *p;

                (void) state;
                pid = cage_spawn(&crowd, multiply, NULL);
                for (int i = 0; i < 60000 && n < MULTIPLIED; i++) {
                        (void) usleep(1000);
                        free(all);
                        assert_int_equal(cgroup_pids(crowd.fd, &all, &n), 0);
                }
                assert_true(n >= MULTIPLIED);
                p = stop_pid(round, VERB_CONTAIN, pid);
                assert_true(proven_site(p, 0)->frozen);
                proven_free(p);
                assert_int_equal(cgroup_open(cage_hierarchy(), branch, &fd, &id), 0);
                assert_int_equal(cgroup_pids(fd, &held, &n_held), 0);
                assert_true(n_held >= 2);
                /* whose parent had died before the order is nobody's descendant, and ends by himself; the rest was born
                 * frozen or is held; and who had got away would go on forking */
                for (int i = 0; i < 6000; i++) {
                        (void) usleep(10000);
                        free(all);
                        assert_int_equal(cgroup_pids(crowd.fd, &all, &n), 0);
                        if (of_session(all, n, pid) == of_session(held, n_held, pid))
                                break;
                }
                assert_int_equal(of_session(all, n, pid), of_session(held, n_held, pid));
                (void) let_go(round);
                assert_false(exists(branch));
                cage_remove(&crowd);
        }
}

static void connections_that_it_had_are_destroyed_and_what_has_no_peer_is_named(void **state) {
        int in = cage_socket(&cage, AF_INET, SOCK_STREAM, 0), out, loose = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);
        const union wire_addr any = wire_addr("10.0.0.1", 0);
        pid_t first, second;
        char c;

        (void) state;
        wire_join(in, "10.0.0.1", SOCK_STREAM, &out);
        first = cage_spawn_with(&cage, in, keep_no_raw, NULL);
        /* one that is bound to nothing is on no list of the kernel's */
        assert_int_equal(bind(loose, &any.sa, wire_size(&any)), 0);
        second = cage_spawn_with(&cage, loose, keep_no_raw, NULL);
        (void) close(in);
        check_state(stop_pid(1, VERB_ISOLATE, first), HOLD_PARTIAL, GAP(FOREIGN_SOCKET));
        wire_settle();
        assert_int_equal(recv(out, &c, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        check_state(stop_pid(2, VERB_ISOLATE, second), HOLD_PARTIAL, GAP(FOREIGN_SOCKET));
        assert_reasons(let_go(1), 0);
        assert_reasons(let_go(2), 0);
        (void) close(out), (void) close(loose);
}

/* There is a path where a site was. */
static void what_is_missing_holds_nobody(pid_t pid, const struct cage *other) {
        struct site sites[2] = { SITE_NULL, SITE_NULL };
        const struct sites held = { .v = sites, .n = 2 };
        struct elsewhere e;
        struct process p;

        assert_int_equal(process_read(pid, &p), 0);
        sites[0].target = (struct target) { .cls = TARGET_PID };
        (void) snprintf(sites[0].target.name, sizeof(sites[0].target.name), "%d", (int) pid);
        sites[0].path = (char *) cage.path;
        sites[0].born.ticks = p.start;
        sites[1].path = (char *) other->path;
        assert_int_equal(elsewhere_look(&sites[0], &held, &e), 0);
        assert_int_equal(e.processes, 0);
        elsewhere_done(&e);
        sites[1].missing = REASON_NOT_RUNNING;
        assert_int_equal(elsewhere_look(&sites[0], &held, &e), 0);
        assert_int_equal(e.processes, 1);
        elsewhere_done(&e);
        /* and of a number that was never anybody's nobody descends */
        sites[0].born.ticks = 0;
        assert_int_equal(elsewhere_look(&sites[0], &held, &e), 0);
        assert_int_equal(e.processes, 0);
        elsewhere_done(&e);
}

static void a_descendant_in_another_cgroup_is_named(void **state) {
        struct cage other = cage_make("other");
        pid_t pid = cage_spawn(&cage, have_family, NULL);
        struct proven *p;
        char text[16];

        (void) state;
        (void) snprintf(text, sizeof(text), "%d", (int) shared->child);
        assert_int_equal(cage_write(&other, "cgroup.procs", text), 0);
        p = stop_pid(1, VERB_CONTAIN, pid);
        assert_int_equal(proven_site(p, 0)->n_pids, 2);
        assert_int_equal(proven_site(p, 0)->elsewhere.processes, 1);
        assert_string_equal(proven_site(p, 0)->elsewhere.cgroups.v[0], other.path);
        check_state(p, HOLD_PARTIAL, GAP(ELSEWHERE));
        assert_reasons(let_go(1), 0);
        assert_true(is_in(shared->child, other.path));
        what_is_missing_holds_nobody(pid, &other);
        /* held by the same order it is not elsewhere */
        order(VERB_CONTAIN);
        AIM(&other, &other);
        aim_at(pid);
        w.c.n_targets = 2;
        check_state(carry_out(2), HOLD_HELD, 0);
        assert_reasons(let_go(2), 0);
}

static void holds_on_one_process_end_in_any_order(void **state) {
        static const uint32_t rounds[][4] = { { 1, 2, 1, 2 }, { 3, 4, 4, 3 } }; /* made, made; ended, ended */

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rounds); i++) {
                pid_t pid = cage_spawn(&cage, have_family, NULL);
                _cleanup_free_ char *outer = branch_of(cage.path, rounds[i][0]),
                                    *inner = branch_of(outer, rounds[i][1]);

                check_state(stop_pid(rounds[i][0], VERB_CONTAIN, pid), HOLD_HELD, 0);
                proven_free(stop_pid(rounds[i][1], VERB_CONTAIN, pid));
                assert_true(is_in(pid, inner));
                (void) let_go(rounds[i][2]);
                /* what is left holds: nothing runs before the last one ends */
                assert_false(is_in(pid, cage.path));
                assert_true(look(rounds[i][3]).frozen);
                (void) let_go(rounds[i][3]);
                assert_true(is_in(pid, cage.path));
                assert_true(is_in(shared->grandchild, cage.path));
                assert_false(exists(outer));
                cage_kill(pid);
        }
}

static void what_was_frozen_before_is_frozen_after(void **state) {
        pid_t pid = cage_spawn(&cage, NULL, NULL);

        (void) state;
        cage_freeze(&cage, true);
        proven_free(stop_pid(1, VERB_CONTAIN, pid));
        assert_true(cage_says(&cage, "cgroup.events", "frozen 1"));
        (void) let_go(1);
        assert_true(is_in(pid, cage.path));
        assert_true(cage_says(&cage, "cgroup.events", "frozen 1"));
        cage_freeze(&cage, false);

        /* and what another hold froze is not thawed for it */
        check_state(stop(2, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        proven_free(stop_pid(3, VERB_CONTAIN, pid));
        assert_true(cage_says(&cage, "cgroup.events", "frozen 1"));
        (void) let_go(3);
        assert_true(cage_says(&cage, "cgroup.events", "frozen 1"));
        assert_reasons(let_go(2), 0);
        assert_true(cage_says(&cage, "cgroup.events", "frozen 0"));
}

/* A core that died after the branch was made and while its cgroup was frozen. */
static void what_a_dead_core_left_half_done_is_finished(void **state) {
        const struct command_id id = id_of(1);
        pid_t pid = cage_spawn(&cage, have_family, NULL), sibling = cage_spawn(&cage, beat, NULL);
        _cleanup_free_ char *branch = branch_of(cage.path, 1);
        struct recorded *recorded;
        struct enforced *enforced;
        struct proven *p;
        struct sites sites;
        char dir[1024], text[16];

        (void) state;
        order(VERB_CONTAIN);
        aim_at(pid);
        w.c.id = id;
        sites = resolve_all();
        assert_int_equal(sites.v[0].cgroup_id, 0);
        assert_false(sites.v[0].was_frozen);
        recorded = agent_record(&sites);
        (void) snprintf(dir, sizeof(dir), "%s%s", cage_hierarchy(), branch);
        assert_int_equal(mkdir(dir, 0755), 0);
        cage_freeze(&cage, true);
        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        (void) snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/cgroup.procs");
        _cleanup_close_ int procs = open(dir, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(procs, text, strlen(text)), strlen(text));

        assert_int_equal(enforce_apply(&agent, recorded, &enforced), 0);
        assert_int_equal(prove(&agent, enforced, &p), 0);
        assert_int_equal(proven_site(p, 0)->n_pids, 3);
        settle(p, &id);
        check_state(p, HOLD_HELD, 0);
        assert_true(is_in(sibling, cage.path));
        assert_true(is_running());
        assert_reasons(let_go(1), 0);
}

static enum reason resolve_one(struct site *s, const struct command_id *hold) {
        const struct resolver resolver = {
                .cgroup_root = agent.cgroup_root, .systemd = agent.systemd, .local = &agent.local, .hold = hold
        };
        reason_set notes = 0;

        assert_int_equal(resolve_again(&resolver, s, &notes), 0);
        return s->missing;
}

static enum reason resolve_of(pid_t pid) {
        const struct command_id id = id_of(1);
        _cleanup_(site_done) struct site s = SITE_NULL;

        aim_at(pid);
        s.target = w.targets[0];
        return resolve_one(&s, &id);
}

static void be_threaded(void *userdata) {
        (void) userdata;
}

static void what_must_run_or_cannot_be_taken_out_is_refused(void **state) {
        struct cage bus = cage_make("dbus.service"), threads = cage_make("threads"), domain = cage_make("threads/t");
        struct process p;
        pid_t gone = cage_spawn(&cage, NULL, NULL);

        (void) state;
        assert_int_equal(resolve_of(gone), REASON_NONE);
        cage_kill(gone);
        assert_int_equal(resolve_of(gone), REASON_NO_TARGET);
        assert_int_equal(resolve_of(1), REASON_PROTECTED);
        assert_int_equal(resolve_of(getpid()), REASON_PROTECTED);
        assert_int_equal(resolve_of(getppid()), REASON_PROTECTED);
        if (process_read(2, &p) == 0 && p.kernel)
                assert_int_equal(resolve_of(2), REASON_PROTECTED);
        assert_int_equal(resolve_of(cage_spawn(&bus, NULL, NULL)), REASON_PROTECTED);
        gone = cage_spawn(&threads, be_threaded, NULL);
        assert_int_equal(cage_write(&domain, "cgroup.type", "threaded"), 0);
        assert_int_equal(resolve_of(gone), REASON_NOT_SEPARABLE);
}

static void a_number_that_was_given_again_is_another_process(void **state) {
        const struct command_id id = id_of(1);
        pid_t pid = cage_spawn(&cage, NULL, NULL);
        _cleanup_(site_done) struct site s = SITE_NULL;

        (void) state;
        aim_at(pid);
        s.target = w.targets[0];
        assert_int_equal(resolve_one(&s, &id), REASON_NONE);
        assert_true(s.born.ticks > 0);
        assert_int_equal(resolve_one(&s, &id), REASON_NONE);
        s.born.ticks++;
        assert_int_equal(resolve_one(&s, &id), REASON_NOT_RUNNING);
        s.born.ticks--;
        assert_int_equal(resolve_one(&s, &id), REASON_NONE);
        s.born.boot[0] ^= 1;
        assert_int_equal(resolve_one(&s, &id), REASON_NOT_RUNNING);
}

static void without_a_hold_it_is_where_it_is(void **state) {
        pid_t pid = cage_spawn(&cage, NULL, NULL);
        _cleanup_(site_done) struct site s = SITE_NULL;

        (void) state;
        aim_at(pid);
        s.target = w.targets[0];
        assert_int_equal(resolve_one(&s, NULL), REASON_NONE);
        assert_string_equal(s.path, cage.path);
        assert_int_equal(s.cgroup_id, cage.id);
}

static void names_of_branches_are_theirs_alone(void **state) {
        const struct command_id id = id_of(0x12345678);
        _cleanup_free_ char *a = NULL, *root = NULL, *up = NULL, *top = NULL;

        (void) state;
        assert_int_equal(branch_path_make("/a/b.service", &id, &a), 0);
        assert_true(branch_path_is(a));
        assert_int_equal(branch_path_parent(a, &up), 0);
        assert_string_equal(up, "/a/b.service");
        assert_int_equal(branch_path_make("/", &id, &root), 0);
        assert_true(branch_path_is(root));
        assert_int_equal(branch_path_parent(root, &top), 0);
        assert_string_equal(top, "/");
        assert_false(branch_path_is("/freezed-0123456789abcdef0123456789abcde"));
        assert_false(branch_path_is("/freezed-0123456789abcdef0123456789abcdeff"));
        assert_false(branch_path_is("/freezed-0123456789ABCDEF0123456789ABCDEF"));
        assert_false(branch_path_is("/freezed.slice"));
        assert_false(branch_path_is("/freezed-0123456789abcdef0123456789abcdef/x"));
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(a_process_and_its_descendants_stop_and_the_others_run_on),
                CASE(isolating_one_leaves_it_running),
                CASE(who_forks_all_the_time_does_not_get_away),
                CASE(connections_that_it_had_are_destroyed_and_what_has_no_peer_is_named),
                CASE(a_descendant_in_another_cgroup_is_named),
                CASE(holds_on_one_process_end_in_any_order),
                CASE(what_was_frozen_before_is_frozen_after),
                CASE(what_a_dead_core_left_half_done_is_finished),
                CASE(what_must_run_or_cannot_be_taken_out_is_refused),
                CASE(a_number_that_was_given_again_is_another_process),
                CASE(without_a_hold_it_is_where_it_is),
                CASE(names_of_branches_are_theirs_alone),
        };

        return CAGE_MAIN(cases);
}
