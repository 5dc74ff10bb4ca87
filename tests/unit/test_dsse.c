/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: malloc */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/oom.h"
#include "lib/vectors.h"
#include "policy/dsse.h"

/* Of all envelopes one bit away from a true one, none carries other bytes or another type past the signature. Some
 * are accepted: a bit in a member's name or in a key id turns it into something that is ignored. */
static void dsse_no_flipped_bit_changes_what_was_signed(void **state) {
        static const char *const files[] = { "11-command-one-signer.json", "13-command-without-keyids.json",
                                             "02-url-safe-base64.json" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_(dsse_done) struct dsse good = DSSE_NULL;
                _cleanup_free_ char *data = NULL;
                uint64_t mask;
                size_t n;

                data = slurp(files[i], &n);
                assert_int_equal(parse(data, n, &good), REASON_NONE);
                for (size_t bit = 0; bit < 8 * n; bit++) {
                        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;

                        data[bit / 8] ^= (char) (1 << bit % 8);
                        if (parse(data, n, &d) == REASON_NONE && verify(&d, &key_a, 1, &mask) == REASON_NONE) {
                                assert_int_equal(d.type, good.type);
                                assert_int_equal(d.n_payload, good.n_payload);
                                assert_memory_equal(d.payload, good.payload, d.n_payload);
                                assert_int_equal(mask, 1);
                        }
                        data[bit / 8] ^= (char) (1 << bit % 8);
                }
        }
}

static void dsse_parse_refuses_every_truncation(void **state) {
        _cleanup_free_ char *data = NULL;
        struct dsse d = DSSE_NULL;
        size_t n;

        (void) state;
        data = slurp("12-command-two-signers.json", &n);
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *part = malloc(i > 0 ? i : 1);

                memcpy(part, data, i);
                assert_int_equal(parse(part, i, &d), REASON_MALFORMED);
        }
        assert_null(d.payload);
}

static void dsse_parse_leaves_the_output_alone_when_it_refuses(void **state) {
        struct dsse d, before;
        const json_t *vector;
        size_t i;

        (void) state;
        memset(&d, 0x55, sizeof(d));
        before = d;
        json_array_foreach(json_object_get(index_root, "vectors"), i, vector) {
                _cleanup_free_ char *data = NULL;
                size_t n;

                /* from 30 on nothing gets past the parser */
                if (atoi(str_of(vector, "file")) < 30)
                        continue;
                data = slurp(str_of(vector, "file"), &n);
                assert_int_not_equal(parse(data, n, &d), REASON_NONE);
                assert_memory_equal(&d, &before, sizeof(d));
        }
}

static void dsse_parse_keeps_payload_bytes_that_are_no_text(void **state) {
        static const char json[] =
                "{\"payload\":\"AAEAgP8=\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[]}";
        static const uint8_t want[] = { 0, 1, 0, 0x80, 0xff, 0 };
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;

        (void) state;
        assert_int_equal(parse(json, strlen(json), &d), REASON_NONE);
        assert_int_equal(d.n_payload, 5);
        /* and the NUL that does not count */
        assert_memory_equal(d.payload, want, sizeof(want));
        assert_int_equal(d.type, DSSE_EVIDENCE);
        assert_int_equal(d.n_sigs, 0);
}

/* All strings "xy==" and "xyz=" over both alphabets: each byte string has one spelling, two where the alphabets differ.
 */
static void dsse_parse_takes_one_spelling_of_bytes_per_alphabet(void **state) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
        char json[] = "{\"payload\":\"xy==\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[]}";
        char *at = strstr(json, "xy==");
        size_t spellings[256] = {};

        (void) state;
        for (size_t x = 0; x < strlen(digits); x++)
                for (size_t y = 0; y < strlen(digits); y++) {
                        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                        enum reason reason;

                        at[0] = digits[x];
                        at[1] = digits[y];
                        reason = parse(json, strlen(json), &d);
                        assert_true(reason == REASON_NONE || reason == REASON_ENCODING);
                        if (reason == REASON_NONE) {
                                assert_int_equal(d.n_payload, 1);
                                spellings[d.payload[0]]++;
                        }
                }
        /* 62 and 63 are the digits that differ, and only as the first: the second has four unused bits and is one of
         * A, Q, g, w */
        for (unsigned int b = 0; b < 256; b++)
                assert_int_equal(spellings[b], b >> 2 >= 62 ? 2 : 1);
}

