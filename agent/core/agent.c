/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/agent.h"

#include <fcntl.h>
#include <libgen.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "agent/core/attempts.h"
#include "agent/core/cgroup.h"
#include "agent/core/certified.h"
#include "agent/core/cgroup_events.h"
#include "agent/core/epochkey.h"
#include "agent/core/fence.h"
#include "agent/core/fold.h"
#include "agent/core/head.h"
#include "agent/core/hearing.h"
#include "agent/core/hosthold.h"
#include "agent/core/record.h"
#include "agent/core/retain.h"
#include "agent/core/room.h"
#include "agent/core/rooted.h"
#include "agent/core/watch.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "agent/util/log.h"

#define FILE_MAX (256U * 1024)
/* free heap beyond this, left by a large answer, goes back to the host */
#define SPARE_MAX (2U * 1024 * 1024)
/* for the ledger to be free: a predecessor may be about to end */
#define LOCK_WAIT_MS 10000
#define LOCK_TRY_MS  100
/* how often it is tried whether there is room for what was done without a record */
#define LATE_US (UINT64_C(5) * 1000 * 1000)
/* for one that is killed; and how often it is looked whether it has ended after all */
#define DYING_WAIT_MS 2000
#define DYING_LOOK_US (1000ULL * 1000)

struct resolver agent_resolver(const struct agent *a, const struct command_id *hold) {
        return (struct resolver) {
                .cgroup_root = a->cgroup_root, .systemd = a->systemd, .local = &a->local, .hold = hold
        };
}

void agent_tick(struct agent *a) {
        hold_set_advance(a->holds, a->boot_id, clock_boot_ms());
        rooted_date(a);
        hold_set_forget(a->holds, floor_now(&a->floor));
}

/* True when there is more to do. */
static bool prepare_ledger(struct agent *a) {
        int r = a->ledger ? ledger_prepare(a->ledger) : 0;

        /* a full disk: what is set aside for just this, as soon as what is left of the segment runs out */
        if (r == -ENOSPC && ledger_room(a->ledger) < LEDGER_SEGMENT_SIZE / 8 &&
            room_provide(a->config.state, 2ULL * LEDGER_SEGMENT_SIZE))
                r = 1;
        if (r == 0 && !a->aside)
                (void) room_reserve(a->config.state);
        return r == 1;
}

static int on_idle(sd_event_source *s, void *userdata) {
        struct agent *a = userdata;
        bool more = prepare_ledger(a);

        (void) record_late(a);
        head_write(a);
        (void) isolate_prepare(a->isolate);
        if (mallinfo2().fordblks > SPARE_MAX)
                (void) malloc_trim(0);
        (void) sd_event_source_set_enabled(s, more ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        return 0;
}

void agent_idle_work(struct agent *a) {
        int r = 0;

        if (!a->idle) {
                r = sd_event_add_defer(a->event, &a->idle, on_idle, a);
                if (r >= 0)
                        r = sd_event_source_set_priority(a->idle, SD_EVENT_PRIORITY_IDLE);
        }
        if (r >= 0)
                r = sd_event_source_set_enabled(a->idle, SD_EVENT_ONESHOT);
        if (r < 0)
                log_event(LOG_WARNING, NULL, NULL, "Idle work could not be scheduled: %s", strerror(-r));
}

static void log_file(const char *path, const char *why) {
        log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "start"), "%s: %s", path, why);
}

static void load_policy(struct agent *a) {
        _cleanup_free_ char *text = NULL;
        enum reason reason = REASON_NONE;
        size_t n;
        int r = io_read_file(AT_FDCWD, a->config.policy, FILE_MAX, &text, &n);

        if (r == -ENOENT) {
                local_defaults(&a->local); /* they are a policy */
                a->policy_state = "default";
                return;
        }
        if (r == 0)
                r = local_parse((const uint8_t *) text, n, &a->local, &reason);
        a->policy_state = r < 0 || reason != REASON_NONE ? "broken" : "file";
        if (r < 0 || reason != REASON_NONE)
                log_file(a->config.policy, r < 0 ? strerror(-r) : reason_text(reason));
}

void agent_reload(struct agent *a) {
        load_policy(a);
        rooted_load(a);
        certified_load(a);
        hearing_begin(a);
}

/* Where there is no place to take turns at, the ledger's own lock decides. */
static int try_lock(struct agent *a, const char *dir, int *ret) {
        int r;

        /* anew each time: who was dying may have died, and the ledger be another's */
        closep(&a->turn.fd);
        a->turn = (struct turn) { .fd = -EBADF };
        r = turn_take(a->config.socket, &a->turn);
        return r == -EBUSY ? r : ledger_lock(dir, ret);
}

