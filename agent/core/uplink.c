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
#include "agent/core/uplink_prog.h"
#include "agent/util/alive.h"
#include "agent/util/io.h"

#define NEXT (-1) /* to whoever else is attached */

/* its ifindex in every network namespace */
#define LOOPBACK 1

/* a line for each protocol that the kernel knows */
#define PROTOCOLS_MAX 65536

struct visit {
        struct uplinks_of of;
        int prog; /* < 0: only look */
        bool is_new;
        bool drop;
        int dropped;
        struct uplinks *ret;
};

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

        /* nothing leads out of most namespaces that somebody makes, and they are not to cost anything */
        if (n == 0)
                return;
        for (size_t i = 0; i < n; i++) {
                if (v->prog >= 0)
                        uplink_prog_cover(&v->of, v->prog, v->is_new, &links[i]);
                else
                        uplink_prog_read(&v->of, &links[i]);
                alive();
        }
        if (v->prog >= 0)
                direct_cover(v->of.hold, v->of.mark, links, n);
        else
                direct_read(v->of.hold, v->of.mark, links, n);
        l->n_xsk += count_xsk();
        l->unread |= !append(l, links, n);
}

static void drop(struct visit *v, const struct uplink *links, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (uplink_prog_drop(v->of.hold, &links[i]) < 0)
                        v->dropped = -EBUSY;
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
        char dir[UPLINK_PIN_MAX], id[33];

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

void uplinks_cover(const struct uplinks_of *of, int prog, bool is_new, struct uplinks *ret) {
        struct visit v = { .of = *of, .prog = prog, .is_new = is_new };

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

int uplinks_try_tcx(void) {
        _cleanup_close_ int prog = uplink_prog_load(NEXT), link = -EBADF;

        if (prog < 0)
                return prog;
        link = bpf_link_create(prog, LOOPBACK, (enum bpf_attach_type) TCX_EGRESS, NULL);
        return link < 0 ? -errno : 0;
}

int uplinks_try_clsact(void) {
        _cleanup_close_ int prog = uplink_prog_load(NEXT);
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
