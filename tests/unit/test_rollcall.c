/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/rollcall.c ctl/parallel.c ctl/receipt.c ctl/hosts.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */

/* Who is counted as what, and that whoever carries the answers can change nothing but who is silent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/rollcall.h"
#include "tests/lib/answers.h"

#define ID     "0123456789abcdef0123456789abcdef"
#define DIGEST "0101010101010101010101010101010101010101010101010101010101010101"
#define HOSTS  5U

static uint8_t digest[32];
static struct inventory_host fleet[HOSTS];
static struct rollcall calls;

static int set_up(void **state) {
        const struct inventory_host *hosts[HOSTS];
        uint8_t secret[crypto_sign_SECRETKEYBYTES];

        (void) state;
        memset(digest, 1, sizeof(digest));
        for (uint8_t i = 0; i < HOSTS; i++) {
                (void) snprintf(fleet[i].host.name, sizeof(fleet[i].host.name), "web%u", i);
                answers_key(i, secret, &fleet[i].host.key);
                hosts[i] = &fleet[i];
        }
        return rollcall_init(&calls, hosts, HOSTS, ID, digest);
}

static int tear_down(void **state) {
        (void) state;
        rollcall_done(&calls);
        return 0;
}

/* A receipt of that host that is right, but for the members that are given: {"name":value}, null takes one out. */
static char *payload_of(uint8_t host, const char *changes) {
        json_t *o = json_pack("{si ss ss ss ss ss ss so so s{si}}", "v", 1, "type", "receipt", "host", answers_id(host),
                              "id", ID, "digest", DIGEST, "verb", "contain", "state", "contained", "reasons",
                              json_array(), "targets", json_array(), "ledger", "n", 10);
        json_t *more = json_loads(changes, 0, NULL), *v;
        const char *name;

        assert_non_null(more);
        json_object_foreach(more, name, v) {
                if (json_is_null(v))
                        (void) json_object_del(o, name);
                else
                        (void) json_object_set(o, name, v);
        }
        char *text = json_dumps(o, JSON_COMPACT);
        json_decref(more);
        json_decref(o);
        return text;
}

static struct rollcall_message message(uint8_t from, const char *text) {
        struct rollcall_message m = { .text = text, .n = strlen(text), .at_ms = 7 };
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        struct sshkey k;

        answers_key(from, secret, &k);
        memcpy(m.from, k.id, sizeof(m.from));
        return m;
}

static const struct rollcall_entry *add_text(uint8_t from, const char *text) {
        const struct rollcall_entry *changed;
        const struct rollcall_message m = message(from, text);

        assert_int_equal(rollcall_add(&calls, &m, 1, &changed), 0);
        return changed;
}

/* What host `signer` signed in the name of `named`, under the subject of `from`. */
static const struct rollcall_entry *add_as(uint8_t from, uint8_t signer, uint8_t named, const char *changes) {
        char *payload = payload_of(named, changes), *text = answers_sign(DSSE_RECEIPT, payload, signer, named);
        const struct rollcall_entry *e = add_text(from, text);

        free(payload);
        free(text);
        return e;
}

static const struct rollcall_entry *add(uint8_t host, const char *changes) {
        return add_as(host, host, host, changes);
}

static void counts_are(size_t verified, size_t accepted, size_t refused, size_t silent) {
        const size_t want[_ROLLCALL_CLASS_MAX] = { [ROLLCALL_VERIFIED] = verified,
                                                   [ROLLCALL_ACCEPTED] = accepted,
                                                   [ROLLCALL_REFUSED] = refused,
                                                   [ROLLCALL_SILENT] = silent };

        for (size_t i = 0; i < _ROLLCALL_CLASS_MAX; i++)
                assert_int_equal(calls.counts[i], want[i]);
        assert_int_equal(verified + accepted + refused + silent, HOSTS);
}

