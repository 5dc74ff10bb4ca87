/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/unseal.c ctl/file.c ctl/text.c ctl/why.c */
/* LINK: agent/collect/sealer.c agent/collect/press.c agent/util/io.c agent/util/fault.c */
#include "lib/sealed.h"

#include <zstd.h>

#include "agent/collect/press.h"

/* What came out, beside what should. */
struct out {
        const uint8_t *plain;
        size_t n, at;
        int stop_after; /* calls; negative: never */
};

static int take(const uint8_t *bytes, size_t n, void *userdata) {
        struct out *o = userdata;

        assert_true(n <= o->n - o->at);
        assert_memory_equal(bytes, o->plain + o->at, n);
        o->at += n;
        return o->stop_after-- == 0 ? -ECANCELED : 0;
}

static int open_file(const char *path, const struct identities *with, uint64_t max, struct out *o) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        o->at = 0;
        return unseal(fd, with, max, take, o);
}

/* The file of bytes that are given instead of those that were sealed. */
static int open_bytes(const struct scratch *s, const uint8_t *bytes, size_t n, struct out *o) {
        const struct identities with = sealed_key();

        scratch_write(scratch_path(s, "changed"), bytes, n);
        return open_file(scratch_path(s, "changed"), &with, o->n, o);
}

static void what_was_sealed_comes_out_in_order_to_the_last_byte(void **state) {
        static const size_t sizes[] = { 0, 1, 70000, PRESS_FRAME_SIZE, 3 * PRESS_FRAME_SIZE + 7 };
        const struct identities with = sealed_key();
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        for (size_t i = 0; i < 2 * ELEMENTSOF(sizes); i++) {
                const size_t n = sizes[i / 2];
                _cleanup_free_ uint8_t *plain = calloc(1, n + 1);
                struct out o = { plain, n, 0, -1 };

                if (i % 2 == 0)
                        randombytes_buf(plain, n);
                sealed_make(s.path, "x", plain, n);
                assert_int_equal(open_file(scratch_path(&s, "x"), &with, n, &o), 0);
                assert_int_equal(o.at, n);
                if (n > 0)
                        assert_int_equal(open_file(scratch_path(&s, "x"), &with, n - 1, &o), -EFBIG);
                assert_int_equal(unlink(scratch_path(&s, "x")), 0);
        }
}

static void any_change_is_an_error_and_nothing_else_ever_comes_out(void **state) {
        const size_t n = 3 * AGE_CHUNK;
        _cleanup_free_ uint8_t *plain = malloc(n);
        struct out o = { plain, n, 0, -1 };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        randombytes_buf(plain, n);
        scratch_make(&s);
        sealed_make(s.path, "x", plain, n);
        _cleanup_(scratch_bytes_done) struct scratch_bytes is = scratch_read(scratch_path(&s, "x"));

        assert_int_equal(open_bytes(&s, is.data, is.n, &o), 0);
        for (size_t at = 0; at < is.n; at += at < 300 ? 1 : 997) {
                is.data[at] ^= 1;
                const int r = open_bytes(&s, is.data, is.n, &o);

                /* a stanza's own bytes: it is then one for somebody else */
                if (r != -EBADMSG && !(r == -EKEYREJECTED && at < 200))
                        fail_msg("a bit changed at %zu: %d", at, r);
                is.data[at] ^= 1;
        }
        for (size_t at = 0; at < is.n; at += at < 300 ? 1 : 997)
                assert_true(open_bytes(&s, is.data, at, &o) < 0);
        for (size_t chunk = AGE_CHUNK + AGE_TAG, at = is.n % chunk; at < is.n; at += chunk)
                assert_int_equal(open_bytes(&s, is.data, at, &o), -EBADMSG);
        assert_int_equal(open_bytes(&s, is.data, is.n - 1, &o), -EBADMSG);
}

static void chunks_in_another_order_or_more_of_them_are_an_error(void **state) {
        const size_t chunk = AGE_CHUNK + AGE_TAG, n = 3 * AGE_CHUNK;
        _cleanup_free_ uint8_t *plain = malloc(n), *other = malloc(8 * AGE_CHUNK);
        struct out o = { plain, n, 0, -1 };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        randombytes_buf(plain, n);
        scratch_make(&s);
        sealed_make(s.path, "x", plain, n);
        _cleanup_(scratch_bytes_done) struct scratch_bytes is = scratch_read(scratch_path(&s, "x"));
        size_t header = 0;
        struct age_stream stream;
        const struct identities with = sealed_key();

        assert_int_equal(age_open_header(is.data, is.n, with.v, with.n, &header, &stream), 0);
        memcpy(other, is.data, is.n);
        memcpy(other + header, is.data + header + chunk, chunk);
        memcpy(other + header + chunk, is.data + header, chunk);
        assert_int_equal(open_bytes(&s, other, is.n, &o), -EBADMSG);
        memcpy(other, is.data, is.n);
        memcpy(other + header + chunk, is.data + header, chunk);
        assert_int_equal(open_bytes(&s, other, is.n, &o), -EBADMSG);
        memcpy(other, is.data, is.n);
        memcpy(other + is.n, is.data, is.n);
        assert_int_equal(open_bytes(&s, other, 2 * is.n, &o), -EBADMSG);
        memcpy(other, is.data, is.n);
        assert_int_equal(open_bytes(&s, other, is.n, &o), 0);
}

