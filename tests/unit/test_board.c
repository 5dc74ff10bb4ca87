/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/board.c ctl/quorum.c ctl/trustfile.c ctl/file.c ctl/text.c ctl/why.c */

/* What hangs at a broker for the next person, whatever else does: the stream is the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/board.h"
#include "ctl/catchup.h"
#include "lib/people.h"

#define NOW_MS 5000
#define PAYLOAD                                                                                                    \
        "{\"v\":1,\"fleet\":\"prod\",\"id\":\"%032x\",\"verb\":\"release\",\"to\":{\"all\":true,\"max_hosts\":5}," \
        "\"targets\":[\"hold:ffeeddccbbaa99887766554433221100\"],\"iat\":1000,\"exp\":%d,\"severity\":\"P1\","     \
        "\"reason\":\"patched\"}"

static struct trust trust;
/* so many that nobody signed, then so many that have expired, then so many that wait */
static int64_t n_forged, n_expired, n_waiting;

static char *order(unsigned id, int exp_ms, unsigned by) {
        char json[1024], *text = NULL;

        (void) snprintf(json, sizeof(json), PAYLOAD, id, exp_ms);
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, json, strlen(json), by);
        assert_int_equal(dsse_to_json(&d, &text), 0);
        return text;
}

static char *message(int64_t n) {
        return n <= n_forged ? strdup("{}")
                             : order((unsigned) n, n <= n_forged + n_expired ? NOW_MS : 60000, BY(ALICE));
}

/* what hangs under the one id that is put there; "": nothing. Owned */
static char *hangs;
static unsigned said;
/* whose order comes back whatever is said */
static const char *sticky;

static struct carrier_event *event(const char *text) {
        struct carrier_event *e = calloc(1, sizeof(*e) + strlen(text) + 1);

        assert_non_null(e);
        e->n = strlen(text);
        strcpy(e->text, text);
        return e;
}

int catchup_next(struct carrier *c, const char *fleet, const char *pattern, int64_t *from, struct carrier_event **ret,
                 struct why *w) {
        (void) c;
        (void) fleet;
        (void) pattern;
        (void) w;
        *ret = NULL;
        if (*from > n_forged + n_expired + n_waiting)
                return 0;
        _cleanup_free_ char *text = message((*from)++);
        *ret = event(text);
        return 0;
}

int catchup_ask(struct carrier *c, const char *fleet, const char *last, const char *body, struct carrier_event **ret,
                struct why *w) {
        (void) c, (void) fleet, (void) last, (void) body, (void) w;
        *ret = *hangs ? event(hangs) : NULL;
        return 0;
}

int carrier_ask(struct carrier *c, const char *subject, const char *text, size_t n, struct carrier_event **ret,
                struct why *w) {
        (void) c, (void) subject, (void) w;
        assert_int_equal(strlen(text), n);
        free(hangs);
        hangs = strdup(sticky ? sticky : text);
        said++;
        *ret = event("{}");
        return 0;
}

static void check(int64_t forged, int64_t expired, int64_t waiting, size_t shown, bool more) {
        _cleanup_(board_freep) struct board *b = NULL;
        struct why w;

        people_trust(1000, &trust);
        n_forged = forged;
        n_expired = expired;
        n_waiting = waiting;
        assert_int_equal(board_read(NULL, &trust, NOW_MS, &b, &w), 0);
        assert_int_equal(b->n, shown);
        assert_int_equal(b->forged, forged);
        assert_int_equal(b->expired, expired);
        assert_int_equal(b->more, more);
}

static void what_is_none_hides_nothing_that_waits(void **state) {
        (void) state;
        check(0, 0, 1, 1, false);
        check(2 * BOARD_MAX, 0, 1, 1, false);
        check(0, 2 * BOARD_MAX, 1, 1, false);
}

static void more_than_is_shown_is_told(void **state) {
        (void) state;
        check(1, 1, BOARD_MAX, BOARD_MAX, false);
        check(0, 0, BOARD_MAX + 9, BOARD_MAX, true);
}

/* Puts it there; what board_put says. */
static int put(const char *text, struct quorum *q) {
        enum reason reason;
        struct why w;

        people_trust(1000, &trust);
        said = 0;
        assert_int_equal(quorum_read(&trust, NULL, text, strlen(text), NOW_MS, q, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        return board_put(NULL, &trust, q, NOW_MS, &w);
}

static void signatures_that_hang_there_are_added_to(void **state) {
        _cleanup_free_ char *alice = order(1, 60000, BY(ALICE)), *bob = order(1, 60000, BY(BOB));
        _cleanup_(quorum_done) struct quorum q = QUORUM_NULL, again = QUORUM_NULL;

        (void) state;
        hangs = strdup(bob);
        assert_int_equal(put(alice, &q), 0);
        assert_int_equal(q.file.env.n_sigs, 2);
        assert_int_equal(said, 1);
        assert_int_equal(put(alice, &again), 0);
        assert_int_equal(again.file.env.n_sigs, 2);
        assert_int_equal(said, 0);
        free(hangs);
}

/* By somebody who may give such orders, under the id of this one. */
static void another_order_under_its_id_is_not_taken_for_it(void **state) {
        _cleanup_free_ char *alice = order(1, 60000, BY(ALICE)), *bob = order(1, 50000, BY(BOB));
        _cleanup_(quorum_done) struct quorum q = QUORUM_NULL, again = QUORUM_NULL;

        (void) state;
        hangs = strdup(bob);
        assert_int_equal(put(alice, &q), 0);
        assert_string_equal(hangs, alice);
        sticky = bob;
        free(hangs);
        hangs = strdup(bob);
        assert_int_equal(put(alice, &again), CTL_MACHINE);
        sticky = NULL;
        free(hangs);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_none_hides_nothing_that_waits),
                cmocka_unit_test(more_than_is_shown_is_told),
                cmocka_unit_test(signatures_that_hang_there_are_added_to),
                cmocka_unit_test(another_order_under_its_id_is_not_taken_for_it),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
