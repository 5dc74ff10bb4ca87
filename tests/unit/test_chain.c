/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/bagdir.c ctl/chain.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c agent/core/preserved.c */
/* LINK: agent/core/head.c agent/core/epochkey.c agent/core/hostkey.c agent/core/ledger.c agent/core/segment.c */
/* LINK: agent/core/record.c agent/core/fold.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c agent/core/paths.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c agent/util/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "agent/util/log.h"
#include "ctl/chain.h"
#include "lib/ledger_rig.h"

#define BIT(f) (1U << CHAIN_##f)

static const uint8_t statement[32] = { 0x57 };
static struct note_key witness = { .name = "witness.example/w1", .type = NOTE_COSIGNATURE };
static uint8_t witness_secret[64];

/* 1 epoch, 2 start, 3 start, 4 evidence, 5 epoch, 6 start, 7 start */
static void story(struct rig *r) {
        rig_make(r);
        happen(r, 2);
        rig_seal(r, statement, "/var/lib/freezed/evidence/SA-1/folder-1");
        head_turn(&r->a, EPOCH_EVIDENCE);
        happen(r, 2);
        head_write(&r->a);
        assert_int_equal(ledger_head(r->a.ledger).n, 7);
}

static char *cosigned_name(char ret[static 64]) {
        (void) snprintf(ret, 64, "ledger/cosigned.%08x", note_key_id(&witness));
        return ret;
}

