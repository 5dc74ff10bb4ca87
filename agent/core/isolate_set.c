/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/isolate_set.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/util/io.h"
#include "bpf/isolate.skel.h"

/* PROC_PID_INIT_INO of linux/proc_ns.h: the first process namespace's, in which the kernel numbers by itself */
#define PIDNS_FIRST 0xEFFFFFFCU
/* a program of ours has fewer */
#define MAPS_MAX   8U
#define FDINFO_MAX 4096U

static bool is_ring(int fd) {
        struct bpf_map_info info = { 0 };
        uint32_t size = sizeof(info);

        return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == BPF_MAP_TYPE_RINGBUF &&
               info.max_entries == ISOLATE_RING_SIZE;
}

int isolate_ring_open(const char *path) {
        _cleanup_close_ int fd = bpf_obj_get(path);

        if (fd >= 0)
                return is_ring(fd) ? TAKE_FD(fd) : -EEXIST;
        if (errno != ENOENT)
                return -errno;
        fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "isolate_ring", 0, 0, ISOLATE_RING_SIZE, NULL);
        if (fd < 0 || bpf_obj_pin(fd, path) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static void fill_telling(bool ring, struct isolate_telling *ret) {
        const uint64_t cpus = (uint64_t) MAX(libbpf_num_possible_cpus(), 1);
        struct stat st;

        *ret = (struct isolate_telling) {
                .interval_ns = 1000000000ULL * cpus / ISOLATE_TELL_PER_S,
                .burst = MAX(ISOLATE_TELL_BURST / cpus, 4U),
                .ring = ring,
        };
        if (getrandom(&ret->seed, sizeof(ret->seed), 0) != sizeof(ret->seed))
                ret->seed = 1;
        if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino != PIDNS_FIRST) {
                ret->pidns_dev = st.st_dev;
                ret->pidns_ino = st.st_ino;
        }
}

/* Above the levels that there are. */
static int draw_question(struct isolate_question *ret) {
        uint32_t drawn[2];

        if (getrandom(drawn, sizeof(drawn), 0) != sizeof(drawn))
                return -EIO;
        ret->level = (int32_t) (drawn[0] >> 2 | 1U << 30);
        ret->name = (int32_t) (drawn[1] >> 1);
        return 0;
}

static int take_fds(const struct isolate_bpf *skel, struct isolate_set *ret) {
        const struct bpf_program *progs[_ISOLATE_HOOK_MAX] = {
                [ISOLATE_SETSOCKOPT] = skel->progs.isolate_setsockopt,
                [ISOLATE_CREATE] = skel->progs.isolate_create,
                [ISOLATE_CONNECT4] = skel->progs.isolate_connect4,
                [ISOLATE_CONNECT6] = skel->progs.isolate_connect6,
                [ISOLATE_SENDMSG4] = skel->progs.isolate_sendmsg4,
                [ISOLATE_SENDMSG6] = skel->progs.isolate_sendmsg6,
                [ISOLATE_BIND4] = skel->progs.isolate_bind4,
                [ISOLATE_BIND6] = skel->progs.isolate_bind6,
                [ISOLATE_EGRESS] = skel->progs.isolate_egress,
                [ISOLATE_INGRESS] = skel->progs.isolate_ingress,
        };
        struct isolate_set s = { .loaded = true };
        int r = 0;

        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                s.prog[h] = fcntl(bpf_program__fd(progs[h]), F_DUPFD_CLOEXEC, 3);
                if (s.prog[h] < 0 && r == 0)
                        r = -errno;
        }
        s.policy = fcntl(bpf_map__fd(skel->maps.isolate_policy), F_DUPFD_CLOEXEC, 3);
        if (s.policy < 0 && r == 0)
                r = -errno;
        if (r < 0)
                isolate_set_close(&s);
        else
                *ret = s;
        return r;
}

static int load(int ring, struct isolate_set *ret) {
        struct isolate_bpf *skel = isolate_bpf__open();
        int r;

        if (!skel)
                return errno > 0 ? -errno : -EIO;
        fill_telling(ring >= 0, (struct isolate_telling *) &skel->rodata->isolate_telling);
        r = draw_question((struct isolate_question *) &skel->rodata->isolate_question);
        if (r == 0)
                r = ring >= 0 ? bpf_map__reuse_fd(skel->maps.isolate_ring, ring)
                              : bpf_map__set_autocreate(skel->maps.isolate_ring, false);
        if (r == 0)
                r = isolate_bpf__load(skel);
        if (r == 0)
                r = take_fds(skel, ret);
        isolate_bpf__destroy(skel);
        return r;
}

