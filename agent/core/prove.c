/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/prove.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/core/cgroup.h"
#include "agent/core/descriptors.h"
#include "agent/core/hosthold.h"
#include "agent/core/hostset.h"
#include "agent/core/hosttest.h"
#include "agent/core/strays.h"
#include "agent/core/sweep.h"
#include "agent/util/alive.h"
#include "agent/util/io.h"

#define STATUS_MAX 16384U

struct proven {
        struct enforced *enforced;
        struct proof *sites;
        size_t n;
        enum hold_state state;
        reason_set gaps;
};

void proof_done(struct proof *p) {
        free(p->pids);
        p->pids = NULL;
        foreign_list_done(&p->foreign);
        elsewhere_done(&p->elsewhere);
        subtree_done(&p->subtree);
        uplinks_done(&p->uplinks);
}

/* Why the hook has no program of ours. Enforcing knows when somebody's was in the way and is gone by now; what no order
 * of now attached was there and is no more. */
static enum reason why_missing(const struct proof *p, enum isolate_hook h, const struct enforced_site *done) {
        for (size_t k = 0; k < p->foreign.n; k++)
                if (p->foreign.v[k].hook == h)
                        return REASON_FOREIGN_BPF;
        if (done && done->gaps & reason_bit(REASON_FOREIGN_BPF))
                return REASON_FOREIGN_BPF;
        return done ? REASON_NO_BPF : REASON_LINK_LOST;
}

/* A hold on the whole host needs fewer. */
static bool is_wanted(const struct site *s, enum isolate_hook h) {
        return !site_is_host(s) || hostset_has(h);
}

static void read_links(struct agent *a, const struct hold *h, const struct site *s, const struct enforced_site *done,
                       struct proof *p) {
        bool missing = false;

        isolate_read(a->isolate, &h->id, s->cgroup_id, p->links);
        (void) isolate_count(a->isolate, &h->id, s->cgroup_id, &p->counted);
        for (size_t k = 0; k < _ISOLATE_HOOK_MAX; k++)
                missing |= p->links[k].link_id == 0 && is_wanted(s, k);
        if (missing)
                foreign_find(a->cgroup_root, s->path, &p->foreign);
        for (size_t k = 0; k < _ISOLATE_HOOK_MAX; k++)
                if (p->links[k].link_id == 0 && is_wanted(s, k))
                        p->gaps |= reason_bit(why_missing(p, k, done));
}

static void read_uplinks(struct agent *a, const struct hold *h, struct proof *p) {
        hosthold_read(a, &h->id, &p->uplinks);
        if (p->uplinks.unread)
                p->gaps |= reason_bit(REASON_UPLINK);
        for (size_t i = 0; i < p->uplinks.n; i++) {
                p->gaps |= p->uplinks.v[i].prog_id == 0 ? reason_bit(REASON_UPLINK) : 0;
                p->gaps |= p->uplinks.v[i].xdp_prog != 0 ? reason_bit(REASON_LOADED_BPF) : 0;
        }
}

#define WAYS_AROUND (UINT64_C(1) << CAP_NET_RAW | UINT64_C(1) << CAP_NET_ADMIN)
/* who has one of these may come to have those: is root, or makes a file that gives them */
#define WAYS_TO_ROOT (UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETFCAP)

/* Whom the process's user namespace calls root, as its status writes him. */
static unsigned read_root(pid_t pid) {
        char path[32];
        _cleanup_free_ char *map = NULL;
        unsigned inside, outside;

        (void) snprintf(path, sizeof(path), "/proc/%d/uid_map", (int) pid);
        if (io_read_file(AT_FDCWD, path, STATUS_MAX, &map, NULL) < 0)
                return 0;
        for (const char *line = map; sscanf(line, "%u %u", &inside, &outside) == 2; line = strchrnul(line, '\n'))
                if (inside == 0)
                        return outside;
        return 0;
}

/* FAIL-CLOSED: capabilities that cannot be read may be any. */
static uint64_t read_caps(const char *status, const char *field) {
        const char *line = strstr(status, field);

        return line ? strtoull(line + strlen(field), NULL, 16) : UINT64_MAX;
}

/* What a thread has; and who may become root, or is, or may give a file capabilities, has with the next program that he
 * starts all that he did not give up for good. */
