/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/uplink.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/core/direct.h"
#include "agent/core/netns.h"
#include "agent/core/uplink_list.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"

/* linux/bpf.h of Debian 12 is older than TCX */
#define TCX_EGRESS   47
#define TYPE_TCX     11
#define BEFORE       (1U << 3)
#define PIN_PATH_MAX 512

/* The filter's place in clsact: the first priority, and a handle that says whose it is. */
#define TC_PRIORITY 1U

/* its ifindex in every network namespace */
#define LOOPBACK 1

/* a line for each protocol that the kernel knows */
#define PROTOCOLS_MAX 65536

struct visit {
        struct uplinks_of of;
        int prog; /* < 0: only look */
        bool replace;
        bool drop;
        int dropped;
        struct uplinks *ret;
};

static uint32_t tc_handle(const struct command_id *hold) {
        return 0x0f000000U | (uint32_t) hold->b[0] << 16 | (uint32_t) hold->b[1] << 8 | hold->b[2];
}

static void pin_path(const struct visit *v, const struct uplink *u, char *ret) {
        char id[33];

        command_id_to_str(v->of.hold, id);
        (void) snprintf(ret, PIN_PATH_MAX, "%s/%s/uplink_%llx_%u", v->of.pins, id, (unsigned long long) u->netns,
                        u->ifindex);
}

static bool tcx_read(int link, struct uplink *u) {
        struct bpf_link_info info = { 0 };
        uint32_t size = sizeof(info);

        /* its ifindex and attach type are where those of a namespace link are; a detached one has ifindex 0 */
        if (bpf_obj_get_info_by_fd(link, &info, &size) < 0 || info.type != TYPE_TCX ||
            info.netns.netns_ino != u->ifindex || info.netns.attach_type != TCX_EGRESS)
                return false;
        u->link_id = info.id;
        u->prog_id = info.prog_id;
        return true;
}

static int tcx_attach(const struct visit *v, struct uplink *u) {
        char path[PIN_PATH_MAX];
        _cleanup_close_ int link = -EBADF;
        LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = BEFORE);

        pin_path(v, u, path);
        link = bpf_obj_get(path);
        if (link >= 0 && tcx_read(link, u))
                return v->prog >= 0 && v->replace && bpf_link_update(link, v->prog, NULL) < 0 ? -errno : 0;
        if (v->prog < 0)
                return -ENODATA;
        (void) unlink(path);
        closep(&link);
        link = bpf_link_create(v->prog, (int) u->ifindex, (enum bpf_attach_type) TCX_EGRESS, &opts);
        if (link < 0)
                return -errno;
        u->mended = true;
        if (fault_effect("uplink-pin") < 0 || bpf_obj_pin(link, path) < 0)
                return -errno;
        return tcx_read(link, u) ? 0 : -ENODATA;
}

/* Kernels without TCX have no link for it: the filter stays until someone removes it. */
static int clsact_attach(const struct visit *v, struct uplink *u) {
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) u->ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, there, .handle = tc_handle(v->of.hold), .priority = TC_PRIORITY);
        LIBBPF_OPTS(bpf_tc_opts, opts, .handle = tc_handle(v->of.hold), .priority = TC_PRIORITY, .prog_fd = v->prog,
                    .flags = BPF_TC_F_REPLACE);
        int r = bpf_tc_query(&hook, &there);

        if (r == 0) {
                u->prog_id = there.prog_id;
                if (v->prog < 0 || !v->replace)
                        return 0;
        }
        if (v->prog < 0)
                return -ENODATA;
        r = bpf_tc_hook_create(&hook);
        if (r < 0 && r != -EEXIST)
                return r;
        r = bpf_tc_attach(&hook, &opts);
        if (r == 0) {
                u->mended = u->prog_id == 0;
                u->prog_id = opts.prog_id;
        }
        return r;
}

static void clsact_drop(struct visit *v, const struct uplink *u) {
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) u->ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, there, .handle = tc_handle(v->of.hold), .priority = TC_PRIORITY);
        LIBBPF_OPTS(bpf_tc_opts, gone, .handle = tc_handle(v->of.hold), .priority = TC_PRIORITY);

        if (bpf_tc_query(&hook, &there) < 0)
                return;
        /* an empty clsact stays: whose it was is not known, and it does nothing */
        if (bpf_tc_detach(&hook, &gone) < 0)
                v->dropped = -EBUSY;
}

/* How many AF_XDP sockets the namespace has: the kernel's table of protocols counts them, diag or not. */
static uint64_t count_xsk(void) {
        _cleanup_free_ char *text = NULL;
        unsigned long long n = 0;
        const char *line;

        /* FAIL-CLOSED: what cannot be counted may be there; a kernel that does not list it has none */
        if (io_read_file(AT_FDCWD, "/proc/thread-self/net/protocols", PROTOCOLS_MAX, &text, NULL) < 0)
                return 1;
        line = strstr(text, "\nXDP ");
        return line && sscanf(line, "\nXDP %*u %llu", &n) != 1 ? 1 : n;
}

