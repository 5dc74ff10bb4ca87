/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

#define PIDS_SHOWN 12U

static void render_pids(const struct page *p, const json_t *target) {
        const json_t *pids = json_object_get(target, "pids");
        char list[PIDS_SHOWN * 24] = "";
        size_t i, used = 0;
        int64_t n = member_int(target, "pids_total", (int64_t) json_array_size(pids));
        json_t *v;

        if (!json_is_array(pids))
                return;
        json_array_foreach(pids, i, v) {
                if (i == PIDS_SHOWN)
                        break;
                used += (size_t) snprintf(list + used, sizeof(list) - used, " %" PRId64,
                                          (int64_t) json_integer_value(v));
        }
        render_row(p, "processes", "%" PRId64 "%s%s%s", n, n ? ":" : "", list, n > (int64_t) PIDS_SHOWN ? " ..." : "");
}

static void render_links(const struct page *p, const json_t *links) {
        char hooks[512] = "";
        size_t i, used = 0;
        json_t *l;

        if (!json_is_array(links))
                return;
        json_array_foreach(links, i, l) if (used < sizeof(hooks)) used +=
                (size_t) snprintf(hooks + used, sizeof(hooks) - used, " %s#%" PRId64, CLEAN(member_str(l, "hook")),
                                  member_int(l, "link_id", 0));
        render_row(p, "network", "%zu program%s attached%s%s", json_array_size(links),
                   json_array_size(links) == 1 ? "" : "s", *hooks ? ":" : "", hooks);
}

static void render_selftest(const struct page *p, const json_t *test) {
        static const struct {
                const char *member, *words;
        } paths[] = {
                { "new", "a new connection from inside" },
                { "open", "a connection that was open before" },
                { "datagram", "a datagram socket that was open before" },
                { "inbound", "a packet from outside" },
        };
        const char *label = "self-test";
        size_t i;
        json_t *v;

        for (i = 0; i < ELEMENTSOF(paths); i++) {
                const char *result = member_str(test, paths[i].member);
                if (!*result)
                        continue;
                render_row(p, label, "%s: %s", paths[i].words, CLEAN(result));
                label = NULL;
        }
        if (member_is_false(test, "baseline"))
                render_row(p, NULL, "(the same paths carried nothing before either: `blocked` proves less)");
        json_array_foreach(json_object_get(test, "permitted"), i, v) {
                int64_t port = member_int(v, "port", 0);
                char at[32] = "";
                if (port > 0)
                        (void) snprintf(at, sizeof(at), " port %" PRId64, port);
                render_row(p, label, "permitted %s%s: %s", CLEAN(member_str(v, "net")), at,
                           CLEAN(member_str(v, "result")));
                label = NULL;
        }
}

/* One line for each string. */
static void render_list(const struct page *p, const char *label, const json_t *list) {
        size_t i;
        json_t *v;

        json_array_foreach(list, i, v) render_row(p, i == 0 ? label : NULL, "%s", CLEAN(json_string_value(v)));
}

static void render_elsewhere(const struct page *p, const json_t *elsewhere) {
        const int64_t n = member_int(elsewhere, "processes", 0);

        if (n > 0)
                render_row(p, "ELSEWHERE", "%" PRId64 " process%s outside of what is held, in", n, n == 1 ? "" : "es");
        render_list(p, NULL, json_object_get(elsewhere, "cgroups"));
}

static void render_target_gaps(const struct page *p, const char *label, const json_t *gaps) {
        size_t i;
        json_t *v;

        json_array_foreach(gaps, i, v) {
                const char *id = json_string_value(v);
                enum reason r;
                bool known = id && reason_from_id(id, &r);
                render_row(p, i == 0 ? label : NULL, "%s%s%s", CLEAN(id), known ? ": " : "",
                           known ? reason_text(r) : "");
        }
}

/* Several short words in one row. */
static void render_words(const struct page *p, const char *label, const json_t *list) {
        char words[512] = "";
        size_t i, used = 0;
        json_t *v;

        json_array_foreach(list, i, v) {
                if (used >= sizeof(words))
                        break;
                if (json_is_integer(v))
                        used += (size_t) snprintf(words + used, sizeof(words) - used, " %" PRId64,
                                                  (int64_t) json_integer_value(v));
                else
                        used += (size_t) snprintf(words + used, sizeof(words) - used, " %s",
                                                  CLEAN(json_string_value(v)));
        }
        if (*words)
                render_row(p, label, "%s", words + 1);
}

/* Whom it hits. */
static void render_reach(const struct page *p, const json_t *target) {
        static const struct {
                const char *member, *label;
        } lists[] = {
                { "units", "units" },      { "containers", "containers" }, { "users", "runs as" },
                { "ports", "listens on" }, { "dependents", "needed by" },
        };

        if (member_int(target, "cgroups", 1) > 1)
                render_row(p, "cgroups", "%" PRId64, member_int(target, "cgroups", 1));
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                render_words(p, lists[i].label, json_object_get(target, lists[i].member));
        render_list(p, "NOT FROZEN", json_object_get(target, "thawed"));
}