static void who_is_told_that_it_goes_on_waits_for_the_end(void **state) {
        (void) state;
        assert_non_null(add(0, "{\"state\":\"duplicate\",\"ledger\":{\"n\":20}}"));
        assert_int_equal(calls.finals, 0);
        assert_non_null(add(0, "{\"state\":\"released\",\"ledger\":{\"n\":19}}"));
        assert_int_equal(calls.finals, 1);
        assert_null(add(0, "{\"state\":\"duplicate\",\"ledger\":{\"n\":21}}"));
        counts_are(1, 0, 0, 4);
}

static void who_was_refused_for_what_may_pass_can_begin_anew(void **state) {
        static const char stale[] = "{\"state\":\"refused\",\"reasons\":[\"root-stale\"],\"ledger\":{\"n\":19}}";

        (void) state;
        assert_non_null(add(0, stale));
        assert_false(rollcall_stands(&calls));
        assert_non_null(add(0, "{\"final\":false,\"ledger\":{\"n\":20}}"));
        counts_are(0, 1, 0, 4);
        assert_int_equal(calls.finals, 0);
        /* and an old refusal takes nothing back */
        assert_null(add(0, stale));
        assert_non_null(add(0, "{\"ledger\":{\"n\":21}}"));
        counts_are(1, 0, 0, 4);
}

static void who_took_it_did_not_refuse_it(void **state) {
        (void) state;
        assert_non_null(add(0, "{\"final\":false,\"ledger\":{\"n\":20}}"));
        assert_null(add(0, "{\"state\":\"refused\",\"reasons\":[\"untrusted-signer\"],\"ledger\":{\"n\":21}}"));
        counts_are(0, 1, 0, 4);
}

static void each_answer_is_of_one_class(void **state) {
        static const struct {
                const char *changes;
                enum rollcall_class class;
                int code;
        } rows[] = {
                { "{}", ROLLCALL_VERIFIED, CTL_OK },
                { "{\"state\":\"released\"}", ROLLCALL_VERIFIED, CTL_OK },
                { "{\"state\":\"planned\"}", ROLLCALL_VERIFIED, CTL_OK },
                { "{\"final\":true}", ROLLCALL_VERIFIED, CTL_OK },
                { "{\"final\":false}", ROLLCALL_ACCEPTED, CTL_PARTIAL },
                { "{\"state\":\"partial\"}", ROLLCALL_ACCEPTED, CTL_PARTIAL },
                { "{\"state\":\"pending\"}", ROLLCALL_ACCEPTED, CTL_PARTIAL },
                { "{\"state\":\"failed\"}", ROLLCALL_ACCEPTED, CTL_MACHINE },
                { "{\"state\":\"from-the-future\"}", ROLLCALL_ACCEPTED, CTL_MACHINE },
                { "{\"state\":null}", ROLLCALL_ACCEPTED, CTL_MACHINE },
                { "{\"reasons\":[\"no-such-reason\"]}", ROLLCALL_ACCEPTED, CTL_PARTIAL },
                { "{\"targets\":[{\"gaps\":[\"x\"]}]}", ROLLCALL_ACCEPTED, CTL_PARTIAL },
                { "{\"targets\":[{\"frozen\":false}]}", ROLLCALL_ACCEPTED, CTL_PARTIAL },
                { "{\"state\":\"refused\",\"reasons\":[\"protected\"]}", ROLLCALL_REFUSED, CTL_REFUSED },
                { "{\"state\":\"duplicate\"}", ROLLCALL_ACCEPTED, CTL_PARTIAL },
                { "{\"state\":\"duplicate\",\"receipt\":{\"state\":\"contained\",\"id\":\"" ID "\"}}",
                  ROLLCALL_VERIFIED, CTL_OK },
                { "{\"state\":\"duplicate\",\"final\":true,\"receipt\":{\"state\":\"contained\",\"final\":false,"
                  "\"id\":\"" ID "\"}}",
                  ROLLCALL_ACCEPTED, CTL_PARTIAL },
                { "{\"state\":\"duplicate\",\"hold\":\"ended\",\"receipt\":{\"state\":\"contained\",\"id\":\"" ID
                  "\"}}",
                  ROLLCALL_ACCEPTED, CTL_REFUSED },
                { "{\"state\":\"duplicate\",\"hold\":\"ended\",\"receipt\":{\"state\":\"lapsed\",\"id\":\"" ID "\"}}",
                  ROLLCALL_ACCEPTED, CTL_REFUSED },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                (void) tear_down(state);
                assert_int_equal(set_up(state), 0);
                const struct rollcall_entry *e = add(2, rows[i].changes);
                if (!e || e->class != rows[i].class || e->code != rows[i].code)
                        fail_msg("%s: %s, %d", rows[i].changes, e ? rollcall_class_str(e->class) : "nothing",
                                 e ? e->code : -1);
                assert_string_equal(e->host->name, "web2");
                assert_non_null(e->payload);
                assert_int_equal(e->at_ms, 7);
                assert_int_equal(calls.counts[e->class], 1);
                assert_int_equal(calls.counts[ROLLCALL_SILENT], HOSTS - 1);
                assert_int_equal(calls.strays, 0);
        }
}

