/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/bagdir.c ctl/chain.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c agent/core/preserved.c */
/* LINK: agent/core/head.c agent/core/epochkey.c agent/core/hostkey.c agent/core/ledger.c agent/core/segment.c */
/* LINK: agent/core/record.c agent/core/fold.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c agent/core/paths.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c agent/util/log.c */

/* What a ledger tells of the folders of evidence. */

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

/* A snapshot of that folder was sealed; NULL: without a statement. */
static void record_folder(struct rig *r, const char *folder, const uint8_t *digest) {
        const struct command_id id = { { 1 } };
        struct preserved p = { .folder = folder, .objects = 7, .holes = 3, .sealed = 4711, .has_statement = digest };

        if (digest)
                memcpy(p.statement_sha256, digest, sizeof(p.statement_sha256));
        assert_int_equal(record_evidence(&r->a, &id, &p, 0), 0);
}

static void the_ledger_tells_of_every_folder_that_was_sealed(void **state) {
        static const uint8_t other[32] = { 0x58 };
        const struct command_id id = { { 1 } };
        const struct chain_folder *f;
        _cleanup_(chain_done) struct chain c = { .n = 0 };
        _cleanup_rig_ struct rig r;
        struct why w = { "" };

        (void) state;
        rig_make(&r);
        record_folder(&r, "/var/lib/freezed/evidence/SA-1/folder-1", statement);
        record_folder(&r, "/var/lib/freezed/evidence/SA-1/folder-2", NULL);
        record_folder(&r, NULL, NULL);
        record_folder(&r, "/var/lib/freezed/evidence/SA-2/folder-1", statement);
        record_folder(&r, "/var/lib/freezed/evidence/SA-1/folder-1", other);
        assert_int_equal(record_deleted(&r.a, &id, json_pack("{s:s, s:s}", "SA-2/folder-1", "00", "SA-9/x", "00")), 0);
        assert_int_equal(chain_read(r.ledger, r.ledger, hostkey_public(r.a.key), NULL, 0, NULL, &c, &w), 0);
        assert_int_equal(c.n_folders, 3);
        f = chain_find_folder(&c, "SA-1/folder-1");
        assert_non_null(f);
        assert_memory_equal(f->statement, "5800", 4);
        assert_false(f->deleted);
        assert_int_equal(f->objects, 7);
        assert_int_equal(f->holes, 3);
        assert_int_equal(f->sealed, 4711);
        assert_true(f->sealed_ms > 0);
        assert_string_equal(chain_find_folder(&c, "SA-1/folder-2")->statement, "");
        assert_true(chain_find_folder(&c, "SA-2/folder-1")->deleted);
        assert_null(chain_find_folder(&c, "SA-9/x"));
}

/* The disk was full when the one was written, or the host died before the other was. */
static void either_record_of_a_folder_is_enough(void **state) {
        static const uint8_t other[32] = { 0x58 };
        const struct chain_want first = { .folder = "folder-1", .statement_sha256 = { 0x57 } };
        _cleanup_(chain_done) struct chain c = { .n = 0 }, of_one = { .n = 0 };
        const struct chain_folder *f;
        _cleanup_rig_ struct rig r;
        struct why w = { "" };

        (void) state;
        rig_make(&r);
        record_folder(&r, "/var/lib/freezed/evidence/SA-1/folder-1", statement);
        rig_seal(&r, other, "/var/lib/freezed/evidence/SA-1/folder-2");
        record_folder(&r, "/var/lib/freezed/evidence/SA-1/folder-3", NULL);
        head_write(&r.a);
        assert_int_equal(chain_read(r.ledger, r.ledger, hostkey_public(r.a.key), NULL, 0, &first, &of_one, &w), 0);
        assert_int_equal(of_one.findings, 0);
        assert_int_equal(of_one.found, 2);
        assert_int_equal(chain_read(r.ledger, r.ledger, hostkey_public(r.a.key), NULL, 0, NULL, &c, &w), 0);
        assert_int_equal(c.n_folders, 3);
        f = chain_find_folder(&c, "SA-1/folder-2");
        assert_non_null(f);
        assert_memory_equal(f->statement, "5800", 4);
        assert_true(f->sealed_ms > 0);
        /* that nothing was signed there is no other statement */
        const struct chain_want want = { .folder = "folder-3", .statement_sha256 = { 0x59 } };

        chain_done(&of_one);
        assert_int_equal(chain_read(r.ledger, r.ledger, hostkey_public(r.a.key), NULL, 0, &want, &of_one, &w), 0);
        assert_int_equal(of_one.findings, BIT(NOT_RECORDED));
}

