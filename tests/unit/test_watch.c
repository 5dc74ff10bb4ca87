/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/cgroup_events.c agent/core/kept.c agent/core/strays.c agent/core/tally.c agent/core/followed.c */
/* LINK: agent/core/isolate.c agent/core/isolate_set.c agent/core/tried.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* What the watch is made of, on real cgroups: what the kernel tells of, who is held where, links held open, counts.
 * That it puts things back on a host is 061's. */

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/sched.h>

#include <pthread.h>

#include "lib/cage.h"
#include "lib/held_map.h"
#include "lib/isolate_box.h"

#include "agent/core/cgroup_events.h"
#include "agent/core/followed.h"
#include "agent/core/kept.h"
#include "agent/core/strays.h"

static struct cgroup_events *events;
static struct cgroup_event told[256];
static size_t n_told;

static int watch_begin(void **state) {
        char pin[256];
        int r = box_begin(state);

        if (r != 0)
                return r;
        n_told = 0;
        (void) snprintf(pin, sizeof(pin), "%s/held", cage_pins());
        assert_int_equal(cgroup_events_new(pin, &events), 0);
        return 0;
}

static int watch_end(void **state) {
        cgroup_events_free(TAKE_PTR(events));
        return box_end(state);
}

#define WATCH_CASE(name) cmocka_unit_test_setup_teardown(name, watch_begin, watch_end)

static void on_event(const struct cgroup_event *e, void *userdata) {
        (void) userdata;
        if (n_told < ELEMENTSOF(told))
                told[n_told++] = *e;
}

static size_t events_told(void) {
        n_told = 0;
        cgroup_events_read(events, ELEMENTSOF(told), on_event, NULL);
        return n_told;
}

static void watch_isolated(const struct cage *c, bool frozen) {
        const struct cgroup_events_site site = { .cgroup_id = c->id, .isolated = true, .frozen = frozen };

        cgroup_events_set_sites(events, &site, 1);
}

static void watch_site(const struct cage *c, bool frozen) {
        const struct cgroup_events_site site = { .cgroup_id = c->id, .frozen = frozen };

        cgroup_events_set_sites(events, &site, 1);
}

static void move(const struct cage *to, pid_t pid) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        assert_int_equal(cage_write(to, "cgroup.procs", text), 0);
}

static void the_kernel_tells_of_a_thaw_of_what_is_to_be_frozen_and_of_nothing_else(void **state) {
        struct cage other = cage_make("other");

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        watch_site(&cage, true);
        cage_freeze(&cage, true);
        cage_freeze(&other, true);
        cage_freeze(&other, false);
        assert_int_equal(events_told(), 0);
        cage_freeze(&cage, false);
        assert_int_equal(events_told(), 1);
        assert_int_equal(told[0].kind, CGROUP_THAWED);
        assert_int_equal(told[0].cgroup_id, cage.id);
        watch_site(&cage, false);
        cage_freeze(&cage, true);
        cage_freeze(&cage, false);
        assert_int_equal(events_told(), 0);
}

static void the_kernel_tells_of_a_cgroup_of_that_name(void **state) {
        const char *names[] = { "again" };
        struct cage c;

        (void) state;
        cgroup_events_set_names(events, names, 1);
        c = cage_make("against");
        assert_int_equal(events_told(), 0);
        c = cage_make("again");
        assert_int_equal(events_told(), 1);
        assert_int_equal(told[0].kind, CGROUP_MADE);
        assert_int_equal(told[0].cgroup_id, c.id);
        cgroup_events_set_names(events, NULL, 0);
        (void) cage_make("held/again");
        assert_int_equal(events_told(), 0);
}

static void who_is_held_is_followed_wherever_he_and_his_children_go(void **state) {
        struct cage other = cage_make("other");
        struct site site = { .path = cage.path, .cgroup_id = cage.id, .fd = cage.fd };
        pid_t pid = cage_spawn(&cage, NULL, NULL), late;

        (void) state;
        watch_site(&cage, true);
        assert_int_equal(cgroup_events_hold(events, pid, cage.id, 0), cage.id);
        assert_int_equal(cgroup_events_held_at(events, pid), cage.id);
        assert_false(strays_any(events, &site));
        move(&other, pid);
        assert_int_equal(events_told(), 1);
        assert_int_equal(told[0].kind, CGROUP_MOVED);
        assert_int_equal(told[0].pid, pid);
        assert_true(strays_any(events, &site));
        assert_int_equal(strays_put_back(cage_hierarchy(), cage.path, cage.fd, pid), 0);
        assert_false(strays_any(events, &site));
        late = cage_spawn(&other, NULL, NULL);
        move(&cage, late);
        assert_int_equal(cgroup_events_held_at(events, late), cage.id);
        cage_kill(pid);
        assert_int_equal(cgroup_events_held_at(events, pid), 0);
}

