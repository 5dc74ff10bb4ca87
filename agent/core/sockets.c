/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/sockets.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/kcmp.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "agent/util/fault.h"

#define NETNS_MAX 64U
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

struct inodes {
        uint64_t *v;
        size_t n;
};

/* What the target's threads have: sockets, and network namespaces. The first namespace is our own. */
struct held {
        struct inodes sockets;
        struct stat netns[1 + NETNS_MAX];
        int netns_fd[1 + NETNS_MAX];
        size_t n_netns;
        reason_set gaps;
};

/* One dump: what it looks for and what it found. */
struct dump {
        const struct sockets_scope *scope;
        const struct inodes *held;
        uint8_t protocol;
        struct inet_diag_msg *victims;
        size_t n_victims;
        struct sockets_result *result;
};

static int compare_u64(const void *a, const void *b) {
        const uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

static bool has(const uint64_t *sorted, size_t n, uint64_t v) {
        return n > 0 && bsearch(&v, sorted, n, sizeof(v), compare_u64);
}

static int add_inode(struct inodes *s, uint64_t inode) {
        if ((s->n & (s->n - 1)) == 0) {
                uint64_t *more = realloc(s->v, (s->n ? s->n * 2 : 1) * sizeof(*s->v));

                if (!more)
                        return -ENOMEM;
                s->v = more;
        }
        s->v[s->n++] = inode;
        return 0;
}

/* A thread that has ended meanwhile, or is a zombie, has nothing any more; whatever else cannot be read is a gap. */
static bool is_gone(int error) {
        return error == ENOENT || error == ESRCH;
}

/* task: /proc/PID/task/TID */
static void add_sockets(const char *task, struct held *h) {
        char path[64];
        struct dirent *e;
        DIR *d;

        (void) snprintf(path, sizeof(path), "%s/fd", task);
        d = opendir(path);
        if (!d) {
                h->gaps |= is_gone(errno) ? 0 : reason_bit(REASON_SOCKETS_LEFT);
                return;
        }
        while ((e = readdir(d))) {
                char link[64];
                unsigned long long inode;
                ssize_t n;

                if (e->d_name[0] == '.')
                        continue;
                n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
                if (n <= 0) {
                        h->gaps |= is_gone(errno) ? 0 : reason_bit(REASON_SOCKETS_LEFT);
                        continue;
                }
                link[n] = 0;
                if (sscanf(link, "socket:[%llu]", &inode) == 1 && add_inode(&h->sockets, inode) < 0)
                        h->gaps |= reason_bit(REASON_SOCKETS_LEFT);
        }
        (void) closedir(d);
}

static void add_netns(const char *task, struct held *h) {
        char path[64];
        struct stat st;
        int fd;

        (void) snprintf(path, sizeof(path), "%s/ns/net", task);
        if (stat(path, &st) < 0) {
                h->gaps |= is_gone(errno) ? 0 : reason_bit(REASON_NETNS);
                return;
        }
        for (size_t k = 0; k < h->n_netns; k++)
                if (st.st_ino == h->netns[k].st_ino && st.st_dev == h->netns[k].st_dev)
                        return;
        fd = h->n_netns < ELEMENTSOF(h->netns) ? open(path, O_RDONLY | O_CLOEXEC) : -EBADF;
        if (fd < 0) {
                h->gaps |= reason_bit(REASON_NETNS);
                return;
        }
        h->netns[h->n_netns] = st;
        h->netns_fd[h->n_netns++] = fd;
}

/* A thread can have descriptors and a namespace of its own, and run on after the first one of its process has ended. */
static void add_threads(pid_t pid, struct held *h) {
        char path[64];
        struct dirent *e;
        DIR *d;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        d = opendir(path);
        if (!d) {
                h->gaps |= is_gone(errno) ? 0 : reason_bit(REASON_SOCKETS_LEFT);
                return;
        }
        while ((e = readdir(d))) {
                const pid_t tid = e->d_name[0] == '.' ? 0 : (pid_t) strtol(e->d_name, NULL, 10);

                if (tid == 0)
                        continue;
                (void) snprintf(path, sizeof(path), "/proc/%d/task/%d", (int) pid, (int) tid);
                add_netns(path, h);
                /* 0: the same table; an error is not */
                if (tid == pid || syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) != 0)
                        add_sockets(path, h);
        }
        (void) closedir(d);
}

