/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/quorum.c ctl/trustfile.c ctl/file.c ctl/text.c ctl/why.c */

/* What hangs at a broker for the next person to sign: the input as it is, and as the payload of an order that somebody
 * signed. What is taken has a signature that counts, and no other. */

#include <string.h>

#include <sodium.h>

#include "ctl/quorum.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static uint8_t secret[crypto_sign_SECRETKEYBYTES];
static struct trust trust = { .fleet = "prod",
                              .version = 1,
                              .root_k = 1,
                              .people = { "alice", "bob" },
                              .n_people = 2,
                              .n_keys = 1,
                              .roles = { { "responder", 3 } },
                              .n_roles = 1,
                              .rules = { { VERB_RELEASE, 0, 2, 0, 15, 1U << TARGET_HOLD, 0 },
                                         { VERB_CONTAIN, 0, 1, 0, 15, 1U << TARGET_UNIT, 0 } },
                              .n_rules = 2 };

static void make_trust(void) {
        const uint8_t seed[crypto_sign_SEEDBYTES] = { 1 };
        uint8_t pub[crypto_sign_PUBLICKEYBYTES];

        CHECK(crypto_sign_seed_keypair(pub, secret, seed) == 0);
        sshkey_from_raw(pub, &trust.keys[0].key);
}

static void try(const char *text, size_t n) {
        struct quorum q = QUORUM_NULL;
        enum reason reason = _REASON_MAX;

        CHECK(quorum_read(&trust, NULL, text, n, 1000, &q, &reason) == 0 && reason < _REASON_MAX);
        if (reason != REASON_NONE)
                return;
        CHECK(q.file.command && q.file.command->exp_ms > 1000 && strcmp(q.file.command->fleet, "prod") == 0);
        CHECK(q.file.env.n_sigs == 1 && memcmp(q.file.env.sigs[0].keyid, trust.keys[0].key.id, 32) == 0);
        CHECK(q.s.now.people == 1 && quorum_missing(&q) <= 1 && quorum_may_sign(&q, &trust) == 2);
        quorum_done(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct dsse d = { .type = DSSE_COMMAND, .payload = (uint8_t *) data, .n_payload = size };
        _cleanup_free_ uint8_t *pae = NULL;
        _cleanup_free_ char *json = NULL;
        uint8_t sig[64];
        size_t n_pae;

        if (trust.keys[0].key.pub[0] == 0)
                make_trust();
        CHECK(dsse_pae(DSSE_COMMAND, data, size, &pae, &n_pae) == 0);
        CHECK(crypto_sign_detached(sig, NULL, pae, n_pae, secret) == 0);
        CHECK(dsse_add(&d, trust.keys[0].key.id, sig) == 0 && dsse_to_json(&d, &json) == 0);
        try((const char *) data, size);
        try(json, strlen(json));
        return 0;
}