static void a_refusal_says_why(void **state) {
        (void) state;
        assert_int_equal(add(0, "{\"state\":\"refused\",\"reasons\":[\"protected\"]}")->reason, REASON_PROTECTED);
        assert_int_equal(add(1, "{\"state\":\"refused\",\"reasons\":[\"from-the-future\"]}")->reason, _REASON_MAX);
        assert_int_equal(add(2, "{\"state\":\"refused\",\"reasons\":[],\"id\":null}")->reason, _REASON_MAX);
        counts_are(0, 0, 3, 2);
}

/* Each of these is wrong in one thing. */
static void what_is_forged_changes_nothing(void **state) {
        static const char *const wrong[] = {
                "{\"v\":2}",
                "{\"type\":\"status\"}",
                "{\"host\":null}",
                "{\"id\":\"1123456789abcdef0123456789abcdef\"}",
                "{\"id\":null}",
                "{\"digest\":\"0201010101010101010101010101010101010101010101010101010101010101\"}",
                "{\"digest\":null}",
        };

        (void) state;
        assert_non_null(add(1, "{\"state\":\"refused\",\"reasons\":[\"protected\"]}"));
        for (uint8_t host = 0; host < 2; host++)
                for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                        assert_null(add(host, wrong[i]));
        /* another host, a stranger and nobody in its name; its own under the subject of another */
        assert_null(add_as(0, 1, 0, "{}"));
        assert_null(add_as(0, 9, 0, "{}"));
        assert_null(add_as(0, 2, 2, "{}"));
        assert_null(add_as(2, 0, 0, "{}"));
        assert_null(add_text(0, "{\"refused\":\"protected\",\"text\":\"no\"}"));
        assert_null(add_text(0, "CONTAINED"));
        assert_null(add_text(0, ""));
        counts_are(0, 0, 1, 4);
        assert_int_equal(calls.strays, 2 * ELEMENTSOF(wrong) + 7);
        assert_true(*calls.stray);
        assert_int_equal(rollcall_exit(&calls), CTL_PARTIAL);
}

static void a_host_that_was_not_asked_is_no_host(void **state) {
        (void) state;
        assert_null(add(9, "{}"));
        assert_null(add(HOSTS, "{\"state\":\"refused\",\"reasons\":[\"protected\"]}"));
        counts_are(0, 0, 0, HOSTS);
        assert_int_equal(calls.strays, 2);
        assert_int_equal(rollcall_exit(&calls), CTL_SILENT);
}

static void the_same_again_is_the_same(void **state) {
        (void) state;
        assert_non_null(add(0, "{}"));
        assert_null(add(0, "{}"));
        counts_are(1, 0, 0, 4);
        assert_int_equal(calls.finals, 1);
        assert_int_equal(calls.strays, 0);
}

