/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What enforcing would ask about a cgroup's sockets, and what is to come of it. */

#include "lib/cage.h"
#include "lib/reasons.h"

#include "agent/core/cgroup.h"
#include "agent/core/sockets.h"

#define GAP(r) reason_bit(REASON_##r)

/* The scope that enforcing would make of the cgroup now. */
struct scope {
        struct sockets_scope s;
        uint64_t *ids;
        pid_t *pids;
};

static inline struct scope scope_of(const struct cage *c) {
        struct scope r = { .ids = NULL };

        assert_int_equal(cgroup_ids(c->fd, &r.ids, &r.s.n_cgroup_ids), 0);
        assert_int_equal(cgroup_pids(c->fd, &r.pids, &r.s.n_pids), 0);
        r.s.cgroup_ids = r.ids;
        r.s.pids = r.pids;
        return r;
}

static inline void scope_done(struct scope *s) {
        free(s->ids);
        free(s->pids);
}

static inline struct sockets_result sweep(const struct cage *c, bool destroy) {
        _cleanup_(scope_done) struct scope s = scope_of(c);
        struct sockets_result r;

        sockets_destroy(&s.s, 1, destroy, &r);
        return r;
}

static inline void check(struct sockets_result r, unsigned destroyed, unsigned left, unsigned foreign,
                         unsigned listeners) {
        assert_int_equal(r.destroyed, destroyed);
        assert_int_equal(r.left, left);
        assert_int_equal(r.foreign, foreign);
        assert_int_equal(r.listeners, listeners);
        assert_reasons(r.gaps, (left ? GAP(SOCKETS_LEFT) : 0) | (foreign ? GAP(FOREIGN_SOCKET) : 0));
}

static inline int error_of(int fd) {
        char c;
        ssize_t n;

        wire_settle();
        n = recv(fd, &c, 1, 0);
        return n < 0 ? -errno : (int) n;
}
