/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/export.h"

#include <stdarg.h>
#include <string.h>

void export_done(struct export *e) {
        free(e->bytes);
        *e = (struct export) { 0 };
}

void export_reset(struct export *e) {
        e->n = 0;
}

static int reserve(struct export *e, size_t more) {
        if (more > EXPORT_ENTRY_MAX || e->n > EXPORT_ENTRY_MAX - more)
                return -E2BIG;
        if (e->n + more <= e->size)
                return 0;
        size_t size = MAX(e->n + more, e->size + e->size / 2);
        char *bigger = realloc(e->bytes, size);

        if (!bigger)
                return -ENOMEM;
        e->bytes = bigger;
        e->size = size;
        return 0;
}

int export_text(struct export *e, const char *fmt, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n, r;

        va_start(ap, fmt);
        n = vasprintf(&text, fmt, ap);
        va_end(ap);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        r = reserve(e, (size_t) n);
        if (r < 0)
                return r;
        memcpy(e->bytes + e->n, text, (size_t) n);
        e->n += (size_t) n;
        return 0;
}

/* Length of the UTF-8 sequence at p and its code point; 0 when it is not one, overlong forms and surrogates
 * included. */
static size_t decode(const uint8_t *p, size_t n, uint32_t *ret) {
        static const struct {
                uint8_t mask, lead;
                uint32_t least;
        } forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

        for (size_t i = 0; i < ELEMENTSOF(forms) && i < n; i++) {
                if ((p[0] & forms[i].mask) != forms[i].lead)
                        continue;
                uint32_t c = p[0] & (uint8_t) ~forms[i].mask;

                for (size_t k = 1; k <= i; k++) {
                        if ((p[k] & 0xc0) != 0x80)
                                return 0;
                        c = c << 6 | (p[k] & 0x3f);
                }
                if (c < forms[i].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                        return 0;
                *ret = c;
                return i + 1;
        }
        return 0;
}

/* C0 but tab, DEL and C1 are what a terminal acts on; noncharacters (U+FDD0..U+FDEF and the last two of each plane) are
 * not text. */
static bool is_printable(uint32_t c) {
        if (c == '\t')
                return true;
        return c >= 0x20 && !(c >= 0x7f && c <= 0x9f) && !(c >= 0xfdd0 && c <= 0xfdef) && (c & 0xfffe) != 0xfffe;
}

bool export_is_text(const uint8_t *p, size_t n) {
        while (n > 0) {
                uint32_t c = 0;
                size_t used = decode(p, n, &c);

                if (used == 0 || !is_printable(c))
                        return false;
                p += used;
                n -= used;
        }
        return true;
}

static size_t name_length(const char *field, size_t n) {
        size_t i = 0;

        while (i < n &&
               ((field[i] >= 'A' && field[i] <= 'Z') || (field[i] >= '0' && field[i] <= '9') || field[i] == '_'))
                i++;
        return i < n && field[i] == '=' ? i : 0;
}

int export_field(struct export *e, const void *field, size_t n) {
        size_t name = name_length(field, n);
        const char *value = (const char *) field + name + 1;
        int r;

        if (name == 0)
                return -EBADMSG;
        if (n > EXPORT_ENTRY_MAX)
                return -E2BIG;
        size_t n_value = n - name - 1;

        r = reserve(e, n + sizeof(uint64_t) + 1);
        if (r < 0)
                return r;
        /* The length of the entry moves last: reading the field can fault (see guard.h), and then nothing of it may
         * count. */
        char *p = e->bytes + e->n;

        if (export_is_text((const uint8_t *) value, n_value)) {
                memcpy(p, field, n);
                p += n;
        } else {
                memcpy(p, field, name);
                p[name] = '\n';
                for (size_t i = 0; i < sizeof(uint64_t); i++)
                        p[name + 1 + i] = (char) (uint8_t) ((uint64_t) n_value >> (8 * i));
                memcpy(p + name + 1 + sizeof(uint64_t), value, n_value);
                p += name + 1 + sizeof(uint64_t) + n_value;
        }
        *p++ = '\n';
        e->n = (size_t) (p - e->bytes);
        return 0;
}
