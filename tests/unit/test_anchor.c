/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/anchor.c ctl/bagdir.c ctl/chain.c ctl/file.c ctl/member.c ctl/render.c ctl/text.c ctl/trustfile.c ctl/why.c */
/* LINK: agent/core/head.c agent/core/epochkey.c agent/core/hostkey.c agent/core/ledger.c agent/core/segment.c */
/* LINK: agent/core/record.c agent/core/fold.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c agent/core/paths.c agent/core/report_json.c agent/core/preserved.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c agent/util/log.c */

/* A host's evidence held against its ledger, all at once. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "agent/util/log.h"
#include "ctl/anchor.h"
#include "lib/ledger_rig.h"

#define BIT(f) (1U << CHAIN_##f)

static const uint8_t statement[32] = { 0x57 }, other[32] = { 0x58 }, none[32] = { 0 };

/* Sealed in SA-1/one with the statement, and in SA-1/two without any. */
static void story(struct rig *r) {
        const struct command_id id = { { 1 } };
        struct preserved p = { .folder = "/var/lib/freezed/evidence/SA-1/one", .has_statement = true };

        rig_make(r);
        memcpy(p.statement_sha256, statement, sizeof(p.statement_sha256));
        assert_int_equal(record_evidence(&r->a, &id, &p, 0), 0);
        p.folder = "/var/lib/freezed/evidence/SA-1/two";
        p.has_statement = false;
        assert_int_equal(record_evidence(&r->a, &id, &p, 0), 0);
        head_write(&r->a);
}

static uint32_t read_all(const struct rig *r, struct anchor *ret) {
        const struct options o = OPTIONS_NULL;
        struct why w = { "" };

        anchor_read(&o, r->s.path, ret, &w);
        return ret->chain.findings;
}

/* What is said of a folder whose statement is that one, by a key; by: NULL for nobody's. */
static uint32_t look(const struct anchor *a, const char *folder, const uint8_t digest[static 32],
                     const struct sshkey *by) {
        struct bag b = BAG_NULL;
        uint32_t said;

        memcpy(b.statement_sha256, digest, sizeof(b.statement_sha256));
        if (by) {
                memcpy(b.pub, by->pub, sizeof(b.pub));
                b.predicate = json_object();
        }
        said = anchor_look(a, folder, &b);
        json_decref(b.predicate);
        return said;
}

static void each_folder_is_held_against_what_was_recorded_of_it(void **state) {
        const uint8_t pub[32] = { 3 };
        _cleanup_(anchor_done) struct anchor a = ANCHOR_NULL;
        _cleanup_rig_ struct rig r;
        struct sshkey stranger;

        (void) state;
        story(&r);
        sshkey_from_raw(pub, &stranger);
        const struct sshkey *host = hostkey_public(r.a.key);

        assert_int_equal(read_all(&r, &a), 0);
        assert_int_equal(look(&a, "SA-1/one", statement, host), 0);
        assert_int_equal(look(&a, "SA-1/one", other, host), BIT(REPLACED));
        assert_int_equal(look(&a, "SA-1/one", none, NULL), BIT(STATEMENT_GONE));
        assert_int_equal(look(&a, "SA-1/one", statement, &stranger), BIT(FOREIGN));
        assert_int_equal(look(&a, "SA-1/two", statement, host), BIT(NOT_RECORDED));
        assert_int_equal(look(&a, "SA-1/three", statement, host), BIT(NOT_RECORDED));
        /* it may be being taken */
        assert_int_equal(look(&a, "SA-1/two", none, NULL), 0);
        assert_int_equal(look(&a, "SA-1/three", none, NULL), 0);
}

/* Who has the host's key can lay one into any folder, and delete what is in it. */
static void a_tombstone_that_no_record_tells_of_is_one_that_somebody_laid_there(void **state) {
        _cleanup_(anchor_done) struct anchor before = ANCHOR_NULL, after = ANCHOR_NULL;
        const struct command_id id = { { 1 } };
        _cleanup_rig_ struct rig r;
        struct bag b = BAG_NULL;
        char hex[65];

        (void) state;
        story(&r);
        memcpy(b.pub, hostkey_public(r.a.key)->pub, sizeof(b.pub));
        memcpy(b.statement_sha256, statement, sizeof(statement));
        memcpy(b.tombstone_sha256, other, sizeof(other));
        b.predicate = json_object();
        b.tombstone = json_object();
        assert_int_equal(read_all(&r, &before), 0);
        assert_int_equal(anchor_look(&before, "SA-1/one", &b), BIT(NOT_DELETED));
        assert_int_equal(record_deleted(&r.a, &id, json_pack("{s:s}", "SA-1/one", sodium_bin2hex(hex, 65, other, 32))),
                         0);
        head_write(&r.a);
        assert_int_equal(read_all(&r, &after), 0);
        assert_int_equal(anchor_look(&after, "SA-1/one", &b), 0);
        json_decref(b.predicate);
        json_decref(b.tombstone);
}

