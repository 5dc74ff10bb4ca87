/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/latecomer.h"

#include <string.h>
#include <unistd.h>

#include "agent/core/cgroup.h"
#include "agent/core/order.h"
#include "agent/core/hostparts.h"
#include "agent/core/watch.h"
#include "agent/util/alive.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* twenty times what a manager that is silent is waited for, however long the rest of a look took */
#define SILENCE_US (20LL * 1000 * 1000)

/* Takes the site over. The mark is there before it is frozen, and frozen it is before it is on record, which takes
 * long: should the core end in between, the next one finds it by its mark. */
static int freeze_one(struct agent *a, const struct hold *h, struct sites *held, struct site *s) {
        struct site *more = realloc(held->v, (held->n + 1) * sizeof(*more));
        int r;

        if (!more)
                return -ENOMEM;
        held->v = more;
        held->v[held->n] = *s;
        *s = SITE_NULL;
        s = &held->v[held->n++];
        /* one that was frozen here and did not get on record */
        if (isolate_marked(a->isolate, &h->id, s->cgroup_id))
                s->was_frozen = false;
        order_inherit_was_frozen(a, s);
        if (!s->was_frozen && isolate_mark(a->isolate, &h->id, s->cgroup_id) < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "keep"), "A freeze could not be marked as ours");
        r = cgroup_freezer_write(s->fd, true);
        if (record_sites(a, &h->id) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "keep", .reason = reason_id(REASON_LEDGER)),
                          "The ledger cannot record what else is frozen");
        log_event(LOG_NOTICE, NULL, LOG_FIELDS(.stage = "keep"), "%s was started on a frozen host, and is frozen",
                  s->path);
        closep(&s->fd);
        s->fd = -EBADF;
        return r == -ENOENT || r == -ENODEV ? 0 : r;
}

/* Freezes what was started since. */
static void freeze_new(struct agent *a, const struct hold *h) {
        const struct resolver resolver = agent_resolver(a, NULL);
        struct sites *held = held_find(&a->held, &h->id), now = { 0 };
        const size_t before = held->n;
        reason_set notes = 0;
        int r = hostparts_add(&resolver, held, &now, &notes);

        for (size_t i = 0; r == 0 && i < now.n; i++)
                r = freeze_one(a, h, held, &now.v[i]);
        if (held->n > before)
                watch_update(a);
        sites_done(&now);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "keep"), "What was started could not be frozen: %s",
                          strerror(-r));
}

static bool freezes_host(struct agent *a, const struct hold *h) {
        const struct sites *sites = h->state == HOLD_RELEASING ? NULL : held_find(&a->held, &h->id);

        for (size_t i = 0; sites && verb_info(h->verb)->freezes && i < sites->n; i++)
                if (site_is_host(&sites->v[i]) && sites->v[i].missing == REASON_NONE)
                        return true;
        return false;
}

/* True when it is one more of the hold's sites. */
static bool freeze_made(struct agent *a, const struct hold *h, const char *path, int fd, uint64_t cgroup_id) {
        const struct resolver resolver = agent_resolver(a, NULL);
        struct sites *held = held_find(&a->held, &h->id);
        struct site s = SITE_NULL;
        int r = sites_have(held, cgroup_id) ? 0 : hostparts_made(&resolver, path, fd, cgroup_id, &s);

        if (r <= 0)
                return false;
        r = freeze_one(a, h, held, &s);
        site_done(&s);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "keep"), "What was started could not be frozen: %s",
                          strerror(-r));
        return true;
}

void latecomer_made(struct agent *a, const char *path, int fd, uint64_t cgroup_id) {
        bool any = false;

        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);

                any |= freezes_host(a, h) && freeze_made(a, h, path, fd, cgroup_id);
        }
        if (any)
                watch_update(a);
}

/* What is started on a host that goes down is a unit's command to stop, and the host would wait for it as long as for
 * any that does not end. Dead it runs as little, and nobody waits. It is looked for by the clock, because a cgroup is
 * made before there is anybody in it. What somebody else had frozen systemd thaws to stop it, which is undone, and it
 * would be waited for as well. */
static void end_all(const struct agent *a, const struct hold *h) {
        const struct sites *sites = held_find(&a->held, &h->id);

        for (size_t i = 0; sites && i < sites->n; i++) {
                struct site *s = &sites->v[i];
                struct cgroup_freezer state;

                if (s->missing != REASON_NONE || site_is_host(s) || site_open(s, a->cgroup_root) < 0)
                        continue;
                if (cgroup_freezer_read(s->fd, &state) == 0 && state.asked && state.populated &&
                    cgroup_kill(s->fd) == 0)
                        log_event(LOG_NOTICE, NULL, LOG_FIELDS(.stage = "keep"), "%s is ended: the host goes down",
                                  s->path);
                closep(&s->fd);
                s->fd = -EBADF;
        }
}

bool latecomer_look(struct agent *a) {
        bool any = false;

        for (size_t i = 0; a->cgroup_root && i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);

                if (!freezes_host(a, h))
                        continue;
                freeze_new(a, h);
                if (access(LATECOMER_GOING_DOWN, F_OK) == 0)
                        end_all(a, h);
                alive();
                any = true;
        }
        return any;
}

/* PID 1 is asked whether what has the name of something spared is that, and believed while it does not answer: one that
 * is stuck is waited for a twentieth of the time, and not in each look. */
static void look(struct agent *a) {
        const int64_t start = clock_mono_us();

        if (start < a->manager_us)
                systemd_give_up(a->systemd);
        (void) latecomer_look(a);
        if (start >= a->manager_us && systemd_is_silent(a->systemd))
                a->manager_us = clock_mono_us() + SILENCE_US;
}

static int on_clock(sd_event_source *e, uint64_t usec, void *userdata) {
        struct agent *a = userdata;

        (void) usec;
        look(a);
        (void) sd_event_source_set_time_relative(e, LATECOMER_LOOK_US);
        (void) sd_event_source_set_enabled(e, SD_EVENT_ONESHOT);
        return 0;
}

void latecomer_keep(struct agent *a) {
        int r = 0;

        if (!latecomer_look(a))
                a->latecomers = sd_event_source_disable_unref(a->latecomers);
        else if (!a->latecomers)
                r = sd_event_add_time_relative(a->event, &a->latecomers, CLOCK_MONOTONIC, LATECOMER_LOOK_US, 0,
                                               on_clock, a);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "keep"), "What is started later is not frozen: %s",
                          strerror(-r));
}
