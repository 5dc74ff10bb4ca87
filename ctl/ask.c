/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/ask.h"

int ask_yes(struct ctl *c, const char *question) {
        char answer[16] = "";

        if (c->opt.yes)
                return 0;
        if (!isatty(STDIN_FILENO))
                return why_set(&c->why, CTL_USAGE, "nobody to ask: read the above, then say it with --yes");
        fprintf(stderr, "%s [y/N] ", question);
        (void) fflush(stderr);
        if (!fgets(answer, sizeof(answer), stdin))
                answer[0] = '\0';
        answer[strcspn(answer, "\n")] = '\0';
        if (strcmp(answer, "y") == 0 || strcmp(answer, "yes") == 0)
                return 0;
        return why_set(&c->why, CTL_REFUSED, "not signed: you did not say yes");
}
