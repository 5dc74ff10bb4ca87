/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/isolate.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/core/isolate_set.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"

struct hook_conf {
        const char *id;
        enum bpf_attach_type type;
        enum isolate_phase phase;
};

static const struct hook_conf hooks[_ISOLATE_HOOK_MAX] = {
#define X(name, id_, type_, phase_) [ISOLATE_##name] = { .id = id_, .type = type_, .phase = ISOLATE_##phase_ },
        ISOLATE_HOOK_TABLE(X)
#undef X
};

/* PINS/<32 hex>; PINS itself is an option of ours and short */
#define PIN_DIR_MAX 512
/* PINS/<32 hex>/<cgroup id>_freeze is the mark; no hook has that id */
#define MARK "_freeze"
/* PINS/attempts; no hold has that id */
#define RING "attempts"

struct isolate {
        char *pins;
        int ring; /* -EBADF: none, sets only count */
        struct isolate_set spare, taken;
        struct isolate_policy policy; /* of the taken one */
};

static int drop_message(enum libbpf_print_level level, const char *format, va_list args) {
        (void) level;
        (void) format;
        (void) args;
        return 0;
}

static int open_ring(const char *pins) {
        char path[PIN_DIR_MAX];

        (void) snprintf(path, sizeof(path), "%s/" RING, pins);
        return io_mkdirs(pins, 0700) < 0 ? -EBADF : isolate_ring_open(path);
}

int isolate_new(const char *pins, struct isolate **ret) {
        _cleanup_(isolate_freep) struct isolate *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        i->ring = -EBADF;
        i->pins = strdup(pins);
        if (!i->pins)
                return -ENOMEM;
        /* libbpf prints to stderr; the errno is what we report */
        (void) libbpf_set_print(drop_message);
        i->ring = open_ring(pins);
        (void) isolate_prepare(i);
        *ret = TAKE_PTR(i);
        return 0;
}

void isolate_free(struct isolate *i) {
        if (!i)
                return;
        isolate_set_close(&i->spare);
        isolate_set_close(&i->taken);
        closep(&i->ring);
        free(i->pins);
        free(i);
}

void isolate_freep(struct isolate **i) {
        isolate_free(*i);
}

int isolate_ring(const struct isolate *i) {
        return i->ring;
}

int isolate_prepare(struct isolate *i) {
        return i->spare.loaded ? 0 : isolate_set_load(i->ring, &i->spare);
}

void isolate_fill_permit(const struct permit *p, struct isolate_permit *ret) {
        uint8_t mask[16] = { 0 };

        *ret = (struct isolate_permit) {
                .port = p->port,
                .port_mask = p->port ? 0xffff : 0,
                .proto = p->proto,
                .proto_mask = p->proto ? 0xff : 0,
        };
        for (unsigned bit = 0; bit < p->prefix; bit++)
                mask[bit / 8] |= 0x80 >> (bit % 8);
        memcpy(ret->addr, p->addr, sizeof(ret->addr));
        memcpy(ret->mask, mask, sizeof(ret->mask));
}

void isolate_end(struct isolate *i) {
        isolate_set_close(&i->taken);
}

static void pin_dir(const struct isolate *i, const struct command_id *hold, char *ret, size_t n) {
        char id[33];

        command_id_to_str(hold, id);
        (void) snprintf(ret, n, "%s/%s", i->pins, id);
}

static void pin_path(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, enum isolate_hook h,
                     char *ret, size_t n) {
        char dir[PIN_DIR_MAX];

        pin_dir(i, hold, dir, sizeof(dir));
        (void) snprintf(ret, n, "%s/%llx_%s", dir, (unsigned long long) cgroup_id, hooks[h].id);
}

bool isolate_link_read(int fd, enum isolate_hook h, uint64_t cgroup_id, struct isolate_link *ret) {
        struct bpf_link_info info = { 0 };
        uint32_t size = sizeof(info);

        if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0 || info.type != BPF_LINK_TYPE_CGROUP)
                return false;
        /* A link detached by force, or whose cgroup is gone, reports cgroup 0. */
        if (info.cgroup.attach_type != hooks[h].type || info.cgroup.cgroup_id != cgroup_id)
                return false;
        *ret = (struct isolate_link) { .link_id = info.id,
                                       .prog_id = info.prog_id,
                                       .cgroup_id = info.cgroup.cgroup_id };
        return true;
}