/* Sealed well by somebody who has only the recipient, which is no secret: age is content, and zstd is not. */
static size_t seal_raw(const uint8_t *bytes, size_t n, uint8_t *ret) {
        struct age_recipient to;
        struct age_stream stream;
        struct age_fresh fresh;
        size_t at;

        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to), 0);
        randombytes_buf(&fresh, sizeof(fresh));
        at = age_seal_header(&to, 1, &fresh, ret, &stream);
        age_seal_chunk(&stream, bytes, n, true, ret + at);
        return at + n + AGE_TAG;
}

static void what_is_sealed_well_and_is_no_whole_zstd_is_an_error(void **state) {
        _cleanup_free_ uint8_t *sealed = malloc(AGE_HEADER_MAX + AGE_CHUNK + AGE_TAG);
        uint8_t plain[5000], frame[8192];
        struct out o = { plain, sizeof(plain), 0, -1 };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        randombytes_buf(plain, sizeof(plain));
        const size_t n = ZSTD_compress(frame, sizeof(frame), plain, sizeof(plain), 1);

        assert_int_equal(open_bytes(&s, sealed, seal_raw(frame, n, sealed), &o), 0);
        assert_int_equal(o.at, sizeof(plain));
        for (size_t cut = 1; cut < n; cut += 101)
                assert_int_equal(open_bytes(&s, sealed, seal_raw(frame, cut, sealed), &o), -EBADMSG);
        frame[n] = 'x';
        assert_int_equal(open_bytes(&s, sealed, seal_raw(frame, n + 1, sealed), &o), -EBADMSG);
        assert_int_equal(open_bytes(&s, sealed, seal_raw(plain, 100, sealed), &o), -EBADMSG);
}

/* 64 MiB of zeros in some kilobytes. */
static void a_file_that_grows_without_end_is_stopped_at_what_was_said_of_it(void **state) {
        const size_t n = 64U << 20;
        _cleanup_free_ uint8_t *plain = calloc(1, n);
        const struct identities with = sealed_key();
        struct out o = { plain, n, 0, -1 };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        sealed_make(s.path, "x", plain, n);
        assert_int_equal(open_file(scratch_path(&s, "x"), &with, 100000, &o), -EFBIG);
        assert_true(o.at <= 100000);
}

static void another_key_opens_nothing_and_who_takes_it_can_stop(void **state) {
        static uint8_t plain[300000];
        struct identities with = sealed_key(), two = { .n = 2 };
        struct out o = { plain, sizeof(plain), 0, 1 };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        sealed_make(s.path, "x", plain, sizeof(plain));
        assert_int_equal(open_file(scratch_path(&s, "x"), &with, sizeof(plain), &o), -ECANCELED);
        randombytes_buf(&two.v[0], sizeof(two.v[0]));
        two.v[1] = with.v[0];
        o.stop_after = -1;
        assert_int_equal(open_file(scratch_path(&s, "x"), &two, sizeof(plain), &o), 0);
        two.n = 1;
        assert_int_equal(open_file(scratch_path(&s, "x"), &two, sizeof(plain), &o), -EKEYREJECTED);
        assert_int_equal(o.at, 0);
}

static void a_file_of_keys_is_taken_as_age_keygen_writes_it_and_nothing_else(void **state) {
        static const struct {
                const char *text;
                int code;
        } cases[] = {
                { "# created: 2026\n# public key: " AGE_KEYS_PUBLIC "\n" AGE_KEYS_SECRET "\n", CTL_OK },
                { AGE_KEYS_SECRET, CTL_OK },
                { "\r\n" AGE_KEYS_SECRET "\r\n\r\n", CTL_OK },
                { "", CTL_USAGE },
                { "# nothing\n", CTL_USAGE },
                { AGE_KEYS_PUBLIC "\n", CTL_USAGE },
                { " " AGE_KEYS_SECRET "\n", CTL_USAGE },
                { AGE_KEYS_SECRET "X\n", CTL_USAGE },
                { AGE_KEYS_SECRET "\nx\n", CTL_USAGE },
        };
        _cleanup_scratch_ struct scratch s;
        struct identities with;
        struct why w;

        (void) state;
        scratch_make(&s);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                scratch_write(scratch_path(&s, "key"), cases[i].text, strlen(cases[i].text));
                assert_int_equal(chmod(scratch_path(&s, "key"), 0600), 0);
                assert_int_equal(identities_load(scratch_path(&s, "key"), &with, &w), cases[i].code);
                if (cases[i].code == CTL_OK)
                        assert_int_equal(with.n, 1);
                else
                        assert_null(strstr(w.text, "AGE-SECRET"));
        }
        assert_int_equal(identities_load(scratch_path(&s, "absent"), &with, &w), CTL_MACHINE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_sealed_comes_out_in_order_to_the_last_byte),
                cmocka_unit_test(any_change_is_an_error_and_nothing_else_ever_comes_out),
                cmocka_unit_test(chunks_in_another_order_or_more_of_them_are_an_error),
                cmocka_unit_test(what_is_sealed_well_and_is_no_whole_zstd_is_an_error),
                cmocka_unit_test(a_file_that_grows_without_end_is_stopped_at_what_was_said_of_it),
                cmocka_unit_test(another_key_opens_nothing_and_who_takes_it_can_stop),
                cmocka_unit_test(a_file_of_keys_is_taken_as_age_keygen_writes_it_and_nothing_else),
        };
        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
