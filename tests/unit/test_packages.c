/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/packages.c agent/collect/roots.c agent/collect/mounts.c agent/collect/sparse.c */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/packages.h"

static void packages_version_is_that_of_the_name_and_its_architecture(void **state) {
        static const char text[] = "Package: a\nArchitecture: amd64\nVersion: 1\n\n"
                                   "Package: a\nVersion: 2\nArchitecture: i386\nDescription: x\n Version: 9\n\n"
                                   "Version: 3\nPackage: b\n\nPackage: c\n\nPackage: d\nVersion: 4";
        static const struct {
                const char *name, *version;
        } rows[] = {
                { "a:amd64", "1" }, { "a:i386", "2" }, { "a:arm64", NULL }, { "a", "1" },  { "b", "3" },
                { "c", NULL },      { "d", "4" },      { "", NULL },        { "e", NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *v = packages_version(text, sizeof(text) - 1, rows[i].name);

                if (!rows[i].version ? v != NULL : !v || strcmp(v, rows[i].version) != 0)
                        fail_msg("%s: %s", rows[i].name, v ? v : "none");
        }
        assert_null(packages_version("", 0, "a"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(packages_version_is_that_of_the_name_and_its_architecture),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