static void who_is_moved_into_a_site_within_his_own_is_held_there(void **state) {
        struct cage inner = cage_make("held/inner"), other = cage_make("other");
        const struct cgroup_events_site sites[] = { { .cgroup_id = cage.id }, { .cgroup_id = inner.id } };
        pid_t pid = cage_spawn(&cage, NULL, NULL), stranger = cage_spawn(&other, NULL, NULL);

        (void) state;
        cgroup_events_set_sites(events, sites, ELEMENTSOF(sites));
        assert_int_equal(cgroup_events_hold(events, pid, cage.id, 0), cage.id);
        move(&inner, pid);
        assert_int_equal(cgroup_events_held_at(events, pid), inner.id);
        assert_int_equal(events_told(), 0);
        /* from there the outer one is outside */
        move(&cage, pid);
        assert_int_equal(events_told(), 1);
        assert_int_equal(told[0].held_at, inner.id);
        assert_int_equal(cgroup_events_held_at(events, pid), inner.id);
        /* nobody is taken away from where he is held but by who names it */
        assert_int_equal(cgroup_events_hold(events, pid, cage.id, 0), inner.id);
        assert_int_equal(cgroup_events_hold(events, pid, cage.id, other.id), inner.id);
        assert_int_equal(cgroup_events_hold(events, pid, cage.id, inner.id), cage.id);
        cage_kill(stranger);
        assert_int_equal(cgroup_events_hold(events, stranger, cage.id, 0), 0);
}

/* Of a process in the cage: makes a child in the cgroup that is open as CAGE_HELD. */
static pid_t clone_into(uint64_t flags) {
        struct clone_args args = { .flags = CLONE_INTO_CGROUP | flags, .exit_signal = SIGCHLD, .cgroup = CAGE_HELD };
        pid_t pid = (pid_t) syscall(SYS_clone3, &args, sizeof(args));

        if (pid == 0)
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        return pid;
}

static void leave_a_child(void *userdata) {
        (void) userdata;
        if (clone_into(0) != 0)
                return;
        for (;;)
                (void) pause();
}

static void leave_a_child_that_ends(void *userdata) {
        (void) userdata;
        if (clone_into(CLONE_VFORK) == 0)
                _exit(0);
}

static void leave_a_grandchild(void *userdata) {
        (void) userdata;
        if (clone_into(0) != 0) {
                (void) wait(NULL);
                return;
        }
        if (fork() == 0)
                _exit(0);
        (void) wait(NULL);
        _exit(0);
}

static void a_child_made_right_in_another_cgroup_is_told_of_as_moved(void **state) {
        struct cage other = cage_make("other"), below = cage_make("held/below");
        struct site site = { .path = cage.path, .cgroup_id = cage.id, .fd = cage.fd };
        pid_t child;

        (void) state;
        watch_site(&cage, false);
        cgroup_events_follow_forks(events, true);
        (void) cage_spawn_with(&cage, below.fd, leave_a_child, NULL);
        assert_int_equal(events_told(), 0);
        (void) cage_spawn_with(&cage, other.fd, leave_a_child, NULL);
        assert_int_equal(events_told(), 1);
        assert_int_equal(told[0].kind, CGROUP_MOVED);
        assert_int_equal(told[0].cgroup_id, other.id);
        assert_int_equal(told[0].held_at, cage.id);
        child = (pid_t) told[0].pid;
        assert_int_equal(cgroup_events_held_at(events, child), cage.id);
        assert_true(strays_any(events, &site));
        assert_int_equal(strays_put_back(cage_hierarchy(), cage.path, cage.fd, child), 0);
        assert_false(strays_any(events, &site));
        assert_int_equal(events_told(), 0);
}

static void one_that_has_ended_and_one_of_its_own_are_told_of_as_well(void **state) {
        struct cage other = cage_make("other");

        (void) state;
        watch_site(&cage, false);
        cgroup_events_follow_forks(events, true);
        (void) cage_spawn_with(&cage, other.fd, leave_a_child_that_ends, NULL);
        assert_int_equal(events_told(), 1);
        assert_int_equal(told[0].held_at, cage.id);
        (void) cage_spawn_with(&cage, other.fd, leave_a_grandchild, NULL);
        assert_int_equal(events_told(), 2);
        assert_int_equal(told[1].held_at, cage.id);
        assert_int_equal(told[1].cgroup_id, other.id);
        assert_int_not_equal(told[0].pid, told[1].pid);
}

