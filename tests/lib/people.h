/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A small fleet for tests: alice with two keys, bob, carol and a bot, dave and erin, who are custodians, what their
 * roles may order, and their signatures. Included after cmocka.h; a clerk's key and a stranger's are there too, and
 * this trust root names neither. */

#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "lib/age_keys.h"
#include "policy/dsse.h"
#include "policy/trust.h"

enum key {
        KEY_ALICE,
        KEY_ALICE_2,
        KEY_BOB,
        KEY_CAROL,
        KEY_BOT,
        KEY_DAVE,
        KEY_ERIN,
        KEY_CLERK,
        KEY_STRANGER,
        _KEY_MAX,
};

#define BY(key) (1U << KEY_##key)

enum person {
        PERSON_ALICE,
        PERSON_BOB,
        PERSON_BOT,
        PERSON_CAROL,
        PERSON_DAVE,
        PERSON_ERIN,
        _PERSON_MAX,
};

#define PERSON(name) (UINT64_C(1) << PERSON_##name)

enum role {
        ROLE_AUTOMATION,
        ROLE_CUSTODIAN,
        ROLE_LEAD,
        ROLE_RESPONDER,
        ROLE_ROOT,
        _ROLE_MAX,
};

#define ALL_SEVERITIES ((1U << _SEVERITY_MAX) - 1)
#define ALL_PLACES     (((1U << _TARGET_MAX) - 1) & ~ONLY_HOLDS)
#define ONLY_HOLDS     (1U << TARGET_HOLD)
#define BOT_LEASE_MS   (15LL * 60 * 1000)

static inline void people_key(enum key k, uint8_t ret_secret[static crypto_sign_SECRETKEYBYTES], struct sshkey *ret) {
        uint8_t seed[crypto_sign_SEEDBYTES] = { 42, (uint8_t) k }, pub[crypto_sign_PUBLICKEYBYTES];

        assert_int_equal(crypto_sign_seed_keypair(pub, ret_secret, seed), 0);
        sshkey_from_raw(pub, ret);
}

/* So that the id is of that key. */
static inline void people_id(enum key k, struct command_id *id) {
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        struct sshkey key;

        people_key(k, secret, &key);
        command_id_be_of_key(id, key.id);
}

/* What `by` (a set of keys) says of the payload. The type inside the signature may be another than the one on the
 * envelope. */
static inline struct dsse people_sign(enum dsse_type type, enum dsse_type signed_type, const void *payload, size_t n,
                                      unsigned int by) {
        struct dsse d = { .type = type, .payload = memdup_array(payload, n, 1), .n_payload = n };
        uint8_t *pae;
        size_t n_pae;

        assert_non_null(d.payload);
        assert_int_equal(dsse_pae(signed_type, payload, n, &pae, &n_pae), 0);
        for (int k = 0; k < _KEY_MAX; k++) {
                uint8_t secret[crypto_sign_SECRETKEYBYTES], sig[64];
                struct sshkey key;

                if (!(by & 1U << k))
                        continue;
                people_key(k, secret, &key);
                assert_int_equal(crypto_sign_detached(sig, NULL, pae, n_pae, secret), 0);
                assert_int_equal(dsse_add(&d, key.id, sig), 0);
        }
        free(pae);
        return d;
}

static inline void people_trust(int64_t iat_ms, struct trust *ret) {
        static const struct trust_rule rules[] = {
                { VERB_CONTAIN, ROLE_AUTOMATION, 1, BOT_LEASE_MS, 1U << SEVERITY_P0 | 1U << SEVERITY_P1,
                  1U << TARGET_UNIT, 0 },
                { VERB_CONTAIN, ROLE_RESPONDER, 1, 0, ALL_SEVERITIES, ALL_PLACES, 0 },
                { VERB_ISOLATE, ROLE_RESPONDER, 1, 0, ALL_SEVERITIES, ALL_PLACES, 0 },
                { VERB_FREEZE, ROLE_LEAD, 1, 0, 1U << SEVERITY_P0, 1U << TARGET_UNIT, 0 },
                { VERB_SNAPSHOT, ROLE_RESPONDER, 1, 0, ALL_SEVERITIES, ALL_PLACES, 0 },
                { VERB_EXTEND, ROLE_AUTOMATION, 1, BOT_LEASE_MS, ALL_SEVERITIES, ONLY_HOLDS, 0 },
                { VERB_EXTEND, ROLE_RESPONDER, 1, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 },
                { VERB_RELEASE, ROLE_RESPONDER, 2, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 },
                { VERB_EVIDENCE_HOLD, ROLE_RESPONDER, 1, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 },
                { VERB_EVIDENCE_HOLD, ROLE_CUSTODIAN, 1, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 },
                { VERB_EVIDENCE_UNHOLD, ROLE_CUSTODIAN, 2, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 },
                { VERB_EVIDENCE_DELETE, ROLE_CUSTODIAN, 2, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 },
        };
        static const enum person owners[] = {
                [KEY_ALICE] = PERSON_ALICE, [KEY_ALICE_2] = PERSON_ALICE, [KEY_BOB] = PERSON_BOB,
                [KEY_CAROL] = PERSON_CAROL, [KEY_BOT] = PERSON_BOT,       [KEY_DAVE] = PERSON_DAVE,
                [KEY_ERIN] = PERSON_ERIN,
        };

        struct age_recipient forensics;

        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &forensics), 0);
        *ret = (struct trust) {
                .recipients = { forensics },
                .n_recipients = 1,
                .fleet = "prod",
                .version = 3,
                .iat_ms = iat_ms,
                .expires_ms = iat_ms + 365LL * 24 * 3600 * 1000,
                .root_k = 2,
                .people = { "alice", "bob", "bot", "carol", "dave", "erin" },
                .n_people = _PERSON_MAX,
                .roles = { { "automation", PERSON(BOT) },
                           { "custodian", PERSON(DAVE) | PERSON(ERIN) },
                           { "lead", PERSON(CAROL) },
                           { "responder", PERSON(ALICE) | PERSON(BOB) | PERSON(CAROL) },
                           { "root", PERSON(ALICE) | PERSON(BOB) } },
                .n_roles = _ROLE_MAX,
                .n_rules = ELEMENTSOF(rules),
        };
        memcpy(ret->rules, rules, sizeof(rules));
        for (; ret->n_keys < ELEMENTSOF(owners); ret->n_keys++) {
                uint8_t secret[crypto_sign_SECRETKEYBYTES];

                people_key(ret->n_keys, secret, &ret->keys[ret->n_keys].key);
                ret->keys[ret->n_keys].person = owners[ret->n_keys];
        }
}
