/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/waves.h"

#define DIGITS "0123456789"

/* One step, up to a comma or the end. */
static int parse_step(const char *s, struct waves_step *ret, const char **ret_end) {
        size_t digits = strspn(s, DIGITS);
        unsigned long value = 0;

        if (digits == 0 || digits > 9 || *s == '0')
                return -EINVAL;
        for (size_t i = 0; i < digits; i++)
                value = 10 * value + (unsigned long) (s[i] - '0');
        bool percent = s[digits] == '%';
        if (percent && value > 100)
                return -EINVAL;
        *ret = (struct waves_step) { percent, (uint32_t) value };
        *ret_end = s + digits + percent;
        return 0;
}

int waves_parse(const char *text, struct waves *ret) {
        struct waves w = { .n = 0 };
        uint32_t last[2] = { 0, 0 };
        const char *p = text;

        for (;; p++) {
                struct waves_step *s = &w.v[w.n];
                if (w.n == WAVES_MAX || parse_step(p, s, &p) < 0 || s->value <= last[s->percent])
                        return -EINVAL;
                last[s->percent] = s->value;
                w.n++;
                if (*p != ',')
                        break;
        }
        if (*p != '\0' || last[true] != 100 || !w.v[w.n - 1].percent)
                return -EINVAL;
        *ret = w;
        return 0;
}

static int compare_places(const void *x, const void *y) {
        const uint32_t *a = x, *b = y;

        return (*a > *b) - (*a < *b);
}

static size_t step_hosts(const struct waves_step *s, size_t n) {
        return s->percent ? (n * s->value + 99) / 100 : MIN((size_t) s->value, n);
}

int waves_cut(const struct waves *w, const uint8_t salt[static PLACE_SALT_SIZE], const uint8_t (*hosts)[32], size_t n,
              struct waves_part ret[static WAVES_MAX], size_t *ret_n) {
        _cleanup_free_ uint32_t *places = reallocarray(NULL, MAX(n, (size_t) 1), sizeof(*places));
        struct waves_part parts[WAVES_MAX];
        size_t done = 0, n_parts = 0;
        int64_t from = 0;

        if (n == 0)
                return -EINVAL;
        if (!places)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                places[i] = place_get(salt, hosts[i]);
        qsort(places, n, sizeof(*places), compare_places);
        for (size_t i = 0; i < w->n; i++) {
                size_t upto = step_hosts(&w->v[i], n);
                if (upto <= done)
                        continue;
                if (upto < n && places[upto - 1] == places[upto])
                        return -EEXIST;
                struct waves_part p = { { .is_set = true, .from = from }, upto - done };
                memcpy(p.part.salt, salt, sizeof(p.part.salt));
                /* right behind the last host: what nobody expects comes late */
                from = p.part.below = upto < n ? (int64_t) places[upto - 1] + 1 : PLACE_END;
                parts[n_parts++] = p;
                done = upto;
        }
        memcpy(ret, parts, n_parts * sizeof(*parts));
        *ret_n = n_parts;
        return 0;
}
