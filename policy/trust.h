/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may order what: people have keys, roles have people, rules say how many people of which role a verb needs. Thresholds count
 * people, never keys or signatures. The trust root is a signed file; version N+1 is accepted only with the thresholds of both N and N+1
 * (TUF specification 1.0.34, section 5.3), so no single stolen key can change who is trusted. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/command.h"
#include "policy/dsse.h"
#include "policy/reason.h"

#define TRUST_KEYS_MAX 64U
#define TRUST_PEOPLE_MAX 64U
#define TRUST_ROLES_MAX 16U
#define TRUST_RULES_MAX 64U
#define TRUST_NAME_MAX 63U
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
        uint8_t role;          /* index into roles */
        uint8_t k;             /* that many different people of the role */
        int64_t max_lease_ms;  /* 0: no lease needed and none too long; else a lease of at most this is compulsory */
        uint32_t severities;   /* bit per enum severity */
        uint32_t targets;      /* bit per enum target_class */
};

struct trust {
        char fleet[COMMAND_FLEET_MAX + 1];
        int64_t version; /* from 1 */
        int64_t iat_ms, expires_ms;
        uint8_t root_k;
        char people[TRUST_PEOPLE_MAX][TRUST_NAME_MAX + 1];
        size_t n_people;
        struct trust_key keys[TRUST_KEYS_MAX];
        size_t n_keys;
        struct trust_role roles[TRUST_ROLES_MAX];
        size_t n_roles;
        struct trust_rule rules[TRUST_RULES_MAX];
        size_t n_rules;
};

/* Parses the payload of a trust root; see PROTOCOL.md for the members. A key named twice, a person without key, a role naming nobody,
 * a rule naming no role, a k larger than the role, a release rule with a lease, are all SCHEMA. Returns 0 and a reason as command_parse does.
 * *ret is malloc'ed. */
int trust_parse(const uint8_t *payload, size_t n, struct trust **ret, enum reason *ret_reason) _warn_unused_;

/* Parses an envelope and accepts it as the successor of prev, or as the first one when prev is NULL: signed by the root threshold of
 * itself and, when there is a prev, of prev; same fleet; version exactly prev + 1. TRUST_CHAIN otherwise. */
int trust_accept(const char *envelope, size_t n, const struct trust *prev, struct trust **ret, enum reason *ret_reason) _warn_unused_;

/* Serialises the payload for signing; trust_parse reads the same back. *ret is malloc'ed. -ENOMEM. */
int trust_to_json(const struct trust *t, char **ret) _warn_unused_;

/* Copies the raw keys in order, so that bit i of dsse_verify's answer is keys[i]. ret holds TRUST_KEYS_MAX. */
void trust_keys(const struct trust *t, struct sshkey *ret);
/* The people behind a set of keys, as bits. */
uint64_t trust_people_of(const struct trust *t, uint64_t keys);
/* The role's index, or -ENOENT. */
int trust_role_find(const struct trust *t, const char *name) _warn_unused_;
