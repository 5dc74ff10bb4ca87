/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: fdatasync */
/* LINK: agent/core/rooted.c agent/core/preserved.c */
/* LINK: agent/core/head.c agent/core/epochkey.c agent/core/hostkey.c agent/core/ledger.c agent/core/segment.c */
/* LINK: agent/core/record.c agent/core/fold.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c agent/core/paths.c agent/core/heard.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/fault.c agent/util/log.c agent/util/clock.c */

/* Which trust root is in force: what root put there, what came as an order after it, and after a crash between. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "agent/core/certified.h"
#include "agent/core/hearing.h"
#include "agent/core/receipt.h"
#include "agent/core/refusal.h"
#include "agent/core/rooted.h"
#include "lib/ledger_rig.h"
#include "lib/people.h"

static bool disk_fails;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd) {
        errno = EIO;
        return disk_fails ? -1 : __real_fdatasync(fd);
}

/* What was answered last: "trusted", or why not; and how often the gate was told of keys. */
static char told[64];
static bool told_digest;
static reason_set told_flags;
static unsigned keys_sent;

json_t *receipt_plain(struct agent *a, const struct command_id *id, const uint8_t *digest, const char *verb,
                      const char *state, reason_set reasons) {
        (void) a;
        assert_null(id);
        assert_non_null(digest);
        assert_null(verb);
        told_flags = reasons;
        (void) snprintf(told, sizeof(told), "%s", state);
        return json_object();
}

int receipt_seal(struct agent *a, json_t *receipt, bool final, char **ret) {
        (void) a;
        assert_true(final);
        assert_int_equal(strlen(json_string_value(json_object_get(receipt, "id"))), 32);
        *ret = strdup("");
        return 0;
}

int refusal_of(struct agent *a, const char *label, const uint8_t *digest, const struct decision *d,
               const struct answer *to) {
        (void) a;
        (void) to;
        assert_int_equal(strlen(label), 32);
        told_digest = digest;
        (void) snprintf(told, sizeof(told), "%s", reason_id(d->reason));
        return 0;
}

void link_answer(const struct answer *to, const char *envelope, bool more) {
        (void) to;
        (void) envelope;
        assert_false(more);
}

void link_send_keys(struct link *l) {
        (void) l;
        keys_sent++;
}

void certified_load(struct agent *a) {
        (void) a;
}

void hearing_begin(struct agent *a) {
        (void) a;
}

#define DAY (24LL * 3600 * 1000)
/* between two looks at a clock */
#define SLACK_MS 30000

static struct rig r;
static char file[160];

/* Version n: carol is of root from version 4 on, and it takes three then. */
static struct trust version(int64_t n) {
        struct trust t;

        people_trust(1000, &t);
        t.version = n;
        if (n >= 4) {
                t.roles[ROLE_ROOT].people |= PERSON(CAROL);
                t.root_k = 3;
        }
        return t;
}

static struct dsse sign_root(const struct trust *t, unsigned by) {
        _cleanup_free_ char *json = NULL;

        assert_int_equal(trust_to_json(t, &json), 0);
        struct dsse d = people_sign(DSSE_TRUST, DSSE_TRUST, json, strlen(json), by);
        d.payload = realloc(d.payload, d.n_payload + 1);
        d.payload[d.n_payload] = '\0';
        return d;
}

