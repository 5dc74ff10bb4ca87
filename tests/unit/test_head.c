/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: ledger_root_at */
/* WRAP: log_event */
/* LINK: agent/core/preserved.c */
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
#include "lib/ledger_rig.h"

/* What reading the records again fails with; 0: nothing. */
static int unreadable;
static char logged[512];

int __real_ledger_root_at(struct ledger *l, uint64_t n, uint8_t ret[static 32]);
int __wrap_ledger_root_at(struct ledger *l, uint64_t n, uint8_t ret[static 32]);
void __wrap_log_event(int priority, const char *message_id, const struct log_fields *fields, const char *fmt, ...);

int __wrap_ledger_root_at(struct ledger *l, uint64_t n, uint8_t ret[static 32]) {
        return unreadable < 0 ? unreadable : __real_ledger_root_at(l, n, ret);
}

void __wrap_log_event(int priority, const char *message_id, const struct log_fields *fields, const char *fmt, ...) {
        va_list args;

        (void) priority;
        (void) message_id;
        (void) fields;
        va_start(args, fmt);
        (void) vsnprintf(logged, sizeof(logged), fmt, args);
        va_end(args);
}

/* The checkpoint that is there; -1 when there is none that the host signed. */
static int64_t signed_n(const struct rig *r, bool *ret_by_epoch) {
        struct note_key k = { .type = NOTE_ED25519 };
        struct checkpoint c;
        uint8_t root[32];
        struct note n;

        if (access(scratch_path(&r->s, "ledger/checkpoint"), F_OK) < 0)
                return -1;
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&r->s, "ledger/checkpoint"));
        assert_int_equal(note_parse((char *) b.data, b.n, &n), 0);
        assert_int_equal(checkpoint_parse(n.text, n.n_text, &c), 0);
        note_origin(hostkey_public(r->a.key)->id, k.name);
        assert_string_equal(c.origin, k.name);
        memcpy(k.pub, hostkey_public(r->a.key)->pub, 32);
        assert_int_equal(note_check(&n, &k, NULL), NOTE_SIGNED);
        assert_int_equal(ledger_root_at(r->a.ledger, c.n, root), 0);
        assert_memory_equal(root, c.root, 32);
        strcat(k.name, "/epoch");
        memcpy(k.pub, epochkey_epoch(r->a.epoch)->pub, 32);
        *ret_by_epoch = note_check(&n, &k, NULL) == NOTE_SIGNED;
        return (int64_t) c.n;
}

static struct epoch epoch_of(struct rig *r, uint64_t n) {
        _cleanup_json_ json_t *body = NULL;
        struct epoch e;

        assert_int_equal(ledger_read(r->a.ledger, n, &body), 0);
        assert_string_equal(json_string_value(json_object_get(body, "kind")), "epoch");
        assert_int_equal(epoch_from_json(body, &e), 0);
        return e;
}

static void a_ledger_begins_with_an_epoch_by_the_host_and_goes_on_by_itself(void **state) {
        _cleanup_rig_ struct rig r;
        char origin[NOTE_ORIGIN_SIZE];
        struct epoch first, second;
        uint8_t root[32];

        (void) state;
        rig_make(&r);
        happen(&r, 3);
        head_turn(&r.a, EPOCH_EVIDENCE);
        first = epoch_of(&r, 1);
        second = epoch_of(&r, 5);
        note_origin(hostkey_public(r.a.key)->id, origin);
        assert_int_equal(first.why, EPOCH_FIRST);
        assert_int_equal(second.why, EPOCH_EVIDENCE);
        assert_true(epoch_is_signed(&first, origin, hostkey_public(r.a.key)->pub));
        assert_true(epoch_is_signed(&second, origin, first.pub));
        assert_int_equal(second.size, 4);
        assert_int_equal(ledger_root_at(r.a.ledger, 4, root), 0);
        assert_memory_equal(second.root, root, 32);
}

static void the_checkpoint_follows_the_records_and_is_signed_by_both_keys(void **state) {
        _cleanup_rig_ struct rig r;
        bool by_epoch = false;

        (void) state;
        rig_make(&r);
        assert_int_equal(signed_n(&r, &by_epoch), -1);
        assert_true(head_is_due(&r.a));
        for (int64_t i = 0; i < 5; i++) {
                happen(&r, 3);
                if (i == 3)
                        head_turn(&r.a, EPOCH_HOUR);
                head_write(&r.a);
                assert_false(head_is_due(&r.a));
                assert_int_equal(signed_n(&r, &by_epoch), 1 + 3 * (i + 1) + (i >= 3));
                assert_true(by_epoch);
        }
}

