/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/muster.c ctl/receipt.c ctl/hosts.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */

/* Who has answered and how they are, and that whoever carries the answers can change nothing but who is silent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/muster.h"
#include "tests/lib/answers.h"

#define HOSTS  3U
#define FIRST  "0123456789abcdef0123456789abcdef"
#define SECOND "11111111111111111111111111111111"

static struct inventory_host fleet[HOSTS];
static struct inventory inventory = { .v = fleet, .n = HOSTS };
static struct muster muster;

static int compare(const void *x, const void *y) {
        const struct inventory_host *a = x, *b = y;

        return memcmp(a->host.key.id, b->host.key.id, 32);
}

static int set_up(void **state) {
        uint8_t secret[crypto_sign_SECRETKEYBYTES];

        (void) state;
        for (uint8_t i = 0; i < HOSTS; i++) {
                (void) snprintf(fleet[i].host.name, sizeof(fleet[i].host.name), "web%u", i);
                answers_key(i, secret, &fleet[i].host.key);
        }
        qsort(fleet, HOSTS, sizeof(fleet[0]), compare);
        assert_int_equal(muster_init(&muster, &inventory), 0);
        muster_begin(&muster, FIRST);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        muster_done(&muster);
        return 0;
}

/* A health report of that host that is as it should be, but for the members that are given. */
static char *report_of(uint8_t host, const char *nonce, const char *changes) {
        json_t *o = json_pack("{si ss ss ss s{sb} s{ss si} s{ss} s{si si s[]} s{ss} s[{ss}{ss}]}", "v", 1, "type",
                              "health", "host", answers_id(host), "nonce", nonce, "ledger", "ok", 1, "trust", "state",
                              "valid", "version", 2, "policy", "state", "file", "holds", "active", 0, "partial", 0,
                              "orphans", "head", "state", "fresh", "layers", "state", "yes", "state", "no");
        json_t *more = json_loads(changes, 0, NULL);

        assert_non_null(o);
        assert_non_null(more);
        (void) json_object_update(o, more);
        char *text = json_dumps(o, JSON_COMPACT);
        json_decref(more);
        json_decref(o);
        return text;
}

static const struct muster_entry *entry(uint8_t host) {
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        struct sshkey k;

        answers_key(host, secret, &k);
        for (size_t i = 0; i < muster.n; i++)
                if (memcmp(muster.v[i].host->host.key.id, k.id, 32) == 0)
                        return &muster.v[i];
        return NULL;
}

/* Said under the name of host from, signed by host by. */
static void say(uint8_t from, uint8_t by, uint8_t named_as, const char *payload, int64_t at_ms) {
        _cleanup_free_ char *msg = answers_sign(DSSE_REPORT, payload, by, named_as);
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        struct sshkey k;

        answers_key(from, secret, &k);
        assert_int_equal(muster_add(&muster, k.id, msg, strlen(msg), at_ms), 0);
}

static void answer(uint8_t host, const char *nonce, const char *changes, int64_t at_ms) {
        _cleanup_free_ char *payload = report_of(host, nonce, changes);

        say(host, host, host, payload, at_ms);
}

static void all_are_silent_until_they_answer(void **state) {
        (void) state;
        assert_int_equal(muster_exit(&muster), CTL_SILENT);
        answer(1, FIRST, "{}", 5);
        assert_int_equal(muster.answered, 1);
        assert_int_equal(muster_state(&muster, entry(1)), MUSTER_READY);
        assert_int_equal(muster_state(&muster, entry(0)), MUSTER_SILENT);
        assert_int_equal(entry(1)->at_ms, 5);
        assert_int_equal(muster_exit(&muster), CTL_PARTIAL);
        answer(0, FIRST, "{}", 6);
        answer(2, FIRST, "{}", 7);
        assert_true(muster_is_over(&muster));
        assert_int_equal(muster_exit(&muster), CTL_OK);
        assert_int_equal(muster.strays + muster.n_strangers, 0);
}

