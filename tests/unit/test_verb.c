/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cleanup.h"
#include "policy/verb.h"

static void verb_ids_lead_back_to_their_verbs(void **state) {
        (void) state;
        for (size_t i = 0; i < _VERB_MAX; i++) {
                enum verb v = _VERB_MAX;

                assert_true(verb_from_id(verb_info((enum verb) i)->id, &v));
                assert_int_equal(v, i);
                assert_true(strlen(verb_info((enum verb) i)->text) > 0);
        }
}

static void verb_refuses_what_is_not_in_the_table(void **state) {
        static const char *const ids[] = { "",       "Contain",  "CONTAIN", "contain ", " contain",
                                           "contai", "contains", "thaw",    "none" };
        enum verb v = VERB_EXTEND;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                assert_false(verb_from_id(ids[i], &v));
                assert_int_equal(v, VERB_EXTEND);
        }
}

static void verb_classes_say_what_each_verb_does(void **state) {
        static const struct {
                enum verb verb;
                enum verb_class cls;
                bool isolates, freezes, snapshots;
        } rows[] = {
                { VERB_CONTAIN, VERB_CLASS_STOP, true, true, true },
                { VERB_ISOLATE, VERB_CLASS_STOP, true, false, false },
                { VERB_FREEZE, VERB_CLASS_STOP, false, true, false },
                { VERB_SNAPSHOT, VERB_CLASS_OBSERVE, false, false, true },
                { VERB_EXTEND, VERB_CLASS_EXTEND, false, false, false },
                { VERB_RELEASE, VERB_CLASS_RELEASE, false, false, false },
                { VERB_EVIDENCE_HOLD, VERB_CLASS_KEEP, false, false, false },
                { VERB_EVIDENCE_UNHOLD, VERB_CLASS_DROP, false, false, false },
                { VERB_EVIDENCE_DELETE, VERB_CLASS_DROP, false, false, false },
        };

        (void) state;
        assert_int_equal(ELEMENTSOF(rows), _VERB_MAX);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct verb_info *info = verb_info(rows[i].verb);

                assert_int_equal(info->cls, rows[i].cls);
                assert_int_equal(info->isolates, rows[i].isolates);
                assert_int_equal(info->freezes, rows[i].freezes);
                assert_int_equal(info->snapshots, rows[i].snapshots);
        }
}

static void verb_stops_exactly_what_it_can_later_release(void **state) {
        (void) state;
        for (size_t i = 0; i < _VERB_MAX; i++) {
                const struct verb_info *info = verb_info((enum verb) i);

                assert_int_equal(info->cls == VERB_CLASS_STOP, info->isolates || info->freezes);
        }
}

static void verb_lets_go_only_of_what_has_an_id(void **state) {
        (void) state;
        for (size_t i = 0; i < _VERB_MAX; i++) {
                const enum verb_class cls = verb_info((enum verb) i)->cls;

                assert_true(!verb_class_lets_go(cls) || verb_class_is_of_holds(cls));
        }
        assert_true(verb_class_lets_go(VERB_CLASS_RELEASE));
        assert_true(verb_class_lets_go(VERB_CLASS_DROP));
        assert_false(verb_class_lets_go(VERB_CLASS_KEEP));
        assert_false(verb_class_is_of_holds(VERB_CLASS_OBSERVE));
}

static void target_class_ids_lead_back_to_their_classes(void **state) {
        enum target_class c = _TARGET_MAX;

        (void) state;
        for (size_t i = 0; i < _TARGET_MAX; i++) {
                assert_true(target_class_from_id(target_class_id((enum target_class) i), &c));
                assert_int_equal(c, i);
        }
        assert_false(target_class_from_id("pod", &c));
        assert_false(target_class_from_id("Unit", &c));
        assert_false(target_class_from_id("", &c));
        assert_int_equal(c, _TARGET_MAX - 1);
}

static void severity_takes_either_vocabulary(void **state) {
        static const struct {
                const char *id;
                enum severity severity;
        } rows[] = {
                { "P0", SEVERITY_P0 },     { "P1", SEVERITY_P1 },       { "P2", SEVERITY_P2 },
                { "P3", SEVERITY_P3 },     { "Critical", SEVERITY_P0 }, { "critical", SEVERITY_P0 },
                { "HIGH", SEVERITY_P1 },   { "hIgH", SEVERITY_P1 },     { "medium", SEVERITY_P2 },
                { "MEDIUM", SEVERITY_P2 }, { "Low", SEVERITY_P3 },      { "lOW", SEVERITY_P3 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                enum severity s = _SEVERITY_MAX;

                assert_true(severity_from_id(rows[i].id, &s));
                assert_int_equal(s, rows[i].severity);
        }
}

static void severity_is_always_written_as_one_vocabulary(void **state) {
        static const char *const ids[] = { "P0", "P1", "P2", "P3" };

        (void) state;
        assert_int_equal(ELEMENTSOF(ids), _SEVERITY_MAX);
        for (size_t i = 0; i < _SEVERITY_MAX; i++)
                assert_string_equal(severity_id((enum severity) i), ids[i]);
}

static void severity_refuses_what_is_in_neither_vocabulary(void **state) {
        static const char *const ids[] = { "",          "p0", "P4",   "P",        "P00",   "Crit",   "Criticals",
                                           "critical ", "0",  "lows", "[ritical", "h\tgh", "HIGH\n", "medIum\xc4\xb1" };
        enum severity s = SEVERITY_P2;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                assert_false(severity_from_id(ids[i], &s));
                assert_int_equal(s, SEVERITY_P2);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(verb_ids_lead_back_to_their_verbs),
                cmocka_unit_test(verb_refuses_what_is_not_in_the_table),
                cmocka_unit_test(verb_classes_say_what_each_verb_does),
                cmocka_unit_test(verb_stops_exactly_what_it_can_later_release),
                cmocka_unit_test(verb_lets_go_only_of_what_has_an_id),
                cmocka_unit_test(target_class_ids_lead_back_to_their_classes),
                cmocka_unit_test(severity_takes_either_vocabulary),
                cmocka_unit_test(severity_is_always_written_as_one_vocabulary),
                cmocka_unit_test(severity_refuses_what_is_in_neither_vocabulary),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
