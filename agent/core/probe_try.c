/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/probe_try.h"

#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "agent/util/clock.h"

#define FENCE_MS 200
/* more than a receive buffer of the default size holds */
#define DRAIN_MAX 4096

void insiders_done(struct insiders *i) {
        int *fds[] = {
                &i->fresh4, &i->fresh6, &i->stream, &i->datagram, &i->inbound, &i->stream_peer, &i->datagram_peer
        };

        for (size_t k = 0; k < ELEMENTSOF(fds); k++)
                closep(fds[k]);
        for (size_t k = 0; k < PROBE_PERMITS_MAX; k++)
                closep(&i->permits[k]);
        *i = INSIDERS_NULL;
}

int probe_bound(int type, struct sockaddr_in *ret) {
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(PROBE_ADDRESS) };
        socklen_t size = sizeof(any);
        _cleanup_close_ int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *) &any, sizeof(any)) < 0 ||
            getsockname(fd, (struct sockaddr *) &any, &size) < 0)
                return -errno;
        *ret = any;
        return TAKE_FD(fd);
}

int outside_open(struct outside *o) {
        struct sockaddr_in out, in, unused;

        o->mark_out = probe_bound(SOCK_DGRAM, &out);
        o->mark_in = probe_bound(SOCK_DGRAM, &in);
        o->control = probe_bound(SOCK_DGRAM, &unused);
        o->nowhere = probe_bound(SOCK_STREAM, &o->nowhere4);
        if (o->mark_out < 0 || o->mark_in < 0 || o->control < 0 || o->nowhere < 0 ||
            connect(o->mark_out, (struct sockaddr *) &in, sizeof(in)) < 0 ||
            connect(o->mark_in, (struct sockaddr *) &out, sizeof(out)) < 0 ||
            sched_getaffinity(0, sizeof(o->cpus), &o->cpus) < 0)
                return -EADDRNOTAVAIL;
        o->nowhere6 = (struct sockaddr_in6) { .sin6_family = AF_INET6, .sin6_port = o->nowhere4.sin_port };
        o->nowhere6.sin6_addr.s6_addr16[5] = 0xffff; /* mapped: it is refused for what it is before IPv6 looks at it */
        o->nowhere6.sin6_addr.s6_addr32[3] = o->nowhere4.sin_addr.s_addr;
        return 0;
}

/* Not the one of an earlier attempt, and no other process's luck. */
static uint64_t new_tag(void) {
        uint64_t tag;

        /* no short read and no error for 8 bytes once the pool is up (random(7)), and the core waits for that at start
         */
        return getrandom(&tag, sizeof(tag), 0) == sizeof(tag) ? tag : 0;
}

/* Takes out what came earlier. False when it does not end. */
static bool drain(int fd) {
        char buf[64];

        for (unsigned k = 0; k < DRAIN_MAX; k++)
                if (recv(fd, buf, sizeof(buf), 0) <= 0)
                        return true;
        return false;
}

/* Sends a message over the same path from outside the cgroup: what was sent before and has not arrived when it has was
 * dropped. False when the path itself is broken and silence proves nothing. */
static bool fence(const struct outside *o) {
        const uint64_t mark = new_tag();
        struct pollfd p = { .fd = o->mark_in, .events = POLLIN };
        uint64_t got = ~mark;

        if (!drain(o->mark_in) || send(o->mark_out, &mark, sizeof(mark), MSG_NOSIGNAL) != sizeof(mark))
                return false;
        return poll(&p, 1, FENCE_MS) > 0 && recv(o->mark_in, &got, sizeof(got), 0) == sizeof(got) && got == mark;
}

static enum probe_result test_datagram(const struct outside *o, const struct insiders *i) {
        const uint64_t tag = new_tag();
        uint64_t got = ~tag;
        ssize_t n;

        (void) drain(i->datagram_peer);
        n = send(i->datagram, &tag, sizeof(tag), MSG_NOSIGNAL);
        if (n < 0 && errno != EPERM) /* an error of earlier is reported first */
                n = send(i->datagram, &tag, sizeof(tag), MSG_NOSIGNAL);
        /* a socket that is dead for another reason tests nothing */
        if ((n < 0 && errno != EPERM) || !fence(o))
                return PROBE_NOT_RUN;
        return recv(i->datagram_peer, &got, sizeof(got), 0) == sizeof(got) && got == tag ? PROBE_LEAK : PROBE_BLOCKED;
}

static enum probe_result test_stream(const struct outside *o, const struct insiders *i) {
        uint8_t byte = 1;

        if (i->stream_peer < 0)
                return PROBE_NOT_RUN;
        (void) drain(i->stream_peer);
        (void) send(i->stream, &byte, 1, MSG_NOSIGNAL);
        if (!fence(o))
                return PROBE_NOT_RUN;
        return recv(i->stream_peer, &byte, 1, 0) == 1 ? PROBE_LEAK : PROBE_BLOCKED;
}

static enum probe_result test_inbound(const struct outside *o, const struct insiders *i) {
        struct sockaddr_in to;
        socklen_t size = sizeof(to);
        uint64_t tag = new_tag();

