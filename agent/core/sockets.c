/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/sockets.h"

#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "agent/util/fault.h"

#define STATES_ALL                                                                                       \
        ((1U << TCP_ESTABLISHED) | (1U << TCP_SYN_SENT) | (1U << TCP_SYN_RECV) | (1U << TCP_FIN_WAIT1) | \
         (1U << TCP_FIN_WAIT2) | (1U << TCP_CLOSE) | (1U << TCP_CLOSE_WAIT) | (1U << TCP_LAST_ACK) |     \
         (1U << TCP_LISTEN) | (1U << TCP_CLOSING))

/* What one dump lists. TCP of both families comes in one walk of the kernel's table, which is the costly part, only
 * with the older request. */
static const struct {
        uint16_t type;
        uint8_t family, protocol;
} kinds[] = {
        { TCPDIAG_GETSOCK, AF_UNSPEC, IPPROTO_TCP },
        { SOCK_DIAG_BY_FAMILY, AF_INET, IPPROTO_UDP },
        { SOCK_DIAG_BY_FAMILY, AF_INET6, IPPROTO_UDP },
};

/* Sockets of several targets at once: who claims what, and what is found. */
struct sweep {
        const struct sockets_scope *scopes;
        struct sockets_result *results;
        size_t n;
        struct claims cgroups; /* cgroup id -> scope */
        struct descriptors open;
};

struct victim {
        struct inet_diag_msg msg;
        uint32_t scope;
};

/* One dump of one kind. */
struct dump {
        struct sweep *sweep;
        struct victim *victims;
        size_t n_victims;
        bool is_tcp;
        uint8_t answered[65536 / 8]; /* TCP ports of this namespace that a cgroup which answers listens at */
};

static int on_cgroup_attr(const struct nlattr *attr, void *data) {
        if (mnl_attr_get_type(attr) == INET_DIAG_CGROUP_ID && mnl_attr_validate(attr, MNL_TYPE_U64) >= 0)
                *(uint64_t *) data = mnl_attr_get_u64(attr);
        return MNL_CB_OK;
}

static bool is_one_of(const uint64_t *inodes, size_t n, uint64_t inode) {
        for (size_t i = 0; i < n; i++)
                if (inodes[i] == inode)
                        return true;
        return false;
}

static void note_listener(struct sockets_result *result, uint16_t port) {
        result->listeners++;
        for (size_t i = 0; i < result->n_ports; i++)
                if (result->ports[i] == port)
                        return;
        if (result->n_ports < SOCKETS_PORTS_MAX)
                result->ports[result->n_ports++] = port;
}

/* A socket of one of the targets. */
static int note_socket(struct dump *d, const struct inet_diag_msg *m, uint32_t scope, bool foreign) {
        struct sockets_result *result = &d->sweep->results[scope];
        const struct sockets_scope *s = &d->sweep->scopes[scope];

        if (is_one_of(s->spare_inodes, s->n_inodes, m->idiag_inode))
                return 0;
        if (foreign)
                result->foreign++;
        if (m->idiag_state == TCP_LISTEN)
                note_listener(result, ntohs(m->id.idiag_sport));
        /* CLOSE: unconnected UDP, or a TCP socket that never was connected */
        if (m->idiag_state == TCP_LISTEN || m->idiag_state == TCP_CLOSE)
                return 0;
        if ((d->n_victims & (d->n_victims - 1)) == 0) {
                struct victim *more = realloc(d->victims, (d->n_victims ? d->n_victims * 2 : 1) * sizeof(*more));

                if (!more)
                        return -ENOMEM;
                d->victims = more;
        }
        d->victims[d->n_victims++] = (struct victim) { .msg = *m, .scope = scope };
        return 0;
}

static bool is_claimed_by(const struct claims *c, const struct claim *first, uint32_t group) {
        for (const struct claim *i = first; i && i < c->v + c->n && i->key == first->key; i++)
                if (i->group == group)
                        return true;
        return false;
}

static bool covers(const struct permit *p, const uint8_t addr[static 16]) {
        const unsigned bytes = p->prefix / 8, bits = p->prefix % 8;

        return memcmp(p->addr, addr, bytes) == 0 && (bits == 0 || (p->addr[bytes] ^ addr[bytes]) >> (8 - bits) == 0);
}

static void read_remote(const struct inet_diag_msg *m, uint8_t ret[static 16]) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

        memcpy(ret, mapped, sizeof(mapped));
        if (m->idiag_family == AF_INET)
                memcpy(ret + 12, m->id.idiag_dst, 4);
        else
                memcpy(ret, m->id.idiag_dst, 16);
}

static bool is_to_broker(const struct dump *d, const struct sockets_host *h, const struct inet_diag_msg *m) {
        uint8_t addr[16];

        read_remote(m, addr);
        for (size_t i = 0; i < h->n_brokers && d->is_tcp; i++)
                if (h->brokers[i].port == ntohs(m->id.idiag_dport) && covers(&h->brokers[i], addr))
                        return true;
        return false;
}

