/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/mend.h"

#include <fcntl.h>
#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/fence.h"
#include "agent/core/hosthold.h"
#include "agent/core/latecomer.h"
#include "agent/core/sockets.h"
#include "agent/core/strays.h"
#include "agent/util/alive.h"
#include "agent/util/clock.h"

/* A look takes this share of one processor at most, and is taken no more often and no more rarely than that. */
#define LOOK_SHARE  200
#define LOOK_MIN_US (20LL * 1000)
#define LOOK_MAX_US (1000LL * 1000)
/* who is where costs more to find out than what is in force, and the kernel tells of moves; but he who has so many
 * processes that it costs a lot does not make it rare */
#define SWEEP_MIN_US (1000LL * 1000)
#define SWEEP_MAX_US (30LL * 1000 * 1000)
/* and the share when something was lost or put back, which is looked after at once */
#define HURRY_SHARE 10
/* the service manager is asked for a unit whose cgroup is gone; the kernel tells of a new one */
#define SEEK_US (5000LL * 1000)
/* a service that is started again is let come up before what became of its hold is recorded */
#define SETTLE_US (1000LL * 1000)

static bool is_wanted(const struct watch *w, const struct watched *s) {
        return watched_is_wanted(w->agent, hold_set_find(w->agent->holds, &s->hold));
}

void mend_note(struct watch *w, const struct command_id *hold, enum repair what, int r, int64_t since_us) {
        const int64_t now = clock_mono_us();
        struct followed *f = r == 0 ? NULL : followed_get(&w->holds, hold);

        if (!f)
                return;
        if (r > 0) {
                tally_add(&w->tally, what, now - since_us);
                tally_add(&f->tally, what, now - since_us);
        } else {
                w->tally.failed++;
                f->tally.failed++;
        }
        followed_want(f, now, what == REPAIR_REPLACED ? SETTLE_US : 0);
}

