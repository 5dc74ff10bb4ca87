/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The signed payload of a command, from bytes to a struct whose every field has been checked against its range. One
 * field table drives parsing; a member that the table does not have is a refusal, so that a newer field can never be
 * silently ignored by an older host.
 *
 * Members; * marks the ones that may be absent, and what that means:
 *   v             1
 *   fleet         name: ^[a-z0-9][a-z0-9._-]*$, at most COMMAND_FLEET_MAX bytes
 *   id            32 lower-case hex digits
 *   verb          an id of VERB_TABLE
 *   to            as address.h reads it
 *   targets       1 to COMMAND_TARGETS_MAX strings as target.h reads them, no two alike; all of class hold for extend,
 *                 release and what is about evidence, none of it for the others
 *   args*         {"permitted":[...]* as permit.h reads them, "lease_ms":n*, "snapshot":profile*, "step":bool*};
 *                 absent is {}
 *     permitted   only for verbs that isolate; at most COMMAND_PERMITS_MAX
 *     lease_ms    absent or 0: until released. extend: at least 1. Of all others that stop nothing: 0
 *     snapshot    an id of PROFILE_TABLE; absent is "default", and so it is for verbs that take no snapshot
 *     step        true only for release; absent is false
 *   iat, exp      ms since 1970; exp is after iat by at most COMMAND_STOP_LIFE_MS, of what lets go (verb.h)
 *                 COMMAND_RELEASE_LIFE_MS
 *   severity      P0..P3 or the other vocabulary's word
 *   reason        1 to COMMAND_REASON_MAX bytes of text
 *   incident*     "" or ^[A-Z]{2,8}-[0-9]{8}-[0-9]{3,6}$; absent is ""
 *   seq*, root_version*   integers; absent is 0
 *   drill*, plan*         booleans; absent is false
 * Integers are from 0 to COMMAND_INT_MAX where nothing else is said. Text is UTF-8 without control characters. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/address.h"
#include "policy/cleanup.h"
#include "policy/permit.h"
#include "policy/profile.h"
#include "policy/reason.h"
#include "policy/schema.h"
#include "policy/target.h"
#include "policy/verb.h"

#define COMMAND_HOSTS_MAX    ADDRESS_HOSTS_MAX
#define COMMAND_TARGETS_MAX  256U
#define COMMAND_PERMITS_MAX  64U
#define COMMAND_FLEET_MAX    ADDRESS_GROUP_MAX
#define COMMAND_INCIDENT_MAX 63U
#define COMMAND_REASON_MAX   512U
/* exp - iat at most: a stop order that waits longer for its host is a surprise, not an emergency */
#define COMMAND_STOP_LIFE_MS    (24LL * 3600 * 1000)
#define COMMAND_RELEASE_LIFE_MS (3600LL * 1000)
#define COMMAND_INT_MAX         SCHEMA_INT_MAX

struct command_id {
        uint8_t b[16];
};

struct command {
        char fleet[COMMAND_FLEET_MAX + 1];
        struct command_id id; /* also the id of the hold that it makes */
        enum verb verb;
        enum command_to to;
        uint8_t (*hosts)[32]; /* n_hosts fingerprints of host keys, owned */
        size_t n_hosts;
        char group[COMMAND_FLEET_MAX + 1];
        uint32_t max_hosts;     /* for GROUP and ALL */
        struct place_part part; /* for GROUP and ALL */
        struct target *targets; /* owned, n_targets >= 1 */
        size_t n_targets;
        struct permit *permits; /* owned, beside those of the host's policy */
        size_t n_permits;
        int64_t lease_ms; /* 0: until released */
        enum profile profile;
        int64_t iat_ms, exp_ms;
        int64_t seq, root_version; /* 0 when absent */
        enum severity severity;
        char incident[COMMAND_INCIDENT_MAX +
                      1]; /* empty, or letters-digits-digits as in SA-20261120-001: it names a folder */
        char reason[COMMAND_REASON_MAX + 1];
        bool drill;
        bool step; /* a release that thaws and leaves isolated what is isolated */
        bool plan; /* say what would happen; change and record nothing */
};

/* Whom it is for; hosts are borrowed. */
struct address command_address(const struct command *c);
void command_free(struct command *c);
#define _cleanup_command_ _cleanup_(command_freep)
void command_freep(struct command **c);

/* Parses and checks. Only verified bytes may come here. Returns 0 with *ret_reason REASON_NONE and *ret owned by the
 * caller, 0 with a reason (OVERSIZE, ENCODING, MALFORMED, VERSION, FIELD, SCHEMA) and *ret untouched, or -ENOMEM. */
int command_parse(const uint8_t *payload, size_t n, struct command **ret, enum reason *ret_reason) _warn_unused_;

/* Serialises for signing: compact, keys sorted, integers only; command_parse reads the same back. *ret is malloc'ed.
 * -ENOMEM, or -EINVAL when command_parse would not take it. */
int command_to_json(const struct command *c, char **ret) _warn_unused_;

void command_id_to_str(const struct command_id *id, char ret[static 33]);
/* Exactly 32 lower-case hex digits. -EINVAL. */
int command_id_from_str(const char *s, struct command_id *ret) _warn_unused_;
bool command_id_equal(const struct command_id *a, const struct command_id *b);
/* True for zeros, which are nobody's: no command has them for its id. */
bool command_id_is_none(const struct command_id *id);
/* An id is of a key when its last 8 bytes are the first of the key's fingerprint. An order has one of a key that signs
 * it: whoever stole one key could else be at a host before somebody's order, with another that has its id. */
bool command_id_is_of_key(const struct command_id *id, const uint8_t key[static 32]);
void command_id_be_of_key(struct command_id *id, const uint8_t key[static 32]);
