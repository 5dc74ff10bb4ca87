/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/schema.h"
#include "policy/sshkey.h"
#include "policy/subject.h"

#define FINGERPRINT "SHA256:+/+/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HOST        "-_-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ID          "00112233445566778899aabbccddeeff"

static struct subject make(enum subject_kind kind, const char *fleet, const char *group, bool host, const char *id) {
        struct subject s = { .kind = kind };

        memcpy(s.fleet, fleet, strlen(fleet) + 1);
        memcpy(s.group, group, strlen(group) + 1);
        if (host)
                assert_int_equal(sshkey_id_from_str(FINGERPRINT, s.host), 0);
        if (id)
                assert_int_equal(command_id_from_str(id, &s.id), 0);
        return s;
}

static void every_subject_is_written_and_read_back(void **state) {
        const struct {
                struct subject s;
                const char *text, *pattern;
        } rows[] = {
                { make(SUBJECT_CMD_ALL, "prod", "", false, ID), "frz.v1.prod.cmd.all." ID, "frz.v1.prod.cmd.all.*" },
                { make(SUBJECT_CMD_GROUP, "prod", "eu.web", false, ID), "frz.v1.prod.cmd.group.eu~web." ID,
                  "frz.v1.prod.cmd.group.eu~web.*" },
                { make(SUBJECT_CMD_HOST, "a.b", "", true, ID), "frz.v1.a~b.cmd.host." HOST "." ID,
                  "frz.v1.a~b.cmd.host." HOST ".*" },
                { make(SUBJECT_HEAD, "head", "", false, NULL), "frz.v1.head.head", NULL },
                { make(SUBJECT_ASK_ALL, "prod", "", false, NULL), "frz.v1.prod.ask.all", NULL },
                { make(SUBJECT_ASK_HOST, "prod", "", true, NULL), "frz.v1.prod.ask.host." HOST, NULL },
                { make(SUBJECT_RSP, "prod", "", true, ID), "frz.v1.prod.rsp." HOST "." ID,
                  "frz.v1.prod.rsp." HOST ".*" },
                { make(SUBJECT_SIGN, "prod", "", false, ID), "frz.v1.prod.sign." ID, "frz.v1.prod.sign.*" },
        };
        char text[SUBJECT_SIZE];
        struct subject s;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(subject_build(&rows[i].s, text), 0);
                assert_string_equal(text, rows[i].text);
                assert_int_equal(subject_parse(text, strlen(text), &s), 0);
                assert_memory_equal(&s, &rows[i].s, sizeof(s));
                s.id = (struct command_id) {};
                assert_int_equal(subject_pattern(&s, text), rows[i].pattern ? 0 : -EINVAL);
                if (rows[i].pattern)
                        assert_string_equal(text, rows[i].pattern);
        }
}

static void what_has_no_id_has_a_version_or_is_attributes(void **state) {
        struct subject trust = make(SUBJECT_TRUST, "prod", "", false, NULL), s;
        struct subject mine = make(SUBJECT_CMD_HOST, "prod", "", true, NULL);
        char text[SUBJECT_SIZE];

        (void) state;
        assert_int_equal(subject_build(&trust, text), -EINVAL);
        assert_int_equal(subject_pattern(&trust, text), 0);
        assert_string_equal(text, "frz.v1.prod.trust.*");
        trust.version = SCHEMA_INT_MAX;
        assert_int_equal(subject_pattern(&trust, text), -EINVAL);
        assert_int_equal(subject_build(&trust, text), 0);
        assert_string_equal(text, "frz.v1.prod.trust.9007199254740991");
        assert_int_equal(subject_parse(text, strlen(text), &s), 0);
        assert_memory_equal(&s, &trust, sizeof(s));
        trust.version++;
        assert_int_equal(subject_build(&trust, text), -EINVAL);

        mine.attributes = true;
        assert_int_equal(subject_build(&mine, text), 0);
        assert_string_equal(text, "frz.v1.prod.cmd.host." HOST ".attributes");
        assert_int_equal(subject_parse(text, strlen(text), &s), 0);
        assert_memory_equal(&s, &mine, sizeof(s));
        mine.id.b[0] = 1;
        assert_int_equal(subject_build(&mine, text), -EINVAL);
}

