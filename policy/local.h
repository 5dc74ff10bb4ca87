/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The host's own policy, /etc/freezed/policy.json: what must never be held here, which addresses stay reachable, what
 * evidence is kept. It can only narrow what the trust root allows. The units without which the host or its agent dies
 * are compiled in and cannot be taken out.
 *
 * Members; * marks the ones that may be absent and then have the value of default-policy.json, which is what
 * local_defaults() gives:
 *   v                     1
 *   protected*            at most LOCAL_PATTERNS_MAX patterns: the characters of unit names, `*` for any run of them,
 *                         `?` for one
 *   management*           as many patterns of units through which people get in: while the whole host is isolated, the
 *                         connections that others made to their sockets live on, and new ones are answered
 *   brokers*              at most LOCAL_BROKERS_MAX entries as permit.h reads them, each with a port and `tcp`: what
 *                         freezed-relay.service, and nobody else, may connect to while the whole host is isolated
 *   permitted*            at most COMMAND_PERMITS_MAX entries as permit.h reads them
 *   automation_budget_ms* from 0
 *   automation_day_ms*    from 0; absent, it is at least automation_budget_ms
 *   evidence*             {"window_ms"*, "deadline_ms"*, "max_bytes"*, "profiles"*, "logs"*, "quota_bytes"*,
 *                         "free_bytes"*}
 *     window_ms ...       of the profile `default`: from 0, from LOCAL_DEADLINE_MIN_MS to LOCAL_DEADLINE_MAX_MS, from 0
 *     profiles            {"logs"*, "full"*}: the same three members for each of the others (profile.h)
 *     logs                at most LOCAL_LOGS_MAX absolute paths of log files and directories of such, `*` for any run
 * of characters within one name, `?` for one; no `//`, `.`, `..`, nor a `/` at the end
 *     quota_bytes         from 0: what all evidence of this host may take together; 0: no bound
 *     free_bytes          from 0: what a snapshot leaves free of the disk
 *
 * Integers are at most SCHEMA_INT_MAX where no other limit is named. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/command.h"
#include "policy/profile.h"
#include "policy/reason.h"
#include "policy/wildcard.h"

#define LOCAL_FILE_MAX     (64U * 1024)
#define LOCAL_PATTERNS_MAX 64U
/* of local_spoken_for() */
#define LOCAL_SPOKEN_FOR_MAX (LOCAL_PATTERNS_MAX + 8U)
#define LOCAL_LOGS_MAX       64U
#define LOCAL_BROKERS_MAX    16U
/* a collector that is given less than this has not even listed the processes */
#define LOCAL_DEADLINE_MIN_MS 1000LL
/* longer than this is no deadline */
#define LOCAL_DEADLINE_MAX_MS (3600LL * 1000)

struct local {
        char patterns[LOCAL_PATTERNS_MAX][TARGET_NAME_MAX + 1]; /* unit name globs: `*` any run, `?` one character */
        size_t n_patterns;
        char management[LOCAL_PATTERNS_MAX][TARGET_NAME_MAX + 1];
        size_t n_management;
        struct permit permits[COMMAND_PERMITS_MAX]; /* reachable from every isolated target */
        size_t n_permits;
        struct permit brokers[LOCAL_BROKERS_MAX]; /* reachable from the relay of an isolated host */
        size_t n_brokers;
        int64_t automation_budget_ms; /* of a key of automation per incident, all leases together (account.h) */
        int64_t automation_day_ms;    /* the same within a day, over all incidents */
        struct profile_budget profiles[_PROFILE_MAX];
        char logs[LOCAL_LOGS_MAX][WILDCARD_PATH_SIZE];
        size_t n_logs;
        int64_t evidence_quota_bytes; /* 0: no bound */
        int64_t evidence_free_bytes;
};

/* The defaults, which are also what an absent file means. */
void local_defaults(struct local *ret);
/* Parses the file; absent members keep their defaults. Returns 0 and a reason as command_parse does; *ret untouched
 * unless REASON_NONE. */
int local_parse(const uint8_t *json, size_t n, struct local *ret, enum reason *ret_reason) _warn_unused_;
/* True when a unit or slice of this name may not be held: compiled-in list or the host's patterns. Ask with the name
 * that the unit has (systemd's Id): an alias such as dbus-org.freedesktop.login1.service is not resolved here. */
bool local_protects(const struct local *l, const char *unit);
/* True when the unit is one of the policy's management. */
bool local_answers(const struct local *l, const char *unit);
/* True when the unit is the one that speaks to the policy's brokers. */
bool local_asks(const char *unit);
/* True when the unit is one that gives network interfaces their addresses: it may speak DHCP on an isolated host. */
bool local_configures(const char *unit);
/* The patterns of all that answer, ask or configure, one after another: of those the service manager is asked. NULL
 * after the last. */
const char *local_spoken_for(const struct local *l, size_t i);
