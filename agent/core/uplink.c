/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/uplink.h"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>

#include "agent/core/netns.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"

/* linux/bpf.h of Debian 12 is older than TCX */
#define TCX_EGRESS   47
#define TYPE_TCX     11
#define BEFORE       (1U << 3)
#define PIN_PATH_MAX 512

/* The filter's place in clsact: the first priority, and a handle that says whose it is. */
#define TC_PRIORITY 1U

struct visit {
        const char *pins;
        const struct command_id *hold;
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

        command_id_to_str(v->hold, id);
        (void) snprintf(ret, PIN_PATH_MAX, "%s/%s/uplink_%llx_%u", v->pins, id, (unsigned long long) u->netns,
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
        if (fault_effect("uplink-pin") < 0 || bpf_obj_pin(link, path) < 0)
                return -errno;
        return tcx_read(link, u) ? 0 : -ENODATA;
}

/* Kernels without TCX have no link for it: the filter stays until someone removes it. */
static int clsact_attach(const struct visit *v, struct uplink *u) {
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) u->ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, there, .handle = tc_handle(v->hold), .priority = TC_PRIORITY);
        LIBBPF_OPTS(bpf_tc_opts, opts, .handle = tc_handle(v->hold), .priority = TC_PRIORITY, .prog_fd = v->prog,
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
        if (r == 0)
                u->prog_id = opts.prog_id;
        return r;
}

static void clsact_drop(struct visit *v, const struct uplink *u) {
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) u->ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, there, .handle = tc_handle(v->hold), .priority = TC_PRIORITY);
        LIBBPF_OPTS(bpf_tc_opts, gone, .handle = tc_handle(v->hold), .priority = TC_PRIORITY);

        if (bpf_tc_query(&hook, &there) < 0)
                return;
        /* an empty clsact stays: whose it was is not known, and it does nothing */
        if (bpf_tc_detach(&hook, &gone) < 0)
                v->dropped = -EBUSY;
}

static void on_interface(struct visit *v, const struct uplink *found) {
        struct uplinks *l = v->ret;
        struct uplink u = *found;

        if (v->drop) {
                clsact_drop(v, &u);
                return;
        }
        if (tcx_attach(v, &u) < 0)
                (void) clsact_attach(v, &u);
        if (l->n == UPLINKS_MAX)
                l->unread = true;
        else
                l->v[l->n++] = u;
}

static int on_name(const struct nlattr *attr, void *data) {
        char *name = data;

        if (mnl_attr_get_type(attr) == IFLA_IFNAME && mnl_attr_validate(attr, MNL_TYPE_STRING) >= 0)
                (void) snprintf(name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, mnl_attr_get_str(attr));
        return MNL_CB_OK;
}

/* The interfaces of one namespace, listed before anything is done: a dump does not stand changes. */
struct listing {
        struct uplink *v;
        size_t n;
        uint64_t netns;
};

static int on_link(const struct nlmsghdr *nlh, void *data) {
        struct listing *l = data;
        const struct ifinfomsg *m = mnl_nlmsg_get_payload(nlh);
        struct uplink u = { .netns = l->netns };

        if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) ||
            m->ifi_flags & IFF_LOOPBACK)
                return MNL_CB_OK;
        if (l->n == UPLINKS_MAX) {
                errno = E2BIG;
                return MNL_CB_ERROR;
        }
        u.ifindex = (unsigned) m->ifi_index;
        (void) mnl_attr_parse(nlh, sizeof(*m), on_name, u.name);
        l->v[l->n++] = u;
        return MNL_CB_OK;
}

static int list_links(struct listing *ret) {
        char buf[16384] __attribute__((aligned(8)));
        struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
        struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
        ssize_t n = -1;
        int r = 1;

        if (!nl)
                return -errno;
        h->nlmsg_type = RTM_GETLINK;
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        h->nlmsg_seq = 1;
        (void) mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
        if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) >= 0 && mnl_socket_sendto(nl, h, h->nlmsg_len) >= 0)
                while (r > 0 && (n = mnl_socket_recvfrom(nl, buf, sizeof(buf))) > 0)
                        r = mnl_cb_run(buf, (size_t) n, 1, mnl_socket_get_portid(nl), on_link, ret);
        r = n <= 0 || r < 0 ? -errno : 0;
        (void) mnl_socket_close(nl);
        return r;
}

/* In the namespace itself. */
static int visit_netns(uint64_t inode, void *userdata) {
        struct visit *v = userdata;
        struct listing l = { .v = calloc(UPLINKS_MAX, sizeof(*l.v)), .netns = inode };
        const int r = l.v ? list_links(&l) : -ENOMEM;

        for (size_t i = 0; i < l.n; i++)
                on_interface(v, &l.v[i]);
        free(l.v);
        return r;
}

static int visit_all(struct visit *v) {
        char dir[PIN_PATH_MAX], id[33];

        command_id_to_str(v->hold, id);
        (void) snprintf(dir, sizeof(dir), "%s/%s", v->pins ? v->pins : "", id);
        if (v->prog >= 0 && io_mkdirs(dir, 0700) < 0)
                return -errno;
        return netns_each(visit_netns, v);
}

static void look(struct visit *v, struct uplinks *ret) {
        *ret = (struct uplinks) { .v = calloc(UPLINKS_MAX, sizeof(*ret->v)) };
        v->ret = ret;
        ret->unread = !ret->v || visit_all(v) < 0 || ret->unread;
}

void uplinks_read(const char *pins, const struct command_id *hold, struct uplinks *ret) {
        struct visit v = { .pins = pins, .hold = hold, .prog = -EBADF };

        look(&v, ret);
}

void uplinks_cover(const char *pins, const struct command_id *hold, int prog, bool replace, struct uplinks *ret) {
        struct visit v = { .pins = pins, .hold = hold, .prog = prog, .replace = replace };

        look(&v, ret);
}

int uplinks_drop(const struct command_id *hold) {
        struct visit v = { .hold = hold, .prog = -EBADF, .drop = true };
        const int r = visit_all(&v);

        return r < 0 ? -EBUSY : v.dropped;
}

void uplinks_done(struct uplinks *u) {
        free(u->v);
        *u = (struct uplinks) { 0 };
}