static void put_file(const struct trust *t, unsigned by) {
        _cleanup_(dsse_done) struct dsse d = sign_root(t, by);
        _cleanup_free_ char *text = NULL;
        FILE *f = fopen(file, "w");

        assert_non_null(f);
        assert_int_equal(dsse_to_json(&d, &text), 0);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static const char *take_root(const struct trust *t, unsigned by) {
        _cleanup_(dsse_done) struct dsse d = sign_root(t, by);
        const struct answer to = { 0 };

        told[0] = '\0';
        assert_int_equal(rooted_take(&r.a, &d, &to), 0);
        return told;
}

static const char *take(int64_t n, unsigned by) {
        const struct trust t = version(n);

        return take_root(&t, by);
}

/* As after a crash: nothing but what is on the disk. */
static void start_again(void) {
        free(TAKE_PTR(r.a.trust));
        rig_stop(&r);
        rig_start(&r);
        r.a.config.trust = file;
        rooted_load(&r.a);
}

static size_t recorded(void) {
        size_t n = 0;

        for (uint64_t i = 1; i <= ledger_head(r.a.ledger).n; i++) {
                _cleanup_json_ json_t *body = NULL;

                assert_int_equal(ledger_read(r.a.ledger, i, &body), 0);
                n += strcmp(json_string_value(json_object_get(body, "kind")), "trust") == 0;
        }
        return n;
}

static int set_up(void **state) {
        const struct trust t = version(3);

        (void) state;
        rig_make(&r);
        (void) snprintf(file, sizeof(file), "%s/etc-trust.json", r.s.path);
        r.a.config.trust = file;
        put_file(&t, BY(ALICE) | BY(BOB));
        rooted_load(&r.a);
        keys_sent = 0;
        return r.a.trust && r.a.trust->version == 3 ? 0 : -1;
}

static int tear_down(void **state) {
        (void) state;
        (void) unsetenv("FREEZED_FAULT");
        free(TAKE_PTR(r.a.trust));
        rig_done(&r);
        return 0;
}

#define ALL (BY(ALICE) | BY(BOB) | BY(CAROL))

static void the_next_version_is_recorded_kept_and_in_force(void **state) {
        (void) state;
        assert_string_equal(take(4, ALL), "trusted");
        assert_int_equal(r.a.trust->version, 4);
        assert_int_equal(recorded(), 1);
        assert_int_equal(keys_sent, 1);
        start_again();
        assert_int_equal(r.a.trust->version, 4);
        assert_string_equal(take(4, ALL), "trusted");
        assert_int_equal(recorded(), 1);
        assert_string_equal(take(5, ALL), "trusted");
        start_again();
        assert_int_equal(r.a.trust->version, 5);
}

static void each_threshold_is_needed(void **state) {
        (void) state;
        /* of the one in force, two of alice and bob; of the next, three */
        assert_string_equal(take(4, BY(ALICE) | BY(BOB)), "trust-chain");
        assert_true(told_digest);
        assert_string_equal(take(4, BY(ALICE) | BY(CAROL)), "trust-chain");
        assert_string_equal(take(4, BY(CAROL) | BY(STRANGER)), "trust-chain");
        assert_string_equal(take(4, BY(STRANGER)), "trust-chain");
        /* nobody known signed that, so it is not said of those bytes */
        assert_false(told_digest);
        assert_int_equal(r.a.trust->version, 3);
        assert_int_equal(recorded() + keys_sent, 0);
        assert_string_equal(take(4, ALL), "trusted");
}

static void no_version_is_left_out_and_none_comes_back(void **state) {
        (void) state;
        assert_string_equal(take(5, ALL), "trust-chain");
        assert_string_equal(take(4, ALL), "trusted");
        assert_string_equal(take(3, ALL), "trust-chain");
        struct trust other = version(4);
        other.iat_ms++;
        assert_string_equal(take_root(&other, ALL), "trust-chain");
        assert_int_equal(r.a.trust->version, 4);
        start_again();
        assert_string_equal(take(3, ALL), "trust-chain");
        assert_int_equal(r.a.trust->version, 4);
}

static void another_fleets_is_none(void **state) {
        struct trust t = version(4);

        (void) state;
        strcpy(t.fleet, "test");
        assert_string_equal(take_root(&t, ALL), "trust-chain");
        assert_string_equal(r.a.trust->fleet, "prod");
}

static void an_expired_one_is_followed(void **state) {
        struct trust t = version(4);

        (void) state;
        t.expires_ms = t.iat_ms + 1;
        assert_string_equal(take_root(&t, ALL), "trusted");
        assert_string_equal(take(5, ALL), "trusted");
}

static void check_close(int64_t a, int64_t b) {
        assert_true(a - b <= SLACK_MS && b - a <= SLACK_MS);
}

static void a_root_dates_the_host_and_none_puts_it_in_the_future(void **state) {
        struct trust t = version(4);

        (void) state;
        check_close(floor_now(&r.a.floor), 1000);
        t.iat_ms = clock_wall_ms() - DAY;
        t.expires_ms = t.iat_ms + 100 * DAY;
        assert_string_equal(take_root(&t, ALL), "trusted");
        assert_int_equal(told_flags, 0);
        check_close(floor_now(&r.a.floor), t.iat_ms);
        t.version++;
        t.iat_ms = clock_wall_ms() + DAY;
        assert_string_equal(take_root(&t, ALL), "trusted");
        assert_true(!!(told_flags & reason_bit(REASON_CLOCK_SKEW)));
        check_close(floor_now(&r.a.floor), clock_wall_ms());
        rooted_date(&r.a);
        start_again();
        assert_int_equal(r.a.trust->version, 5);
        check_close(floor_now(&r.a.floor), clock_wall_ms());
}

static void record(int64_t n, unsigned by) {
        const struct trust t = version(n);
        _cleanup_(dsse_done) struct dsse d = sign_root(&t, by);
        _cleanup_free_ char *text = NULL;

        assert_int_equal(dsse_to_json(&d, &text), 0);
        assert_int_equal(record_trust(&r.a, n, text), 0);
}

static void a_crash_between_record_and_file_loses_nothing(void **state) {
        (void) state;
        record(4, ALL);
        assert_int_equal(r.a.trust->version, 3);
        start_again();
        assert_int_equal(r.a.trust->version, 4);
        assert_true(shell(&r, "test -s trust.json"));
        assert_string_equal(take(5, ALL), "trusted");
}

static void a_file_that_is_lost_damaged_or_put_back_is_what_the_ledger_has(void **state) {
        static const char *const harm[] = { "rm trust.json", "truncate -s 100 trust.json", ": >trust.json",
                                            "cp older trust.json", "cp etc-trust.json trust.json" };

        (void) state;
        assert_string_equal(take(4, ALL), "trusted");
        assert_true(shell(&r, "cp trust.json older"));
        assert_string_equal(take(5, ALL), "trusted");
        assert_true(shell(&r, "cp trust.json newest"));
        for (size_t i = 0; i < ELEMENTSOF(harm); i++) {
                assert_true(shell(&r, harm[i]));
                start_again();
                assert_int_equal(r.a.trust->version, 5);
                assert_true(shell(&r, "cmp -s trust.json newest"));
        }
        assert_string_equal(take(5, ALL), "trusted");
        assert_int_equal(recorded(), 2);
}

static void the_file_is_what_is_left_of_a_lost_ledger(void **state) {
        (void) state;
        assert_string_equal(take(4, ALL), "trusted");
        assert_true(shell(&r, "rm -r ledger"));
        start_again();
        assert_int_equal(r.a.trust->version, 4);
        assert_true(shell(&r, "rm trust.json"));
        start_again();
        assert_int_equal(r.a.trust->version, 3);
}

static void what_does_not_follow_is_not_put_in_force_because_it_is_recorded(void **state) {
        (void) state;
        assert_int_equal(record_trust(&r.a, 4, "{}"), 0);
        record(4, BY(ALICE) | BY(BOB));
        record(5, ALL);
        start_again();
        assert_int_equal(r.a.trust->version, 3);
        assert_string_equal(take(4, ALL), "trusted");
        assert_true(shell(&r, "rm trust.json"));
        start_again();
        assert_int_equal(r.a.trust->version, 4);
}

/* All keys of the people of root are lost, and root begins anew under the same name. */
static void a_fleet_made_anew_does_not_get_its_old_people_back(void **state) {
        struct trust t = version(1);

        (void) state;
        assert_string_equal(take(4, ALL), "trusted");
        assert_string_equal(take(5, ALL), "trusted");
        t.roles[ROLE_ROOT].people = PERSON(CAROL);
        t.root_k = 1;
        put_file(&t, BY(CAROL));
        assert_true(shell(&r, "rm trust.json"));
        start_again();
        assert_int_equal(r.a.trust->version, 1);
}

/* Whichever write fails: what the next start finds is what it said. */
static void what_is_recorded_is_in_force_and_nothing_else(void **state) {
        unsigned failed = 0, unkept = 0;
        bool whole = false;

        (void) state;
        for (unsigned k = 1; !whole && k < 64; k++) {
                char fault[16];
                (void) snprintf(fault, sizeof(fault), "fail:%u", k);
                assert_true(shell(&r, "rm -rf ledger trust.json"));
                start_again();
                keys_sent = 0;
                assert_int_equal(setenv("FREEZED_FAULT", fault, 1), 0);
                const bool taken = strcmp(take(4, ALL), "trusted") == 0;
                assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
                const bool kept = shell(&r, "test -s trust.json");
                assert_int_equal(r.a.trust->version, taken ? 4 : 3);
                assert_int_equal(keys_sent, taken);
                start_again();
                assert_int_equal(r.a.trust->version, taken ? 4 : 3);
                assert_int_equal(shell(&r, "test -s trust.json"), taken);
                failed += !taken;
                unkept += taken && !kept;
                whole = taken && kept;
        }
        assert_true(failed > 0 && unkept > 0 && whole);
}

/* Whoever stole the keys of the old people sends what follows the old root until the host is started with the new one.
 */
static void old_people_do_not_come_back_by_what_they_send_before_the_start(void **state) {
        struct trust t = version(1);

        (void) state;
        t.roles[ROLE_ROOT].people = PERSON(CAROL) | PERSON(DAVE);
        t.root_k = 2;
        put_file(&t, BY(CAROL) | BY(DAVE));
        assert_string_equal(take(4, ALL), "trusted");
        assert_true(shell(&r, "test -s trust.json"));
        for (int i = 0; i < 2; i++) {
                start_again();
                assert_int_equal(r.a.trust->version, 1);
                assert_false(shell(&r, "test -e trust.json"));
        }
        t.version = 2;
        assert_string_equal(take_root(&t, BY(CAROL) | BY(DAVE)), "trusted");
        start_again();
        assert_int_equal(r.a.trust->version, 2);
        assert_true(shell(&r, "test -s trust.json"));
}

/* It may be in force from the next start on, so it is not refused. */
static void one_that_the_disk_may_have_taken_has_no_answer(void **state) {
        const struct trust t = version(4);
        _cleanup_(dsse_done) struct dsse d = sign_root(&t, ALL);

        (void) state;
        told[0] = '\0';
        disk_fails = true;
        assert_int_equal(rooted_take(&r.a, &d, &(struct answer) { 0 }), -ENOTRECOVERABLE);
        disk_fails = false;
        assert_string_equal(told, "");
        assert_int_equal(r.a.trust->version, 3);
        start_again();
        assert_string_equal(take(4, ALL), "trusted");
}

/* The core that has the ledger, and cannot end, may have recorded it. */
static void one_that_another_core_may_have_taken_has_no_answer(void **state) {
        const struct trust t = version(4);
        _cleanup_(dsse_done) struct dsse d = sign_root(&t, ALL);

        (void) state;
        told[0] = '\0';
        ledger_free(TAKE_PTR(r.a.ledger));
        r.a.aside = true;
        assert_int_equal(rooted_take(&r.a, &d, &(struct answer) { 0 }), -ENOTRECOVERABLE);
        assert_string_equal(told, "");
        r.a.aside = false;
        assert_string_equal(take(4, ALL), "ledger-failed");
}

/* It is older than what root put there since, which the ledger does not tell of; whoever it names signed what came
 * then. */
static void a_file_of_roots_that_was_put_back_brings_nobody_back(void **state) {
        const struct trust older = version(2);

        (void) state;
        assert_string_equal(take(4, ALL), "trusted");
        put_file(&older, BY(ALICE) | BY(BOB));
        for (int i = 0; i < 2; i++) {
                start_again();
                assert_int_equal(r.a.trust->version, 4);
                assert_true(shell(&r, "test -s trust.json"));
        }
}

/* What came as an order is newer than what root's file was before. */
static void a_file_of_roots_that_cannot_be_used_is_not_the_end_of_trust(void **state) {
        static const char *const harm[] = { "truncate -s 100 etc-trust.json", ": >etc-trust.json",
                                            "rm etc-trust.json && mkdir etc-trust.json" };

        (void) state;
        assert_string_equal(take(4, ALL), "trusted");
        assert_true(shell(&r, "cp trust.json older"));
        assert_string_equal(take(5, ALL), "trusted");
        for (size_t i = 0; i < ELEMENTSOF(harm); i++) {
                assert_true(shell(&r, harm[i]));
                start_again();
                assert_int_equal(r.a.trust->version, 5);
                assert_true(shell(&r, "cp older trust.json"));
                start_again();
                assert_int_equal(r.a.trust->version, 5);
        }
        assert_true(shell(&r, "rm -r ledger"));
        start_again();
        assert_null(r.a.trust);
}

static void roots_file_counts_when_it_is_newer_or_of_another_fleet(void **state) {
        struct trust t = version(4);

        (void) state;
        assert_string_equal(take_root(&t, ALL), "trusted");
        /* what was there before is still there, and is no news */
        rooted_load(&r.a);
        assert_int_equal(r.a.trust->version, 4);
        t = version(5);
        put_file(&t, ALL);
        rooted_load(&r.a);
        assert_int_equal(r.a.trust->version, 5);
        start_again();
        assert_int_equal(r.a.trust->version, 5);
        t = version(3);
        strcpy(t.fleet, "test");
        put_file(&t, BY(ALICE) | BY(BOB));
        rooted_load(&r.a);
        assert_string_equal(r.a.trust->fleet, "prod");
        start_again();
        assert_string_equal(r.a.trust->fleet, "test");
}

static void who_was_never_enrolled_takes_none(void **state) {
        (void) state;
        assert_int_equal(unlink(file), 0);
        start_again();
        assert_null(r.a.trust);
        assert_string_equal(take(4, ALL), "no-trust-root");
        assert_null(r.a.trust);
}

static void a_file_that_somebody_pieced_together_is_none(void **state) {
        const struct trust t = version(4);
        char other[192];

        (void) state;
        (void) snprintf(other, sizeof(other), "%s/trust.json", r.s.path);
        (void) rename(file, other);
        put_file(&t, BY(ALICE));
        start_again();
        assert_null(r.a.trust);
        assert_int_equal(unlink(file), 0);
        assert_int_equal(rename(other, file), 0);
        start_again();
        assert_int_equal(r.a.trust->version, 3);
}

/* Nor when the same people sign what they begin anew. */
static void what_followed_another_root_of_the_same_people_does_not_follow_this_one(void **state) {
        struct trust t = version(3);

        (void) state;
        assert_string_equal(take(4, ALL), "trusted");
        t.iat_ms++;
        put_file(&t, BY(ALICE) | BY(BOB));
        assert_true(shell(&r, "rm trust.json"));
        start_again();
        assert_int_equal(r.a.trust->version, 3);
        assert_string_equal(take(4, ALL), "trusted");
        assert_true(shell(&r, "rm trust.json"));
        start_again();
        assert_int_equal(r.a.trust->version, 4);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                CASE(the_next_version_is_recorded_kept_and_in_force),
                CASE(each_threshold_is_needed),
                CASE(no_version_is_left_out_and_none_comes_back),
                CASE(another_fleets_is_none),
                CASE(an_expired_one_is_followed),
                CASE(a_root_dates_the_host_and_none_puts_it_in_the_future),
                CASE(a_crash_between_record_and_file_loses_nothing),
                CASE(a_file_that_is_lost_damaged_or_put_back_is_what_the_ledger_has),
                CASE(the_file_is_what_is_left_of_a_lost_ledger),
                CASE(what_does_not_follow_is_not_put_in_force_because_it_is_recorded),
                CASE(a_fleet_made_anew_does_not_get_its_old_people_back),
                CASE(old_people_do_not_come_back_by_what_they_send_before_the_start),
                CASE(one_that_the_disk_may_have_taken_has_no_answer),
                CASE(one_that_another_core_may_have_taken_has_no_answer),
                CASE(a_file_of_roots_that_was_put_back_brings_nobody_back),
                CASE(what_followed_another_root_of_the_same_people_does_not_follow_this_one),
                CASE(what_is_recorded_is_in_force_and_nothing_else),
                CASE(a_file_of_roots_that_cannot_be_used_is_not_the_end_of_trust),
                CASE(roots_file_counts_when_it_is_newer_or_of_another_fleet),
                CASE(who_was_never_enrolled_takes_none),
                CASE(a_file_that_somebody_pieced_together_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
