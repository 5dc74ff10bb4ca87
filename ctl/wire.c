/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/wire.h"

int wire_u8(struct wire *w, uint8_t *ret) {
        if (w->n < 1)
                return -EBADMSG;
        *ret = w->p[0];
        w->p++;
        w->n--;
        return 0;
}

int wire_u32(struct wire *w, uint32_t *ret) {
        if (w->n < 4)
                return -EBADMSG;
        *ret = (uint32_t) w->p[0] << 24 | (uint32_t) w->p[1] << 16 | (uint32_t) w->p[2] << 8 | w->p[3];
        w->p += 4;
        w->n -= 4;
        return 0;
}

int wire_string(struct wire *w, struct wire *ret) {
        struct wire rest = *w;
        uint32_t n;

        if (wire_u32(&rest, &n) < 0 || n > rest.n)
                return -EBADMSG;
        *ret = (struct wire) { rest.p, n };
        *w = (struct wire) { rest.p + n, rest.n - n };
        return 0;
}

int wire_expect(struct wire *w, const void *bytes, size_t n) {
        struct wire rest = *w, s;

        if (wire_string(&rest, &s) < 0 || s.n != n || memcmp(s.p, bytes, n) != 0)
                return -EBADMSG;
        *w = rest;
        return 0;
}

void wire_put_u32(uint8_t ret[static 4], uint32_t v) {
        ret[0] = (uint8_t) (v >> 24);
        ret[1] = (uint8_t) (v >> 16);
        ret[2] = (uint8_t) (v >> 8);
        ret[3] = (uint8_t) v;
}
