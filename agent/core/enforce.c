/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/enforce.h"

#include "agent/core/branch.h"
#include "agent/core/cgroup.h"
#include "agent/core/hosthold.h"
#include "agent/core/hosttest.h"
#include "agent/core/sweep.h"
#include "agent/util/alive.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

struct enforced {
        struct recorded *recorded;
        struct enforced_site *sites;
        size_t n;
};

/* One step, at every site that has a cgroup. */
typedef void (*step_fn)(struct agent *a, struct enforced *e, const struct site *s, struct enforced_site *out);

static void for_each_site(struct agent *a, struct enforced *e, step_fn step) {
        struct sites *sites = recorded_sites(a, e->recorded);

        for (size_t i = 0; sites && i < sites->n; i++)
                if (sites->v[i].fd >= 0) {
                        step(a, e, &sites->v[i], &e->sites[i]);
                        alive();
                }
}

static size_t count_permits(const struct agent *a, const struct command *c) {
        return a->local.n_permits + (c ? c->n_permits : 0);
}

/* Nobody who is put into a frozen cgroup comes out again, and the wait for it would be the order's. What the self-test
 * has in there from before is as good as ever. */
static bool may_enter(const struct agent *a, int cgroup_fd, uint64_t cgroup_id) {
        struct cgroup_freezer now;

        return cgroup_has_room(cgroup_fd) &&
               (probe_has(a->probe, cgroup_id) || cgroup_freezer_read(cgroup_fd, &now) < 0 || !now.frozen);
}

void enforce_begin(struct agent *a, const struct command *c, const struct sites *sites) {
        const bool wanted = a->probe && verb_info(c->verb)->isolates;

        /* in one site, the first that can be held: the child does one thing at a time */
        for (size_t i = 0; wanted && i < sites->n; i++)
                if (sites->v[i].fd >= 0 && !site_is_host(&sites->v[i])) {
                        if (may_enter(a, sites->v[i].fd, sites->v[i].cgroup_id))
                                probe_begin_enter(a->probe, sites->v[i].fd, sites->v[i].cgroup_id, count_permits(a, c));
                        break;
                }
}

/* Before anything is refused, so that the self-test has connections that were open before. */
static void step_enter(struct agent *a, struct enforced *e, const struct site *s, struct enforced_site *out) {
        const size_t permits = out->try_permits ? count_permits(a, recorded_command(e->recorded)) : 0;
        _cleanup_close_ int inner = -EBADF;

        out->probe_error = -EAGAIN;
        if (!a->probe || site_is_host(s) || s->only_freeze || !may_enter(a, s->fd, s->cgroup_id))
                return;
        out->probe_error = probe_enter(a->probe, s->fd, s->cgroup_id, permits);
        /* A slice takes no process of its own; one of its cgroups does, and what is attached above it counts there. */
        if (out->probe_error == -EBUSY && cgroup_open_populated(s->fd, &inner) == 0 &&
            may_enter(a, inner, s->cgroup_id))
                out->probe_error = probe_enter(a->probe, inner, s->cgroup_id, permits);
}

static void note_attach(struct enforced_site *out, int r) {
        if (r == -EBUSY)
                out->gaps |= reason_bit(REASON_FOREIGN_BPF);
        else if (r < 0)
                out->gaps |= reason_bit(REASON_NO_BPF);
}

static void attach(struct agent *a, const struct enforced *e, const struct site *s, struct enforced_site *out,
                   enum isolate_phase phase) {
        const struct command_id *id = recorded_id(e->recorded);
        const struct hold *h = hold_set_find(a->holds, id);

        if (site_is_host(s))
                note_attach(out, h ? hosthold_attach(a, h, s, phase) : -ENOENT);
        else if (!s->only_freeze)
                note_attach(out, isolate_attach(a->isolate, id, s->fd, s->cgroup_id, phase));
}

static void step_calls(struct agent *a, struct enforced *e, const struct site *s, struct enforced_site *out) {
        attach(a, e, s, out, ISOLATE_CALLS);
}

static void step_packets(struct agent *a, struct enforced *e, const struct site *s, struct enforced_site *out) {
        attach(a, e, s, out, ISOLATE_PACKETS);
}

static void destroy_sockets(struct agent *a, struct enforced *e) {
        const struct sites *sites = recorded_sites(a, e->recorded);
        _cleanup_free_ struct sockets_result *results = sites ? calloc(sites->n, sizeof(*results)) : NULL;

        if (results)
                sweep_sites(a, recorded_id(e->recorded), sites, SWEEP_DESTROY, results);
        for (size_t i = 0; i < e->n; i++) {
                if (results)
                        e->sites[i].sockets = results[i];
                e->sites[i].gaps |= results ? results[i].gaps : reason_bit(REASON_SOCKETS_LEFT);
        }
}

