/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/rollout_pend.c ctl/quorum.c ctl/trustfile.c ctl/file.c ctl/text.c ctl/why.c */

/* What is not even sent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/board.h"
#include "ctl/exchange.h"
#include "ctl/order.h"
#include "ctl/rollout.h"
#include "lib/people.h"

#define NOW 1795000000000LL

static struct trust trust;
static struct ctl ctl;
static struct rollout *r;

/* of what is told of what waits for more people */
int board_put(struct carrier *c, const struct trust *t, struct quorum *q, int64_t now_ms, struct why *w) {
        (void) c, (void) t, (void) q, (void) now_ms, (void) w;
        return 0;
}

int64_t order_now_ms(void) {
        return NOW;
}

void exchange_json_line(struct ctl *c, const json_t *o) {
        (void) c, (void) o;
}

struct page exchange_page(const struct ctl *c) {
        return (struct page) { c->out, false };
}

void render_verdict(const struct page *p, enum tone tone, const char *word, const char *format, ...) {
        (void) p, (void) tone, (void) word, (void) format;
}

void render_row(const struct page *p, const char *name, const char *format, ...) {
        (void) p, (void) name, (void) format;
}

void render_signatures(const struct page *p, const struct dsse *d, const struct signatures *s) {
        (void) p, (void) d, (void) s;
}

static int begin(void **state) {
        (void) state;
        people_trust(NOW - 1, &trust);
        r = calloc(1, sizeof(*r));
        if (!r)
                return -1;
        r->c = &ctl;
        r->trust = &trust;
        return 0;
}

static int end(void **state) {
        (void) state;
        free(r);
        return 0;
}

static int judge_of(enum key key, enum verb verb, unsigned by, bool *ret_lacks) {
        const bool stops = verb_info(verb)->cls == VERB_CLASS_STOP;
        struct target target;
        struct command c = { .verb = verb,
                             .to = COMMAND_TO_ALL,
                             .max_hosts = 9,
                             .targets = &target,
                             .n_targets = 1,
                             .severity = SEVERITY_P1 };

        people_id(key, &c.id);
        assert_int_equal(target_from_str(stops ? "unit:a.service" : "hold:01000000000000000000000000000000", &target),
                         0);
        struct bundle_order o = { .command = &c, .env = people_sign(DSSE_COMMAND, DSSE_COMMAND, "x", 1, by) };
        int x = rollout_judge(r, &o, ret_lacks);
        dsse_done(&o.env);
        return x;
}

static int judge(enum verb verb, unsigned by, bool *ret_lacks) {
        return judge_of(KEY_ALICE, verb, by, ret_lacks);
}

/* Hosts know best who may order, and a stop order is never kept from them; what every one of them would refuse to let
 * go by must not be in the stream instead of the order. */
static void a_release_by_whom_the_trust_root_does_not_name_is_not_sent(void **state) {
        bool lacks;

        (void) state;
        assert_int_equal(judge(VERB_CONTAIN, BY(STRANGER), &lacks), 0);
        assert_int_equal(judge(VERB_CONTAIN, BY(DAVE), &lacks), 0);
        assert_int_equal(judge(VERB_RELEASE, BY(STRANGER), &lacks), CTL_REFUSED);
        assert_false(lacks);
        assert_non_null(strstr(ctl.why.text, "--trust"));
        assert_int_equal(judge(VERB_RELEASE, BY(DAVE) | BY(ERIN), &lacks), CTL_REFUSED);
        assert_false(lacks);
        assert_int_equal(judge(VERB_RELEASE, BY(ALICE), &lacks), CTL_REFUSED);
        assert_true(lacks);
        assert_int_equal(judge(VERB_RELEASE, BY(ALICE) | BY(BOB), &lacks), 0);
}

/* It has the place in the stream of the order that the id is of. */
static void a_release_with_an_id_of_none_who_signed_it_is_not_sent(void **state) {
        bool lacks;

        (void) state;
        assert_int_equal(judge_of(KEY_CAROL, VERB_RELEASE, BY(ALICE) | BY(BOB), &lacks), CTL_REFUSED);
        assert_false(lacks);
        assert_int_equal(judge_of(KEY_CAROL, VERB_RELEASE, BY(ALICE), &lacks), CTL_REFUSED);
        assert_true(lacks);
        assert_int_equal(judge_of(KEY_DAVE, VERB_RELEASE, BY(ALICE) | BY(BOB) | BY(DAVE), &lacks), 0);
        assert_int_equal(judge_of(KEY_CAROL, VERB_CONTAIN, BY(ALICE), &lacks), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_release_by_whom_the_trust_root_does_not_name_is_not_sent),
                cmocka_unit_test(a_release_with_an_id_of_none_who_signed_it_is_not_sent),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
