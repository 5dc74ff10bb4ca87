/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The encoding that OpenSSH uses in key files and towards its agent (RFC 4251 section 5): big-endian uint32, and
 * strings with their length before them. A reader is a window on borrowed bytes that only ever shrinks. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

struct wire {
        const uint8_t *p;
        size_t n;
};

/* Each takes something from the front. -EBADMSG when there is less than that; *w and *ret are untouched then. */
int wire_u8(struct wire *w, uint8_t *ret) _warn_unused_;
int wire_u32(struct wire *w, uint32_t *ret) _warn_unused_;
int wire_string(struct wire *w, struct wire *ret) _warn_unused_;
/* A string that must be exactly these bytes. */
int wire_expect(struct wire *w, const void *bytes, size_t n) _warn_unused_;
/* Writes four bytes. */
void wire_put_u32(uint8_t ret[static 4], uint32_t v);
