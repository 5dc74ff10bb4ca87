/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/sums.c ctl/member.c */
#include <stdint.h>

#include "ctl/sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, struct sums *s) {
        if (r != 0) {
                if ((r != -EBADMSG && r != -E2BIG) || s->v)
                        __builtin_trap();
                return;
        }
        for (size_t i = 0; i < s->n; i++) {
                const char *name = s->v[i].name;

                if (!sums_name_ok(name) || strstr(name, "..") == name || strstr(name, "/.") || name[0] == '/' ||
                    sums_find(s, name) != &s->v[i] || (i > 0 && strcmp(s->v[i - 1].name, name) >= 0))
                        __builtin_trap();
        }
        sums_done(s);
}

/* A manifest, and the lines that stand for one: no name leads out of the bag, and each is found again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct sums s = { .v = NULL };

        check(sums_parse((const char *) data, size, &s), &s);
        s = (struct sums) { .v = NULL };
        check(sums_from_public((const char *) data, size, &s), &s);
        return 0;
}
