/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/probe_child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cap-ng.h>

#include "agent/util/clock.h"

/* a task that has not made its sockets by then is not running: someone froze the cgroup under it */
#define ENTER_MS 500
#define FENCE_MS 200

/* The sockets that belong to one cgroup. */
struct insiders {
        uint64_t cgroup_id; /* 0: free */
        uint64_t age;
        int fresh4, fresh6; /* never connected: connect(2) on them is refused again and again */
        int stream;         /* connected to listener_tcp before the hold */
        int datagram;       /* connected to listener_udp before the hold */
        int inbound;        /* bound, waits for a datagram from outside */
        int permits[PROBE_PERMITS_MAX]; /* each good for one attempt; -EBADF when used */
        int stream_peer;    /* our end of stream; not an insider */
        bool baseline;
};

#define INSIDERS_NULL \
        ((struct insiders){ .fresh4 = -EBADF, .fresh6 = -EBADF, .stream = -EBADF, .datagram = -EBADF, .inbound = -EBADF, \
                            .permits = { [0 ... PROBE_PERMITS_MAX - 1] = -EBADF }, .stream_peer = -EBADF })

struct outside {
        int listener_tcp, listener_udp, control;
        struct sockaddr_in tcp, udp;
        struct sockaddr_in6 tcp6;
        uint64_t clock;
        struct insiders *all; /* PROBE_CGROUPS_MAX; shared with the task in the cgroup */
};

static void insiders_done(struct insiders *i) {
        int *fds[] = { &i->fresh4, &i->fresh6, &i->stream, &i->datagram, &i->inbound, &i->stream_peer };

        for (size_t k = 0; k < ELEMENTSOF(fds); k++)
                closep(fds[k]);
        for (size_t k = 0; k < PROBE_PERMITS_MAX; k++)
                closep(&i->permits[k]);
        *i = INSIDERS_NULL;
}

static int bound(int type, struct sockaddr_in *ret) {
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof(any);
        _cleanup_close_ int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *) &any, sizeof(any)) < 0 || getsockname(fd, (struct sockaddr *) &any, &size) < 0)
                return -errno;
        *ret = any;
        return TAKE_FD(fd);
}

static int outside_open(struct outside *o) {
        struct sockaddr_in unused;
        const size_t size = PROBE_CGROUPS_MAX * sizeof(*o->all);

        o->listener_tcp = bound(SOCK_STREAM, &o->tcp);
        o->listener_udp = bound(SOCK_DGRAM, &o->udp);
        o->control = bound(SOCK_DGRAM, &unused);
        if (o->listener_tcp < 0 || o->listener_udp < 0 || o->control < 0 || listen(o->listener_tcp, 16) < 0)
                return -EADDRNOTAVAIL;
        /* nobody has to listen there: the attempt is judged by what connect(2) says */
        o->tcp6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = o->tcp.sin_port };
        o->all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (o->all == MAP_FAILED)
                return -ENOMEM;
        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++)
                o->all[k] = INSIDERS_NULL;
        return 0;
}

static struct insiders *find(struct outside *o, uint64_t cgroup_id) {
        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++)
                if (o->all[k].cgroup_id == cgroup_id)
                        return &o->all[k];
        return NULL;
}

static struct insiders *make_room(struct outside *o) {
        struct insiders *oldest = &o->all[0];

        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++) {
                if (o->all[k].cgroup_id == 0)
                        return &o->all[k];
                if (o->all[k].age < oldest->age)
                        oldest = &o->all[k];
        }
        insiders_done(oldest);
        return oldest;
}

/* Runs in the target's cgroup, sharing the descriptor table and this one mapping with the child, and is gone after a few system calls. */
static void make_insiders(const struct outside *o, struct insiders *i, size_t n_permits) {
        struct sockaddr_in unused;

        i->fresh4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        i->fresh6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        i->stream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        i->datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        i->inbound = bound(SOCK_DGRAM, &unused);
        for (size_t k = 0; k < n_permits; k++)
                i->permits[k] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void) connect(i->stream, (const struct sockaddr *) &o->tcp, sizeof(o->tcp));
        (void) connect(i->datagram, (const struct sockaddr *) &o->udp, sizeof(o->udp));
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

/* Not guessable: any local process can send to the listener, and one that forged the fence could make a leak look blocked. */
static uint64_t new_tag(void) {
        uint64_t tag;

        /* no short read and no error for 8 bytes once the pool is up (random(7)), and the core waits for that at start */
        return getrandom(&tag, sizeof(tag), 0) == sizeof(tag) ? tag : 0;
}

/* Sends a message over the same path from outside the cgroup and reads the listener up to it: what was sent before and has not arrived by
 * then was dropped. LEAK when tag arrived, BLOCKED when not, NOT_RUN when the path itself is broken and silence proves nothing. */
