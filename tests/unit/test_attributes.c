/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fleet.h"

static char *text_of(const struct attributes *a) {
        char *json = NULL;

        assert_int_equal(attributes_to_json(a, &json), 0);
        return json;
}

static enum reason reason_of(const char *json) {
        struct attributes a = { .n = -7 };
        enum reason reason = _REASON_MAX;

        assert_int_equal(attributes_parse((const uint8_t *) json, strlen(json), &a, &reason), 0);
        assert_int_equal(reason != REASON_NONE, a.n == -7);
        return reason;
}

static void what_is_written_is_read_back(void **state) {
        const struct attributes a = fleet_host();
        _cleanup_free_ char *json = text_of(&a);
        struct attributes back;
        enum reason reason;

        (void) state;
        assert_int_equal(attributes_parse((const uint8_t *) json, strlen(json), &back, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        assert_memory_equal(&back, &a, sizeof(a));
        assert_true(attributes_is_of(&back, "eu") && attributes_is_of(&back, "web"));
        assert_false(attributes_is_of(&back, "") || attributes_is_of(&back, "we") || attributes_is_of(&back, "webs"));
}

static void every_member_has_to_be_right(void **state) {
        static const struct {
                const char *from, *to;
                enum reason reason;
        } rows[] = {
                { "\"v\":1", "\"v\":2", REASON_VERSION },
                { "\"v\":1", "\"v\":1,\"x\":1", REASON_FIELD },
                { "\"v\":1", "\"v\":1,\"v\":1", REASON_MALFORMED },
                { "\"fleet\":\"prod\"", "\"fleet\":\"Prod\"", REASON_SCHEMA },
                { "\"fleet\":\"prod\",", "", REASON_SCHEMA },
                { "\"host\":\"SHA256:", "\"host\":\"sha256:", REASON_SCHEMA },
                { "\"name\":\"web-17\"", "\"name\":\"web 17\"", REASON_SCHEMA },
                { "\"name\":\"web-17\"", "\"name\":\"\"", REASON_SCHEMA },
                { "\"name\":\"web-17\"", "\"name\":\"../17\"", REASON_SCHEMA },
                { "\"n\":3", "\"n\":0", REASON_SCHEMA },
                { "\"n\":3", "\"n\":-1", REASON_SCHEMA },
                { "\"n\":3", "\"n\":9007199254740991", REASON_NONE },
                { "\"n\":3", "\"n\":9007199254740992", REASON_SCHEMA },
                { "\"n\":3", "\"n\":\"3\"", REASON_SCHEMA },
                { "[\"eu\",\"web\"]", "[]", REASON_NONE },
                { "[\"eu\",\"web\"]", "{}", REASON_SCHEMA },
                { "[\"eu\",\"web\"]", "\"web\"", REASON_SCHEMA },
                { "[\"eu\",\"web\"]", "[\"eu\",\"eu\"]", REASON_SCHEMA },
                { "[\"eu\",\"web\"]", "[\"eu\",7]", REASON_SCHEMA },
                { "[\"eu\",\"web\"]", "[\"eu\",\"\"]", REASON_SCHEMA },
                { "[\"eu\",\"web\"]", "[\"eu\",\"*\"]", REASON_SCHEMA },
                { "[\"eu\",\"web\"]", "[\"eu\",\"w.>\"]", REASON_SCHEMA },
                { "\"key\":\"ssh-ed25519 ", "\"key\":\"ssh-rsa ", REASON_SCHEMA },
        };
        const struct attributes a = fleet_host();
        _cleanup_free_ char *json = text_of(&a);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *changed = with(json, rows[i].from, rows[i].to);

                if (reason_of(changed) != rows[i].reason)
                        fail_msg("%s instead of %s: %s", reason_id(reason_of(changed)), reason_id(rows[i].reason),
                                 changed);
        }
        assert_int_equal(reason_of("[]"), REASON_SCHEMA);
}

/* Else somebody who is certified could say that another host is he. */
static void a_key_that_is_not_the_hosts_is_refused(void **state) {
        const struct attributes a = fleet_host();
        struct attributes other = a;
        const uint8_t pub[32] = { 8 };
        char mine[SSHKEY_ID_SIZE], its[SSHKEY_ID_SIZE];

        (void) state;
        sshkey_from_raw(pub, &other.key);
        sshkey_id_to_str(a.key.id, mine);
        sshkey_id_to_str(other.key.id, its);
        _cleanup_free_ char *json = text_of(&a), *forged = with(json, mine, its);
        assert_int_equal(reason_of(forged), REASON_SCHEMA);
}

static void there_are_no_more_groups_than_fit(void **state) {
        struct attributes a = fleet_host();

        (void) state;
        for (a.n_groups = 0; a.n_groups < ATTRIBUTES_GROUPS_MAX; a.n_groups++)
                (void) snprintf(a.groups[a.n_groups], sizeof(a.groups[0]), "g%zu", a.n_groups);
        _cleanup_free_ char *json = text_of(&a), *more = with(json, "\"g0\"", "\"g0\",\"g99\"");
        assert_int_equal(reason_of(json), REASON_NONE);
        assert_int_equal(reason_of(more), REASON_SCHEMA);
}

static void what_could_not_be_read_back_is_not_written(void **state) {
        struct attributes made[6];
        char untouched, *json = &untouched;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(made); i++)
                made[i] = fleet_host();
        made[0].n = 0;
        made[1].n_groups = ATTRIBUTES_GROUPS_MAX + 1;
        strcpy(made[2].groups[1], "eu");
        memset(made[3].name, 'a', sizeof(made[3].name));
        made[4].key.id[0] ^= 1;
        strcpy(made[5].fleet, "Prod");
        for (size_t i = 0; i < ELEMENTSOF(made); i++) {
                assert_int_equal(attributes_to_json(&made[i], &json), -EINVAL);
                assert_ptr_equal(json, &untouched);
        }
}

