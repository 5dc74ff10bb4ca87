/* SPDX-License-Identifier: Apache-2.0 */

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "ctl/escalate_mend.h"

#define ESCAPED_MARK "\\ufffd"
#define INT64_DIGITS "9223372036854775807"
/* one byte becomes at most three */
#define GROWTH 3U

struct mender {
        const char *p, *end;
        char *out;
        size_t weight;
        bool in_string, mended;
};

static void put(struct mender *m, const char *s, size_t n) {
        memcpy(m->out, s, n);
        m->out += n;
}

static size_t utf8_length(uint8_t first) {
        if (first < 0x80)
                return 1;
        if (first >= 0xc2 && first <= 0xdf)
                return 2;
        if (first >= 0xe0 && first <= 0xef)
                return 3;
        return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Bytes of the UTF-8 character at p (Unicode 15, table 3-7), 0 when there is none. */
static size_t utf8_size(const uint8_t *p, size_t left) {
        const size_t n = utf8_length(p[0]);

        if (n == 0 || n > left)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
            (p[0] == 0xf4 && p[1] > 0x8f))
                return 0;
        return n;
}

/* The code of "\uXXXX" at p; -1 when that does not stand there. */
static int escape_code(const char *p, const char *end) {
        int code = 0;

        if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
                return -1;
        for (size_t i = 2; i < 6; i++) {
                if (!isxdigit((unsigned char) p[i]))
                        return -1;
                code = code * 16 + (p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
        }
        return code;
}

static void mend_escape(struct mender *m) {
        const int code = escape_code(m->p, m->end), next = code < 0 ? -1 : escape_code(m->p + 6, m->end);
        size_t n = code < 0 ? (size_t) MIN(m->end - m->p, 2) : 6;

        if (code >= 0xd800 && code <= 0xdbff && next >= 0xdc00 && next <= 0xdfff)
                n = 12;
        else if (code == 0 || (code >= 0xd800 && code <= 0xdfff)) {
                put(m, ESCAPED_MARK, strlen(ESCAPED_MARK));
                m->p += n;
                m->mended = true;
                return;
        }
        /* what follows a backslash may be no character at all: that is for the next round */
        if (code < 0 && n == 2 && (unsigned char) m->p[1] >= 0x80)
                n = 1;
        put(m, m->p, n);
        m->p += n;
}

static void mend_digits(struct mender *m) {
        size_t n = 0;
        const char *start = m->p;

        while (start + n < m->end && isdigit((unsigned char) start[n]))
                n++;
        const bool goes_on = start + n < m->end && strchr(".eE", start[n]) && start[n];
        const size_t max = strlen(INT64_DIGITS);
        const bool big = !goes_on && (n > max || (n == max && memcmp(start, INT64_DIGITS, max) > 0));
        /* the sign is out already: it goes into the string */
        const bool minus = big && m->out[-1] == '-';

        if (big) {
                m->out -= minus;
                put(m, minus ? "\"-" : "\"", minus ? 2 : 1);
                m->mended = true;
        }
        put(m, start, n);
        if (big)
                put(m, "\"", 1);
        m->p += n;
}

static void mend_one(struct mender *m) {
        const unsigned char c = (unsigned char) *m->p;
        const size_t n = utf8_size((const uint8_t *) m->p, (size_t) (m->end - m->p));

        if (n == 0 || (m->in_string && (c < 0x20))) {
                put(m, ESCALATE_MEND_MARK, strlen(ESCALATE_MEND_MARK));
                m->p++;
                m->mended = true;
                return;
        }
        if (m->in_string && c == '\\') {
                mend_escape(m);
                return;
        }
        if (!m->in_string && isdigit(c)) {
                mend_digits(m);
                return;
        }
        if (c == '"')
                m->in_string = !m->in_string;
        else if (!m->in_string)
                m->weight += c == '{' || c == '[' ? ESCALATE_MEND_OBJECT_WEIGHT : c == ',';
        put(m, m->p, n);
        m->p += n;
}

int escalate_mend(const char *bytes, size_t n, char **ret, size_t *ret_n, bool *ret_mended) {
        /* one byte before the text, for a sign that is looked back for */
        _cleanup_free_ char *text = n < SIZE_MAX / GROWTH - 2 ? malloc(n * GROWTH + 2) : NULL;
        struct mender m = { .p = bytes, .end = bytes + n, .out = text + 1 };

        if (!text)
                return -ENOMEM;
        text[0] = '\0';
        while (m.p < m.end)
                mend_one(&m);
        if (m.weight > ESCALATE_MEND_WEIGHT_MAX)
                return -E2BIG;
        *m.out = '\0';
        *ret_n = (size_t) (m.out - text - 1);
        *ret_mended = m.mended;
        memmove(text, text + 1, *ret_n + 1);
        *ret = TAKE_PTR(text);
        return 0;
}