int isolate_open_link(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, enum isolate_hook h,
                      struct isolate_link *ret) {
        char path[PATH_MAX];
        _cleanup_close_ int fd = -EBADF;

        pin_path(i, hold, cgroup_id, h, path, sizeof(path));
        fd = bpf_obj_get(path);
        return fd >= 0 && isolate_link_read(fd, h, cgroup_id, ret) ? TAKE_FD(fd) : -ENODATA;
}

static bool pin_read(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, enum isolate_hook h,
                     struct isolate_link *ret) {
        _cleanup_close_ int fd = isolate_open_link(i, hold, cgroup_id, h, ret);

        return fd >= 0;
}

static int fill_policy(const struct command_id *hold, const struct permit *a, size_t n_a, const struct permit *b,
                       size_t n_b, struct isolate_policy *ret) {
        *ret = (struct isolate_policy) { .n = (uint32_t) (n_a + n_b) };
        if (n_a + n_b > ISOLATE_PERMITS_MAX)
                return -E2BIG;
        for (size_t k = 0; k < n_a; k++)
                isolate_fill_permit(&a[k], &ret->permit[k]);
        for (size_t k = 0; k < n_b; k++)
                isolate_fill_permit(&b[k], &ret->permit[n_a + k]);
        for (size_t k = 0; k < ret->n; k++)
                ret->any_protocol |= ret->permit[k].proto_mask == 0;
        memcpy(ret->hold, hold->b, sizeof(ret->hold));
        return 0;
}

int isolate_begin(struct isolate *i, const struct command_id *hold, const struct permit *a, size_t n_a,
                  const struct permit *b, size_t n_b) {
        int r = fill_policy(hold, a, n_a, b, n_b, &i->policy);

        if (r == 0)
                r = isolate_prepare(i);
        if (r < 0)
                return r;
        r = isolate_set_fix(&i->spare, &i->policy);
        if (r < 0) {
                /* FAIL-CLOSED: with these permits in it, it may not become the set of a hold that permits nothing */
                isolate_set_close(&i->spare);
                return r;
        }
        isolate_set_close(&i->taken);
        i->taken = i->spare;
        i->spare = (struct isolate_set) { 0 };
        return 0;
}

bool isolate_is_ours(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, const struct permit *a,
                     size_t n_a, const struct permit *b, size_t n_b) {
        struct isolate_policy policy;
        struct isolate_link link;

        if (fill_policy(hold, a, n_a, b, n_b, &policy) < 0 || isolate_prepare(i) < 0)
                return true;
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++)
                if (pin_read(i, hold, cgroup_id, h, &link) && !isolate_set_is_twin(&i->spare, h, link.prog_id, &policy))
                        return false;
        return true;
}

int isolate_pin(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, enum isolate_hook h, int link) {
        char path[PATH_MAX], dir[PIN_DIR_MAX];
        int r = fault_effect("link-pin");

        pin_dir(i, hold, dir, sizeof(dir));
        if (r == 0)
                r = io_mkdirs(dir, 0700);
        if (r < 0)
                return r;
        pin_path(i, hold, cgroup_id, h, path, sizeof(path));
        (void) unlink(path); /* the pin of a link that no longer holds anything */
        return bpf_obj_pin(link, path) < 0 ? -errno : 0;
}

int isolate_stat(const struct isolate *i, const struct command_id *hold, struct stat *ret) {
        char dir[PIN_DIR_MAX];

        pin_dir(i, hold, dir, sizeof(dir));
        return stat(dir, ret) < 0 ? -errno : 0;
}

int isolate_attach_program(struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id,
                           enum isolate_hook h, int prog) {
        _cleanup_close_ int fd = -EBADF;
        int r = fault_effect("link-create");

        if (r < 0)
                return r;
        fd = bpf_link_create(prog, cgroup_fd, hooks[h].type, NULL);
        if (fd < 0)
                /* the cgroup's exclusive (not MULTI) program is refused with EPERM, and we hold every privilege */
                return errno == EPERM ? -EBUSY : -errno;
        r = isolate_pin(i, hold, cgroup_id, h, fd);
        return r < 0 ? r : TAKE_FD(fd);
}

