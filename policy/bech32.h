/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bech32 (BIP 173) of 32 bytes, as age writes its keys: a human-readable part, `1`, 52 characters for the bytes and 6
 * for the checksum. The bound of 90 characters does not apply to age, and none of its keys reaches it. */

#include <stdint.h>

#include "policy/cleanup.h"

#define BECH32_BYTES  32U
#define BECH32_DIGITS (52U + 6U)
/* the longest part before the `1` that is taken */
#define BECH32_HRP_MAX 32U

/* hrp in lower case. All of s in lower case or all in upper case, nothing before or behind it. -EINVAL; ret may have
 * been written to. */
int bech32_decode(const char *s, const char *hrp, uint8_t ret[static BECH32_BYTES]) _warn_unused_;
/* Lower case. ret holds strlen(hrp) + 1 + BECH32_DIGITS + 1 bytes; hrp has at most BECH32_HRP_MAX. */
void bech32_encode(const uint8_t bytes[static BECH32_BYTES], const char *hrp, char *ret);
