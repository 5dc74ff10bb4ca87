/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An agent that holds a real cgroup: orders are resolved, decided, recorded, enforced and proven by the stages
 * themselves, without a ledger and a service manager. Included after cage.h. */

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <bpf/bpf.h>

#include "lib/decide_world.h"
#include "lib/order_box.h"
#include "lib/reasons.h"

#include "agent/core/enforce.h"
#include "agent/core/hosthold.h"
#include "agent/core/prove.h"

#define GAP(r) reason_bit(REASON_##r)

static struct cage cage;

static inline int box_begin(void **state) {
        int r = cage_begin(state);

        if (r != 0)
                return r;
        assert_int_equal(set_up(state), 0);
        agent_begin();
        local_defaults(&agent.local);
        agent.cgroup_root = strdup(cage_hierarchy());
        assert_int_equal(isolate_new(cage_pins(), &agent.isolate), 0);
        assert_int_equal(isolate_prepare(agent.isolate), 0);
        assert_int_equal(probe_start(&agent.probe), 0);
        assert_int_equal(hosthold_new(NULL, &agent.hosthold), 0);
        assert_int_equal(systemd_new(&agent.systemd), 0);
        cage = cage_make("held");
        return 0;
}

static inline int box_end(void **state) {
        probe_free(TAKE_PTR(agent.probe));
        isolate_free(TAKE_PTR(agent.isolate));
        hosthold_free(TAKE_PTR(agent.hosthold));
        systemd_free(TAKE_PTR(agent.systemd));
        free(TAKE_PTR(agent.cgroup_root));
        agent_end();
        assert_int_equal(tear_down(state), 0);
        return cage_end(state);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, box_begin, box_end)

/* Root without the privilege to open packet sockets, which it gets back with the next program that it starts. */
static inline void drop_raw(void *userdata) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        (void) userdata;
        if (syscall(SYS_capget, &header, data) < 0)
                _exit(1);
        data[0].effective = data[0].permitted &= ~(1U << CAP_NET_RAW | 1U << CAP_NET_ADMIN);
        if (syscall(SYS_capset, &header, data) < 0)
                _exit(1);
}

/* A process that cannot come to open packet sockets. */
static inline void keep_no_raw(void *userdata) {
        if (prctl(PR_CAPBSET_DROP, CAP_NET_RAW, 0, 0, 0) < 0 || prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN, 0, 0, 0) < 0)
                _exit(1);
        drop_raw(userdata);
}

static inline struct sites resolve_all(void) {
        const struct resolver resolver = {
                .cgroup_root = agent.cgroup_root, .systemd = agent.systemd, .local = &agent.local, .hold = &w.c.id
        };
        struct sites sites;
        reason_set notes = 0;

        assert_int_equal(resolve_targets(&resolver, w.c.targets, w.c.n_targets, &sites, &notes), 0);
        for (size_t i = 0; i < sites.n; i++)
                for (size_t k = 0; k < agent.held.n; k++)
                        for (size_t m = 0; m < agent.held.v[k].sites.n; m++)
                                /* as an order does: our own freeze is not someone else's */
                                if (agent.held.v[k].sites.v[m].cgroup_id == sites.v[i].cgroup_id)
                                        sites.v[i].was_frozen = agent.held.v[k].sites.v[m].was_frozen;
        return sites;
}

static inline void settle(const struct proven *p, const struct command_id *id) {
        const struct outcome o = { .id = id,
                                   .of = "order",
                                   .settle = true,
                                   .state = proven_state(p),
                                   .reasons = proven_gaps(p),
                                   .receipt = "{}" };

        /* there is no ledger here, the memory follows all the same */
        assert_int_equal(record_outcome(&agent, &o), -ENODEV);
}

