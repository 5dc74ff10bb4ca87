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
/* LINK: agent/core/hosthold.c agent/core/hostset.c agent/core/uplink.c agent/core/uplink_list.c agent/core/uplink_prog.c agent/core/direct.c agent/core/netns.c agent/core/management.c */
/* LINK: agent/util/log.c agent/core/enforce.c agent/core/prove.c agent/core/fold.c agent/core/record.c agent/core/site.c agent/core/resolve.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/foreign.c agent/core/unfrozen.c */
/* LINK: agent/core/tried.c */
/* LINK: agent/core/isolate.c agent/core/probe.c agent/core/probe_child.c agent/core/probe_try.c agent/core/descriptors.c agent/core/ways.c agent/core/sockets.c agent/core/sweep.c agent/core/systemd.c */
/* LINK: agent/core/isolate_set.c */
/* LINK: agent/core/cgroup.c agent/core/floor.c agent/core/ledger.c agent/core/segment.c agent/core/report_json.c */
/* LINK: agent/core/mend.c agent/core/watched.c agent/core/kept.c agent/core/tally.c agent/core/followed.c */
/* LINK: agent/core/strays.c agent/core/cgroup_events.c agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */
/* WRAP: fence_stands */
/* WRAP: cgroup_events_refuse_outside */
/* WRAP: resolve_again */
/* WRAP: strays_put_back */
/* WRAP: clock_mono_us */
/* WRAP: watched_freeze */

/* What the watch does about what it finds, on real cgroups: what is taken for a site, and at which one is held who. */

#include "lib/cage.h"

#include "lib/enforce_box.h"
#include "lib/held_map.h"

#include "agent/core/cgroup.h"
#include "agent/core/fence.h"
#include "agent/core/latecomer.h"
#include "agent/core/mend.h"
#include "agent/core/strays.h"
#include "agent/util/io.h"

static struct watch watching;

/* The service manager and what is started on a frozen host are others' tests. */
bool __wrap_fence_stands(struct agent *a) {
        (void) a;
        return true;
}

/* Lies at the top of the hierarchy, which is not the test's. */
bool __wrap_cgroup_events_refuse_outside(struct cgroup_events *e, int top) {
        (void) e;
        (void) top;
        return false;
}

/* how long it is not let run between two looks at the clock */
static int64_t not_let_run_us;

int64_t __real_clock_mono_us(void);
int64_t __wrap_clock_mono_us(void);
int64_t __wrap_clock_mono_us(void) {
        static int64_t lost_us;

        lost_us += not_let_run_us;
        return __real_clock_mono_us() + lost_us;
}

static void use_cpu(int64_t us) {
        const int64_t end = clock_cpu_us() + us;

        while (clock_cpu_us() < end)
                ;
}

/* what looking for a target costs, and how often each was looked for */
static int64_t seek_costs_us;
static unsigned int looked_for[8];

int __real_resolve_again(const struct resolver *r, struct site *s, reason_set *ret_notes);
int __wrap_resolve_again(const struct resolver *r, struct site *s, reason_set *ret_notes) {
        const size_t n = (size_t) s->target.name[0] - 'a';

        use_cpu(seek_costs_us);
        if (n < ELEMENTSOF(looked_for))
                looked_for[n]++;
        return __real_resolve_again(r, s, ret_notes);
}

/* what looking at a site costs */
static int64_t looking_costs_us;

int __real_watched_freeze(const struct watched *s);
int __wrap_watched_freeze(const struct watched *s) {
        use_cpu(looking_costs_us);
        return __real_watched_freeze(s);
}

/* what putting a process back costs, and how often it was done */
static int64_t putting_costs_us;
static size_t n_put;

int __real_strays_put_back(const char *root, const char *path, int fd, pid_t pid);
int __wrap_strays_put_back(const char *root, const char *path, int fd, pid_t pid) {
        (void) usleep((useconds_t) putting_costs_us);
        n_put++;
        return __real_strays_put_back(root, path, fd, pid);
}

void latecomer_made(struct agent *a, const char *path, int fd, uint64_t cgroup_id) {
        (void) a;
        (void) path;
        (void) fd;
        (void) cgroup_id;
}