/* The mark is for a start that finds no ledger: without it nothing would tell then whose freeze this is. */
static void step_freeze(struct agent *a, struct enforced *e, const struct site *s, struct enforced_site *out) {
        if (!site_freezes(s, recorded_verb(e->recorded)))
                return;
        if (!s->was_frozen && isolate_mark(a->isolate, recorded_id(e->recorded), s->cgroup_id) < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "enforce"), "A freeze could not be marked as ours");
        if (cgroup_freezer_write(s->fd, true) < 0)
                out->gaps |= reason_bit(REASON_NOT_FROZEN);
}

/* All were asked before the first is waited for, so they freeze at the same time. */
static void wait_frozen(struct agent *a, struct enforced *e) {
        const int64_t deadline = clock_mono_us() + ENFORCE_FREEZE_US;
        struct sites *sites = recorded_sites(a, e->recorded);

        for (size_t i = 0; sites && i < sites->n; i++)
                if (sites->v[i].fd >= 0 && site_freezes(&sites->v[i], recorded_verb(e->recorded)) &&
                    cgroup_freezer_wait(sites->v[i].fd, true, MAX(deadline - clock_mono_us(), 0)) < 0)
                        e->sites[i].gaps |= reason_bit(REASON_NOT_FROZEN);
}

static void step_begin(struct agent *a, struct enforced *e, const struct site *s, struct enforced_site *out) {
        const struct hold *h = hold_set_find(a->holds, recorded_id(e->recorded));

        if (!site_is_host(s))
                return;
        if (out->fresh)
                out->answered = hosttest_before(a, h, s);
        note_attach(out, hosthold_begin(a, h));
}

static void isolate_sites(struct agent *a, struct enforced *e) {
        const struct hold *h = hold_set_find(a->holds, recorded_id(e->recorded));
        struct phases *p = recorded_phases(e->recorded);
        const int ready = isolate_begin(a->isolate, recorded_id(e->recorded), a->local.permits, a->local.n_permits,
                                        h ? h->permits : NULL, h ? h->n_permits : 0);

        if (h)
                for_each_site(a, e, step_begin);
        for_each_site(a, e, step_enter);
        phases_stamp(p, PHASE_ENTER);
        if (ready == 0)
                for_each_site(a, e, step_calls);
        phases_stamp(p, PHASE_CALLS);
        destroy_sockets(a, e);
        phases_stamp(p, PHASE_DESTROY);
        if (ready == 0)
                for_each_site(a, e, step_packets);
        phases_stamp(p, PHASE_PACKETS);
        isolate_end(a->isolate);
}

static bool is_given_up(const struct agent *a, const struct recorded *r, const struct site *s) {
        const struct hold *h = hold_set_find(a->holds, recorded_id(r));

        return site_is_host(s) && h && hosthold_is_given_up(h);
}

/* What lies beyond every hold on a part of the host, whatever this kernel has. */
static reason_set beyond(const struct sites *sites) {
        for (size_t i = 0; sites && i < sites->n; i++)
                if (sites->v[i].missing == REASON_NONE && !site_is_host(&sites->v[i]) && !sites->v[i].only_freeze)
                        return reason_bit(REASON_PROXIES) | reason_bit(REASON_KERNEL_PACKETS);
        return 0;
}

static bool has_host(const struct sites *sites) {
        for (size_t i = 0; sites && i < sites->n; i++)
                if (site_is_host(&sites->v[i]))
                        return true;
        return false;
}

static bool is_guarded(const struct agent *a, const struct sites *sites) {
        bool all = guard_is_live(a->guard);

        for (size_t i = 0; sites && i < sites->n; i++)
                all &= guard_covers(a->guard, &sites->v[i]);
        return all;
}