/* Before anything is touched that a core which still runs has too: maps, pins, sockets, the key of the epoch. Another
 * that lives may carry out orders; two would each take what the other holds for nobody's. FAIL-CLOSED: so this one
 * ends, and is started again until the ledger is free. FAIL-OPEN: one that is killed carries out nothing, and the
 * kernel may keep it from ending, and the ledger with it, for as long as its disk hangs; this one goes without until
 * then. So it does where the ledger cannot be had for another reason. */
static int lock_ledger(struct agent *a, const char *dir, int *ret) {
        const int64_t since = clock_boot_ms();
        int r;

        while ((r = try_lock(a, dir, ret)) == -EBUSY &&
               clock_boot_ms() - since < (a->turn.n_dying > 0 ? DYING_WAIT_MS : LOCK_WAIT_MS))
                (void) usleep(LOCK_TRY_MS * 1000);
        a->aside = r == -EBUSY && a->turn.n_dying > 0;
        if (r < 0)
                log_file(dir, a->aside ? "a core that was killed has it, and the kernel does not let that end; until "
                                         "then nothing is recorded, preserved or released"
                              : r == -EBUSY ? "another core has it; this one has touched nothing, and ends"
                                            : strerror(-r));
        return r;
}

/* What is known of holds is not merged with what the ledger has: the next start reads that, and finds what was done
 * meanwhile in the kernel. */
static int on_back(sd_event_source *s, uint64_t usec, void *userdata) {
        struct agent *a = userdata;
        _cleanup_free_ char *dir = NULL;
        _cleanup_close_ int lock = -EBADF;

        (void) usec;
        if (asprintf(&dir, "%s/ledger", a->config.state) >= 0 && ledger_lock(dir, &lock) == 0) {
                log_event(LOG_NOTICE, NULL, LOG_FIELDS(.stage = "start"),
                          "The ledger is free; the core starts anew to take it up");
                return sd_event_exit(a->event, 0);
        }
        (void) sd_event_source_set_time_relative(s, DYING_LOOK_US);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* After a return to an older version. FAIL-OPEN: what it understands is held again. FAIL-CLOSED: what it does not may
 * have been anything, so nothing is let go. */
static int replay(const json_t *body, uint64_t n, void *userdata) {
        static struct log_limit limit = { .per_second = 5 };
        const int r = fold_replay(body, n, userdata);

        if (r == -EBADMSG)
                log_lossy(&limit, LOG_ERR, NULL, LOG_FIELDS(.stage = "start", .reason = reason_id(REASON_LEDGER)),
                          "Record %llu of the ledger is of no kind that this version knows: nothing is released",
                          (unsigned long long) n);
        return r;
}

static int open_ledger(struct agent *a, const char *dir, int lock) {
        bool torn = false;
        int r = ledger_open_locked(lock, LEDGER_SEGMENT_SIZE, replay, a, &torn, &a->ledger);

        if (torn)
                log_file(dir, "the last record was cut off by a crash and dropped; it was never acknowledged");
        if (r == 0)
                r = head_check(a, dir);
        if (r < 0)
                /* Stop verbs are carried out all the same and say so; nothing is released. */
                log_file(dir, strerror(-r));
        return r == -ENOMEM ? r : 0;
}

static const struct hosthold_tell host_tell = { .replaced = watch_update, .lost = watch_uplink };

/* What the core cannot do without. */
static int open_needed(struct agent *a) {
        _cleanup_free_ char *run = strdup(a->config.socket);
        int r;

        local_defaults(&a->local);
        clock_boot_id(a->boot_id);
        a->started_ms = clock_boot_ms();
        a->holds = hold_set_new();
        if (!run || !a->holds)
                return -ENOMEM;
        r = hostkey_open(a->config.state, &a->key);
        if (r < 0)
                log_file(a->config.state,
                         r == -EBADMSG ? "host_key is not 32 bytes that only root can read" : strerror(-r));
        else
                r = epochkey_new(a->config.socket, &a->epoch);
        if (r == 0)
                r = systemd_new(&a->systemd);
        if (r == 0)
                r = fence_new(a->event, "/etc/systemd/system", "/run/systemd/system", a->aside, &a->fence);
        if (r == 0)
                r = isolate_new(a->config.pins, &a->isolate);
        if (r == 0)
                r = guard_new(a->config.pins, a->config.state, dirname(run), &a->guard);
        if (r == 0)
                r = hosthold_new(&host_tell, &a->hosthold);
        return r;
}

/* In this order: nothing is touched before there is a lock, and nothing replayed before there is a memory for it. */
static int open_all(struct agent *a) {
        _cleanup_free_ char *dir = NULL;
        _cleanup_close_ int lock = -EBADF;
        int r, locked;

        if (asprintf(&dir, "%s/ledger", a->config.state) < 0)
                return -ENOMEM;
        /* mkdir() waits for a file system that takes nothing now, also where the directory is there */
        r = access(a->config.state, F_OK) == 0 ? 0 : io_mkdirs(a->config.state, 0700);
        if (r < 0) {
                log_file(a->config.state, strerror(-r));
                return r;
        }
        locked = lock_ledger(a, dir, &lock);
        if (locked == -EBUSY && !a->aside)
                return locked;
        r = open_needed(a);
        return r < 0 || locked < 0 ? r : open_ledger(a, dir, TAKE_FD(lock));
}

/* Somebody makes room on a disk without telling. */
static int on_late(sd_event_source *s, uint64_t usec, void *userdata) {
        struct agent *a = userdata;

        (void) s;
        (void) usec;
        a->late_timer = sd_event_source_disable_unref(a->late_timer);
        agent_idle_work(a);
        return 0;
}

static void try_late(struct agent *a) {
        if (json_array_size(a->late) == 0 || a->late_timer)
                return;
        if (sd_event_add_time_relative(a->event, &a->late_timer, CLOCK_BOOTTIME, LATE_US, 0, on_late, a) < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "record"),
                          "What has no record is recorded with the next command only");
}

