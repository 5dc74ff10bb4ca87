/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/rollout_send.c ctl/text.c ctl/why.c */

/* What comes while answers are waited for, and is none. */

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
static const enum carrier_kind *kinds;
static size_t n_kinds;

int carrier_next(struct carrier *c, int timeout_ms, struct carrier_event **ret) {
        (void) c, (void) timeout_ms;
        *ret = n_kinds > 0 ? calloc(1, sizeof(**ret) + 1) : NULL;
        if (!*ret)
                return 0;
        (*ret)->kind = *kinds++;
        n_kinds--;
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

int carrier_permitted(struct carrier *c, struct why *w) {
        (void) c, (void) w;
        return 0;
}

int carrier_say(struct carrier *c, const char *subject, const char *reply, const char *text, size_t n) {
        (void) c, (void) subject, (void) reply, (void) text, (void) n;
        return 0;
}

int rollout_certify_say(const struct rollout *x) {
        (void) x;
        return 0;
}

bool rollout_takes_places(const struct rollout *x) {
        (void) x;
        return false;
}

void rollout_progress(struct rollout *x, struct rollout_wave *w, bool last) {
        (void) x, (void) w, (void) last;
}

int rollcall_add(struct rollcall *c, const struct rollcall_message *v, size_t n,
                 const struct rollcall_entry **ret_changed) {
        (void) c, (void) v, (void) n, (void) ret_changed;
        return 0;
}

bool rollcall_is_over(const struct rollcall *c) {
        (void) c;
        return true;
}

int64_t mono_ms(void) {
        return 1;
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
                cmocka_unit_test(what_ends_it_is_an_exit_code),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
