/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Base64 (RFC 4648) in which bytes have one spelling: only digits of the alphabet, padding exactly where the variant
 * has it, unused bits zero, nothing skipped. libsodium alone does not give that: up to 1.0.18 at least, where char
 * is signed, sodium_base642bin() takes every byte from 0x80 up for the digit 63. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* variant is one of sodium_base64_VARIANT_*. *ret_n bytes are written to ret, which holds size. -EINVAL when it is
 * not that or does not fit; ret may then have been written to, *ret_n not. */
int base64_decode(const char *s, size_t n, int variant, uint8_t *ret, size_t size, size_t *ret_n) _warn_unused_;
