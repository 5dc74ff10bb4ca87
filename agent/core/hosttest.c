/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/hosttest.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/core/cgroup.h"

#define SCRATCH "freezed-selftest"

/* 192.0.2.1 of TEST-NET-1 and the port that discards: were it not refused, nobody would get it */
static const struct permit nobody = { .addr = { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1 },
                                      .prefix = 128,
                                      .proto = IPPROTO_TCP,
                                      .port = 9 };

/* Sockets are made in a cgroup that is nobody's, because ours is kept off the network by its own unit, and tried under
 * the host's id. */
static int try(struct agent *a, const struct site *s, const struct permit *permits, size_t n,
               struct probe_report *ret) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r = a->probe ? 0 : -ENODEV;

        if (r == 0 && mkdirat(s->fd, SCRATCH, 0700) < 0 && errno != EEXIST)
                r = -errno;
        if (r == 0)
                r = cgroup_open(a->cgroup_root, "/" SCRATCH, &fd, &id);
        if (r < 0)
                return r;
        r = probe_enter(a->probe, fd, s->cgroup_id, n);
        if (r == 0)
                r = probe_check(a->probe, s->cgroup_id, permits, n, ret);
        probe_leave(a->probe, s->cgroup_id);
        (void) unlinkat(s->fd, SCRATCH, AT_REMOVEDIR);
        return r;
}

/* Leaves room for one more. */
static size_t gather(const struct agent *a, const struct hold *h, struct permit ret[static PROBE_PERMITS_MAX]) {
        size_t n = 0;

        for (size_t i = 0; i < a->local.n_permits && n + 1 < PROBE_PERMITS_MAX; i++)
                ret[n++] = a->local.permits[i];
        for (size_t i = 0; i < h->n_permits && n + 1 < PROBE_PERMITS_MAX; i++)
                ret[n++] = h->permits[i];
        return n;
}

static uint32_t answering(const struct probe_report *t) {
        uint32_t set = 0;

        for (size_t k = 0; k < t->n_permits; k++)
                if (t->permits[k] == PROBE_REACHED || t->permits[k] == PROBE_REFUSED)
                        set |= 1U << k;
        return set;
}

uint32_t hosttest_before(struct agent *a, const struct hold *h, const struct site *s) {
        struct permit permits[PROBE_PERMITS_MAX];
        const size_t n = gather(a, h, permits);
        struct probe_report t;

        if (n == 0 || try(a, s, permits, n, &t) < 0)
                return 0;
        return answering(&t);
}

void hosttest_after(struct agent *a, const struct hold *h, const struct site *s, uint32_t before, struct proof *p) {
        const size_t n = gather(a, h, p->permits);
        struct probe_report t;
        enum probe_result out;

        p->permits[n] = nobody;
        if (try(a, s, p->permits, n + 1, &t) < 0) {
                p->gaps |= reason_bit(REASON_SELFTEST_NOT_RUN);
                return;
        }
        out = t.permits[n];
        t.n_permits = (uint8_t) n;
        p->tested = true;
        p->selftest = (struct probe_report) { .baseline = true, .n_permits = t.n_permits };
        memcpy(p->selftest.permits, t.permits, n);
        p->selftest.new_connection = out == PROBE_CUT       ? PROBE_BLOCKED
                                     : out == PROBE_NOT_RUN ? PROBE_NOT_RUN
                                                            : PROBE_LEAK;
        if (p->selftest.new_connection != PROBE_BLOCKED)
                p->gaps |= reason_bit(out == PROBE_NOT_RUN ? REASON_SELFTEST_NOT_RUN : REASON_SELFTEST_LEAK);
        if (before & ~answering(&t))
                p->gaps |= reason_bit(REASON_MANAGEMENT);
}