static bool stays_on_host(const struct sockets_host *h, const struct inet_diag_msg *m) {
        uint8_t addr[16];

        read_remote(m, addr);
        for (size_t i = 0; i < h->n_own; i++)
                if (covers(&h->own[i], addr))
                        return true;
        return memcmp(m->id.idiag_src, m->id.idiag_dst, sizeof(m->id.idiag_src)) == 0;
}

static bool is_member(const uint64_t *sorted, size_t n, uint64_t id) {
        for (size_t i = 0; i < n; i++)
                if (sorted[i] == id)
                        return true;
        return false;
}

/* The kernel lists those that listen first: a connection at the port of one was made to it, any other was made from
 * here. */
static bool is_spared(struct dump *d, const struct sockets_host *h, const struct inet_diag_msg *m, uint64_t cgroup) {
        const uint16_t port = ntohs(m->id.idiag_sport);
        uint8_t *byte = &d->answered[port / 8], bit = (uint8_t) (1U << port % 8);

        if (is_member(h->asks, h->n_asks, cgroup) && is_to_broker(d, h, m))
                return true;
        if (m->idiag_state == TCP_CLOSE || !is_member(h->answers, h->n_answers, cgroup))
                return m->idiag_state != TCP_CLOSE && m->idiag_state != TCP_LISTEN && stays_on_host(h, m);
        if (m->idiag_state == TCP_LISTEN)
                *byte |= bit;
        return (d->is_tcp && *byte & bit) || stays_on_host(h, m);
}

static int on_socket(const struct nlmsghdr *nlh, void *data) {
        struct dump *d = data;
        const struct claims *cgroups = &d->sweep->cgroups, *inodes = &d->sweep->open.sockets;
        const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
        const struct claim *made, *has;
        uint64_t cgroup = 0;
        int r = 0;

        if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m))
                return MNL_CB_OK;
        (void) mnl_attr_parse(nlh, sizeof(*m), on_cgroup_attr, &cgroup);
        for (uint32_t i = 0; i < d->sweep->n && r == 0; i++)
                if (d->sweep->scopes[i].host && !is_spared(d, d->sweep->scopes[i].host, m, cgroup))
                        r = note_socket(d, m, i, false);
        made = claims_find(cgroups, cgroup);
        has = claims_find(inodes, m->idiag_inode);
        for (const struct claim *i = made; i && i < cgroups->v + cgroups->n && i->key == cgroup && r == 0; i++)
                r = note_socket(d, m, i->group, false);
        for (const struct claim *i = has; i && i < inodes->v + inodes->n && i->key == m->idiag_inode && r == 0; i++)
                if (!d->sweep->scopes[i->group].host && !is_claimed_by(cgroups, made, i->group))
                        r = note_socket(d, m, i->group, true);
        errno = -r;
        return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static int receive(struct mnl_socket *nl, unsigned seq, mnl_cb_t cb, void *data) {
        char buf[16384];
        const unsigned port = mnl_socket_get_portid(nl);

        for (;;) {
                ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
                int r;

                if (n < 0)
                        return -errno;
                r = mnl_cb_run(buf, (size_t) n, seq, port, cb, data);
                if (r < 0)
                        return -errno;
                if (r <= MNL_CB_STOP)
                        return 0;
        }
}

static void put_request(struct nlmsghdr *h, size_t kind) {
        if (kinds[kind].type == TCPDIAG_GETSOCK) {
                struct inet_diag_req *req = mnl_nlmsg_put_extra_header(h, sizeof(*req));

                req->idiag_family = kinds[kind].family;
                req->idiag_states = STATES_ALL;
        } else {
                struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(h, sizeof(*req));

                req->sdiag_family = kinds[kind].family;
                req->sdiag_protocol = kinds[kind].protocol;
                req->idiag_states = STATES_ALL;
        }
}

static int dump_kind(struct mnl_socket *nl, size_t kind, struct dump *d) {
        char buf[256] __attribute__((aligned(8)));
        struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

        h->nlmsg_type = kinds[kind].type;
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        h->nlmsg_seq = 1;
        put_request(h, kind);
        if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
                return -errno;
        return receive(nl, 1, on_socket, d);
}

static int destroy_one(struct mnl_socket *nl, uint8_t protocol, const struct inet_diag_msg *m) {
        char buf[256] __attribute__((aligned(8)));
        struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
        struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(h, sizeof(*req));
        int r = fault_effect("socket-destroy");

        if (r < 0)
                return r;
        h->nlmsg_type = SOCK_DESTROY;
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
        h->nlmsg_seq = 2;
        req->sdiag_family = m->idiag_family;
        req->sdiag_protocol = protocol;
        req->idiag_states = STATES_ALL;
        req->id = m->id;
        if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
                return -errno;
        return receive(nl, 2, NULL, NULL);
}

