/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/gate/screen.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gate/screen.h"
#include "lib/people.h"

#define N_TRUSTED KEY_STRANGER

static struct sshkey trusted[DSSE_KEYS_MAX];

static struct dsse command_by(unsigned int by) {
        return people_sign(DSSE_COMMAND, DSSE_COMMAND, "{\"v\":1}", 7, by);
}

static enum reason screen(struct dsse *d, size_t n_keys, unsigned int *ret_verified) {
        enum reason reason;

        assert_int_equal(screen_envelope(d, trusted, n_keys, ret_verified, &reason), 0);
        return reason;
}

static void take_name(struct dsse *d, size_t i) {
        memset(d->sigs[i].keyid, 0, sizeof(d->sigs[i].keyid));
}

static bool has_sig_of(const struct dsse *d, enum key k) {
        for (size_t i = 0; i < d->n_sigs; i++)
                if (memcmp(d->sigs[i].keyid, trusted[k].id, 32) == 0)
                        return true;
        return false;
}

static void screen_lets_a_trusted_signature_through(void **state) {
        struct dsse d = command_by(BY(ALICE) | BY(BOB));
        unsigned int n;

        (void) state;
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_NONE);
        assert_int_equal(d.n_sigs, 2);
        assert_int_equal(n, 2);
        dsse_done(&d);
}

static void screen_spends_no_crypto_on_unknown_keys(void **state) {
        struct dsse d = command_by(BY(STRANGER));
        unsigned int n;

        (void) state;
        for (int i = 1; i < (int) DSSE_SIGS_MAX; i++) {
                uint8_t other[32] = { 1, (uint8_t) i };

                assert_int_equal(dsse_add(&d, other, d.sigs[0].sig), 0);
        }
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_UNTRUSTED);
        assert_int_equal(n, 0);
        dsse_done(&d);
}

static void screen_drops_unknown_signatures_beside_a_trusted_one(void **state) {
        struct dsse d = command_by(BY(BOB) | BY(STRANGER));
        unsigned int n;

        (void) state;
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_NONE);
        assert_int_equal(d.n_sigs, 1);
        assert_true(has_sig_of(&d, KEY_BOB));
        assert_int_equal(n, 1);
        dsse_done(&d);
}

/* Who is new in it has to sign a trust root, and the gate does not know them yet. */
static void screen_keeps_them_on_a_trust_root(void **state) {
        struct dsse d = people_sign(DSSE_TRUST, DSSE_TRUST, "{}", 2, BY(BOB) | BY(STRANGER));
        unsigned int n;

        (void) state;
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_NONE);
        assert_int_equal(d.n_sigs, 2);
        dsse_done(&d);
        d = people_sign(DSSE_TRUST, DSSE_TRUST, "{}", 2, BY(STRANGER));
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_UNTRUSTED);
        dsse_done(&d);
}

static void screen_refuses_when_a_trusted_keys_signature_is_false(void **state) {
        struct dsse d = command_by(BY(ALICE) | BY(BOB));
        unsigned int n;

        (void) state;
        d.sigs[1].sig[5] ^= 1;
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_SIGNATURE);
        assert_int_equal(n, 2);
        dsse_done(&d);

        d = people_sign(DSSE_COMMAND, DSSE_RECEIPT, "{\"v\":1}", 7, BY(ALICE));
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_SIGNATURE);
        dsse_done(&d);

        d = command_by(BY(ALICE));
        d.payload[2] ^= 1;
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_SIGNATURE);
        dsse_done(&d);
}

static void screen_refuses_an_envelope_that_nobody_signed(void **state) {
        struct dsse d = command_by(0);
        unsigned int n;

        (void) state;
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_UNTRUSTED);
        assert_int_equal(n, 0);
        dsse_done(&d);
}