static void a_restart_goes_on_in_the_same_epoch(void **state) {
        _cleanup_rig_ struct rig r;
        uint64_t n;

        (void) state;
        rig_make(&r);
        happen(&r, 2);
        head_write(&r.a);
        n = ledger_head(r.a.ledger).n;
        rig_stop(&r);
        rig_start(&r);
        assert_int_equal(r.checked, 0);
        assert_int_equal(ledger_head(r.a.ledger).n, n);
        assert_int_equal(epochkey_epoch(r.a.epoch)->number, 1);
        assert_true(epochkey_is_there(r.a.epoch));
        assert_false(head_is_due(&r.a));
}

/* Its key is gone with the failure: a start that found its record would have lost it. */
static void an_epoch_that_could_not_be_recorded_has_not_begun(void **state) {
        _cleanup_rig_ struct rig r;

        (void) state;
        rig_make(&r);
        happen(&r, 2);
        assert_int_equal(setenv("FREEZED_FAULT", "fail:3", 1), 0);
        head_turn(&r.a, EPOCH_HOUR);
        assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
        assert_false(agent_ledger_ok(&r.a));
        rig_stop(&r);
        rig_start(&r);
        assert_true(agent_ledger_ok(&r.a));
        assert_int_equal(ledger_head(r.a.ledger).n, 3);
        assert_int_equal(epochkey_epoch(r.a.epoch)->number, 1);
        assert_true(epochkey_is_there(r.a.epoch));
}

static void records_after_the_checkpoint_are_no_fault(void **state) {
        _cleanup_rig_ struct rig r;

        (void) state;
        rig_make(&r);
        happen(&r, 2);
        head_write(&r.a);
        happen(&r, 70);
        rig_stop(&r);
        rig_start(&r);
        assert_int_equal(r.checked, 0);
        assert_true(agent_ledger_ok(&r.a));
        assert_true(head_is_due(&r.a));
}

/* What no hash in the ledger itself can show: the end of it cut off whole, at a time when it was as good. */
static void a_ledger_that_was_rolled_back_is_distrusted(void **state) {
        _cleanup_rig_ struct rig r;
        uint64_t n;

        (void) state;
        rig_make(&r);
        happen(&r, 5);
        assert_true(shell(&r, "cp -a ledger old"));
        happen(&r, 1);
        head_write(&r.a);
        rig_stop(&r);
        assert_true(shell(&r, "cp old/*.log ledger/"));
        rig_start(&r);
        assert_int_equal(r.checked, -EBADMSG);
        assert_false(agent_ledger_ok(&r.a));
        n = ledger_head(r.a.ledger).n;
        assert_int_equal(n, 6);
        assert_int_equal(record_start(&r.a), -EBADMSG);
        head_turn(&r.a, EPOCH_HOUR);
        head_write(&r.a);
        assert_int_equal(ledger_head(r.a.ledger).n, n);
}

/* As many records, each linked to the one before, and not those that were signed. */
static void a_ledger_that_was_written_anew_is_distrusted(void **state) {
        _cleanup_rig_ struct rig r;

        (void) state;
        rig_make(&r);
        happen(&r, 5);
        assert_true(shell(&r, "mkdir old && cp -a ledger/*.log old/"));
        happen(&r, 5);
        head_write(&r.a);
        rig_stop(&r);
        assert_true(shell(&r, "mv ledger/checkpoint . && cp old/*.log ledger/"));
        rig_start(&r);
        assert_int_equal(r.checked, 0);
        happen(&r, 40);
        rig_stop(&r);
        assert_true(shell(&r, "cp checkpoint ledger/"));
        rig_start(&r);
        assert_int_equal(r.checked, -EBADMSG);
        assert_false(agent_ledger_ok(&r.a));
}

