/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A process that can open nothing more. Include after cmocka.h. */

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* No descriptor is left. What was before, for descriptors_give. */
static inline struct rlimit descriptors_take(void) {
        struct rlimit before, none;
        int next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

        assert_true(next >= 0);
        assert_int_equal(close(next), 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit) { .rlim_cur = (rlim_t) next, .rlim_max = before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        return before;
}

static inline void descriptors_give(const struct rlimit *before) {
        assert_int_equal(setrlimit(RLIMIT_NOFILE, before), 0);
}
