/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_outcome.c */

/* What a line may say became of something, and the document that says what it means. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/escalate_outcome.h"
#include "policy/cleanup.h"

static const char head[] = "| outcome | what it means |\n";

static void the_document_has_each_outcome_and_no_other(void **state) {
        _cleanup_fclose_ FILE *f = fopen("packaging/doc/escalation.md", "re");
        static char text[256 * 1024];
        char row[512];

        (void) state;
        assert_non_null(f);
        assert_in_range(fread(text, 1, sizeof(text) - 1, f), 1, sizeof(text) - 2);
        const char *at = strstr(text, head);
        assert_non_null(at);
        at += sizeof(head) - 1;
        assert_int_equal(strncmp(at, "|---|---|\n", 10), 0);
        at += 10;
        for (enum escalate_outcome o = 0; o < _ESCALATE_OUTCOME_MAX; o++) {
                (void) snprintf(row, sizeof(row), "| `%s` | %s |\n", escalate_outcome_id(o), escalate_outcome_text(o));
                if (strncmp(at, row, strlen(row)) != 0)
                        fail_msg("wanted: %sthere: %.*s", row, (int) strcspn(at, "\n"), at);
                at += strlen(row);
        }
        assert_int_equal(*at, '\n');
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_document_has_each_outcome_and_no_other),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
