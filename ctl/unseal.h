/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One sealed file of a bag, opened: age, then zstd. What comes out is bounded by what is said to be in it, because
 * whoever could write the file could have it grow without end. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/why.h"
#include "policy/age.h"

#define IDENTITIES_MAX 16U

struct identities {
        struct age_identity v[IDENTITIES_MAX];
        size_t n;
};

/* A file as age-keygen writes it: a secret key a line, blank lines and # comments. Returns 0 or an exit code. The
 * caller wipes *ret when done. */
int identities_load(const char *path, struct identities *ret, struct why *w) _warn_unused_;

/* Takes what was opened, in order. A negative return stops. */
typedef int (*unseal_fn)(const uint8_t *bytes, size_t n, void *userdata);

/* fd is read from where it stands. 0; -EKEYREJECTED sealed to others; -EBADMSG it was changed or ends too soon; -EFBIG
 * more than max bytes come out; -ENOMEM, -errno of reading, or what the function returned. What it was given before an
 * error is what was sealed, as far as it goes. */
int unseal(int fd, const struct identities *with, uint64_t max, unseal_fn fn, void *userdata) _warn_unused_;