struct resolver agent_resolver(const struct agent *a, const struct command_id *hold) {
        return (struct resolver) {
                .cgroup_root = a->cgroup_root, .systemd = a->systemd, .local = &a->local, .hold = hold
        };
}

static int begin(void **state) {
        char pin[256];
        int r = box_begin(state);

        if (r != 0)
                return r;
        (void) snprintf(pin, sizeof(pin), "%s/held", cage_pins());
        assert_int_equal(cgroup_events_new(pin, &agent.events), 0);
        watching = (struct watch) { .agent = &agent };
        return 0;
}

static void watch_nothing(void) {
        for (size_t i = 0; i < watching.n_sites; i++)
                watched_close(&watching.sites[i]);
        free(watching.sites);
        free(watching.swept);
        followed_list_done(&watching.holds);
        watching = (struct watch) { .agent = &agent };
}

static int end(void **state) {
        watch_nothing();
        cgroup_events_free(TAKE_PTR(agent.events));
        return box_end(state);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static struct sites *sites_of(uint32_t n) {
        const struct command_id id = id_of(n);

        return held_find(&agent.held, &id);
}

/* All that is held, in the order of the holds. */
static void watch_all(void) {
        watch_nothing();
        for (size_t i = 0; i < hold_set_count(agent.holds); i++) {
                const struct hold *h = hold_set_at(agent.holds, i);
                const struct sites *s = held_find(&agent.held, &h->id);

                for (size_t k = 0; s && k < s->n; k++) {
                        watching.sites = reallocarray(watching.sites, watching.n_sites + 1, sizeof(*watching.sites));
                        assert_non_null(watching.sites);
                        assert_int_equal(watched_open(&agent, h, k, &s->v[k], &watching.sites[watching.n_sites++]), 0);
                }
        }
        mend_ask(&watching);
}

static void join(const char *path) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;

        assert_int_equal(cgroup_open(cage_hierarchy(), path, &fd, &id), 0);
        assert_int_equal(io_write_string(fd, "cgroup.procs", "0"), 0);
}

/* The cgroup that the core itself is in is never held. */
static void what_was_protected_is_not_taken_because_it_is_there(void **state) {
        struct cage way_in = cage_make("way-in");
        _cleanup_free_ char *home = NULL;
        struct proven *p;

        (void) state;
        (void) cage_spawn(&cage, keep_no_raw, NULL);
        (void) cage_spawn(&way_in, NULL, NULL);
        assert_int_equal(cgroup_of_pid(getpid(), &home), 0);
        join(way_in.path);
        order(VERB_ISOLATE);
        AIM(&cage, &way_in);
        p = carry_out(1);
        watch_all();
        mend_look(&watching);
        join(home);
        check_state(p, HOLD_PARTIAL, GAP(PROTECTED));
        assert_int_equal(sites_of(1)->v[1].missing, REASON_PROTECTED);
        assert_int_equal(attached(&way_in), 0);
        /* nor when it has become another one's, which nobody has ordered to stop */
        watching.seek_us = 0;
        mend_look(&watching);
        assert_int_equal(attached(&way_in), 0);
        assert_int_equal(attached(&cage), _ISOLATE_HOOK_MAX);
        assert_reasons(let_go(1), 0);
}