static int sweep_kind(struct mnl_socket *nl, size_t kind, bool destroy, struct dump *d) {
        int r;

        d->n_victims = 0;
        d->is_tcp = kinds[kind].protocol == IPPROTO_TCP;
        r = dump_kind(nl, kind, d);
        if (r < 0)
                return r;
        for (size_t i = 0; i < d->n_victims; i++) {
                const struct victim *v = &d->victims[i];
                const struct sockets_scope *s = &d->sweep->scopes[v->scope];
                struct sockets_result *result = &d->sweep->results[v->scope];

                r = destroy ? destroy_one(nl, kinds[kind].protocol, &v->msg) : 0;
                if (destroy && r == 0)
                        result->destroyed += !is_one_of(s->own_inodes, s->n_inodes, v->msg.idiag_inode);
                else if (r !=
                         -ENOENT) /* the RST of its other end, or the same socket under another target, was first */
                        result->left++;
        }
        return 0;
}

/* sock_diag speaks of the namespace that the netlink socket was made in. */
static struct mnl_socket *open_in(int netns, int home) {
        struct mnl_socket *nl;

        /* no way back, no way there */
        if (netns != home && (home < 0 || setns(netns, CLONE_NEWNET) < 0))
                return NULL;
        nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
        if (netns != home && setns(home, CLONE_NEWNET) < 0) {
                (void) (nl && mnl_socket_close(nl));
                return NULL;
        }
        if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
                (void) mnl_socket_close(nl);
                return NULL;
        }
        return nl;
}

/* The namespace's sockets could not be listed or destroyed: whose processes use it have a gap. */
static void note_netns(struct sweep *s, size_t netns, reason_set gap) {
        const struct claims *users = &s->open.users;
        const struct claim *first = claims_find(users, netns);

        for (const struct claim *i = first; i && i < users->v + users->n && i->key == netns; i++)
                s->results[i->group].gaps |= gap;
        /* our own may have sockets of each target that nobody has open any more */
        for (size_t k = 0; netns == 0 && k < s->n; k++)
                s->results[k].gaps |= gap;
}

static void sweep_netns(struct sweep *s, size_t netns, bool destroy, struct dump *d) {
        struct mnl_socket *nl = open_in(s->open.netns[netns].fd, s->open.netns[0].fd);

        if (!nl) {
                note_netns(s, netns, reason_bit(REASON_NETNS));
                return;
        }
        memset(d->answered, 0, sizeof(d->answered));
        for (size_t k = 0; k < ELEMENTSOF(kinds); k++)
                if (sweep_kind(nl, k, destroy, d) < 0)
                        note_netns(s, netns, reason_bit(REASON_SOCKETS_LEFT));
        (void) mnl_socket_close(nl);
}

static void gather(struct sweep *s) {
        const int own = descriptors_begin(&s->open);

        for (size_t i = 0; i < s->n; i++) {
                const struct sockets_scope *scope = &s->scopes[i];
                struct sockets_result *result = &s->results[i];

                *result = (struct sockets_result) { .gaps = own < 0 ? reason_bit(REASON_NETNS) : 0,
                                                    .ways = { .question = scope->question,
                                                              .spare = scope->spare_inodes,
                                                              .n_spare = scope->n_inodes } };
                for (size_t k = 0; k < scope->n_cgroup_ids && !scope->host; k++)
                        if (claims_add(&s->cgroups, scope->cgroup_ids[k], (uint32_t) i) < 0)
                                result->gaps |= reason_bit(REASON_SOCKETS_LEFT);
                result->gaps |= descriptors_add(&s->open, scope->pids, scope->n_pids, (uint32_t) i,
                                                scope->ask_ways ? &result->ways : NULL);
                if (!scope->host)
                        continue;
                /* Whoever loads programs on a host has them where the hold's own see what they send; but for XDP, which
                 * is looked for at the interfaces. */
                result->gaps &= ~reason_bit(REASON_LOADED_BPF);
        }
        claims_sort(&s->cgroups);
        claims_sort(&s->open.sockets);
        claims_sort(&s->open.users);
}

void sockets_destroy(const struct sockets_scope *scopes, size_t n, bool destroy, struct sockets_result *ret) {
        struct sweep s = { .scopes = scopes, .results = ret, .n = n };
        struct dump d = { .sweep = &s };

        gather(&s);
        for (size_t k = 0; k < s.open.n_netns; k++)
                sweep_netns(&s, k, destroy, &d);
        for (size_t i = 0; i < n; i++) {
                if (ret[i].left > 0)
                        ret[i].gaps |= reason_bit(REASON_SOCKETS_LEFT);
                if (ret[i].foreign > 0)
                        ret[i].gaps |= reason_bit(REASON_FOREIGN_SOCKET);
        }
        free(d.victims);
        free(s.cgroups.v);
        descriptors_done(&s.open);
}
