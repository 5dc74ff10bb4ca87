/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/people.h"
#include "policy/verify.h"

static struct trust trust;

static struct verified *verify(const struct trust *t, const struct dsse *d, enum reason expected) {
        struct verified *untouched = (struct verified *) &trust, *v = untouched;
        enum reason reason = _REASON_MAX;

        assert_int_equal(verify_command(t, d, &v, &reason), 0);
        assert_int_equal(reason, expected);
        if (expected == REASON_NONE)
                return v;
        assert_ptr_equal(v, untouched);
        return NULL;
}

static void one_signature_is_enough_to_be_verified(void **state) {
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(BOB));
        _cleanup_(verified_freep) struct verified *v = verify(&trust, &d, REASON_NONE);
        uint8_t digest[crypto_hash_sha256_BYTES];
        size_t n;

        (void) state;
        assert_int_equal(verified_people(v), PERSON(BOB));
        assert_memory_equal(verified_payload(v, &n), "bytes", 5);
        assert_int_equal(n, 5);
        crypto_hash_sha256(digest, (const uint8_t *) "bytes", 5);
        assert_memory_equal(verified_digest(v), digest, sizeof(digest));
}

static void the_bytes_do_not_change_with_the_envelope(void **state) {
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(BOB));
        _cleanup_(verified_freep) struct verified *v = verify(&trust, &d, REASON_NONE);
        size_t n;

        (void) state;
        memset(d.payload, 'x', 5);
        d.n_payload = 1;
        assert_memory_equal(verified_payload(v, &n), "bytes", 5);
        assert_int_equal(n, 5);
}

static void a_changed_byte_is_a_bad_signature(void **state) {
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(BOB));

        (void) state;
        d.payload[0] ^= 1;
        verify(&trust, &d, REASON_SIGNATURE);
        d.payload[0] ^= 1;
        d.n_payload = 4;
        verify(&trust, &d, REASON_SIGNATURE);
        d.n_payload = 5;
        verified_free(verify(&trust, &d, REASON_NONE));
}

static void one_false_signature_spoils_the_true_one(void **state) {
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(BOB) | BY(CAROL));

        (void) state;
        verified_free(verify(&trust, &d, REASON_NONE));
        d.sigs[1].sig[0] ^= 1;
        verify(&trust, &d, REASON_SIGNATURE);
}

static void a_stranger_is_not_trusted_and_does_not_count(void **state) {
        _cleanup_(dsse_done) struct dsse alone = people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(STRANGER));
        _cleanup_(dsse_done) struct dsse both =
                people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(STRANGER) | BY(BOB));
        _cleanup_(dsse_done) struct dsse none = people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, 0);

        (void) state;
        verify(&trust, &alone, REASON_UNTRUSTED);
        verify(&trust, &none, REASON_UNTRUSTED);

        _cleanup_(verified_freep) struct verified *v = verify(&trust, &both, REASON_NONE);
        assert_int_equal(verified_people(v), PERSON(BOB));
}

static void two_keys_of_one_person_are_one_person(void **state) {
        _cleanup_(dsse_done) struct dsse one =
                people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(ALICE) | BY(ALICE_2));
        _cleanup_(dsse_done) struct dsse two = people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(ALICE) | BY(BOB));
        _cleanup_(verified_freep) struct verified *v = verify(&trust, &one, REASON_NONE);
        _cleanup_(verified_freep) struct verified *w = verify(&trust, &two, REASON_NONE);

        (void) state;
        assert_int_equal(verified_people(v), PERSON(ALICE));
        assert_int_equal(verified_people(w), PERSON(ALICE) | PERSON(BOB));
}

static void only_commands_are_taken_for_commands(void **state) {
        (void) state;
        for (int type = 0; type <= _DSSE_TYPE_MAX; type++) {
                enum dsse_type signed_type = type < _DSSE_TYPE_MAX ? type : DSSE_COMMAND;
                _cleanup_(dsse_done) struct dsse d = people_sign(type, signed_type, "bytes", 5, BY(ALICE));

                verified_free(verify(&trust, &d, type == DSSE_COMMAND ? REASON_NONE : REASON_TYPE));
        }
}

/* A trust root that alice signed, say, handed in as if it were a command. */
static void the_type_is_inside_the_signature(void **state) {
        (void) state;
        for (int type = 0; type < _DSSE_TYPE_MAX; type++) {
                _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_COMMAND, type, "bytes", 5, BY(ALICE));

                verified_free(verify(&trust, &d, type == DSSE_COMMAND ? REASON_NONE : REASON_SIGNATURE));
        }
}

static void a_host_without_a_trust_root_takes_nothing(void **state) {
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, "bytes", 5, BY(ALICE));

        (void) state;
        verify(NULL, &d, REASON_NO_TRUST);
        verified_free(verify(&trust, &d, REASON_NONE));
}

static void a_payload_over_the_limit_is_not_even_hashed(void **state) {
        static const uint8_t bytes[DSSE_PAYLOAD_MAX + 1];
        _cleanup_(dsse_done) struct dsse fits =
                people_sign(DSSE_COMMAND, DSSE_COMMAND, bytes, DSSE_PAYLOAD_MAX, BY(BOB));
        _cleanup_(dsse_done) struct dsse over = people_sign(DSSE_COMMAND, DSSE_COMMAND, bytes, sizeof(bytes), BY(BOB));

        (void) state;
        verified_free(verify(&trust, &fits, REASON_NONE));
        verify(&trust, &over, REASON_OVERSIZE);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                cmocka_unit_test(one_signature_is_enough_to_be_verified),
                cmocka_unit_test(the_bytes_do_not_change_with_the_envelope),
                cmocka_unit_test(a_changed_byte_is_a_bad_signature),
                cmocka_unit_test(one_false_signature_spoils_the_true_one),
                cmocka_unit_test(a_stranger_is_not_trusted_and_does_not_count),
                cmocka_unit_test(two_keys_of_one_person_are_one_person),
                cmocka_unit_test(only_commands_are_taken_for_commands),
                cmocka_unit_test(the_type_is_inside_the_signature),
                cmocka_unit_test(a_host_without_a_trust_root_takes_nothing),
                cmocka_unit_test(a_payload_over_the_limit_is_not_even_hashed),
        };

        people_trust(1000, &trust);
        return cmocka_run_group_tests(cases, NULL, NULL);
}
