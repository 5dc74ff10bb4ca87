/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may order what: people have keys, roles have people, rules say how many people of which role a verb needs.
 * Thresholds count people, never keys or signatures. The trust root is a signed file; version N+1 is accepted only with
 * the thresholds of both N and N+1 (TUF specification 1.0.34, section 5.3), so no single stolen key can change who is
 * trusted.
 *
 * Members of the payload, required but those with * (names and text as in command.h):
 *   v               1
 *   fleet           name
 *   version         from 1
 *   iat, expires    ms since 1970; expires is after iat
 *   root_threshold  how many people of the role "root" must sign; from 1 to the size of that role
 *   people          {name: {"keys":["ssh-ed25519 AAAA...", ...]}}: 1 to TRUST_PEOPLE_MAX people, TRUST_KEYS_MAX keys in
 *                   all; every person has a key and no key is named twice. The comment of a key is ignored
 *   roles           {name: [person, ...]}: at most TRUST_ROLES_MAX; "root" is among them; nobody is named twice in one,
 *                   and every one names somebody
 *   rules           at most TRUST_RULES_MAX of {verb, role, k, max_lease_ms, severities, targets, max_hosts*}
 *     verb, role    an id of VERB_TABLE, the name of a role
 *     k             so many different people of the role; from 1 to its size
 *     max_lease_ms  0: a lease is not needed, and none is too long. Else a lease of at most this is compulsory. Always
 *                   0 for what has no lease: all but what stops, and extend
 *     severities    at least one of P0..P3 or the other vocabulary's words, none twice
 *     targets       at least one id of TARGET_TABLE, none twice; exactly ["hold"] for extend, release and what is about
 *                   evidence, no "hold" for the others
 *     max_hosts*    from 1 to 2^32-1: an order by it names, or promises to reach, no more hosts; absent: no bound.
 *                   A promise binds who keeps it: no host can count the others
 *   recipients*     1 to AGE_RECIPIENTS_MAX public keys of age ("age1..."), no two alike: to whom evidence is sealed.
 *                   The hosts cannot open it. Absent: none is taken
 *   retention_ms*   from 1: how long evidence is kept that is sealed under this root; absent: until it is deleted by an
 *                   order
 *   witnesses*      1 to TRUST_WITNESSES_MAX keys as in note.h, of the type NOTE_COSIGNATURE, no two alike: who outside
 *                   the fleet's hosts keeps the heads of their ledgers
 *
 * No threshold may be above DSSE_SIGS_MAX: an envelope has no room for more signatures. Rules for verbs that let
 * evidence go (verb.h) name the role TRUST_CUSTODIAN_ROLE, and nobody of it is in a role that has a rule for anything
 * but evidence. Nobody of TRUST_REGISTRAR_ROLE or TRUST_HERALD_ROLE is in a role that has a rule for what lets go. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/age.h"
#include "policy/cleanup.h"
#include "policy/command.h"
#include "policy/dsse.h"
#include "policy/note.h"
#include "policy/reason.h"

#define TRUST_KEYS_MAX      64U
#define TRUST_PEOPLE_MAX    64U
#define TRUST_ROLES_MAX     16U
#define TRUST_RULES_MAX     64U
#define TRUST_NAME_MAX      63U
#define TRUST_WITNESSES_MAX 8U
/* the role whose people sign the trust root itself */
#define TRUST_ROOT_ROLE "root"
/* the only role that may let evidence go */
#define TRUST_CUSTODIAN_ROLE "custodian"
/* each of its people certifies what hosts are (attributes.h) */
#define TRUST_REGISTRAR_ROLE "registrar"
/* each of its people says what is being ordered (herald.h); their keys lie on machines */
#define TRUST_HERALD_ROLE "herald"

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
        uint32_t max_hosts;   /* an order by it names or promises no more; 0: no bound */
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
        struct age_recipient recipients[AGE_RECIPIENTS_MAX];
        size_t n_recipients;  /* 0: no evidence is taken */
        int64_t retention_ms; /* 0: evidence is kept until an order */
        struct note_key witnesses[TRUST_WITNESSES_MAX];
        size_t n_witnesses;
};

void trust_freep(struct trust **t);
#define _cleanup_trust_ _cleanup_(trust_freep)

/* Parses the payload of a trust root. Anything beside the table above is SCHEMA or FIELD. Returns 0 and a reason
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

/* True when the root threshold of t signed it, and nobody of t falsely. */
bool trust_signed_by_root(const struct trust *t, const struct dsse *d);

/* Serialises the payload for signing: compact, keys sorted; trust_parse reads the same back (people and roles in byte
 * order). *ret is malloc'ed. -ENOMEM, or -EINVAL when trust_parse would not take it. */
int trust_to_json(const struct trust *t, char **ret) _warn_unused_;

/* Copies the raw keys in order, so that bit i of dsse_verify's answer is keys[i]. ret holds TRUST_KEYS_MAX. */
void trust_keys(const struct trust *t, struct sshkey *ret);
/* The people behind a set of keys, as bits. */
uint64_t trust_people_of(const struct trust *t, uint64_t keys);
/* Who may let evidence go is nobody who may order that of which it is taken: else whoever did wrong with the one could
 * have what tells of it deleted with the other. */
bool trust_custodians_stand_apart(const struct trust *t);
/* Who says which hosts an order is for, or that there is none, is nobody who lets go. */
bool trust_criers_stand_apart(const struct trust *t);
/* Its people as bits; 0 when there is no such role. */
uint64_t trust_role_people(const struct trust *t, const char *name);
/* Is it for programs, whose keys lie on machines? Those are the rules that demand a lease. */
bool trust_rule_is_automation(const struct trust_rule *rule);
/* Of those keys (bits), the one that the id is of (command.h); -ENOENT. */
int trust_key_of_id(const struct trust *t, uint64_t keys, const struct command_id *id) _warn_unused_;
/* The role's index, or -ENOENT. */
int trust_role_find(const struct trust *t, const char *name) _warn_unused_;
