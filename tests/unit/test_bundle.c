/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/bundle.c */

/* What one file of signed orders may be: one order, or the waves of one, and nothing that only looks like that. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/bundle.h"
#include "tests/lib/bundles.h"

static enum reason reason_of(const char *text, size_t *ret_n) {
        struct bundle b = { .n = 0 };
        enum reason reason = _REASON_MAX;

        assert_int_equal(bundle_parse(text, strlen(text), &b, &reason), 0);
        if (ret_n)
                *ret_n = b.n;
        bundle_done(&b);
        return reason;
}

/* The second wave, changed by fn. */
static enum reason second(void (*fn)(struct command *c)) {
        struct target t, u;
        struct command a = bundles_command(1, &t, 0, 1000), b = bundles_command(2, &u, 1000, PLACE_END);
        char *text;

        fn(&b);
        _cleanup_free_ char *x = bundles_line(&a), *y = bundles_line(&b);
        assert_true(asprintf(&text, "%s%s", x, y) > 0);
        enum reason r = reason_of(text, NULL);
        free(text);
        return r;
}

static void one_signed_order_is_a_bundle(void **state) {
        struct target t;
        struct command c = bundles_command(1, &t, 0, 0);
        _cleanup_free_ char *line = bundles_line(&c);
        size_t n;

        (void) state;
        assert_int_equal(reason_of(line, &n), REASON_NONE);
        assert_int_equal(n, 1);
        line[strlen(line) - 1] = '\0';
        assert_int_equal(reason_of(line, &n), REASON_NONE);
}

static void waves_of_one_order_are_a_bundle_as_they_were_signed(void **state) {
        _cleanup_free_ char *text = bundles_two(1);
        struct bundle b = { .n = 0 };
        enum reason reason;

        (void) state;
        assert_int_equal(bundle_parse(text, strlen(text), &b, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        assert_int_equal(b.n, 2);
        assert_int_equal(strncmp(text, b.v[0].text, strlen(b.v[0].text)), 0);
        assert_int_equal(b.v[1].command->part.from, 1000);
        bundle_done(&b);
}

static void nothing(struct command *c) {
        (void) c;
}

static void other_verb(struct command *c) {
        c->verb = VERB_ISOLATE;
}

static void other_target(struct command *c) {
        assert_int_equal(target_from_str("unit:nginx.service", c->targets), 0);
}

static void other_group(struct command *c) {
        c->to = COMMAND_TO_GROUP;
        strcpy(c->group, "web");
}

static void other_fleet(struct command *c) {
        strcpy(c->fleet, "test");
}

static void other_salt(struct command *c) {
        c->part.salt[0]++;
}

static void other_lease(struct command *c) {
        c->lease_ms = 60000;
}

static void overlapping(struct command *c) {
        c->part.from--;
}

static void leaving_some_out(struct command *c) {
        c->part.from++;
}

static void of_everybody(struct command *c) {
        c->part = (struct place_part) { 0 };
}

static void same_id(struct command *c) {
        c->id.b[0] = 1;
}

static void orders_that_are_not_waves_of_one_are_none(void **state) {
        static void (*const fns[])(struct command * c) = { other_verb,   other_target, other_group, other_fleet,
                                                           other_salt,   other_lease,  overlapping, leaving_some_out,
                                                           of_everybody, same_id };

        (void) state;
        assert_int_equal(second(nothing), REASON_NONE);
        for (size_t i = 0; i < ELEMENTSOF(fns); i++)
                assert_int_equal(second(fns[i]), REASON_SCHEMA);
}

static void more_waves_than_there_can_be_are_none(void **state) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        (void) state;
        for (uint8_t i = 0; i <= WAVES_MAX; i++) {
                struct target t;
                struct command c = bundles_command((uint8_t) (i + 1), &t, i, i + 1);
                _cleanup_free_ char *line = bundles_line(&c);
                fputs(line, f);
        }
        assert_int_equal(fclose(f), 0);
        assert_int_equal(reason_of(text, NULL), REASON_LIMIT);
}

static void what_is_no_order_is_none(void **state) {
        _cleanup_free_ char *text = bundles_two(1);

        (void) state;
        assert_int_equal(reason_of("", NULL), REASON_MALFORMED);
        assert_int_equal(reason_of("\n\n", NULL), REASON_MALFORMED);
        assert_int_equal(reason_of("{}", NULL), REASON_MALFORMED);
        assert_int_equal(reason_of("{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.freezed.trust.v1+json\","
                                   "\"signatures\":[]}",
                                   NULL),
                         REASON_TYPE);
        text[strlen(text) - 10] = '\0';
        assert_int_not_equal(reason_of(text, NULL), REASON_NONE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_signed_order_is_a_bundle),
                cmocka_unit_test(waves_of_one_order_are_a_bundle_as_they_were_signed),
                cmocka_unit_test(orders_that_are_not_waves_of_one_are_none),
                cmocka_unit_test(more_waves_than_there_can_be_are_none),
                cmocka_unit_test(what_is_no_order_is_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
