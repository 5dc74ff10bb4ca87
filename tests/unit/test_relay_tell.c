/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/tell.c agent/util/clock.c agent/util/io.c agent/util/log.c agent/util/fault.c */

/* What the relay says of itself in its state file. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/relay/tell.h"
#include "lib/scratch.h"

static json_t *said(struct tell *t, struct scratch *dir) {
        t->dir = dir->path;
        tell_now(t, NULL);
        json_t *o = json_load_file(scratch_path(dir, "state.json"), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(o);
        return o;
}

static void who_is_away_for_longer_than_a_minute_is_cut_off(void **state) {
        struct scratch dir;
        struct tell t = { .since_ms = 0 };

        (void) state;
        scratch_make(&dir);
        assert_int_equal(tell_down(0), TELL_CONNECTING);
        assert_int_equal(tell_down(TELL_CUT_OFF_US), TELL_CONNECTING);
        assert_int_equal(tell_down(TELL_CUT_OFF_US + 1), TELL_CUT_OFF);
        assert_true(tell_set(&t, tell_down(1), ""));
        assert_false(tell_set(&t, tell_down(TELL_CUT_OFF_US), ""));
        assert_true(tell_set(&t, tell_down(2 * TELL_CUT_OFF_US), ""));
        _cleanup_json_ json_t *o = said(&t, &dir);
        assert_string_equal(json_string_value(json_object_get(o, "state")), "cut-off");
        assert_true(json_integer_value(json_object_get(o, "since_ms")) > 0);
        scratch_remove(&dir);
}

static void what_is_withheld_is_said_by_its_id(void **state) {
        struct tell t = { .n_withheld = 2, .withheld = { { { 0x0b, 0xad } }, { { 0xff } } } };
        struct scratch dir;

        (void) state;
        scratch_make(&dir);
        _cleanup_json_ json_t *o = said(&t, &dir), *list = json_incref(json_object_get(o, "withheld"));
        assert_int_equal(json_array_size(list), 2);
        assert_string_equal(json_string_value(json_array_get(list, 0)), "0bad0000000000000000000000000000");
        assert_string_equal(json_string_value(json_array_get(list, 1)), "ff000000000000000000000000000000");
        t.n_withheld = 0;
        _cleanup_json_ json_t *none = said(&t, &dir);
        assert_int_equal(json_array_size(json_object_get(none, "withheld")), 0);
        scratch_remove(&dir);
}

static void what_a_server_said_ends_no_line(void **state) {
        struct tell t = { .since_ms = 0 };

        (void) state;
        tell_text(t.why, sizeof(t.why), "a\nb\x1b[31m\xff");
        assert_string_equal(t.why, "a?b?[31m?");
        assert_true(tell_set(&t, TELL_DEAF, "cmd\nSTATUS=fine"));
        assert_string_equal(t.subject, "cmd?STATUS=fine");
}

static void what_was_refused_is_what_the_server_has_in_quotes(void **state) {
        static const struct {
                const char *said, *subject;
                enum tell_state is;
        } rows[] = {
                { "Permissions Violation for Subscription to \"frz.v1.prod.head\"", "frz.v1.prod.head", TELL_DEAF },
                { "Permissions Violation for Subscription to \"a\" using queue \"q\"", "a", TELL_DEAF },
                { "Permissions Violation for Publish to \"$JS.API.INFO\"", "$JS.API.INFO", TELL_MUTE },
                { "Permissions Violation for Publish to \"a", "", TELL_MUTE },
                { "Permissions Violation", "", TELL_MUTE },
                { "", "", TELL_MUTE },
        };
        char subject[SUBJECT_SIZE], said[2 * SUBJECT_SIZE] = "\"";

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(tell_denied(rows[i].said, subject), rows[i].is);
                assert_string_equal(subject, rows[i].subject);
        }
        memset(said + 1, 'x', sizeof(said) - 3);
        said[sizeof(said) - 2] = '"';
        (void) tell_denied(said, subject);
        assert_int_equal(strlen(subject), SUBJECT_SIZE - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_is_away_for_longer_than_a_minute_is_cut_off),
                cmocka_unit_test(what_is_withheld_is_said_by_its_id),
                cmocka_unit_test(what_a_server_said_ends_no_line),
                cmocka_unit_test(what_was_refused_is_what_the_server_has_in_quotes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
