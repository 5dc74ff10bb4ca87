/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/plan.h"

#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/direct.h"
#include "agent/core/foreign.h"
#include "agent/core/elsewhere.h"
#include "agent/core/layers.h"
#include "agent/core/order.h"
#include "agent/core/paths.h"
#include "agent/core/process.h"
#include "agent/core/radius.h"
#include "agent/core/receipt.h"
#include "agent/core/refusal.h"
#include "agent/core/report_json.h"
#include "agent/core/sockets.h"
#include "agent/util/alive.h"

/* a service of thousands is not listed one by one */
#define PROCESSES_LISTED 128U

/* Programs, so that a person sees what would stop, and descriptors that say that others depend on it. */
static json_t *process_json(pid_t pid) {
        char path[32], comm[32] = "";
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) pid);
        f = fopen(path, "re");
        if (f) {
                if (!fgets(comm, sizeof(comm), f))
                        comm[0] = 0;
                (void) fclose(f);
        }
        for (char *c = comm; *c; c++)
                if (*c < 0x20 || *c > 0x7e)
                        *c = c[1] ? '?' : 0;
        return json_pack("{si ss}", "pid", (int) pid, "comm", comm);
}

/* A process and its descendants are no cgroup yet. */
static size_t keep_branch(const struct site *s, pid_t *pids, size_t n) {
        const pid_t first = (pid_t) strtol(s->target.name, NULL, 10);
        size_t kept = 0;

        for (size_t i = 0; i < n; i++)
                if (process_descends(pids[i], first))
                        pids[kept++] = pids[i];
        return kept;
}

/* Before anything is done: whose programs would keep ours off. */
static void add_foreign(json_t *o, const struct agent *a, const struct site *s) {
        struct foreign_list foreign;
        json_t *warnings = json_object_get(o, "warnings");

        foreign_find(a->cgroup_root, s->path, &foreign);
        if (foreign.n > 0) {
                (void) json_object_set_new(o, "foreign", foreign_to_json(&foreign));
                if (!warnings && json_object_set_new(o, "warnings", json_array()) == 0)
                        warnings = json_object_get(o, "warnings");
                (void) json_array_append_new(warnings, json_string(reason_id(REASON_FOREIGN_BPF)));
        }
        foreign_list_done(&foreign);
}

static void add_sockets(json_t *o, const struct site *s, const pid_t *pids, size_t n, struct sockets_result *ret) {
        const bool whole = s->target.cls != TARGET_PID;
        _cleanup_free_ uint64_t *ids = NULL;
        const struct sockets_host nobody_spared = { 0 };
        struct sockets_scope scope = { .pids = pids, .n_pids = n, .host = site_is_host(s) ? &nobody_spared : NULL };

        if (whole && cgroup_ids(s->fd, &ids, &scope.n_cgroup_ids) < 0)
                return;
        scope.cgroup_ids = ids;
        sockets_destroy(&scope, 1, false, ret);
        (void) json_object_set_new(o, "sockets",
                                   json_pack("{si si si}", "connections", (int) ret->left, "listeners",
                                             (int) ret->listeners, "foreign", (int) ret->foreign));
        (void) json_object_set_new(o, "warnings", reasons_to_json(ret->gaps & ~reason_bit(REASON_SOCKETS_LEFT), 0));
}

static void add_radius(struct agent *a, json_t *o, const struct site *s, const struct sites *sites) {
        _cleanup_(elsewhere_done) struct elsewhere elsewhere = { 0 };
        _cleanup_(subtree_done) struct subtree subtree = { .cgroups = 1 };
        _cleanup_free_ pid_t *pids = NULL;
        struct sockets_result sockets = { 0 };
        json_t *processes = json_array();
        size_t n = 0;

        if (cgroup_pids(s->fd, &pids, &n) == 0) {
                if (s->target.cls == TARGET_PID)
                        n = keep_branch(s, pids, n);
                add_sockets(o, s, pids, n, &sockets);
        }
        for (size_t i = 0; i < MIN(n, PROCESSES_LISTED); i++)
                (void) json_array_append_new(processes, process_json(pids[i]));
        (void) json_object_set_new(o, "processes", processes);
        (void) json_object_set_new(o, "processes_total", json_integer((json_int_t) n));
        if (s->target.cls != TARGET_PID && subtree_look(s->fd, &subtree) < 0)
                return;
        radius_add(a, o, s, &subtree, pids, n, &sockets, sites->n <= RADIUS_ASKED_MAX);
        if (elsewhere_look(s, sites, &elsewhere) == 0 && elsewhere.processes > 0)
                (void) json_object_set_new(o, "elsewhere", elsewhere_to_json(&elsewhere));
}

