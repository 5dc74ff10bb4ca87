/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/fence.h"

#include <string.h>
#include <systemd/sd-daemon.h>

#include "agent/core/cgroup.h"
#include "agent/core/fencefile.h"
#include "agent/core/reload.h"
#include "agent/core/slices.h"
#include "agent/core/stamps.h"
#include "agent/util/alive.h"
#include "agent/util/log.h"

/* at a start, when PID 1 is busy with its own */
#define RESTORE_US (5LL * 1000 * 1000)

static const char *const state_ids[] = {
#define X(name, id) [FENCE_##name] = id,
        FENCE_TABLE(X)
#undef X
};

struct fence {
        const char *dirs[2];
        size_t first; /* of them that is written to for a hold */
        struct reload *reload;
        bool unread; /* files changed and systemd has not confirmed that it read them */
        bool telling;
        uint64_t version;
        struct stamps stamps;
};

const char *fence_state_id(enum fence_state s) {
        return state_ids[s];
}

int fence_new(sd_event *event, const char *persistent, const char *runtime, bool hangs, struct fence **ret) {
        struct fence *f = calloc(1, sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        f->dirs[0] = persistent;
        f->dirs[1] = runtime;
        f->first = hangs;
        r = reload_new(event, &f->reload);
        if (r < 0)
                free(f);
        else
                *ret = f;
        return r;
}

void fence_free(struct fence *f) {
        if (!f)
                return;
        reload_free(f->reload);
        stamps_done(&f->stamps);
        free(f);
}

/* A cgroup's name is its unit's, but for a "_" where systemd had to escape it. */
static const char *unit_of_name(const char *name) {
        static const char *const suffixes[] = { ".service", ".scope", ".slice", ".socket", ".mount", ".swap" };
        const char *unit = name[0] == '_' ? name + 1 : name, *dot = strrchr(unit, '.');

        for (size_t k = 0; dot && dot > unit && k < ELEMENTSOF(suffixes); k++)
                if (strcmp(dot, suffixes[k]) == 0)
                        return unit;
        return NULL;
}

/* The unit whose cgroup this is. What lies in anything but slices is named by whoever it was delegated to and is no
 * unit of this systemd. Its cgroup has a unit's real name, which an alias goes away without. */
static const char *unit_of_path(const char *path) {
        const char *name = slices_unit(path);

        return name ? unit_of_name(name) : NULL;
}

/* FAIL-OPEN: without these no host comes up, and they are more than anyone means to hold. */
static bool is_spared(const char *unit) {
        return strcmp(unit, "-.slice") == 0 || strcmp(unit, "system.slice") == 0;
}

/* The unit to fence for a site, or NULL. Borrowed. One that does not run is kept from starting; what is missing for
 * another reason, being protected for one, is none of ours. */
static const char *unit_of_site(const struct site *s) {
        const bool ours = s->missing == REASON_NONE || s->missing == REASON_NOT_RUNNING;
        const char *unit = s->target.cls == TARGET_CGROUP || !ours ? NULL
                           : s->path                               ? unit_of_path(s->path)
                                                                   : unit_of_name(s->target.name);

        return unit && !is_spared(unit) ? unit : NULL;
}

bool fence_applies(const struct site *s) {
        return unit_of_site(s) && sd_booted() > 0;
}

static void changed(struct fence *f) {
        f->unread = true;
        f->version++;
}

/* Where one is there already it stays in that directory, so that a unit has one. */
static int raise_unit(struct fence *f, const char *unit, const struct command_id *hold) {
        struct fencefile file;
        int r = -ENOENT;

        for (size_t k = 0; k < ELEMENTSOF(f->dirs); k++) {
                r = fencefile_read(f->dirs[k], unit, &file);
                if (r == 0 && fencefile_has(&file, hold)) {
                        stamps_note(&f->stamps, f->dirs[k], unit);
                        return 0;
                }
                if (r == 0 || r == -EUCLEAN)
                        break;
        }
        if (r < 0 && r != -EUCLEAN) {
                file.n = 0;
                (void) snprintf(file.unit, sizeof(file.unit), "%s", unit);
        }
        r = fencefile_has(&file, hold) ? 0 : fencefile_add(&file, hold);
        for (size_t k = f->first; r == 0 && k < ELEMENTSOF(f->dirs); k++) {
                r = fencefile_write(f->dirs[k], &file);
                if (r == 0) {
                        stamps_note(&f->stamps, f->dirs[k], unit);
                        changed(f);
                        return 0;
                }
                r = k + 1 < ELEMENTSOF(f->dirs) ? 0 : r;
        }
        return r;
}

struct inside {
        struct fence *fence;
        const struct command_id *hold;
        bool (*visit)(struct fence *f, const char *unit, const struct command_id *hold);
        bool all;
};

static int visit_inside(const char *path, void *userdata) {
        struct inside *i = userdata;
        const char *unit = unit_of_path(path);

        if (unit)
                i->all &= i->visit(i->fence, unit, i->hold);
        return 0;
}

/* Calls fn for the unit of the site and, of a slice, for each unit that is in it now: one that is restarted has systemd
 * thaw the slice (252). True when all calls gave true. */
static bool each_unit(struct agent *a, const struct command_id *hold, const struct site *s,
                      bool (*fn)(struct fence *f, const char *unit, const struct command_id *hold)) {
        struct inside i = { .fence = a->fence, .hold = hold, .visit = fn, .all = true };
        const char *unit = unit_of_site(s), *dot = unit ? strrchr(unit, '.') : NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;

        if (!unit)
                return true;
        i.all = fn(a->fence, unit, hold);
        if (strcmp(dot, ".slice") == 0 && s->missing == REASON_NONE && a->cgroup_root &&
            (cgroup_open(a->cgroup_root, s->path, &fd, &id) < 0 || cgroup_each_path(fd, visit_inside, &i) < 0))
                return false;
        return i.all;
}

/* True when it is in the file. */
static bool visit_raise(struct fence *f, const char *unit, const struct command_id *hold) {
        int r = raise_unit(f, unit, hold);

        if (r < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "fence", .reason = reason_id(REASON_RESTARTABLE)),
                          "%s: the drop-in that keeps it from being started could not be written: %s", unit,
                          strerror(-r));
        alive();
        return r == 0;
}

