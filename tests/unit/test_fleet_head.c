/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/fleet_head.c ctl/fleet_head_hear.c ctl/active.c ctl/seenset.c ctl/trustfile.c ctl/member.c ctl/file.c ctl/text.c ctl/why.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "ctl/catchup.h"
#include "ctl/fleet_head.h"
#include "lib/people.h"
#include "lib/scratch.h"
#include "policy/schema.h"

#define NOW 1795000000000LL
#define DAY (24LL * 3600 * 1000)

static void numbers_rise_with_the_time_and_above_what_was_said(void **state) {
        (void) state;
        assert_int_equal(fleet_head_next(NOW, 0, 0), NOW);
        assert_int_equal(fleet_head_next(NOW, NOW - 15000, 0), NOW);
        assert_int_equal(fleet_head_next(NOW, NOW, 0), NOW + 1);
        /* the clock was put back by an hour */
        assert_int_equal(fleet_head_next(NOW, NOW + DAY / 24, 0), NOW + DAY / 24 + 1);
        assert_int_equal(fleet_head_next(NOW, NOW - 9, NOW + 5000), NOW + 5001);
        assert_int_equal(fleet_head_next(NOW, NOW + 6000, NOW + 5000), NOW + 6001);
}

/* Each begins where the other one is, whichever of them is behind. */
static void two_heralds_never_say_the_same_number_nor_fall_behind(void **state) {
        int64_t said[2] = { 0, 0 }, last = 0;

        (void) state;
        for (int i = 0; i < 100; i++) {
                const int who = i % 3 == 0;
                /* one of them is two minutes behind */
                said[who] = fleet_head_next(NOW + i * 7000 - who * 120000, said[who], last);
                assert_true(said[who] > last);
                last = said[who];
        }
}

static void nobody_is_followed_to_the_last_number(void **state) {
        (void) state;
        assert_int_equal(fleet_head_next(NOW, NOW - 1, SCHEMA_INT_MAX), NOW);
        assert_int_equal(fleet_head_next(NOW, SCHEMA_INT_MAX, SCHEMA_INT_MAX), NOW);
        assert_int_equal(fleet_head_next(NOW, NOW + DAY + 1, NOW - 5), NOW);
}

static void what_was_said_is_known_after_a_restart(void **state) {
        struct ctl c = { .opt = OPTIONS_NULL };
        struct fleet_head a = { .c = &c, .lock = -EBADF }, b = a;
        struct scratch dir;
        char path[PATH_MAX];

        (void) state;
        scratch_make(&dir);
        (void) snprintf(path, sizeof(path), "%s/x", dir.path);
        c.opt.state_dir = path;
        assert_int_equal(fleet_head_open_state(&a), 0);
        assert_int_equal(a.said, 0);
        assert_int_equal(fleet_head_save_state(&a, NOW), 0);
        assert_int_equal(fleet_head_open_state(&b), CTL_MACHINE);
        assert_non_null(strstr(c.why.text, "another herald"));
        assert_int_equal(close(a.lock), 0);
        assert_int_equal(fleet_head_open_state(&b), 0);
        assert_int_equal(b.said, NOW);
        closep(&b.lock);
        assert_int_equal(truncate(b.state_path, 3), 0);
        assert_int_equal(fleet_head_open_state(&b), 0);
        assert_int_equal(b.said, 0);
        closep(&b.lock);
        scratch_remove(&dir);
}

static void what_a_broker_lost_is_still_ordered(void **state) {
        struct fleet_head h = { .from = 9, .rounds = 9, .in_stream = { 9, 9 } };

        (void) state;
        struct active_share *s = &h.active.by[ACTIVE_BY_PEOPLE];
        s->v = calloc(1, sizeof(*s->v));
        s->v[0].exp_ms = NOW + 1;
        s->n = 1;
        fleet_head_again(&h);
        assert_int_equal(h.from, 1);
        assert_int_equal(h.rounds + fleet_head_unlisted(&h).strays + fleet_head_unlisted(&h).crowded, 0);
        assert_int_equal(active_count(&h.active, NOW), 1);
        /* and what a release ended is not ordered again for another trust root */
        s->v[0].lifted = calloc(1, sizeof(*s->v[0].lifted));
        s->v[0].n_lifted = 1;
        fleet_head_forget(&h);
        assert_int_equal(active_count(&h.active, NOW), 0);
        assert_int_equal(h.active.in_time.n, 1);
        active_done(&h.active);
}

/* The stream has nothing. */
int catchup_ask(struct carrier *c, const char *fleet, const char *last, const char *body, struct carrier_event **ret,
                struct why *w) {
        (void) c, (void) fleet, (void) last, (void) body, (void) w;
        *ret = NULL;
        return 0;
}

/* or there is no end of what it has, all of it nobody's */
static bool is_endless;

