/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/kept.h"

#include <bpf/bpf.h>

#include "agent/util/clock.h"

/* longer than any kernel's tick */
#define TICKS_MS 20

/* False when it is attached nowhere. */
static bool open_hook(struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id,
                      enum isolate_hook h) {
        struct isolate_link link;
        int fd = isolate_open_link(i, hold, cgroup_id, h, &link);

        if (fd < 0)
                return false;
        closep(&k->link[h]);
        closep(&k->prog[h]);
        k->link[h] = fd;
        k->prog[h] = bpf_prog_get_fd_by_id(link.prog_id);
        k->prog_id[h] = link.prog_id;
        return true;
}

void kept_open(struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id) {
        *k = KEPT_NULL;
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++)
                (void) open_hook(k, i, hold, cgroup_id, h);
}

void kept_close(struct kept *k) {
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                closep(&k->link[h]);
                closep(&k->prog[h]);
                k->link[h] = k->prog[h] = -EBADF;
        }
}

static bool is_attached(const struct kept *k, enum isolate_hook h, uint64_t cgroup_id) {
        struct isolate_link now;

        return k->link[h] >= 0 && isolate_link_read(k->link[h], h, cgroup_id, &now) && now.prog_id == k->prog_id[h];
}

static bool is_pinned(const struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id,
                      enum isolate_hook h) {
        struct isolate_link pinned, open;
        _cleanup_close_ int fd = isolate_open_link(i, hold, cgroup_id, h, &pinned);

        return fd >= 0 && isolate_link_read(k->link[h], h, cgroup_id, &open) && pinned.link_id == open.link_id;
}

static bool is_same(const struct stat *a, const struct stat *b) {
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
               a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool kept_adopt(struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id) {
        bool was_lost = false;

        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                const bool was_there = k->prog_id[h] != 0;

                if (!is_attached(k, h, cgroup_id) && open_hook(k, i, hold, cgroup_id, h))
                        was_lost |= was_there;
        }
        return was_lost;
}

/* A hook that was not attached to begin with is told of by every proof, and not lost. */
static bool is_lost(const struct kept *k, enum isolate_hook h, uint64_t cgroup_id) {
        return k->prog_id[h] != 0 && !is_attached(k, h, cgroup_id);
}

/* Times of files go by the kernel's ticks: what is changed twice in one of them looks changed once. */
static bool is_settled(const struct stat *s) {
        return clock_wall_ms() - ((int64_t) s->st_mtim.tv_sec * 1000 + s->st_mtim.tv_nsec / 1000000) > TICKS_MS;
}

/* One call as long as nothing in the directory changed, and it is the same. */
static bool lost_pins(struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id) {
        struct stat now;
        bool settled;

        if (isolate_stat(i, hold, &now) < 0)
                return true;
        if (k->settled && is_same(&now, &k->pins))
                return false;
        settled = is_settled(&now);
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++)
                if (k->link[h] >= 0 && !is_pinned(k, i, hold, cgroup_id, h))
                        return true;
        k->pins = now;
        k->settled = settled;
        return false;
}

bool kept_look(struct kept *k, const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id,
               struct kept_loss *ret) {
        *ret = (struct kept_loss) { 0 };
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                ret->link[h] = is_lost(k, h, cgroup_id);
                ret->any_link |= ret->link[h];
        }
        ret->pins = lost_pins(k, i, hold, cgroup_id);
        return ret->any_link || ret->pins;
}

static int attach(struct kept *k, struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id,
                  enum isolate_hook h) {
        int fd;

        if (k->prog[h] < 0)
                return -ENODATA;
        fd = isolate_attach_program(i, hold, cgroup_fd, cgroup_id, h, k->prog[h]);
        if (fd < 0)
                return fd;
        /* one that has another program now is still attached; it goes once ours is there */
        if (k->link[h] >= 0)
                (void) bpf_link_detach(k->link[h]);
        closep(&k->link[h]);
        k->link[h] = fd;
        return 0;
}

int kept_mend(struct kept *k, struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id,
              const struct kept_loss *loss) {
        int first = 0;

        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                int r = loss->link[h] ? attach(k, i, hold, cgroup_fd, cgroup_id, h) : 0;

                if (r == 0 && k->link[h] >= 0 && !is_pinned(k, i, hold, cgroup_id, h))
                        r = isolate_pin(i, hold, cgroup_id, h, k->link[h]);
                if (r < 0 && first == 0)
                        first = r;
        }
        k->settled = false;
        return first;
}

int kept_move(struct kept *k, struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id) {
        const struct kept_loss all = { .link = { [0 ... _ISOLATE_HOOK_MAX - 1] = true }, .any_link = true };

        return kept_mend(k, i, hold, cgroup_fd, cgroup_id, &all);
}