/* An envelope of exactly n bytes, whose unsigned member "x" is blown up to fill it. */
static char *envelope_of_size(const char *type, size_t n_payload, size_t n) {
        size_t n_b64 = sodium_base64_ENCODED_LEN(n_payload, sodium_base64_VARIANT_ORIGINAL);
        _cleanup_free_ uint8_t *payload = calloc(1, n_payload + 1);
        _cleanup_free_ char *b64 = malloc(n_b64), *pad = malloc(n + 1);
        char *json = malloc(n + n_b64 + 256);
        int n_json;

        (void) sodium_bin2base64(b64, n_b64, payload, n_payload, sodium_base64_VARIANT_ORIGINAL);
        memset(pad, 'x', n);
        pad[n] = '\0';
        n_json = sprintf(json, "{\"payload\":\"%s\",\"payloadType\":\"%s\",\"signatures\":[],\"x\":\"", b64, type);
        assert_true(n_json > 0 && (size_t) n_json + 2 <= n);
        (void) sprintf(json + n_json, "%.*s\"}", (int) (n - (size_t) n_json - 2), pad);
        assert_int_equal(strlen(json), n);
        return json;
}

static void dsse_caps_are_exact_for_every_type(void **state) {
        static const struct {
                enum dsse_type type;
                size_t payload, envelope;
        } caps[] = {
                { DSSE_COMMAND, 32768, 65536 },    { DSSE_TRUST, 32768, 65536 },    { DSSE_HEAD, 32768, 65536 },
                { DSSE_RECEIPT, 114688, 163840 },  { DSSE_REPORT, 114688, 163840 }, { DSSE_EVIDENCE, 114688, 163840 },
                { DSSE_ATTRIBUTES, 32768, 65536 },
        };

        (void) state;
        assert_int_equal(ELEMENTSOF(caps), _DSSE_TYPE_MAX);
        for (size_t i = 0; i < ELEMENTSOF(caps); i++)
                for (size_t over = 0; over < 4; over++) {
                        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                        size_t n_payload = caps[i].payload + (over & 1), n = caps[i].envelope + (over >> 1);
                        _cleanup_free_ char *json = envelope_of_size(dsse_type_to_str(caps[i].type), n_payload, n);

                        assert_int_equal(parse(json, n, &d), over == 0 ? REASON_NONE : REASON_OVERSIZE);
                        assert_int_equal(d.n_payload, over == 0 ? n_payload : 0);
                }
}

/* Not even looked at: what has no end in sight must not cost a parse. */
static void dsse_parse_refuses_an_endless_message_for_its_size(void **state) {
        _cleanup_free_ char *junk = calloc(1, DSSE_HOST_ENVELOPE_MAX + 1);
        struct dsse d = DSSE_NULL;

        (void) state;
        assert_int_equal(parse(junk, DSSE_HOST_ENVELOPE_MAX + 1, &d), REASON_OVERSIZE);
        assert_int_equal(parse(junk, DSSE_HOST_ENVELOPE_MAX, &d), REASON_MALFORMED);
}

/* The payload cap would be a lie if an envelope with that payload and all its signatures were too large. */
static void dsse_full_payload_and_all_signatures_fit_the_envelope(void **state) {
        (void) state;
        for (int type = 0; type < _DSSE_TYPE_MAX; type++) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL, back = DSSE_NULL;
                const bool by_host = type == DSSE_RECEIPT || type == DSSE_REPORT || type == DSSE_EVIDENCE;
                size_t cap = by_host ? DSSE_HOST_PAYLOAD_MAX : DSSE_PAYLOAD_MAX;
                _cleanup_free_ char *json = NULL;

                d.type = (enum dsse_type) type;
                d.payload = calloc(1, cap);
                d.n_payload = cap;
                for (int i = 0; i < (int) DSSE_SIGS_MAX; i++)
                        assert_int_equal(dsse_add(&d, (uint8_t[32]) { [0] = (uint8_t) (i + 1) }, (uint8_t[64]) { 0 }),
                                         0);
                assert_int_equal(dsse_to_json(&d, &json), 0);
                assert_int_equal(parse(json, strlen(json), &back), REASON_NONE);
        }
}

static void dsse_parse_bounds_nesting(void **state) {
        static const size_t depths[] = { 1000, 3000, 60000 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(depths); i++) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                _cleanup_free_ char *json = calloc(1, 2 * depths[i] + 256);
                size_t n = (size_t) sprintf(
                        json,
                        "{\"payload\":\"\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[],\"x\":");

                memset(json + n, '[', depths[i]);
                memset(json + n + depths[i], ']', depths[i]);
                json[n + 2 * depths[i]] = '}';
                assert_int_equal(parse(json, strlen(json), &d), i == 0 ? REASON_NONE : REASON_MALFORMED);
        }
}

