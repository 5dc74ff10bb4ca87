/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may order what: people have keys, roles have people, rules say how many people of which role a verb needs.
 * Thresholds count people, never keys or signatures. The trust root is a signed file; version N+1 is accepted only with
 * the thresholds of both N and N+1 (TUF specification 1.0.34, section 5.3), so no single stolen key can change who is
 * trusted.
 *
 * Members of the payload, all of them required (names and text as in command.h):
 *   v               1
 *   fleet           name
 *   version         from 1
 *   iat, expires    ms since 1970; expires is after iat
 *   root_threshold  how many people of the role "root" must sign; from 1 to the size of that role
 *   people          {name: {"keys":["ssh-ed25519 AAAA...", ...]}}: 1 to TRUST_PEOPLE_MAX people, TRUST_KEYS_MAX keys in
 *                   all; every person has a key and no key is named twice. The comment of a key is ignored
 *   roles           {name: [person, ...]}: at most TRUST_ROLES_MAX; "root" is among them; nobody is named twice in one,
 *                   and every one names somebody
 *   rules           at most TRUST_RULES_MAX of {verb, role, k, max_lease_ms, severities, targets}
 *     verb, role    an id of VERB_TABLE, the name of a role
 *     k             so many different people of the role; from 1 to its size
 *     max_lease_ms  0: a lease is not needed, and none is too long. Else a lease of at most this is compulsory. Always
 *                   0 for snapshot and release, which have no lease
 *     severities    at least one of P0..P3 or the other vocabulary's words, none twice
 *     targets       at least one id of TARGET_TABLE, none twice; exactly ["hold"] for extend and release, no "hold" for
 *                   the others
 * No threshold may be above DSSE_SIGS_MAX: an envelope has no room for more signatures. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/command.h"
#include "policy/dsse.h"
#include "policy/reason.h"

#define TRUST_KEYS_MAX   64U
#define TRUST_PEOPLE_MAX 64U
#define TRUST_ROLES_MAX  16U
#define TRUST_RULES_MAX  64U
#define TRUST_NAME_MAX   63U
/* the role whose people sign the trust root itself */
#define TRUST_ROOT_ROLE "root"

struct trust_key {
        struct sshkey key;
        uint8_t person; /* index into people */
};

struct trust_role {
        char name[TRUST_NAME_MAX + 1];
        uint64_t people; /* bit i: people[i] */
};

struct trust_rule {
        enum verb verb;
        uint8_t role;         /* index into roles */
        uint8_t k;            /* that many different people of the role */
        int64_t max_lease_ms; /* 0: no lease needed and none too long; else a lease of at most this is compulsory */
        uint32_t severities;  /* bit per enum severity */
        uint32_t targets;     /* bit per enum target_class */
};

struct trust {
        char fleet[COMMAND_FLEET_MAX + 1];
        int64_t version; /* from 1 */
        int64_t iat_ms, expires_ms;
        uint8_t root_k;
        char people[TRUST_PEOPLE_MAX][TRUST_NAME_MAX + 1]; /* in byte order, as are the roles */
        size_t n_people;
        struct trust_key keys[TRUST_KEYS_MAX];
        size_t n_keys;
        struct trust_role roles[TRUST_ROLES_MAX];
        size_t n_roles;
        struct trust_rule rules[TRUST_RULES_MAX];
        size_t n_rules;
};

void trust_freep(struct trust **t);
#define _cleanup_trust_ _cleanup_(trust_freep)

/* Parses the payload of a trust root. Anything beside the table above is SCHEMA, FIELD or LIMIT. Returns 0 and a reason
 * as command_parse does. *ret is malloc'ed. */
int trust_parse(const uint8_t *payload, size_t n, struct trust **ret, enum reason *ret_reason) _warn_unused_;

/* Parses an envelope and accepts it as the successor of prev, or as the first one when prev is NULL: signed by the root
 * threshold of itself and, when there is a prev, of prev; same fleet; version exactly prev + 1. TRUST_CHAIN otherwise,
 * and SIGNATURE when a signature that claims to be by one of those keys does not match. Reasons of dsse_parse and
 * trust_parse are passed on; TYPE when it is not a trust root. With a prev, nothing of the payload is parsed before
 * prev's threshold has signed it. Expiry is not judged here. Returns 0 and a reason, or -ENOMEM. *ret is malloc'ed and
 * set only with NONE. */
int trust_accept(const char *envelope, size_t n, const struct trust *prev, struct trust **ret,
                 enum reason *ret_reason) _warn_unused_;

/* Serialises the payload for signing: compact, keys sorted; trust_parse reads the same back (people and roles in byte
 * order). *ret is malloc'ed. -ENOMEM, or -EINVAL when trust_parse would not take it. */
int trust_to_json(const struct trust *t, char **ret) _warn_unused_;

/* Copies the raw keys in order, so that bit i of dsse_verify's answer is keys[i]. ret holds TRUST_KEYS_MAX. */
void trust_keys(const struct trust *t, struct sshkey *ret);
/* The people behind a set of keys, as bits. */
uint64_t trust_people_of(const struct trust *t, uint64_t keys);
/* The role's index, or -ENOENT. */
int trust_role_find(const struct trust *t, const char *name) _warn_unused_;