/* The witness signs the checkpoint that is there now. */
static void cosign(struct rig *r, uint64_t time) {
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&r->s, "ledger/checkpoint"));
        char text[NOTE_TEXT_SIZE] = "", message[NOTE_MESSAGE_SIZE], line[NOTE_LINE_SIZE], name[64];
        uint8_t sig[64];
        struct note n;
        FILE *f;

        assert_int_equal(note_parse((char *) b.data, b.n, &n), 0);
        memcpy(text, n.text, n.n_text);
        (void) crypto_sign_detached(sig, NULL, (uint8_t *) message, note_message(&witness, time, text, message),
                                    witness_secret);
        note_line(&witness, time, sig, line);
        f = fopen(scratch_path(&r->s, cosigned_name(name)), "we");
        assert_non_null(f);
        assert_int_equal(fwrite(b.data, 1, b.n, f), b.n);
        assert_true(fputs(line, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static uint32_t look_as(struct rig *r, const struct sshkey *host, size_t n_witnesses, struct chain *ret) {
        const struct chain_want want = { .folder = "folder-1", .statement_sha256 = { 0x57 } };
        struct why w = { "" };

        *ret = (struct chain) { .n = 0 };
        assert_int_equal(chain_read(r->ledger, r->ledger, host, &witness, n_witnesses, &want, ret, &w), 0);
        return ret->findings;
}

/* A cleaned-up look of which only the findings are wanted. */
static uint32_t look(struct rig *r, size_t n_witnesses) {
        struct chain c;
        const uint32_t f = look_as(r, hostkey_public(r->a.key), n_witnesses, &c);

        chain_done(&c);
        return f;
}

static void a_ledger_that_is_whole_says_what_it_proves(void **state) {
        _cleanup_(chain_done) struct chain c = { .n = 0 };
        _cleanup_rig_ struct rig r;

        (void) state;
        story(&r);
        cosign(&r, 1795211530);
        assert_int_equal(look_as(&r, hostkey_public(r.a.key), 1, &c), 0);
        assert_int_equal(c.n, 7);
        assert_int_equal(c.found, 4);
        assert_int_equal(c.epochs, 2);
        assert_int_equal(c.by_host, 1);
        assert_int_equal(c.lost, 0);
        assert_int_equal(c.head.n, 7);
        assert_int_equal(c.epoch.number, 2);
        assert_string_equal(chain_witness_of(&c)->name, witness.name);
        assert_int_equal(chain_witness_of(&c)->n, 7);
        assert_int_equal(chain_witness_of(&c)->time, 1795211530);
}

static void what_is_not_covered_yet_is_told_apart(void **state) {
        _cleanup_rig_ struct rig r;

        (void) state;
        rig_make(&r);
        assert_int_equal(look(&r, 0), BIT(NO_CHECKPOINT) | BIT(NOT_RECORDED));
        happen(&r, 1);
        head_write(&r.a);
        cosign(&r, 1);
        assert_int_equal(look(&r, 1), BIT(NOT_RECORDED));
        rig_seal(&r, statement, "/var/lib/freezed/evidence/SA-1/folder-1");
        assert_int_equal(look(&r, 0), BIT(UNSEALED));
        head_write(&r.a);
        assert_int_equal(look(&r, 0), 0);
        assert_int_equal(look(&r, 1), BIT(UNWITNESSED));
        cosign(&r, 2);
        assert_int_equal(look(&r, 1), 0);
}

static void another_statement_of_the_same_folder_is_a_replaced_one(void **state) {
        static const uint8_t other[32] = { 0x58 };
        _cleanup_rig_ struct rig r;

        (void) state;
        rig_make(&r);
        rig_seal(&r, other, "/var/lib/freezed/evidence/SA-1/folder-2");
        head_write(&r.a);
        assert_int_equal(look(&r, 0), BIT(NOT_RECORDED));
        rig_seal(&r, other, "/var/lib/freezed/evidence/SA-1/folder-1");
        head_write(&r.a);
        assert_int_equal(look(&r, 0), BIT(REPLACED));
}

/* What a ledger tells of a folder for that order, which has another statement than was recorded, or none. */
static uint32_t look_for_order(struct rig *r, const char *folder, const char *hold, bool no_statement) {
        const struct chain_want want = { .folder = folder, .hold = hold, .no_statement = no_statement };
        _cleanup_(chain_done) struct chain c = { .n = 0 };
        struct why w = { "" };

        assert_int_equal(chain_read(r->ledger, r->ledger, hostkey_public(r->a.key), NULL, 0, &want, &c, &w), 0);
        return c.findings;
}

static void a_folder_of_an_order_that_never_was_is_told_apart(void **state) {
        static const char ordered[] = "01000000000000000000000000000000", never[] = "02000000000000000000000000000000";
        const struct command_id refused = { { 2 } };
        _cleanup_rig_ struct rig r;
        uint64_t n;

        (void) state;
        rig_make(&r);
        rig_seal(&r, statement, "/var/lib/freezed/evidence/SA-1/folder-1");
        /* that it was refused, or asked for, is no order */
        assert_int_equal(record_refusal(&r.a, &refused, statement, REASON_THRESHOLD), 0);
        assert_int_equal(record_custody(&r.a, json_pack("{ss ss}", "act", "show", "id", never), &n), 0);
        head_write(&r.a);
        assert_int_equal(look_for_order(&r, "folder-2", ordered, false), BIT(NOT_RECORDED));
        assert_int_equal(look_for_order(&r, "folder-2", ordered, true), BIT(NOT_RECORDED));
        assert_int_equal(look_for_order(&r, "folder-2", never, false), BIT(NOT_ORDERED));
        assert_int_equal(look_for_order(&r, "folder-2", never, true), BIT(NOT_ORDERED));
        assert_int_equal(look_for_order(&r, "folder-1", ordered, false), BIT(REPLACED));
        assert_int_equal(look_for_order(&r, "folder-1", ordered, true), BIT(STATEMENT_GONE));
        /* what cannot be read may have been the order */
        assert_true(shell(&r, "printf x | dd of=ledger/00000001.log bs=1 seek=40 conv=notrunc 2>/dev/null"));
        assert_false(look_for_order(&r, "folder-2", never, false) & BIT(NOT_ORDERED));
}

static void another_hosts_ledger_is_not_this_ones(void **state) {
        _cleanup_rig_ struct rig r;
        uint8_t pub[32] = { 3 };
        struct sshkey other;
        struct chain c;

        (void) state;
        story(&r);
        sshkey_from_raw(pub, &other);
        assert_true(look_as(&r, &other, 0, &c) & BIT(CHECKPOINT));
        assert_true(c.findings & BIT(EPOCH));
        chain_done(&c);
}

/* The 7 records as they stand in the file. */
struct file {
        uint8_t bytes[SEGMENT];
        size_t at[8]; /* where each begins, and the last one ends */
};

static void file_read_all(const struct rig *r, struct file *ret) {
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&r->s, "ledger/00000001.log"));
        size_t at = 0;

        assert_int_equal(b.n, SEGMENT);
        memcpy(ret->bytes, b.data, SEGMENT);
        for (size_t i = 0; i < 8; i++) {
                ret->at[i] = at;
                at += ((size_t) b.data[at] << 24 | (size_t) b.data[at + 1] << 16 | (size_t) b.data[at + 2] << 8 |
                       b.data[at + 3]) +
                      36;
        }
}