static void screen_says_when_there_is_no_key_at_all(void **state) {
        struct dsse d = command_by(BY(ALICE));
        unsigned int n;

        (void) state;
        assert_int_equal(screen(&d, 0, &n), REASON_NO_TRUST);
        assert_int_equal(n, 0);
        dsse_done(&d);
}

static void screen_names_nameless_signatures(void **state) {
        struct dsse d = command_by(BY(ALICE) | BY(BOB) | BY(BOT));
        unsigned int n;

        (void) state;
        take_name(&d, 0);
        take_name(&d, 2);
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_NONE);
        assert_int_equal(d.n_sigs, 3);
        assert_true(has_sig_of(&d, KEY_ALICE) && has_sig_of(&d, KEY_BOB) && has_sig_of(&d, KEY_BOT));
        /* bob once by name, alice at the first try, the bot at the fifth */
        assert_int_equal(n, 1 + 1 + 5);
        dsse_done(&d);
}

static void screen_drops_nameless_signatures_of_nobody(void **state) {
        struct dsse d = command_by(BY(STRANGER) | BY(CAROL));
        unsigned int n;

        (void) state;
        for (size_t i = 0; i < d.n_sigs; i++)
                take_name(&d, i);
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_NONE);
        assert_int_equal(d.n_sigs, 1);
        assert_true(has_sig_of(&d, KEY_CAROL));
        dsse_done(&d);

        d = command_by(BY(STRANGER));
        take_name(&d, 0);
        assert_int_equal(screen(&d, N_TRUSTED, &n), REASON_UNTRUSTED);
        assert_int_equal(n, N_TRUSTED);
        dsse_done(&d);
}

static void screen_bounds_the_tries_for_nameless_signatures(void **state) {
        static const uint8_t none[32];
        struct dsse d = command_by(BY(STRANGER)), last = command_by(BY(ALICE));
        unsigned int n;

        (void) state;
        take_name(&d, 0);
        while (d.n_sigs < DSSE_SIGS_MAX - 1)
                assert_int_equal(dsse_add(&d, none, d.sigs[0].sig), 0);
        /* a true one behind them: within the tries of a small trust root, beyond those of a full one */
        assert_int_equal(dsse_add(&d, none, last.sigs[0].sig), 0);
        dsse_done(&last);

        struct dsse again = d;
        assert_int_equal(screen(&again, N_TRUSTED, &n), REASON_NONE);
        assert_int_equal(n, 7 * N_TRUSTED + 1);
        assert_int_equal(screen(&d, DSSE_KEYS_MAX, &n), REASON_UNTRUSTED);
        assert_int_equal(n, SCREEN_TRIES_MAX);
        dsse_done(&d);
}

static int make_keys(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(trusted); i++) {
                uint8_t seed[crypto_sign_SEEDBYTES] = { 43, (uint8_t) i }, pub[crypto_sign_PUBLICKEYBYTES],
                        secret[crypto_sign_SECRETKEYBYTES];

                assert_int_equal(crypto_sign_seed_keypair(pub, secret, seed), 0);
                sshkey_from_raw(pub, &trusted[i]);
                if (i < N_TRUSTED)
                        people_key(i, secret, &trusted[i]);
        }
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(screen_lets_a_trusted_signature_through),
                cmocka_unit_test(screen_spends_no_crypto_on_unknown_keys),
                cmocka_unit_test(screen_drops_unknown_signatures_beside_a_trusted_one),
                cmocka_unit_test(screen_keeps_them_on_a_trust_root),
                cmocka_unit_test(screen_refuses_when_a_trusted_keys_signature_is_false),
                cmocka_unit_test(screen_refuses_an_envelope_that_nobody_signed),
                cmocka_unit_test(screen_says_when_there_is_no_key_at_all),
                cmocka_unit_test(screen_names_nameless_signatures),
                cmocka_unit_test(screen_drops_nameless_signatures_of_nobody),
                cmocka_unit_test(screen_bounds_the_tries_for_nameless_signatures),
        };

        return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, make_keys, NULL);
}