        if (getsockname(i->inbound, (struct sockaddr *) &to, &size) < 0)
                return PROBE_NOT_RUN;
        /* Anyone can send there, so anything that arrives is a leak: what came before the hold is taken out, what does
         * not end came after. */
        if (!drain(i->inbound))
                return PROBE_LEAK;
        if (sendto(o->control, &tag, sizeof(tag), 0, (struct sockaddr *) &to, sizeof(to)) != sizeof(tag) || !fence(o))
                return PROBE_NOT_RUN;
        return recv(i->inbound, &tag, sizeof(tag), 0) >= 0 ? PROBE_LEAK : PROBE_BLOCKED;
}

/* connect(2) to an address of no family takes back what an earlier attempt that was not refused has begun. */
static bool is_refused(int fd, const void *to, socklen_t size) {
        const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
        bool refused;

        (void) connect(fd, &nobody, sizeof(nobody));
        refused = connect(fd, to, size) < 0 && errno == EPERM;
        (void) connect(fd, &nobody, sizeof(nobody));
        return refused;
}

static enum probe_result test_new(const struct outside *o, const struct insiders *i) {
        bool refused;

        if (i->fresh4 < 0)
                return PROBE_NOT_RUN;
        refused = is_refused(i->fresh4, &o->nowhere4, sizeof(o->nowhere4));
        if (i->fresh6 >= 0) /* no IPv6 in this kernel: no way out by it either */
                refused = is_refused(i->fresh6, &o->nowhere6, sizeof(o->nowhere6)) && refused;
        return refused ? PROBE_BLOCKED : PROBE_LEAK;
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

/* What has become of an attempt: 0, -errno, or -EINPROGRESS still. Reading the socket's error also clears it, so
 * whoever got another answer must not ask again. */
static int look_at_permit(int fd) {
        int error = 0;
        socklen_t size = sizeof(error);
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        if (poll(&p, 1, 0) <= 0)
                return -EINPROGRESS;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

static enum probe_result judge_permit(int became) {
        static const struct {
                int error;
                enum probe_result result;
        } table[] = {
                { 0, PROBE_REACHED },
                { -ECONNREFUSED, PROBE_REFUSED },
                { -EPERM, PROBE_CUT },
                { -ENODATA, PROBE_NOT_RUN },
        };

        for (size_t k = 0; k < ELEMENTSOF(table); k++)
                if (table[k].error == became)
                        return table[k].result;
        return PROBE_NO_ANSWER;
}

static void test_permits(struct insiders *i, const struct permit *permits, size_t n, struct probe_report *ret) {
        const int64_t deadline = clock_mono_us() + PROBE_PERMIT_MS * 1000;
        int became[PROBE_PERMITS_MAX];
        bool waiting = true;

        for (size_t k = 0; k < n; k++)
                became[k] = triable(&permits[k]) && i->permits[k] >= 0 ? start_permit(i->permits[k], &permits[k])
                                                                       : -ENODATA;
        while (waiting) {
                waiting = false;
                for (size_t k = 0; k < n; k++) {
                        if (became[k] == -EINPROGRESS)
                                became[k] = look_at_permit(i->permits[k]);
                        waiting = waiting || became[k] == -EINPROGRESS;
                }
                waiting = waiting && clock_mono_us() < deadline;
                if (waiting)
                        (void) poll(NULL, 0, 1);
        }
        ret->n_permits = (uint8_t) n;
        for (size_t k = 0; k < n; k++)
                ret->permits[k] = judge_permit(became[k]);
        for (size_t k = 0; k < PROBE_PERMITS_MAX; k++) {
                closep(&i->permits[k]);
                i->permits[k] = -EBADF;
        }
}

/* Loopback delivers on the processor that sends, in order; the fence counts on it. */
static void stay_on_cpu(void) {
        cpu_set_t here;

        CPU_ZERO(&here);
        CPU_SET(sched_getcpu(), &here);
        (void) sched_setaffinity(0, sizeof(here), &here);
}

static void move_freely(const struct outside *o) {
        (void) sched_setaffinity(0, sizeof(o->cpus), &o->cpus);
}

bool probe_baseline(const struct outside *o, const struct insiders *i) {
        bool passes;

        stay_on_cpu();
        passes = i->fresh4 >= 0 && test_datagram(o, i) == PROBE_LEAK && test_stream(o, i) == PROBE_LEAK &&
                 test_inbound(o, i) == PROBE_LEAK;
        move_freely(o);
        return passes;
}

void probe_try(const struct outside *o, struct insiders *i, const struct permit *permits, size_t n,
               struct probe_report *ret) {
        *ret = (struct probe_report) { .baseline = i->baseline };
        stay_on_cpu();
        ret->new_connection = test_new(o, i);
        ret->open_stream = test_stream(o, i);
        ret->open_datagram = test_datagram(o, i);
        ret->inbound = test_inbound(o, i);
        move_freely(o);
        test_permits(i, permits, n, ret);
}