/* Both are there as a rule: what the receipt leaves out is not lost by that. */
static void a_receipt_takes_nothing_from_the_record_before_it(void **state) {
        _cleanup_(chain_done) struct chain c = { .n = 0 };
        const struct chain_folder *f;
        const struct command_id id = { { 1 } };
        _cleanup_rig_ struct rig r;
        struct why w = { "" };

        (void) state;
        rig_make(&r);
        record_folder(&r, "/var/lib/freezed/evidence/SA-1/folder-1", statement);
        assert_int_equal(record_deleted(&r.a, &id, json_pack("{s:s}", "SA-1/folder-1", "00")), 0);
        rig_seal(&r, statement, "/var/lib/freezed/evidence/SA-1/folder-1");
        assert_int_equal(chain_read(r.ledger, r.ledger, hostkey_public(r.a.key), NULL, 0, NULL, &c, &w), 0);
        assert_int_equal(c.n_folders, 1);
        f = chain_find_folder(&c, "SA-1/folder-1");
        assert_non_null(f);
        assert_int_equal(f->objects, 7);
        assert_true(f->deleted);
}

static void a_tombstone_is_what_the_ledger_says_was_deleted(void **state) {
        static const char one[] = "SA-1/01000000000000000000000000000000",
                          two[] = "SA-1/02000000000000000000000000000000.2",
                          three[] = "SA-1/03000000000000000000000000000000",
                          four[] = "SA-1/04000000000000000000000000000000";
        static const uint8_t other[32] = { 0x58 };
        const struct command_id id = { { 1 } }, expired = { { 2 } };
        const struct shelf_item item = { .id = expired };
        _cleanup_(chain_done) struct chain c = { .n = 0 };
        _cleanup_rig_ struct rig r;
        struct why w = { "" };
        _cleanup_free_ char *envelope = NULL;
        char hex[65];
        uint64_t n;

        (void) state;
        rig_make(&r);
        (void) sodium_bin2hex(hex, sizeof(hex), statement, 32);
        assert_int_equal(record_deleted(&r.a, &id, json_pack("{s:s}", one, hex)), 0);
        assert_int_equal(shelf_put(&r.a.shelf, &item), 0);
        assert_int_equal(record_expiry(&r.a, &expired), 0);
        assert_int_equal(hostkey_envelope(r.a.key, DSSE_RECEIPT,
                                          "{\"targets\":[\"hold:04000000000000000000000000000000\"]}", &envelope),
                         0);
        assert_int_equal(
                ledger_append(r.a.ledger,
                              json_pack("{ss ss ss}", "kind", "order", "verb", "evidence-delete", "envelope", envelope),
                              &n),
                0);
        assert_int_equal(chain_read(r.ledger, r.ledger, hostkey_public(r.a.key), NULL, 0, NULL, &c, &w), 0);
        assert_int_equal(chain_look_at_tombstone(&c, one, statement), 0);
        assert_int_equal(chain_look_at_tombstone(&c, one, other), BIT(NOT_DELETED));
        assert_int_equal(chain_look_at_tombstone(&c, two, statement), BIT(DELETING));
        assert_int_equal(chain_look_at_tombstone(&c, three, statement), BIT(NOT_DELETED));
        assert_int_equal(chain_look_at_tombstone(&c, four, statement), BIT(DELETING));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_ledger_tells_of_every_folder_that_was_sealed),
                cmocka_unit_test(either_record_of_a_folder_is_enough),
                cmocka_unit_test(a_receipt_takes_nothing_from_the_record_before_it),
                cmocka_unit_test(a_tombstone_is_what_the_ledger_says_was_deleted),
        };

        if (sodium_init() < 0)
                return 1;
        log_open();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
