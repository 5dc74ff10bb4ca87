/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/sweep.h"

#include "agent/core/cgroup.h"
#include "agent/core/hosthold.h"
#include "agent/core/management.h"
#include "agent/util/alive.h"

/* The open sites' scopes, one after another, and which site each is of. */
struct sweep {
        struct sockets_scope *scopes;
        struct sockets_result *results;
        size_t *site;
        size_t n;
        struct management *management; /* of the site that is the whole host */
        uint64_t answers[HOST_UNITS_MAX], asks[HOST_UNITS_MAX];
        struct sockets_host host;
        uint64_t spare[PROBE_CGROUPS_MAX], own[PROBE_CGROUPS_MAX];
};

static void sweep_done(struct sweep *w) {
        for (size_t i = 0; i < w->n; i++) {
                free((void *) w->scopes[i].cgroup_ids);
                free((void *) w->scopes[i].pids);
        }
        free(w->management);
        free(w->scopes);
        free(w->results);
        free(w->site);
}

/* What the host is spared is read anew: it may have changed since its programs were loaded. */
static int read_host(struct sweep *w, const struct agent *a) {
        int r;

        if (w->management)
                return 0;
        w->management = calloc(1, sizeof(*w->management));
        r = w->management ? management_read(a->cgroup_root, a->systemd, &a->local, hosthold_known(a), w->management)
                          : -ENOMEM;
        if (r < 0)
                return r;
        w->host = (struct sockets_host) { .own = w->management->own,
                                          .n_own = w->management->n_own,
                                          .answers = w->answers,
                                          .brokers = w->management->brokers,
                                          .n_brokers = w->management->n_brokers,
                                          .asks = w->asks };
        for (size_t i = 0; i < w->management->n_units; i++) {
                const struct management_unit *unit = &w->management->units[i];

                if (unit->may & HOST_ANSWERS)
                        w->answers[w->host.n_answers++] = unit->cgroup_id;
                if (unit->may & HOST_ASKS)
                        w->asks[w->host.n_asks++] = unit->cgroup_id;
        }
        return 0;
}

/* -errno when what belongs to the site cannot be told. */
static int add_site(struct sweep *w, const struct agent *a, const struct site *s, size_t at) {
        struct sockets_scope scope = w->scopes[w->n];
        uint64_t *ids = NULL;
        pid_t *pids = NULL;
        int r = cgroup_ids(s->fd, &ids, &scope.n_cgroup_ids);

        if (r == 0)
                r = cgroup_pids(s->fd, &pids, &scope.n_pids);
        if (r == 0 && site_is_host(s)) {
                r = read_host(w, a);
                scope.host = &w->host;
        }
        if (r < 0) {
                free(pids);
                free(ids);
                return r;
        }
        scope.cgroup_ids = ids;
        scope.pids = pids;
        w->scopes[w->n] = scope;
        w->site[w->n++] = at;
        return 0;
}

void sweep_sites(const struct agent *a, const struct command_id *hold, const struct sites *s, enum sweep_how how,
                 struct sockets_result *ret) {
        _cleanup_(sweep_done) struct sweep w = { .scopes = calloc(s->n, sizeof(*w.scopes)),
                                                 .results = calloc(s->n, sizeof(*w.results)),
                                                 .site = calloc(s->n, sizeof(*w.site)) };
        const size_t n_inodes = a->probe ? probe_inodes(a->probe, w.spare, w.own) : 0;
        const bool room = w.scopes && w.results && w.site;

        for (size_t i = 0; i < s->n; i++) {
                ret[i] = (struct sockets_result) { 0 };
                if (s->v[i].fd < 0 || s->v[i].only_freeze)
                        continue;
                if (room)
                        w.scopes[w.n] =
                                (struct sockets_scope) { .spare_inodes = w.spare,
                                                         .own_inodes = w.own,
                                                         .n_inodes = n_inodes,
                                                         .ask_ways = how == SWEEP_ASK && !site_is_host(&s->v[i]) };
                if (room && w.scopes[w.n].ask_ways)
                        w.scopes[w.n].question = isolate_question(a->isolate, hold, s->v[i].cgroup_id);
                if (!room || add_site(&w, a, &s->v[i], i) < 0)
                        ret[i].gaps |= reason_bit(REASON_SOCKETS_LEFT);
        }
        alive();
        if (w.n > 0)
                sockets_destroy(w.scopes, w.n, how == SWEEP_DESTROY, w.results);
        for (size_t k = 0; k < w.n; k++)
                ret[w.site[k]] = w.results[k];
        alive();
}
