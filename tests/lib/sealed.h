/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files sealed by the collector's own code, with whatever a test wants in them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>

#include "agent/collect/sealer.h"
#include "ctl/unseal.h"
#include "lib/age_keys.h"
#include "lib/scratch.h"

static inline void sealed_make(const char *dir, const char *name, const void *bytes, size_t n) {
        _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(sealer_freep) struct sealer *s = NULL;
        struct age_recipient to;
        struct sealed sealed;

        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to), 0);
        assert_int_equal(sealer_new(fd, &to, 1, &s), 0);
        assert_int_equal(sealer_begin(s, UINT64_MAX, true), 0);
        assert_int_equal(sealer_write(s, bytes, n), 0);
        assert_int_equal(sealer_end(s, &sealed), 0);
        assert_int_equal(sealer_link(s, name), 0);
}

static inline struct identities sealed_key(void) {
        struct identities with = { .n = 1 };

        assert_int_equal(age_identity_from_str(AGE_KEYS_SECRET, &with.v[0]), 0);
        return with;
}