/* What a plan says of a target beyond what a receipt does. */
static void render_radius(const struct page *p, const json_t *target) {
        const json_t *sockets = json_object_get(target, "sockets");
        size_t i;
        json_t *v;
        enum reason r;

        if (*member_str(target, "missing"))
                render_row(p, "MISSING", "%s: %s", CLEAN(member_str(target, "missing")),
                           reason_from_id(member_str(target, "missing"), &r) ? reason_text(r) : "");
        render_list(p, "could be", json_object_get(target, "several"));
        json_array_foreach(json_object_get(target, "processes"), i, v) {
                if (i == PIDS_SHOWN) {
                        render_row(p, NULL, "... and %" PRId64 " more",
                                   member_int(target, "processes_total",
                                              (int64_t) json_array_size(json_object_get(target, "processes"))) -
                                           (int64_t) i);
                        break;
                }
                render_row(p, i == 0 ? "would hit" : NULL, "%" PRId64 " %s", member_int(v, "pid", 0),
                           CLEAN(member_str(v, "comm")));
        }
        if (json_object_get(sockets, "connections"))
                render_row(p, "sockets", "%" PRId64 " connections, %" PRId64 " listening, %" PRId64 " of other cgroups",
                           member_int(sockets, "connections", 0), member_int(sockets, "listeners", 0),
                           member_int(sockets, "foreign", 0));
        render_reach(p, target);
        if (member_is_true(target, "frozen_already"))
                render_row(p, "frozen", "already");
        if (member_int(target, "watchdog_us", 0) > 0)
                render_row(p, "watchdog", "%s: the service manager may kill it while it is frozen",
                           SPAN(member_int(target, "watchdog_us", 0) / 1000));
        render_target_gaps(p, "warning", json_object_get(target, "warnings"));
}

/* Why a freeze is not over, for whoever has to decide what to do about it. */
static void render_unfrozen(const struct page *p, const json_t *unfrozen) {
        size_t i;
        json_t *u;

        json_array_foreach(unfrozen, i, u) {
                const char *wchan = member_str(u, "wchan");
                render_row(p, i == 0 ? "NOT FROZEN" : NULL, "%" PRId64 " %s: state %s%s%s", member_int(u, "pid", 0),
                           CLEAN(member_str(u, "comm")), CLEAN(member_str(u, "state")), *wchan ? ", waits in " : "",
                           CLEAN(wchan));
        }
}

/* Whom to ask, and where to look. */
static void render_foreign(const struct page *p, const json_t *foreign) {
        size_t i;
        json_t *f;

        json_array_foreach(foreign, i, f)
                render_row(p, i == 0 ? "FOREIGN" : NULL, "program %" PRId64 " \"%s\" on %s keeps ours off %s",
                           member_int(f, "prog_id", 0), CLEAN(member_str(f, "name")), CLEAN(member_str(f, "cgroup")),
                           CLEAN(member_str(f, "hook")));
}

/* Of a plan the names alone. */
static void render_uplinks(const struct page *p, const json_t *uplinks) {
        size_t i;
        json_t *u;

        json_array_foreach(uplinks, i, u)
                render_row(p, i == 0 ? "uplinks" : NULL, "%s%s%s%s", CLEAN(member_str(u, "name")),
                           *member_str(u, "by") ? ": " : "", CLEAN(member_str(u, "by")),
                           member_is_false(u, "direct") ? ", which a packet socket can PASS BY" : "");
}

static void render_counted(const struct page *p, const json_t *c) {
        if (!json_is_object(c))
                return;
        render_row(p, "counted",
                   "%" PRId64 " calls refused, packets dropped: %" PRId64 " out, %" PRId64 " in; passed: %" PRId64
                   " out, %" PRId64 " in",
                   member_int(c, "refused", 0), member_int(c, "dropped_out", 0), member_int(c, "dropped_in", 0),
                   member_int(c, "passed_out", 0), member_int(c, "passed_in", 0));
}

void render_target(const struct page *p, const json_t *target, const char *verb) {
        const json_t *sockets = json_object_get(target, "sockets");
        int64_t cgroup_id = member_int(target, "cgroup_id", 0);
        enum verb v;
        bool freezes = verb_from_id(verb, &v) && verb_info(v)->freezes;

        if (*member_str(target, "target"))
                render_row(p, "target", "%s", CLEAN(member_str(target, "target")));
        if (*member_str(target, "cgroup"))
                render_row(p, "cgroup", "%s (id %" PRId64 ")", CLEAN(member_str(target, "cgroup")), cgroup_id);
        render_pids(p, target);
        if (member_is_true(target, "frozen"))
                render_row(p, "frozen", "yes, as the kernel says");
        else if (member_is_false(target, "frozen"))
                render_row(p, "frozen", "%s, as the kernel says", freezes ? "NO" : "no");
        render_unfrozen(p, json_object_get(target, "unfrozen"));
        render_awaiting(p, target);
        render_links(p, json_object_get(target, "links"));
        if (json_object_get(sockets, "destroyed"))
                render_row(p, "connections", "%" PRId64 " destroyed, %" PRId64 " left, %" PRId64 " of other cgroups",
                           member_int(sockets, "destroyed", 0), member_int(sockets, "left", 0),
                           member_int(sockets, "foreign", 0));
        render_selftest(p, json_object_get(target, "selftest"));
        render_elsewhere(p, json_object_get(target, "elsewhere"));
        render_counted(p, json_object_get(target, "counted"));
        render_foreign(p, json_object_get(target, "foreign"));
        render_uplinks(p, json_object_get(target, "uplinks"));
        render_target_gaps(p, "GAP", json_object_get(target, "gaps"));
        render_radius(p, target);
}
