/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/render.c ctl/render_receipt.c ctl/render_fleet.c ctl/render_target.c ctl/render_report.c ctl/render_order.c ctl/render_trust.c */
/* LINK: ctl/render_tried.c ctl/render_repaired.c ctl/render_thawed.c */
/* LINK: ctl/receipt.c ctl/hosts.c ctl/trustfile.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/render.h"
#include "policy/decide.h"
#include "tests/lib/people.h"

#define MADE_MS 1000000

/* Owned by the caller. */
static char *made(int64_t now_ms) {
        struct page p = { NULL, false };
        struct trust t;
        char *text = NULL;
        size_t n;

        people_trust(MADE_MS, &t);
        p.f = open_memstream(&text, &n);
        assert_non_null(p.f);
        render_trust(&p, &t, now_ms);
        assert_int_equal(fclose(p.f), 0);
        return text;
}

static void one_that_is_dated_ahead_says_so(void **state) {
        static const struct {
                int64_t now_ms;
                bool ahead, ago;
        } rows[] = {
                { MADE_MS - DECIDE_AHEAD_MS - 1, true, false },
                { MADE_MS - DECIDE_AHEAD_MS, false, false },
                { MADE_MS, false, false },
                { MADE_MS + 60000, false, true },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char *text = made(rows[i].now_ms);

                assert_int_equal(!!strstr(text, "AHEAD of this machine's clock by 10 min"), rows[i].ahead);
                assert_int_equal(!!strstr(text, "(1 min ago)"), rows[i].ago);
                free(text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_that_is_dated_ahead_says_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
