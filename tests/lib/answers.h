/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Hosts of a test's own, and what they sign. Include after cmocka.h. */

#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "ctl/hosts.h"
#include "policy/dsse.h"

static inline void answers_key(uint8_t n, uint8_t ret_secret[static crypto_sign_SECRETKEYBYTES], struct sshkey *ret) {
        uint8_t seed[crypto_sign_SEEDBYTES] = { 7, n }, pub[crypto_sign_PUBLICKEYBYTES];

        assert_int_equal(crypto_sign_seed_keypair(pub, ret_secret, seed), 0);
        sshkey_from_raw(pub, ret);
}

/* The fingerprint of host n. Good until the call after the next three. */
static inline const char *answers_id(uint8_t n) {
        static char ids[4][SSHKEY_ID_SIZE];
        static unsigned i;
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        char *id = ids[i++ % ELEMENTSOF(ids)];
        struct sshkey k;

        answers_key(n, secret, &k);
        sshkey_id_to_str(k.id, id);
        return id;
}

/* The hosts "web0".. as known hosts. */
static inline struct hosts answers_known(size_t n) {
        struct hosts h = { calloc(n ? n : 1, sizeof(struct host)), n };

        assert_non_null(h.v);
        for (size_t i = 0; i < n; i++) {
                uint8_t secret[crypto_sign_SECRETKEYBYTES];
                (void) snprintf(h.v[i].name, sizeof(h.v[i].name), "web%zu", i);
                answers_key((uint8_t) i, secret, &h.v[i].key);
        }
        return h;
}

/* The payload in an envelope with host n's signature under the key id of host named_as. Owned by the caller. */
static inline char *answers_sign(enum dsse_type type, const char *payload, uint8_t n, uint8_t named_as) {
        struct dsse d = { .type = type, .payload = (uint8_t *) strdup(payload), .n_payload = strlen(payload) };
        uint8_t secret[crypto_sign_SECRETKEYBYTES], ignored[crypto_sign_SECRETKEYBYTES], sig[64], *pae;
        struct sshkey signer, named;
        size_t n_pae;
        char *json;

        answers_key(n, secret, &signer);
        answers_key(named_as, ignored, &named);
        assert_int_equal(dsse_pae(type, d.payload, d.n_payload, &pae, &n_pae), 0);
        assert_int_equal(crypto_sign_detached(sig, NULL, pae, n_pae, secret), 0);
        free(pae);
        assert_int_equal(dsse_add(&d, named.id, sig), 0);
        assert_int_equal(dsse_to_json(&d, &json), 0);
        dsse_done(&d);
        return json;
}
