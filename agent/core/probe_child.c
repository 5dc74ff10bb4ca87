/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/probe_child.h"

#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cap-ng.h>

#include "agent/core/probe_try.h"

/* a task that has not made its sockets by then is not running: someone froze the cgroup under it */
#define ENTER_MS  500
#define ACCEPT_MS 100
/* connections of others that may stand before our own in the queue */
#define ACCEPT_MAX 1024

struct child {
        struct outside outside;
        uint64_t clock;
        struct insiders *all;    /* PROBE_CGROUPS_MAX; shared with the task in the cgroup */
        struct insiders *coming; /* the one after the last: made by a task that may yet fail */
};

static int child_open(struct child *c) {
        const size_t size = (PROBE_CGROUPS_MAX + 1) * sizeof(*c->all);
        struct rlimit limit;

        /* PROBE_CGROUPS_MAX cgroups have more sockets than the usual soft limit */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
        c->all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (c->all == MAP_FAILED)
                return -ENOMEM;
        c->coming = c->all + PROBE_CGROUPS_MAX;
        for (size_t k = 0; k <= PROBE_CGROUPS_MAX; k++)
                c->all[k] = INSIDERS_NULL;
        return outside_open(&c->outside);
}

static struct insiders *find(const struct child *c, uint64_t cgroup_id) {
        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++)
                if (c->all[k].cgroup_id == cgroup_id)
                        return &c->all[k];
        return NULL;
}

/* The oldest goes when there is no room; probe.c counts on that. */
static struct insiders *make_room(const struct child *c) {
        struct insiders *oldest = &c->all[0];

        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++) {
                if (c->all[k].cgroup_id == 0)
                        return &c->all[k];
                if (c->all[k].age < oldest->age)
                        oldest = &c->all[k];
        }
        insiders_done(oldest);
        return oldest;
}

/* Where the sockets in the cgroup are to connect to. */
struct meeting {
        int listener;
        struct sockaddr_in stream, datagram;
};

/* Runs in the target's cgroup, sharing the descriptor table and this one mapping with the child, and is gone after a
 * few system calls. */
static void make_insiders(const struct meeting *m, struct insiders *i, size_t n_permits) {
        const int one = 1;
        struct sockaddr_in unused;

        i->fresh4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        i->fresh6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        i->stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        i->datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        i->inbound = probe_bound(SOCK_DGRAM, &unused);
        for (size_t k = 0; k < n_permits; k++)
                i->permits[k] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* a byte that waits for the one before to be acknowledged would look dropped */
        (void) setsockopt(i->stream, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void) connect(i->stream, (const struct sockaddr *) &m->stream, sizeof(m->stream));
        (void) connect(i->datagram, (const struct sockaddr *) &m->datagram, sizeof(m->datagram));
}

static int clone_into(int cgroup_fd, int *ret_pidfd) {
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP | CLONE_FILES | CLONE_PIDFD,
                .pidfd = (uint64_t) (uintptr_t) ret_pidfd,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t) cgroup_fd,
        };
        long pid = syscall(SYS_clone3, &args, sizeof(args));

        return pid < 0 ? -errno : (int) pid;
}

static int wait_gone(int pid, int pidfd) {
        struct pollfd p = { .fd = pidfd, .events = POLLIN };
        const bool done = poll(&p, 1, ENTER_MS) > 0;

        /* a frozen task cannot run, but it can be killed */
        if (!done)
                (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        return done ? 0 : -EBUSY;
}

static int socket_inode(int fd, uint64_t *ret) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        *ret = st.st_ino;
        return 0;
}

/* Any local process may connect to the listener; only our own end counts. */
static int accept_from(int listener, int stream) {
        struct pollfd p = { .fd = listener, .events = POLLIN };
        struct sockaddr_in want, got;
        socklen_t n_want = sizeof(want), n_got = sizeof(got);

        /* a busy processor may leave the handshake for later */
        (void) poll(&p, 1, ACCEPT_MS);
        if (getsockname(stream, (struct sockaddr *) &want, &n_want) < 0)
                return -EBADF;
        for (unsigned k = 0; k < ACCEPT_MAX; k++) {
                int fd = accept4(listener, (struct sockaddr *) &got, &n_got, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd < 0 || (got.sin_port == want.sin_port && got.sin_addr.s_addr == want.sin_addr.s_addr))
                        return fd;
                (void) close(fd);
                n_got = sizeof(got);
        }
        return -EBUSY;
}