static void file_write_all(const struct rig *r, const uint8_t *bytes) {
        FILE *f = fopen(scratch_path(&r->s, "ledger/00000001.log"), "we");

        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, SEGMENT, f), SEGMENT);
        assert_int_equal(fclose(f), 0);
}

static bool is_bad(uint32_t findings) {
        return findings &
               (BIT(RECORD) | BIT(EPOCH) | BIT(CHECKPOINT) | BIT(ROLLED_BACK) | BIT(BAD_WITNESS) | BIT(WITNESS_OTHER));
}

/* A bit of every eleventh byte of what is used, and some of what is not. */
static void every_changed_byte_is_seen(void **state) {
        _cleanup_rig_ struct rig r;
        struct file was, is;

        (void) state;
        story(&r);
        file_read_all(&r, &was);
        for (size_t i = 0; i < was.at[7] + 64; i += 11) {
                is = was;
                is.bytes[i] ^= (uint8_t) (1U << i % 8);
                file_write_all(&r, is.bytes);
                const uint32_t f = look(&r, 0);
                /* what stands behind the last record looks like one that is being written */
                assert_true(i >= was.at[7] ? f & BIT(CUT_OFF) || f == 0 : is_bad(f));
        }
        file_write_all(&r, was.bytes);
        assert_int_equal(look(&r, 0), 0);
}

static void move_record(struct file *to, size_t *at, const struct file *from, size_t i) {
        const size_t n = from->at[i + 1] - from->at[i];

        memcpy(to->bytes + *at, from->bytes + from->at[i], n);
        *at += n;
}

/* Which records, in which order, of the seven that were written. */
static void records_that_are_missing_moved_or_doubled_are_seen(void **state) {
        static const char *const orders[] = { "012345",   "01234",         "0",       "",
                                              "123456",   "0123465",       "1023456", "0012345",
                                              "01234566", "0123456123456", "013456",  "0123356" };
        _cleanup_rig_ struct rig r;
        struct file was;

        (void) state;
        story(&r);
        file_read_all(&r, &was);
        for (size_t i = 0; i < ELEMENTSOF(orders); i++) {
                struct file is = { .at = { 0 } };
                size_t at = 0;

                for (const char *p = orders[i]; *p; p++)
                        move_record(&is, &at, &was, (size_t) (*p - '0'));
                file_write_all(&r, is.bytes);
                assert_true(is_bad(look(&r, 0)));
        }
}

static void a_ledger_cut_off_anywhere_is_seen(void **state) {
        _cleanup_rig_ struct rig r;
        struct file was, is;

        (void) state;
        story(&r);
        file_read_all(&r, &was);
        for (size_t i = 0; i < was.at[7]; i += 31) {
                is = was;
                memset(is.bytes + i, 0, SEGMENT - i);
                file_write_all(&r, is.bytes);
                assert_true(is_bad(look(&r, 0)));
        }
        assert_true(shell(&r, "truncate -s 1000 ledger/00000001.log"));
        assert_true(is_bad(look(&r, 0)));
        assert_true(shell(&r, "rm ledger/00000001.log"));
        assert_true(is_bad(look(&r, 0)));
}