static int attach_one(struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id,
                      enum isolate_hook h) {
        struct isolate_link there;
        _cleanup_close_ int fd = -EBADF;

        fd = isolate_open_link(i, hold, cgroup_id, h, &there);
        if (fd >= 0 && (isolate_set_is_twin(&i->taken, h, there.prog_id, &i->policy) ||
                        bpf_link_update(fd, i->taken.prog[h], NULL) == 0))
                return 0;
        closep(&fd);
        fd = isolate_attach_program(i, hold, cgroup_fd, cgroup_id, h, i->taken.prog[h]);
        return MIN(fd, 0);
}

int isolate_attach(struct isolate *i, const struct command_id *hold, int cgroup_fd, uint64_t cgroup_id,
                   enum isolate_phase phase) {
        char dir[PIN_DIR_MAX];
        int first;

        if (!i->taken.loaded)
                return -ENODATA;
        pin_dir(i, hold, dir, sizeof(dir));
        first = io_mkdirs(dir, 0700);
        if (first < 0)
                return first;
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                int r = hooks[h].phase == phase ? attach_one(i, hold, cgroup_fd, cgroup_id, h) : 0;

                if (r < 0 && first == 0)
                        first = r;
        }
        return first;
}

void isolate_read(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id,
                  struct isolate_link ret[static _ISOLATE_HOOK_MAX]) {
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++)
                if (!pin_read(i, hold, cgroup_id, h, &ret[h]))
                        ret[h] = (struct isolate_link) { 0 };
}

struct isolate_question isolate_question(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id) {
        struct isolate_question q = { 0 };
        struct isolate_link link;

        if (pin_read(i, hold, cgroup_id, ISOLATE_SETSOCKOPT, &link))
                (void) isolate_set_question(link.prog_id, &q);
        return q;
}

static int counter_map_of(uint32_t prog_id) {
        _cleanup_close_ int prog = bpf_prog_get_fd_by_id(prog_id);
        uint32_t ids[8], size = sizeof(struct bpf_prog_info);
        struct bpf_prog_info info = { .nr_map_ids = ELEMENTSOF(ids), .map_ids = (uint64_t) (uintptr_t) ids };

        if (prog < 0 || bpf_obj_get_info_by_fd(prog, &info, &size) < 0)
                return -ENOENT;
        for (uint32_t k = 0; k < MIN(info.nr_map_ids, ELEMENTSOF(ids)); k++) {
                _cleanup_close_ int map = bpf_map_get_fd_by_id(ids[k]);
                struct bpf_map_info map_info = { 0 };
                uint32_t map_size = sizeof(map_info);

                if (map >= 0 && bpf_obj_get_info_by_fd(map, &map_info, &map_size) == 0 &&
                    map_info.type == BPF_MAP_TYPE_PERCPU_ARRAY &&
                    map_info.value_size == sizeof(struct isolate_counters))
                        return TAKE_FD(map);
        }
        return -ENOENT;
}

bool isolate_count(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id,
                   struct isolate_counters *ret) {
        const int cpus = libbpf_num_possible_cpus();
        _cleanup_free_ struct isolate_counters *per_cpu = cpus > 0 ? calloc((size_t) cpus, sizeof(*per_cpu)) : NULL;
        const uint32_t zero = 0;
        struct isolate_link link;
        _cleanup_close_ int map = -EBADF;

        if (!per_cpu || !pin_read(i, hold, cgroup_id, ISOLATE_EGRESS, &link))
                return false;
        map = counter_map_of(link.prog_id);
        if (map < 0 || bpf_map_lookup_elem(map, &zero, per_cpu) < 0)
                return false;
        *ret = (struct isolate_counters) { 0 };
        for (int c = 0; c < cpus; c++) {
                ret->refused += per_cpu[c].refused;
                ret->dropped_out += per_cpu[c].dropped_out;
                ret->dropped_in += per_cpu[c].dropped_in;
                ret->passed_out += per_cpu[c].passed_out;
                ret->passed_in += per_cpu[c].passed_in;
        }
        return true;
}