static void who_is_held_twice_is_held_at_the_inner_site(void **state) {
        struct cage inner = cage_make("held/inner");
        const pid_t in = cage_spawn(&inner, keep_no_raw, NULL), beside = cage_spawn(&cage, keep_no_raw, NULL);
        struct watched before = { .cgroup_id = inner.id, .path = inner.path };

        (void) state;
        proven_free(stop(1, VERB_ISOLATE, &cage));
        watch_all();
        mend_hold(&watching, &watching.sites[0]);
        assert_int_equal(cgroup_events_held_at(agent.events, in), cage.id);
        proven_free(stop(2, VERB_CONTAIN, &inner));
        watch_all();
        assert_int_equal(watching.n_sites, 2);
        mend_look(&watching);
        assert_int_equal(cgroup_events_held_at(agent.events, in), inner.id);
        assert_int_equal(cgroup_events_held_at(agent.events, beside), cage.id);
        /* and stays, whichever is looked at last */
        for (size_t i = 0; i < 4; i++) {
                mend_hold(&watching, &watching.sites[i % 2]);
                assert_int_equal(cgroup_events_held_at(agent.events, in), inner.id);
        }
        /* until the inner hold is over: at the outer one from then on, before anybody runs again */
        (void) let_go(2);
        watch_all();
        mend_forget(&watching, &before, 1);
        assert_int_equal(cgroup_events_held_at(agent.events, in), cage.id);
        assert_int_equal(cgroup_events_held_at(agent.events, beside), cage.id);
        /* nor is anybody held where there is no site any more */
        assert_int_equal(cgroup_events_hold(agent.events, in, inner.id, cage.id), inner.id);
        mend_hold(&watching, &watching.sites[0]);
        assert_int_equal(cgroup_events_held_at(agent.events, in), cage.id);
        (void) let_go(1);
        watch_all();
        before = (struct watched) { .cgroup_id = cage.id, .path = cage.path };
        mend_forget(&watching, &before, 1);
        assert_int_equal(cgroup_events_held_at(agent.events, in), 0);
}

static void count_event(const struct cgroup_event *e, void *userdata) {
        size_t *n = userdata;

        *n += e->kind == CGROUP_MOVED;
}

/* Whoever moves it into what it holds does not have it bring itself back there. */
static void the_core_holds_neither_itself_nor_pid_1(void **state) {
        const pid_t other = cage_spawn(&cage, keep_no_raw, NULL);
        _cleanup_free_ char *home = NULL;
        size_t n = 0;

        (void) state;
        proven_free(stop(1, VERB_ISOLATE, &cage));
        watch_all();
        assert_int_equal(cgroup_of_pid(getpid(), &home), 0);
        join(cage.path);
        join(home);
        cgroup_events_read(agent.events, SIZE_MAX, count_event, &n);
        assert_int_equal(n, 0);
        join(cage.path);
        mend_look(&watching);
        mend_hold(&watching, &watching.sites[0]);
        assert_int_equal(cgroup_events_held_at(agent.events, other), cage.id);
        assert_int_equal(cgroup_events_held_at(agent.events, getpid()), 0);
        assert_int_equal(cgroup_events_hold(agent.events, 1, cage.id, 0), 0);
        assert_int_equal(cgroup_events_held_at(agent.events, 1), 0);
        join(home);
        watching.sweep_us = watching.sweep_not_before_us = 0;
        mend_look(&watching);
        assert_true(strays_is_outside(getpid(), cage.path));
        (void) let_go(1);
}

static void nobody_is_held_at_the_root_of_the_host(void **state) {
        struct cage other = cage_make("other");
        const pid_t pid = cage_spawn(&other, NULL, NULL);
        char text[16];

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        proven_free(stop(1, VERB_CONTAIN, &cage));
        watch_all();
        watching.sites[0].whole = true;
        mend_ask(&watching);
        assert_int_equal(cage_write(&cage, "cgroup.procs", text), 0);
        assert_int_equal(cgroup_events_held_at(agent.events, pid), 0);
        /* nor who was by a core from before */
        assert_int_equal(cgroup_events_hold(agent.events, pid, cage.id, 0), cage.id);
        mend_forget(&watching, NULL, 0);
        assert_int_equal(cgroup_events_held_at(agent.events, pid), 0);
        watching.sites[0].whole = false;
        mend_ask(&watching);
        assert_int_equal(cage_write(&other, "cgroup.procs", text), 0);
        assert_int_equal(cage_write(&cage, "cgroup.procs", text), 0);
        assert_int_equal(cgroup_events_held_at(agent.events, pid), cage.id);
        (void) let_go(1);
}

#define ID    "5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d"
#define SHORT "5eedf00d5eed"

static void seek(void) {
        watching.seek_us = 0;
        mend_look(&watching);
}