static void a_record_that_is_being_written_is_no_fault_of_those_before(void **state) {
        _cleanup_rig_ struct rig r;
        struct file was, is;

        (void) state;
        story(&r);
        happen(&r, 1);
        file_read_all(&r, &was);
        is = was;
        memset(is.bytes + was.at[7] + 40, 0, SEGMENT - was.at[7] - 40);
        file_write_all(&r, is.bytes);
        assert_int_equal(look(&r, 0), 0);
}

static void files_that_are_missing_between_others_are_seen(void **state) {
        _cleanup_rig_ struct rig r;

        (void) state;
        story(&r);
        happen(&r, 600);
        head_write(&r.a);
        assert_int_equal(look(&r, 0), 0);
        assert_true(shell(&r, "mv ledger/00000002.log x"));
        assert_true(look(&r, 0) & BIT(RECORD));
        assert_true(shell(&r, "mv x ledger/00000002.log && cp ledger/00000001.log ledger/00000007.log"));
        assert_true(look(&r, 0) & BIT(RECORD));
}

/* The whole directory of an earlier day, in which all is right: only somebody outside knows better. */
static void a_store_that_was_rolled_back_whole_is_seen_by_the_witness_alone(void **state) {
        _cleanup_rig_ struct rig r;
        char command[128], name[64];

        (void) state;
        story(&r);
        assert_true(shell(&r, "cp -a ledger old"));
        happen(&r, 3);
        head_write(&r.a);
        cosign(&r, 1795211530);
        assert_int_equal(look(&r, 1), 0);
        assert_true(shell(&r, "cp old/* ledger/"));
        assert_int_equal(look(&r, 0), 0);
        assert_int_equal(look(&r, 1), BIT(WITNESS_OTHER));
        (void) snprintf(command, sizeof(command), "rm %s", cosigned_name(name));
        assert_true(shell(&r, command));
        assert_int_equal(look(&r, 1), BIT(UNWITNESSED));
}

/* An attacker who is root later: has the host's key, and none of the epochs' before. */
static void whoever_has_the_hosts_key_cannot_write_an_epoch_anew(void **state) {
        _cleanup_rig_ struct rig r;
        char command[256];

        (void) state;
        story(&r);
        cosign(&r, 1795211530);
        assert_true(shell(&r, "mv ledger/checkpoint ledger/cosigned* . && rm ledger/*"));
        rig_stop(&r);
        assert_true(shell(&r, "rm epoch_key"));
        rig_start(&r);
        happen(&r, 2);
        head_turn(&r.a, EPOCH_EVIDENCE);
        rig_seal(&r, statement, "/var/lib/freezed/evidence/SA-1/folder-1");
        happen(&r, 20);
        head_write(&r.a);
        /* all of it hangs together, and by itself it is as good as the other one */
        assert_int_equal(look(&r, 0), 0);
        (void) snprintf(command, sizeof(command), "cp cosigned* ledger/");
        assert_true(shell(&r, command));
        assert_int_equal(look(&r, 1), BIT(WITNESS_OTHER));
        /* an older checkpoint in the place of its own */
        assert_true(shell(&r, "cp checkpoint ledger/"));
        assert_int_equal(look(&r, 0), BIT(ROLLED_BACK));
}