static bool visit_untouched(struct fence *f, const char *unit, const struct command_id *hold) {
        (void) hold;
        return stamps_hold(&f->stamps, f->dirs, ELEMENTSOF(f->dirs), unit);
}

void fence_raise(struct agent *a, const struct command_id *hold) {
        const struct sites *sites = held_find(&a->held, hold);

        for (size_t i = 0; sites && i < sites->n; i++)
                if (fence_applies(&sites->v[i]))
                        (void) each_unit(a, hold, &sites->v[i], visit_raise);
}

struct dropping {
        struct fence *fence;
        const char *dir;
        const struct command_id *hold;
        int error;
};

static int drop_unit(const struct fencefile *file, void *userdata) {
        struct dropping *d = userdata;
        struct fencefile left = *file;
        int r;

        if (!fencefile_has(file, d->hold))
                return 0;
        fencefile_remove(&left, d->hold);
        r = fencefile_write(d->dir, &left);
        if (r < 0) {
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "fence", .reason = reason_id(REASON_PERSISTS)),
                          "%s: the drop-in that keeps it from being started could not be taken away: %s", file->unit,
                          strerror(-r));
                d->error = r;
                return 0;
        }
        changed(d->fence);
        if (left.n > 0)
                stamps_note(&d->fence->stamps, d->dir, file->unit);
        else
                stamps_forget(&d->fence->stamps, file->unit);
        return 0;
}

/* One that was asked, and what the files were then. */
struct told {
        struct fence *fence;
        uint64_t version;
        void (*fn)(int r, void *userdata);
        void (*drop)(void *userdata);
        void *userdata;
};

static void on_told(int r, void *userdata) {
        struct told *t = userdata;

        t->fence->telling = false;
        if (r == 0 && t->version == t->fence->version)
                t->fence->unread = false;
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "fence"),
                          "systemd did not read what it must not start and stop: %s", strerror(-r));
        if (t->fn)
                t->fn(r, t->userdata);
        free(t);
}

static void on_dropped(void *userdata) {
        struct told *t = userdata;

        if (t->drop)
                t->drop(t->userdata);
        free(t);
}

int fence_tell(struct agent *a, void (*fn)(int r, void *userdata), void (*drop)(void *userdata), void *userdata) {
        struct told *t;
        int r;

        if (!a->fence->unread || sd_booted() <= 0) {
                if (fn)
                        fn(0, userdata);
                return 0;
        }
        t = malloc(sizeof(*t));
        if (!t)
                return -ENOMEM;
        *t = (struct told) {
                .fence = a->fence, .version = a->fence->version, .fn = fn, .drop = drop, .userdata = userdata
        };
        a->fence->telling = true;
        r = reload_ask(a->fence->reload, on_told, on_dropped, t);
        if (r < 0) {
                a->fence->telling = false;
                free(t);
        }
        return r;
}