static bool append(struct uplinks *l, const struct uplink *links, size_t n) {
        struct uplink *more = n > 0 ? reallocarray(l->v, l->n + n, sizeof(*more)) : NULL;

        if (!more)
                return n == 0;
        l->v = more;
        memcpy(l->v + l->n, links, n * sizeof(*links));
        l->n += n;
        return true;
}

static void cover(struct visit *v, struct uplink *links, size_t n) {
        struct uplinks *l = v->ret;

        for (size_t i = 0; i < n; i++)
                if (tcx_attach(v, &links[i]) < 0)
                        (void) clsact_attach(v, &links[i]);
        if (v->prog >= 0)
                direct_cover(v->of.hold, v->of.mark, links, n);
        else
                direct_read(v->of.hold, v->of.mark, links, n);
        l->n_xsk += count_xsk();
        l->unread |= !append(l, links, n);
}

static void drop(struct visit *v, const struct uplink *links, size_t n) {
        for (size_t i = 0; i < n; i++)
                clsact_drop(v, &links[i]);
        if (direct_drop(v->of.hold) < 0)
                v->dropped = -EBUSY;
}

/* In the namespace itself. */
static int visit_netns(uint64_t inode, void *userdata) {
        struct visit *v = userdata;
        struct uplink *links;
        size_t n;
        const int r = uplink_list(inode, &links, &n);

        if (v->drop)
                drop(v, links, n);
        else
                cover(v, links, n);
        free(links);
        return r;
}

static int visit_home(struct visit *v) {
        struct stat st;

        return stat("/proc/self/ns/net", &st) < 0 ? -errno : visit_netns(st.st_ino, v);
}

static int visit_all(struct visit *v) {
        return netns_each(visit_netns, v);
}

static int make_pin_dir(const struct visit *v) {
        char dir[PIN_PATH_MAX], id[33];

        command_id_to_str(v->of.hold, id);
        (void) snprintf(dir, sizeof(dir), "%s/%s", v->of.pins, id);
        return v->prog >= 0 ? io_mkdirs(dir, 0700) : 0;
}

static void look(struct visit *v, int (*where)(struct visit *v), struct uplinks *ret) {
        *ret = (struct uplinks) { 0 };
        v->ret = ret;
        ret->unread = make_pin_dir(v) < 0 || where(v) < 0 || ret->unread;
}

void uplinks_read(const struct uplinks_of *of, struct uplinks *ret) {
        struct visit v = { .of = *of, .prog = -EBADF };

        look(&v, visit_all, ret);
}

void uplinks_cover(const struct uplinks_of *of, int prog, bool replace, struct uplinks *ret) {
        struct visit v = { .of = *of, .prog = prog, .replace = replace };

        look(&v, visit_all, ret);
}

void uplinks_cover_home(const struct uplinks_of *of, int prog, struct uplinks *ret) {
        struct visit v = { .of = *of, .prog = prog };

        look(&v, visit_home, ret);
}

int uplinks_drop(const struct command_id *hold) {
        struct visit v = { .of = { .hold = hold }, .prog = -EBADF, .drop = true };
        const int r = visit_all(&v);

        return r < 0 ? -EBUSY : v.dropped;
}

void uplinks_done(struct uplinks *u) {
        free(u->v);
        *u = (struct uplinks) { 0 };
}

/* Goes on to whoever else is attached. */
static int load_nothing(void) {
        static const struct bpf_insn insns[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1 },
                { .code = BPF_JMP | BPF_EXIT },
        };
        const int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "freezed_try", "GPL", insns, ELEMENTSOF(insns), NULL);

        return fd < 0 ? -errno : fd;
}

int uplinks_try_tcx(void) {
        _cleanup_close_ int prog = load_nothing(), link = -EBADF;

        if (prog < 0)
                return prog;
        link = bpf_link_create(prog, LOOPBACK, (enum bpf_attach_type) TCX_EGRESS, NULL);
        return link < 0 ? -errno : 0;
}

int uplinks_try_clsact(void) {
        _cleanup_close_ int prog = load_nothing();
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = LOOPBACK, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog);
        LIBBPF_OPTS(bpf_tc_opts, gone);
        int r = prog < 0 ? prog : bpf_tc_hook_create(&hook);
        const bool made = r == 0;

        if (made || r == -EEXIST)
                r = bpf_tc_attach(&hook, &opts);
        if (r == 0) {
                gone.handle = opts.handle;
                gone.priority = opts.priority;
                r = bpf_tc_detach(&hook, &gone);
        }
        hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
        if (made && bpf_tc_hook_destroy(&hook) < 0)
                r = -EBUSY;
        return r;
}