/* The same, and the epoch's record says that the one before vouches for it. */
static void an_epoch_that_the_one_before_did_not_sign_is_seen(void **state) {
        _cleanup_rig_ struct rig r;
        struct epoch e = { .size = 0 };
        uint8_t pub[32], secret[64], seed[32] = { 7 };
        char origin[NOTE_ORIGIN_SIZE], message[EPOCH_MESSAGE_SIZE];

        (void) state;
        for (enum epoch_why why = EPOCH_FIRST; why < _EPOCH_WHY_MAX; why++) {
                story(&r);
                (void) crypto_sign_seed_keypair(pub, secret, seed);
                e = (struct epoch) { .number = 3, .why = why, .size = 7 };
                memcpy(e.pub, pub, 32);
                ledger_root(r.a.ledger, e.root);
                note_origin(hostkey_public(r.a.key)->id, origin);
                hostkey_sign(r.a.key, (uint8_t *) message, epoch_message(&e, origin, message), e.sig);
                assert_int_equal(record_epoch(&r.a, epoch_to_json(&e)), 0);
                /* by the host's key a key that was lost may be replaced, and verify says how often it was */
                if (why == EPOCH_LOST) {
                        _cleanup_(chain_done) struct chain c = { .n = 0 };

                        assert_int_equal(look_as(&r, hostkey_public(r.a.key), 0, &c) & BIT(EPOCH), 0);
                        assert_int_equal(c.by_host, 2);
                        assert_int_equal(c.lost, 1);
                } else
                        assert_true(look(&r, 0) & BIT(EPOCH));
                rig_done(&r);
        }
}

static void a_checkpoint_or_cosignature_of_another_is_refused(void **state) {
        static const struct {
                const char *command;
                uint32_t expect;
        } tries[] = {
                { "rm ledger/checkpoint", BIT(NO_CHECKPOINT) },
                { ": >ledger/checkpoint", BIT(CHECKPOINT) },
                { "sed -i s/^7$/6/ ledger/checkpoint", BIT(CHECKPOINT) },
                { "sed -i '/epoch/d' ledger/checkpoint", BIT(NO_EPOCH) },
                { "sed -i '/host/!b' ledger/checkpoint && sed -i 5d ledger/checkpoint", BIT(CHECKPOINT) },
                { "sed -i s/^7$/6/ ledger/cosigned*", BIT(BAD_WITNESS) | BIT(UNWITNESSED) },
                { "for f in ledger/cosigned*; do cp ledger/checkpoint $f; done", BIT(BAD_WITNESS) | BIT(UNWITNESSED) },
                { "for f in ledger/cosigned*; do : >$f; done", BIT(BAD_WITNESS) | BIT(UNWITNESSED) },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(tries); i++) {
                _cleanup_rig_ struct rig r;

                story(&r);
                cosign(&r, 1795211530);
                assert_true(shell(&r, tries[i].command));
                assert_int_equal(look(&r, 1), tries[i].expect);
        }
}

/* A folder that somebody brings may have anything in the place of a ledger. */
static void what_is_no_file_is_neither_waited_for_nor_followed(void **state) {
        static const char *const commands[] = {
                "rm ledger/checkpoint && mkfifo ledger/checkpoint",
                "rm ledger/00000001.log && mkfifo ledger/00000001.log",
                "mv ledger/00000001.log x && ln -s ../x ledger/00000001.log",
                "rm ledger/checkpoint && mkdir ledger/checkpoint",
                "mv ledger away && mkfifo ledger",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                _cleanup_rig_ struct rig r;
                struct why w = { "" };
                struct chain c;

                story(&r);
                assert_true(shell(&r, commands[i]));
                assert_int_equal(chain_read(r.ledger, r.ledger, hostkey_public(r.a.key), &witness, 1, NULL, &c, &w),
                                 CTL_MACHINE);
        }
}