static void lose_children(void *userdata) {
        (void) userdata;
        for (int i = 0; i < 50; i++) {
                if (fork() == 0)
                        _exit(0);
                (void) wait(NULL);
        }
}

static void *go_on(void *userdata) {
        (void) userdata;
        for (;;)
                (void) pause();
        return NULL;
}

/* A child whose first thread has ended. */
static void leave_a_thread(void *userdata) {
        const pid_t child = fork();
        char path[32], state = 0;

        if (child == 0) {
                pthread_t thread;

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (pthread_create(&thread, NULL, go_on, NULL) == 0)
                        (void) syscall(SYS_exit, 0);
                _exit(1);
        }
        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) child);
        while (state != 'Z') {
                FILE *f = fopen(path, "re");

                if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
                        state = 'Z';
                if (f)
                        (void) fclose(f);
        }
        *(pid_t *) userdata = child;
}

static void who_has_ended_takes_no_room(void **state) {
        pid_t *child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        (void) state;
        watch_site(&cage, false);
        cgroup_events_follow_forks(events, true);
        (void) cage_spawn(&cage, lose_children, NULL);
        assert_int_equal(held_map_count(events), 1);
        /* a process ends with its last thread */
        (void) cage_spawn(&cage, leave_a_thread, child);
        assert_int_equal(held_map_count(events), 3);
        assert_int_equal(cgroup_events_held_at(events, *child), cage.id);
        cgroup_events_follow_forks(events, false);
        (void) munmap(child, 4096);
}

static void who_finds_no_room_is_counted(void **state) {
        struct cage other = cage_make("other");
        pid_t late;

        (void) state;
        watch_site(&cage, false);
        cgroup_events_follow_forks(events, true);
        late = cage_spawn(&other, NULL, NULL);
        held_map_fill(events);
        assert_int_equal(cgroup_events_lost(events, CGROUP_LOST_PROCESS), 0);
        move(&cage, late);
        assert_int_equal(cgroup_events_lost(events, CGROUP_LOST_PROCESS), 1);
        assert_int_equal(cgroup_events_hold(events, late, cage.id, 0), 0);
        assert_int_equal(cgroup_events_lost(events, CGROUP_LOST_PROCESS), 2);
        /* who is dead needs none */
        cage_kill(late);
        assert_int_equal(cgroup_events_hold(events, late, cage.id, 0), 0);
        assert_int_equal(cgroup_events_lost(events, CGROUP_LOST_PROCESS), 2);
        assert_int_equal(cgroup_events_lost(events, CGROUP_LOST_EVENT), 0);
}

static int try_sockets(void *userdata) {
        static const int kinds[][2] = { { AF_INET, SOCK_STREAM }, { AF_INET, SOCK_DGRAM }, { AF_INET6, SOCK_DGRAM } };
        int n = 0;

        (void) userdata;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                n += socket(kinds[i][0], kinds[i][1] | SOCK_CLOEXEC, 0) >= 0;
        return n;
}

static void ask_for_sockets(void *userdata) {
        int *got = userdata;

        if (clone_into(CLONE_VFORK) == 0) {
                got[1] = try_sockets(NULL);
                _exit(0);
        }
        got[0] = try_sockets(NULL);
}

static void who_is_held_gets_no_socket_outside(void **state) {
        struct cage other = cage_make("other");
        int *got = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        (void) state;
        cgroup_events_follow_forks(events, true);
        cgroup_events_refuse_outside(events, cage_top()->fd);
        watch_isolated(&cage, true);
        (void) cage_spawn_with(&cage, other.fd, ask_for_sockets, got);
        assert_int_equal(got[1], 3);
        /* inside it is for the programs of the cgroup to say */
        watch_isolated(&cage, false);
        (void) cage_spawn_with(&cage, other.fd, ask_for_sockets, got);
        assert_int_equal(got[0], 3);
        assert_int_equal(got[1], 0);
        assert_int_equal(cage_call(&other, try_sockets, NULL), 3);
        cgroup_events_refuse_outside(events, -EBADF);
        (void) cage_spawn_with(&cage, other.fd, ask_for_sockets, got);
        assert_int_equal(got[1], 3);
        (void) munmap(got, 4096);
}

static void go_out_and_ask(void *userdata) {
        int *got = userdata, fd = openat(CAGE_HELD, "cgroup.procs", O_WRONLY | O_CLOEXEC);

        got[0] = write(fd, "0", 1) == 1 ? try_sockets(NULL) : -1;
}

