/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/note.h"

#define DASH "\xe2\x80\x94 "

static struct note_key log_key, witness_key;
static uint8_t log_secret[64], witness_secret[64];

static int make_keys(void **state) {
        static const uint8_t seeds[2][32] = { { 1 }, { 2 } };

        (void) state;
        log_key = (struct note_key) { .name = "freezed/host", .type = NOTE_ED25519 };
        witness_key = (struct note_key) { .name = "witness.example/w1", .type = NOTE_COSIGNATURE };
        (void) crypto_sign_seed_keypair(log_key.pub, log_secret, seeds[0]);
        (void) crypto_sign_seed_keypair(witness_key.pub, witness_secret, seeds[1]);
        return 0;
}

static void sign(const struct note_key *k, const uint8_t *secret, uint64_t time, const char *text, char *ret) {
        char message[NOTE_MESSAGE_SIZE];
        uint8_t sig[64];
        const size_t n = note_message(k, time, text, message);

        (void) crypto_sign_detached(sig, NULL, (uint8_t *) message, n, secret);
        note_line(k, time, sig, ret);
}

/* A checkpoint of 412 records, signed by the log and cosigned by the witness. */
static size_t make_note(char *ret) {
        struct checkpoint c = { .origin = "freezed/host", .n = 412 };
        char text[NOTE_TEXT_SIZE], one[NOTE_LINE_SIZE], two[NOTE_LINE_SIZE];

        memset(c.root, 0xa5, sizeof(c.root));
        checkpoint_to_text(&c, text);
        sign(&log_key, log_secret, 0, text, one);
        sign(&witness_key, witness_secret, 1795211530, text, two);
        return (size_t) sprintf(ret, "%s\n%s%s", text, one, two);
}

/* From the documentation of Go's own implementation, golang.org/x/mod/sumdb/note. */
static void a_note_of_another_implementation_is_taken(void **state) {
        static const char text[] =
                "If you think cryptography is the answer to your problem,\n"
                "then you don't know what your problem is.\n"
                "\n" DASH "PeterNeumann "
                "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        struct note_key k;
        struct note n;

        (void) state;
        assert_int_equal(note_key_from_str("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", &k),
                         0);
        assert_int_equal(note_key_id(&k), 0xc74f20a3);
        assert_int_equal(note_parse(text, strlen(text), &n), 0);
        assert_int_equal(note_check(&n, &k, NULL), NOTE_SIGNED);
        k.pub[0] ^= 1;
        assert_int_equal(note_check(&n, &k, NULL), NOTE_UNSIGNED);
}

