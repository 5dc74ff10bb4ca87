/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/attempts.h"

#include <arpa/inet.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "agent/core/record.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* between two looks at the ring */
#define REST_MS 1000

struct attempts {
        struct ring_buffer *ring;
        sd_event_source *io, *timer;
};

void attempts_free(struct attempts *t) {
        if (!t)
                return;
        (void) sd_event_source_disable_unref(t->io);
        (void) sd_event_source_disable_unref(t->timer);
        ring_buffer__free(t->ring);
        free(t);
}

static void write_down(struct agent *a, struct tried_hold *t) {
        int r = a->ledger && ledger_room(a->ledger) > LEDGER_ROOM_LEFT
                        ? record_attempts(a, &t->hold, tried_to_json(&t->tried, true))
                        : -ENOSPC;

        tried_hold_written(t, clock_boot_ms());
        if (r == 0)
                tried_settle(&t->tried);
        else
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "record", .reason = reason_id(REASON_LEDGER)),
                          "What a held service tried cannot be recorded: %s", strerror(-r));
}

/* Calls by the self-test's child, and packets to and from the address that nobody has a reason to use but it. */
static bool is_selftest(const struct agent *a, const struct isolate_attempt *one) {
        const uint32_t own[4] = { 0, 0, htonl(0xffff), htonl(PROBE_ADDRESS) };

        if (one->tgid != 0)
                return a->probe && one->tgid == (uint32_t) probe_pid(a->probe);
        return memcmp(one->addr, own, sizeof(own)) == 0;
}

/* Whatever is in the ring was written by the kernel; it is checked all the same. */
static int on_attempt(void *userdata, void *data, size_t size) {
        struct agent *a = userdata;
        const struct isolate_attempt *one = data;
        struct command_id hold;
        struct tried_hold *t;

        if (size != sizeof(*one) || is_selftest(a, one))
                return 0;
        memcpy(hold.b, one->hold, sizeof(hold.b));
        /* the programs of a hold that the ledger has lost are counted by themselves only */
        t = hold_set_find(a->holds, &hold) ? tried_list_put(&a->tried, &hold) : NULL;
        if (t)
                (void) tried_add(&t->tried, one, clock_wall_ms() - clock_boot_ms() + (int64_t) (one->t_ns / 1000000));
        return 0;
}

/* What holds tried that only the ledger knows waits in the ring for the core that reads that. */
static void drain(struct agent *a) {
        if (a->attempts && !a->aside)
                (void) ring_buffer__consume(a->attempts->ring);
}

/* Unless it is awake before that anyway. */
static void wake_by(struct attempts *t, int64_t due_ms) {
        uint64_t next = UINT64_MAX;
        int enabled = SD_EVENT_OFF;

        (void) sd_event_source_get_enabled(t->timer, &enabled);
        (void) sd_event_source_get_time(t->timer, &next);
        if (due_ms == INT64_MAX || (enabled != SD_EVENT_OFF && next <= (uint64_t) due_ms * 1000))
                return;
        (void) sd_event_source_set_time(t->timer, (uint64_t) due_ms * 1000);
        (void) sd_event_source_set_enabled(t->timer, SD_EVENT_ONESHOT);
}

/* Who shows or ends a hold has emptied the ring, which then wakes nobody for what was in it. */
static void drain_early(struct agent *a) {
        drain(a);
        if (a->attempts)
                wake_by(a->attempts, clock_boot_ms() + REST_MS);
}

/* CLOCK_BOOTTIME of the next record that is due; INT64_MAX when nothing waits for one. */
static int64_t write_due(struct agent *a) {
        const int64_t now = clock_boot_ms();
        int64_t next = INT64_MAX;

        for (size_t i = 0; i < a->tried.n; i++) {
                struct tried_hold *t = a->tried.v[i];

                if (t->tried.changed && t->due_ms <= now)
                        write_down(a, t);
                if (t->tried.changed)
                        next = MIN(next, t->due_ms);
        }
        return next;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        struct agent *a = userdata;

        (void) s;
        (void) usec;
        drain(a);
        wake_by(a->attempts, write_due(a));
        (void) sd_event_source_set_enabled(a->attempts->io, SD_EVENT_ON);
        return 0;
}

static int on_ring(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct agent *a = userdata;

        (void) fd;
        (void) events;
        drain(a);
        (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
        wake_by(a->attempts, clock_boot_ms() + REST_MS);
        return 0;
}

static int listen_to(struct agent *a, struct attempts *t, int ring) {
        int r;

        t->ring = ring_buffer__new(ring, on_attempt, a, NULL);
        if (!t->ring)
                return -errno;
        r = sd_event_add_time(a->event, &t->timer, CLOCK_BOOTTIME, 0, 10000, on_timer, a);
        if (r >= 0)
                r = sd_event_source_set_enabled(t->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_io(a->event, &t->io, ring_buffer__epoll_fd(t->ring), EPOLLIN, on_ring, a);
        if (r >= 0)
                /* after every order: who floods can wait */
                r = sd_event_source_set_priority(t->io, SD_EVENT_PRIORITY_NORMAL + 10);
        return r;
}

void attempts_start(struct agent *a) {
        const int ring = isolate_ring(a->isolate);
        struct attempts *t = ring >= 0 ? calloc(1, sizeof(*t)) : NULL;
        int r = t ? listen_to(a, t, ring) : -EOPNOTSUPP;

        if (r >= 0) {
                a->attempts = t;
                if (guard_own_map(a->guard, ring) < 0)
                        log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"),
                                  "The ring of what is tried could not be guarded");
                return;
        }
        attempts_free(t);
        log_event(LOG_NOTICE, NULL, LOG_FIELDS(.stage = "start"), "What held services try is counted only: %s",
                  strerror(-r));
}

void attempts_settle(struct agent *a, const struct command_id *hold) {
        struct tried_hold *t;

        drain_early(a);
        t = tried_list_find(&a->tried, hold);
        if (t && t->tried.changed)
                write_down(a, t);
}

void attempts_update(struct agent *a) {
        for (size_t i = a->tried.n; i > 0; i--)
                if (!hold_set_find(a->holds, &a->tried.v[i - 1]->hold))
                        tried_list_remove(&a->tried, i - 1);
}

void attempts_stop(struct agent *a) {
        drain(a);
        for (size_t i = 0; i < a->tried.n; i++)
                if (a->tried.v[i]->tried.changed)
                        write_down(a, a->tried.v[i]);
}

json_t *attempts_to_json(struct agent *a, const struct command_id *hold) {
        const struct tried_hold *t;

        drain_early(a);
        t = tried_list_find(&a->tried, hold);
        return t ? tried_to_json(&t->tried, false) : NULL;
}
