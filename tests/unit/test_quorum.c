/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/quorum.c ctl/trustfile.c ctl/file.c ctl/text.c ctl/why.c */

/* What is left of an order that others carried until the next person signs it: whoever carries it can add nothing,
 * spoil nothing and fill nothing up. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/quorum.h"
#include "lib/people.h"

#define NOW_MS 5000
#define ID     "0011223344556677b42576a84bcfcccb" /* alice's */
#define HOLD   "hold:ffeeddccbbaa99887766554433221100"
#define PAYLOAD                                                                                              \
        "{\"v\":1,\"fleet\":\"%s\",\"id\":\"" ID "\",\"verb\":\"%s\",\"to\":{\"all\":true,\"max_hosts\":5}," \
        "\"targets\":[\"%s\"],\"iat\":1000,\"exp\":%d,\"severity\":\"P1\",\"reason\":\"%s\"}"

static struct trust trust;

static int set_up(void **state) {
        (void) state;
        people_trust(1000, &trust);
        return 0;
}

static struct dsse order(const char *fleet, const char *verb, const char *target, int exp, const char *reason,
                         unsigned by) {
        char json[1024];

        (void) snprintf(json, sizeof(json), PAYLOAD, fleet, verb, target, exp, reason);
        return people_sign(DSSE_COMMAND, DSSE_COMMAND, json, strlen(json), by);
}

static struct dsse release_by(unsigned by) {
        return order("prod", "release", HOLD, 60000, "patched", by);
}

/* Reads it and gives the envelope up. */
static enum reason read_it(struct dsse *d, struct quorum *ret) {
        _cleanup_free_ char *text = NULL;
        enum reason reason = _REASON_MAX;
        struct command_id id;

        assert_int_equal(command_id_from_str(ID, &id), 0);
        assert_int_equal(dsse_to_json(d, &text), 0);
        dsse_done(d);
        assert_int_equal(quorum_read(&trust, &id, text, strlen(text), NOW_MS, ret, &reason), 0);
        return reason;
}

static void assert_refused(struct dsse d, enum reason expected) {
        struct quorum q = QUORUM_NULL;

        assert_int_equal(read_it(&d, &q), expected);
        assert_null(q.file.command);
}

static void who_has_signed_and_who_may_is_by_the_trust_root(void **state) {
        struct dsse d = release_by(BY(ALICE));
        struct quorum q = QUORUM_NULL;

        (void) state;
        assert_int_equal(read_it(&d, &q), REASON_NONE);
        assert_true(q.s.now.people == PERSON(ALICE));
        assert_true(quorum_may_sign(&q, &trust) == (PERSON(BOB) | PERSON(CAROL)));
        assert_int_equal(quorum_missing(&q), 1);
        quorum_done(&q);
        d = release_by(BY(ALICE) | BY(CAROL));
        assert_int_equal(read_it(&d, &q), REASON_NONE);
        assert_int_equal(quorum_missing(&q), 0);
        assert_true(q.s.enough);
        quorum_done(&q);
        /* the id is of none of them */
        d = release_by(BY(BOB) | BY(CAROL));
        assert_int_equal(read_it(&d, &q), REASON_NONE);
        assert_int_equal(quorum_missing(&q), 0);
        assert_false(q.s.enough);
        quorum_done(&q);
        /* two keys of one person are one person */
        d = release_by(BY(ALICE) | BY(ALICE_2));
        assert_int_equal(read_it(&d, &q), REASON_NONE);
        assert_int_equal(quorum_missing(&q), 1);
        quorum_done(&q);
}

static void what_nobody_signed_who_may_is_nothing(void **state) {
        (void) state;
        assert_refused(release_by(0), REASON_UNTRUSTED);
        assert_refused(release_by(BY(STRANGER)), REASON_UNTRUSTED);
        assert_refused(release_by(BY(BOT)), REASON_ROLE);
        assert_refused(release_by(BY(DAVE)), REASON_ROLE);
        assert_refused(order("test", "release", HOLD, 60000, "r", BY(ALICE)), REASON_FLEET);
        assert_refused(order("prod", "release", HOLD, NOW_MS, "r", BY(ALICE)), REASON_EXPIRED);
        assert_refused(order("prod", "release", "unit:a.service", 60000, "r", BY(ALICE)), REASON_SCHEMA);
}

