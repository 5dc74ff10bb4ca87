/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which event orders what. Written by people, read strictly: whatever is not known, missing or out of range is an error
 * that names the file, the rule and the member. Pure but for the allocation.
 *
 *   {"v":1,
 *    "budgets":{"per_hour":20,"per_incident":20,"hosts_per_incident":50}*,
 *    "rules":[{"name":"web-shell","source":"falco",
 *              "match":{"rule":"Terminal shell in container","output_fields.container.id":"????????????"},
 *              "then":{"verb":"contain","targets":["container:{output_fields.container.id}"],"lease":"15m",
 *                      "to":"local"*,"severity":"P1"*,"max_hosts":50*,"snapshot":"default"*,"incident":"..."*},
 *              "cooldown":"15m"*,"max_age":"1h"*}]}          (* may be absent, and is then as it stands here)
 *
 * match: places in the event (escalate_path.h) and patterns (policy/wildcard.h), all of which have to fit; of a list
 * one entry has to. An event may fit several rules and is then at most one order of each. In targets, `to` and incident
 * a {place} stands for the value that the event has there. A target's class is always written out, and the value can be
 * no other class, no pattern and no way up (escalate_fill.h). lease: compulsory for what stops anything, and nothing
 * for a snapshot. cooldown: so long no other order by this rule for the same targets; as long as the lease when it is
 * absent. max_age: older events are told and order nothing. */

#include <stddef.h>
#include <stdint.h>

#include "ctl/escalate_event.h"
#include "ctl/escalate_path.h"
#include "ctl/why.h"
#include "policy/command.h"

#define ESCALATE_RULES_FILE_MAX (1024U * 1024)
#define ESCALATE_RULES_MAX      128U
#define ESCALATE_MATCHES_MAX    16U
#define ESCALATE_TARGETS_MAX    16U
#define ESCALATE_NAME_MAX       63U
#define ESCALATE_TEMPLATE_MAX   255U
#define ESCALATE_PATTERN_MAX    255U
/* how long orders are remembered: what counts against a budget, and what an event that comes again is known by */
#define ESCALATE_MEMORY_MS (24LL * 3600 * 1000)
#define ESCALATE_HOUR_MS   (3600LL * 1000)
/* so that the orders of ESCALATE_MEMORY_MS are a file that can be written for each of them */
#define ESCALATE_PER_HOUR_MAX 100

struct escalate_match {
        char path[ESCALATE_PATH_MAX + 1], pattern[ESCALATE_PATTERN_MAX + 1];
};

struct escalate_rule {
        char name[ESCALATE_NAME_MAX + 1];
        enum escalate_source source;
        struct escalate_match matches[ESCALATE_MATCHES_MAX];
        size_t n_matches;
        enum verb verb;
        char targets[ESCALATE_TARGETS_MAX][ESCALATE_TEMPLATE_MAX + 1];
        size_t n_targets;
        char to[ESCALATE_TEMPLATE_MAX + 1];       /* "local", "all", "group=NAME" or "host=" and a template */
        char incident[ESCALATE_TEMPLATE_MAX + 1]; /* "": one is made for the rule and the day */
        enum severity severity;
        enum profile profile;
        int64_t lease_ms, max_hosts, cooldown_ms, max_age_ms;
};

struct escalate_rules {
        int64_t per_hour, per_incident, hosts_per_incident;
        struct escalate_rule *v; /* owned */
        size_t n;
};

#define ESCALATE_RULES_NULL ((struct escalate_rules) { .v = NULL })

/* Returns 0 or an exit code. file is for messages. */
int escalate_rules_parse(const char *file, const char *text, size_t n, struct escalate_rules *ret,
                         struct why *w) _warn_unused_;
void escalate_rules_done(struct escalate_rules *r);
