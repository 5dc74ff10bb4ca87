/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/natsconfig.c ctl/inventory.c ctl/parallel.c ctl/file.c ctl/text.c ctl/why.c */

/* A list of nkeys, whose lines hosts may have written: every user of it has one name and one key, no two have the same,
 * and nothing of it gets into the configuration but those. */

#include <string.h>

#include "ctl/natsconfig.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static size_t count(const char *text, char c) {
        size_t n = 0;

        for (; *text; text++)
                n += *text == c;
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char groups[] = "web";
        static struct inventory_host host = { .host = { .name = "web-1" }, .groups = groups, .n_groups = 1 };
        const struct inventory i = { .v = &host, .n = 1 };
        struct natsconfig c = NATSCONFIG_NULL;
        _cleanup_free_ char *text = NULL;
        struct why w;
        size_t n, users = 0;

        if (natsconfig_parse("nkeys", (const char *) data, size, &i, &c, &w) != 0) {
                CHECK(!c.v && w.text[0]);
                return 0;
        }
        FILE *f = open_memstream(&text, &n);
        CHECK(f && natsconfig_write(&c, "prod", f) == 0 && fclose(f) == 0 && strlen(text) == n);
        for (size_t k = 0; k < c.n; k++) {
                CHECK(nkey_is_public(c.v[k].nkey) && strstr(text, c.v[k].nkey) && c.v[k].name[0]);
                CHECK((c.v[k].role == NATSCONFIG_HOST) == (c.v[k].host != NULL));
                users += c.v[k].role == NATSCONFIG_HOST;
        }
        CHECK(users <= 1 && count(text, '{') == count(text, '}') && count(text, '{') == 1 + 4 * c.n);
        natsconfig_done(&c);
        return 0;
}
