/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/uplink_prog.h"

#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>

#include "agent/util/fault.h"

/* as TCX_EGRESS: of a newer linux/bpf.h */
#define TYPE_TCX 11
#define BEFORE   (1U << 3)
#define TCX_DROP 2
/* as many programs as the kernel allows on one interface */
#define TCX_MAX 64

/* The filter's place in clsact: the first priority, and a handle that says whose it is; another for a moment. */
#define TC_PRIORITY 1U
#define TC_HANDLE   0x0f000000U
#define TC_MOMENT   0x0e000000U
#define TC_EGRESS   TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS)

static uint32_t tc_handle(const struct command_id *hold, uint32_t base) {
        return base | (uint32_t) hold->b[0] << 16 | (uint32_t) hold->b[1] << 8 | hold->b[2];
}

static void pin_path(const struct uplinks_of *of, const struct uplink *u, char *ret) {
        char id[33];

        command_id_to_str(of->hold, id);
        (void) snprintf(ret, UPLINK_PIN_MAX, "%s/%s/uplink_%llx_%u", of->pins, id, (unsigned long long) u->netns,
                        u->ifindex);
}

int uplink_prog_load(int verdict) {
        const struct bpf_insn insns[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict },
                { .code = BPF_JMP | BPF_EXIT },
        };
        const int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "freezed_say", "GPL", insns, ELEMENTSOF(insns), NULL);

        return fd < 0 ? -errno : fd;
}

static bool is_expected(const struct uplinks_of *of, uint32_t prog_id) {
        return prog_id != 0 && (of->prog_id == 0 || prog_id == of->prog_id);
}

static bool is_others(const struct uplinks_of *of, uint32_t prog_id) {
        for (size_t i = 0; i < of->n_progs; i++)
                if (of->progs[i] == prog_id)
                        return prog_id != 0;
        return false;
}

static bool link_read(int link, struct uplink *u) {
        struct bpf_link_info info = { 0 };
        uint32_t size = sizeof(info);

        /* its ifindex and attach type are where those of a namespace link are; a detached one has ifindex 0 */
        if (link < 0 || bpf_obj_get_info_by_fd(link, &info, &size) < 0 || info.type != TYPE_TCX ||
            info.netns.netns_ino != u->ifindex || info.netns.attach_type != TCX_EGRESS)
                return false;
        u->link_id = info.id;
        u->prog_id = info.prog_id;
        return true;
}

/* Who is asked first but for other holds' programs, among which own may be; 0: nobody, or the kernel has no TCX. */
static uint32_t tcx_first(const struct uplinks_of *of, const struct uplink *u, uint32_t own) {
        uint32_t ids[TCX_MAX] = { 0 };
        LIBBPF_OPTS(bpf_prog_query_opts, opts, .prog_ids = ids, .prog_cnt = ELEMENTSOF(ids));
        size_t i = 0;

        (void) bpf_prog_query_opts((int) u->ifindex, (enum bpf_attach_type) TCX_EGRESS, &opts);
        while (i < ELEMENTSOF(ids) && ids[i] != own && is_others(of, ids[i]))
                i++;
        return i < ELEMENTSOF(ids) ? ids[i] : 0;
}

static bool tcx_read(const struct uplinks_of *of, int link, struct uplink *u) {
        if (link_read(link, u) && is_expected(of, u->prog_id) && tcx_first(of, u, u->prog_id) == u->prog_id)
                return true;
        u->link_id = u->prog_id = 0;
        return false;
}

static int tcx_attach(int prog, const struct uplink *u) {
        LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = BEFORE);
        const int link = bpf_link_create(prog, (int) u->ifindex, (enum bpf_attach_type) TCX_EGRESS, &opts);

        return link < 0 ? -errno : link;
}

/* Before all others. A program cannot be attached twice: so that nothing leaves while the link that is there is taken
 * off, for that moment all is dropped. */
static bool tcx_put(const struct uplinks_of *of, int prog, const char *path, int there, struct uplink *u) {
        _cleanup_close_ int drop = there < 0 ? -EBADF : uplink_prog_load(TCX_DROP),
                            stop = drop < 0 ? -EBADF : tcx_attach(drop, u), link = -EBADF;

        (void) unlink(path);
        if (there >= 0)
                (void) bpf_link_detach(there);
        link = tcx_attach(prog, u);
        return link >= 0 && fault_effect("uplink-pin") >= 0 && bpf_obj_pin(link, path) == 0 && tcx_read(of, link, u);
}

static bool tcx_cover(const struct uplinks_of *of, int prog, bool is_new, struct uplink *u) {
        char path[UPLINK_PIN_MAX];
        _cleanup_close_ int link = -EBADF;
        bool there;

        pin_path(of, u, path);
        link = bpf_obj_get(path);
        there = link_read(link, u);
        if (tcx_read(of, link, u))
                return true;
        if (!(there && bpf_link_update(link, prog, NULL) == 0 && tcx_read(of, link, u)) &&
            !tcx_put(of, prog, path, there ? link : -EBADF, u))
                return false;
        u->mended = !there || !is_new;
        return true;
}

/* The filter that is asked first, but for those of other holds. */
struct first {
        const struct uplinks_of *of;
        uint32_t handle, prog_id;
};

