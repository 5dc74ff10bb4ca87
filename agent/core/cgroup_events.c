/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/cgroup_events.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/util/io.h"
#include "bpf/cgroup_events.skel.h"

struct cgroup_events {
        char *pin;
        struct cgroup_events_bpf *skel;
        struct ring_buffer *ring;
        struct bpf_link *fork_link, *exit_link, *socket_link;
        uint64_t no_room; /* for processes that were to be held from here */
        /* of the read that is going on */
        cgroup_events_fn fn;
        void *userdata;
        size_t left;
};

static int on_event(void *context, void *data, size_t size) {
        struct cgroup_events *e = context;

        if (size == sizeof(struct cgroup_event))
                e->fn(data, e->userdata);
        /* this one is read; other than 0 leaves the rest for later */
        return --e->left == 0 ? -EAGAIN : 0;
}

static int pidns_inum(uint32_t *ret) {
        struct stat st;

        if (stat("/proc/self/ns/pid", &st) < 0)
                return -errno;
        *ret = (uint32_t) st.st_ino;
        return 0;
}

/* The held processes of a predecessor, if they are of the same shape; else a new set. */
static void reuse_held(struct cgroup_events *e) {
        _cleanup_close_ int fd = bpf_obj_get(e->pin);
        struct bpf_map_info info = { 0 };
        uint32_t size = sizeof(info);

        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == BPF_MAP_TYPE_HASH &&
            info.value_size == sizeof(struct cgroup_held) && info.max_entries == CGROUP_HELD_MAX &&
            bpf_map__reuse_fd(e->skel->maps.cgroup_held, fd) == 0)
                return;
        (void) unlink(e->pin);
}

static int load(struct cgroup_events *e) {
        int r;

        e->skel = cgroup_events_bpf__open();
        if (!e->skel)
                return errno > 0 ? -errno : -ENOMEM;
        r = pidns_inum((uint32_t *) &e->skel->rodata->pidns_inum);
        if (r < 0)
                return r;
        e->skel->rodata->core_pid = (uint32_t) getpid();
        reuse_held(e);
        bpf_program__set_autoattach(e->skel->progs.watch_fork, false);
        bpf_program__set_autoattach(e->skel->progs.watch_exit, false);
        bpf_program__set_autoattach(e->skel->progs.watch_socket, false);
        r = cgroup_events_bpf__load(e->skel);
        return r < 0 ? r : cgroup_events_bpf__attach(e->skel);
}

int cgroup_events_new(const char *pin, struct cgroup_events **ret) {
        _cleanup_(cgroup_events_freep) struct cgroup_events *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->pin = strdup(pin);
        if (!e->pin)
                return -ENOMEM;
        r = load(e);
        if (r < 0)
                return r;
        e->ring = ring_buffer__new(bpf_map__fd(e->skel->maps.cgroup_ring), on_event, e, NULL);
        if (!e->ring)
                return -errno;
        *ret = TAKE_PTR(e);
        return 0;
}

void cgroup_events_free(struct cgroup_events *e) {
        if (!e)
                return;
        (void) bpf_link__destroy(e->fork_link);
        (void) bpf_link__destroy(e->exit_link);
        (void) bpf_link__destroy(e->socket_link);
        ring_buffer__free(e->ring);
        cgroup_events_bpf__destroy(e->skel);
        free(e->pin);
        free(e);
}

void cgroup_events_freep(struct cgroup_events **e) {
        cgroup_events_free(*e);
}

int cgroup_events_each_map(const struct cgroup_events *e, int (*fn)(int fd, void *userdata), void *userdata) {
        struct bpf_map *m;
        int r = 0;

        bpf_object__for_each_map(m, e->skel->obj) if (r == 0) r = fn(bpf_map__fd(m), userdata);
        return r;
}

int cgroup_events_fd(const struct cgroup_events *e) {
        return ring_buffer__epoll_fd(e->ring);
}

void cgroup_events_read(struct cgroup_events *e, size_t max, cgroup_events_fn fn, void *userdata) {
        e->fn = fn;
        e->userdata = userdata;
        e->left = max;
        (void) ring_buffer__consume(e->ring);
}

