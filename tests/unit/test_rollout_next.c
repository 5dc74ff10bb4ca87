/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/rollout_send.c ctl/text.c ctl/why.c */

/* What comes while answers are waited for, and is none; and what is said when they are there. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/rollout.h"
#include "ctl/times.h"

static struct ctl ctl;
static struct rollout *r;
/* nothing, for as long as it is waited for */
#define NOTHING _CARRIER_KIND_MAX
#define ANSWER  "frz.v1.test.rsp.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.01000000000000000000000000000000"

static struct trust trust = { .fleet = "test" };
static const enum carrier_kind *kinds;
static size_t n_kinds, n_heard;
static bool is_over = true;
static int64_t now_ms = 1;

int carrier_next(struct carrier *c, int timeout_ms, struct carrier_event **ret) {
        (void) c;
        *ret = n_kinds > 0 && *kinds != NOTHING ? calloc(1, sizeof(**ret) + 1) : NULL;
        if (*ret) {
                (*ret)->kind = *kinds;
                (void) snprintf((*ret)->subject, sizeof((*ret)->subject), "%s", ANSWER);
        } else
                now_ms += timeout_ms;
        if (n_kinds > 0) {
                kinds++;
                n_kinds--;
        }
        return 0;
}

int carrier_failed(struct carrier *c, int e, struct why *w) {
        (void) c;
        return why_errno(w, e, "the broker");
}

int carrier_hear(struct carrier *c, const char *subject) {
        (void) c, (void) subject;
        return 0;
}

/* How many answers were heard before each, and where it was said. */
static struct {
        size_t heard;
        char subject[CARRIER_SUBJECT_SIZE];
} says[8];
static size_t n_says, says_permitted = SIZE_MAX;

int carrier_permitted(struct carrier *c, struct why *w) {
        (void) c;
        return n_says <= says_permitted ? 0 : why_set(w, CTL_MACHINE, "not permitted");
}

int carrier_say(struct carrier *c, const char *subject, const char *reply, const char *text, size_t n) {
        (void) c, (void) reply, (void) text, (void) n;
        assert_true(n_says < ELEMENTSOF(says));
        says[n_says].heard = n_heard;
        (void) snprintf(says[n_says++].subject, sizeof(says->subject), "%s", subject);
        return 0;
}

int rollout_certify_say(const struct rollout *x) {
        (void) x;
        return 0;
}

bool rollout_takes_places(const struct rollout *x) {
        (void) x;
        return true;
}

static bool is_taken;

bool rollout_is_taken(const struct rollout *x) {
        (void) x;
        return is_taken;
}

void rollout_progress(struct rollout *x, struct rollout_wave *w, bool last) {
        (void) x, (void) w, (void) last;
}

int rollcall_add(struct rollcall *c, const struct rollcall_message *v, size_t n,
                 const struct rollcall_entry **ret_changed) {
        (void) c, (void) v, (void) ret_changed;
        n_heard += n;
        return 0;
}

bool rollcall_is_over(const struct rollcall *c) {
        (void) c;
        return is_over;
}

int64_t mono_ms(void) {
        return now_ms;
}

static int begin(void **state) {
        (void) state;
        r = calloc(1, sizeof(*r));
        if (r)
                r->c = &ctl;
        return r ? 0 : -1;
}

static int end(void **state) {
        (void) state;
        free(r);
        return 0;
}

/* Else they would be silent, and nobody the wiser. */
static void that_answers_were_lost_is_counted_and_the_next_one_taken(void **state) {
        static const enum carrier_kind come[] = { CARRIER_LOST, CARRIER_LOST, CARRIER_MESSAGE, CARRIER_LOST };
        struct carrier_event *e = NULL;

        (void) state;
        kinds = come;
        n_kinds = ELEMENTSOF(come);
        assert_int_equal(rollout_next(r, 1000, &e), 0);
        assert_non_null(e);
        assert_int_equal(e->kind, CARRIER_MESSAGE);
        assert_int_equal(r->lost, 2);
        free(e);
        e = NULL;
        assert_int_equal(rollout_next(r, 1000, &e), 0);
        assert_null(e);
        assert_int_equal(r->lost, 3);
}