static int on_option(const struct nlattr *attr, void *data) {
        if (mnl_attr_get_type(attr) == TCA_BPF_ID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
                *(uint32_t *) data = mnl_attr_get_u32(attr);
        return MNL_CB_OK;
}

static int on_attribute(const struct nlattr *attr, void *data) {
        if (mnl_attr_get_type(attr) == TCA_OPTIONS)
                (void) mnl_attr_parse_nested(attr, on_option, data);
        return MNL_CB_OK;
}

static int on_filter(const struct nlmsghdr *nlh, void *data) {
        struct first *f = data;
        const struct tcmsg *m = mnl_nlmsg_get_payload(nlh);
        uint32_t prog_id = 0;

        /* each priority begins with an entry that is no filter */
        if (f->handle != 0 || nlh->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) ||
            m->tcm_handle == 0)
                return MNL_CB_OK;
        (void) mnl_attr_parse(nlh, sizeof(*m), on_attribute, &prog_id);
        if (m->tcm_handle != tc_handle(f->of->hold, TC_HANDLE) && is_others(f->of, prog_id))
                return MNL_CB_OK;
        f->handle = m->tcm_handle;
        f->prog_id = prog_id;
        return MNL_CB_OK;
}

static void dump_filters(const struct uplink *u, struct first *ret) {
        char buf[16384] __attribute__((aligned(8)));
        struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
        struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
        struct tcmsg *m;
        ssize_t n;
        int r = 1;

        if (!nl)
                return;
        h->nlmsg_type = RTM_GETTFILTER;
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        h->nlmsg_seq = 1;
        m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
        m->tcm_ifindex = (int) u->ifindex;
        m->tcm_parent = TC_EGRESS;
        if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) >= 0 && mnl_socket_sendto(nl, h, h->nlmsg_len) >= 0)
                while (r > 0 && (n = mnl_socket_recvfrom(nl, buf, sizeof(buf))) > 0)
                        r = mnl_cb_run(buf, (size_t) n, 1, mnl_socket_get_portid(nl), on_filter, ret);
        (void) mnl_socket_close(nl);
}

/* TCX is asked before clsact, and what it lets pass clsact is not asked for. */
static bool is_overtaken_by_tcx(const struct uplinks_of *of, const struct uplink *u, uint32_t own) {
        const uint32_t first = tcx_first(of, u, own);

        return first != 0 && first != own;
}

static bool clsact_read(const struct uplinks_of *of, struct uplink *u) {
        struct first f = { .of = of };

        dump_filters(u, &f);
        if (f.handle != tc_handle(of->hold, TC_HANDLE) || !is_expected(of, f.prog_id) ||
            is_overtaken_by_tcx(of, u, f.prog_id))
                return false;
        u->prog_id = f.prog_id;
        return true;
}

static int clsact_attach(const struct bpf_tc_hook *hook, uint32_t handle, int prog) {
        LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = TC_PRIORITY, .prog_fd = prog,
                    .flags = BPF_TC_F_REPLACE);

        return bpf_tc_attach(hook, &opts);
}

static bool clsact_has(const struct bpf_tc_hook *hook, uint32_t handle) {
        LIBBPF_OPTS(bpf_tc_opts, there, .handle = handle, .priority = TC_PRIORITY);

        return bpf_tc_query(hook, &there) == 0;
}

static int clsact_detach(const struct bpf_tc_hook *hook, uint32_t handle) {
        LIBBPF_OPTS(bpf_tc_opts, gone, .handle = handle, .priority = TC_PRIORITY);

        return clsact_has(hook, handle) ? bpf_tc_detach(hook, &gone) : 0;
}

/* Kernels without TCX have no link for it: the filter stays until someone removes it. Which one is made last is asked
 * first: so that nothing leaves while the one that is there is made anew, another has its place for that moment. */
static void clsact_cover(const struct uplinks_of *of, int prog, bool is_new, struct uplink *u) {
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) u->ifindex, .attach_point = BPF_TC_EGRESS);
        const uint32_t own = tc_handle(of->hold, TC_HANDLE), moment = tc_handle(of->hold, TC_MOMENT);
        bool there;
        int r;

        if (clsact_read(of, u))
                return;
        there = clsact_has(&hook, own);
        r = bpf_tc_hook_create(&hook);
        if (r < 0 && r != -EEXIST)
                return;
        if (there && clsact_attach(&hook, moment, prog) == 0)
                (void) clsact_detach(&hook, own);
        (void) clsact_attach(&hook, own, prog);
        (void) clsact_detach(&hook, moment);
        u->mended = clsact_read(of, u) && (!there || !is_new);
}

void uplink_prog_read(const struct uplinks_of *of, struct uplink *u) {
        char path[UPLINK_PIN_MAX];
        _cleanup_close_ int link = -EBADF;

        pin_path(of, u, path);
        link = bpf_obj_get(path);
        if (!tcx_read(of, link, u))
                (void) clsact_read(of, u);
}

void uplink_prog_cover(const struct uplinks_of *of, int prog, bool is_new, struct uplink *u) {
        if (!tcx_cover(of, prog, is_new, u))
                clsact_cover(of, prog, is_new, u);
}

int uplink_prog_drop(const struct command_id *hold, const struct uplink *u) {
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) u->ifindex, .attach_point = BPF_TC_EGRESS);
        const int own = clsact_detach(&hook, tc_handle(hold, TC_HANDLE)),
                  moment = clsact_detach(&hook, tc_handle(hold, TC_MOMENT));

        /* an empty clsact stays: whose it was is not known, and it does nothing */
        return own < 0 || moment < 0 ? -EBUSY : 0;
}
