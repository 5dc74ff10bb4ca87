/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cleanup.h"
#include "policy/sshkey.h"

/* The public key of RFC 8032 section 7.1, TEST 1, as ssh-keygen writes it, and what `ssh-keygen -lf` says of that file.
 */
#define LINE "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
#define ID   "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8"
static const uint8_t pub[32] = {
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
        0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
};

static void assert_is_the_key(const struct sshkey *k) {
        char id[SSHKEY_ID_SIZE];

        assert_memory_equal(k->pub, pub, sizeof(pub));
        sshkey_id_to_str(k->id, id);
        assert_string_equal(id, ID);
}

static void sshkey_from_raw_names_the_key_as_ssh_keygen_does(void **state) {
        struct sshkey k;

        (void) state;
        sshkey_from_raw(pub, &k);
        assert_is_the_key(&k);
        /* in place */
        memset(k.id, 0xaa, sizeof(k.id));
        sshkey_from_raw(k.pub, &k);
        assert_is_the_key(&k);
}

static void sshkey_lines_read_back(void **state) {
        char line[SSHKEY_LINE_SIZE];
        struct sshkey k;

        (void) state;
        assert_int_equal(sshkey_from_line(LINE, &k), 0);
        assert_is_the_key(&k);
        sshkey_to_line(&k, line);
        assert_string_equal(line, LINE);
        assert_int_equal(strlen(line) + 1, SSHKEY_LINE_SIZE);
}

static void sshkey_from_line_takes_a_comment(void **state) {
        static const char *const lines[] = {
                LINE "\n",
                LINE " alice@laptop",
                LINE " alice@laptop\n",
                LINE "\tJos\xc3\xa9 on call  ",
                LINE " ssh-ed25519 AAAA",
                "ssh-ed25519 \t AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                struct sshkey k = {};

                assert_int_equal(sshkey_from_line(lines[i], &k), 0);
                assert_is_the_key(&k);
        }
}

static void sshkey_from_line_refuses_everything_else(void **state) {
        static const char *const lines[] = {
                "",
                "ssh-ed25519",
                "ssh-ed25519 ",
                " " LINE,
                "\n" LINE,
                LINE "\n\n",
                LINE "\r\n",
                LINE "\n" LINE,
                LINE " comment\nssh-ed25519 AAAA",
                LINE " \x1b[2J",
                LINE " \x7f",
                LINE "=",
                LINE "==",
                LINE "A",
                LINE "AAAA",
                "SSH-ED25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
                "no-pty " LINE,
                "sk-" LINE,
                /* the type twice, once too short, once too long */
                "ssh-ed2551 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
                "ssh-ed255199 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
                "ssh-ed25519AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
                /* the URL-safe alphabet is not what ssh writes */
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv-08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
                /* one character less, one byte less */
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1E",
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1E=",
                /* bytes from 0x80 up are no digits */
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1E\xff",
                /* the blob says ssh-ed25518; the line says ssh-rsa */
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE4AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
                "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea",
        };
        struct sshkey k, before;

        (void) state;
        memset(&k, 0x55, sizeof(k));
        before = k;
        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                assert_int_equal(sshkey_from_line(lines[i], &k), -EINVAL);
                assert_memory_equal(&k, &before, sizeof(k));
        }
}

static void sshkey_from_blob_takes_one_form_of_every_length(void **state) {
        uint8_t blob[SSHKEY_BLOB_SIZE + 1] = {};
        struct sshkey k;

        (void) state;
        sshkey_from_raw(pub, &k);
        sshkey_to_blob(&k, blob);
        for (size_t n = 0; n <= sizeof(blob); n++)
                assert_int_equal(sshkey_from_blob(blob, n, &k), n == SSHKEY_BLOB_SIZE ? 0 : -EINVAL);
        assert_is_the_key(&k);
}

/* A bit of the lengths or of the type name makes it another kind of blob; a bit of the key makes it another key with
 * another id. */
static void sshkey_from_blob_sees_every_bit(void **state) {
        uint8_t blob[SSHKEY_BLOB_SIZE];
        struct sshkey k, other;

        (void) state;
        sshkey_from_raw(pub, &k);
        for (size_t bit = 0; bit < 8 * sizeof(blob); bit++) {
                sshkey_to_blob(&k, blob);
                blob[bit / 8] ^= (uint8_t) (1 << bit % 8);
                if (bit / 8 < SSHKEY_BLOB_SIZE - 32) {
                        assert_int_equal(sshkey_from_blob(blob, sizeof(blob), &other), -EINVAL);
                        continue;
                }
                assert_int_equal(sshkey_from_blob(blob, sizeof(blob), &other), 0);
                assert_memory_not_equal(other.pub, k.pub, sizeof(k.pub));
                assert_memory_not_equal(other.id, k.id, sizeof(k.id));
        }
}

static void sshkey_ids_read_back(void **state) {
        char str[SSHKEY_ID_SIZE];
        uint8_t id[32];

        (void) state;
        assert_int_equal(sshkey_id_from_str(ID, id), 0);
        sshkey_id_to_str(id, str);
        assert_string_equal(str, ID);
        assert_int_equal(strlen(str) + 1, SSHKEY_ID_SIZE);
}

static void sshkey_id_from_str_refuses_other_forms(void **state) {
        static const char *const ids[] = {
                "",
                "SHA256:",
                "bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8",
                "sha256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8",
                " " ID,
                ID " ",
                ID "\n",
                ID "=",
                ID "A",
                "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU",
                /* the two bits beyond the digest are set */
                "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU9",
                /* bytes from 0x80 up are no digits */
                "SHA256:bbXpuKG6z\xff\xff\xff\xffnxq256TlqzFBzRl2f6OOg722cYNbU8",
                /* the URL-safe alphabet */
                "SHA256:F34nin7tcaYH6WR5LSWSfj6weFBPfBpuyUUoPFP9Y-A",
                "SHA512:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8",
                "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        };
        uint8_t id[32] = { 7 }, before[32] = { 7 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                assert_int_equal(sshkey_id_from_str(ids[i], id), -EINVAL);
                assert_memory_equal(id, before, sizeof(id));
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(sshkey_from_raw_names_the_key_as_ssh_keygen_does),
                cmocka_unit_test(sshkey_lines_read_back),
                cmocka_unit_test(sshkey_from_line_takes_a_comment),
                cmocka_unit_test(sshkey_from_line_refuses_everything_else),
                cmocka_unit_test(sshkey_from_blob_takes_one_form_of_every_length),
                cmocka_unit_test(sshkey_from_blob_sees_every_bit),
                cmocka_unit_test(sshkey_ids_read_back),
                cmocka_unit_test(sshkey_id_from_str_refuses_other_forms),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