/* Whoever may empty the cgroup of what is held for a moment, and has somebody else look like it, leads nothing away. */
static void what_is_held_stays_where_its_cgroup_is_though_nobody_is_in_it(void **state) {
        struct cage one = cage_make("docker-" ID ".scope"), decoy;
        pid_t pid = cage_spawn(&one, NULL, NULL), other;
        char text[16];

        (void) state;
        /* another run on this machine has one that is called so */
        free(agent.cgroup_root);
        agent.cgroup_root = strdup(cage_top()->dir);
        assert_non_null(agent.cgroup_root);
        order(VERB_CONTAIN);
        assert_int_equal(target_from_str("container:" SHORT, &w.targets[0]), 0);
        proven_free(carry_out(1));
        watch_all();
        assert_int_equal(sites_of(1)->v[0].cgroup_id, one.id);
        decoy = cage_make(SHORT);
        other = cage_spawn(&decoy, NULL, NULL);
        cage_kill(pid);
        seek();
        assert_int_equal(sites_of(1)->v[0].cgroup_id, one.id);
        assert_true(cage_says(&one, "cgroup.freeze", "1"));
        assert_int_equal(attached(&one), _ISOLATE_HOOK_MAX);
        assert_true(cage_says(&decoy, "cgroup.freeze", "0"));
        assert_int_equal(attached(&decoy), 0);
        assert_int_equal(watching.tally.repairs[REPAIR_REPLACED], 0);
        /* whoever is started there again is held */
        (void) snprintf(text, sizeof(text), "%d", (int) other);
        assert_int_equal(cage_write(&one, "cgroup.procs", text), 0);
        assert_int_equal(cgroup_freezer_wait(one.fd, true, 3 * 1000 * 1000), 0);
        (void) let_go(1);
}

static size_t seek_next_ones(void) {
        unsigned int before = 0, after = 0;

        for (size_t i = 0; i < ELEMENTSOF(looked_for); i++)
                before += looked_for[i];
        seek();
        for (size_t i = 0; i < ELEMENTSOF(looked_for); i++)
                after += looked_for[i];
        return after - before;
}

/* However many are not there, an order waits for a few of them to be looked for, and they are not looked for all the
 * time. */
static void what_is_not_there_is_looked_for_a_few_at_a_time(void **state) {
        const size_t n = ELEMENTSOF(looked_for);
        int64_t start;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        order(VERB_CONTAIN);
        AIM(&cage);
        for (size_t i = 0; i < n; i++) {
                char text[] = "container:?nosuch";

                *strchr(text, '?') = (char) ('a' + i);
                assert_int_equal(target_from_str(text, &w.targets[1 + i]), 0);
        }
        w.c.n_targets = 1 + n;
        proven_free(carry_out(1));
        watch_all();
        memset(looked_for, 0, sizeof(looked_for));
        seek_costs_us = 8 * 1000;
        for (size_t done = 0; done < n;) {
                size_t some;

                start = clock_mono_us();
                some = seek_next_ones();
                /* the first one that is looked at is there */
                assert_in_range(some, done > 0, 3);
                done += some;
                if (done < n)
                        assert_true(watching.seek_us >= start + (int64_t) some * seek_costs_us * 10);
        }
        for (size_t i = 0; i < n; i++)
                assert_int_equal(looked_for[i], 1);
        /* from the end of all of them */
        assert_true(watching.seek_us >= start + (int64_t) n * seek_costs_us * 200);
        /* and then from the beginning */
        seek_costs_us = 0;
        for (size_t done = 0; done < n;)
                done += seek_next_ones();
        for (size_t i = 0; i < n; i++)
                assert_int_equal(looked_for[i], 2);
        (void) let_go(1);
}

static void move_to(const struct cage *c, pid_t pid) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        assert_int_equal(cage_write(c, "cgroup.procs", text), 0);
}

/* Does as much as fits into one look; how many that were. */
static size_t sweep_next_ones(void) {
        const size_t before = n_put;

        watching.sweep_us = watching.sweep_not_before_us = 0;
        mend_look(&watching);
        return n_put - before;
}

/* However many leave, and leave again, an order waits for a few of them to be put back, none of them is forgotten for
 * others, and as long as one is outside it is said. */
