/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/roots.h"
#include "policy/trust.h"

static void trust_finds_roles_and_people(void **state) {
        _cleanup_trust_ struct trust *t = trust_full();
        struct sshkey copied[TRUST_KEYS_MAX];

        (void) state;
        assert_int_equal(trust_role_find(t, "automation"), 0);
        assert_int_equal(trust_role_find(t, "root"), 2);
        assert_int_equal(trust_role_find(t, "roo"), -ENOENT);
        assert_int_equal(trust_role_find(t, ""), -ENOENT);
        assert_true(trust_people_of(t, 0) == 0);
        assert_true(trust_people_of(t, 1) == 1);
        assert_true(trust_people_of(t, 1 | 2) == 1);
        assert_true(trust_people_of(t, 2 | 4) == (1 | 2));
        assert_true(trust_people_of(t, UINT64_MAX) == 15);
        trust_keys(t, copied);
        for (size_t i = 0; i < t->n_keys; i++)
                assert_memory_equal(&copied[i], &t->keys[i].key, sizeof(copied[i]));
}

/* An envelope of the payload with a signature by each key named. */
static struct dsse envelope(enum dsse_type type, const char *payload, const char *signers) {
        struct dsse d = { .type = type, .payload = (uint8_t *) strdup(payload), .n_payload = strlen(payload) };
        _cleanup_free_ uint8_t *pae = NULL;
        size_t n = 0;

        assert_int_equal(dsse_pae(type, d.payload, d.n_payload, &pae, &n), 0);
        for (; *signers; signers++) {
                uint8_t sig[64];

                (void) crypto_sign_detached(sig, NULL, pae, n, secrets[(int) *signers]);
                assert_int_equal(dsse_add(&d, keys[(int) *signers].id, sig), 0);
        }
        return d;
}

/* Consumes d. */
static enum reason accept(struct dsse *d, const struct trust *prev) {
        struct trust *untouched = (struct trust *) 1, *t = untouched;
        enum reason reason = _REASON_MAX;
        _cleanup_free_ char *json = NULL;

        assert_int_equal(dsse_to_json(d, &json), 0);
        dsse_done(d);
        assert_int_equal(trust_accept(json, strlen(json), prev, &t, &reason), 0);
        if (reason == REASON_NONE)
                trust_freep(&t);
        else
                assert_ptr_equal(t, untouched);
        return reason;
}

static enum reason accept_signed(const char *template, const char *signers, const struct trust *prev) {
        _cleanup_free_ char *payload = fill(template);
        struct dsse d = envelope(DSSE_TRUST, payload, signers);

        return accept(&d, prev);
}

#define ROOT(fleet, version, threshold, root)                                                            \
        "{\"v\":1,\"fleet\":\"" fleet "\",\"version\":" version                                          \
        ",\"iat\":1,\"expires\":2,\"root_threshold\":" threshold "," PEOPLE "\"roles\":{\"root\":[" root \
        "],\"responder\":[\"alice\"]},\"rules\":[]}"
#define PEOPLE                                                                                                        \
        "\"people\":{\"alice\":{\"keys\":[\"#a\",\"#A\"]},\"bob\":{\"keys\":[\"#b\"]},\"carol\":{\"keys\":[\"#c\"]}," \
        "\"dave\":{\"keys\":[\"#d\"]}},"
#define OLD "\"alice\",\"bob\""
#define NEW "\"carol\",\"dave\""

