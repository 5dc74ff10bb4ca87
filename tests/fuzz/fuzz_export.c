/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/export.c */
#include <stdint.h>
#include <string.h>

#include "agent/collect/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads one field as the format's description says; returns the bytes it took. */
static size_t read_field(const uint8_t *p, size_t n, const uint8_t *name, size_t n_name, const uint8_t **ret,
                         size_t *ret_n) {
        if (n <= n_name || memcmp(p, name, n_name) != 0)
                __builtin_trap();
        if (p[n_name] == '=') {
                const uint8_t *end = memchr(p, '\n', n);
                if (!end)
                        __builtin_trap();
                *ret = p + n_name + 1;
                *ret_n = (size_t) (end - *ret);
                return (size_t) (end - p) + 1;
        }
        uint64_t length = 0;

        if (p[n_name] != '\n' || n < n_name + 1 + 8)
                __builtin_trap();
        for (size_t i = 8; i > 0; i--)
                length = length << 8 | p[n_name + i];
        if (length > n - n_name - 10 || p[n_name + 9 + length] != '\n')
                __builtin_trap();
        *ret = p + n_name + 9;
        *ret_n = length;
        return n_name + 10 + length;
}

/* The input is a field; it has to come back as it went in, whatever it is, and be alone on its lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct export e = { .n = 0 };
        const uint8_t *value = NULL, *equals = memchr(data, '=', size);
        size_t n_value = 0;
        int r = export_field(&e, data, size);

        if (r == 0) {
                size_t n_name = (size_t) (equals - data);
                size_t used = read_field((const uint8_t *) e.bytes, e.n, data, n_name, &value, &n_value);

                if (used != e.n || n_value != size - n_name - 1 || memcmp(value, equals + 1, n_value) != 0)
                        __builtin_trap();
        } else if (e.n != 0)
                __builtin_trap();
        export_done(&e);
        return 0;
}