/* After each event, and before the next one: whatever that is about finds out by itself whether PID 1 answers. */
static int on_event_done(sd_event_source *s, void *userdata) {
        struct agent *a = userdata;

        (void) s;
        systemd_rest(a->systemd);
        try_late(a);
        if (head_is_due(a))
                agent_idle_work(a);
        return 0;
}

static int rest_after_events(struct agent *a) {
        int r = sd_event_add_post(a->event, &a->rest, on_event_done, a);

        return r < 0 ? r : sd_event_source_set_priority(a->rest, SD_EVENT_PRIORITY_IMPORTANT);
}

int agent_new(const struct config *config, sd_event *event, struct agent **ret) {
        _cleanup_(agent_freep) struct agent *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->config = *config;
        a->turn.fd = -EBADF;
        a->event = sd_event_ref(event);
        r = open_all(a);
        if (r < 0)
                return r;
        if (cgroup_root(&a->cgroup_root) < 0)
                log_file("cgroup2", reason_text(REASON_NO_CGROUP2));
        agent_reload(a);
        agent_tick(a);
        r = rest_after_events(a);
        if (r >= 0 && a->aside)
                r = sd_event_add_time_relative(a->event, &a->back, CLOCK_MONOTONIC, DYING_LOOK_US, 0, on_back, a);
        if (r >= 0)
                r = watch_new(a, &a->watch);
        if (r >= 0)
                r = retain_new(a, &a->retain);
        if (r < 0)
                return r;
        attempts_start(a);
        *ret = TAKE_PTR(a);
        return 0;
}

void agent_free(struct agent *a) {
        if (!a)
                return;
        a->lapse_timer = sd_event_source_disable_unref(a->lapse_timer);
        a->idle = sd_event_source_disable_unref(a->idle);
        a->rest = sd_event_source_disable_unref(a->rest);
        a->latecomers = sd_event_source_disable_unref(a->latecomers);
        a->heartbeat = sd_event_source_disable_unref(a->heartbeat);
        a->late_timer = sd_event_source_disable_unref(a->late_timer);
        a->back = sd_event_source_disable_unref(a->back);
        heard_done(&a->heard);
        if (a->holds) {
                attempts_stop(a);
                (void) record_late(a);
        }
        attempts_free(a->attempts);
        watch_free(a->watch);
        retain_free(a->retain);
        cgroup_events_free(a->events);
        fence_free(a->fence);
        probe_free(a->probe);
        systemd_free(a->systemd);
        guard_free(a->guard);
        hosthold_free(a->hosthold);
        isolate_free(a->isolate);
        held_list_done(&a->held);
        shelf_done(&a->shelf);
        tried_list_done(&a->tried);
        hold_set_free(a->holds);
        if (a->ledger)
                head_write(a);
        json_decref(a->late);
        ledger_free(a->ledger);
        epochkey_free(a->epoch);
        hostkey_free(a->key);
        free(a->trust);
        free(a->attributes);
        free(a->trusted.n);
        free(a->cgroup_root);
        a->event = sd_event_unref(a->event);
        closep(&a->turn.fd);
        free(a);
}

void agent_freep(struct agent **a) {
        agent_free(*a);
}
