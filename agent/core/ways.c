/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/ways.h"

#include <linux/major.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "policy/cleanup.h"

static int ask(int fd, int level, int name) {
        return setsockopt(fd, level, name, NULL, 0) < 0 ? errno : 0;
}

/* Who refuses whatever he is asked is not believed. */
static bool is_isolated(int fd, const struct isolate_question *q) {
        return q->level != 0 && ask(fd, q->level, q->name) == EPERM && ask(fd, q->level ^ 1, q->name) == ENOPROTOOPT;
}

/* Of which kind a socket is, by its protocol's name: no program that somebody attached can change that, as it can what
 * options say, and every kind has one. */
static const struct {
        const char *name;
        bool asked; /* its calls and its packets have hooks */
        enum reason guarded;
} kinds[] = {
        { "TCP", true, REASON_NONE },
        { "TCPv6", true, REASON_NONE },
        { "UDP", true, REASON_NONE },
        { "UDPv6", true, REASON_NONE },
        { "UDP-Lite", true, REASON_NONE },
        { "UDPLITEv6", true, REASON_NONE },
        { "RAW", true, REASON_NONE },
        { "RAWv6", true, REASON_NONE },
        { "PING", true, REASON_NONE },
        { "PINGv6", true, REASON_NONE },
        { "MPTCP", true, REASON_NONE },
        { "MPTCPv6", true, REASON_NONE },
        { "SCTP", true, REASON_NONE },
        { "SCTPv6", true, REASON_NONE },
        { "DCCP", true, REASON_NONE },
        { "DCCPv6", true, REASON_NONE },
        { "L2TP/IP", true, REASON_NONE },
        { "L2TP/IPv6", true, REASON_NONE },
        /* for what stays on the host there are other words */
        { "UNIX", false, REASON_NONE },
        { "UNIX-STREAM", false, REASON_NONE },
        { "NETLINK", false, REASON_NONE },
        { "ALG", false, REASON_NONE },
        { "AF_VSOCK", false, REASON_NONE },
        /* they answer as ours do, and send past all hooks */
        { "PACKET", false, REASON_PACKET_SOCKETS },
        { "SMC", false, REASON_PACKET_SOCKETS },
        { "SMC6", false, REASON_PACKET_SOCKETS },
};

static bool is_spared(const struct ways *w, uint64_t inode) {
        for (size_t k = 0; k < w->n_spare; k++)
                if (w->spare[k] == inode)
                        return true;
        return false;
}

/* FAIL-CLOSED: no hook need see what another kind sends, nor the guard: what waits in an AF_XDP socket the kernel sends
 * at a poll(), and what goes to an AF_PPPOX one at a write to /dev/ppp. */
static void add_kind(struct ways *w, int fd) {
        struct sockaddr_storage at;
        char name[32] = "";
        /* a file that has taken its number meanwhile may be of who never answers */
        const bool is_socket =
                getsockname(fd, (struct sockaddr *) &at, &(socklen_t) { sizeof(at) }) == 0 || errno != ENOTSOCK;
        const ssize_t n = is_socket ? fgetxattr(fd, "system.sockprotoname", name, sizeof(name) - 1) : -1;

        for (size_t k = 0; n > 0 && k < ELEMENTSOF(kinds); k++)
                if (strcmp(kinds[k].name, name) == 0) {
                        if (kinds[k].asked && !is_isolated(fd, &w->question))
                                w->guarded |= reason_bit(REASON_FOREIGN_SOCKET);
                        w->guarded |= reason_bit(kinds[k].guarded);
                        return;
                }
        w->open |= reason_bit(REASON_PACKET_SOCKETS);
}

/* FAIL-CLOSED: what cannot be asked whose it is may be anyone's. */
void ways_add_socket(struct ways *w, int pidfd, int n, uint64_t inode) {
        _cleanup_close_ int fd = is_spared(w, inode) ? -EBADF : (int) syscall(SYS_pidfd_getfd, pidfd, n, 0);

        if (is_spared(w, inode) || (fd < 0 && pidfd >= 0 && (errno == EBADF || errno == ESRCH)))
                return;
        if (fd >= 0)
                add_kind(w, fd);
        else
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