/* From here on it takes datagrams of that one socket only. */
static bool join(int peer, int datagram) {
        struct sockaddr_in from;
        socklen_t size = sizeof(from);

        return getsockname(datagram, (struct sockaddr *) &from, &size) == 0 &&
               connect(peer, (struct sockaddr *) &from, sizeof(from)) == 0;
}

static int send_task(struct child *c, const struct meeting *m, int cgroup_fd, size_t n_permits) {
        int pidfd = -EBADF, pid = clone_into(cgroup_fd, &pidfd), r;

        if (pid == 0) {
                make_insiders(m, c->coming, n_permits);
                _exit(0);
        }
        if (pid < 0)
                return pid;
        r = wait_gone(pid, pidfd);
        (void) close(pidfd);
        return r;
}

static int tell_inodes(const struct insiders *i, struct probe_reply *ret) {
        int r = socket_inode(i->datagram, &ret->spare);

        return r < 0 ? r : socket_inode(i->stream, &ret->own);
}

static int enter(struct child *c, const struct probe_request *q, int cgroup_fd, struct probe_reply *ret) {
        struct insiders *i = find(c, q->cgroup_id);
        struct meeting m;
        int r;

        /* A second hold on a frozen cgroup: nobody can enter it any more, and the sockets of the first test it as well.
         */
        if (i)
                return tell_inodes(i, ret);
        m.listener = probe_bound(SOCK_STREAM, &m.stream);
        c->coming->datagram_peer = probe_bound(SOCK_DGRAM, &m.datagram);
        if (m.listener < 0 || c->coming->datagram_peer < 0 || listen(m.listener, ACCEPT_MAX) < 0)
                r = -EADDRNOTAVAIL;
        else
                r = send_task(c, &m, cgroup_fd, q->n_permits);
        if (r == 0)
                r = tell_inodes(c->coming, ret);
        if (r == 0)
                c->coming->stream_peer = accept_from(m.listener, c->coming->stream);
        closep(&m.listener);
        if (r < 0) {
                insiders_done(c->coming);
                return r;
        }
        i = make_room(c);
        *i = *c->coming;
        *c->coming = INSIDERS_NULL;
        i->cgroup_id = q->cgroup_id;
        i->age = ++c->clock;
        i->baseline = join(i->datagram_peer, i->datagram) && probe_baseline(&c->outside, i);
        return 0;
}

static int check(struct child *c, const struct probe_request *q, struct probe_report *ret) {
        struct insiders *i = find(c, q->cgroup_id);

        if (!i)
                return -ENOENT;
        probe_try(&c->outside, i, q->permits, q->n_permits, ret);
        return 0;
}

static void leave(struct child *c, uint64_t cgroup_id) {
        struct insiders *i = find(c, cgroup_id);

        if (i)
                insiders_done(i);
}

static int receive(int fd, struct probe_request *ret, int *ret_cgroup) {
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
        struct msghdr msg = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)
        };
        const struct cmsghdr *c;

        if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) != sizeof(*ret))
                return -EPIPE;
        c = CMSG_FIRSTHDR(&msg);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                memcpy(ret_cgroup, CMSG_DATA(c), sizeof(int));
        return 0;
}

void probe_child_run(int fd) {
        struct child c = { 0 };
        int ready;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) prctl(PR_SET_NAME, "freezed-probe");
        /* The task in the cgroup is among processes that may be root too: none of them may trace it. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        /* Entering a cgroup that was delegated to another user is all the privilege it needs. */
        capng_clear(CAPNG_SELECT_BOTH);
        (void) capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
        (void) capng_apply(CAPNG_SELECT_BOTH);
        ready = child_open(&c);
        for (;;) {
                struct probe_request q;
                struct probe_reply a = { .result = ready };
                _cleanup_close_ int cgroup = -EBADF;

                if (receive(fd, &q, &cgroup) < 0)
                        _exit(0);
                if (ready == 0 && q.op == PROBE_OP_ENTER)
                        a.result = enter(&c, &q, cgroup, &a);
                else if (ready == 0 && q.op == PROBE_OP_CHECK)
                        a.result = check(&c, &q, &a.report);
                else if (ready == 0)
                        leave(&c, q.cgroup_id);
                if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
                        _exit(0);
        }
}