static void trust_first_root_needs_its_own_threshold(void **state) {
        static const char first[] = ROOT("prod", "7", "2", OLD);
        static const struct {
                const char *signers;
                enum reason reason;
        } rows[] = {
                { "ab", REASON_NONE },        { "ba", REASON_NONE },           { "Ab", REASON_NONE },
                { "abc", REASON_NONE },       { "abe", REASON_NONE },          { "aAb", REASON_NONE },
                { "", REASON_TRUST_CHAIN },   { "a", REASON_TRUST_CHAIN },     { "b", REASON_TRUST_CHAIN },
                { "aA", REASON_TRUST_CHAIN }, { "ac", REASON_TRUST_CHAIN },    { "cd", REASON_TRUST_CHAIN },
                { "e", REASON_TRUST_CHAIN },  { "aAcde", REASON_TRUST_CHAIN },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (accept_signed(first, rows[i].signers, NULL) != rows[i].reason)
                        fail_msg("signed by %s", rows[i].signers);
}

static void trust_successor_needs_the_thresholds_of_both(void **state) {
        static const char next[] = ROOT("prod", "8", "2", NEW);
        static const struct {
                const char *signers;
                enum reason reason;
        } rows[] = {
                { "abcd", REASON_NONE },       { "dcba", REASON_NONE },        { "Abcd", REASON_NONE },
                { "aAbcde", REASON_NONE },     { "ab", REASON_TRUST_CHAIN },   { "cd", REASON_TRUST_CHAIN },
                { "abc", REASON_TRUST_CHAIN }, { "acd", REASON_TRUST_CHAIN },  { "aAcd", REASON_TRUST_CHAIN },
                { "aAc", REASON_TRUST_CHAIN }, { "ac", REASON_TRUST_CHAIN },   { "", REASON_TRUST_CHAIN },
                { "e", REASON_TRUST_CHAIN },   { "ebcd", REASON_TRUST_CHAIN },
        };
        _cleanup_free_ char *first = fill(ROOT("prod", "7", "2", OLD));
        _cleanup_trust_ struct trust *prev = trust_of(first);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (accept_signed(next, rows[i].signers, prev) != rows[i].reason)
                        fail_msg("signed by %s", rows[i].signers);
}

static void trust_successor_is_the_next_version_of_the_same_fleet(void **state) {
        static const struct {
                const char *template;
                enum reason reason;
        } rows[] = {
                { ROOT("prod", "8", "2", OLD), REASON_NONE },
                { ROOT("prod", "8", "1", OLD), REASON_NONE },
                { ROOT("prod", "7", "2", OLD), REASON_TRUST_CHAIN },
                { ROOT("prod", "6", "2", OLD), REASON_TRUST_CHAIN },
                { ROOT("prod", "9", "2", OLD), REASON_TRUST_CHAIN },
                { ROOT("prod", "1", "2", OLD), REASON_TRUST_CHAIN },
                { ROOT("stage", "8", "2", OLD), REASON_TRUST_CHAIN },
                { ROOT("pro", "8", "2", OLD), REASON_TRUST_CHAIN },
        };
        _cleanup_free_ char *first = fill(ROOT("prod", "7", "2", OLD));
        _cleanup_trust_ struct trust *prev = trust_of(first);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (accept_signed(rows[i].template, "ab", prev) != rows[i].reason)
                        fail_msg("%s", rows[i].template);
}

static void trust_threshold_cannot_be_lowered_by_the_new_root_alone(void **state) {
        _cleanup_free_ char *first = fill(ROOT("prod", "7", "2", OLD));
        _cleanup_trust_ struct trust *prev = trust_of(first);

        (void) state;
        assert_int_equal(accept_signed(ROOT("prod", "8", "1", "\"alice\""), "a", prev), REASON_TRUST_CHAIN);
        assert_int_equal(accept_signed(ROOT("prod", "8", "1", "\"alice\""), "aA", prev), REASON_TRUST_CHAIN);
        assert_int_equal(accept_signed(ROOT("prod", "8", "1", "\"alice\""), "ab", prev), REASON_NONE);
}

static void trust_signature_given_twice_counts_once(void **state) {
        _cleanup_free_ char *payload = fill(ROOT("prod", "7", "2", OLD));
        struct dsse d = envelope(DSSE_TRUST, payload, "a");

        (void) state;
        d.sigs[1] = d.sigs[0];
        memset(d.sigs[1].keyid, 0, sizeof(d.sigs[1].keyid));
        d.n_sigs = 2;
        assert_int_equal(accept(&d, NULL), REASON_TRUST_CHAIN);
}

static void trust_signature_without_key_id_counts(void **state) {
        _cleanup_free_ char *payload = fill(ROOT("prod", "7", "2", OLD));
        struct dsse d = envelope(DSSE_TRUST, payload, "ab");

        (void) state;
        for (size_t i = 0; i < d.n_sigs; i++)
                memset(d.sigs[i].keyid, 0, sizeof(d.sigs[i].keyid));
        assert_int_equal(accept(&d, NULL), REASON_NONE);
}

static void trust_of_changed_bytes_is_refused(void **state) {
        _cleanup_free_ char *first = fill(ROOT("prod", "7", "2", OLD)), *payload = fill(ROOT("prod", "8", "2", OLD));
        _cleanup_trust_ struct trust *prev = trust_of(first);
        struct dsse d = envelope(DSSE_TRUST, payload, "ab");

        (void) state;
        d.sigs[1].sig[10] ^= 1;
        assert_int_equal(accept(&d, prev), REASON_SIGNATURE);
        d = envelope(DSSE_TRUST, payload, "ab");
        *strstr((char *) d.payload, "\"iat\":1") = ' ';
        assert_int_equal(accept(&d, prev), REASON_SIGNATURE);
}

static void trust_of_another_type_is_refused(void **state) {
        _cleanup_free_ char *payload = fill(ROOT("prod", "7", "2", OLD));
        struct dsse d = envelope(DSSE_COMMAND, payload, "ab");

        (void) state;
        assert_int_equal(accept(&d, NULL), REASON_TYPE);
        d = envelope(DSSE_COMMAND, payload, "ab");
        d.type = DSSE_TRUST;
        assert_int_equal(accept(&d, NULL), REASON_SIGNATURE);
}

static void trust_payload_is_not_parsed_before_the_old_threshold_signed_it(void **state) {
        _cleanup_free_ char *first = fill(ROOT("prod", "7", "2", OLD));
        _cleanup_trust_ struct trust *prev = trust_of(first);

        (void) state;
        assert_int_equal(accept_signed("not json", "a", prev), REASON_TRUST_CHAIN);
        assert_int_equal(accept_signed("not json", "cd", prev), REASON_TRUST_CHAIN);
        assert_int_equal(accept_signed("not json", "ab", prev), REASON_MALFORMED);
        assert_int_equal(accept_signed("{\"v\":2}", "ab", prev), REASON_VERSION);
        assert_int_equal(accept_signed("not json", "ab", NULL), REASON_MALFORMED);
}

static void trust_accept_passes_on_what_is_wrong_with_the_envelope(void **state) {
        static char large[DSSE_HOST_ENVELOPE_MAX + 1];
        struct trust *t = NULL;
        enum reason reason = _REASON_MAX;

        (void) state;
        memset(large, ' ', sizeof(large));
        assert_int_equal(trust_accept("x", 1, NULL, &t, &reason), 0);
        assert_int_equal(reason, REASON_MALFORMED);
        assert_int_equal(trust_accept(large, sizeof(large), NULL, &t, &reason), 0);
        assert_int_equal(reason, REASON_OVERSIZE);
        assert_null(t);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(trust_finds_roles_and_people),
                cmocka_unit_test(trust_first_root_needs_its_own_threshold),
                cmocka_unit_test(trust_successor_needs_the_thresholds_of_both),
                cmocka_unit_test(trust_successor_is_the_next_version_of_the_same_fleet),
                cmocka_unit_test(trust_threshold_cannot_be_lowered_by_the_new_root_alone),
                cmocka_unit_test(trust_signature_given_twice_counts_once),
                cmocka_unit_test(trust_signature_without_key_id_counts),
                cmocka_unit_test(trust_of_changed_bytes_is_refused),
                cmocka_unit_test(trust_of_another_type_is_refused),
                cmocka_unit_test(trust_payload_is_not_parsed_before_the_old_threshold_signed_it),
                cmocka_unit_test(trust_accept_passes_on_what_is_wrong_with_the_envelope),
        };

        return cmocka_run_group_tests(tests, make_keys, NULL);
}
