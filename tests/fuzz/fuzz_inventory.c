/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/inventory.c ctl/parallel.c ctl/file.c ctl/text.c ctl/why.c */

/* An inventory: each line of the input as it is, and again as a payload that a registrar signed, for what only a
 * signature lets through. No host is there twice, the highest serial of each is there, and a line is bad or counts. */

#include <string.h>

#include <sodium.h>

#include "ctl/inventory.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static uint8_t secret[crypto_sign_SECRETKEYBYTES];
static struct trust trust = { .fleet = "prod",
                              .version = 1,
                              .root_k = 1,
                              .people = { "bot" },
                              .n_people = 1,
                              .n_keys = 1,
                              .roles = { { TRUST_REGISTRAR_ROLE, 1 } },
                              .n_roles = 1 };

static void make_trust(void) {
        const uint8_t seed[crypto_sign_SEEDBYTES] = { 1 };
        uint8_t pub[crypto_sign_PUBLICKEYBYTES];

        CHECK(crypto_sign_seed_keypair(pub, secret, seed) == 0);
        sshkey_from_raw(pub, &trust.keys[0].key);
}

static void put_signed(FILE *f, const uint8_t *payload, size_t n) {
        struct dsse d = { .type = DSSE_ATTRIBUTES, .payload = (uint8_t *) payload, .n_payload = n };
        _cleanup_free_ uint8_t *pae = NULL;
        _cleanup_free_ char *json = NULL;
        uint8_t sig[64];
        size_t n_pae;

        CHECK(dsse_pae(DSSE_ATTRIBUTES, payload, n, &pae, &n_pae) == 0);
        CHECK(crypto_sign_detached(sig, NULL, pae, n_pae, secret) == 0);
        CHECK(dsse_add(&d, trust.keys[0].key.id, sig) == 0 && dsse_to_json(&d, &json) == 0);
        (void) fprintf(f, "%s\n", json);
}

static void check_hosts(const struct inventory *i, size_t lines) {
        struct expected e = EXPECTED_NULL;
        struct why w;

        for (size_t k = 0; k < i->n; k++) {
                CHECK(i->v[k].n >= 1 && i->v[k].line >= 1 && i->v[k].line <= lines);
                CHECK(inventory_by_id(i, i->v[k].host.key.id) == &i->v[k]);
                CHECK(k == 0 || memcmp(i->v[k - 1].host.key.id, i->v[k].host.key.id, 32) < 0);
                CHECK(schema_is_name(i->v[k].host.name, sizeof(i->v[k].host.name)));
        }
        for (size_t k = 0; k < i->n_bad; k++) {
                CHECK(i->bad[k].reason != REASON_NONE && i->bad[k].line >= 1 && i->bad[k].line <= lines);
                CHECK(k == 0 || i->bad[k - 1].line < i->bad[k].line);
        }
        CHECK((inventory_expect(i, "all", 0, &e, &w) == 0) == (i->n > 0) && e.n == i->n);
        expected_done(&e);
}

/* No line that is believed says more than what counts. */
static void check_serials(const struct inventory *i, const char *text, size_t n) {
        for (const char *p = text, *eol; p < text + n; p = eol + 1) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                struct attributes a;
                enum reason reason;
                eol = memchr(p, '\n', (size_t) (text + n - p));
                if (!eol)
                        eol = text + n;
                CHECK(dsse_parse(p, (size_t) (eol - p), &d, &reason) == 0);
                if (reason != REASON_NONE)
                        continue;
                CHECK(attributes_verify(&trust, &d, &a, &reason) == 0);
                const struct inventory_host *h = reason == REASON_NONE ? inventory_by_id(i, a.key.id) : NULL;
                CHECK(reason != REASON_NONE || (h && h->n >= a.n));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = NULL;
        struct inventory i;
        size_t n, lines = 1;
        FILE *f = open_memstream(&text, &n);

        if (trust.keys[0].key.pub[0] == 0)
                make_trust();
        CHECK(f);
        for (const uint8_t *p = data, *eol; p < data + size; p = eol + 1) {
                eol = memchr(p, '\n', (size_t) (data + size - p));
                if (!eol)
                        eol = data + size;
                if (eol - p <= (ptrdiff_t) DSSE_PAYLOAD_MAX)
                        put_signed(f, p, (size_t) (eol - p));
        }
        (void) fwrite(data, 1, size, f);
        (void) fclose(f);
        for (size_t k = 0; k < n; k++)
                lines += text[k] == '\n';
        CHECK(inventory_parse(&trust, text, n, &i) == 0);
        check_hosts(&i, lines);
        check_serials(&i, text, n);
        for (size_t k = 0; k < i.n; k++)
                CHECK(i.v[k].size > 0 && i.v[k].from + i.v[k].size <= n);
        inventory_done(&i);
        return 0;
}