static void who_left_is_put_back_a_few_at_a_time(void **state) {
        struct cage outside = cage_make("outside");
        pid_t pids[8];
        size_t first;

        (void) state;
        n_put = 0;
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                pids[i] = cage_spawn(&cage, keep_no_raw, NULL);
        proven_free(stop(1, VERB_ISOLATE, &cage));
        watch_all();
        assert_int_equal(sweep_next_ones(), 0);
        assert_int_equal(watching.next_us, watching.every_us);
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                move_to(&outside, pids[i]);
        putting_costs_us = 8 * 1000;
        looking_costs_us = 3 * 1000;
        first = sweep_next_ones();
        assert_in_range(first, 1, 3);
        /* the others wait no longer because looks are rare */
        assert_in_range(watching.next_us, 20 * 1000, watching.every_us - 1);
        looking_costs_us = 0;
        assert_reasons(look(1).gaps, GAP(MOVED_OUT));
        /* who leaves again waits for the others */
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                if (!strays_is_outside(pids[i], cage.path))
                        move_to(&outside, pids[i]);
        for (size_t done = first; done < ELEMENTSOF(pids);) {
                const size_t some = sweep_next_ones();

                assert_in_range(some, 1, 3);
                assert_reasons(look(1).gaps, GAP(MOVED_OUT));
                done += some;
        }
        for (size_t done = 0; done < first;)
                done += sweep_next_ones();
        assert_int_equal(n_put, ELEMENTSOF(pids) + first);
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                assert_false(strays_is_outside(pids[i], cage.path));
        assert_reasons(look(1).gaps, 0);
        putting_costs_us = 0;
        (void) let_go(1);
}

static void one_is_put_back_however_busy_the_machine_is(void **state) {
        struct cage outside = cage_make("outside");
        pid_t pids[2];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                pids[i] = cage_spawn(&cage, keep_no_raw, NULL);
        proven_free(stop(1, VERB_ISOLATE, &cage));
        watch_all();
        assert_int_equal(sweep_next_ones(), 0);
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                move_to(&outside, pids[i]);
        not_let_run_us = 2 * MEND_TURN_US;
        assert_int_equal(sweep_next_ones(), 1);
        assert_int_equal(sweep_next_ones(), 1);
        not_let_run_us = 0;
        for (size_t i = 0; i < ELEMENTSOF(pids); i++)
                assert_false(strays_is_outside(pids[i], cage.path));
        (void) let_go(1);
}

/* Whoever forks until nobody else finds a place among the held has not put off the next look, and it is said. */
static void who_finds_no_room_is_a_gap_and_looked_for_soon(void **state) {
        pid_t pid = cage_spawn(&cage, NULL, NULL);

        (void) state;
        proven_free(stop(1, VERB_CONTAIN, &cage));
        watch_all();
        held_map_fill(agent.events);
        mend_look(&watching);
        assert_true(watching.crowded);
        assert_int_not_equal(followed_get(&watching.holds, &watching.sites[0].hold)->due_us, 0);
        assert_in_range(watching.sweep_every_us, 1000 * 1000, 30 * 1000 * 1000);
        assert_int_equal(watching.outer_every_us, 1000 * 1000);
        /* the dead are gone by now; a second look is taken when it may cost that much again */
        watching.sweep_us = 0;
        mend_look(&watching);
        assert_true(watching.crowded);
        watching.sweep_not_before_us = 0;
        mend_look(&watching);
        assert_false(watching.crowded);
        assert_int_equal(cgroup_events_held_at(agent.events, pid), cage.id);
        (void) let_go(1);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(what_was_protected_is_not_taken_because_it_is_there),
                CASE(who_is_held_twice_is_held_at_the_inner_site),
                CASE(the_core_holds_neither_itself_nor_pid_1),
                CASE(nobody_is_held_at_the_root_of_the_host),
                CASE(what_is_held_stays_where_its_cgroup_is_though_nobody_is_in_it),
                CASE(what_is_not_there_is_looked_for_a_few_at_a_time),
                CASE(who_left_is_put_back_a_few_at_a_time),
                CASE(one_is_put_back_however_busy_the_machine_is),
                CASE(who_finds_no_room_is_a_gap_and_looked_for_soon),
        };

        return CAGE_MAIN(cases);
}