/* The host's own cgroup has nobody outside. */
static void refuse_outside(struct watch *w, int64_t since_us) {
        _cleanup_close_ int top = -EBADF;
        bool any = false;

        for (size_t i = 0; i < w->n_sites && !any; i++)
                any = w->sites[i].isolates && !w->sites[i].freezes && !w->sites[i].whole;
        if (any)
                top = open(w->agent->cgroup_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (cgroup_events_refuse_outside(w->agent->events, top))
                tally_add(&w->tally, REPAIR_LINK, clock_mono_us() - since_us);
}

void mend_ask(struct watch *w) {
        _cleanup_free_ struct cgroup_events_site *sites = calloc(w->n_sites ? w->n_sites : 1, sizeof(*sites));
        _cleanup_free_ const char **names = calloc(w->n_sites ? w->n_sites : 1, sizeof(*names));
        size_t n = 0;

        if (!w->agent->events || !sites || !names)
                return;
        for (size_t i = 0; i < w->n_sites; i++) {
                names[i] = w->sites[i].name;
                /* nobody gets out of the whole host, and nobody is to be brought back to its root */
                if (w->sites[i].cgroup_id != 0 && !w->sites[i].whole)
                        sites[n++] = (struct cgroup_events_site) { .cgroup_id = w->sites[i].cgroup_id,
                                                                   .frozen = w->sites[i].freezes,
                                                                   .isolated = w->sites[i].isolates };
        }
        cgroup_events_set_sites(w->agent->events, sites, n);
        cgroup_events_set_names(w->agent->events, names, w->n_sites);
        cgroup_events_follow_forks(w->agent->events, w->n_sites > 0);
        refuse_outside(w, clock_mono_us());
}

/* Not the whole host, also where the kernel's map is from a core that held processes at its root. */
static struct watched *find_site(const struct watch *w, uint64_t cgroup_id) {
        for (size_t i = 0; i < w->n_sites; i++)
                if (cgroup_id != 0 && w->sites[i].cgroup_id == cgroup_id && !w->sites[i].whole)
                        return &w->sites[i];
        return NULL;
}

static bool lies_below(const struct watched *s, const struct watched *above) {
        const size_t n = above->path ? strlen(above->path) : 0;

        return n > 0 && s->path && strncmp(s->path, above->path, n) == 0 && s->path[n] == '/';
}

/* The innermost one. */
static const struct watched *find_above(const struct watch *w, const struct watched *s) {
        const struct watched *found = NULL;

        for (size_t i = 0; i < w->n_sites; i++)
                if (w->sites[i].cgroup_id != 0 && !w->sites[i].whole && lies_below(s, &w->sites[i]) &&
                    (!found || lies_below(&w->sites[i], found)))
                        found = &w->sites[i];
        return found;
}

/* Of two sites of which one lies in the other he is held at the inner one: whoever gets out of that, and stays in the
 * outer one, is out. Where there is no site any more nobody is held. */
void mend_hold(struct watch *w, const struct watched *s) {
        _cleanup_free_ pid_t *pids = NULL;
        size_t n;

        if (!w->agent->events || s->whole || s->fd < 0 || cgroup_pids(s->fd, &pids, &n) < 0)
                return;
        for (size_t i = 0; i < n; i++) {
                const uint64_t at = cgroup_events_hold(w->agent->events, pids[i], s->cgroup_id, 0);
                const struct watched *there = find_site(w, at);

                if (at != 0 && at != s->cgroup_id && (!there || lies_below(s, there)))
                        (void) cgroup_events_hold(w->agent->events, pids[i], s->cgroup_id, at);
        }
}

/* Takes fd. */
static void take(struct watch *w, struct watched *s, int fd, uint64_t cgroup_id, const char *path, int64_t since_us) {
        const uint64_t was = s->cgroup_id;
        const int r = watched_take(w->agent, s, fd, cgroup_id, path);
        struct followed *f;

        mend_note(w, &s->hold, REPAIR_REPLACED, r < 0 ? r : 1, since_us);
        f = followed_find(&w->holds, &s->hold);
        if (f)
                f->moved = true;
        strays_retag(w->agent->events, was, cgroup_id);
        s->good_us = clock_mono_us();
        mend_ask(w);
        mend_hold(w, s);
}

/* What it connected outside is not the cgroup's, and would go on in it. */
static void cut_off(const struct watched *s, pid_t pid) {
        const struct sockets_scope scope = { .pids = &pid, .n_pids = 1 };
        struct sockets_result result;

        if (s->isolates)
                sockets_destroy(&scope, 1, true, &result);
}

static void put_back(struct watch *w, struct watched *s, pid_t pid, int64_t since_us) {
        int r = 0;

        if (!s->path || !is_wanted(w, s) || !strays_is_outside(pid, s->path))
                return;
        if (watched_is_gone(s)) {
                uint64_t id;
                int fd;

                r = strays_make_again(w->agent->cgroup_root, s->path, &fd, &id);
                if (r == 0) {
                        _cleanup_free_ char *path = strdup(s->path);

                        take(w, s, fd, id, path ? path : s->path, since_us);
                }
        }
        if (r == 0)
                r = strays_put_back(w->agent->cgroup_root, s->path, s->fd, pid);
        /* whoever ended meanwhile is not outside any more */
        mend_note(w, &s->hold, REPAIR_MOVED, r < 0 && r != -ESRCH ? r : 1, since_us);
        if (r == 0)
                cut_off(s, pid);
        /* what it forked outside was told of by nobody */
        w->sweep_us = 0;
}

static void on_thawed(struct watch *w, const struct cgroup_event *e) {
        for (size_t i = 0; i < w->n_sites; i++)
                if (w->sites[i].cgroup_id == e->cgroup_id && is_wanted(w, &w->sites[i]))
                        mend_note(w, &w->sites[i].hold, REPAIR_THAW, watched_freeze(&w->sites[i]),
                                  (int64_t) (e->at_ns / 1000));
}

/* Where handles are refused: the cgroup of that id, if it is where the site was before. One elsewhere is found by the
 * clock. */
static int open_made(const struct watch *w, const struct watched *s, uint64_t id, int *ret_fd, char **ret_path) {
        _cleanup_free_ char *path = s->path ? strdup(s->path) : NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t found;

        if (!path || cgroup_open(w->agent->cgroup_root, path, &fd, &found) < 0 || found != id)
                return -ENOENT;
        *ret_fd = TAKE_FD(fd);
        *ret_path = TAKE_PTR(path);
        return 0;
}

static void on_made(struct watch *w, const struct cgroup_event *e) {
        _cleanup_free_ char *told = NULL;
        _cleanup_close_ int told_fd = -EBADF;
        const int r = cgroup_open_told(w->agent->cgroup_root, e->cgroup_id, &told_fd, &told);

        for (size_t i = 0; r != -ENOENT && i < w->n_sites; i++) {
                struct watched *s = &w->sites[i];
                _cleanup_free_ char *path = r == 0 ? strdup(told) : NULL;
                _cleanup_close_ int fd = r == 0 ? fcntl(told_fd, F_DUPFD_CLOEXEC, 3) : -EBADF;

                if (s->cgroup_id == e->cgroup_id || !is_wanted(w, s) ||
                    (r < 0 && open_made(w, s, e->cgroup_id, &fd, &path) < 0))
                        continue;
                if (path && fd >= 0 && watched_accepts(w->agent, s, path, fd))
                        take(w, s, TAKE_FD(fd), e->cgroup_id, path, (int64_t) (e->at_ns / 1000));
        }
        hosthold_hear(w->agent);
        if (r == 0)
                latecomer_made(w->agent, told, told_fd, e->cgroup_id);
}

static void on_moved(struct watch *w, const struct cgroup_event *e) {
        struct watched *s = find_site(w, cgroup_events_held_at(w->agent->events, (pid_t) e->pid));

        if (s) {
                put_back(w, s, (pid_t) e->pid, (int64_t) (e->at_ns / 1000));
                return;
        }
        /* it was outside until it ended, which was before anybody could put it back */
        s = find_site(w, e->held_at);
        if (s && s->path && is_wanted(w, s))
                mend_note(w, &s->hold, REPAIR_MOVED, 1, (int64_t) (e->at_ns / 1000));
}

void mend_event(const struct cgroup_event *e, void *userdata) {
        static void (*const handlers[])(struct watch * w, const struct cgroup_event *e) = {
                [CGROUP_THAWED] = on_thawed,
                [CGROUP_MADE] = on_made,
                [CGROUP_MOVED] = on_moved,
        };
        struct watch *w = userdata;

        w->n_events++;
        if (e->kind < ELEMENTSOF(handlers) && handlers[e->kind])
                handlers[e->kind](w, e);
}

/* Its cgroup is gone: where the kernel did not tell of a new one, it is at the same path. */
static void look_for(struct watch *w, struct watched *s) {
        _cleanup_free_ char *path = s->path ? strdup(s->path) : NULL;
        _cleanup_close_ int fd = -EBADF;
        struct followed *f;
        uint64_t id;

        if (path && cgroup_open(w->agent->cgroup_root, path, &fd, &id) == 0 && watched_accepts(w->agent, s, path, fd)) {
                take(w, s, TAKE_FD(fd), id, path, s->good_us);
                return;
        }
        f = s->gone ? NULL : followed_get(&w->holds, &s->hold);
        if (f)
                followed_want(f, clock_mono_us(), SETTLE_US);
        s->gone = true;
}

static void look_at(struct watch *w, struct watched *s) {
        const int64_t since = s->good_us;
        bool pins = false;
        int isolated, frozen;

        if (watched_is_gone(s)) {
                look_for(w, s);
                return;
        }
        isolated = watched_isolate(w->agent, s, &pins);
        mend_note(w, &s->hold, pins ? REPAIR_PIN : REPAIR_LINK, isolated, since);
        frozen = watched_freeze(s);
        mend_note(w, &s->hold, REPAIR_THAW, frozen, since);
        if (isolated >= 0 && frozen >= 0)
                s->good_us = clock_mono_us();
}

/* One for whom there is no memory is held all the same, and is in the next list. */
static bool list_held(pid_t pid, uint64_t *cgroup_id, void *userdata) {
        struct watch *w = userdata;

        if (!find_site(w, *cgroup_id))
                return false;
        if ((w->n_swept & (w->n_swept - 1)) == 0) {
                pid_t *more = reallocarray(w->swept, w->n_swept ? w->n_swept * 2 : 1, sizeof(*more));

                if (!more)
                        return true;
                w->swept = more;
        }
        w->swept[w->n_swept++] = pid;
        return true;
}

struct ended {
        struct watch *w;
        const struct watched *sites;
        size_t n;
};

static bool pass_on(pid_t pid, uint64_t *cgroup_id, void *userdata) {
        const struct ended *e = userdata;
        const struct watched *above = NULL;

        (void) pid;
        if (find_site(e->w, *cgroup_id))
                return true;
        for (size_t i = 0; i < e->n && !above; i++)
                if (e->sites[i].cgroup_id == *cgroup_id)
                        above = find_above(e->w, &e->sites[i]);
        if (above)
                *cgroup_id = above->cgroup_id;
        return above;
}

void mend_forget(struct watch *w, const struct watched *before, size_t n) {
        struct ended e = { .w = w, .sites = before, .n = n };

        if (w->agent->events)
                cgroup_events_each_held(w->agent->events, pass_on, &e);
}

/* What keeps the service manager from starting what is held anew. */
static void look_at_fence(struct watch *w, int64_t now) {
        const bool stands = fence_stands(w->agent);

        if (!stands)
                fence_keep(w->agent);
        if (!stands && w->fenced)
                tally_add(&w->tally, REPAIR_FENCE, clock_mono_us() - now + w->outer_every_us);
        w->fenced = stands;
}

/* It is every hold's. */
static void look_at_guard(struct watch *w, int64_t now) {
        const int r = guard_mend(w->agent->guard);

        if (r > 0)
                tally_add(&w->tally, REPAIR_GUARD, clock_mono_us() - now + w->outer_every_us);
        else if (r < 0)
                w->tally.failed++;
}

static int64_t pause_after(int64_t spent) {
        return MIN(MAX(spent * LOOK_SHARE, SWEEP_MIN_US), SWEEP_MAX_US);
}

/* What stands around the sites, however many are in them. */
static void look_around(struct watch *w, int64_t now) {
        const int64_t spent = clock_cpu_us();

        if (now < w->outer_us)
                return;
        look_at_fence(w, now);
        look_at_guard(w, now);
        if (w->agent->events)
                refuse_outside(w, now - w->outer_every_us);
        w->outer_every_us = pause_after(clock_cpu_us() - spent);
        w->outer_us = now + w->outer_every_us;
}

/* Who is not known to be held can get out unseen: that is a gap of every hold from the moment when it begins. */
static void note_crowd(struct watch *w, int64_t now) {
        const uint64_t out = cgroup_events_lost(w->agent->events, CGROUP_LOST_PROCESS);
        const bool was = w->crowded;

        w->crowded = out != w->crowded_out;
        w->crowded_out = out;
        for (size_t i = 0; w->crowded && !was && i < w->n_sites; i++) {
                struct followed *f = followed_get(&w->holds, &w->sites[i].hold);

                if (f)
                        followed_want(f, now, 0);
        }
}

static void sweep_begin(struct watch *w, int64_t now) {
        w->sweep_us = now + w->sweep_every_us;
        for (size_t i = 0; i < w->n_sites; i++) {
                mend_hold(w, &w->sites[i]);
                alive();
        }
        cgroup_events_each_held(w->agent->events, list_held, w);
        note_crowd(w, now);
}

static void sweep_one(struct watch *w, pid_t pid) {
        struct watched *s = find_site(w, cgroup_events_held_at(w->agent->events, pid));

        if (s)
                put_back(w, s, pid, s->good_us);
}

/* To put one back can take milliseconds, and there may be thousands who leave again at once: a look goes on where the
 * one before ended, and whoever has left meanwhile waits for all others. */
static void sweep(struct watch *w, int64_t now) {
        const int64_t spent = clock_cpu_us();
        int64_t start;

        if (!w->agent->events || now < w->sweep_not_before_us || (w->n_swept == 0 && now < w->sweep_us))
                return;
        if (w->n_swept == 0)
                sweep_begin(w, now);
        start = clock_mono_us();
        /* one at least, however long we were not let run */
        for (bool any = false; w->swept_next < w->n_swept && (!any || clock_mono_us() < start + MEND_TURN_US);
             any = true)
                sweep_one(w, w->swept[w->swept_next++]);
        w->sweep_spent_us += clock_cpu_us() - spent;
        w->sweep_not_before_us = clock_mono_us() + (clock_cpu_us() - spent) * HURRY_SHARE;
        if (w->swept_next < w->n_swept)
                return;
        w->sweep_every_us = pause_after(w->sweep_spent_us);
        w->sweep_spent_us = 0;
        w->n_swept = w->swept_next = 0;
        free(TAKE_PTR(w->swept));
}

/* Units can come back at another path, and where the kernel tells of nothing, at all. As long as the cgroup from before
 * is there nothing else is looked for: whoever may empty it for a moment could lead the hold away. */
static void seek_one(struct watch *w, struct watched *s) {
        const struct sites *sites = held_find(&w->agent->held, &s->hold);
        const struct resolver resolver = agent_resolver(w->agent, &s->hold);
        struct site found = SITE_NULL;
        reason_set notes = 0;

        if (!sites || s->index >= sites->n || !is_wanted(w, s) || !watched_is_gone(s))
                return;
        if (site_copy(&sites->v[s->index], &found) == 0 && resolve_again(&resolver, &found, &notes) == 0 &&
            found.missing == REASON_NONE && found.fd >= 0)
                take(w, s, TAKE_FD(found.fd), found.cgroup_id, found.path, s->good_us);
        site_done(&found);
        alive();
}

/* Each can cost a walk of all cgroups, or an answer of the service manager: a look goes on where the one before ended,
 * so that a command waits for one of them and not for all. */
static void seek(struct watch *w, int64_t now) {
        const int64_t start = clock_mono_us(), spent = clock_cpu_us();
        bool over;

        if (now < w->seek_us)
                return;
        do {
                if (w->seek_next < w->n_sites)
                        seek_one(w, &w->sites[w->seek_next++]);
                over = w->seek_next >= w->n_sites;
        } while (!over && clock_mono_us() < start + MEND_TURN_US);
        w->seek_spent_us += clock_cpu_us() - spent;
        if (!over) {
                w->seek_us = clock_mono_us() + (clock_cpu_us() - spent) * HURRY_SHARE;
                return;
        }
        w->seek_us = clock_mono_us() + MAX(pause_after(w->seek_spent_us), w->agent->events ? SEEK_US : 0);
        w->seek_spent_us = 0;
        w->seek_next = 0;
}

/* True when the kernel lost something since it was asked last. */
static bool look_what_was_lost(struct watch *w) {
        const uint64_t events = cgroup_events_lost(w->agent->events, CGROUP_LOST_EVENT);
        const bool lost =
                events != w->lost || cgroup_events_lost(w->agent->events, CGROUP_LOST_PROCESS) != w->crowded_out;

        w->lost = events;
        return lost;
}

void mend_look(struct watch *w) {
        const int64_t start = clock_mono_us(), spent = clock_cpu_us();

        for (size_t i = 0; i < w->n_sites; i++)
                if (is_wanted(w, &w->sites[i]))
                        look_at(w, &w->sites[i]);
        w->n_looks++;
        w->every_us = MIN(MAX((clock_cpu_us() - spent) * LOOK_SHARE, LOOK_MIN_US), LOOK_MAX_US);
        if (w->agent->events && look_what_was_lost(w))
                w->sweep_us = 0;
        look_around(w, start);
        sweep(w, start);
        seek(w, start);
        /* a sweep that is not over does not wait for a look that is due ever more rarely */
        w->next_us = w->n_swept == 0 ? w->every_us
                                     : MIN(w->every_us, MAX((clock_cpu_us() - spent) * HURRY_SHARE, LOOK_MIN_US));
}