/* To all, and listens for a second. */
static void send_it(struct command *c, const enum carrier_kind *come, size_t n) {
        kinds = come;
        n_kinds = n;
        n_heard = n_says = 0;
        is_over = false;
        ctl.opt.timeout_ms = 1000;
        r->trust = &trust;
        r->cmd = c;
        r->to.to.to = COMMAND_TO_ALL;
        r->placed = false;
        r->n_waves = 1;
        r->waves[0].id = (struct command_id) { { 1 } };
        r->waves[0].text = (char[]) { "order" };
        int x = rollout_send(r, &r->waves[0]);
        assert_int_equal(x, n_says <= says_permitted ? 0 : CTL_MACHINE);
        is_over = true;
}

/* The others wait where those were lost, and the time is over. */
static void who_answered_behind_what_was_lost_is_heard(void **state) {
        static const enum carrier_kind come[] = { NOTHING, CARRIER_LOST, NOTHING, CARRIER_MESSAGE, CARRIER_MESSAGE };
        struct command command = { .to = COMMAND_TO_ALL };

        (void) state;
        send_it(&command, come, ELEMENTSOF(come));
        assert_int_equal(n_heard, 2);
}

/* What hosts refuse must keep the order from nobody. */
static void a_release_takes_the_place_of_its_orders_when_hosts_have_taken_it(void **state) {
        static const enum carrier_kind come[] = { CARRIER_MESSAGE };
        static struct target hold;
        struct command command = { .to = COMMAND_TO_ALL, .verb = VERB_RELEASE, .targets = &hold, .n_targets = 1 };

        (void) state;
        assert_int_equal(target_from_str("hold:02000000000000000000000000000000", &hold), 0);
        is_taken = true;
        send_it(&command, come, 1);
        assert_int_equal(n_says, 2);
        assert_string_equal(says[0].subject, "frz.v1.test.cmd.all.01000000000000000000000000000000");
        assert_string_equal(says[1].subject, "frz.v1.test.cmd.all.02000000000000000000000000000000");
        assert_int_equal(says[1].heard, 1);
        assert_true(r->placed);
        is_taken = false;
        send_it(&command, come, 1);
        assert_int_equal(n_says, 1);
        assert_false(r->placed);
        is_taken = true;
        says_permitted = 1;
        send_it(&command, come, 1);
        assert_int_equal(n_says, 2);
        assert_false(r->placed);
        says_permitted = SIZE_MAX;
        command.step = true;
        send_it(&command, come, 1);
        assert_int_equal(n_says, 1);
        command.step = false;
        command.plan = true;
        send_it(&command, come, 1);
        assert_int_equal(n_says, 1);
        command = (struct command) { .to = COMMAND_TO_ALL, .verb = VERB_EXTEND, .targets = &hold, .n_targets = 1 };
        send_it(&command, come, 1);
        assert_int_equal(n_says, 1);
        assert_false(r->placed);
}

static void what_ends_it_is_an_exit_code(void **state) {
        static const enum carrier_kind come[] = { CARRIER_LOST, CARRIER_CLOSED, CARRIER_DENIED };
        struct carrier_event *e = NULL;

        (void) state;
        kinds = come;
        n_kinds = ELEMENTSOF(come);
        assert_int_equal(rollout_next(r, 1000, &e), CTL_MACHINE);
        assert_int_equal(rollout_next(r, 1000, &e), CTL_MACHINE);
        assert_null(e);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(that_answers_were_lost_is_counted_and_the_next_one_taken),
                cmocka_unit_test(who_answered_behind_what_was_lost_is_heard),
                cmocka_unit_test(a_release_takes_the_place_of_its_orders_when_hosts_have_taken_it),
                cmocka_unit_test(what_ends_it_is_an_exit_code),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