/* What goes with an export: one record, and what its host and a witness signed. */
static void a_proof_shows_the_same_without_the_ledger(void **state) {
        const struct chain_want want = { .folder = "renamed", .statement_sha256 = { 0x57 } },
                                other = { .folder = "folder-1", .statement_sha256 = { 0x58 } };
        _cleanup_(chain_done) struct chain c = { .n = 0 };
        _cleanup_rig_ struct rig r;
        _cleanup_free_ char *text = NULL;
        struct why w = { "" };
        size_t n;

        (void) state;
        story(&r);
        cosign(&r, 1795211530);
        happen(&r, 30);
        head_write(&r.a);
        assert_int_equal(look_as(&r, hostkey_public(r.a.key), 1, &c), 0);
        assert_int_equal(chain_proof(&c, &text, &n), 0);
        for (size_t i = 0; i <= n; i++) {
                _cleanup_(chain_done) struct chain p = { .n = 0 };
                char *copy = memdup_array(text, n, 1);

                if (i < n)
                        copy[i] = (char) (copy[i] ^ (1 << i % 7));
                assert_int_equal(chain_read_proof(copy, n, hostkey_public(r.a.key), &witness, 1, &want, &p, &w), 0);
                free(copy);
                /* a changed line of the epoch, which no proof can check, is the one thing that may pass */
                assert_true(p.findings != 0 || p.found == 4);
                if (i == n) {
                        assert_int_equal(p.findings, 0);
                        assert_int_equal(chain_witness_of(&p)->n, 7);
                        assert_int_equal(chain_witness_of(&p)->time, 1795211530);
                }
        }
        struct chain p;
        assert_int_equal(chain_read_proof(text, n, hostkey_public(r.a.key), &witness, 1, &other, &p, &w), 0);
        assert_int_equal(p.findings, BIT(REPLACED));
        chain_done(&p);
        for (size_t cut = 0; cut < n; cut += 11) {
                char *exact = memdup_array(text, cut, 1);

                assert_int_equal(chain_read_proof(exact, cut, hostkey_public(r.a.key), &witness, 1, &want, &p, &w), 0);
                assert_true(p.findings != 0);
                chain_done(&p);
                free(exact);
        }
}

static void there_is_no_proof_of_what_no_head_covers(void **state) {
        _cleanup_(chain_done) struct chain c = { .n = 0 };
        _cleanup_rig_ struct rig r;
        char *text = NULL;
        size_t n;

        (void) state;
        rig_make(&r);
        head_write(&r.a);
        cosign(&r, 1);
        rig_seal(&r, statement, "/var/lib/freezed/evidence/SA-1/folder-1");
        assert_int_equal(look_as(&r, hostkey_public(r.a.key), 1, &c), BIT(UNSEALED) | BIT(UNWITNESSED));
        assert_int_equal(chain_proof(&c, &text, &n), -ENOENT);
        assert_null(text);
}

int main(void) {
        static const uint8_t seed[32] = { 2 };
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_ledger_that_is_whole_says_what_it_proves),
                cmocka_unit_test(what_is_not_covered_yet_is_told_apart),
                cmocka_unit_test(another_statement_of_the_same_folder_is_a_replaced_one),
                cmocka_unit_test(a_folder_of_an_order_that_never_was_is_told_apart),
                cmocka_unit_test(another_hosts_ledger_is_not_this_ones),
                cmocka_unit_test(every_changed_byte_is_seen),
                cmocka_unit_test(records_that_are_missing_moved_or_doubled_are_seen),
                cmocka_unit_test(a_ledger_cut_off_anywhere_is_seen),
                cmocka_unit_test(a_record_that_is_being_written_is_no_fault_of_those_before),
                cmocka_unit_test(files_that_are_missing_between_others_are_seen),
                cmocka_unit_test(a_store_that_was_rolled_back_whole_is_seen_by_the_witness_alone),
                cmocka_unit_test(whoever_has_the_hosts_key_cannot_write_an_epoch_anew),
                cmocka_unit_test(an_epoch_that_the_one_before_did_not_sign_is_seen),
                cmocka_unit_test(a_checkpoint_or_cosignature_of_another_is_refused),
                cmocka_unit_test(what_is_no_file_is_neither_waited_for_nor_followed),
                cmocka_unit_test(a_proof_shows_the_same_without_the_ledger),
                cmocka_unit_test(there_is_no_proof_of_what_no_head_covers),
        };

        if (sodium_init() < 0)
                return 1;
        (void) crypto_sign_seed_keypair(witness.pub, witness_secret, seed);
        log_open();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