static void what_a_kind_does_not_have_is_not_dropped_silently(void **state) {
        struct subject rows[] = {
                make(SUBJECT_CMD_ALL, "prod", "web", false, ID),   make(SUBJECT_CMD_ALL, "prod", "", true, ID),
                make(SUBJECT_CMD_GROUP, "prod", "", false, ID),    make(SUBJECT_CMD_GROUP, "prod", "Web", false, ID),
                make(SUBJECT_CMD_GROUP, "prod", "a~b", false, ID), make(SUBJECT_CMD_ALL, "", "", false, ID),
                make(SUBJECT_CMD_ALL, "Prod", "", false, ID),      make(SUBJECT_CMD_ALL, "a b", "", false, ID),
                make(SUBJECT_CMD_ALL, "*", "", false, ID),         make(SUBJECT_CMD_ALL, "prod", "", false, NULL),
                make(SUBJECT_ASK_ALL, "prod", "", false, ID),      make(SUBJECT_RSP, "prod", "web", true, ID),
                make(_SUBJECT_KIND_MAX, "prod", "", false, NULL),
        };
        char text[SUBJECT_SIZE];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (subject_build(&rows[i], text) != -EINVAL)
                        fail_msg("row %zu: %s", i, text);
}

static void any_other_bytes_are_no_subject(void **state) {
        static const char *const rows[] = {
                "",
                "frz.v1.",
                "frz.v2.prod.head",
                "frz.v1.prod",
                "frz.v1.prod.",
                "frz.v1.prod.heads",
                "frz.v1.prod.head.",
                "frz.v1.prod.head.x",
                "frz.v1..head",
                "frz.v1.pr*d.head",
                "frz.v1.prod.cmd.>",
                "frz.v1.prod.cmd.all",
                "frz.v1.prod.cmd.all.*",
                "frz.v1.prod.cmd.all.attributes",
                "frz.v1.prod.cmd.all.00112233445566778899AABBCCDDEEFF",
                "frz.v1.prod.cmd.all." ID ".x",
                "frz.v1.prod.cmd.all." ID " ",
                "frz.v1.prod.cmd.all.00000000000000000000000000000000",
                "frz.v1.prod.cmd.group.." ID,
                "frz.v1.prod.cmd.group.a.b." ID,
                "frz.v1.prod.cmd.host." ID,
                "frz.v1.prod.cmd.host.-_-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA." ID,
                "frz.v1.prod.cmd.host.-_-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB." ID, /* unused bits */
                "frz.v1.prod.cmd.host.+_-_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA." ID,
                "frz.v1.prod.trust.0",
                "frz.v1.prod.trust.01",
                "frz.v1.prod.trust.-1",
                "frz.v1.prod.trust.+1",
                "frz.v1.prod.trust.1x",
                "frz.v1.prod.trust.99999999999999999999",
                "FRZ.v1.prod.head",
                "frz.v1.prod.head\n",
        };
        struct subject s, before;

        (void) state;
        memset(&s, 0x5a, sizeof(s));
        before = s;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (subject_parse(rows[i], strlen(rows[i]), &s) != -EINVAL)
                        fail_msg("taken: %s", rows[i]);
        assert_int_equal(subject_parse("frz.v1.prod.head\0x", 18, &s), -EINVAL);
        assert_memory_equal(&s, &before, sizeof(s));
}

static void the_longest_subject_fits_and_one_more_does_not(void **state) {
        struct subject s = make(SUBJECT_CMD_GROUP, "f", "g", false, ID), back;
        char text[SUBJECT_SIZE + 1];

        (void) state;
        memset(s.fleet, 'f', COMMAND_FLEET_MAX);
        memset(s.group, 'g', COMMAND_FLEET_MAX);
        assert_int_equal(subject_build(&s, text), 0);
        assert_int_equal(subject_parse(text, strlen(text), &back), 0);
        assert_memory_equal(&back, &s, sizeof(s));
        assert_int_equal(subject_stream("CMD", s.fleet, text), 0);
        assert_int_equal(strlen(text), 8 + COMMAND_FLEET_MAX);
        memset(text, 'x', sizeof(text));
        memcpy(text, "frz.v1.", 7);
        assert_int_equal(subject_parse(text, sizeof(text), &back), -EINVAL);
}