/* What a hold on the host would cover, and what would stay open all the same. */
static void add_uplinks(json_t *o, const struct agent *a) {
        const struct command_id nobody = { { 0 } };
        const struct uplinks_of of = { .pins = a->config.pins, .hold = &nobody };
        json_t *uplinks = json_array();
        struct uplinks found;
        reason_set gaps = 0;

        uplinks_read(&of, &found);
        for (size_t i = 0; i < found.n; i++) {
                if (i < UPLINKS_TOLD_MAX)
                        (void) json_array_append_new(uplinks, json_pack("{ss sI}", "name", found.v[i].name, "netns",
                                                                        (json_int_t) found.v[i].netns));
                gaps |= found.v[i].xdp_prog != 0 ? reason_bit(REASON_LOADED_BPF) : 0;
        }
        if (found.unread || (uplinks_try_tcx() < 0 && uplinks_try_clsact() < 0))
                gaps |= reason_bit(REASON_UPLINK);
        if (found.n_xsk > 0 || direct_try() < 0)
                gaps |= reason_bit(REASON_PACKET_SOCKETS);
        (void) json_object_set_new(o, "uplinks", uplinks);
        (void) json_object_set_new(o, "uplinks_total", json_integer((json_int_t) found.n));
        uplinks_done(&found);
        (void) json_object_set_new(o, "gaps", reasons_to_json(gaps, 0));
}

static json_t *site_json(struct agent *a, const struct site *s, const struct sites *sites, enum verb verb) {
        _cleanup_free_ char *path = paths_to_text(s->path);
        const char *unit = site_unit(s);
        char name[TARGET_STR_SIZE];
        json_t *o;

        if (s->missing != REASON_NONE)
                return receipt_missing_site(s);
        target_to_str(&s->target, name, sizeof(name));
        o = json_pack("{ss ss sI sb sI}", "target", name, "cgroup", path, "cgroup_id", (json_int_t) s->cgroup_id,
                      "frozen_already", s->was_frozen, "watchdog_us",
                      (json_int_t) (unit ? systemd_unit_watchdog(a->systemd, unit) : 0));
        if (o)
                add_radius(a, o, s, sites);
        if (o && site_isolates(s, verb))
                add_foreign(o, a, s);
        if (o && site_isolates(s, verb) && site_is_host(s))
                add_uplinks(o, a);
        return o;
}

int plan_answer(struct agent *a, const struct authorised *authorised, const struct answer *to) {
        const struct command *c = authorised_command(authorised);
        struct resolver resolver = agent_resolver(a, NULL);
        _cleanup_(sites_done) struct sites sites = { 0 };
        _cleanup_json_ json_t *receipt = NULL, *targets = json_array();
        _cleanup_free_ char *envelope = NULL;
        reason_set notes = 0;
        int r = 0;

        resolver.freezes = verb_info(c->verb)->freezes;
        if (verb_info(c->verb)->cls == VERB_CLASS_STOP || verb_info(c->verb)->cls == VERB_CLASS_OBSERVE)
                r = resolve_targets(&resolver, c->targets, c->n_targets, &sites, &notes);
        if (r < 0)
                return r;
        if (sites.n > 0 && order_nothing_to_hold(&sites) != REASON_NONE)
                return refusal_of_targets(a, authorised, &sites, to);
        for (size_t i = 0; i < sites.n; i++) {
                (void) json_array_append_new(targets, site_json(a, &sites.v[i], &sites, c->verb));
                alive();
        }
        receipt = receipt_plain(a, &c->id, authorised_digest(authorised), verb_info(c->verb)->id, "planned",
                                authorised_flags(authorised) | notes);
        if (!receipt || json_object_set(receipt, "targets", targets) < 0 ||
            json_object_set_new(receipt, "role", json_string(authorised_role(authorised))) < 0 ||
            json_object_set_new(receipt, "layers", layers_to_json(a)) < 0)
                return -ENOMEM;
        r = receipt_seal(a, receipt, true, &envelope);
        if (r == 0)
                link_answer(to, envelope, false);
        return r;
}