static uint64_t may_have(pid_t pid, const char *status) {
        const uint64_t permitted = read_caps(status, "\nCapPrm:"), bounding = read_caps(status, "\nCapBnd:");
        const char *line = permitted & WAYS_TO_ROOT ? NULL : strstr(status, "\nUid:");
        unsigned uid[3] = { 0 };

        if (!(bounding & WAYS_AROUND) || strstr(status, "\nNoNewPrivs:\t1\n"))
                return permitted;
        if (line && sscanf(line, "\nUid: %u %u %u", &uid[0], &uid[1], &uid[2]) == 3) {
                const unsigned root = read_root(pid);
                bool any = false;

                for (size_t i = 0; i < ELEMENTSOF(uid); i++)
                        any |= uid[i] == 0 || uid[i] == root;
                if (!any)
                        return permitted;
        }
        return permitted | bounding;
}

static bool is_gone(int r) {
        return r == -ENOENT || r == -ESRCH;
}

/* CAP_NET_RAW is all that AF_PACKET asks for, and no cgroup program sees such a socket. CAP_NET_ADMIN makes devices:
 * what is written to a tun is forwarded by the host, and is nobody's socket's; and it has the kernel itself ask for
 * addresses. Each thread has its own. FAIL-CLOSED: of whom there are ever more some are not looked at. */
static bool may_open_packet_sockets(pid_t pid) {
        char path[32];
        bool may = false;
        struct dirent *e;
        struct stat st;
        size_t left;
        DIR *d;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        d = opendir(path);
        if (!d)
                return !is_gone(-errno);
        left = fstat(dirfd(d), &st) < 0 ? 0 : st.st_nlink + DESCRIPTORS_THREADS_MORE;
        while (!may && (e = readdir(d))) {
                _cleanup_free_ char *status = NULL;
                char name[NAME_MAX + sizeof("/status")];
                int r;

                if (e->d_name[0] == '.')
                        continue;
                if (left-- == 0) {
                        may = true;
                        break;
                }
                (void) snprintf(name, sizeof(name), "%s/status", e->d_name);
                r = io_read_file(dirfd(d), name, STATUS_MAX, &status, NULL);
                may = r < 0 ? !is_gone(r) : may_have(pid, status) & WAYS_AROUND;
        }
        (void) closedir(d);
        return may;
}

/* Of the host the uplinks' programs see what packet sockets and made devices send. What passes those by is another
 * socket's way: it can be set up no more, and is dropped; an AF_XDP socket from before is neither. */
static bool may_pass_uplinks_by(const struct proof *p) {
        bool open = p->uplinks.n_xsk > 0 || p->links[ISOLATE_SETSOCKOPT].link_id == 0;

        for (size_t i = 0; i < p->uplinks.n; i++)
                open |= !p->uplinks.v[i].direct;
        return open;
}

/* Who is frozen cannot open anything; who is only isolated can. */
static void look_for_packet_sockets(struct proof *p) {
        for (size_t i = 0; i < p->n_pids && !(p->gaps & reason_bit(REASON_PACKET_SOCKETS)); i++) {
                if (may_open_packet_sockets(p->pids[i]))
                        p->gaps |= reason_bit(REASON_PACKET_SOCKETS);
                alive();
        }
}

static void judge_sockets(const struct sockets_result *now, const struct enforced_site *done, bool runs,
                          struct proof *p) {
        p->sockets = *now;
        if (done)
                p->sockets.destroyed = done->sockets.destroyed;
        /* A destroyed socket is not listed any more, but whoever holds it and runs can connect it again, where our
         * programs do not see it. */
        if (done && runs && done->sockets.foreign > p->sockets.foreign) {
                p->sockets.foreign = done->sockets.foreign;
                p->sockets.gaps |= reason_bit(REASON_FOREIGN_SOCKET);
        }
        p->gaps |= p->sockets.gaps;
}

/* What the sockets that it has are good for as long as it runs. */
static void judge_ways(const struct agent *a, const struct site *s, struct proof *p) {
        p->gaps |= p->sockets.ways.open | (guard_covers(a->guard, s) ? 0 : p->sockets.ways.guarded);
}

/* Local policy's first, then the hold's own: the order in which the programs have them. */
static size_t gather_permits(const struct agent *a, const struct hold *h, struct permit *ret, size_t max) {
        const size_t own = MIN(a->local.n_permits, max), theirs = MIN(h->n_permits, max - own);

        memcpy(ret, a->local.permits, own * sizeof(*ret));
        if (theirs > 0)
                memcpy(ret + own, h->permits, theirs * sizeof(*ret));
        return own + theirs;
}