static enum probe_result fence(struct outside *o, uint64_t tag) {
        const uint64_t mark = new_tag();
        struct pollfd p = { .fd = o->listener_udp, .events = POLLIN };
        enum probe_result result = PROBE_BLOCKED;

        (void) sendto(o->control, &mark, sizeof(mark), 0, (struct sockaddr *) &o->udp, sizeof(o->udp));
        for (;;) {
                uint64_t got;

                if (recv(o->listener_udp, &got, sizeof(got), 0) == sizeof(got)) {
                        if (got == mark)
                                return result;
                        if (got == tag)
                                result = PROBE_LEAK;
                } else if (poll(&p, 1, FENCE_MS) <= 0) {
                        return PROBE_NOT_RUN;
                }
        }
}

static enum probe_result test_datagram(struct outside *o, struct insiders *i) {
        const uint64_t tag = new_tag();

        (void) send(i->datagram, &tag, sizeof(tag), MSG_NOSIGNAL);
        return fence(o, tag);
}

static enum probe_result test_stream(struct outside *o, struct insiders *i) {
        uint8_t byte = 1;

        if (i->stream_peer < 0)
                return PROBE_NOT_RUN;
        (void) send(i->stream, &byte, 1, MSG_NOSIGNAL);
        if (fence(o, 0) == PROBE_NOT_RUN)
                return PROBE_NOT_RUN;
        return recv(i->stream_peer, &byte, 1, 0) == 1 ? PROBE_LEAK : PROBE_BLOCKED;
}

static enum probe_result test_inbound(struct outside *o, struct insiders *i) {
        struct sockaddr_in to;
        socklen_t size = sizeof(to);
        uint64_t tag = new_tag();

        if (getsockname(i->inbound, (struct sockaddr *) &to, &size) < 0)
                return PROBE_NOT_RUN;
        (void) sendto(o->control, &tag, sizeof(tag), 0, (struct sockaddr *) &to, sizeof(to));
        if (fence(o, 0) == PROBE_NOT_RUN)
                return PROBE_NOT_RUN;
        return recv(i->inbound, &tag, sizeof(tag), 0) >= 0 ? PROBE_LEAK : PROBE_BLOCKED;
}

static enum probe_result test_new(struct outside *o, struct insiders *i) {
        const bool out4 = connect(i->fresh4, (struct sockaddr *) &o->tcp, sizeof(o->tcp)) == 0 || errno != EPERM;
        bool out6 = false;

        if (i->fresh6 >= 0) /* no IPv6 in this kernel: no way out by it either */
                out6 = connect(i->fresh6, (struct sockaddr *) &o->tcp6, sizeof(o->tcp6)) == 0 || errno != EPERM;
        return out4 || out6 ? PROBE_LEAK : PROBE_BLOCKED;
}

/* True when the permit names one address and port that a TCP connection can be tried with. */
static bool triable(const struct permit *p) {
        return p->prefix == 128 && p->port != 0 && (p->proto == IPPROTO_TCP || p->proto == 0);
}

static int start_permit(int fd, const struct permit *p) {
        /* a v6 socket takes the v4-mapped form as well */
        struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };

        memcpy(&to.sin6_addr, p->addr, sizeof(p->addr));
        return connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0 ? -errno : 0;
}

static enum probe_result judge_permit(int fd, int started) {
        int error = 0;
        socklen_t size = sizeof(error);
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        if (started == -EINPROGRESS) {
                if (poll(&p, 1, 0) <= 0)
                        return PROBE_NO_ANSWER;
                started = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
        }
        if (started == 0)
                return PROBE_REACHED;
        if (started == -ECONNREFUSED)
                return PROBE_REFUSED;
        return started == -EPERM ? PROBE_CUT : PROBE_NO_ANSWER;
}

static void test_permits(struct insiders *i, const struct probe_request *q, struct probe_report *ret) {
        const int64_t deadline = clock_mono_us() + PROBE_PERMIT_MS * 1000;
        int started[PROBE_PERMITS_MAX];
        bool waiting = true;

        ret->n_permits = (uint8_t) q->n_permits;
        for (size_t k = 0; k < q->n_permits; k++)
                started[k] = triable(&q->permits[k]) && i->permits[k] >= 0 ? start_permit(i->permits[k], &q->permits[k]) : -ENODATA;
        while (waiting) {
                waiting = false;
                for (size_t k = 0; k < q->n_permits; k++) {
                        ret->permits[k] = started[k] == -ENODATA ? PROBE_NOT_RUN : judge_permit(i->permits[k], started[k]);
                        waiting = waiting || (ret->permits[k] == PROBE_NO_ANSWER && started[k] == -EINPROGRESS);
                }
                waiting = waiting && clock_mono_us() < deadline;
                if (waiting)
                        (void) poll(NULL, 0, 1);
        }
        for (size_t k = 0; k < PROBE_PERMITS_MAX; k++) {
                closep(&i->permits[k]);
                i->permits[k] = -EBADF;
        }
}

