/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/watch.h"

#include <string.h>
#include <time.h>

#include "agent/core/mend.h"
#include "agent/core/record.h"
#include "agent/core/recover.h"
#include "agent/core/strays.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* between two looks at whether a command waits */
#define EVENTS_MAX 64U
#define HELD_PIN   "held_processes"

static int on_ring(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct watch *w = userdata;
        const int64_t start = clock_mono_us();

        (void) source;
        (void) fd;
        (void) revents;
        for (unsigned n = 0; n < EVENTS_MAX && clock_mono_us() < start + MEND_TURN_US; n++)
                cgroup_events_read(w->agent->events, 1, mend_event, w);
        return 0;
}

/* One hold a round, so that a command waits for one at most. What is recorded is what is proven then. */
static bool record_due(struct watch *w, int64_t now) {
        struct agent *a = w->agent;

        for (size_t i = 0; i < w->holds.n; i++) {
                struct followed *f = &w->holds.v[i];
                const struct command_id id = f->hold;
                const bool moved = f->moved;

                if (f->due_us == 0 || f->due_us > now)
                        continue;
                followed_recorded(f, now);
                f->moved = false;
                if (moved && record_sites(a, &id) < 0)
                        log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "watch", .reason = reason_id(REASON_LEDGER)),
                                  "The ledger cannot record where a hold's targets are now");
                /* from here on the lists are others */
                recover_hold(a, &id);
                return true;
        }
        return false;
}

