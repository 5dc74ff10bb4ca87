/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/base64.h"

#include <sodium.h>

int base64_decode(const char *s, size_t n, int variant, uint8_t *ret, size_t size, size_t *ret_n) {
        size_t n_bytes;

        for (size_t i = 0; i < n; i++)
                if ((unsigned char) s[i] >= 0x80)
                        return -EINVAL;
        if (sodium_base642bin(ret, size, s, n, NULL, &n_bytes, NULL, variant) < 0)
                return -EINVAL;
        *ret_n = n_bytes;
        return 0;
}