/* Loopback delivers on the processor that sends, in order; the fence counts on it. */
static void stay_on_cpu(bool stay) {
        cpu_set_t set;
        const int cpu = sched_getcpu();

        CPU_ZERO(&set);
        for (int c = 0; c < CPU_SETSIZE; c++)
                if (!stay || c == cpu)
                        CPU_SET(c, &set);
        (void) sched_setaffinity(0, sizeof(set), &set);
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
        struct sockaddr_in want, got;
        socklen_t n_want = sizeof(want), n_got = sizeof(got);

        if (getsockname(stream, (struct sockaddr *) &want, &n_want) < 0)
                return -EBADF;
        for (;;) {
                int fd = accept4(listener, (struct sockaddr *) &got, &n_got, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd < 0 || (got.sin_port == want.sin_port && got.sin_addr.s_addr == want.sin_addr.s_addr))
                        return fd;
                (void) close(fd);
                n_got = sizeof(got);
        }
}

static int enter(struct outside *o, const struct probe_request *q, int cgroup_fd, uint64_t *ret_inode) {
        struct insiders *i = find(o, q->cgroup_id);
        int pidfd = -EBADF, pid, r;

        /* A second hold on a frozen cgroup: nobody can enter it any more, and the sockets of the first test it as well. */
        if (i)
                return socket_inode(i->datagram, ret_inode);
        i = make_room(o);
        pid = clone_into(cgroup_fd, &pidfd);
        if (pid == 0) {
                make_insiders(o, i, q->n_permits);
                _exit(0);
        }
        if (pid < 0)
                return pid;
        r = wait_gone(pid, pidfd);
        (void) close(pidfd);
        if (r < 0) {
                insiders_done(i);
                return r;
        }
        i->cgroup_id = q->cgroup_id;
        i->age = ++o->clock;
        i->stream_peer = accept_from(o->listener_tcp, i->stream);
        stay_on_cpu(true);
        i->baseline = i->stream_peer >= 0 && test_datagram(o, i) == PROBE_LEAK && test_stream(o, i) == PROBE_LEAK &&
                      test_inbound(o, i) == PROBE_LEAK;
        stay_on_cpu(false);
        return socket_inode(i->datagram, ret_inode);
}

static int check(struct outside *o, const struct probe_request *q, struct probe_report *ret) {
        struct insiders *i = find(o, q->cgroup_id);

        *ret = (struct probe_report){ 0 };
        if (!i)
                return -ENOENT;
        ret->baseline = i->baseline;
        stay_on_cpu(true);
        ret->new_connection = test_new(o, i);
        ret->open_stream = test_stream(o, i);
        ret->open_datagram = test_datagram(o, i);
        ret->inbound = test_inbound(o, i);
        stay_on_cpu(false);
        test_permits(i, q, ret);
        return 0;
}

static void leave(struct outside *o, uint64_t cgroup_id) {
        struct insiders *i = find(o, cgroup_id);

        if (i)
                insiders_done(i);
}

static int receive(int fd, struct probe_request *ret, int *ret_cgroup) {
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control) };
        const struct cmsghdr *c;

        if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) != sizeof(*ret))
                return -EPIPE;
        c = CMSG_FIRSTHDR(&msg);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
                memcpy(ret_cgroup, CMSG_DATA(c), sizeof(int));
        return 0;
}

void probe_child_run(int fd) {
        struct outside o = { 0 };
        int ready;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) prctl(PR_SET_NAME, "freezed-probe");
        /* Entering a cgroup that was delegated to another user is all the privilege it needs. */
        capng_clear(CAPNG_SELECT_BOTH);
        (void) capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_DAC_OVERRIDE);
        (void) capng_apply(CAPNG_SELECT_BOTH);
        ready = outside_open(&o);
        for (;;) {
                struct probe_request q;
                struct probe_reply a = { .result = ready };
                _cleanup_close_ int cgroup = -EBADF;

                if (receive(fd, &q, &cgroup) < 0)
                        _exit(0);
                if (ready == 0 && q.op == PROBE_OP_ENTER)
                        a.result = enter(&o, &q, cgroup, &a.inode);
                else if (ready == 0 && q.op == PROBE_OP_CHECK)
                        a.result = check(&o, &q, &a.report);
                else if (ready == 0)
                        leave(&o, q.cgroup_id);
                if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
                        _exit(0);
        }
}
