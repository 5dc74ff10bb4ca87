/* SPDX-License-Identifier: Apache-2.0 */

/* What an order to many hosts is for one of them: groups, parts, and how many its signers may reach. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/decide_world.h"
#include "policy/attributes.h"

static struct attributes in_force;

static int set_up_group(void **state) {
        in_force = (struct attributes) {
                .fleet = "prod", .name = "web-17", .groups = { "eu", "web" }, .n_groups = 2, .n = 1
        };
        if (set_up(state) != 0)
                return -1;
        w.facts.attributes = &in_force;
        w.c.to = COMMAND_TO_GROUP;
        strcpy(w.c.group, "web");
        w.c.max_hosts = 40;
        return 0;
}

static void an_order_to_a_group_is_for_those_that_are_of_it_now(void **state) {
        (void) state;
        expect_go(0);
        strcpy(w.c.group, "eu");
        expect_go(0);
        strcpy(w.c.group, "db");
        expect_refused(REASON_HOST);
        strcpy(in_force.groups[0], "db");
        expect_go(0);
        w.facts.attributes = NULL;
        expect_refused(REASON_HOST);
        w.c.to = COMMAND_TO_ALL;
        expect_go(0);
}

/* A registrar takes a host that holds something out of the group that was held. */
static void what_was_acted_on_stays_so_when_the_host_has_left_its_group(void **state) {
        (void) state;
        expect_go(0);
        see(1, w.digest);
        strcpy(in_force.groups[1], "www");
        ask();
        assert_int_equal(w.d.kind, DECISION_DUPLICATE);
        strcpy(w.c.reason, "tess");
        expect_refused(REASON_HOST);
        strcpy(w.c.reason, "test");
        w.c.id = id_of(2);
        expect_refused(REASON_HOST);

        const struct command_id buried = id_of(2);
        assert_int_equal(hold_set_bury(w.holds, &buried, w.c.exp_ms), 0);
        expect_refused(REASON_HOST);
}

static void a_wave_is_for_its_part_and_the_next_one_for_the_others(void **state) {
        const uint8_t salt[PLACE_SALT_SIZE] = { 1, 2, 3 };
        const int64_t place = place_get(salt, w.facts.host);

        (void) state;
        w.c.part.is_set = true;
        memcpy(w.c.part.salt, salt, sizeof(salt));
        w.c.part.from = 0;
        w.c.part.below = place;
        expect_refused(REASON_HOST);
        w.c.part.from = place;
        w.c.part.below = PLACE_END;
        expect_go(0);
        w.c.to = COMMAND_TO_ALL;
        expect_go(0);
        w.c.part.from++;
        expect_refused(REASON_HOST);
}

/* Only the part may leave it out: of everything else that keeps it from being done here, people hear. */
static void what_is_for_another_part_is_told_apart_from_what_is_wrong(void **state) {
        const int64_t place = place_get((uint8_t[PLACE_SALT_SIZE]) { 1 }, w.facts.host);

        (void) state;
        w.c.part = (struct place_part) { .is_set = true, .salt = { 1 }, .from = place, .below = place + 1 };
        expect_go(0);
        assert_false(w.d.for_others);
        w.c.part.from++;
        w.c.part.below++;
        expect_refused(REASON_HOST);
        assert_true(w.d.for_others);
        /* it has not come: an order of the same id may be for this host */
        assert_false(w.d.allowed);
        w.c.to = COMMAND_TO_ALL;
        expect_refused(REASON_HOST);
        assert_true(w.d.for_others);

        /* another group's, too */
        w.c.to = COMMAND_TO_GROUP;
        strcpy(w.c.group, "db");
        expect_refused(REASON_HOST);
        assert_false(w.d.for_others);
        strcpy(w.c.group, "web");
        w.facts.attributes = NULL;
        expect_refused(REASON_HOST);
        assert_false(w.d.for_others);
        w.facts.attributes = &in_force;
        /* its signers may not */
        w.by = BY(DAVE);
        expect_refused(REASON_HOST);
        assert_false(w.d.for_others);
        w.by = BY(BOT);
        expect_refused(REASON_HOST);
        assert_false(w.d.for_others);
        w.by = BY(ALICE);
        strcpy(w.c.fleet, "other");
        expect_refused(REASON_FLEET);
        assert_false(w.d.for_others);
}

/* An order that names hosts has no part. */
static void whom_an_order_does_not_name_it_is_not_for(void **state) {
        (void) state;
        w.c.to = COMMAND_TO_HOSTS;
        w.c.max_hosts = 0;
        memset(w.hosts[1], 0x77, sizeof(w.hosts[1]));
        expect_refused(REASON_HOST);
        assert_false(w.d.for_others);
}