enum fence_state fence_read(struct agent *a, const struct site *s) {
        struct systemd_fence now = { 0 };

        if (!fence_applies(s))
                return FENCE_NONE;
        return systemd_unit_fence(a->systemd, unit_of_site(s), FENCEFILE_NAME, &now) == 0 && now.refuses && now.never
                       ? FENCE_STANDS
                       : FENCE_OPEN;
}

int fence_lingers(struct agent *a, const struct site *s) {
        struct systemd_fence now = { 0 };
        struct stat st;
        int r;

        if (!fence_applies(s))
                return 0;
        for (size_t k = 0; k < ELEMENTSOF(a->fence->dirs); k++)
                if (fencefile_stat(a->fence->dirs[k], unit_of_site(s), &st) != -ENOENT)
                        return 0; /* for another hold */
        r = systemd_unit_fence(a->systemd, unit_of_site(s), FENCEFILE_NAME, &now);
        return r < 0 ? r : now.has_file;
}

/* An agent that died between the two took a file away that systemd still knows. FAIL-CLOSED: systemd that does not say
 * may have it, and is told in its own time. */
static void reread_what_lingers(struct agent *a, const struct command_id *hold) {
        const struct sites *sites = held_find(&a->held, hold);

        for (size_t i = 0; sites && i < sites->n && !a->fence->unread; i++)
                if (fence_lingers(a, &sites->v[i]) != 0)
                        changed(a->fence);
}

int fence_drop(struct agent *a, const struct command_id *hold) {
        struct dropping d = { .fence = a->fence, .hold = hold };

        for (size_t k = 0; k < ELEMENTSOF(a->fence->dirs); k++) {
                int r;

                d.dir = a->fence->dirs[k];
                r = fencefile_each(d.dir, drop_unit, &d);
                if (r < 0 && d.error == 0)
                        d.error = r;
        }
        reread_what_lingers(a, hold);
        return d.error;
}

/* Every active hold that is not ending. */
static bool each_held(struct agent *a, bool (*fn)(struct fence *f, const char *unit, const struct command_id *hold)) {
        bool all = true;

        for (size_t i = 0; sd_booted() > 0 && i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);
                const struct sites *sites = h->state == HOLD_RELEASING ? NULL : held_find(&a->held, &h->id);

                for (size_t k = 0; sites && k < sites->n; k++)
                        all &= each_unit(a, &h->id, &sites->v[k], fn);
        }
        return all;
}

bool fence_stands(struct agent *a) {
        return !a->fence->unread && each_held(a, visit_untouched);
}

void fence_keep(struct agent *a) {
        (void) each_held(a, visit_raise);
        if (!a->fence->telling && fence_tell(a, NULL, NULL, NULL) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "fence"), "Out of memory");
}

/* systemd may have been told to forget what is still on disk, or never read it. */
static bool all_in_force(struct agent *a) {
        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);
                const struct sites *sites = h->state == HOLD_RELEASING ? NULL : held_find(&a->held, &h->id);

                for (size_t k = 0; sites && k < sites->n; k++)
                        if (fence_read(a, &sites->v[k]) == FENCE_OPEN)
                                return false;
        }
        return true;
}

void fence_restore(struct agent *a) {
        int r;

        (void) each_held(a, visit_raise);
        if (!a->fence->unread && all_in_force(a))
                return;
        r = reload_now(RESTORE_US);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "fence"),
                          "systemd did not read what it must not start and stop: %s", strerror(-r));
        else
                systemd_rest(a->systemd); /* it was silent before, and is not now */
        a->fence->unread = r < 0;
}

struct orphans {
        struct agent *a;
        int (*fn)(const struct command_id *hold, const char *unit, void *userdata);
        void *userdata;
};

static int visit_orphans(const struct fencefile *file, void *userdata) {
        struct orphans *o = userdata;
        int r = 0;

        for (size_t i = 0; i < file->n && r >= 0; i++)
                if (!hold_set_find(o->a->holds, &file->holds[i]))
                        r = o->fn(&file->holds[i], file->unit, o->userdata);
        return r;
}

int fence_each_orphan(struct agent *a, int (*fn)(const struct command_id *hold, const char *unit, void *userdata),
                      void *userdata) {
        struct orphans o = { .a = a, .fn = fn, .userdata = userdata };
        int r = 0;

        for (size_t k = 0; k < ELEMENTSOF(a->fence->dirs) && r == 0; k++)
                r = fencefile_each(a->fence->dirs[k], visit_orphans, &o);
        return r;
}
