/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/age_keys.h"
#include "policy/age.h"
#include "policy/bech32.h"

/* Two key pairs of age-keygen. */
#define SECRET_A AGE_KEYS_SECRET
#define PUBLIC_A AGE_KEYS_PUBLIC
#define SECRET_B "AGE-SECRET-KEY-1L7QW5X3SGAXHHKPVHX45ZS26FK4ZVH30AH7UJ7593HEVDZCA7EYSJG7JLZ"
#define PUBLIC_B "age1fyeljljxukmmr53qec4t99ycg9mve0ytfvlmyj7ghy5lemyuayhss7cp8s"

/* What age 1.1.1 made of "frozen, and kept" for A and B. */
#define STOCK                                                                                                      \
        "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBwcjRMbWxWRGVLRTFJc3U4K2h1aG43WHg2OWloKzY0TWhDRGxXakQrNldNClNj" \
        "V0M3aU5hVWUrTE9QdjVWN1JUUExLd3FSalJxMmdGK1UrOERvK3NSVFUKLT4gWDI1NTE5IFZPQW5MMkVSeDZFaCszWkhIdUpmVk82UGJS" \
        "ck1mTHRreXJPR3FCZkJwVGMKM3lwK2ZWTTVvVUJCQzFmMXhkbHRCV2FGbjZsK2kvMnlIYjhqTFJyS3JjdwotLS0gclE4VlhhVGlPVlNC" \
        "MVA3SjFLTVF6dTMvTGRxcTY5dmprSlBSZExtRlVibwodnvdcELVMTMArcPW3M+hYr2fn+rRBEAKjsDNu9MDIUO3X1OVNzUootjpctRup" \
        "L6E="
#define STOCK_TEXT "frozen, and kept"

static struct age_identity identity(const char *s) {
        struct age_identity i;

        assert_int_equal(age_identity_from_str(s, &i), 0);
        return i;
}

static struct age_recipient recipient(const char *s) {
        struct age_recipient r;

        assert_int_equal(age_recipient_from_str(s, &r), 0);
        return r;
}

static size_t stock(uint8_t *ret, size_t size) {
        size_t n;

        assert_int_equal(
                sodium_base642bin(ret, size, STOCK, strlen(STOCK), NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL), 0);
        return n;
}

static void keys_are_what_age_keygen_writes(void **state) {
        const struct age_identity a = identity(SECRET_A), b = identity(SECRET_B);
        struct age_recipient public;
        char text[AGE_RECIPIENT_SIZE];

        (void) state;
        age_identity_public(&a, &public);
        age_recipient_to_str(&public, text);
        assert_string_equal(text, PUBLIC_A);
        age_identity_public(&b, &public);
        age_recipient_to_str(&public, text);
        assert_string_equal(text, PUBLIC_B);
        public = recipient(PUBLIC_A);
        age_recipient_to_str(&public, text);
        assert_string_equal(text, PUBLIC_A);
}

static void one_changed_character_of_a_key_is_seen(void **state) {
        struct age_recipient r;
        struct age_identity id;

        (void) state;
        for (size_t i = 0; i < strlen(PUBLIC_A); i++) {
                char s[] = PUBLIC_A;

                s[i] = s[i] == 'q' ? 'p' : 'q';
                if (s[i] != PUBLIC_A[i])
                        assert_int_equal(age_recipient_from_str(s, &r), -EINVAL);
        }
        for (size_t i = 0; i < strlen(SECRET_A); i++) {
                char s[] = SECRET_A;

                s[i] = s[i] == 'Q' ? 'P' : 'Q';
                if (s[i] != SECRET_A[i])
                        assert_int_equal(age_identity_from_str(s, &id), -EINVAL);
        }
}

static void what_is_no_key_is_refused(void **state) {
        static const char *const no_recipients[] = {
                "",
                "age1",
                PUBLIC_A "q",
                SECRET_A,
                "AGE1KW3LY7R8N63SJ9XZC9WFK7RGMPNH569TDHSQSUTGUA9XXFQZ3QHQ2P9GJH",
                "age1KW3ly7r8n63sj9xzc9wfk7rgmpnh569tdhsqsutgua9xxfqz3qhq2p9gjh",
                " " PUBLIC_A,
                PUBLIC_A "\n",
        };
        struct age_recipient r = recipient(PUBLIC_A);
        const struct age_recipient before = r;
        char small[AGE_RECIPIENT_SIZE];
        struct age_identity id;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(no_recipients); i++)
                assert_int_equal(age_recipient_from_str(no_recipients[i], &r), -EINVAL);
        assert_memory_equal(&r, &before, sizeof(r));
        assert_int_equal(age_identity_from_str(PUBLIC_A, &id), -EINVAL);
        /* a point of small order: its shared secret is nobody's secret */
        bech32_encode((const uint8_t[BECH32_BYTES]) { 1 }, "age", small);
        assert_int_equal(age_recipient_from_str(small, &r), -EINVAL);
}

static void a_stock_file_opens_for_each_of_its_recipients(void **state) {
        static const char *const secrets[] = { SECRET_A, SECRET_B };
        uint8_t file[512], plain[64];
        const size_t n = stock(file, sizeof(file));

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(secrets); i++) {
                const struct age_identity id = identity(secrets[i]);
                struct age_stream s;
                size_t used;

                assert_int_equal(age_open_header(file, n, &id, 1, &used, &s), 0);
                assert_int_equal(n - used, strlen(STOCK_TEXT) + AGE_TAG);
                assert_int_equal(age_open_chunk(&s, file + used, n - used, true, plain), 0);
                assert_memory_equal(plain, STOCK_TEXT, strlen(STOCK_TEXT));
        }
}