/* In whatever order somebody lets them through. */
static void what_is_final_and_newest_counts_in_any_order(void **state) {
        static const char *const said[] = {
                "{\"final\":false,\"ledger\":{\"n\":10}}",
                "{\"ledger\":{\"n\":11}}",
                "{\"state\":\"duplicate\",\"hold\":\"ended\",\"receipt\":{\"state\":\"contained\",\"id\":\"" ID
                "\"},\"ledger\":{\"n\":30}}",
        };
        static const uint8_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                             { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };

        for (size_t i = 0; i < ELEMENTSOF(orders); i++) {
                (void) tear_down(state);
                assert_int_equal(set_up(state), 0);
                for (size_t k = 0; k < 3; k++)
                        (void) add(0, said[orders[i][k]]);
                counts_are(0, 1, 0, 4);
                assert_int_equal(calls.finals, 1);
                assert_int_equal(calls.strays, 0);

                /* without the last one it is held */
                (void) tear_down(state);
                assert_int_equal(set_up(state), 0);
                for (size_t k = 0; k < 3; k++)
                        if (orders[i][k] != 2)
                                (void) add(0, said[orders[i][k]]);
                counts_are(1, 0, 0, 4);
        }
}

/* The digest of one is no answer of another. */
static void where_each_was_sent_its_own_each_answers_that(void **state) {
        const struct inventory_host *hosts[HOSTS];

        for (uint8_t i = 0; i < HOSTS; i++) {
                memset(fleet[i].digest, i, sizeof(fleet[i].digest));
                hosts[i] = &fleet[i];
        }
        (void) tear_down(state);
        assert_int_equal(rollcall_init(&calls, hosts, HOSTS, "attributes", NULL), 0);
        /* DIGEST is that of host 1 */
        for (uint8_t i = 0; i < HOSTS; i++)
                assert_true((add(i, "{\"id\":\"attributes\",\"state\":\"certified\"}") != NULL) == (i == 1));
        assert_null(add(1, "{\"state\":\"certified\",\"ledger\":{\"n\":11}}"));
        assert_non_null(add(1, "{\"id\":\"attributes\",\"state\":\"certified\",\"ledger\":{\"n\":12}}"));
        counts_are(1, 0, 0, HOSTS - 1);
        assert_int_equal(calls.strays, HOSTS);
}

static void it_is_over_when_every_host_has_said_its_last(void **state) {
        (void) state;
        for (uint8_t i = 0; i < HOSTS; i++) {
                assert_false(rollcall_is_over(&calls));
                assert_non_null(add(i, "{\"final\":false}"));
        }
        counts_are(0, HOSTS, 0, 0);
        for (uint8_t i = 0; i < HOSTS; i++) {
                assert_false(rollcall_is_over(&calls));
                assert_non_null(add(i, i == 3 ? "{\"state\":\"partial\",\"reasons\":[\"restartable\"]}" : "{}"));
        }
        assert_true(rollcall_is_over(&calls));
        counts_are(HOSTS - 1, 1, 0, 0);
}

/* Several processors look at them; what they come to is as if one had, one after the other. */
static void many_at_once_count_in_their_order(void **state) {
        enum { MANY = 40 };
        struct rollcall_message v[MANY];
        const struct rollcall_entry *changed[MANY];
        char *texts[MANY];

        (void) state;
        for (size_t i = 0; i < MANY; i++) {
                const uint8_t host = i % HOSTS, signer = i % 2 == 0 ? host : HOSTS;
                char changes[64];
                (void) snprintf(changes, sizeof(changes), "{\"ledger\":{\"n\":%zu}}", i % 4 == 0 ? 100 + i : 0);
                char *payload = payload_of(host, changes);
                texts[i] = answers_sign(DSSE_RECEIPT, payload, signer, host);
                v[i] = message(host, texts[i]);
                free(payload);
        }
        assert_int_equal(rollcall_add(&calls, v, MANY, changed), 0);
        for (size_t i = 0; i < MANY; i++) {
                /* each signed one that is ahead of what its host said before; 2 and 6 are the first of their hosts */
                const bool counts = i % 4 == 0 || i == 2 || i == 6;
                assert_int_equal(changed[i] != NULL, counts);
                if (counts)
                        assert_memory_equal(changed[i]->host->key.id, v[i].from, sizeof(v[i].from));
        }
        counts_are(HOSTS, 0, 0, 0);
        assert_int_equal(calls.strays, MANY / 2);
        for (size_t i = 0; i < MANY; i++)
                free(texts[i]);
}