/* Until it is somewhere else. */
static void wait_and_ask(void *userdata) {
        volatile int *got = userdata;
        const pid_t pid = fork();

        /* shared with the child */
        if (pid != 0) {
                got[1] = pid;
                return;
        }
        while (!got[2])
                (void) usleep(1000);
        got[3] = try_sockets(NULL);
        _exit(0);
}

static void who_goes_outside_himself_gets_no_socket_there_and_who_is_moved_does(void **state) {
        struct cage other = cage_make("other");
        int *got = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        (void) state;
        cgroup_events_follow_forks(events, true);
        cgroup_events_refuse_outside(events, cage_top()->fd);
        watch_isolated(&cage, false);
        (void) cage_spawn_with(&cage, other.fd, go_out_and_ask, got);
        assert_int_equal(got[0], 0);
        (void) cage_spawn(&cage, wait_and_ask, got);
        move(&other, got[1]);
        got[3] = -1;
        got[2] = 1;
        for (int i = 0; i < 60000 && *(volatile int *) &got[3] < 0; i++)
                (void) usleep(1000);
        assert_int_equal(got[3], 3);
        cgroup_events_refuse_outside(events, -EBADF);
        (void) munmap(got, 4096);
}

static void whose_cgroup_is_removed_while_he_is_outside_comes_back_into_a_new_one(void **state) {
        struct cage other = cage_make("other"), gone = cage_make("gone");
        struct site site = { .path = gone.path, .cgroup_id = gone.id, .fd = -EBADF, .missing = REASON_NOT_RUNNING };
        pid_t pid = cage_spawn(&gone, NULL, NULL);

        (void) state;
        assert_int_equal(cgroup_events_hold(events, pid, gone.id, 0), gone.id);
        assert_false(strays_bring_back(events, cage_hierarchy(), &site));
        move(&other, pid);
        assert_int_equal(rmdir(gone.dir), 0);
        assert_true(strays_bring_back(events, cage_hierarchy(), &site));
        assert_true(site.cgroup_id != gone.id);
        assert_int_equal(site.missing, REASON_NONE);
        assert_int_equal(cgroup_events_held_at(events, pid), site.cgroup_id);
        assert_false(strays_is_outside(pid, gone.path));
        (void) close(site.fd);
}

static void who_is_held_is_known_to_the_next_agent(void **state) {
        char pin[256];
        pid_t pid = cage_spawn(&cage, NULL, NULL);
        struct site site = { .path = cage.path, .cgroup_id = cage.id, .fd = cage.fd };

        (void) state;
        assert_int_equal(cgroup_events_hold(events, pid, cage.id, 0), cage.id);
        assert_false(strays_any(events, &site)); /* pins as well */
        cgroup_events_free(TAKE_PTR(events));
        (void) snprintf(pin, sizeof(pin), "%s/held", cage_pins());
        assert_int_equal(cgroup_events_new(pin, &events), 0);
        assert_int_equal(cgroup_events_held_at(events, pid), cage.id);
}

static void a_pin_that_is_removed_takes_no_link_away(void **state) {
        struct kept_loss loss;
        struct kept k;
        char pin[256];

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        kept_open(&k, isolate, &hold_a, cage.id);
        assert_false(kept_look(&k, isolate, &hold_a, cage.id, &loss));
        pin_of(&hold_a, cage.id, ISOLATE_EGRESS, pin);
        assert_int_equal(unlink(pin), 0);
        assert_true(kept_look(&k, isolate, &hold_a, cage.id, &loss));
        assert_true(loss.pins && !loss.any_link);
        assert_int_equal(kept_mend(&k, isolate, &hold_a, cage.fd, cage.id, &loss), 0);
        assert_false(kept_look(&k, isolate, &hold_a, cage.id, &loss));
        assert_int_equal(access(pin, F_OK), 0);
        kept_close(&k);
}

static void a_link_that_is_detached_comes_back_with_the_same_program(void **state) {
        struct isolate_link before[_ISOLATE_HOOK_MAX], after[_ISOLATE_HOOK_MAX];
        struct kept_loss loss;
        struct kept k;

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        isolate_read(isolate, &hold_a, cage.id, before);
        kept_open(&k, isolate, &hold_a, cage.id);
        detach(&hold_a, ISOLATE_INGRESS);
        assert_true(kept_look(&k, isolate, &hold_a, cage.id, &loss));
        assert_true(loss.any_link && loss.link[ISOLATE_INGRESS] && !loss.link[ISOLATE_EGRESS]);
        assert_int_equal(kept_mend(&k, isolate, &hold_a, cage.fd, cage.id, &loss), 0);
        isolate_read(isolate, &hold_a, cage.id, after);
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++)
                assert_int_equal(after[h].prog_id, before[h].prog_id);
        kept_close(&k);
}

