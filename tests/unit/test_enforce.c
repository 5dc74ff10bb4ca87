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

/* From a recorded order to what is in force, and back to nothing: each verb, and holds on top of each other. */

#include "lib/cage.h"

#include "lib/enforce_box.h"
#include "lib/reasons.h"

/* Each is given whenever something is cut off, and only then. */
#define BEYOND (GAP(PROXIES) | GAP(KERNEL_PACKETS))

static void containing_a_service_leaves_nothing_in_force_after_its_release(void **state) {
        int in = cage_socket(&cage, AF_INET, SOCK_STREAM, 0), out;
        struct proven *p;
        const struct proof *site;
        char c;

        (void) state;
        wire_join(in, "10.0.0.1", SOCK_STREAM, &out);
        (void) cage_spawn(&cage, NULL, NULL);
        p = stop(1, VERB_CONTAIN, &cage);
        site = proven_site(p, 0);
        assert_true(site->present && site->frozen);
        assert_int_equal(site->n_pids, 1);
        /* the service's; the self-test's own is not one of them */
        assert_int_equal(site->sockets.destroyed, 1);
        assert_int_equal(site->sockets.left, 0);
        check_links(site, _ISOLATE_HOOK_MAX);
        check_blocked(site);
        assert_reasons(recorded_flags(proven_recorded(p)) & BEYOND, BEYOND);
        check_state(p, HOLD_HELD, 0);
        wire_settle();
        assert_int_equal(recv(out, &c, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_true(cage_says(&cage, "cgroup.events", "frozen 1"));
        assert_int_equal(attached(&cage), _ISOLATE_HOOK_MAX);

        assert_reasons(let_go(1), 0);
        assert_true(cage_says(&cage, "cgroup.events", "frozen 0"));
        assert_int_equal(attached(&cage), 0);
        (void) close(in), (void) close(out);
}

static void isolating_leaves_it_running(void **state) {
        struct cage raw = cage_make("raw");
        struct proven *p;

        (void) state;
        (void) cage_spawn(&cage, keep_no_raw, NULL);
        (void) cage_spawn(&raw, NULL, NULL);
        p = stop(1, VERB_ISOLATE, &cage);
        assert_false(proven_site(p, 0)->frozen);
        check_blocked(proven_site(p, 0));
        check_state(p, HOLD_HELD, 0);
        assert_true(cage_says(&cage, "cgroup.events", "frozen 0"));
        assert_reasons(let_go(1), 0);
        /* who runs and may open packet sockets has a way out */
        check_state(stop(2, VERB_ISOLATE, &raw), HOLD_PARTIAL, GAP(PACKET_SOCKETS));
        assert_reasons(let_go(2), 0);
}

static void freezing_leaves_the_network(void **state) {
        char name[64];
        struct cage unit;
        struct proven *p;

        (void) state;
        (void) snprintf(name, sizeof(name), "frenf-%d.service", (int) getpid());
        unit = cage_make(name);
        (void) cage_spawn(&unit, NULL, NULL);
        order(VERB_FREEZE);
        target_unit(name);
        p = carry_out(1);
        assert_true(proven_site(p, 0)->frozen);
        assert_false(proven_site(p, 0)->tested);
        assert_reasons(recorded_flags(proven_recorded(p)) & BEYOND, 0);
        check_state(p, HOLD_HELD, 0);
        assert_int_equal(attached(&unit), 0);
        /* the manager, which there is none of, could not be told */
        assert_reasons(let_go(1), GAP(SYSTEMD_UNAWARE));
        assert_true(cage_says(&unit, "cgroup.events", "frozen 0"));
}

static void of_two_holds_each_stands_alone(void **state) {
        struct proof p;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        check_state(stop(1, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        check_state(stop(2, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        assert_int_equal(attached(&cage), 2 * _ISOLATE_HOOK_MAX);
        assert_reasons(let_go(1), GAP(HELD_BY_OTHER));
        assert_true(cage_says(&cage, "cgroup.events", "frozen 1"));
        p = look(2);
        assert_reasons(p.gaps, 0);
        check_links(&p, _ISOLATE_HOOK_MAX);
        check_blocked(&p);
        assert_reasons(let_go(2), 0);
        assert_true(cage_says(&cage, "cgroup.events", "frozen 0"));
        assert_int_equal(attached(&cage), 0);
}

/* The one whose links someone has taken is the one that needs its self-test most. */
static void the_other_holds_self_test_stays_whatever_its_links_are(void **state) {
        const struct command_id two = id_of(2);
        char id[33], path[256];
        struct proof p;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        check_state(stop(1, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        check_state(stop(2, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        command_id_to_str(&two, id);
        (void) snprintf(path, sizeof(path), "%s/%s/%llx_egress", cage_pins(), id, (unsigned long long) cage.id);
        _cleanup_close_ int fd = bpf_obj_get(path);

        /* not by removing the pin: the kernel detaches that when it gets to it */
        assert_int_equal(bpf_link_detach(fd), 0);
        assert_reasons(let_go(1), GAP(HELD_BY_OTHER));
        p = look(2);
        assert_true(p.tested);
        assert_int_equal(p.selftest.open_datagram, PROBE_LEAK);
        assert_reasons(p.gaps, GAP(LINK_LOST) | GAP(SELFTEST_LEAK));
        assert_reasons(let_go(2), 0);
}

static void a_hold_that_only_isolates_does_not_thaw_and_one_that_freezes_does_not_detach(void **state) {
        struct proof p;

        (void) state;
        (void) cage_spawn(&cage, keep_no_raw, NULL);
        check_state(stop(1, VERB_ISOLATE, &cage), HOLD_HELD, 0);
        check_state(stop(2, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        assert_reasons(let_go(1), 0);
        p = look(2);
        assert_reasons(p.gaps, 0);
        assert_true(p.frozen);
        check_state(stop(3, VERB_ISOLATE, &cage), HOLD_HELD, 0);
        assert_reasons(let_go(2), 0);
        assert_true(cage_says(&cage, "cgroup.events", "frozen 0"));
        p = look(3);
        assert_reasons(p.gaps, 0);
        assert_reasons(let_go(3), 0);
        assert_int_equal(attached(&cage), 0);
}

static void what_someone_else_froze_stays_frozen_and_is_not_entered(void **state) {
        struct proven *p;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        cage_freeze(&cage, true);
        p = stop(1, VERB_CONTAIN, &cage);
        assert_false(probe_has(agent.probe, cage.id));
        assert_true(proven_site(p, 0)->frozen);
        /* nobody could go in to test it, and nobody who goes in would come out */
        check_state(p, HOLD_PARTIAL, GAP(SELFTEST_NOT_RUN));
        assert_reasons(let_go(1), GAP(HELD_BY_OTHER));
        assert_true(cage_says(&cage, "cgroup.events", "frozen 1"));
        assert_int_equal(attached(&cage), 0);
}

static void what_lies_in_a_held_one_stays_held_and_nobody_waits(void **state) {
        struct cage below = cage_make("held/below");
        int64_t start, least = INT64_MAX;

        (void) state;
        (void) cage_spawn(&below, NULL, NULL);
        check_state(stop(1, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        for (uint32_t n = 2; n < 5; n++) {
                check_state(stop(n, VERB_CONTAIN, &below), HOLD_PARTIAL, GAP(SELFTEST_NOT_RUN));
                start = clock_mono_us();
                assert_reasons(let_go(n), GAP(HELD_BY_OTHER));
                least = MIN(least, clock_mono_us() - start);
        }
        /* who waits does each time; a busy machine takes its time now and then */
        assert_true(least < ENFORCE_FREEZE_US / 2);
        assert_true(cage_says(&below, "cgroup.events", "frozen 1"));
        assert_reasons(let_go(1), 0);
        assert_true(cage_says(&below, "cgroup.events", "frozen 0"));
}

static void a_hold_from_before_this_start_is_put_back(void **state) {
        const struct command_id one = id_of(1);
        struct recorded *recorded;
        struct enforced *enforced;
        struct proven *p;
        struct isolate *again;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        check_state(stop(1, VERB_CONTAIN, &cage), HOLD_HELD, 0);
        assert_int_equal(isolate_drop(agent.isolate, &one), 0);
        /* the agent died meanwhile, and its self-test with it */
        probe_free(TAKE_PTR(agent.probe));
        assert_int_equal(probe_start(&agent.probe), 0);
        assert_int_equal(isolate_new(cage_pins(), &again), 0);
        isolate_free(agent.isolate);
        agent.isolate = again;
        assert_reasons(look(1).gaps, GAP(LINK_LOST));
        assert_int_equal(record_recall(&agent, &one, &recorded), 0);
        assert_int_equal(enforce_apply(&agent, recorded, &enforced), 0);
        assert_int_equal(prove(&agent, enforced, &p), 0);
        check_links(proven_site(p, 0), _ISOLATE_HOOK_MAX);
        assert_false(proven_site(p, 0)->tested);
        check_state(p, HOLD_HELD, 0);
        assert_reasons(let_go(1), 0);
}

static void an_end_that_fails_is_no_end_and_is_finished_later(void **state) {
        unsigned links_left = 0;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        /* the thaw, and then in any order each link */
        for (uint32_t k = 1; k <= 1 + _ISOLATE_HOOK_MAX; k++) {
                const struct command_id id = id_of(k);
                char setting[16];

                check_state(stop(k, VERB_CONTAIN, &cage), HOLD_HELD, 0);
                (void) snprintf(setting, sizeof(setting), "fail:%u", k);
                assert_int_equal(setenv("FREEZED_FAULT", setting, 1), 0);
                assert_reasons(let_go(k), GAP(PERSISTS));
                assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
                assert_int_equal(hold_set_find(agent.holds, &id)->state, HOLD_RELEASING);
                assert_true(cage_says(&cage, "cgroup.events", k == 1 ? "frozen 1" : "frozen 0"));
                assert_in_range(attached(&cage), 0, k == 1 ? 0 : 1);
                links_left += (unsigned) attached(&cage);
                assert_reasons(let_go(k), 0);
                assert_int_equal(attached(&cage), 0);
                assert_true(cage_says(&cage, "cgroup.events", "frozen 0"));
        }
        assert_int_equal(links_left, _ISOLATE_HOOK_MAX);
}

static void nothing_stays_open(void **state) {
        size_t fds = 0;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        for (uint32_t n = 1; n <= 4; n++) {
                check_state(stop(n, VERB_CONTAIN, &cage), HOLD_HELD, 0);
                assert_reasons(let_go(n), 0);
                assert_int_equal(isolate_prepare(agent.isolate), 0);
                if (n == 1)
                        fds = wire_open_fds();
        }
        assert_int_equal(wire_open_fds(), fds);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(containing_a_service_leaves_nothing_in_force_after_its_release),
                CASE(isolating_leaves_it_running),
                CASE(freezing_leaves_the_network),
                CASE(of_two_holds_each_stands_alone),
                CASE(the_other_holds_self_test_stays_whatever_its_links_are),
                CASE(a_hold_that_only_isolates_does_not_thaw_and_one_that_freezes_does_not_detach),
                CASE(what_someone_else_froze_stays_frozen_and_is_not_entered),
                CASE(what_lies_in_a_held_one_stays_held_and_nobody_waits),
                CASE(a_hold_from_before_this_start_is_put_back),
                CASE(an_end_that_fails_is_no_end_and_is_finished_later),
                CASE(nothing_stays_open),
        };

        return CAGE_MAIN(cases);
}