static void one_changed_bit_of_a_file_is_seen(void **state) {
        const struct age_identity id = identity(SECRET_A);
        uint8_t file[512], plain[64];
        const size_t n = stock(file, sizeof(file));

        (void) state;
        for (size_t i = 0; i < n * 8; i++) {
                struct age_stream s;
                size_t used;

                file[i / 8] ^= 1 << i % 8;
                int r = age_open_header(file, n, &id, 1, &used, &s);

                if (r == 0)
                        r = age_open_chunk(&s, file + used, n - used, true, plain);
                assert_true(r < 0);
                file[i / 8] ^= 1 << i % 8;
        }
}

static void a_header_that_is_cut_off_is_told_from_a_wrong_one(void **state) {
        const struct age_identity id = identity(SECRET_A);
        uint8_t file[512];
        struct age_stream s;
        size_t used = 0;

        (void) state;
        const size_t n = stock(file, sizeof(file));

        assert_int_equal(age_open_header(file, n, &id, 1, &used, &s), 0);
        for (size_t i = 0; i < used; i++)
                assert_int_equal(age_open_header(file, i, &id, 1, &used, &s), -EAGAIN);
        file[0] = 'A';
        assert_int_equal(age_open_header(file, n, &id, 1, &used, &s), -EBADMSG);
}

static void others_cannot_open_it(void **state) {
        const struct age_recipient to = recipient(PUBLIC_A);
        const struct age_identity id = identity(SECRET_B);
        uint8_t header[AGE_HEADER_MAX];
        struct age_stream s;
        struct age_fresh fresh;
        size_t used;

        (void) state;
        randombytes_buf(&fresh, sizeof(fresh));
        const size_t n = age_seal_header(&to, 1, &fresh, header, &s);

        assert_int_equal(age_open_header(header, n, &id, 1, &used, &s), -EKEYREJECTED);
}

/* Seals n bytes to 8 recipients, opens them with the last one's key, and again without the last chunk. */
static void round_trip(size_t n) {
        const struct age_identity id = identity(SECRET_A);
        struct age_recipient to[AGE_RECIPIENTS_MAX];
        uint8_t header[AGE_HEADER_MAX];
        _cleanup_free_ uint8_t *chunk = malloc(AGE_CHUNK + AGE_TAG);
        struct age_stream in, out;
        struct age_fresh fresh;
        size_t used, left = n;

        assert_non_null(chunk);
        for (size_t i = 0; i + 1 < ELEMENTSOF(to); i++)
                to[i] = recipient(PUBLIC_B);
        to[ELEMENTSOF(to) - 1] = recipient(PUBLIC_A);
        randombytes_buf(&fresh, sizeof(fresh));
        const size_t n_header = age_seal_header(to, ELEMENTSOF(to), &fresh, header, &in);

        assert_int_equal(age_open_header(header, n_header, &id, 1, &used, &out), 0);
        assert_int_equal(used, n_header);
        do {
                const size_t part = MIN(left, (size_t) AGE_CHUNK);
                const bool last = part == left;
                struct age_stream ahead = out;

                memset(chunk, (int) (left & 0xff), part);
                age_seal_chunk(&in, chunk, part, last, chunk);
                _cleanup_free_ uint8_t *copy = memdup_array(chunk, part + AGE_TAG, 1);

                assert_non_null(copy);
                /* not the last that says it is, nor the last that says it is not */
                assert_int_equal(age_open_chunk(&ahead, copy, part + AGE_TAG, !last, copy), -EBADMSG);
                assert_int_equal(age_open_chunk(&out, chunk, part + AGE_TAG, last, chunk), 0);
                for (size_t i = 0; i < part; i++)
                        assert_int_equal(chunk[i], left & 0xff);
                left -= part;
        } while (left > 0);
}

static void what_is_sealed_opens_again(void **state) {
        (void) state;
        round_trip(0);
        round_trip(1);
        round_trip(AGE_CHUNK - 1);
        round_trip(AGE_CHUNK);
        round_trip(AGE_CHUNK + 1);
        round_trip(3 * AGE_CHUNK);
}

static void a_chunk_opens_in_its_place_only(void **state) {
        const struct age_recipient to = recipient(PUBLIC_A);
        uint8_t header[AGE_HEADER_MAX], first[16 + AGE_TAG] = "first", second[16 + AGE_TAG] = "second";
        struct age_stream in, out;
        struct age_fresh fresh;

        (void) state;
        randombytes_buf(&fresh, sizeof(fresh));
        (void) age_seal_header(&to, 1, &fresh, header, &in);
        out = in;
        age_seal_chunk(&in, first, 16, false, first);
        age_seal_chunk(&in, second, 16, false, second);
        assert_int_equal(age_open_chunk(&out, second, sizeof(second), false, second), -EBADMSG);
}

static int set_up(void **state) {
        (void) state;
        return sodium_init() < 0 ? -1 : 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keys_are_what_age_keygen_writes),
                cmocka_unit_test(one_changed_character_of_a_key_is_seen),
                cmocka_unit_test(what_is_no_key_is_refused),
                cmocka_unit_test(a_stock_file_opens_for_each_of_its_recipients),
                cmocka_unit_test(one_changed_bit_of_a_file_is_seen),
                cmocka_unit_test(a_header_that_is_cut_off_is_told_from_a_wrong_one),
                cmocka_unit_test(others_cannot_open_it),
                cmocka_unit_test(what_is_sealed_opens_again),
                cmocka_unit_test(a_chunk_opens_in_its_place_only),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}
