/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/programs.h"

#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/collect/attrs.h"

#define IDS_MAX    16384U
#define INSNS_MAX  (8U * 1024 * 1024) /* a million instructions, the verifier's own bound */
#define MAPS_MAX   64U                /* that one program can use, as the kernel has it */
#define CGROUP_MAX 64U                /* programs of one kind on a cgroup and above it, likewise */
#define LINK_SIZE  128U
#define LINK_HEAD  16U /* what comes before the part that depends on the type */
#define NAME_SIZE  4096U

#define PROGRAM(member, as) \
        { #member, offsetof(struct bpf_prog_info, member), ATTRS_##as, 0 }
#define MAP(member, as) \
        { #member, offsetof(struct bpf_map_info, member), ATTRS_##as, 0 }

static const struct attrs_field program_fields[] = {
        PROGRAM(id, U32),
        { "tag", offsetof(struct bpf_prog_info, tag), ATTRS_HEX, BPF_TAG_SIZE },
        PROGRAM(jited_prog_len, U32),
        PROGRAM(xlated_prog_len, U32),
        PROGRAM(load_time, U64),
        PROGRAM(created_by_uid, U32),
        PROGRAM(ifindex, U32),
        PROGRAM(netns_dev, U64),
        PROGRAM(netns_ino, U64),
        PROGRAM(btf_id, U32),
        PROGRAM(run_time_ns, U64),
        PROGRAM(run_cnt, U64),
        PROGRAM(recursion_misses, U64),
        PROGRAM(verified_insns, U32),
        PROGRAM(attach_btf_obj_id, U32),
        PROGRAM(attach_btf_id, U32),
        { 0 },
};

static const struct attrs_field map_fields[] = {
        MAP(id, U32),      MAP(key_size, U32),  MAP(value_size, U32), MAP(max_entries, U32), MAP(map_flags, U32),
        MAP(ifindex, U32), MAP(netns_dev, U64), MAP(netns_ino, U64),  MAP(btf_id, U32),      { 0 },
};

static const struct attrs_field link_fields[] = { { "id", 4, ATTRS_U32, 0 }, { "prog", 8, ATTRS_U32, 0 }, { 0 } };
static const struct attrs_field link_cgroup[] = { { "cgroup", 16, ATTRS_U64, 0 },
                                                  { "attach_type", 24, ATTRS_U32, 0 },
                                                  { 0 } };
static const struct attrs_field link_tracing[] = { { "attach_type", 16, ATTRS_U32, 0 },
                                                   { "target_obj", 20, ATTRS_U32, 0 },
                                                   { "target_btf", 24, ATTRS_U32, 0 },
                                                   { 0 } };
static const struct attrs_field link_netns[] = { { "netns_ino", 16, ATTRS_U32, 0 },
                                                 { "attach_type", 20, ATTRS_U32, 0 },
                                                 { 0 } };
static const struct attrs_field link_device[] = { { "ifindex", 16, ATTRS_U32, 0 },
                                                  { "attach_type", 20, ATTRS_U32, 0 },
                                                  { 0 } };
static const struct attrs_field link_xdp[] = { { "ifindex", 16, ATTRS_U32, 0 }, { 0 } };
static const struct attrs_field link_map[] = { { "map", 16, ATTRS_U32, 0 }, { 0 } };
static const struct attrs_field link_netfilter[] = {
        { "pf", 16, ATTRS_U32, 0 }, { "hook", 20, ATTRS_U32, 0 }, { "priority", 24, ATTRS_U32, 0 }, { 0 }
};
static const struct attrs_field link_perf[] = { { "event", 16, ATTRS_U32, 0 }, { "offset", 36, ATTRS_U32, 0 }, { 0 } };

/* Kernels know more types than the headers that this is built with. Of the others the bytes are kept. */
static const struct {
        uint32_t type;
        const char *name;
        const struct attrs_field *fields;
        uint8_t name_at; /* where a pointer to a name is taken, its size 8 bytes later; 0: none */
} link_types[] = {
        { 1, "raw_tracepoint", NULL, 16 },      { 2, "tracing", link_tracing, 0 },
        { 3, "cgroup", link_cgroup, 0 },        { 4, "iter", NULL, 16 },
        { 5, "netns", link_netns, 0 },          { 6, "xdp", link_xdp, 0 },
        { 7, "perf_event", link_perf, 24 },     { 9, "struct_ops", link_map, 0 },
        { 10, "netfilter", link_netfilter, 0 }, { 11, "tcx", link_device, 0 },
        { 13, "netkit", link_device, 0 },
};

static const enum bpf_attach_type cgroup_types[] = {
        BPF_CGROUP_INET_INGRESS,
        BPF_CGROUP_INET_EGRESS,
        BPF_CGROUP_INET_SOCK_CREATE,
        BPF_CGROUP_SOCK_OPS,
        BPF_CGROUP_DEVICE,
        BPF_CGROUP_INET4_BIND,
        BPF_CGROUP_INET6_BIND,
        BPF_CGROUP_INET4_CONNECT,
        BPF_CGROUP_INET6_CONNECT,
        BPF_CGROUP_INET4_POST_BIND,
        BPF_CGROUP_INET6_POST_BIND,
        BPF_CGROUP_UDP4_SENDMSG,
        BPF_CGROUP_UDP6_SENDMSG,
        BPF_CGROUP_SYSCTL,
        BPF_CGROUP_UDP4_RECVMSG,
        BPF_CGROUP_UDP6_RECVMSG,
        BPF_CGROUP_GETSOCKOPT,
        BPF_CGROUP_SETSOCKOPT,
        BPF_CGROUP_INET4_GETPEERNAME,
        BPF_CGROUP_INET6_GETPEERNAME,
        BPF_CGROUP_INET4_GETSOCKNAME,
        BPF_CGROUP_INET6_GETSOCKNAME,
        BPF_CGROUP_INET_SOCK_RELEASE,
};

static int set_type(json_t *o, const char *name, const char *known, uint32_t number) {
        return json_object_set_new(o, name, known ? json_string(known) : json_integer(number)) < 0 ? -ENOMEM : 0;
}

static int set_name(json_t *o, const char *name, size_t max) {
        size_t n = strnlen(name, max);

        return n > 0 ? index_set_bytes(o, "name", name, n) : 0;
}

/* What is loaded comes and goes: what is gone when it is looked at is left out. */
static bool is_gone(int err) {
        return err == -ENOENT;
}

/* Calls put for each object of the kernel's that next and open know. */
static void copy_ids(struct reader_out *o, const char *kind, int (*next)(__u32 start, __u32 *ret),
                     int (*open)(__u32 id), int (*put)(struct reader_out *o, int fd)) {
        int64_t n = 0;
        __u32 id = 0;
        int r = reader_begin(o, kind, kind);

        while (r == 0 && next(id, &id) == 0) {
                _cleanup_close_ int fd = open(id);

                r = ++n > IDS_MAX ? -EOVERFLOW : fd >= 0 ? put(o, fd) : is_gone(-errno) ? 0 : -errno;
        }
        /* how next said that there are no more */
        if (r == 0 && !is_gone(-errno))
                r = -errno;
        (void) !reader_end(o, r, -1, false);
}

static int put_program(struct reader_out *o, int fd) {
        struct bpf_prog_info info = { .nr_map_ids = MAPS_MAX };
        uint32_t maps[MAPS_MAX], size = sizeof(info);
        _cleanup_json_ json_t *line = json_object(), *ids = json_array();
        int r;

        info.map_ids = (uintptr_t) maps;
        if (!line || !ids)
                return -ENOMEM;
        if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
                return -errno;
        r = set_type(line, "type", libbpf_bpf_prog_type_str(info.type), info.type);
        if (r == 0)
                r = set_name(line, info.name, sizeof(info.name));
        if (r == 0)
                r = attrs_fields(line, &info, size, program_fields);
        for (size_t i = 0; r == 0 && i < MIN(info.nr_map_ids, MAPS_MAX); i++)
                r = json_array_append_new(ids, json_integer(maps[i])) < 0 ? -ENOMEM : 0;
        if (r == 0 && json_object_set(line, "map_ids", ids) < 0)
                r = -ENOMEM;
        return r < 0 ? r : reader_line(o, line);
}

static int put_map(struct reader_out *o, int fd) {
        struct bpf_map_info info = { 0 };
        uint32_t size = sizeof(info);
        _cleanup_json_ json_t *line = json_object();
        int r;

        if (!line)
                return -ENOMEM;
        if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
                return -errno;
        r = set_type(line, "type", libbpf_bpf_map_type_str(info.type), info.type);
        if (r == 0)
                r = set_name(line, info.name, sizeof(info.name));
        if (r == 0)
                r = attrs_fields(line, &info, size, map_fields);
        return r < 0 ? r : reader_line(o, line);
}

/* Asks again, with room for a name. */
static int add_link_name(json_t *line, int fd, unsigned at) {
        char name[NAME_SIZE] = "";
        uint8_t info[LINK_SIZE] = { 0 };
        const uint64_t pointer = (uintptr_t) name;
        const uint32_t n = sizeof(name);
        uint32_t size = sizeof(info);

        memcpy(info + at, &pointer, sizeof(pointer));
        memcpy(info + at + sizeof(pointer), &n, sizeof(n));
        if (bpf_obj_get_info_by_fd(fd, info, &size) < 0)
                return json_object_set_new(line, "name_errno", json_string(strerrorname_np(errno))) < 0 ? -ENOMEM : 0;
        return set_name(line, name, sizeof(name));
}

static int add_link_parts(json_t *line, int fd, const uint8_t *info, size_t n) {
        static const struct attrs_field rest[] = { { "info", LINK_HEAD, ATTRS_HEX, 48 }, { 0 } };
        uint32_t type;
        int r;

        memcpy(&type, info, sizeof(type));
        for (size_t i = 0; i < ELEMENTSOF(link_types); i++) {
                if (link_types[i].type != type)
                        continue;
                r = set_type(line, "type", link_types[i].name, type);
                if (r == 0 && link_types[i].fields)
                        r = attrs_fields(line, info, n, link_types[i].fields);
                return r < 0 || link_types[i].name_at == 0 ? r : add_link_name(line, fd, link_types[i].name_at);
        }
        r = set_type(line, "type", NULL, type);
        return r < 0 ? r : attrs_fields(line, info, LINK_SIZE, rest);
}

static int put_link(struct reader_out *o, int fd) {
        uint8_t info[LINK_SIZE] = { 0 };
        uint32_t size = sizeof(info);
        _cleanup_json_ json_t *line = json_object();
        int r;

        if (!line)
                return -ENOMEM;
        if (bpf_obj_get_info_by_fd(fd, info, &size) < 0)
                return -errno;
        r = attrs_fields(line, info, size, link_fields);
        if (r == 0)
                r = add_link_parts(line, fd, info, size);
        return r < 0 ? r : reader_line(o, line);
}

/* The instructions as the kernel runs them, struct bpf_insn one after the other, as bpftool's `dump xlated file`. */
static void copy_insns(struct reader_out *o, int fd, uint32_t id) {
        struct bpf_prog_info info = { 0 };
        uint32_t size = sizeof(info);
        char source[32];
        int r = bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? -errno : 0;
        const uint32_t n = r == 0 ? info.xlated_prog_len : 0;
        _cleanup_free_ void *insns = NULL;

        (void) snprintf(source, sizeof(source), "program %u", id);
        if (reader_begin(o, "bpf-insns", source) < 0)
                return;
        insns = n > 0 && n <= INSNS_MAX ? calloc(1, n) : NULL;
        if (r == 0 && !insns)
                r = n == 0 ? -EPERM : n > INSNS_MAX ? -EFBIG : -ENOMEM;
        size = sizeof(info);
        info = (struct bpf_prog_info) { .xlated_prog_len = n, .xlated_prog_insns = (uintptr_t) insns };
        if (r == 0 && bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
                r = -errno;
        /* how the kernel says that it does not tell */
        if (r == 0 && info.xlated_prog_insns == 0)
                r = -EPERM;
        if (r == 0)
                r = reader_write(o, insns, n);
        (void) !reader_end(o, r, n > 0 ? (int64_t) n : -1, false);
}

static void copy_all_insns(struct reader_out *o) {
        __u32 id = 0;

        for (unsigned n = 0; n < IDS_MAX && bpf_prog_get_next_id(id, &id) == 0; n++) {
                _cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);

                if (fd >= 0)
                        copy_insns(o, fd, id);
        }
}

static int put_attached(struct reader_out *o, const char *cgroup, enum bpf_attach_type type, const uint32_t *ids,
                        uint32_t n) {
        _cleanup_json_ json_t *line = json_object(), *array = json_array();
        int r = line && array ? 0 : -ENOMEM;

        for (uint32_t i = 0; r == 0 && i < n; i++)
                r = json_array_append_new(array, json_integer(ids[i])) < 0 ? -ENOMEM : 0;
        if (r == 0)
                r = index_set_bytes(line, "cgroup", cgroup, strlen(cgroup));
        if (r == 0)
                r = set_type(line, "attach_type", libbpf_bpf_attach_type_str(type), type);
        if (r == 0 && json_object_set(line, "programs", array) < 0)
                r = -ENOMEM;
        return r < 0 ? r : reader_line(o, line);
}

static int copy_cgroup(struct reader_out *o, const struct target *t) {
        for (size_t i = 0; i < ELEMENTSOF(cgroup_types); i++) {
                uint32_t ids[CGROUP_MAX], flags = 0, n = ELEMENTSOF(ids);
                int r = bpf_prog_query(t->dir, cgroup_types[i], BPF_F_QUERY_EFFECTIVE, &flags, ids, &n);

                /* a kind that this kernel does not have */
                if (r < 0 && errno == EINVAL)
                        continue;
                r = r < 0 ? -errno : n > 0 ? put_attached(o, t->path, cgroup_types[i], ids, n) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static void copy_cgroups(struct reader_out *o, const struct target_set *t) {
        int r = reader_begin(o, "bpf-cgroups", "bpf-cgroups");

        for (size_t i = 0; r == 0 && i < t->n_targets; i++)
                if (t->targets[i].dir >= 0)
                        r = copy_cgroup(o, &t->targets[i]);
        (void) !reader_end(o, r, -1, false);
}

void programs_copy(struct reader_out *o, const struct target_set *t) {
        copy_cgroups(o, t);
        copy_ids(o, "bpf-attachments", bpf_link_get_next_id, bpf_link_get_fd_by_id, put_link);
        copy_ids(o, "bpf-programs", bpf_prog_get_next_id, bpf_prog_get_fd_by_id, put_program);
        copy_ids(o, "bpf-maps", bpf_map_get_next_id, bpf_map_get_fd_by_id, put_map);
        copy_all_insns(o);
}
