/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The host's own policy, /etc/freezed/policy.json: what must never be held here, which addresses stay reachable, what evidence is kept.
 * It can only narrow what the trust root allows. The units without which the host or its agent dies are compiled in and cannot be taken out. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/command.h"
#include "policy/reason.h"

#define LOCAL_PATTERNS_MAX 64U

struct local {
        char patterns[LOCAL_PATTERNS_MAX][COMMAND_NAME_MAX + 1]; /* unit name globs: `*` any run, `?` one character */
        size_t n_patterns;
        struct permit permits[COMMAND_PERMITS_MAX]; /* reachable from every isolated target */
        size_t n_permits;
        int64_t automation_budget_ms;  /* per incident, all automation leases together */
        int64_t evidence_window_ms;    /* journal before the order */
        int64_t evidence_deadline_ms;  /* the collector is killed after that */
        int64_t evidence_max_bytes;
};

/* The defaults, which are also what an absent file means. */
void local_defaults(struct local *ret);
/* Parses the file; absent members keep their defaults. Returns 0 and a reason as command_parse does; *ret untouched unless REASON_NONE. */
int local_parse(const uint8_t *json, size_t n, struct local *ret, enum reason *ret_reason) _warn_unused_;
/* True when a unit or slice of this name may not be held: compiled-in list or the host's patterns. */
bool local_protects(const struct local *l, const char *unit);