/* Carries out the order that the world holds. */
static inline struct proven *carry_out(uint32_t n) {
        struct recorded *recorded;
        struct enforced *enforced;
        struct proven *proven;
        struct sites sites;

        w.c.id = id_of(n);
        sites = resolve_all();
        recorded = agent_record(&sites);
        assert_int_equal(enforce_apply(&agent, recorded, &enforced), 0);
        assert_int_equal(prove(&agent, enforced, &proven), 0);
        settle(proven, &w.c.id);
        return proven;
}

static inline void aim(size_t n, const struct cage *const *c) {
        for (size_t k = 0; k < n; k++) {
                char text[TARGET_STR_SIZE];

                assert_in_range(snprintf(text, sizeof(text), "cgroup:%s", c[k]->path), 1, sizeof(text) - 1);
                assert_int_equal(target_from_str(text, &w.targets[k]), 0);
        }
        w.c.n_targets = n;
}

#define AIM(...) aim(ELEMENTSOF(((const struct cage *[]) { __VA_ARGS__ })), (const struct cage *[]) { __VA_ARGS__ })

static inline struct proven *stop(uint32_t n, enum verb verb, const struct cage *c) {
        order(verb);
        AIM(c);
        return carry_out(n);
}

static inline reason_set let_go(uint32_t n) {
        const struct command_id id = id_of(n), by = id_of(n + 1000);
        const struct hold *h = hold_set_find(agent.holds, &id);
        reason_set r = 0;

        assert_non_null(h);
        if (h->state != HOLD_RELEASING)
                assert_int_equal(hold_set_release(agent.holds, &id, &by), 0);
        enforce_thaw(&agent, &id, &r);
        enforce_lift(&agent, &id, &r);
        if (!(r & GAP(PERSISTS))) {
                assert_int_equal(hold_set_end(agent.holds, &id), 0);
                held_remove(&agent.held, &id);
        }
        return r;
}

static inline void keep_first(const struct site *s, const struct proof *p, const struct hold *h, void *userdata) {
        struct proof *first = userdata;

        (void) h;
        (void) s;
        if (first->n_pids == SIZE_MAX)
                *first = *p;
}

/* What is in force at the first site of a hold now, as status reads it. */
static inline struct proof look(uint32_t n) {
        const struct command_id id = id_of(n);
        struct proof p = { .n_pids = SIZE_MAX };
        reason_set gaps;

        (void) prove_hold(&agent, hold_set_find(agent.holds, &id), keep_first, &p, &gaps);
        p.pids = NULL;
        for (size_t i = 0; i < held_find(&agent.held, &id)->n; i++)
                (void) !site_open(&held_find(&agent.held, &id)->v[i], agent.cgroup_root);
        return p;
}

static inline void check_state(struct proven *p, enum hold_state state, reason_set gaps) {
        assert_string_equal(hold_state_id(proven_state(p)), hold_state_id(state));
        assert_reasons(proven_gaps(p), gaps);
        proven_free(p);
}

static inline void check_links(const struct proof *p, unsigned n) {
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++)
                n -= p->links[h].link_id != 0;
        assert_int_equal(n, 0);
}

static inline void check_blocked(const struct proof *p) {
        assert_true(p->tested && p->selftest.baseline);
        assert_int_equal(p->selftest.new_connection, PROBE_BLOCKED);
        assert_int_equal(p->selftest.open_stream, PROBE_BLOCKED);
        assert_int_equal(p->selftest.open_datagram, PROBE_BLOCKED);
        assert_int_equal(p->selftest.inbound, PROBE_BLOCKED);
}

static inline unsigned attached(const struct cage *c) {
        static const enum bpf_attach_type types[] = {
#define X(name, id, type, phase) type,
                ISOLATE_HOOK_TABLE(X)
#undef X
        };
        unsigned sum = 0;

        for (size_t h = 0; h < ELEMENTSOF(types); h++) {
                uint32_t ids[16], n = ELEMENTSOF(ids);

                assert_int_equal(bpf_prog_query(c->fd, types[h], BPF_F_QUERY_EFFECTIVE, NULL, ids, &n), 0);
                sum += n;
        }
        return sum;
}
