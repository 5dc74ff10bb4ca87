/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Trust roots as texts in which `#a` stands for the public key named a. Include after cmocka.h. */

#include <stdint.h>
#include <string.h>

#include <sodium.h>

#include "policy/trust.h"

/* People of these tests have a key, named by a letter; capitals are second keys. */
#define KEYS "abcdeA"

static char lines[128][SSHKEY_LINE_SIZE];
static uint8_t secrets[128][crypto_sign_SECRETKEYBYTES];
static struct sshkey keys[128];

static inline int make_keys(void **state) {
        (void) state;
        if (sodium_init() < 0)
                return -1;
        for (const char *k = KEYS; *k; k++) {
                uint8_t seed[crypto_sign_SEEDBYTES] = { (uint8_t) *k }, pub[32];

                (void) crypto_sign_seed_keypair(pub, secrets[(int) *k], seed);
                sshkey_from_raw(pub, &keys[(int) *k]);
                sshkey_to_line(&keys[(int) *k], lines[(int) *k]);
        }
        return 0;
}

static inline char *fill(const char *text) {
        size_t n = strlen(text) + 1;
        char *out, *p;

        for (const char *t = text; *t; t++)
                n += *t == '#' ? SSHKEY_LINE_SIZE : 0;
        out = p = malloc(n);
        for (const char *t = text; *t; t++)
                if (*t == '#')
                        p += sprintf(p, "%s", lines[(int) *++t]);
                else
                        *p++ = *t;
        *p = '\0';
        return out;
}

static inline struct trust *trust_of(const char *json) {
        struct trust *t = NULL;
        enum reason reason = _REASON_MAX;

        assert_int_equal(trust_parse((const uint8_t *) json, strlen(json), &t, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        return t;
}

/* A trust root with every kind of rule. Each `#x` of the text becomes the key x. */
static const char template_full[] =
        "{\"v\":1,\"fleet\":\"prod\",\"version\":3,\"iat\":1000,\"expires\":2000,\"root_threshold\":2,"
        "\"people\":{\"carol\":{\"keys\":[\"#c\"]},\"alice\":{\"keys\":[\"#a\",\"#A\"]},\"bob\":{\"keys\":[\"#b\"]},"
        "\"bot\":{\"keys\":[\"#e\"]}},"
        "\"roles\":{\"root\":[\"alice\",\"bob\"],\"responder\":[\"bob\",\"alice\",\"carol\"],\"automation\":[\"bot\"]},"
        "\"rules\":[{\"verb\":\"contain\",\"role\":\"responder\",\"k\":1,\"max_lease_ms\":0,\"severities\":[\"P0\","
        "\"P1\",\"P2\",\"P3\"],"
        "\"targets\":[\"unit\",\"slice\",\"cgroup\"]},"
        "{\"verb\":\"freeze\",\"role\":\"automation\",\"k\":1,\"max_lease_ms\":900000,\"severities\":[\"critical\"],"
        "\"targets\":[\"unit\"]},"
        "{\"verb\":\"snapshot\",\"role\":\"automation\",\"k\":1,\"max_lease_ms\":0,\"severities\":[\"P1\"],\"targets\":"
        "[\"unit\"]},"
        "{\"verb\":\"extend\",\"role\":\"automation\",\"k\":1,\"max_lease_ms\":900000,\"severities\":[\"P0\"],"
        "\"targets\":[\"hold\"]},"
        "{\"verb\":\"release\",\"role\":\"responder\",\"k\":2,\"max_lease_ms\":0,\"severities\":[\"P0\"],\"targets\":["
        "\"hold\"]}]}";

static inline struct trust *trust_full(void) {
        _cleanup_free_ char *json = fill(template_full);

        return trust_of(json);
}