static void add_process(pid_t pid, struct held *h) {
        char path[64];
        struct stat st;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        /* one entry more than an empty directory: most processes have one thread, and there are many of them */
        if (stat(path, &st) < 0 || st.st_nlink != 3) {
                add_threads(pid, h);
                return;
        }
        (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        add_netns(path, h);
        add_sockets(path, h);
}

static void held_read(const struct sockets_scope *s, struct held *ret) {
        *ret = (struct held) { 0 };
        add_netns("/proc/self", ret);
        if (ret->n_netns == 0) {
                ret->gaps |= reason_bit(REASON_NETNS);
                ret->netns_fd[ret->n_netns++] = -EBADF;
        }
        for (size_t i = 0; i < s->n_pids; i++)
                add_process(s->pids[i], ret);
        if (ret->sockets.n > 0)
                qsort(ret->sockets.v, ret->sockets.n, sizeof(*ret->sockets.v), compare_u64);
}

static void held_done(struct held *h) {
        for (size_t k = 0; k < h->n_netns; k++)
                closep(&h->netns_fd[k]);
        free(h->sockets.v);
}

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

static int on_socket(const struct nlmsghdr *nlh, void *data) {
        struct dump *d = data;
        const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
        uint64_t cgroup = 0;
        bool ours, open_here;

        if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m))
                return MNL_CB_OK;
        (void) mnl_attr_parse(nlh, sizeof(*m), on_cgroup_attr, &cgroup);
        ours = has(d->scope->cgroup_ids, d->scope->n_cgroup_ids, cgroup);
        open_here = has(d->held->v, d->held->n, m->idiag_inode);
        if ((!ours && !open_here) || is_one_of(d->scope->spare_inodes, d->scope->n_inodes, m->idiag_inode))
                return MNL_CB_OK;
        if (!ours)
                d->result->foreign++;
        if (m->idiag_state == TCP_LISTEN) {
                d->result->listeners++;
                return MNL_CB_OK;
        }
        if (m->idiag_state == TCP_CLOSE) /* unconnected UDP, or a TCP socket that never was connected */
                return MNL_CB_OK;
        if ((d->n_victims & (d->n_victims - 1)) == 0) {
                struct inet_diag_msg *more = realloc(d->victims, (d->n_victims ? d->n_victims * 2 : 1) * sizeof(*more));

                if (!more) {
                        errno = ENOMEM;
                        return MNL_CB_ERROR;
                }
                d->victims = more;
        }
        d->victims[d->n_victims++] = *m;
        return MNL_CB_OK;
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
        d->protocol = kinds[kind].protocol;
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
        r = dump_kind(nl, kind, d);
        if (r < 0)
                return r;
        for (size_t i = 0; i < d->n_victims; i++) {
                r = destroy ? destroy_one(nl, d->protocol, &d->victims[i]) : 0;
                if (destroy && r == 0)
                        d->result->destroyed +=
                                !is_one_of(d->scope->own_inodes, d->scope->n_inodes, d->victims[i].idiag_inode);
                else if (r != -ENOENT) /* the RST of its other end, destroyed just before, was faster */
                        d->result->left++;
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

static void sweep(int netns, int home, bool destroy, struct dump *d) {
        struct mnl_socket *nl = open_in(netns, home);

        if (!nl) {
                d->result->gaps |= reason_bit(REASON_NETNS);
                return;
        }
        for (size_t k = 0; k < ELEMENTSOF(kinds); k++)
                if (sweep_kind(nl, k, destroy, d) < 0)
                        d->result->gaps |= reason_bit(REASON_SOCKETS_LEFT);
        (void) mnl_socket_close(nl);
}

void sockets_destroy(const struct sockets_scope *scope, bool destroy, struct sockets_result *ret) {
        struct held held;
        struct dump d = { .scope = scope, .held = &held.sockets, .result = ret };

        held_read(scope, &held);
        *ret = (struct sockets_result) { .gaps = held.gaps };
        for (size_t k = 0; k < held.n_netns; k++)
                sweep(held.netns_fd[k], held.netns_fd[0], destroy, &d);
        free(d.victims);
        held_done(&held);
        if (ret->left > 0)
                ret->gaps |= reason_bit(REASON_SOCKETS_LEFT);
        if (ret->foreign > 0)
                ret->gaps |= reason_bit(REASON_FOREIGN_SOCKET);
}