static bool is_blocked(const struct probe_report *t) {
        return t->new_connection == PROBE_BLOCKED && t->open_stream != PROBE_LEAK &&
               t->open_datagram == PROBE_BLOCKED && t->inbound == PROBE_BLOCKED;
}

static bool has_leak(const struct probe_report *t) {
        return t->new_connection == PROBE_LEAK || t->open_stream == PROBE_LEAK || t->open_datagram == PROBE_LEAK ||
               t->inbound == PROBE_LEAK;
}

/* The sockets of the self-test end with the agent, and nothing can be made in a frozen cgroup: a hold that is older
 * than this start shows its self-test as not run, and stands on what is read back. For a new order that is a gap. */
static void self_test(struct agent *a, const struct hold *h, const struct site *s, const struct enforced_site *done,
                      struct proof *p) {
        const size_t n = done && done->try_permits ? gather_permits(a, h, p->permits, ELEMENTSOF(p->permits)) : 0;

        /* what a permit lets through says nothing about the rest */
        p->tested = a->probe && !probe_is_permitted(a->local.permits, a->local.n_permits) &&
                    !probe_is_permitted(h->permits, h->n_permits) &&
                    probe_check(a->probe, s->cgroup_id, p->permits, n, &p->selftest) == 0;
        if (p->tested && has_leak(&p->selftest))
                p->gaps |= reason_bit(REASON_SELFTEST_LEAK);
        else if (done && done->fresh && (!p->tested || !p->selftest.baseline || !is_blocked(&p->selftest)))
                p->gaps |= reason_bit(REASON_SELFTEST_NOT_RUN);
        for (size_t k = 0; p->tested && k < p->selftest.n_permits; k++)
                if (p->selftest.permits[k] == PROBE_CUT)
                        p->gaps |= reason_bit(REASON_SELFTEST_CUT);
}

/* What is attached, and who is there. */
static void look_at(struct agent *a, const struct hold *h, struct site *s, const struct enforced_site *done,
                    struct proof *ret) {
        const struct verb_info *v = verb_info(h->verb);

        *ret = (struct proof) { 0 };
        if (s->missing != REASON_NONE) {
                ret->gaps |= reason_bit(s->missing);
                return;
        }
        if (site_open(s, a->cgroup_root) < 0) {
                /* of a frozen host, what is gone is missed by nobody */
                if (s->only_freeze)
                        return;
                ret->gaps |= reason_bit(REASON_CGROUP_REPLACED);
                return;
        }
        if (site_is_host(s) && hosthold_is_given_up(h) && !(done && done->fresh)) {
                ret->gaps |= reason_bit(REASON_MANAGEMENT);
                return;
        }
        ret->present = true;
        ret->fresh = done && done->fresh && !site_is_host(s);
        if (site_isolates(s, h->verb))
                read_links(a, h, s, done, ret);
        if (v->isolates && site_is_host(s))
                read_uplinks(a, h, ret);
        if (cgroup_pids(s->fd, &ret->pids, &ret->n_pids) < 0)
                ret->gaps |= reason_bit(REASON_NOT_FROZEN);
        else if (ret->n_pids == 0 && !s->only_freeze)
                /* whoever was held has died, or is somewhere else */
                ret->gaps |= reason_bit(REASON_NOT_RUNNING);
        if (site_isolates(s, h->verb) && !site_freezes(s, h->verb) &&
            (site_is_host(s) ? may_pass_uplinks_by(ret) : !guard_covers(a->guard, s)))
                look_for_packet_sockets(ret);
}

/* Who is held in one of them and is not there. */
static void look_for_strays(struct agent *a, const struct sites *sites, struct proof *ret) {
        _cleanup_free_ bool *any = calloc(sites->n ? sites->n : 1, sizeof(*any));

        if (any)
                strays_find(a->events, sites->v, sites->n, any);
        for (size_t i = 0; i < sites->n; i++)
                if (ret[i].present && (!any || any[i]))
                        ret[i].gaps |= reason_bit(REASON_MOVED_OUT);
}

static void look_elsewhere(const struct site *s, const struct sites *sites, struct proof *p) {
        /* FAIL-CLOSED: who cannot be looked for may be there */
        if (elsewhere_look(s, sites, &p->elsewhere) < 0 || p->elsewhere.processes > 0)
                p->gaps |= reason_bit(REASON_ELSEWHERE);
}