uint64_t cgroup_events_lost(const struct cgroup_events *e, enum cgroup_loss what) {
        const uint32_t key = what;
        uint64_t n = 0;

        (void) bpf_map_lookup_elem(bpf_map__fd(e->skel->maps.cgroup_lost), &key, &n);
        return n + (what == CGROUP_LOST_PROCESS ? e->no_room : 0);
}

/* Takes out of a map what is not among these keys, which begin items of that size. */
static void keep_keys(int fd, const void *items, size_t item_size, size_t key_size, size_t n) {
        char key[sizeof(struct cgroup_name)], next[sizeof(struct cgroup_name)];
        bool more = bpf_map_get_next_key(fd, NULL, next) == 0;

        while (more) {
                bool wanted = false;

                memcpy(key, next, key_size);
                more = bpf_map_get_next_key(fd, key, next) == 0;
                for (size_t i = 0; i < n && !wanted; i++)
                        wanted = memcmp((const char *) items + i * item_size, key, key_size) == 0;
                if (!wanted)
                        (void) bpf_map_delete_elem(fd, key);
        }
}

void cgroup_events_add_site(struct cgroup_events *e, const struct cgroup_events_site *site) {
        const int fd = bpf_map__fd(e->skel->maps.cgroup_site);
        uint8_t bits = 0;

        (void) bpf_map_lookup_elem(fd, &site->cgroup_id, &bits);
        bits |= CGROUP_SITE_HELD | (site->frozen ? CGROUP_SITE_FROZEN : 0) |
                (site->isolated ? CGROUP_SITE_ISOLATED : 0);
        (void) bpf_map_update_elem(fd, &site->cgroup_id, &bits, BPF_ANY);
}

void cgroup_events_set_sites(struct cgroup_events *e, const struct cgroup_events_site *sites, size_t n) {
        const int fd = bpf_map__fd(e->skel->maps.cgroup_site);

        keep_keys(fd, sites, sizeof(*sites), sizeof(sites->cgroup_id), n);
        for (size_t i = 0; i < n; i++) {
                uint8_t bits = CGROUP_SITE_HELD;

                /* one of several holds of the same cgroup may be enough */
                for (size_t k = 0; k <= i; k++)
                        if (sites[k].cgroup_id == sites[i].cgroup_id)
                                bits |= (sites[k].frozen ? CGROUP_SITE_FROZEN : 0) |
                                        (sites[k].isolated ? CGROUP_SITE_ISOLATED : 0);
                (void) bpf_map_update_elem(fd, &sites[i].cgroup_id, &bits, BPF_ANY);
        }
}

void cgroup_events_set_names(struct cgroup_events *e, const char *const *names, size_t n) {
        _cleanup_free_ struct cgroup_name *keys = calloc(n ? n : 1, sizeof(*keys));
        const int fd = bpf_map__fd(e->skel->maps.cgroup_name);
        const uint8_t one = 1;

        for (size_t i = 0; keys && i < n; i++)
                (void) strncpy(keys[i].s, names[i], sizeof(keys[i].s) - 1);
        if (!keys)
                return;
        keep_keys(fd, keys, sizeof(*keys), sizeof(*keys), n);
        for (size_t i = 0; i < n; i++)
                (void) bpf_map_update_elem(fd, &keys[i], &one, BPF_ANY);
}

void cgroup_events_follow_forks(struct cgroup_events *e, bool follow) {
        if (follow && !e->fork_link) {
                e->fork_link = bpf_program__attach(e->skel->progs.watch_fork);
                e->exit_link = bpf_program__attach(e->skel->progs.watch_exit);
        } else if (!follow && e->fork_link) {
                (void) bpf_link__destroy(e->fork_link);
                (void) bpf_link__destroy(e->exit_link);
                e->fork_link = e->exit_link = NULL;
        }
}

static bool is_attached(const struct bpf_link *link) {
        struct bpf_link_info info = { 0 };
        uint32_t size = sizeof(info);

        return bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) == 0 && info.cgroup.cgroup_id != 0;
}