int catchup_next(struct carrier *c, const char *fleet, const char *pattern, int64_t *from, struct carrier_event **ret,
                 struct why *w) {
        if (is_endless) {
                (*from)++;
                *ret = calloc(1, sizeof(**ret) + 1);
                assert_non_null(*ret);
                return 0;
        }
        return catchup_ask(c, fleet, pattern, from ? "" : NULL, ret, w);
}

/* A line of a file that people have sent. */
static void write_order(const char *path) {
        struct target unit;
        struct command c = { .fleet = "prod",
                             .id = { { 1 } },
                             .verb = VERB_CONTAIN,
                             .to = COMMAND_TO_ALL,
                             .max_hosts = 9,
                             .targets = &unit,
                             .n_targets = 1,
                             .iat_ms = NOW,
                             .exp_ms = NOW + 600000,
                             .severity = SEVERITY_P1,
                             .reason = "test" };
        _cleanup_free_ char *json = NULL, *text = NULL;

        people_id(KEY_ALICE, &c.id);
        assert_int_equal(target_from_str("unit:a.service", &unit), 0);
        assert_int_equal(command_to_json(&c, &json), 0);
        struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, json, strlen(json), BY(ALICE));
        assert_int_equal(dsse_to_json(&d, &text), 0);
        dsse_done(&d);
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fprintf(f, "%s\nwhat is none\n", text) > 0);
        assert_int_equal(fclose(f), 0);
}

static void what_there_is_no_room_for_is_counted_once_however_often_it_is_heard(void **state) {
        struct ctl c = { .opt = OPTIONS_NULL };
        struct fleet_head h = { .c = &c, .from = 1, .trust = calloc(1, sizeof(*h.trust)) };
        struct active_share *s = &h.active.by[ACTIVE_BY_PEOPLE];
        struct scratch dir;
        char path[PATH_MAX];

        (void) state;
        scratch_make(&dir);
        (void) snprintf(path, sizeof(path), "%s/orders", dir.path);
        c.opt.orders = path;
        assert_non_null(h.trust);
        people_trust(NOW - DAY, h.trust);
        write_order(path);
        s->v = calloc(ACTIVE_MAX, sizeof(*s->v));
        assert_non_null(s->v);
        for (; s->n < ACTIVE_MAX; s->n++)
                s->v[s->n].exp_ms = NOW + DAY;
        for (int i = 0; i < 3; i++) {
                assert_int_equal(fleet_head_hear(&h, NOW), 0);
                assert_int_equal(fleet_head_unlisted(&h).crowded, 1);
                assert_int_equal(fleet_head_unlisted(&h).strays, 1);
        }
        s->n = 0;
        assert_int_equal(fleet_head_hear(&h, NOW), 0);
        assert_int_equal(fleet_head_unlisted(&h).crowded, 0);
        assert_int_equal(active_count(&h.active, NOW), 1);
        active_done(&h.active);
        trust_freep(&h.trust);
        scratch_remove(&dir);
}

/* Else whoever makes it that long would keep what is behind it from ever being heard. */
static void a_stream_is_read_to_its_end_before_it_is_read_anew(void **state) {
        struct ctl c = { .opt = OPTIONS_NULL };
        struct fleet_head h = { .c = &c, .from = 1, .trust = calloc(1, sizeof(*h.trust)) };

        (void) state;
        assert_non_null(h.trust);
        people_trust(NOW - DAY, h.trust);
        unsigned rounds = 0;
        for (h.from = 9; h.from != 1; rounds++)
                assert_int_equal(fleet_head_hear(&h, NOW), 0);
        assert_in_range(rounds, 2, 99);
        h.from = 9;
        h.rounds = 0;
        for (unsigned i = 1; i < rounds - 1; i++)
                assert_int_equal(fleet_head_hear(&h, NOW), 0);
        assert_int_equal(h.from, 9);
        is_endless = true;
        for (int i = 0; i < 2; i++) {
                const int64_t from = h.from;
                assert_int_equal(fleet_head_hear(&h, NOW), 0);
                assert_true(h.from > from);
        }
        is_endless = false;
        assert_int_equal(fleet_head_hear(&h, NOW), 0);
        assert_int_equal(fleet_head_hear(&h, NOW), 0);
        assert_int_equal(h.from, 1);
        trust_freep(&h.trust);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(numbers_rise_with_the_time_and_above_what_was_said),
                cmocka_unit_test(two_heralds_never_say_the_same_number_nor_fall_behind),
                cmocka_unit_test(nobody_is_followed_to_the_last_number),
                cmocka_unit_test(what_was_said_is_known_after_a_restart),
                cmocka_unit_test(what_a_broker_lost_is_still_ordered),
                cmocka_unit_test(what_there_is_no_room_for_is_counted_once_however_often_it_is_heard),
                cmocka_unit_test(a_stream_is_read_to_its_end_before_it_is_read_anew),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