static void dsse_to_json_reads_back(void **state) {
        const json_t *vector;
        size_t i;

        (void) state;
        json_array_foreach(json_object_get(index_root, "vectors"), i, vector) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL, back = DSSE_NULL;
                _cleanup_free_ char *data = NULL, *json = NULL;
                size_t n;

                data = slurp(str_of(vector, "file"), &n);
                if (parse(data, n, &d) != REASON_NONE)
                        continue;
                assert_int_equal(dsse_to_json(&d, &json), 0);
                assert_null(strchr(json, '\n'));
                assert_int_equal(parse(json, strlen(json), &back), REASON_NONE);
                assert_int_equal(back.type, d.type);
                assert_int_equal(back.n_payload, d.n_payload);
                assert_memory_equal(back.payload, d.payload, d.n_payload);
                assert_int_equal(back.n_sigs, d.n_sigs);
                assert_memory_equal(back.sigs, d.sigs, sizeof(d.sigs[0]) * d.n_sigs);
        }
}

/* What freezectl writes is byte for byte what the vector, made by another implementation, holds. */
static void dsse_to_json_writes_the_documented_form(void **state) {
        static const char *const files[] = { "11-command-one-signer.json", "12-command-two-signers.json",
                                             "13-command-without-keyids.json", "20-no-signature.json" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                _cleanup_free_ char *data = NULL, *json = NULL;
                size_t n;

                data = slurp(files[i], &n);
                assert_int_equal(parse(data, n, &d), REASON_NONE);
                assert_int_equal(dsse_to_json(&d, &json), 0);
                assert_int_equal(strlen(json), n);
                assert_memory_equal(json, data, n);
        }
}

static void dsse_add_replaces_by_key_id_and_stops_at_the_limit(void **state) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        const uint8_t none[32] = {};

        (void) state;
        for (int i = 0; i < (int) DSSE_SIGS_MAX - 2; i++)
                assert_int_equal(dsse_add(&d, (uint8_t[32]) { [31] = (uint8_t) (i + 1) }, (uint8_t[64]) { [63] = 1 }),
                                 0);
        assert_int_equal(d.n_sigs, DSSE_SIGS_MAX - 2);
        assert_int_equal(dsse_add(&d, (uint8_t[32]) { [31] = 1 }, (uint8_t[64]) { [63] = 2 }), 0);
        assert_int_equal(d.n_sigs, DSSE_SIGS_MAX - 2);
        assert_int_equal(d.sigs[0].sig[63], 2);
        assert_int_equal(d.sigs[1].sig[63], 1);

        /* two without key id may be by two people */
        assert_int_equal(dsse_add(&d, none, (uint8_t[64]) { [63] = 3 }), 0);
        assert_int_equal(dsse_add(&d, none, (uint8_t[64]) { [63] = 4 }), 0);
        assert_int_equal(d.n_sigs, DSSE_SIGS_MAX);
        assert_int_equal(d.sigs[DSSE_SIGS_MAX - 2].sig[63], 3);

        assert_int_equal(dsse_add(&d, none, (uint8_t[64]) { 0 }), -ENOSPC);
        assert_int_equal(dsse_add(&d, (uint8_t[32]) { [31] = 99 }, (uint8_t[64]) { 0 }), -ENOSPC);
        assert_int_equal(dsse_add(&d, (uint8_t[32]) { [31] = 2 }, (uint8_t[64]) { [63] = 5 }), 0);
        assert_int_equal(d.sigs[1].sig[63], 5);
        assert_int_equal(d.n_sigs, DSSE_SIGS_MAX);
}

static void dsse_verify_reports_the_key_that_signed_up_to_the_64th(void **state) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *data = NULL;
        struct sshkey keys[DSSE_KEYS_MAX + 1];
        enum reason reason = REASON_BUDGET;
        uint64_t mask = 4711;
        size_t n;

        (void) state;
        data = slurp("13-command-without-keyids.json", &n);
        assert_int_equal(parse(data, n, &d), REASON_NONE);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                keys[i] = key_named("C");
        keys[0] = key_b;
        keys[63] = key_a;

        assert_int_equal(verify(&d, keys, DSSE_KEYS_MAX, &mask), REASON_NONE);
        assert_int_equal(mask, UINT64_C(1) << 63 | 1);
        assert_int_equal(verify(&d, keys, 63, &mask), REASON_NONE);
        assert_int_equal(mask, 1);
        assert_int_equal(verify(&d, keys + 1, 62, &mask), REASON_UNTRUSTED);
        assert_int_equal(verify(&d, keys, 0, &mask), REASON_UNTRUSTED);

        mask = 4711;
        assert_int_equal(dsse_verify(&d, keys, DSSE_KEYS_MAX + 1, &mask, &reason), -EINVAL);
        assert_int_equal(mask, 4711);
        assert_int_equal(reason, REASON_BUDGET);
}

