/* SPDX-License-Identifier: Apache-2.0 */

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctl/client.h"
#include "ctl/times.h"

int client_connect(const char *path, int64_t timeout_ms, struct client *ret) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        /* also bounds connect(2), which waits while the gate's queue is full */
        struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
        int64_t deadline = mono_ms() + timeout_ms;

        if (strlen(path) >= sizeof(sa.sun_path))
                return -ENAMETOOLONG;
        memcpy(sa.sun_path, path, strlen(path) + 1);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        *ret = (struct client) { TAKE_FD(fd), deadline };
        return 0;
}

void client_rearm(struct client *c, int64_t timeout_ms) {
        c->deadline_ms = mono_ms() + timeout_ms;
}

void client_done(struct client *c) {
        closep(&c->fd);
        *c = CLIENT_NULL;
}

static int wait_for(const struct client *c, short events) {
        for (;;) {
                struct pollfd p = { .fd = c->fd, .events = events };
                int64_t left = MAX(c->deadline_ms - mono_ms(), 0);
                int r = poll(&p, 1, (int) MIN(left, INT32_MAX));
                if (r > 0)
                        return 0;
                if (r == 0 && left <= INT32_MAX)
                        return -ETIMEDOUT;
                if (r < 0 && errno != EINTR)
                        return -errno;
        }
}

int client_send(struct client *c, const char *msg, size_t n) {
        for (;;) {
                int r = wait_for(c, POLLOUT);
                if (r < 0)
                        return r;
                if (send(c->fd, msg, n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                        return 0;
                if (errno == EPIPE)
                        return -ECONNRESET;
                if (errno != EINTR && errno != EAGAIN)
                        return -errno;
        }
}

int client_recv(struct client *c, char **ret, size_t *ret_n) {
        _cleanup_free_ char *buf = malloc(CLIENT_MESSAGE_MAX + 1);
        if (!buf)
                return -ENOMEM;
        for (;;) {
                int r = wait_for(c, POLLIN);
                if (r < 0)
                        return r;
                struct iovec iov = { buf, CLIENT_MESSAGE_MAX };
                struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
                ssize_t k = recvmsg(c->fd, &mh, MSG_DONTWAIT);
                if (k < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (k < 0)
                        return -errno;
                if (mh.msg_flags & MSG_TRUNC)
                        return -EMSGSIZE;
                if (k == 0)
                        return -ECONNRESET;
                buf[k] = '\0';
                *ret = TAKE_PTR(buf);
                *ret_n = (size_t) k;
                return 0;
        }
}