static void a_ledger_that_was_cut_back_is_no_proof_that_nothing_is_gone(void **state) {
        _cleanup_(anchor_done) struct anchor a = ANCHOR_NULL;
        _cleanup_rig_ struct rig r;

        (void) state;
        story(&r);
        assert_true(shell(&r, "n=$(grep -abo SA-1/two ledger/00000001.log | cut -d: -f1) && dd if=/dev/zero "
                              "of=ledger/00000001.log bs=1 seek=$((n - 200)) count=2000 conv=notrunc 2>/dev/null"));
        assert_true(read_all(&r, &a) & BIT(ROLLED_BACK));
        assert_int_equal(a.worst, BAG_SEVERITY_BAD);
}

static void a_ledger_that_cannot_be_read_is_a_finding_and_keeps_nothing_closed(void **state) {
        static const char *const spoilt[] = { "ln -sf elsewhere ledger/00000001.log",
                                              "rm ledger/00000001.log && mkdir ledger/00000001.log",
                                              "rmdir ledger/00000001.log && mkfifo ledger/00000001.log" };
        const struct options o = OPTIONS_NULL;
        _cleanup_rig_ struct rig r;

        (void) state;
        story(&r);
        assert_true(shell(&r, "mkdir -p evidence/SA-1/one"));
        for (size_t i = 0; i < ELEMENTSOF(spoilt); i++) {
                _cleanup_(anchor_done) struct anchor a = ANCHOR_NULL, of_one = ANCHOR_NULL;
                struct bag b = BAG_NULL;
                struct why w = { "" };
                char folder[128];

                assert_true(shell(&r, spoilt[i]));
                assert_int_equal(read_all(&r, &a), BIT(UNREADABLE));
                assert_int_equal(a.worst, BAG_SEVERITY_BAD);
                assert_int_equal(look(&a, "SA-1/one", statement, hostkey_public(r.a.key)), 0);
                (void) snprintf(folder, sizeof(folder), "%s/evidence/SA-1/one", r.s.path);
                b.predicate = json_object();
                memcpy(b.pub, hostkey_public(r.a.key)->pub, sizeof(b.pub));
                (void) snprintf(b.name, sizeof(b.name), "web");
                anchor_check(&o, folder, &b, &of_one, &w);
                assert_int_equal(of_one.chain.findings, BIT(UNREADABLE));
                assert_true(b.contradicted);
                assert_non_null(strstr(w.text, "00000001.log"));
                json_decref(b.predicate);
        }
}

static void without_a_ledger_nothing_is_said_but_that(void **state) {
        static const struct {
                const char *command;
                uint32_t found;
        } gone[] = {
                { "mv ledger away", BIT(LEDGER_GONE) },
                { "mv away ledger && mv host_key.pub pub", BIT(NO_KEY) },
                { "echo none >host_key.pub", BIT(NO_KEY) },
                { "rm host_key.pub && mv ledger away", BIT(LEDGER_GONE) },
                { "mv host_key key && mkdir evidence", BIT(LEDGER_GONE) },
                { "rmdir evidence && mkdir \"$PWD-witness\" && : >\"$PWD-witness/cosigned.1\"", BIT(LEDGER_GONE) },
                /* a host that never was one */
                { "rm \"$PWD-witness/cosigned.1\"", BIT(NO_LEDGER) },
                { "rmdir \"$PWD-witness\"", BIT(NO_LEDGER) },
        };
        _cleanup_rig_ struct rig r;

        (void) state;
        story(&r);
        for (size_t i = 0; i < ELEMENTSOF(gone); i++) {
                _cleanup_(anchor_done) struct anchor a = ANCHOR_NULL;

                assert_true(shell(&r, gone[i].command));
                assert_int_equal(read_all(&r, &a), gone[i].found);
                assert_true((a.worst == BAG_SEVERITY_BAD) == (gone[i].found != BIT(NO_LEDGER)));
                assert_int_equal(look(&a, "SA-1/one", other, hostkey_public(r.a.key)), 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_folder_is_held_against_what_was_recorded_of_it),
                cmocka_unit_test(a_tombstone_that_no_record_tells_of_is_one_that_somebody_laid_there),
                cmocka_unit_test(a_ledger_that_was_cut_back_is_no_proof_that_nothing_is_gone),
                cmocka_unit_test(a_ledger_that_cannot_be_read_is_a_finding_and_keeps_nothing_closed),
                cmocka_unit_test(without_a_ledger_nothing_is_said_but_that),
        };

        if (sodium_init() < 0)
                return 1;
        log_open();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