static enum reason verified(const struct trust *t, enum dsse_type type, const struct attributes *a, unsigned int by) {
        _cleanup_free_ char *json = text_of(a);
        _cleanup_(dsse_done) struct dsse d = people_sign(type, type, json, strlen(json), by);
        struct attributes got = { .n = -7 };
        enum reason reason = _REASON_MAX;

        assert_int_equal(attributes_verify(t, &d, &got, &reason), 0);
        assert_int_equal(reason != REASON_NONE, got.n == -7);
        return reason;
}

static void only_a_registrar_certifies(void **state) {
        struct attributes a = fleet_host();
        struct trust t;

        (void) state;
        fleet_trust(TRUST_REGISTRAR_ROLE, &t);
        assert_int_equal(verified(&t, DSSE_ATTRIBUTES, &a, BY(BOT)), REASON_NONE);
        assert_int_equal(verified(&t, DSSE_ATTRIBUTES, &a, BY(BOT) | BY(STRANGER)), REASON_NONE);
        assert_int_equal(verified(&t, DSSE_ATTRIBUTES, &a, BY(ALICE) | BY(BOB) | BY(DAVE)), REASON_ROLE);
        assert_int_equal(verified(&t, DSSE_ATTRIBUTES, &a, BY(STRANGER)), REASON_UNTRUSTED);
        assert_int_equal(verified(&t, DSSE_ATTRIBUTES, &a, 0), REASON_UNTRUSTED);
        assert_int_equal(verified(NULL, DSSE_ATTRIBUTES, &a, BY(BOT)), REASON_NO_TRUST);
        assert_int_equal(verified(&t, DSSE_COMMAND, &a, BY(BOT)), REASON_TYPE);
        strcpy(a.fleet, "test");
        assert_int_equal(verified(&t, DSSE_ATTRIBUTES, &a, BY(BOT)), REASON_FLEET);

        /* where nobody is one, nobody is */
        a = fleet_host();
        fleet_trust(TRUST_HERALD_ROLE, &t);
        assert_int_equal(verified(&t, DSSE_ATTRIBUTES, &a, BY(BOT)), REASON_ROLE);
}

static void what_was_signed_as_a_command_certifies_nothing(void **state) {
        const struct attributes a = fleet_host();
        _cleanup_free_ char *json = text_of(&a);
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_ATTRIBUTES, DSSE_COMMAND, json, strlen(json), BY(BOT));
        struct attributes got;
        struct trust t;
        enum reason reason;

        (void) state;
        fleet_trust(TRUST_REGISTRAR_ROLE, &t);
        assert_int_equal(attributes_verify(&t, &d, &got, &reason), 0);
        assert_int_equal(reason, REASON_SIGNATURE);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_written_is_read_back),
                cmocka_unit_test(every_member_has_to_be_right),
                cmocka_unit_test(a_key_that_is_not_the_hosts_is_refused),
                cmocka_unit_test(there_are_no_more_groups_than_fit),
                cmocka_unit_test(what_could_not_be_read_back_is_not_written),
                cmocka_unit_test(only_a_registrar_certifies),
                cmocka_unit_test(what_was_signed_as_a_command_certifies_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
