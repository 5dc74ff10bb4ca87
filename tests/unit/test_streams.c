/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/streams.c ctl/member.c ctl/carrier.c ctl/carrier_child.c ctl/carrier_frame.c ctl/file.c ctl/text.c */
/* LINK: ctl/why.c ctl/times.c */

/* The streams of a fleet, made by a real nats-server from what they have to be, and compared with what it says. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/member.h"
#include "ctl/streams.h"
#include "lib/nats_fixture.h"

static struct streams_answer ask(struct carrier *c, const char *what, const char *name, const char *body) {
        struct carrier_event *e = NULL;
        struct streams_answer a;
        char subject[CARRIER_SUBJECT_SIZE];
        struct why w;

        (void) snprintf(subject, sizeof(subject), "$JS.API.STREAM.%s.%s", what, name);
        if (carrier_ask(c, subject, body, strlen(body), &e, &w) != 0)
                fail_msg("%s", w.text);
        streams_read(e->text, e->n, e->status, &a);
        free(e);
        return a;
}

static size_t differ(const json_t *wanted, const json_t *is) {
        _cleanup_json_ json_t *d = streams_differences(wanted, is);

        assert_non_null(d);
        return json_array_size(d);
}

static void what_was_made_is_what_it_has_to_be(void **state) {
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(server.port);

        (void) state;
        for (enum streams_which i = 0; i < _STREAMS_MAX; i++) {
                _cleanup_json_ json_t *wanted = streams_wanted(i, "a.fleet");
                _cleanup_free_ char *body = streams_request(wanted, NULL);
                char name[SUBJECT_SIZE];
                assert_int_equal(streams_name(i, "a.fleet", name), 0);
                struct streams_answer none = ask(c, "INFO", name, ""), made = ask(c, "CREATE", name, body),
                                      info = ask(c, "INFO", name, "");
                assert_int_equal(none.said, STREAMS_NONE);
                assert_int_equal(made.said, STREAMS_IS);
                assert_int_equal(info.said, STREAMS_IS);
                assert_int_equal(differ(wanted, info.config), 0);
                streams_answer_done(&none);
                streams_answer_done(&made);
                streams_answer_done(&info);
        }
}

static void what_somebody_made_otherwise_differs_and_is_brought_in_line(void **state) {
        static const char other[] = "{\"name\":\"FRZ_CMD_other\",\"subjects\":[\"frz.v1.other.head\","
                                    "\"frz.v1.other.cmd.>\"],\"max_age\":60000000000,\"max_msgs\":5,\"description\":"
                                    "\"mine\",\"max_msg_size\":100,\"allow_rollup_hdrs\":true}";
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(server.port);
        _cleanup_json_ json_t *wanted = streams_wanted(STREAMS_CMD, "other");

        (void) state;
        struct streams_answer a = ask(c, "CREATE", "FRZ_CMD_other", other);
        assert_int_equal(a.said, STREAMS_IS);
        /* subjects, max_age, max_msgs, max_msgs_per_subject, max_msg_size, allow_rollup_hdrs, allow_direct */
        assert_int_equal(differ(wanted, a.config), 7);
        _cleanup_free_ char *body = streams_request(wanted, a.config);
        struct streams_answer b = ask(c, "UPDATE", "FRZ_CMD_other", body);
        assert_string_equal(b.text, "");
        assert_int_equal(differ(wanted, b.config), 0);
        assert_string_equal(member_str(b.config, "description"), "mine");
        streams_answer_done(&a);
        streams_answer_done(&b);
}

static void subjects_may_be_in_any_order_and_none_is_too_many(void **state) {
        _cleanup_json_ json_t *wanted = streams_wanted(STREAMS_CMD, "prod"), *is = json_deep_copy(wanted);
        json_t *subjects = json_object_get(is, "subjects");

        (void) state;
        (void) json_array_append_new(subjects, json_incref(json_array_get(subjects, 0)));
        (void) json_array_remove(subjects, 0);
        assert_int_equal(differ(wanted, is), 0);
        (void) json_array_append_new(subjects, json_string("frz.v1.prod.>"));
        assert_int_equal(differ(wanted, is), 1);
        assert_int_equal(differ(wanted, NULL), json_object_size(wanted) - 7);
        (void) json_object_set_new(is, "mirror", json_object());
        assert_int_equal(differ(wanted, is), 2);
}

static void without_jetstream_it_is_off(void **state) {
        struct nats_server other;
        struct streams_answer a;

        (void) state;
        nats_server_start(&other, "accounts { A { users [ { user: x, password: y } ] } }\nno_auth_user: x\n");
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(other.port);
        a = ask(c, "INFO", "FRZ_CMD_prod", "");
        assert_int_equal(a.said, STREAMS_OFF);
        streams_answer_done(&a);
        nats_server_done(&other);
}

static void whatever_else_is_said_is_an_error(void **state) {
        static const char *const texts[] = { "",
                                             "[]",
                                             "{}",
                                             "{\"config\":1}",
                                             "{\"config\":{},\"error\":{}}",
                                             "{\"error\":{\"code\":500,\"description\":\"no room\"}}",
                                             "\xff" };
        struct streams_answer a;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                streams_read(texts[i], strlen(texts[i]), 0, &a);
                assert_int_equal(a.said, STREAMS_ERROR);
                assert_true(a.text[0]);
                streams_answer_done(&a);
        }
        streams_read("{\"config\":{}}", 13, 404, &a);
        assert_int_equal(a.said, STREAMS_ERROR);
        streams_answer_done(&a);
        assert_null(streams_wanted(STREAMS_CMD, "No Name"));
        assert_null(streams_wanted(STREAMS_RSP, ""));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_was_made_is_what_it_has_to_be),
                cmocka_unit_test(what_somebody_made_otherwise_differs_and_is_brought_in_line),
                cmocka_unit_test(subjects_may_be_in_any_order_and_none_is_too_many),
                cmocka_unit_test(without_jetstream_it_is_off),
                cmocka_unit_test(whatever_else_is_said_is_an_error),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, nats_begin, nats_end);
}