int enforce_apply(struct agent *a, struct recorded *r, struct enforced **ret) {
        _cleanup_(enforced_freep) struct enforced *e = calloc(1, sizeof(*e));
        const struct verb_info *v = verb_info(recorded_verb(r));
        struct sites *sites = recorded_sites(a, r);

        if (!e) {
                recorded_free(r);
                return -ENOMEM;
        }
        e->recorded = r;
        e->n = sites ? sites->n : 0;
        e->sites = calloc(e->n ? e->n : 1, sizeof(*e->sites));
        if (!e->sites)
                return -ENOMEM;
        branch_make(a, recorded_id(r), sites);
        for (size_t i = 0; i < e->n; i++) {
                e->sites[i].fresh = recorded_command(r) != NULL;
                if (!e->sites[i].fresh && is_given_up(a, r, &sites->v[i])) {
                        closep(&sites->v[i].fd);
                        sites->v[i].fd = -EBADF;
                }
        }
        for (size_t i = 0; i < e->n; i++)
                if (sites->v[i].fd >= 0) {
                        e->sites[i].try_permits = true;
                        break;
                }
        /* before anything is done to them, so that there is no moment in which they are held and not guarded */
        guard_update(a);
        /* nobody is kept from going to where a held host still answers */
        if (!is_guarded(a, sites) || (v->isolates && has_host(sites)))
                recorded_add_flags(r, reason_bit(REASON_UNGUARDED));
        /* not earlier: PID 1 would be in the self-test's way */
        if (v->freezes)
                systemd_begin(a->systemd);
        if (v->isolates) {
                recorded_add_flags(r, beyond(sites));
                isolate_sites(a, e);
        }
        if (v->freezes) {
                for_each_site(a, e, step_freeze);
                wait_frozen(a, e);
                phases_stamp(recorded_phases(r), PHASE_FREEZE);
        }
        *ret = TAKE_PTR(e);
        return 0;
}

void enforced_free(struct enforced *e) {
        if (!e)
                return;
        recorded_free(e->recorded);
        free(e->sites);
        free(e);
}

void enforced_freep(struct enforced **e) {
        enforced_free(*e);
}

struct recorded *enforced_recorded(const struct enforced *e) {
        return e->recorded;
}

const struct enforced_site *enforced_site(const struct enforced *e, size_t site) {
        return site < e->n ? &e->sites[site] : NULL;
}

static bool freezes(const struct verb_info *v) {
        return v->freezes;
}

static bool isolates(const struct verb_info *v) {
        return v->isolates;
}

/* Another active hold that does the same to the very same cgroup. One that does it to an ancestor is the kernel's own
 * business: it counts. */
static bool held_by_other(const struct agent *a, const struct command_id *hold, uint64_t cgroup_id,
                          bool (*does)(const struct verb_info *v)) {
        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);
                const struct sites *sites;

                if (command_id_equal(&h->id, hold) || h->state == HOLD_RELEASING || !does(verb_info(h->verb)))
                        continue;
                sites = held_find(&a->held, &h->id);
                for (size_t k = 0; sites && k < sites->n; k++)
                        if (sites->v[k].missing == REASON_NONE && sites->v[k].cgroup_id == cgroup_id)
                                return true;
        }
        return false;
}

/* A hold that the ledger does not know is one all the same: its mark says that it froze the cgroup. */
struct orphan_search {
        const struct agent *a;
        const struct command_id *but;
        uint64_t cgroup_id;
        bool found;
};

static int find_orphan(const struct command_id *hold, void *userdata) {
        struct orphan_search *o = userdata;

        if (!command_id_equal(hold, o->but) && !hold_set_find(o->a->holds, hold))
                o->found |= isolate_marked(o->a->isolate, hold, o->cgroup_id);
        return 0;
}

static bool frozen_by_orphan(const struct agent *a, const struct command_id *but, uint64_t cgroup_id) {
        struct orphan_search o = { .a = a, .but = but, .cgroup_id = cgroup_id };

        /* FAIL-CLOSED: what cannot be looked through may hold one */
        return isolate_each(a->isolate, find_orphan, &o) < 0 || o.found;
}

bool enforce_frozen_by_other(const struct agent *a, const struct command_id *hold, uint64_t cgroup_id) {
        return held_by_other(a, hold, cgroup_id, freezes) || frozen_by_orphan(a, hold, cgroup_id);
}

/* A cgroup that is gone took its freeze and its links with it. FAIL-CLOSED: one that merely cannot be opened did not.
 */
static bool is_gone(int r) {
        return r == -ENOENT || r == -ESTALE || r == -ENODEV;
}

static void thaw_cgroup(struct agent *a, const struct command_id *hold, int fd, uint64_t cgroup_id, const char *unit,
                        reason_set *ret) {
        struct cgroup_freezer now;
        bool above;
        int r;

        if (enforce_frozen_by_other(a, hold, cgroup_id)) {
                *ret |= reason_bit(REASON_HELD_BY_OTHER);
                return;
        }
        r = cgroup_freezer_write(fd, false);
        if (r < 0) {
                *ret |= is_gone(r) ? 0 : reason_bit(REASON_PERSISTS);
                return;
        }
        above = cgroup_frozen_above(fd);
        /* The manager's own view is a courtesy; what counts is read from the kernel next. It must not be asked below a
         * slice that is frozen: to thaw a unit it thaws every slice above (systemd 252), whoever holds that. */
        if (unit && (above || systemd_unit_frozen(a->systemd, unit, false) < 0))
                *ret |= reason_bit(REASON_SYSTEMD_UNAWARE);
        /* An ancestor that is held keeps it frozen though nothing of this hold does. */
        r = cgroup_freezer_read(fd, &now);
        /* who died of a signal that waited for this takes the cgroup along */
        if (is_gone(r))
                return;
        if (r < 0 || now.asked) {
                *ret |= reason_bit(REASON_PERSISTS);
                return;
        }
        isolate_unmark(a->isolate, hold, cgroup_id);
        if (above || cgroup_freezer_wait(fd, false, ENFORCE_FREEZE_US) < 0)
                *ret |= reason_bit(REASON_HELD_BY_OTHER);
}