static void look_at_sockets(struct agent *a, const struct hold *h, const struct sites *sites, const struct enforced *e,
                            struct proof *ret) {
        _cleanup_free_ struct sockets_result *now = calloc(sites->n, sizeof(*now));
        const bool runs = !verb_info(h->verb)->freezes;

        if (now)
                sweep_sites(a, &h->id, sites, runs ? SWEEP_ASK : SWEEP_LOOK, now);
        for (size_t i = 0; i < sites->n; i++) {
                if (!ret[i].present)
                        continue;
                if (now)
                        judge_sockets(&now[i], e ? enforced_site(e, i) : NULL, runs, &ret[i]);
                if (now && runs)
                        judge_ways(a, &sites->v[i], &ret[i]);
                if (!now)
                        ret[i].gaps |= reason_bit(REASON_SOCKETS_LEFT);
        }
}

static void read_freezer(const struct site *s, struct proof *p) {
        struct cgroup_freezer freezer = { 0 };

        /* last, and after the pids: whoever was listed is covered by this reading */
        p->frozen = cgroup_freezer_read(s->fd, &freezer) == 0 && freezer.frozen && freezer.asked &&
                    p->subtree.cgroups > 0 && p->subtree.thawed.n == 0;
        if (!p->frozen) {
                p->gaps |= reason_bit(REASON_NOT_FROZEN);
                unfrozen_find(p->pids, p->n_pids, &p->unfrozen);
        }
}

static void note_fence(struct proof *p, enum fence_state state) {
        p->fence = state;
        if (state == FENCE_OPEN)
                p->gaps |= reason_bit(REASON_RESTARTABLE);
}

/* For an order that just came systemd is told only when the kernel has been asked. */
static void look_at_fence(struct agent *a, const struct site *s, const struct enforced_site *done, struct proof *p) {
        if (done && done->fresh)
                p->fence = fence_applies(s) ? FENCE_PENDING : FENCE_NONE;
        else
                note_fence(p, fence_read(a, s));
}

/* Rolled back only when the way in does not answer: a stop is rather partial than undone, but a host that nobody can
 * reach is lost. */
static void test_host(struct agent *a, const struct hold *h, const struct site *s, const struct enforced_site *done,
                      struct proof *p) {
        if (!done || !done->fresh)
                return;
        hosttest_after(a, h, s, done->answered, p);
        if (!(p->gaps & reason_bit(REASON_MANAGEMENT)))
                return;
        enforce_take_back(a, &h->id);
        isolate_read(a->isolate, &h->id, s->cgroup_id, p->links);
        uplinks_done(&p->uplinks);
        hosthold_read(a, &h->id, &p->uplinks);
}

/* All sites at each step, because the sockets of all of them are looked at in one go. */
static void prove_sites(struct agent *a, const struct hold *h, struct sites *sites, const struct enforced *e,
                        struct proof *ret) {
        const struct verb_info *v = verb_info(h->verb);

        for (size_t i = 0; i < sites->n; i++) {
                look_at(a, h, &sites->v[i], e ? enforced_site(e, i) : NULL, &ret[i]);
                look_elsewhere(&sites->v[i], sites, &ret[i]);
                look_at_fence(a, &sites->v[i], e ? enforced_site(e, i) : NULL, &ret[i]);
                alive();
        }
        look_for_strays(a, sites, ret);
        if (v->isolates)
                look_at_sockets(a, h, sites, e, ret);
        for (size_t i = 0; i < sites->n; i++) {
                if (!ret[i].present)
                        continue;
                if (site_isolates(&sites->v[i], h->verb) && site_is_host(&sites->v[i]))
                        test_host(a, h, &sites->v[i], e ? enforced_site(e, i) : NULL, &ret[i]);
                else if (site_isolates(&sites->v[i], h->verb))
                        self_test(a, h, &sites->v[i], e ? enforced_site(e, i) : NULL, &ret[i]);
                if ((site_freezes(&sites->v[i], h->verb) || ret[i].fresh) &&
                    subtree_look(sites->v[i].fd, &ret[i].subtree) < 0)
                        ret[i].subtree = (struct subtree) { 0 };
                if (site_freezes(&sites->v[i], h->verb))
                        read_freezer(&sites->v[i], &ret[i]);
                alive();
        }
}

static bool has_anything(const struct proof *p, enum verb verb) {
        if (verb_info(verb)->freezes && p->frozen)
                return true;
        /* Nothing of it runs, and nothing of it is started: that is what there is to hold after a reboot. It is not
         * `contained`, which promises the kernel's word for somebody who is there. */
        if (p->n_pids == 0 && p->fence == FENCE_STANDS)
                return true;
        for (size_t k = 0; k < _ISOLATE_HOOK_MAX; k++)
                if (p->links[k].link_id != 0)
                        return true;
        return false;
}

