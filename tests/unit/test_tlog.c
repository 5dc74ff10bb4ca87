/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/tlog.h"

#define NOTE "freezed/host\n2\nroot\n\n\xe2\x80\x94 freezed/host c2ln\n"
#define HASH "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void a_request_reads_back_as_it_was_written(void **state) {
        struct tlog_request q = { .old = 20852014, .note = NOTE, .n_note = strlen(NOTE) }, back;

        (void) state;
        for (q.proof.n = 0; q.proof.n < MERKLE_PROOF_MAX; q.proof.n++) {
                _cleanup_free_ char *text = NULL;
                size_t n;

                randombytes_buf(q.proof.hashes, sizeof(q.proof.hashes));
                assert_int_equal(tlog_request_to_str(&q, &text, &n), 0);
                assert_int_equal(tlog_request_parse(text, n, &back), 0);
                assert_int_equal(back.old, q.old);
                assert_int_equal(back.proof.n, q.proof.n);
                assert_memory_equal(back.proof.hashes, q.proof.hashes, q.proof.n * MERKLE_HASH_SIZE);
                assert_int_equal(back.n_note, q.n_note);
                assert_memory_equal(back.note, NOTE, back.n_note);
        }
}

/* As the specification of tlog-witness writes one. */
static void the_published_request_is_taken(void **state) {
        static const char text[] = "old 20852014\n"
                                   "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
                                   "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
                                   "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
                                   "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
                                   "\n"
                                   "example.com/behind-the-sofa\n"
                                   "20852163\n"
                                   "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
                                   "\n"
                                   "\xe2\x80\x94 example.com/behind-the-sofa "
                                   "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
                                   "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
        struct tlog_request q;
        struct checkpoint c;
        struct note note;

        (void) state;
        assert_int_equal(tlog_request_parse(text, strlen(text), &q), 0);
        assert_int_equal(q.old, 20852014);
        assert_int_equal(q.proof.n, 4);
        assert_int_equal(note_parse(q.note, q.n_note, &note), 0);
        assert_int_equal(checkpoint_parse(note.text, note.n_text, &c), 0);
        assert_int_equal(c.n, 20852163);
}

static void what_is_no_request_is_refused(void **state) {
        static const char *const bad[] = {
                "",
                "\n",
                "old\n\n" NOTE,
                "old \n\n" NOTE,
                "old 01\n\n" NOTE,
                "old +1\n\n" NOTE,
                "old -1\n\n" NOTE,
                "old  1\n\n" NOTE,
                "old 1 \n\n" NOTE,
                "old 18446744073709551616\n\n" NOTE,
                "new 1\n\n" NOTE,
                "old 1\n" NOTE,
                "old 1\n" HASH "=\n\n" NOTE,
                "old 1\nAAAA\n\n" NOTE,
                "old 1\n" HASH "\n",
                "old 1\n" HASH "\n\n",
                "old 1\n" HASH,
        };
        struct tlog_request q;
        char many[8192] = "old 1\n";

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char *exact = memdup_array(bad[i], strlen(bad[i]), 1);

                assert_int_equal(tlog_request_parse(exact, strlen(bad[i]), &q), -EBADMSG);
                free(exact);
        }
        for (size_t i = 0; i < 64; i++)
                strcat(many, HASH "\n");
        strcat(many, "\n" NOTE);
        assert_int_equal(tlog_request_parse(many, strlen(many), &q), -EBADMSG);
}

static void a_proof_reads_back_as_it_was_written(void **state) {
        uint8_t record[300];
        struct tlog_proof p = { .extra = record, .index = 406, .note = NOTE, .n_note = strlen(NOTE) };

        (void) state;
        randombytes_buf(record, sizeof(record));
        for (p.n_extra = 0; p.n_extra < sizeof(record); p.n_extra += 7) {
                _cleanup_(tlog_proof_done) struct tlog_proof back = { .extra = NULL };
                _cleanup_free_ char *text = NULL;
                size_t n;

                p.proof.n = p.n_extra % (MERKLE_PROOF_MAX + 1);
                assert_int_equal(tlog_proof_to_str(&p, &text, &n), 0);
                assert_int_equal(tlog_proof_parse(text, n, &back), 0);
                assert_int_equal(back.n_extra, p.n_extra);
                assert_memory_equal(back.extra, record, p.n_extra);
                assert_int_equal(back.index, 406);
                assert_int_equal(back.proof.n, p.proof.n);
                assert_int_equal(back.n_note, strlen(NOTE));
        }
}

static void what_is_no_proof_is_refused(void **state) {
#define MAGIC "c2sp.org/tlog-proof@v1\n"
        static const char *const bad[] = {
                "",
                "c2sp.org/tlog-proof@v2\nextra AAAA\nindex 1\n\n" NOTE,
                MAGIC,
                MAGIC "index 1\n\n" NOTE,
                MAGIC "extra A\nindex 1\n\n" NOTE,
                MAGIC "extra AAAA AAAA\nindex 1\n\n" NOTE,
                MAGIC "extra AAAA\n\n" NOTE,
                MAGIC "extra AAAA\nindex 01\n\n" NOTE,
                MAGIC "extra AAAA\nindex 1\n",
                MAGIC "extra AAAA\nindex 1\n\n",
                MAGIC "extra AAAA\nindex 1\nAAAA\n\n" NOTE,
        };
        struct tlog_proof p;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                char *exact = memdup_array(bad[i], strlen(bad[i]), 1);

                assert_int_equal(tlog_proof_parse(exact, strlen(bad[i]), &p), -EBADMSG);
                free(exact);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_request_reads_back_as_it_was_written),
                cmocka_unit_test(the_published_request_is_taken),
                cmocka_unit_test(what_is_no_request_is_refused),
                cmocka_unit_test(a_proof_reads_back_as_it_was_written),
                cmocka_unit_test(what_is_no_proof_is_refused),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