static void what_may_pass_is_over_and_does_not_stand(void **state) {
        static const struct {
                const char *last;
                bool stands;
        } rows[] = {
                { "{}", true },
                { "{\"state\":\"partial\"}", true },
                { "{\"state\":\"refused\",\"reasons\":[\"protected\"]}", true },
                { "{\"state\":\"refused\",\"reasons\":[\"expired\"]}", true },
                { "{\"state\":\"refused\",\"reasons\":[\"ledger-failed\"]}", false },
                { "{\"state\":\"refused\",\"reasons\":[\"busy\"]}", false },
                { "{\"state\":\"refused\",\"reasons\":[\"limit\"]}", false },
                { "{\"state\":\"refused\",\"reasons\":[\"budget\"]}", false },
                { "{\"state\":\"refused\",\"reasons\":[\"still-held\"]}", false },
                { "{\"state\":\"refused\",\"reasons\":[\"bad-field\"]}", true },
                { "{\"state\":\"refused\",\"reasons\":[\"from-the-future\"]}", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                (void) tear_down(state);
                assert_int_equal(set_up(state), 0);
                for (uint8_t k = 1; k < HOSTS; k++)
                        assert_non_null(add(k, "{}"));
                assert_false(rollcall_stands(&calls));
                assert_non_null(add(0, rows[i].last));
                assert_true(rollcall_is_over(&calls));
                if (rollcall_stands(&calls) != rows[i].stands)
                        fail_msg("%s", rows[i].last);
        }
        /* and when it has passed */
        assert_non_null(add(0, "{\"ledger\":{\"n\":11}}"));
        assert_true(rollcall_stands(&calls));
}

static void the_exit_code_is_what_all_have_in_common(void **state) {
        static const struct {
                const char *all, *but_one;
                int code;
        } rows[] = {
                { "{}", "{}", CTL_OK },
                { "{}", NULL, CTL_PARTIAL },
                { NULL, "{}", CTL_PARTIAL },
                { NULL, NULL, CTL_SILENT },
                { "{}", "{\"final\":false}", CTL_PARTIAL },
                { "{}", "{\"state\":\"failed\"}", CTL_PARTIAL },
                { "{\"state\":\"failed\"}", "{\"state\":\"failed\"}", CTL_MACHINE },
                { "{\"state\":\"partial\"}", "{\"state\":\"partial\"}", CTL_PARTIAL },
                { "{\"state\":\"refused\",\"reasons\":[\"protected\"]}",
                  "{\"state\":\"refused\",\"reasons\":[\"protected\"]}", CTL_REFUSED },
                { "{\"state\":\"refused\",\"reasons\":[\"protected\"]}", "{}", CTL_PARTIAL },
                { "{\"state\":\"refused\",\"reasons\":[\"protected\"]}", NULL, CTL_PARTIAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (uint8_t which = 0; which < HOSTS; which++) {
                        (void) tear_down(state);
                        assert_int_equal(set_up(state), 0);
                        for (uint8_t k = 0; k < HOSTS; k++) {
                                const char *said = k == which ? rows[i].but_one : rows[i].all;
                                if (said)
                                        assert_non_null(add(k, said));
                        }
                        if (rollcall_exit(&calls) != rows[i].code)
                                fail_msg("row %zu: %d", i, rollcall_exit(&calls));
                }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(who_is_told_that_it_goes_on_waits_for_the_end, set_up, tear_down),
                cmocka_unit_test_setup_teardown(who_was_refused_for_what_may_pass_can_begin_anew, set_up, tear_down),
                cmocka_unit_test_setup_teardown(who_took_it_did_not_refuse_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(each_answer_is_of_one_class, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_refusal_says_why, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_is_forged_changes_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_host_that_was_not_asked_is_no_host, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_same_again_is_the_same, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_is_final_and_newest_counts_in_any_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(where_each_was_sent_its_own_each_answers_that, set_up, tear_down),
                cmocka_unit_test_setup_teardown(many_at_once_count_in_their_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(it_is_over_when_every_host_has_said_its_last, set_up, tear_down),
                cmocka_unit_test_setup_teardown(what_may_pass_is_over_and_does_not_stand, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_exit_code_is_what_all_have_in_common, set_up, tear_down),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