static void a_link_that_enforcing_put_back_is_told_of_once(void **state) {
        struct kept_loss loss;
        struct kept k;

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        kept_open(&k, isolate, &hold_a, cage.id);
        assert_false(kept_adopt(&k, isolate, &hold_a, cage.id));
        detach(&hold_a, ISOLATE_INGRESS);
        assert_false(kept_adopt(&k, isolate, &hold_a, cage.id));
        hold(&hold_a, NULL, 0, true, true);
        assert_true(kept_adopt(&k, isolate, &hold_a, cage.id));
        assert_false(kept_look(&k, isolate, &hold_a, cage.id, &loss));
        assert_false(kept_adopt(&k, isolate, &hold_a, cage.id));
        kept_close(&k);
}

static void a_link_whose_program_is_exchanged_is_lost(void **state) {
        struct isolate_link mine[_ISOLATE_HOOK_MAX], theirs[_ISOLATE_HOOK_MAX], after[_ISOLATE_HOOK_MAX];
        struct kept_loss loss;
        struct kept k;
        char pin[256];
        int link, prog;

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        isolate_read(isolate, &hold_a, cage.id, mine);
        kept_open(&k, isolate, &hold_a, cage.id);
        hold(&hold_b, &(struct permit) { 0 }, 1, true, true);
        isolate_read(isolate, &hold_b, cage.id, theirs);
        pin_of(&hold_a, cage.id, ISOLATE_EGRESS, pin);
        link = bpf_obj_get(pin);
        prog = bpf_prog_get_fd_by_id(theirs[ISOLATE_EGRESS].prog_id);
        assert_int_equal(bpf_link_update(link, prog, NULL), 0);
        (void) close(link);
        (void) close(prog);
        assert_true(kept_look(&k, isolate, &hold_a, cage.id, &loss));
        assert_true(loss.link[ISOLATE_EGRESS]);
        assert_int_equal(kept_mend(&k, isolate, &hold_a, cage.fd, cage.id, &loss), 0);
        isolate_read(isolate, &hold_a, cage.id, after);
        assert_int_equal(after[ISOLATE_EGRESS].prog_id, mine[ISOLATE_EGRESS].prog_id);
        kept_close(&k);
}

static void what_goes_on_is_recorded_ever_more_rarely(void **state) {
        struct followed_list l = { 0 };
        struct followed *f = followed_get(&l, &hold_a);
        unsigned records = 0;

        (void) state;
        assert_non_null(f);
        /* an hour of one repair in a millisecond */
        for (int64_t now = 1; now < 3600LL * 1000 * 1000; now += 1000) {
                followed_want(f, now, 0);
                if (f->due_us <= now) {
                        followed_recorded(f, now);
                        records++;
                }
        }
        assert_in_range(records, 5, 20);
        followed_want(f, 100 * FOLLOWED_MAX_US, 0);
        assert_true(f->due_us <= 100 * FOLLOWED_MAX_US);
        followed_list_done(&l);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                WATCH_CASE(the_kernel_tells_of_a_thaw_of_what_is_to_be_frozen_and_of_nothing_else),
                WATCH_CASE(the_kernel_tells_of_a_cgroup_of_that_name),
                WATCH_CASE(who_is_held_is_followed_wherever_he_and_his_children_go),
                WATCH_CASE(who_is_moved_into_a_site_within_his_own_is_held_there),
                WATCH_CASE(a_child_made_right_in_another_cgroup_is_told_of_as_moved),
                WATCH_CASE(one_that_has_ended_and_one_of_its_own_are_told_of_as_well),
                WATCH_CASE(who_has_ended_takes_no_room),
                WATCH_CASE(who_finds_no_room_is_counted),
                WATCH_CASE(who_is_held_gets_no_socket_outside),
                WATCH_CASE(who_goes_outside_himself_gets_no_socket_there_and_who_is_moved_does),
                WATCH_CASE(whose_cgroup_is_removed_while_he_is_outside_comes_back_into_a_new_one),
                WATCH_CASE(who_is_held_is_known_to_the_next_agent),
                WATCH_CASE(a_pin_that_is_removed_takes_no_link_away),
                WATCH_CASE(a_link_that_is_detached_comes_back_with_the_same_program),
                WATCH_CASE(a_link_that_enforcing_put_back_is_told_of_once),
                WATCH_CASE(a_link_whose_program_is_exchanged_is_lost),
                WATCH_CASE(what_goes_on_is_recorded_ever_more_rarely),
        };

        return CAGE_MAIN(cases);
}
