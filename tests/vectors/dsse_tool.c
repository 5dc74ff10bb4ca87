/* SPDX-License-Identifier: Apache-2.0 */

/* The project's envelope code on a command line, so that other implementations can be held against it. Seeds are for
 * tests only.
 *   dsse_tool sign TYPE SEED...   payload on stdin, envelope on stdout; a seed is 64 hex digits
 *   dsse_tool verify LINE...      envelope on stdin, payload on stdout; a line is "ssh-ed25519 BASE64"; else the
 * reason's id and exit code
 *   dsse_tool public SEED         "ssh-ed25519 BASE64"
 *   dsse_tool id LINE             "SHA256:..." */

#include <string.h>

#include <sodium.h>

#include "policy/dsse.h"

static int seed_read(const char *hex, struct sshkey *ret_key, uint8_t ret_secret[static crypto_sign_SECRETKEYBYTES]) {
        uint8_t seed[crypto_sign_SEEDBYTES], pub[crypto_sign_PUBLICKEYBYTES];
        size_t n;

        if (sodium_hex2bin(seed, sizeof(seed), hex, strlen(hex), NULL, &n, NULL) < 0 || n != sizeof(seed))
                return -EINVAL;
        (void) crypto_sign_seed_keypair(pub, ret_secret, seed);
        sshkey_from_raw(pub, ret_key);
        return 0;
}

static int sign(char **args, size_t n_args, const char *input, size_t n_input) {
        struct dsse d = { .type = 0,
                          .payload = (uint8_t *) input,
                          .n_payload = n_input }; /* borrowed: not to be done with */
        _cleanup_free_ uint8_t *pae = NULL;
        _cleanup_free_ char *json = NULL;
        size_t n_pae;
        int r;

        while (d.type < _DSSE_TYPE_MAX && strcmp(args[0], dsse_type_to_str(d.type)) != 0)
                d.type++;
        r = dsse_pae(d.type, d.payload, d.n_payload, &pae, &n_pae);
        for (size_t i = 1; r == 0 && i < n_args; i++) {
                uint8_t secret[crypto_sign_SECRETKEYBYTES], sig[crypto_sign_BYTES];
                struct sshkey key;

                r = seed_read(args[i], &key, secret);
                if (r < 0)
                        break;
                (void) crypto_sign_detached(sig, NULL, pae, n_pae, secret);
                r = dsse_add(&d, key.id, sig);
        }
        if (r == 0)
                r = dsse_to_json(&d, &json);
        if (r == 0)
                (void) fputs(json, stdout);
        return r;
}

static int verify(char **args, size_t n_args, const char *input, size_t n_input) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        struct sshkey keys[DSSE_KEYS_MAX];
        enum reason reason;
        uint64_t mask;
        int r = 0;

        for (size_t i = 0; r == 0 && i < n_args; i++)
                r = i < ELEMENTSOF(keys) ? sshkey_from_line(args[i], &keys[i]) : -E2BIG;
        if (r == 0)
                r = dsse_parse(input, n_input, &d, &reason);
        if (r == 0 && reason == REASON_NONE)
                r = dsse_verify(&d, keys, n_args, &mask, &reason);
        if (r < 0)
                return r;
        if (reason == REASON_NONE)
                (void) fwrite(d.payload, 1, d.n_payload, stdout);
        else
                (void) puts(reason_id(reason));
        return reason_exit(reason);
}

static int public(char **args, size_t n_args, const char *input, size_t n_input) {
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        char line[SSHKEY_LINE_SIZE];
        struct sshkey key;
        int r = seed_read(args[0], &key, secret);

        (void) n_args, (void) input, (void) n_input;
        if (r < 0)
                return r;
        sshkey_to_line(&key, line);
        (void) puts(line);
        return 0;
}

static int id(char **args, size_t n_args, const char *input, size_t n_input) {
        char str[SSHKEY_ID_SIZE];
        struct sshkey key;
        int r = sshkey_from_line(args[0], &key);

        (void) n_args, (void) input, (void) n_input;
        if (r < 0)
                return r;
        sshkey_id_to_str(key.id, str);
        (void) puts(str);
        return 0;
}

int main(int argc, char **argv) {
        static const struct {
                const char *name;
                int (*run)(char **args, size_t n_args, const char *input, size_t n_input);
                bool has_input;
        } verbs[] = {
                { "sign", sign, true },
                { "verify", verify, true },
                { "public", public, false },
                { "id", id, false },
        };
        /* one byte more than any envelope, so that too large a one is seen to be too large */
        static char input[DSSE_HOST_ENVELOPE_MAX + 1];
        size_t n;
        int r;

        if (argc < 3 || sodium_init() < 0)
                return 2;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (strcmp(argv[1], verbs[i].name) == 0) {
                        n = verbs[i].has_input ? fread(input, 1, sizeof(input), stdin) : 0;
                        r = verbs[i].run(argv + 2, (size_t) argc - 2, input, n);
                        if (r < 0)
                                (void) fprintf(stderr, "dsse_tool: %s: %s\n", argv[1], strerror(-r));
                        return r < 0 ? 1 : r;
                }
        return 2;
}
