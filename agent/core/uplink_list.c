/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/uplink_list.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include <libmnl/libmnl.h>

static int on_xdp(const struct nlattr *attr, void *data) {
        struct uplink *u = data;

        if (mnl_attr_get_type(attr) == IFLA_XDP_PROG_ID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
                u->xdp_prog = mnl_attr_get_u32(attr);
        return MNL_CB_OK;
}

static int on_attribute(const struct nlattr *attr, void *data) {
        struct uplink *u = data;

        if (mnl_attr_get_type(attr) == IFLA_IFNAME && mnl_attr_validate(attr, MNL_TYPE_STRING) >= 0)
                (void) snprintf(u->name, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, mnl_attr_get_str(attr));
        else if (mnl_attr_get_type(attr) == IFLA_XDP)
                (void) mnl_attr_parse_nested(attr, on_xdp, u);
        return MNL_CB_OK;
}

struct listing {
        struct uplink *v;
        size_t n, room;
        uint64_t netns;
};

static int make_room(struct listing *l) {
        const size_t room = l->room ? 2 * l->room : 16;
        struct uplink *more;

        if (l->n < l->room)
                return 0;
        more = reallocarray(l->v, room, sizeof(*more));
        if (!more)
                return -ENOMEM;
        l->v = more;
        l->room = room;
        return 0;
}

static int on_link(const struct nlmsghdr *nlh, void *data) {
        struct listing *l = data;
        const struct ifinfomsg *m = mnl_nlmsg_get_payload(nlh);
        struct uplink u = { .netns = l->netns };

        if (nlh->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) ||
            m->ifi_flags & IFF_LOOPBACK)
                return MNL_CB_OK;
        if (make_room(l) < 0) {
                errno = ENOMEM;
                return MNL_CB_ERROR;
        }
        u.ifindex = (unsigned) m->ifi_index;
        (void) mnl_attr_parse(nlh, sizeof(*m), on_attribute, &u);
        l->v[l->n++] = u;
        return MNL_CB_OK;
}

static int dump(struct listing *ret) {
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

int uplink_list(uint64_t netns, struct uplink **ret, size_t *ret_n) {
        struct listing l = { .netns = netns };
        const int r = dump(&l);

        *ret = l.v;
        *ret_n = l.n;
        return r;
}
