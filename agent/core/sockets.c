/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/sockets.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "agent/util/fault.h"

#define NETNS_MAX 64U
#define STATES_ALL ((1U << TCP_ESTABLISHED) | (1U << TCP_SYN_SENT) | (1U << TCP_SYN_RECV) | (1U << TCP_FIN_WAIT1) | \
                    (1U << TCP_FIN_WAIT2) | (1U << TCP_CLOSE) | (1U << TCP_CLOSE_WAIT) | (1U << TCP_LAST_ACK) |     \
                    (1U << TCP_LISTEN) | (1U << TCP_CLOSING))

/* What one dump lists. TCP of both families comes in one walk of the kernel's table, which is the costly part, only with the older request. */
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

static int add_fd_inodes(pid_t pid, struct inodes *s) {
        char path[32];
        struct dirent *e;
        DIR *d;
        int r = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) pid);
        d = opendir(path);
        if (!d)
                return 0; /* gone meanwhile */
        while (r == 0 && (e = readdir(d))) {
                char link[64];
                unsigned long long inode;
                ssize_t n = e->d_name[0] == '.' ? -1 : readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);

                if (n <= 0)
                        continue;
                link[n] = 0;
                if (sscanf(link, "socket:[%llu]", &inode) != 1)
                        continue;
                if ((s->n & (s->n - 1)) == 0) {
                        uint64_t *more = realloc(s->v, (s->n ? s->n * 2 : 1) * sizeof(*s->v));

                        if (!more) {
                                r = -ENOMEM;
                                break;
                        }
                        s->v = more;
                }
                s->v[s->n++] = inode;
        }
        (void) closedir(d);
        return r;
}

static int on_cgroup_attr(const struct nlattr *attr, void *data) {
        if (mnl_attr_get_type(attr) == INET_DIAG_CGROUP_ID && mnl_attr_validate(attr, MNL_TYPE_U64) >= 0)
                *(uint64_t *) data = mnl_attr_get_u64(attr);
        return MNL_CB_OK;
}

static bool spared(const struct sockets_scope *s, uint64_t inode) {
        for (size_t i = 0; i < s->n_spare_inodes; i++)
                if (s->spare_inodes[i] == inode)
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
        if ((!ours && !open_here) || spared(d->scope, m->idiag_inode))
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
        for (size_t i = 0; i < d->n_victims; i++)
                if (destroy && destroy_one(nl, d->protocol, &d->victims[i]) == 0)
                        d->result->destroyed++;
                else
                        d->result->left++;
        return 0;
}

/* sock_diag speaks of the namespace that the netlink socket was made in. */
static struct mnl_socket *open_in(int netns, int home) {
        struct mnl_socket *nl;

        if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
                return NULL;
        nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
        if (netns >= 0 && setns(home, CLONE_NEWNET) < 0) {
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

/* The other namespaces of the processes, one descriptor each. */
static size_t find_netns(const struct sockets_scope *s, const struct stat *home, int fds[static NETNS_MAX], reason_set *gaps) {
        struct stat seen[NETNS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < s->n_pids; i++) {
                char path[40];
                _cleanup_close_ int fd = -EBADF;
                struct stat st;
                bool known;

                (void) snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) s->pids[i]);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || fstat(fd, &st) < 0)
                        continue; /* gone, or a zombie without namespaces */
                known = st.st_ino == home->st_ino && st.st_dev == home->st_dev;
                for (size_t k = 0; k < n && !known; k++)
                        known = st.st_ino == seen[k].st_ino && st.st_dev == seen[k].st_dev;
                if (known)
                        continue;
                if (n == NETNS_MAX) {
                        *gaps |= reason_bit(REASON_NETNS);
                        break;
                }
                seen[n] = st;
                fds[n++] = TAKE_FD(fd);
        }
        return n;
}

void sockets_destroy(const struct sockets_scope *scope, bool destroy, struct sockets_result *ret) {
        struct inodes held = { 0 };
        struct dump d = { .scope = scope, .held = &held, .result = ret };
        _cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        struct stat st = { 0 };
        int fds[NETNS_MAX];
        size_t n;

        *ret = (struct sockets_result){ 0 };
        if (home < 0 || fstat(home, &st) < 0)
                ret->gaps |= reason_bit(REASON_NETNS);
        for (size_t i = 0; i < scope->n_pids; i++)
                if (add_fd_inodes(scope->pids[i], &held) < 0)
                        ret->gaps |= reason_bit(REASON_SOCKETS_LEFT);
        if (held.n > 0)
                qsort(held.v, held.n, sizeof(*held.v), compare_u64);
        n = find_netns(scope, &st, fds, &ret->gaps);
        sweep(-EBADF, home, destroy, &d);
        for (size_t i = 0; i < n; i++) {
                sweep(fds[i], home, destroy, &d);
                (void) close(fds[i]);
        }
        free(d.victims);
        free(held.v);
        if (ret->left > 0)
                ret->gaps |= reason_bit(REASON_SOCKETS_LEFT);
        if (ret->foreign > 0)
                ret->gaps |= reason_bit(REASON_FOREIGN_SOCKET);
}