/* Whoever is certified as another host is not that host. */
static void a_certificate_does_not_change_which_host_it_is(void **state) {
        (void) state;
        w.c.to = COMMAND_TO_HOSTS;
        expect_go(0);
        memset(in_force.key.id, 0x77, sizeof(in_force.key.id));
        memset(w.hosts[1], 0x77, sizeof(w.hosts[1]));
        expect_refused(REASON_HOST);
}

static struct trust_rule *rule_of(enum verb verb, enum role role) {
        for (size_t i = 0; i < w.trust.n_rules; i++)
                if (w.trust.rules[i].verb == verb && w.trust.rules[i].role == role)
                        return &w.trust.rules[i];
        fail();
        return NULL;
}

static void an_order_reaches_no_more_hosts_than_its_rule_says(void **state) {
        struct trust_rule *rule = rule_of(VERB_CONTAIN, ROLE_RESPONDER);

        (void) state;
        rule->max_hosts = 40;
        expect_go(0);
        rule->max_hosts = 39;
        expect_refused(REASON_TOO_BROAD);
        w.c.to = COMMAND_TO_ALL;
        expect_refused(REASON_TOO_BROAD);
        w.c.max_hosts = 39;
        expect_go(0);
        w.c.to = COMMAND_TO_HOSTS;
        w.c.max_hosts = 0;
        rule->max_hosts = 3;
        expect_go(0);
        rule->max_hosts = 2;
        expect_refused(REASON_TOO_BROAD);
        rule->max_hosts = 0;
        expect_go(0);
}

/* A part does not make it narrower: the promise is of the whole wave. */
static void a_part_counts_as_its_signer_promised(void **state) {
        (void) state;
        rule_of(VERB_CONTAIN, ROLE_RESPONDER)->max_hosts = 39;
        w.c.part = (struct place_part) { .is_set = true, .from = 0, .below = PLACE_END };
        expect_refused(REASON_TOO_BROAD);
        w.c.max_hosts = 39;
        expect_go(0);
}

static void a_wider_rule_of_the_signers_is_taken(void **state) {
        (void) state;
        rule_of(VERB_CONTAIN, ROLE_AUTOMATION)->max_hosts = 5;
        w.by = BY(BOT);
        w.c.lease_ms = BOT_LEASE_MS;
        expect_refused(REASON_TOO_BROAD);
        assert_false(w.d.allowed);
        w.by = BY(BOT) | BY(ALICE);
        expect_go(0);
        assert_true(w.d.allowed);
        assert_false(authorised_automation(w.authorised));
}

/* Of two rules that do not allow it, the one that lacks less is told of. */
static void too_broad_is_told_last(void **state) {
        (void) state;
        rule_of(VERB_CONTAIN, ROLE_AUTOMATION)->max_hosts = 5;
        w.by = BY(BOT);
        expect_refused(REASON_LEASE_REQUIRED);
        w.c.lease_ms = BOT_LEASE_MS;
        expect_refused(REASON_TOO_BROAD);
}

/* Said of what its signers may order, done or not; and of nothing else. */
static void what_is_allowed_is_told_apart_from_what_is_done(void **state) {
        (void) state;
        expect_go(0);
        assert_true(w.d.allowed);
        target_unit("dbus.service");
        expect_refused(REASON_PROTECTED);
        assert_true(w.d.allowed);
        w.by = BY(DAVE);
        expect_refused(REASON_ROLE);
        assert_false(w.d.allowed);
        w.by = BY(ALICE);
        w.facts.attributes = NULL;
        expect_refused(REASON_HOST);
        assert_false(w.d.allowed);
}

int main(void) {
#define GROUP(name) cmocka_unit_test_setup_teardown(name, set_up_group, tear_down)
        static const struct CMUnitTest tests[] = {
                GROUP(an_order_to_a_group_is_for_those_that_are_of_it_now),
                GROUP(what_was_acted_on_stays_so_when_the_host_has_left_its_group),
                GROUP(a_wave_is_for_its_part_and_the_next_one_for_the_others),
                GROUP(what_is_for_another_part_is_told_apart_from_what_is_wrong),
                GROUP(whom_an_order_does_not_name_it_is_not_for),
                GROUP(a_certificate_does_not_change_which_host_it_is),
                GROUP(an_order_reaches_no_more_hosts_than_its_rule_says),
                GROUP(a_part_counts_as_its_signer_promised),
                GROUP(a_wider_rule_of_the_signers_is_taken),
                GROUP(too_broad_is_told_last),
                GROUP(what_is_allowed_is_told_apart_from_what_is_done),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
