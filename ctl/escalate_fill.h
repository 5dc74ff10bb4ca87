/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A rule and an event become what would be ordered. Pure but for the list of known hosts, which it reads. */

#include <stdbool.h>

#include "ctl/escalate_rules.h"
#include "ctl/hosts.h"

struct escalate_draft {
        const struct escalate_rule *rule;
        enum command_to to;
        const struct host *host; /* TO_HOSTS: NULL is this one, whichever it is; borrowed */
        char group[COMMAND_FLEET_MAX + 1];
        int64_t n_hosts; /* how many it may reach: of a group and of all what the rule says, until somebody knows */
        struct target targets[ESCALATE_TARGETS_MAX];
        size_t n_targets;
        char incident[COMMAND_INCIDENT_MAX + 1]; /* "": to be made */
        uint8_t subject[32];                     /* the same for the same rule, hosts and targets */
};

/* True when all that the rule asks for is there. */
bool escalate_fill_matches(const struct escalate_rule *r, const struct escalate_event *e);
/* Fills *ret; NULL, or why the event cannot order what the rule says; static. */
const char *escalate_fill(const struct escalate_rule *r, const struct escalate_event *e, const struct hosts *known,
                          struct escalate_draft *ret);