static void dsse_verify_counts_a_key_listed_twice_once(void **state) {
        static const char *const files[] = { "11-command-one-signer.json", "24-one-key-under-two-ids.json" };
        struct sshkey keys[2] = { key_a, key_a };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                _cleanup_free_ char *data = NULL;
                uint64_t mask;
                size_t n;

                data = slurp(files[i], &n);
                assert_int_equal(parse(data, n, &d), REASON_NONE);
                assert_int_equal(verify(&d, keys, 2, &mask), REASON_NONE);
                assert_int_equal(mask, 1);
        }
}

/* The answer is about the key, not about its name: a key whose id was made up does not lend that name to a signature.
 */
static void dsse_verify_takes_no_authority_from_a_key_id(void **state) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *data = NULL;
        struct sshkey liar = key_named("C");
        uint64_t mask;
        size_t n;

        (void) state;
        data = slurp("11-command-one-signer.json", &n);
        assert_int_equal(parse(data, n, &d), REASON_NONE);
        memcpy(liar.id, key_a.id, sizeof(liar.id));
        assert_int_equal(verify(&d, &liar, 1, &mask), REASON_SIGNATURE);
}

static void dsse_types_outside_the_table_are_an_error(void **state) {
        struct dsse d = DSSE_NULL;
        enum reason reason;
        uint64_t mask;
        uint8_t *pae;
        char *json;
        size_t n;

        (void) state;
        for (int t = 0; t < _DSSE_TYPE_MAX; t++)
                assert_true(strncmp(dsse_type_to_str(t), "application/vnd.", 16) == 0);
        assert_null(dsse_type_to_str(_DSSE_TYPE_MAX));
        assert_null(dsse_type_to_str((enum dsse_type) - 1));
        assert_int_equal(dsse_pae(_DSSE_TYPE_MAX, NULL, 0, &pae, &n), -EINVAL);
        assert_int_equal(dsse_to_json(&d, &json), -EINVAL);
        assert_int_equal(dsse_verify(&d, &key_a, 1, &mask, &reason), -EINVAL);
        dsse_done(&d);
}

/* Left alone, the JSON reader drops characters of a string when one allocation fails, and says nothing. */
static void dsse_never_makes_a_refusal_of_lacking_memory(void **state) {
        _cleanup_(dsse_done) struct dsse good = DSSE_NULL;
        _cleanup_free_ char *data = NULL;
        bool failed = true;
        size_t n, k;

        (void) state;
        data = slurp("12-command-two-signers.json", &n);
        assert_int_equal(parse(data, n, &good), REASON_NONE);
        for (k = 0; failed; k++) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                enum reason reason = _REASON_MAX;
                int r;

                oom_begin(k);
                r = dsse_parse(data, n, &d, &reason);
                failed = oom_end();
                assert_int_equal(r, failed ? -ENOMEM : 0);
                assert_int_equal(reason, failed ? _REASON_MAX : REASON_NONE);
        }
        assert_true(k > 20);

        failed = true;
        for (k = 0; failed; k++) {
                _cleanup_free_ char *json = NULL;
                int r;

                oom_begin(k);
                r = dsse_to_json(&good, &json);
                failed = oom_end();
                assert_int_equal(r, failed ? -ENOMEM : 0);
        }
        assert_true(k > 20);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(dsse_no_flipped_bit_changes_what_was_signed),
                cmocka_unit_test(dsse_parse_refuses_every_truncation),
                cmocka_unit_test(dsse_parse_leaves_the_output_alone_when_it_refuses),
                cmocka_unit_test(dsse_parse_keeps_payload_bytes_that_are_no_text),
                cmocka_unit_test(dsse_parse_takes_one_spelling_of_bytes_per_alphabet),
                cmocka_unit_test(dsse_caps_are_exact_for_every_type),
                cmocka_unit_test(dsse_parse_refuses_an_endless_message_for_its_size),
                cmocka_unit_test(dsse_full_payload_and_all_signatures_fit_the_envelope),
                cmocka_unit_test(dsse_parse_bounds_nesting),
                cmocka_unit_test(dsse_to_json_reads_back),
                cmocka_unit_test(dsse_to_json_writes_the_documented_form),
                cmocka_unit_test(dsse_add_replaces_by_key_id_and_stops_at_the_limit),
                cmocka_unit_test(dsse_verify_reports_the_key_that_signed_up_to_the_64th),
                cmocka_unit_test(dsse_verify_counts_a_key_listed_twice_once),
                cmocka_unit_test(dsse_verify_takes_no_authority_from_a_key_id),
                cmocka_unit_test(dsse_types_outside_the_table_are_an_error),
                cmocka_unit_test(dsse_never_makes_a_refusal_of_lacking_memory),
        };

        if (sodium_init() < 0)
                return EXIT_FAILURE;
        return cmocka_run_group_tests(tests, load_index, unload_index);
}