static void thaw_site(struct agent *a, const struct hold *h, struct site *s, reason_set *ret) {
        int r;

        if (s->missing != REASON_NONE)
                return;
        r = a->cgroup_root ? site_open(s, a->cgroup_root) : -ENODATA;
        if (r < 0) {
                if (!is_gone(r))
                        *ret |= reason_bit(REASON_PERSISTS);
                return;
        }
        if (site_freezes(s, h->undo) && s->was_frozen)
                *ret |= reason_bit(REASON_HELD_BY_OTHER);
        else if (site_freezes(s, h->undo))
                thaw_cgroup(a, &h->id, s->fd, s->cgroup_id, site_freezable_unit(s), ret);
}

/* A hold that the ledger does not know: what it held is told by its pins alone. */
static void thaw_orphan(struct agent *a, const struct command_id *hold, reason_set *ret) {
        uint64_t ids[COMMAND_TARGETS_MAX];
        const size_t n = isolate_cgroups(a->isolate, hold, ids, ELEMENTSOF(ids));

        for (size_t i = 0; i < n; i++) {
                _cleanup_close_ int fd = -EBADF;
                struct cgroup_freezer state = { 0 };
                int r = a->cgroup_root ? cgroup_open_id(a->cgroup_root, ids[i], &fd) : -ENODATA;

                if (r == 0)
                        r = cgroup_freezer_read(fd, &state);
                if (r < 0 && !is_gone(r))
                        *ret |= reason_bit(REASON_PERSISTS);
                if (state.asked && isolate_marked(a->isolate, hold, ids[i]))
                        thaw_cgroup(a, hold, fd, ids[i], NULL, ret);
        }
}

void enforce_take_back(struct agent *a, const struct command_id *hold) {
        const struct sites *sites = held_find(&a->held, hold);

        if (hosthold_drop(a, hold) < 0 || isolate_drop(a->isolate, hold) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "prove"),
                          "The isolation of the host could not be taken back");
        /* the marks of what is frozen went with the pins */
        for (size_t i = 0; sites && i < sites->n; i++)
                if (sites->v[i].only_freeze && !sites->v[i].was_frozen &&
                    isolate_mark(a->isolate, hold, sites->v[i].cgroup_id) < 0)
                        log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "prove"),
                                  "A freeze could not be marked as ours");
}

void enforce_thaw(struct agent *a, const struct command_id *hold, reason_set *ret) {
        const struct hold *h = hold_set_find(a->holds, hold);
        struct sites *sites = held_find(&a->held, hold);

        guard_let_thaw(a, hold);
        for (size_t i = 0; h && sites && i < sites->n; i++) {
                thaw_site(a, h, &sites->v[i], ret);
                alive();
        }
        if (sites)
                sites_close(sites);
        if (!h)
                thaw_orphan(a, hold, ret);
}

void enforce_lift(struct agent *a, const struct command_id *hold, reason_set *ret) {
        const struct hold *h = hold_set_find(a->holds, hold);
        const struct sites *sites = held_find(&a->held, hold);

        for (size_t i = 0; a->probe && h && sites && i < sites->n; i++)
                if (sites->v[i].missing == REASON_NONE && verb_info(h->verb)->isolates &&
                    !held_by_other(a, hold, sites->v[i].cgroup_id, isolates))
                        probe_leave(a->probe, sites->v[i].cgroup_id);
        /* its pins are all that tells which cgroups to thaw: they stay for the next try */
        if (!h && *ret & reason_bit(REASON_PERSISTS))
                return;
        /* one that the ledger does not know may have been one on the host */
        if ((!h || has_host(sites)) && hosthold_drop(a, hold) < 0)
                *ret |= reason_bit(REASON_PERSISTS);
        if (isolate_drop(a->isolate, hold) < 0)
                *ret |= reason_bit(REASON_PERSISTS);
        else if (!(*ret & reason_bit(REASON_PERSISTS)))
                branch_unmake(a, hold, sites);
}