static void keys_have_one_spelling(void **state) {
        static const char *const bad[] = {
                "",
                "+",
                "a+b",
                "sum.golang.org",
                "sum.golang.org+033de0ae",
                "sum.golang.org+033de0ae+",
                "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                "sum.golang.org+033DE0AE+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8=",
                "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8\n",
                " sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                "sum.golang.org+33de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                "+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
                "sum golang+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        };
        char s[NOTE_KEY_SIZE];
        struct note_key k;

        (void) state;
        assert_int_equal(note_key_from_str("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", &k),
                         0);
        note_key_to_str(&k, s);
        assert_string_equal(s, "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(note_key_from_str(bad[i], &k), -EINVAL);
        note_key_to_str(&witness_key, s);
        assert_int_equal(note_key_from_str(s, &k), 0);
        assert_memory_equal(&k, &witness_key, sizeof(k));
        memset(k.name, 'x', NOTE_NAME_MAX);
        note_key_to_str(&k, s);
        assert_int_equal(note_key_from_str(s, &k), 0);
}

static void the_log_and_its_witness_are_told_apart(void **state) {
        char bytes[4096];
        const size_t size = make_note(bytes);
        struct note_key other = log_key;
        struct checkpoint c;
        uint64_t time = 7;
        struct note n;

        (void) state;
        assert_int_equal(note_parse(bytes, size, &n), 0);
        assert_int_equal(n.n_sigs, 2);
        assert_int_equal(note_check(&n, &log_key, &time), NOTE_SIGNED);
        assert_int_equal(time, 0);
        assert_int_equal(note_check(&n, &witness_key, &time), NOTE_SIGNED);
        assert_int_equal(time, 1795211530);
        assert_int_equal(checkpoint_parse(n.text, n.n_text, &c), 0);
        assert_string_equal(c.origin, "freezed/host");
        assert_int_equal(c.n, 412);
        assert_int_equal(c.root[31], 0xa5);
        other.type = NOTE_COSIGNATURE;
        assert_int_equal(note_check(&n, &other, &time), NOTE_UNSIGNED);
        strcpy(other.name, "freezed/other");
        other.type = NOTE_ED25519;
        assert_int_equal(note_check(&n, &other, &time), NOTE_UNSIGNED);
}

/* There is no bit of it that could be another one. */
static void a_note_with_any_bit_changed_is_signed_by_neither(void **state) {
        char bytes[4096];
        const size_t size = make_note(bytes);

        (void) state;
        for (size_t i = 0; i < size * 8; i++) {
                struct note n;

                bytes[i / 8] = (char) (bytes[i / 8] ^ (1 << i % 8));
                if (note_parse(bytes, size, &n) == 0)
                        assert_true(note_check(&n, &log_key, NULL) != NOTE_SIGNED ||
                                    note_check(&n, &witness_key, NULL) != NOTE_SIGNED);
                bytes[i / 8] = (char) (bytes[i / 8] ^ (1 << i % 8));
        }
}

static void a_note_that_was_cut_off_is_none_or_is_unsigned(void **state) {
        char bytes[4096];
        const size_t size = make_note(bytes);
        struct note n;

        (void) state;
        for (size_t cut = 0; cut < size; cut++) {
                char *exact = memdup_array(bytes, cut, 1);

                if (note_parse(exact, cut, &n) == 0)
                        assert_int_equal(note_check(&n, &witness_key, NULL), NOTE_UNSIGNED);
                free(exact);
        }
}

static void a_false_line_beside_a_true_one_spoils_the_note(void **state) {
        char bytes[4096], line[NOTE_LINE_SIZE];
        const size_t size = make_note(bytes);
        uint8_t sig[64] = { 0 };
        struct note n;

        (void) state;
        note_line(&witness_key, 1795211531, sig, line);
        strcpy(bytes + size, line);
        assert_int_equal(note_parse(bytes, strlen(bytes), &n), 0);
        assert_int_equal(note_check(&n, &witness_key, NULL), NOTE_FALSE);
        assert_int_equal(note_check(&n, &log_key, NULL), NOTE_SIGNED);
        /* of the right name and of no key's id, it is nobody's */
        (void) sprintf(bytes + size, DASH "%s %s\n", witness_key.name, "AAAA");
        assert_int_equal(note_parse(bytes, strlen(bytes), &n), 0);
        assert_int_equal(note_check(&n, &witness_key, NULL), NOTE_SIGNED);
}

/* A signature is good for one time only: the witness signed that as well. */
static void the_time_of_a_cosignature_cannot_be_changed(void **state) {
        char text[NOTE_TEXT_SIZE], message[NOTE_MESSAGE_SIZE], line[NOTE_LINE_SIZE], bytes[4096];
        struct checkpoint c = { .origin = "freezed/host", .n = 1 };
        uint8_t sig[64];
        struct note n;

        (void) state;
        checkpoint_to_text(&c, text);
        const size_t size = note_message(&witness_key, 1000, text, message);
        assert_memory_equal(message, "cosignature/v1\ntime 1000\n", 25);
        (void) crypto_sign_detached(sig, NULL, (uint8_t *) message, size, witness_secret);
        for (uint64_t time = 999; time <= 1001; time++) {
                note_line(&witness_key, time, sig, line);
                (void) sprintf(bytes, "%s\n%s", text, line);
                assert_int_equal(note_parse(bytes, strlen(bytes), &n), 0);
                assert_int_equal(note_check(&n, &witness_key, NULL), time == 1000 ? NOTE_SIGNED : NOTE_FALSE);
        }
}

static void what_is_no_note_is_refused(void **state) {
        static const char *const bad[] = {
                "",
                "\n",
                "\n\n",
                "text\n",
                "text\n\n",
                "text\n\n" DASH "name\n",
                "text\n\n" DASH "name sig",
                "text\n\n- name c2ln\n",
                "text\n\n" DASH " c2ln\n",
                "text\n\n" DASH "name \n",
                "text\n\n" DASH "name c2ln more\n",
                "text\n" DASH "name c2ln\n",
                "text\n\n" DASH "name c2ln\nmore\n",
                "te\x1bxt\n\n" DASH "name c2ln\n",
                "te\rxt\n\n" DASH "name c2ln\n",
                "\n\n" DASH "name c2ln\n",
        };
        char many[8192] = "text\n\n";
        struct note n;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(note_parse(bad[i], strlen(bad[i]), &n), -EBADMSG);
        assert_int_equal(note_parse("text\n\n" DASH "na\0me c2ln\n", 21, &n), -EBADMSG);
        for (size_t i = 0; i < NOTE_SIGS_MAX; i++)
                strcat(many, DASH "name c2ln\n");
        assert_int_equal(note_parse(many, strlen(many), &n), 0);
        strcat(many, DASH "name c2ln\n");
        assert_int_equal(note_parse(many, strlen(many), &n), -EBADMSG);
}

#define ROOT "paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU="

static void a_checkpoint_has_one_spelling(void **state) {
        static const char *const bad[] = {
                "freezed/host\n412\n" ROOT,
                "freezed/host\n412\n" ROOT "\nextension\n",
                "freezed/host\n412\n" ROOT "\n\n",
                "freezed/host\n0412\n" ROOT "\n",
                "freezed/host\n+412\n" ROOT "\n",
                "freezed/host\n 412\n" ROOT "\n",
                "freezed/host\n-1\n" ROOT "\n",
                "freezed/host\n4 12\n" ROOT "\n",
                "freezed/host\n\n" ROOT "\n",
                "freezed/host\n18446744073709551616\n" ROOT "\n",
                "freezed/host\n412\nAAAA\n",
                "freezed/host\n412\n" ROOT "AAAA\n",
                "freezed host\n412\n" ROOT "\n",
                "\n412\n" ROOT "\n",
                "412\n" ROOT "\n",
                "\n\n\n",
                "",
        };
        struct checkpoint c;
        char text[NOTE_TEXT_SIZE];

        (void) state;
        assert_int_equal(checkpoint_parse("freezed/host\n412\n" ROOT "\n", 17 + 45, &c), 0);
        checkpoint_to_text(&c, text);
        assert_string_equal(text, "freezed/host\n412\n" ROOT "\n");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char *exact = memdup_array(bad[i], strlen(bad[i]), 1);

                assert_int_equal(checkpoint_parse(exact, strlen(bad[i]), &c), -EBADMSG);
                free(exact);
        }
        c.n = UINT64_MAX;
        memset(c.origin, 'o', NOTE_NAME_MAX);
        c.origin[NOTE_NAME_MAX] = '\0';
        checkpoint_to_text(&c, text);
        assert_int_equal(checkpoint_parse(text, strlen(text), &c), 0);
        assert_true(c.n == UINT64_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_note_of_another_implementation_is_taken),
                cmocka_unit_test(keys_have_one_spelling),
                cmocka_unit_test(the_log_and_its_witness_are_told_apart),
                cmocka_unit_test(a_note_with_any_bit_changed_is_signed_by_neither),
                cmocka_unit_test(a_note_that_was_cut_off_is_none_or_is_unsigned),
                cmocka_unit_test(a_false_line_beside_a_true_one_spoils_the_note),
                cmocka_unit_test(the_time_of_a_cosignature_cannot_be_changed),
                cmocka_unit_test(what_is_no_note_is_refused),
                cmocka_unit_test(a_checkpoint_has_one_spelling),
        };

        return cmocka_run_group_tests(tests, make_keys, NULL);
}
