/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/probe.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/core/probe_child.h"

/* The child answers within its own limits; this one only bounds what a child that was stopped or killed can cost. */
#define ANSWER_MS 3000

struct probe {
        pid_t pid;
        int fd; /* -EBADF once the child has failed to answer */
        struct entered {
                uint64_t cgroup_id; /* 0: free */
                uint64_t spare, own;
                uint64_t age;
        } entered[PROBE_CGROUPS_MAX];
        uint64_t clock;
        uint64_t entering; /* begun, and its answer not yet read; 0: none is */
};

static const char *const result_ids[_PROBE_RESULT_MAX] = {
#define X(name, id) [PROBE_##name] = id,
        PROBE_RESULT_TABLE(X)
#undef X
};

int probe_start(struct probe **ret) {
        const struct timeval timeout = { .tv_sec = ANSWER_MS / 1000 };
        _cleanup_free_ struct probe *p = calloc(1, sizeof(*p));
        int pair[2];

        if (!p)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        p->pid = fork();
        if (p->pid == 0) {
                (void) close(pair[0]);
                probe_child_run(pair[1]);
        }
        (void) close(pair[1]);
        if (p->pid < 0) {
                (void) close(pair[0]);
                return -errno;
        }
        (void) setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        p->fd = pair[0];
        *ret = TAKE_PTR(p);
        return 0;
}

void probe_free(struct probe *p) {
        if (!p)
                return;
        closep(&p->fd);
        (void) kill(p->pid, SIGKILL);
        (void) waitpid(p->pid, NULL, 0);
        free(p);
}

void probe_freep(struct probe **p) {
        probe_free(*p);
}

static int send_request(int fd, const struct probe_request *q, int cgroup_fd) {
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { .iov_base = (void *) q, .iov_len = sizeof(*q) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (cgroup_fd >= 0) {
                struct cmsghdr *c;

                msg.msg_control = control.bytes;
                msg.msg_controllen = sizeof(control.bytes);
                c = CMSG_FIRSTHDR(&msg);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &cgroup_fd, sizeof(int));
        }
        return sendmsg(fd, &msg, MSG_NOSIGNAL) == sizeof(*q) ? 0 : -EPIPE;
}

/* An answer that comes late would be taken for that of the next question. */
static int give_up(struct probe *p) {
        closep(&p->fd);
        p->fd = -EBADF;
        return -EPIPE;
}

static int hear(struct probe *p, struct probe_reply *ret) {
        if (p->fd < 0)
                return -EPIPE;
        return recv(p->fd, ret, sizeof(*ret), 0) == sizeof(*ret) ? ret->result : give_up(p);
}

static int say(struct probe *p, const struct probe_request *q, int cgroup_fd) {
        if (p->fd < 0)
                return -EPIPE;
        return send_request(p->fd, q, cgroup_fd) < 0 ? give_up(p) : 0;
}

/* The place of the cgroup; if it has none, the one that the child gives it as well: a free one, or else the oldest. */
static struct entered *place_of(struct probe *p, uint64_t cgroup_id) {
        struct entered *place = &p->entered[0];

        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++) {
                if (p->entered[k].cgroup_id == cgroup_id)
                        return &p->entered[k];
                if (place->cgroup_id != 0 && (p->entered[k].cgroup_id == 0 || p->entered[k].age < place->age))
                        place = &p->entered[k];
        }
        return place;
}

static int finish_enter(struct probe *p) {
        const uint64_t cgroup_id = p->entering;
        struct entered *place = place_of(p, cgroup_id);
        struct probe_reply a;
        int r = hear(p, &a);

        p->entering = 0;
        if (r == 0 && place->cgroup_id != cgroup_id)
                *place = (struct entered) { .cgroup_id = cgroup_id, .spare = a.spare, .own = a.own, .age = ++p->clock };
        return r;
}

static int ask(struct probe *p, const struct probe_request *q, struct probe_reply *ret) {
        int r;

        if (p->entering)
                (void) finish_enter(p);
        r = say(p, q, -EBADF);
        return r < 0 ? r : hear(p, ret);
}

void probe_begin_enter(struct probe *p, int cgroup_fd, uint64_t cgroup_id, size_t n_permits) {
        const struct probe_request q = {
                .cgroup_id = cgroup_id,
                .op = PROBE_OP_ENTER,
                .n_permits = (uint32_t) MIN(n_permits, (size_t) PROBE_PERMITS_MAX),
        };

        if (p->entering)
                (void) finish_enter(p);
        if (say(p, &q, cgroup_fd) == 0)
                p->entering = cgroup_id;
}

int probe_enter(struct probe *p, int cgroup_fd, uint64_t cgroup_id, size_t n_permits) {
        if (p->entering != cgroup_id)
                probe_begin_enter(p, cgroup_fd, cgroup_id, n_permits);
        return p->entering ? finish_enter(p) : -EPIPE;
}

pid_t probe_pid(const struct probe *p) {
        return p->pid;
}

bool probe_has(const struct probe *p, uint64_t cgroup_id) {
        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++)
                if (p->entered[k].cgroup_id == cgroup_id)
                        return true;
        return false;
}

size_t probe_inodes(const struct probe *p, uint64_t ret_spare[static PROBE_CGROUPS_MAX],
                    uint64_t ret_own[static PROBE_CGROUPS_MAX]) {
        size_t n = 0;

        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++) {
                if (p->entered[k].cgroup_id == 0)
                        continue;
                ret_spare[n] = p->entered[k].spare;
                ret_own[n++] = p->entered[k].own;
        }
        return n;
}

int probe_check(struct probe *p, uint64_t cgroup_id, const struct permit *permits, size_t n, struct probe_report *ret) {
        struct probe_request q = {
                .cgroup_id = cgroup_id,
                .op = PROBE_OP_CHECK,
                .n_permits = (uint32_t) MIN(n, (size_t) PROBE_PERMITS_MAX),
        };
        struct probe_reply a;
        int r;

        if (q.n_permits > 0)
                memcpy(q.permits, permits, q.n_permits * sizeof(*permits));
        r = ask(p, &q, &a);
        if (r == 0)
                *ret = a.report;
        return r;
}

void probe_leave(struct probe *p, uint64_t cgroup_id) {
        const struct probe_request q = { .cgroup_id = cgroup_id, .op = PROBE_OP_LEAVE };
        struct probe_reply a;

        /* a child that does not answer is known as such from here on */
        if (ask(p, &q, &a) < 0)
                return;
        for (size_t k = 0; k < PROBE_CGROUPS_MAX; k++)
                if (p->entered[k].cgroup_id == cgroup_id)
                        p->entered[k] = (struct entered) { 0 };
}

bool probe_is_permitted(const struct permit *p, size_t n) {
        static const uint8_t own[16] = {
                [10] = 0xff,
                [11] = 0xff,
                PROBE_ADDRESS >> 24,
                (PROBE_ADDRESS >> 16) & 0xff,
                (PROBE_ADDRESS >> 8) & 0xff,
                PROBE_ADDRESS & 0xff,
        };

        for (size_t k = 0; k < n; k++) {
                unsigned same = 0;

                while (same < p[k].prefix && !((own[same / 8] ^ p[k].addr[same / 8]) & (0x80 >> (same % 8))))
                        same++;
                /* its ports are the kernel's choice, so a permit for one is not for them */
                if (same == p[k].prefix && p[k].port == 0)
                        return true;
        }
        return false;
}

const char *probe_result_id(enum probe_result r) {
        return result_ids[r];
}
