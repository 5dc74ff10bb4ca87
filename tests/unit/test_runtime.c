/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/runtime.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/runtime.h"

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void runtime_knows_a_container_by_its_cgroup(void **state) {
        static const struct {
                const char *cgroup, *id;
        } rows[] = {
                { "/sys/fs/cgroup/system.slice/docker-" A ".scope", A },
                { "/sys/fs/cgroup/docker/" A, A },
                { "/sys/fs/cgroup/machine.slice/libpod-" A ".scope/container", A },
                { "/sys/fs/cgroup/kubepods.slice/cri-containerd-" A ".scope", A },
                { "/sys/fs/cgroup/docker/" A "/docker/" B, B },
                { "/sys/fs/cgroup/system.slice/nginx.service", NULL },
                { "/sys/fs/cgroup/x-" A "0.scope", NULL },
                { "/sys/fs/cgroup/x-0123456789abcdef.scope", NULL },
                { "", NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char patterns[RUNTIME_PATTERNS][WILDCARD_PATH_SIZE];

                assert_int_equal(runtime_patterns(rows[i].cgroup, patterns), rows[i].id ? RUNTIME_PATTERNS : 0);
                for (size_t k = 0; rows[i].id && k < RUNTIME_PATTERNS; k++) {
                        assert_true(wildcard_path_ok(patterns[k]));
                        assert_non_null(strstr(patterns[k], rows[i].id));
                        /* or what is not there would be a hole */
                        assert_non_null(strchr(patterns[k], '*'));
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(runtime_knows_a_container_by_its_cgroup),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
