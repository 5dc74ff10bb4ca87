/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ctl/text.h"

/* Characters that print as nothing or change the order of what is around them: soft hyphen, Arabic letter mark,
 * zero-width and direction marks, line separators, embeddings, overrides and isolates, byte order mark, interlinear and
 * tag characters. */
static const struct {
        uint32_t first, last;
} hidden[] = {
        { 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x00ad, 0x00ad },   { 0x061c, 0x061c },       { 0x180e, 0x180e },
        { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f },   { 0xd800, 0xdfff },       { 0xfeff, 0xfeff },
        { 0xfff9, 0xfffb }, { 0xfffe, 0xffff }, { 0xe0000, 0xe0fff }, { 0x110000, 0xffffffff },
};

/* Decodes one character; returns its length, or 0 when the bytes are not the one shortest form of it. */
static size_t decode(const uint8_t *s, uint32_t *ret) {
        static const struct {
                uint8_t mask, lead;
                uint32_t least;
        } forms[] = {
                { 0x80, 0x00, 0x0 },
                { 0xe0, 0xc0, 0x80 },
                { 0xf0, 0xe0, 0x800 },
                { 0xf8, 0xf0, 0x10000 },
        };

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                if ((s[0] & forms[i].mask) != forms[i].lead)
                        continue;
                uint32_t c = s[0] & (uint8_t) ~forms[i].mask;
                for (size_t j = 1; j <= i; j++) {
                        if ((s[j] & 0xc0) != 0x80) /* also stops at the NUL */
                                return 0;
                        c = c << 6 | (s[j] & 0x3f);
                }
                if (c < forms[i].least)
                        return 0;
                *ret = c;
                return i + 1;
        }
        return 0;
}

static bool is_hidden(uint32_t c) {
        for (size_t i = 0; i < ELEMENTSOF(hidden); i++)
                if (c >= hidden[i].first && c <= hidden[i].last)
                        return true;
        return false;
}

const char *text_clean(const char *s, char *ret, size_t n) {
        static const char cut[] = "...";
        size_t out = 0, fits = 0;

        for (const uint8_t *p = (const uint8_t *) (s ? s : ""); *p;) {
                uint32_t c;
                size_t len = decode(p, &c);
                bool bad = len == 0 || is_hidden(c);
                size_t put = bad ? 1 : len;

                if (out + put + 1 > n) {
                        memcpy(ret + fits, cut, sizeof(cut));
                        return ret;
                }
                if (bad)
                        ret[out] = '?';
                else
                        memcpy(ret + out, p, len);
                p += MAX(len, 1U);
                out += put;
                if (out + sizeof(cut) <= n)
                        fits = out;
        }
        ret[out] = '\0';
        return ret;
}

/* One character of *in, and what there is of it when it is to be seen as bytes; returns its length. */
static size_t escape_one(const uint8_t *in, char ret[static 24]) {
        uint32_t c = 0;
        size_t len = decode(in, &c), out = 0;

        if (c == '\\')
                return (size_t) sprintf(ret, "\\\\") - 1;
        if (len > 0 && !is_hidden(c)) {
                memcpy(ret, in, len);
                ret[len] = '\0';
                return len;
        }
        len = MAX(len, 1U);
        for (size_t i = 0; i < len; i++)
                out += (size_t) sprintf(ret + out, "\\x%02x", in[i]);
        return len;
}

char *text_escape(const void *bytes, size_t n, size_t max) {
        static const char cut[] = "...";
        _cleanup_free_ uint8_t *in = malloc(n + 1);
        char *ret = malloc(max + 1);
        size_t out = 0, fits = 0;

        if (!in || !ret) {
                free(ret);
                return NULL;
        }
        if (n > 0)
                memcpy(in, bytes, n);
        in[n] = '\0';
        for (size_t at = 0; at < n;) {
                char one[24];
                size_t used = escape_one(in + at, one), put = strlen(one);

                if (out + put > max) {
                        memcpy(ret + fits, cut, sizeof(cut));
                        return ret;
                }
                memcpy(ret + out, one, put);
                at += used;
                out += put;
                if (out + strlen(cut) <= max)
                        fits = out;
        }
        ret[out] = '\0';
        return ret;
}

int text_span_from_str(const char *s, int64_t *ret_ms) {
        static const struct {
                const char *unit;
                int64_t ms;
        } units[] = {
                { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 },
        };
        int64_t v = 0;
        const char *p = s;

        for (; *p >= '0' && *p <= '9'; p++) {
                v = v * 10 + (*p - '0');
                if (v > TEXT_SPAN_MAX_MS)
                        return -EINVAL;
        }
        if (p == s || v == 0)
                return -EINVAL;
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (strcmp(p, units[i].unit) != 0)
                        continue;
                if (v > TEXT_SPAN_MAX_MS / units[i].ms)
                        return -EINVAL;
                *ret_ms = v * units[i].ms;
                return 0;
        }
        return -EINVAL;
}

const char *text_span(int64_t ms, char ret[static TEXT_SPAN_SIZE]) {
        static const int64_t s = 1000, m = 60 * s, h = 60 * m, d = 24 * h;
        const size_t n = TEXT_SPAN_SIZE;

        if (ms < 0)
                (void) snprintf(ret, n, "%s", "0 ms");
        else if (ms < s)
                (void) snprintf(ret, n, "%" PRId64 " ms", ms);
        else if (ms < m)
                (void) snprintf(ret, n, "%" PRId64 ".%" PRId64 " s", ms / s, ms % s / 100);
        else if (ms < h && ms / s % 60 == 0)
                (void) snprintf(ret, n, "%" PRId64 " min", ms / m);
        else if (ms < h)
                (void) snprintf(ret, n, "%" PRId64 " min %" PRId64 " s", ms / m, ms / s % 60);
        else if (ms < d && ms / m % 60 == 0)
                (void) snprintf(ret, n, "%" PRId64 " h", ms / h);
        else if (ms < d)
                (void) snprintf(ret, n, "%" PRId64 " h %" PRId64 " min", ms / h, ms / m % 60);
        else if (ms / h % 24 == 0)
                (void) snprintf(ret, n, "%" PRId64 " d", ms / d);
        else
                (void) snprintf(ret, n, "%" PRId64 " d %" PRId64 " h", ms / d, ms / h % 24);
        return ret;
}

const char *text_time(int64_t wall_ms, char ret[static TEXT_TIME_SIZE]) {
        time_t t = (time_t) (wall_ms / 1000);
        struct tm tm;

        if (wall_ms < 0 || !localtime_r(&t, &tm) || strftime(ret, TEXT_TIME_SIZE, "%F %T %Z", &tm) == 0)
                (void) snprintf(ret, TEXT_TIME_SIZE, "%s", "no valid time");
        return ret;
}

const char *text_hex32(const uint8_t b[static 32], char ret[static TEXT_HEX32_SIZE]) {
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < 32; i++) {
                ret[2 * i] = digits[b[i] >> 4];
                ret[2 * i + 1] = digits[b[i] & 15];
        }
        ret[64] = '\0';
        return ret;
}