enum hold_state prove_fold(enum hold_state so_far, const struct proof *p, enum verb verb) {
        const enum hold_state this = p->gaps == 0 ? HOLD_HELD : has_anything(p, verb) ? HOLD_PARTIAL : HOLD_FAILED;

        if (so_far == _HOLD_STATE_MAX || so_far == this)
                return this;
        return HOLD_PARTIAL;
}

enum hold_state prove_hold(struct agent *a, const struct hold *h, prove_fn fn, void *userdata, reason_set *ret_gaps) {
        struct sites *sites = held_find(&a->held, &h->id);
        _cleanup_free_ struct proof *proofs = sites ? calloc(sites->n ? sites->n : 1, sizeof(*proofs)) : NULL;
        enum hold_state state = _HOLD_STATE_MAX;
        reason_set gaps = 0;

        if (proofs)
                prove_sites(a, h, sites, NULL, proofs);
        for (size_t i = 0; proofs && i < sites->n; i++) {
                state = prove_fold(state, &proofs[i], h->verb);
                gaps |= proofs[i].gaps;
                if (fn)
                        fn(&sites->v[i], &proofs[i], h, userdata);
                proof_done(&proofs[i]);
        }
        if (sites)
                sites_close(sites);
        *ret_gaps = gaps;
        return state == _HOLD_STATE_MAX ? HOLD_FAILED : state;
}

static void fold_sites(struct proven *p, const struct hold *h) {
        p->state = _HOLD_STATE_MAX;
        p->gaps = 0;
        for (size_t i = 0; i < p->n; i++) {
                p->state = prove_fold(p->state, &p->sites[i], h->verb);
                p->gaps |= p->sites[i].gaps;
        }
        if (p->state == _HOLD_STATE_MAX)
                p->state = HOLD_FAILED;
}

int prove(struct agent *a, struct enforced *e, struct proven **ret) {
        _cleanup_(proven_freep) struct proven *p = calloc(1, sizeof(*p));
        struct recorded *r = enforced_recorded(e);
        const struct hold *h = hold_set_find(a->holds, recorded_id(r));
        struct sites *sites = recorded_sites(a, r);

        if (!p) {
                enforced_free(e);
                return -ENOMEM;
        }
        p->enforced = e;
        p->sites = calloc(sites && sites->n ? sites->n : 1, sizeof(*p->sites));
        if (!p->sites)
                return -ENOMEM;
        if (h && sites) {
                prove_sites(a, h, sites, e, p->sites);
                p->n = sites->n;
        }
        fold_sites(p, h);
        phases_stamp(recorded_phases(r), PHASE_PROVE);
        *ret = TAKE_PTR(p);
        return 0;
}

bool proven_nobody(const struct proven *p) {
        for (size_t i = 0; i < p->n; i++)
                if (p->sites[i].n_pids > 0)
                        return false;
        return true;
}

bool proven_awaits_fence(const struct proven *p) {
        for (size_t i = 0; i < p->n; i++)
                if (p->sites[i].fence == FENCE_PENDING)
                        return true;
        return false;
}

void prove_fences(struct agent *a, struct proven *p, bool told) {
        const struct recorded *r = proven_recorded(p);
        const struct hold *h = hold_set_find(a->holds, recorded_id(r));
        const struct sites *sites = recorded_sites(a, r);

        for (size_t i = 0; h && sites && i < MIN(p->n, sites->n); i++)
                if (p->sites[i].fence == FENCE_PENDING)
                        note_fence(&p->sites[i], told ? fence_read(a, &sites->v[i]) : FENCE_OPEN);
        if (h)
                fold_sites(p, h);
}

void proven_free(struct proven *p) {
        if (!p)
                return;
        for (size_t i = 0; i < p->n; i++)
                proof_done(&p->sites[i]);
        free(p->sites);
        enforced_free(p->enforced);
        free(p);
}

void proven_freep(struct proven **p) {
        proven_free(*p);
}

struct recorded *proven_recorded(const struct proven *p) {
        return enforced_recorded(p->enforced);
}

const struct proof *proven_site(const struct proven *p, size_t site) {
        return site < p->n ? &p->sites[site] : NULL;
}

enum hold_state proven_state(const struct proven *p) {
        return p->state;
}

reason_set proven_gaps(const struct proven *p) {
        return p->gaps;
}
