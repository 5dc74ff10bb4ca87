/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/watched.h"

#include <fcntl.h>
#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/hosthold.h"
#include "agent/core/slices.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* how long the kernel's word is waited for; who does not freeze by then is named by the proof that follows */
#define FROZEN_US (3 * 1000)

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

int watched_open(struct agent *a, const struct hold *h, size_t index, const struct site *s, struct watched *ret) {
        struct watched w = { .hold = h->id, .index = index, .fd = -EBADF, .good_us = clock_mono_us() };

        w.path = s->path ? strdup(s->path) : s->target.cls == TARGET_CGROUP ? strdup(s->target.name) : NULL;
        w.name = w.path ? strdup(base_name(w.path)) : strdup(site_unit(s) ? site_unit(s) : "");
        if (!w.name || (s->path && !w.path)) {
                free(w.path);
                free(w.name);
                return -ENOMEM;
        }
        if (s->missing == REASON_NONE && s->path) {
                uint64_t id;

                w.cgroup_id = s->cgroup_id;
                if (cgroup_open(a->cgroup_root, s->path, &w.fd, &id) == 0 && id != s->cgroup_id) {
                        closep(&w.fd);
                        w.fd = -EBADF;
                }
        }
        watched_follow(&w, h, s);
        kept_open(&w.kept, a->isolate, &w.hold, w.cgroup_id);
        *ret = w;
        return 0;
}

void watched_close(struct watched *w) {
        kept_close(&w->kept);
        closep(&w->fd);
        free(w->path);
        free(w->name);
}

void watched_follow(struct watched *w, const struct hold *h, const struct site *s) {
        w->freezes = site_freezes(s, h->verb);
        w->isolates = site_isolates(s, h->verb) && !(site_is_host(s) && hosthold_is_given_up(h));
        w->whole = site_is_host(s);
}

bool watched_is_wanted(const struct agent *a, const struct hold *h) {
        return h && h->state != HOLD_RELEASING && !held_is_doubtful(&a->held, &h->id);
}

bool watched_is_gone(const struct watched *w) {
        return !w->whole && (w->fd < 0 || faccessat(w->fd, "cgroup.events", F_OK, 0) < 0);
}

int watched_freeze(const struct watched *w) {
        struct cgroup_freezer now;
        int r = w->freezes ? cgroup_freezer_read(w->fd, &now) : 0;

        if (r < 0 || !w->freezes || now.asked)
                return r;
        r = cgroup_freezer_write(w->fd, true);
        if (r < 0)
                return r;
        r = cgroup_freezer_wait(w->fd, true, FROZEN_US);
        return r == 0 || r == -ETIMEDOUT ? 1 : r;
}

int watched_isolate(struct agent *a, struct watched *w, bool *ret_pins) {
        struct kept_loss loss;
        int r;

        if (!w->isolates || !kept_look(&w->kept, a->isolate, &w->hold, w->cgroup_id, &loss))
                return 0;
        r = kept_mend(&w->kept, a->isolate, &w->hold, w->fd, w->cgroup_id, &loss);
        /* the mark goes with the pins when someone empties their directory */
        if (w->freezes && loss.pins && isolate_mark(a->isolate, &w->hold, w->cgroup_id) < 0 && r == 0)
                r = -EIO;
        *ret_pins = !loss.any_link;
        return r < 0 ? r : 1;
}

static struct site *site_of(struct agent *a, const struct watched *w) {
        struct sites *sites = held_find(&a->held, &w->hold);

        return sites && w->index < sites->n ? &sites->v[w->index] : NULL;
}

bool watched_accepts(struct agent *a, const struct watched *w, const char *path, int fd) {
        const struct site *s = site_of(a, w);
        bool same;

        if (!s || strcmp(base_name(path), w->name) != 0)
                return false;
        same = w->path && strcmp(path, w->path) == 0;
        /* what was held before could be */
        if (same && s->missing == REASON_NONE)
                return true;
        /* what will be in it cannot be seen yet: what was protected is judged by the clock, with what is in there */
        if (s->missing == REASON_PROTECTED || !watched_is_gone(w) || resolve_is_protected(&a->local, path, fd))
                return false;
        return same || (site_unit(s) && strcmp(site_unit(s), w->name) == 0 && slices_unit(path));
}

/* With the programs of the cgroup that is gone, or, where there never was one, with a set of their own. */
static int isolate_anew(struct agent *a, struct watched *w, int fd, uint64_t cgroup_id) {
        const struct hold *h = hold_set_find(a->holds, &w->hold);
        int r = kept_move(&w->kept, a->isolate, &w->hold, fd, cgroup_id);

        if (r != -ENODATA || !h)
                return r;
        r = isolate_begin(a->isolate, &w->hold, a->local.permits, a->local.n_permits, h->permits, h->n_permits);
        if (r == 0)
                r = isolate_attach(a->isolate, &w->hold, fd, cgroup_id, ISOLATE_CALLS);
        if (r == 0)
                r = isolate_attach(a->isolate, &w->hold, fd, cgroup_id, ISOLATE_PACKETS);
        isolate_end(a->isolate);
        kept_close(&w->kept);
        kept_open(&w->kept, a->isolate, &w->hold, cgroup_id);
        return r;
}

static int freeze_anew(struct agent *a, const struct watched *w) {
        if (isolate_mark(a->isolate, &w->hold, w->cgroup_id) < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "watch"), "A freeze could not be marked as ours");
        return MIN(watched_freeze(w), 0);
}

int watched_take(struct agent *a, struct watched *w, int fd, uint64_t cgroup_id, const char *path) {
        struct site *s = site_of(a, w);
        char *ours = strdup(path), *theirs = strdup(path), *name = strdup(base_name(path));
        int r;

        if (!s || !ours || !theirs || !name) {
                free(ours);
                free(theirs);
                free(name);
                (void) close(fd);
                return s ? -ENOMEM : -ENOENT;
        }
        r = w->isolates ? isolate_anew(a, w, fd, cgroup_id) : 0;
        closep(&w->fd);
        free(w->path);
        free(w->name);
        free(s->path);
        w->fd = fd;
        w->cgroup_id = s->cgroup_id = cgroup_id;
        w->path = ours;
        w->name = name;
        s->path = theirs;
        s->missing = REASON_NONE;
        s->was_frozen = false;
        if (w->freezes) {
                const int frozen = freeze_anew(a, w);

                r = r < 0 ? r : frozen;
        }
        return r;
}