static void arm(struct watch *w, int64_t in_us) {
        if (!w->timer)
                return;
        (void) sd_event_source_set_time(w->timer, (uint64_t) (clock_mono_us() + in_us));
        (void) sd_event_source_set_enabled(w->timer, w->n_sites > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct watch *w = userdata;

        (void) source;
        (void) usec;
        mend_look(w);
        if (record_due(w, clock_mono_us()))
                agent_idle_work(w->agent);
        arm(w, w->next_us);
        return 0;
}

/* What was watched before, and whether it still is. */
static struct watched *find_before(struct watched *v, size_t n, const struct command_id *hold, size_t index) {
        for (size_t i = 0; i < n; i++)
                if (v[i].index == index && command_id_equal(&v[i].hold, hold))
                        return &v[i];
        return NULL;
}

/* Takes over what was watched of the site before, unless it is at another cgroup now. */
static int watch_site(struct watch *w, const struct hold *h, size_t index, const struct site *s, struct watched *before,
                      struct watched *ret) {
        int r;

        if (before && (s->missing != REASON_NONE || s->cgroup_id == before->cgroup_id)) {
                if (kept_adopt(&before->kept, w->agent->isolate, &h->id, before->cgroup_id))
                        mend_note(w, &h->id, REPAIR_LINK, 1, before->good_us);
                watched_follow(before, h, s);
                *ret = *before;
                *before = WATCHED_NULL;
                return 0;
        }
        r = watched_open(w->agent, h, index, s, ret);
        if (r == 0 && before)
                strays_retag(w->agent->events, before->cgroup_id, ret->cgroup_id);
        return r;
}

static size_t count_sites(const struct agent *a) {
        size_t n = 0;

        for (size_t i = 0; i < a->held.n; i++)
                n += a->held.v[i].sites.n;
        return n;
}

static void watch_hold(struct watch *w, const struct hold *h, struct watched *before, size_t n_before) {
        const struct sites *sites = held_find(&w->agent->held, &h->id);

        for (size_t k = 0; sites && k < sites->n; k++) {
                struct watched *was = find_before(before, n_before, &h->id, k);
                struct watched *now = &w->sites[w->n_sites];
                const bool known = was && was->cgroup_id == sites->v[k].cgroup_id;

                if (watch_site(w, h, k, &sites->v[k], was, now) < 0)
                        continue;
                now->known = known;
                w->n_sites++;
        }
}

static void forget_ended(struct watch *w) {
        for (size_t i = w->holds.n; i > 0; i--)
                if (!hold_set_find(w->agent->holds, &w->holds.v[i - 1].hold))
                        followed_remove(&w->holds, i - 1);
}

void watch_begin(struct agent *a, const struct sites *sites, enum verb verb) {
        struct watch *w = a->watch;

        if (!w || !a->events)
                return;
        for (size_t i = 0; i < sites->n; i++)
                if (sites->v[i].fd >= 0 && !site_is_host(&sites->v[i]))
                        cgroup_events_add_site(a->events, &(struct cgroup_events_site) {
                                                                  .cgroup_id = sites->v[i].cgroup_id,
                                                                  .frozen = site_freezes(&sites->v[i], verb),
                                                                  .isolated = site_isolates(&sites->v[i], verb) });
        cgroup_events_follow_forks(a->events, true);
        /* last: who is listed and leaves is told of, and so are his children */
        for (size_t i = 0; i < sites->n; i++)
                if (sites->v[i].fd >= 0 && !site_is_host(&sites->v[i]))
                        mend_hold(w, &(struct watched) { .cgroup_id = sites->v[i].cgroup_id,
                                                         .fd = sites->v[i].fd,
                                                         .path = sites->v[i].path });
}

void watch_update(struct agent *a) {
        struct watch *w = a->watch;
        const size_t n_before = w ? w->n_sites : 0, n = count_sites(a);
        _cleanup_free_ struct watched *before = NULL;
        struct watched *now = w && a->cgroup_root ? calloc(n ? n : 1, sizeof(*now)) : NULL;

        if (!now)
                return;
        before = w->sites;
        w->sites = now;
        w->n_sites = 0;
        for (size_t i = 0; i < hold_set_count(a->holds); i++)
                if (watched_is_wanted(a, hold_set_at(a->holds, i)))
                        watch_hold(w, hold_set_at(a->holds, i), before, n_before);
        /* who is held at which of them can be told when all of them are there */
        for (size_t i = 0; i < w->n_sites; i++)
                if (!w->sites[i].known)
                        mend_hold(w, &w->sites[i]);
        forget_ended(w);
        mend_ask(w);
        mend_forget(w, before, n_before);
        for (size_t i = 0; i < n_before; i++)
                watched_close(&before[i]);
        w->sweep_us = w->outer_us = 0;
        w->fenced = false; /* systemd may be reading what is new */
        arm(w, 0);
}

static int own_map(int fd, void *userdata) {
        return guard_own_map(userdata, fd);
}

static int listen_to(struct watch *w) {
        struct agent *a = w->agent;
        _cleanup_free_ char *pin = NULL;
        int r;

        if (asprintf(&pin, "%s/" HELD_PIN, a->config.pins) < 0)
                return -ENOMEM;
        w->error = cgroup_events_new(pin, &a->events);
        if (w->error < 0) {
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start", .reason = reason_id(REASON_UNWATCHED)),
                          "No cgroup events: %s", strerror(-w->error));
                return w->error == -ENOMEM ? -ENOMEM : 0;
        }
        if (cgroup_events_each_map(a->events, own_map, a->guard) < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"), "The watch's maps could not be guarded");
        r = sd_event_add_io(a->event, &w->ring, cgroup_events_fd(a->events), EPOLLIN, on_ring, w);
        return MIN(r, 0);
}

int watch_new(struct agent *a, struct watch **ret) {
        struct watch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->agent = a;
        r = listen_to(w);
        if (r == 0)
                r = sd_event_add_time(a->event, &w->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        if (r < 0) {
                watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

void watch_free(struct watch *w) {
        if (!w)
                return;
        (void) sd_event_source_disable_unref(w->ring);
        (void) sd_event_source_disable_unref(w->timer);
        for (size_t i = 0; i < w->n_sites; i++)
                watched_close(&w->sites[i]);
        free(w->sites);
        free(w->swept);
        followed_list_done(&w->holds);
        free(w);
}

void watch_uplink(struct agent *a, const struct command_id *hold, int r, int64_t since_us) {
        if (a->watch)
                mend_note(a->watch, hold, REPAIR_UPLINK, r, since_us);
}

int watch_error(const struct agent *a) {
        return a->watch ? a->watch->error : -ENODEV;
}

reason_set watch_notes(const struct agent *a) {
        return a->events && !(a->watch && a->watch->crowded) ? 0 : reason_bit(REASON_UNWATCHED);
}

json_t *watch_to_json(const struct agent *a) {
        const struct watch *w = a->watch;
        json_t *o = w ? tally_to_json(&w->tally) : json_object();

        if (!o || !w)
                return o;
        (void) json_object_update_new(o, json_pack("{ss sI sI sI sI}", "source", a->events ? "kernel" : "clock",
                                                   "events", (json_int_t) w->n_events, "lost", (json_int_t) w->lost,
                                                   "checks", (json_int_t) w->n_looks, "every_us",
                                                   (json_int_t) (w->n_sites > 0 ? w->every_us : 0)));
        return o;
}

json_t *watch_hold_to_json(const struct agent *a, const struct command_id *hold) {
        const struct followed *f = a->watch ? followed_find(&a->watch->holds, hold) : NULL;

        return f && (tally_sum(&f->tally) > 0 || f->tally.failed > 0) ? tally_to_json(&f->tally) : NULL;
}
