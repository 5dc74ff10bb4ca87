/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The signed payload of a command, from bytes to a struct whose every field has been checked against its range. One field table drives
 * parsing; a member that the table does not have is a refusal, so that a newer field can never be silently ignored by an older host. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/reason.h"
#include "policy/verb.h"

#define COMMAND_HOSTS_MAX 1000U
#define COMMAND_TARGETS_MAX 256U
#define COMMAND_PERMITS_MAX 64U
#define COMMAND_NAME_MAX 255U
#define COMMAND_FLEET_MAX 63U
#define COMMAND_INCIDENT_MAX 63U
#define COMMAND_REASON_MAX 512U
/* exp - iat at most: a stop order that waits longer for its host is a surprise, not an emergency */
#define COMMAND_STOP_LIFE_MS (24LL * 3600 * 1000)
#define COMMAND_RELEASE_LIFE_MS (3600LL * 1000)
/* the largest integer that every JSON reader keeps exact */
#define COMMAND_INT_MAX ((1LL << 53) - 1)

struct command_id {
        uint8_t b[16];
};

/* An address that stays reachable. IPv4 is kept as its v4-mapped IPv6 form, prefix counted from 96. */
struct permit {
        uint8_t addr[16];
        uint8_t prefix;
        uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP, or 0 for any */
        uint16_t port; /* host order; 0: any */
};

struct target {
        enum target_class cls;
        char name[COMMAND_NAME_MAX + 1]; /* no control character; for HOLD: 32 hex digits */
};

enum command_to {
        COMMAND_TO_HOSTS,
        COMMAND_TO_GROUP,
        COMMAND_TO_ALL,
};

struct command {
        char fleet[COMMAND_FLEET_MAX + 1];
        struct command_id id; /* also the id of the hold that it makes */
        enum verb verb;
        enum command_to to;
        uint8_t (*hosts)[32]; /* n_hosts fingerprints of host keys, owned */
        size_t n_hosts;
        char group[COMMAND_FLEET_MAX + 1];
        uint32_t max_hosts; /* for GROUP and ALL */
        struct target *targets; /* owned, n_targets >= 1 */
        size_t n_targets;
        struct permit *permits; /* owned, beside those of the host's policy */
        size_t n_permits;
        int64_t lease_ms; /* 0: until released */
        int64_t iat_ms, exp_ms;
        int64_t seq, root_version; /* 0 when absent */
        enum severity severity;
        char incident[COMMAND_INCIDENT_MAX + 1]; /* empty, or letters-digits-digits as in SA-20261120-001: it names a folder */
        char reason[COMMAND_REASON_MAX + 1];
        bool drill;
        bool plan; /* say what would happen; change and record nothing */
};

void command_free(struct command *c);
#define _cleanup_command_ _cleanup_(command_freep)
void command_freep(struct command **c);

/* Parses and checks. Only verified bytes may come here.
 * Returns 0 with *ret_reason REASON_NONE and *ret owned by the caller, 0 with a reason (MALFORMED, VERSION, FIELD, SCHEMA, LIMIT) and
 * *ret untouched, or -ENOMEM. */
int command_parse(const uint8_t *payload, size_t n, struct command **ret, enum reason *ret_reason) _warn_unused_;

/* Serialises for signing: compact, keys sorted, integers only; command_parse reads the same back. *ret is malloc'ed. -ENOMEM, or
 * -EINVAL when a field is out of its range. */
int command_to_json(const struct command *c, char **ret) _warn_unused_;

/* "unit:nginx.service", "nginx.service", "slice:app.slice", "cgroup:/a/b", "hold:<32 hex>". -EINVAL, *ret untouched.
 * A cgroup path is absolute within the unified hierarchy, without "." or ".." components, and is not the root. */
int target_from_str(const char *s, struct target *ret) _warn_unused_;
/* Writes "class:name"; n of at least COMMAND_NAME_MAX + 9 always fits. */
void target_to_str(const struct target *t, char *ret, size_t n);

/* "10.0.0.5", "10.0.0.0/8", "fd00::/8". Host bits beyond the prefix must be zero. -EINVAL. Fills addr and prefix only. */
int permit_net_from_str(const char *s, struct permit *ret) _warn_unused_;
/* The reverse; n of at least 50 always fits. IPv4 is written as IPv4. */
void permit_net_to_str(const struct permit *p, char *ret, size_t n);
/* [{"net":"10.0.0.5/32","port":443,"proto":"tcp"}]: port and proto may be absent. Also used by the local policy.
 * Returns REASON_NONE and the owned array, or SCHEMA, FIELD, LIMIT. NULL array stands for none. */
enum reason permits_from_json(const json_t *array, size_t max, struct permit **ret, size_t *ret_n);
/* A new reference, or NULL when out of memory. */
json_t *permits_to_json(const struct permit *p, size_t n);

void command_id_to_str(const struct command_id *id, char ret[static 33]);
/* Exactly 32 lower-case hex digits. -EINVAL. */
int command_id_from_str(const char *s, struct command_id *ret) _warn_unused_;
bool command_id_equal(const struct command_id *a, const struct command_id *b);
