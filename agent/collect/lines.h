/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lines of the index that wait for their part of it to be sealed. */

#include <stddef.h>

#include "policy/cleanup.h"

struct lines {
        char *bytes; /* owned; n of them, no NUL */
        size_t n, size;
};

void lines_done(struct lines *l);
/* -ENOMEM, the lines as before. */
int lines_add(struct lines *l, const char *bytes, size_t n) _warn_unused_;
/* Takes the first n bytes out; there have to be so many. */
void lines_drop(struct lines *l, size_t n);