static void a_checkpoint_that_this_host_did_not_sign_says_nothing(void **state) {
        static const struct {
                const char *command, *said;
        } rows[] = {
                { "sed -i s/^6$/9/ ledger/checkpoint", "none that this host signed" },
                { ": >ledger/checkpoint", "it is empty" },
                { "head -c 40 ledger/checkpoint >x && mv x ledger/checkpoint", "none that this host signed" },
                { "rm ledger/checkpoint", NULL },
                { "rm ledger/checkpoint && mkdir ledger/checkpoint", "Is a directory" },
                { "rm ledger/checkpoint && mkfifo ledger/checkpoint.fifo && ln -s checkpoint.fifo ledger/checkpoint.x",
                  NULL },
                { "rm host_key* && head -c 32 /dev/urandom >host_key && chmod 600 host_key",
                  "none that this host signed" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_rig_ struct rig r;

                rig_make(&r);
                happen(&r, 5);
                head_write(&r.a);
                rig_stop(&r);
                assert_true(shell(&r, rows[i].command));
                logged[0] = '\0';
                rig_start(&r);
                assert_int_equal(r.checked, 0);
                assert_true(agent_ledger_ok(&r.a));
                assert_true(head_is_due(&r.a));
                assert_int_equal(logged[0] != '\0', rows[i].said != NULL);
                assert_true(!rows[i].said || strstr(logged, rows[i].said));
        }
}

/* Nobody is told that the ledger was changed when memory or a disk is what failed. */
static void a_ledger_that_cannot_be_read_again_is_not_called_changed(void **state) {
        static const int errors[] = { -EIO, -ENOMEM };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                _cleanup_rig_ struct rig r;

                rig_make(&r);
                happen(&r, 5);
                head_write(&r.a);
                rig_stop(&r);
                unreadable = errors[i];
                rig_start(&r);
                unreadable = 0;
                assert_int_equal(r.checked, errors[i]);
                assert_false(agent_ledger_ok(&r.a));
                assert_null(strstr(logged, "was changed"));
                assert_non_null(strstr(logged, strerror(-errors[i])));
        }
}

static void a_disk_that_takes_no_checkpoint_is_left_alone_until_the_next_record(void **state) {
        _cleanup_rig_ struct rig r;
        bool by_epoch;

        (void) state;
        rig_make(&r);
        happen(&r, 2);
        assert_true(shell(&r, "mv ledger away"));
        head_write(&r.a);
        assert_false(head_is_due(&r.a));
        assert_true(shell(&r, "mv away ledger"));
        assert_int_equal(signed_n(&r, &by_epoch), -1);
        happen(&r, 1);
        assert_true(head_is_due(&r.a));
        head_write(&r.a);
        assert_int_equal(signed_n(&r, &by_epoch), 4);
}

/* An hour is not waited for: the clock's source is told that it is over. */
static void each_hour_an_epoch_begins(void **state) {
        _cleanup_rig_ struct rig r;

        (void) state;
        rig_make(&r);
        for (uint64_t i = 0; i < 3; i++) {
                assert_true(sd_event_source_set_time_relative(r.a.heartbeat, 0) >= 0);
                assert_true(sd_event_source_set_time_accuracy(r.a.heartbeat, 1) >= 0);
                assert_int_equal(sd_event_run(r.a.event, UINT64_MAX), 1);
                assert_int_equal(epoch_of(&r, i + 2).why, EPOCH_HOUR);
        }
        assert_int_equal(sd_event_run(r.a.event, 0), 0);
        assert_int_equal(epochkey_epoch(r.a.epoch)->number, 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_ledger_begins_with_an_epoch_by_the_host_and_goes_on_by_itself),
                cmocka_unit_test(the_checkpoint_follows_the_records_and_is_signed_by_both_keys),
                cmocka_unit_test(a_restart_goes_on_in_the_same_epoch),
                cmocka_unit_test(an_epoch_that_could_not_be_recorded_has_not_begun),
                cmocka_unit_test(records_after_the_checkpoint_are_no_fault),
                cmocka_unit_test(a_ledger_that_was_rolled_back_is_distrusted),
                cmocka_unit_test(a_ledger_that_was_written_anew_is_distrusted),
                cmocka_unit_test(a_checkpoint_that_this_host_did_not_sign_says_nothing),
                cmocka_unit_test(a_ledger_that_cannot_be_read_again_is_not_called_changed),
                cmocka_unit_test(a_disk_that_takes_no_checkpoint_is_left_alone_until_the_next_record),
                cmocka_unit_test(each_hour_an_epoch_begins),
        };

        log_open();
        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