bool cgroup_events_refuse_outside(struct cgroup_events *e, int top) {
        const bool lost = top >= 0 && e->socket_link && !is_attached(e->socket_link);

        if (top >= 0 && e->socket_link && !lost)
                return false;
        (void) bpf_link__destroy(e->socket_link);
        e->socket_link = top >= 0 ? bpf_program__attach_cgroup(e->skel->progs.watch_socket, top) : NULL;
        return lost;
}

/* Field 22 of /proc/PID/stat; 0 when there is no such process, or nothing of it runs any more: who is dead and not yet
 * buried is in no cgroup. */
static uint64_t start_ticks(pid_t pid) {
        _cleanup_free_ char *text = NULL;
        unsigned long long threads, ticks;
        char path[32], state, *at;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        if (io_read_file(AT_FDCWD, path, 4096, &text, NULL) < 0)
                return 0;
        /* the second field is a name in parentheses, of the process's own choice */
        at = strrchr(text, ')');
        if (!at || sscanf(at + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %llu %*d %llu",
                          &state, &threads, &ticks) != 3)
                return 0;
        /* its first thread may have ended before the others */
        return (state == 'Z' || state == 'X') && threads <= 1 ? 0 : ticks;
}

/* Of an older core's map neither. */
static bool is_never_held(pid_t pid) {
        return pid == 1 || pid == getpid();
}

uint64_t cgroup_events_hold(struct cgroup_events *e, pid_t pid, uint64_t cgroup_id, uint64_t instead_of) {
        const int fd = bpf_map__fd(e->skel->maps.cgroup_held);
        const uint32_t key = (uint32_t) pid;
        struct cgroup_held was, now = { .start_ticks = start_ticks(pid), .cgroup_id = cgroup_id };

        if (now.start_ticks == 0 || is_never_held(pid))
                return 0;
        if (bpf_map_lookup_elem(fd, &key, &was) == 0 && was.start_ticks == now.start_ticks &&
            was.cgroup_id != instead_of)
                return was.cgroup_id;
        if (bpf_map_update_elem(fd, &key, &now, BPF_ANY) == 0)
                return cgroup_id;
        e->no_room++;
        return 0;
}

void cgroup_events_each_held(struct cgroup_events *e, cgroup_events_each_fn fn, void *userdata) {
        const int fd = bpf_map__fd(e->skel->maps.cgroup_held);
        struct cgroup_held h;
        uint32_t key, next;
        bool more = bpf_map_get_next_key(fd, NULL, &next) == 0;

        /* ends also where the set is changed under it: keys come again then, and no more than there is room for */
        for (size_t n = 0; more && n < CGROUP_HELD_MAX; n++) {
                uint64_t at;

                key = next;
                more = bpf_map_get_next_key(fd, &key, &next) == 0;
                if (bpf_map_lookup_elem(fd, &key, &h) < 0)
                        continue;
                at = h.cgroup_id;
                if (is_never_held((pid_t) key) || start_ticks((pid_t) key) != h.start_ticks ||
                    !fn((pid_t) key, &at, userdata)) {
                        (void) bpf_map_delete_elem(fd, &key);
                } else if (h.cgroup_id != at) {
                        h.cgroup_id = at;
                        (void) bpf_map_update_elem(fd, &key, &h, BPF_EXIST);
                }
        }
        /* the pin is there as long as there is something to remember */
        if (bpf_map_get_next_key(fd, NULL, &next) == 0)
                (void) bpf_obj_pin(fd, e->pin);
        else
                (void) unlink(e->pin);
}

uint64_t cgroup_events_held_at(const struct cgroup_events *e, pid_t pid) {
        const uint32_t key = (uint32_t) pid;
        struct cgroup_held h;

        return !is_never_held(pid) && bpf_map_lookup_elem(bpf_map__fd(e->skel->maps.cgroup_held), &key, &h) == 0 &&
                               h.start_ticks == start_ticks(pid)
                       ? h.cgroup_id
                       : 0;
}
