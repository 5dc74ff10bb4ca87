/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/ways.h"

#include <linux/major.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "policy/cleanup.h"

static int ask(int fd, int level, int name) {
        return setsockopt(fd, level, name, NULL, 0) < 0 ? errno : 0;
}

/* Who refuses whatever he is asked is not believed. */
static bool is_isolated(int fd, const struct isolate_question *q) {
        return q->level != 0 && ask(fd, q->level, q->name) == EPERM && ask(fd, q->level ^ 1, q->name) == ENOPROTOOPT;
}

static const struct {
        int family;
        enum reason open, guarded;
} families[] = {
        /* for what stays on the host there are other words */
        { AF_UNIX, REASON_NONE, REASON_NONE },
        { AF_NETLINK, REASON_NONE, REASON_NONE },
        { AF_ALG, REASON_NONE, REASON_NONE },
        { AF_VSOCK, REASON_NONE, REASON_NONE },
        /* poll() has the kernel send what waits in the one, and /dev/ppp what goes to the other: no hook sees that */
        { AF_XDP, REASON_PACKET_SOCKETS, REASON_NONE },
        { AF_PPPOX, REASON_PACKET_SOCKETS, REASON_NONE },
};

static bool is_spared(const struct ways *w, uint64_t inode) {
        for (size_t k = 0; k < w->n_spare; k++)
                if (w->spare[k] == inode)
                        return true;
        return false;
}

/* A program that somebody attached can change what the option says, and not of what its name is; that of an AF_SMC
 * socket is of its TCP socket's, and AF_ALG and AF_XDP have none. -1 when they do not agree. */
static int family_of(int fd) {
        struct sockaddr_storage name;
        socklen_t size = sizeof(name), family_size = sizeof(int);
        int family = -1;

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &family_size) < 0)
                return -1;
        return getsockname(fd, (struct sockaddr *) &name, &size) == 0 && name.ss_family != family ? -1 : family;
}

/* FAIL-CLOSED: what cannot be asked whose it is may be anyone's. */
void ways_add_socket(struct ways *w, int pidfd, int n, uint64_t inode) {
        _cleanup_close_ int fd = is_spared(w, inode) ? -EBADF : (int) syscall(SYS_pidfd_getfd, pidfd, n, 0);
        int family;

        if (is_spared(w, inode) || (fd < 0 && pidfd >= 0 && (errno == EBADF || errno == ESRCH)))
                return;
        family = fd >= 0 ? family_of(fd) : -1;
        for (size_t k = 0; k < ELEMENTSOF(families); k++)
                if (families[k].family == family) {
                        w->open |= reason_bit(families[k].open);
                        w->guarded |= reason_bit(families[k].guarded);
                        return;
                }
        /* every other kind answers as ours do, and sends past all of them */
        if (fd >= 0 && family != AF_INET && family != AF_INET6)
                w->guarded |= reason_bit(REASON_PACKET_SOCKETS);
        else if (fd < 0 || !is_isolated(fd, &w->question))
                w->guarded |= reason_bit(REASON_FOREIGN_SOCKET);
}

/* What is written to a tun is a packet, and what lies in the memory that a vhost was given is sent by the kernel. */
static const struct {
        unsigned misc;
        enum reason open, guarded;
} devices[] = {
        { 200, REASON_NONE, REASON_PACKET_SOCKETS },
        { 238, REASON_PACKET_SOCKETS, REASON_NONE },
};

void ways_add_device(struct ways *w, int dir, const char *name) {
        struct stat st;

        if (fstatat(dir, name, &st, 0) < 0 || !S_ISCHR(st.st_mode) || major(st.st_rdev) != MISC_MAJOR)
                return;
        for (size_t k = 0; k < ELEMENTSOF(devices); k++)
                if (devices[k].misc == minor(st.st_rdev)) {
                        w->open |= reason_bit(devices[k].open);
                        w->guarded |= reason_bit(devices[k].guarded);
                }
}