int isolate_set_load(int ring, struct isolate_set *ret) {
        int r = ring >= 0 ? load(ring, ret) : -EBADF;

        return r < 0 ? load(-EBADF, ret) : 0;
}

int isolate_set_fix(struct isolate_set *s, const struct isolate_policy *policy) {
        const uint32_t zero = 0;

        return bpf_map_update_elem(s->policy, &zero, policy, BPF_ANY) < 0 || bpf_map_freeze(s->policy) < 0 ? -errno : 0;
}

static bool is_frozen(int map) {
        _cleanup_free_ char *text = NULL;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map);
        return io_read_file(AT_FDCWD, path, FDINFO_MAX, &text, NULL) == 0 && strstr(text, "\nfrozen:\t1\n");
}

/* -ENOENT for a map of something else, 1 for one that says so for good. */
static int says(uint32_t map_id, const struct isolate_policy *policy) {
        _cleanup_close_ int map = bpf_map_get_fd_by_id(map_id);
        struct bpf_map_info info = { 0 };
        uint32_t size = sizeof(info);
        const uint32_t zero = 0;
        struct isolate_policy now;

        if (map < 0 || bpf_obj_get_info_by_fd(map, &info, &size) < 0)
                return -errno;
        if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size != sizeof(now))
                return -ENOENT;
        return bpf_map_lookup_elem(map, &zero, &now) == 0 && memcmp(&now, policy, sizeof(now)) == 0 && is_frozen(map);
}

static int program_info(int fd, uint32_t *maps, uint32_t n_maps, struct bpf_prog_info *ret) {
        uint32_t size = sizeof(*ret);

        *ret = (struct bpf_prog_info) { .nr_map_ids = n_maps, .map_ids = (uint64_t) (uintptr_t) maps };
        return bpf_obj_get_info_by_fd(fd, ret, &size) < 0 ? -errno : 0;
}

bool isolate_set_question(uint32_t prog_id, struct isolate_question *ret) {
        _cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);
        struct bpf_prog_info prog;
        uint32_t maps[MAPS_MAX];

        if (fd < 0 || program_info(fd, maps, MAPS_MAX, &prog) < 0)
                return false;
        for (uint32_t k = 0; k < MIN(prog.nr_map_ids, MAPS_MAX); k++) {
                _cleanup_close_ int map = bpf_map_get_fd_by_id(maps[k]);
                struct bpf_map_info info = { 0 };
                uint32_t size = sizeof(info);
                const uint32_t zero = 0;
                struct isolate_bpf__rodata fixed;

                if (map >= 0 && bpf_obj_get_info_by_fd(map, &info, &size) == 0 && info.type == BPF_MAP_TYPE_ARRAY &&
                    info.value_size == sizeof(fixed) && bpf_map_lookup_elem(map, &zero, &fixed) == 0) {
                        *ret = fixed.isolate_question;
                        return true;
                }
        }
        return false;
}

bool isolate_set_is_twin(const struct isolate_set *s, enum isolate_hook h, uint32_t prog_id,
                         const struct isolate_policy *policy) {
        _cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);
        struct bpf_prog_info ours, its;
        uint32_t maps[MAPS_MAX];
        bool follows = false;

        /* the tag is a digest of the instructions without the maps in them */
        if (fd < 0 || program_info(s->prog[h], NULL, 0, &ours) < 0 || program_info(fd, maps, MAPS_MAX, &its) < 0 ||
            its.type != ours.type || memcmp(its.tag, ours.tag, sizeof(ours.tag)) != 0 || its.nr_map_ids > MAPS_MAX)
                return false;
        for (uint32_t k = 0; k < its.nr_map_ids; k++) {
                const int r = says(maps[k], policy);

                if (r != -ENOENT && r <= 0)
                        return false;
                follows |= r > 0;
        }
        return follows;
}

void isolate_set_close(struct isolate_set *s) {
        if (!s->loaded)
                return;
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++)
                closep(&s->prog[h]);
        closep(&s->policy);
        s->loaded = false;
}
