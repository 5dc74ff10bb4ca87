/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/help.h"
#include "ctl/text.h"

static const struct {
        const char *name;
        void (*print)(FILE *f);
} documents[] = {
        { "man", help_man },
        { "completion", help_completion },
};

int verb_help(struct ctl *c, char **words, size_t n) {
        size_t found = 0;

        if (n == 0) {
                help_screen(c->out);
                return CTL_OK;
        }
        for (size_t i = 0; n == 1 && i < ELEMENTSOF(documents); i++)
                if (strcmp(documents[i].name, words[0]) == 0) {
                        documents[i].print(c->out);
                        return CTL_OK;
                }
        for (const struct ctl_verb *v = ctl_verbs; v->name; v++) {
                if (strcmp(v->name, words[0]) != 0 || (n > 1 && (!v->sub || strcmp(v->sub, words[1]) != 0)))
                        continue;
                if (found++ > 0)
                        fputc('\n', c->out);
                help_verb(c->out, v);
        }
        if (found > 0)
                return CTL_OK;
        return why_set(&c->why, CTL_USAGE, "there is no verb \"%s\"; `freezectl help` lists them", CLEAN(words[0]));
}