static void an_order_under_another_id_is_nothing(void **state) {
        struct dsse d = release_by(BY(ALICE));
        _cleanup_free_ char *text = NULL;
        struct quorum q = QUORUM_NULL;
        const struct command_id other = { { 1 } };
        enum reason reason;

        (void) state;
        assert_int_equal(dsse_to_json(&d, &text), 0);
        dsse_done(&d);
        assert_int_equal(quorum_read(&trust, &other, text, strlen(text), NOW_MS, &q, &reason), 0);
        assert_int_equal(reason, REASON_ID_REUSED);
        assert_int_equal(quorum_read(&trust, NULL, text, strlen(text), NOW_MS, &q, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        quorum_done(&q);
}

static void false_signatures_neither_count_nor_spoil_nor_fill_it_up(void **state) {
        struct dsse d = release_by(BY(ALICE)), other = order("prod", "release", HOLD, 60000, "else", BY(BOB));
        struct quorum q = QUORUM_NULL;

        (void) state;
        /* bob's of another order, a stranger's, and as many that name nobody as there is room for */
        assert_int_equal(dsse_add(&d, other.sigs[0].keyid, other.sigs[0].sig), 0);
        for (uint8_t i = 0; d.n_sigs < DSSE_SIGS_MAX; i++) {
                const uint8_t keyid[32] = { i & 1 ? i : 0 };
                assert_int_equal(dsse_add(&d, keyid, other.sigs[0].sig), 0);
        }
        dsse_done(&other);
        assert_int_equal(read_it(&d, &q), REASON_NONE);
        assert_int_equal(q.file.env.n_sigs, 1);
        assert_int_equal(q.dropped, DSSE_SIGS_MAX - 1);
        assert_true(q.s.now.people == PERSON(ALICE));
        assert_true(q.s.now.reason == REASON_NONE);
        quorum_done(&q);
}

static void a_changed_payload_is_nobodys(void **state) {
        struct dsse d = release_by(BY(ALICE) | BY(BOB));
        char *at = strstr((char *) d.payload, "patched");

        (void) state;
        assert_non_null(at);
        *at = 'P';
        assert_refused(d, REASON_UNTRUSTED);
}

static void signatures_are_brought_together_for_the_same_bytes_only(void **state) {
        struct dsse a = release_by(BY(ALICE)), b = release_by(BY(BOB)),
                    c = order("prod", "release", HOLD, 60000, "else", BY(CAROL));
        struct quorum x = QUORUM_NULL, y = QUORUM_NULL, z = QUORUM_NULL;
        bool more;

        (void) state;
        assert_int_equal(read_it(&a, &x), REASON_NONE);
        assert_int_equal(read_it(&b, &y), REASON_NONE);
        assert_int_equal(read_it(&c, &z), REASON_NONE);
        assert_int_equal(quorum_merge(&x, &trust, &z, &more), 0);
        assert_false(more);
        assert_int_equal(quorum_missing(&x), 1);
        assert_int_equal(quorum_merge(&x, &trust, &y, &more), 0);
        assert_true(more);
        assert_int_equal(quorum_missing(&x), 0);
        assert_int_equal(quorum_merge(&x, &trust, &y, &more), 0);
        assert_false(more);
        quorum_done(&x);
        quorum_done(&y);
        quorum_done(&z);
}

static void what_is_no_order_is_nothing(void **state) {
        static const char *const texts[] = { "", "{}", "[]",
                                             "{\"payload\":\"\",\"payloadType\":\"x\",\"signatures\":[]}" };
        struct dsse trust_root = people_sign(DSSE_TRUST, DSSE_TRUST, "{}", 2, BY(ALICE) | BY(BOB));
        struct quorum q = QUORUM_NULL;
        enum reason reason;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                assert_int_equal(quorum_read(&trust, NULL, texts[i], strlen(texts[i]), NOW_MS, &q, &reason), 0);
                assert_int_not_equal(reason, REASON_NONE);
        }
        assert_refused(trust_root, REASON_TYPE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_has_signed_and_who_may_is_by_the_trust_root),
                cmocka_unit_test(what_nobody_signed_who_may_is_nothing),
                cmocka_unit_test(an_order_under_another_id_is_nothing),
                cmocka_unit_test(false_signatures_neither_count_nor_spoil_nor_fill_it_up),
                cmocka_unit_test(a_changed_payload_is_nobodys),
                cmocka_unit_test(signatures_are_brought_together_for_the_same_bytes_only),
                cmocka_unit_test(what_is_no_order_is_nothing),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}