static void mark_path(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, char *ret, size_t n) {
        char dir[PIN_DIR_MAX];

        pin_dir(i, hold, dir, sizeof(dir));
        (void) snprintf(ret, n, "%s/%llx" MARK, dir, (unsigned long long) cgroup_id);
}

int isolate_mark(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id) {
        char path[PATH_MAX];
        int r = fault_effect("freeze-mark");

        mark_path(i, hold, cgroup_id, path, sizeof(path));
        return r < 0 ? r : io_mkdirs(path, 0700);
}

void isolate_unmark(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id) {
        char path[PATH_MAX];

        mark_path(i, hold, cgroup_id, path, sizeof(path));
        (void) rmdir(path);
}

bool isolate_marked(const struct isolate *i, const struct command_id *hold, uint64_t cgroup_id) {
        char path[PATH_MAX];

        mark_path(i, hold, cgroup_id, path, sizeof(path));
        return access(path, F_OK) == 0;
}

/* Unpinning alone only schedules the detach; a release has to know that it happened. */
static int drop_one(int dir, const char *dir_path, const char *name) {
        char path[PATH_MAX];
        _cleanup_close_ int fd = -EBADF;
        struct bpf_link_info info = { 0 };
        uint32_t size = sizeof(info);
        int r;

        (void) snprintf(path, sizeof(path), "%s/%s", dir_path, name);
        r = fault_effect("link-detach");
        if (r < 0)
                return r;
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno != ENOTDIR)
                return 0; /* a mark, or already gone */
        fd = bpf_obj_get(path);
        if (fd < 0) /* nobody could tell whether it was detached */
                return errno == ENOENT ? 0 : -errno;
        if (bpf_link_detach(fd) < 0)
                return -errno;
        if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == BPF_LINK_TYPE_CGROUP &&
            info.cgroup.cgroup_id != 0)
                return -EBUSY;
        return unlinkat(dir, name, 0) < 0 ? -errno : 0;
}

int isolate_drop(struct isolate *i, const struct command_id *hold) {
        char path[PIN_DIR_MAX];
        struct dirent *e;
        DIR *d;
        int first = 0;

        pin_dir(i, hold, path, sizeof(path));
        d = opendir(path);
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while ((e = readdir(d))) {
                int r = e->d_name[0] == '.' ? 0 : drop_one(dirfd(d), path, e->d_name);

                if (r < 0 && first == 0)
                        first = r;
        }
        (void) closedir(d);
        if (first == 0 && rmdir(path) < 0)
                first = errno == ENOTEMPTY ? -EBUSY : -errno;
        return first;
}

size_t isolate_cgroups(const struct isolate *i, const struct command_id *hold, uint64_t *ret, size_t max) {
        char path[PIN_DIR_MAX];
        struct dirent *e;
        size_t n = 0;
        DIR *d;

        pin_dir(i, hold, path, sizeof(path));
        d = opendir(path);
        while (d && n < max && (e = readdir(d))) {
                char *end;
                const uint64_t id = strtoull(e->d_name, &end, 16);
                bool known = end == e->d_name || *end != '_';

                for (size_t k = 0; k < n && !known; k++)
                        known = ret[k] == id;
                if (!known)
                        ret[n++] = id;
        }
        if (d)
                (void) closedir(d);
        return n;
}

int isolate_each(const struct isolate *i, int (*fn)(const struct command_id *hold, void *userdata), void *userdata) {
        DIR *d = opendir(i->pins);
        struct dirent *e;
        int r = 0;

        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while (r >= 0 && (e = readdir(d))) {
                struct command_id id;

                if (command_id_from_str(e->d_name, &id) == 0)
                        r = fn(&id, userdata);
        }
        (void) closedir(d);
        return r;
}

const char *isolate_hook_id(enum isolate_hook h) {
        return hooks[h].id;
}

enum isolate_phase isolate_hook_phase(enum isolate_hook h) {
        return hooks[h].phase;
}