static void what_nobody_signed_who_was_asked_is_counted_and_nothing_else(void **state) {
        _cleanup_free_ char *of_0 = report_of(0, FIRST, "{}"), *of_1 = report_of(1, FIRST, "{}");

        (void) state;
        say(0, 1, 1, of_0, 1);      /* by another host */
        say(0, 1, 0, of_0, 1);      /* in its name */
        say(0, 0, 0, of_1, 1);      /* about another */
        answer(0, SECOND, "{}", 1); /* to another question */
        answer(0, FIRST, "{\"type\":\"status\"}", 1);
        answer(0, FIRST, "{\"v\":2}", 1);
        assert_int_equal(muster.strays, 6);
        assert_true(muster.stray[0]);
        say(9, 9, 9, of_0, 1);
        say(9, 9, 9, of_0, 1);
        say(8, 8, 8, of_0, 1);
        assert_int_equal(muster.n_strangers, 2);
        assert_int_equal(muster.answered, 0);
        assert_int_equal(muster_exit(&muster), CTL_SILENT);
        muster_begin(&muster, SECOND);
        assert_int_equal(muster.strays + muster.n_strangers, 0);
}

static void a_second_answer_to_one_question_changes_nothing(void **state) {
        (void) state;
        answer(0, FIRST, "{\"holds\":{\"active\":1,\"partial\":0}}", 1);
        answer(0, FIRST, "{}", 2);
        assert_int_equal(muster_state(&muster, entry(0)), MUSTER_HOLDING);
        assert_int_equal(muster.answered, 1);
        assert_int_equal(muster.strays, 0);
}

static void an_answer_is_for_one_round(void **state) {
        (void) state;
        answer(0, FIRST, "{}", 1);
        muster_begin(&muster, SECOND);
        assert_int_equal(muster_state(&muster, entry(0)), MUSTER_SILENT);
        assert_non_null(entry(0)->report);
        assert_int_equal(entry(0)->at_ms, 1);
        answer(0, FIRST, "{}", 2);
        assert_int_equal(muster_state(&muster, entry(0)), MUSTER_SILENT);
        assert_int_equal(muster.strays, 1);
        answer(0, SECOND, "{}", 3);
        assert_int_equal(muster_state(&muster, entry(0)), MUSTER_READY);
}

static void the_worst_is_what_a_host_is_called(void **state) {
        static const struct {
                const char *changes;
                enum muster_state is;
        } cases[] = {
                { "{}", MUSTER_READY },
                { "{\"holds\":{\"active\":2,\"partial\":0}}", MUSTER_HOLDING },
                { "{\"head\":{\"state\":\"stale\"}}", MUSTER_DEAF },
                { "{\"head\":{\"state\":\"unknown\"}}", MUSTER_READY },
                { "{\"head\":{\"state\":\"stale\"},\"holds\":{\"active\":2,\"partial\":1}}", MUSTER_PARTIAL },
                { "{\"holds\":{\"active\":0,\"partial\":0,\"orphans\":[\"x\"]}}", MUSTER_PARTIAL },
                { "{\"head\":{\"state\":\"fresh\",\"withheld\":[\"x\"]},\"holds\":{\"partial\":1}}", MUSTER_WITHHELD },
                { "{\"policy\":{\"state\":\"broken\"}}", MUSTER_POLICY },
                { "{\"trust\":{\"state\":\"root-expired\"}}", MUSTER_TRUST },
                { "{\"ledger\":{\"ok\":false}}", MUSTER_LEDGER },
                { "{\"ledger\":null}", MUSTER_LEDGER },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = report_of(0, FIRST, cases[i].changes);
                _cleanup_json_ json_t *o = json_loads(text, 0, NULL);
                assert_string_equal(muster_state_str(muster_judge(o)), muster_state_str(cases[i].is));
                assert_int_equal(muster_gaps(o), 1);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(all_are_silent_until_they_answer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_nobody_signed_who_was_asked_is_counted_and_nothing_else, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(a_second_answer_to_one_question_changes_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(an_answer_is_for_one_round, set_up, tear_down),
                cmocka_unit_test(the_worst_is_what_a_host_is_called),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