static void a_stream_is_named_by_its_fleet(void **state) {
        char text[SUBJECT_SIZE];

        (void) state;
        assert_int_equal(subject_stream("CMD", "eu.prod", text), 0);
        assert_string_equal(text, "FRZ_CMD_eu~prod");
        assert_int_equal(subject_stream("RSP", "prod", text), 0);
        assert_string_equal(text, "FRZ_RSP_prod");
        assert_int_equal(subject_stream("RSP", "a b", text), -EINVAL);
        subject_inbox(make(SUBJECT_RSP, "prod", "", true, ID).host, text);
        assert_string_equal(text, "_INBOX." HOST ".*");
}

static void all_answers_to_one_command_are_one_pattern(void **state) {
        const struct subject answer = make(SUBJECT_RSP, "eu.prod", "", true, ID);
        const struct command_id none = { { 0 } };
        char text[SUBJECT_SIZE], untouched[SUBJECT_SIZE] = "x";

        (void) state;
        assert_int_equal(subject_answers("eu.prod", &answer.id, text), 0);
        assert_string_equal(text, "frz.v1.eu~prod.rsp.*." ID);
        assert_int_equal(subject_answers("eu.prod", NULL, text), 0);
        assert_string_equal(text, "frz.v1.eu~prod.rsp.*.attributes");
        assert_int_equal(subject_attributes("eu.prod", text), 0);
        assert_string_equal(text, "frz.v1.eu~prod.cmd.host.*.attributes");
        assert_int_equal(subject_answers("eu prod", &answer.id, untouched), -EINVAL);
        assert_int_equal(subject_answers("", &answer.id, untouched), -EINVAL);
        assert_int_equal(subject_answers("", NULL, untouched), -EINVAL);
        assert_int_equal(subject_attributes("eu prod", untouched), -EINVAL);
        assert_int_equal(subject_answers("prod", &none, untouched), -EINVAL);
        assert_string_equal(untouched, "x");
}

static void an_order_goes_where_it_is_addressed(void **state) {
        uint8_t hosts[2][32] = { { 7 }, { 8 } };
        struct command c = { .fleet = "prod", .group = "web", .hosts = hosts, .n_hosts = 1 };
        char text[SUBJECT_SIZE];
        struct subject s;

        (void) state;
        assert_int_equal(command_id_from_str(ID, &c.id), 0);
        assert_int_equal(subject_command(&c, text), 0);
        assert_int_equal(subject_parse(text, strlen(text), &s), 0);
        assert_int_equal(s.kind, SUBJECT_CMD_HOST);
        assert_memory_equal(s.host, hosts[0], 32);
        assert_true(command_id_equal(&s.id, &c.id));
        c.to = COMMAND_TO_GROUP;
        assert_int_equal(subject_command(&c, text), 0);
        assert_string_equal(text, "frz.v1.prod.cmd.group.web." ID);
        c.to = COMMAND_TO_ALL;
        assert_int_equal(subject_command(&c, text), 0);
        assert_string_equal(text, "frz.v1.prod.cmd.all." ID);
        c.to = COMMAND_TO_HOSTS;
        c.n_hosts = 2;
        assert_int_equal(subject_command(&c, text), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_subject_is_written_and_read_back),
                cmocka_unit_test(what_has_no_id_has_a_version_or_is_attributes),
                cmocka_unit_test(what_a_kind_does_not_have_is_not_dropped_silently),
                cmocka_unit_test(any_other_bytes_are_no_subject),
                cmocka_unit_test(the_longest_subject_fits_and_one_more_does_not),
                cmocka_unit_test(a_stream_is_named_by_its_fleet),
                cmocka_unit_test(all_answers_to_one_command_are_one_pattern),
                cmocka_unit_test(an_order_goes_where_it_is_addressed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
