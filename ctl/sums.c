/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/member.h"
#include "ctl/sums.h"

#define DIGITS 64U

void sums_done(struct sums *s) {
        free(s->v);
        *s = (struct sums) { .v = NULL };
}

bool sums_name_ok(const char *name) {
        const char *slash = strchr(name, '/');
        const size_t n = strlen(name);

        return n > 0 && n <= SUMS_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_./") == n &&
               name[0] != '.' && name[0] != '/' &&
               (!slash || (slash[1] != '\0' && slash[1] != '.' && !strchr(slash + 1, '/')));
}

static int digit(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_digest(const char *hex, uint8_t ret[static 32]) {
        for (size_t i = 0; i < 32; i++) {
                const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

                if (high < 0 || low < 0)
                        return false;
                ret[i] = (uint8_t) (high << 4 | low);
        }
        return true;
}

static bool parse_line(const char *line, size_t n, struct sum *ret) {
        if (n < DIGITS + 3 || n - DIGITS - 2 > SUMS_NAME_MAX || memcmp(line + DIGITS, "  ", 2) != 0 ||
            memchr(line, '\0', n) || !parse_digest(line, ret->sha256))
                return false;
        (void) snprintf(ret->name, sizeof(ret->name), "%.*s", (int) (n - DIGITS - 2), line + DIGITS + 2);
        ret->bytes = -1;
        return sums_name_ok(ret->name);
}

static size_t count_lines(const char *text, size_t n) {
        size_t lines = 0;

        for (size_t i = 0; i < n; i++)
                lines += text[i] == '\n';
        return lines;
}

int sums_parse(const char *text, size_t n, struct sums *ret) {
        const size_t lines = count_lines(text, n);
        struct sums s = { .v = NULL };

        if (lines > SUMS_MAX)
                return -E2BIG;
        if (n > 0 && text[n - 1] != '\n')
                return -EBADMSG;
        s.v = calloc(lines ? lines : 1, sizeof(*s.v));
        if (!s.v)
                return -ENOMEM;
        for (const char *at = text; s.n < lines; s.n++) {
                const char *end = memchr(at, '\n', n - (size_t) (at - text));

                if (!parse_line(at, (size_t) (end - at), &s.v[s.n]) ||
                    (s.n > 0 && strcmp(s.v[s.n - 1].name, s.v[s.n].name) >= 0)) {
                        sums_done(&s);
                        return -EBADMSG;
                }
                at = end + 1;
        }
        *ret = s;
        return 0;
}

int sums_add(struct sums *s, const char *name, const char *hex) {
        struct sum *more;

        if (strlen(hex) != DIGITS || !sums_name_ok(name))
                return -EBADMSG;
        if (s->n == SUMS_MAX)
                return -E2BIG;
        more = reallocarray(s->v, s->n + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        s->v = more;
        (void) snprintf(more[s->n].name, sizeof(more[s->n].name), "%s", name);
        more[s->n].bytes = -1;
        return parse_digest(hex, more[s->n].sha256) ? (s->n++, 0) : -EBADMSG;
}

static int compare_sums(const void *a, const void *b) {
        return strcmp(((const struct sum *) a)->name, ((const struct sum *) b)->name);
}

int sums_sort(struct sums *s) {
        if (s->n > 0)
                qsort(s->v, s->n, sizeof(*s->v), compare_sums);
        for (size_t i = 1; i < s->n; i++)
                if (strcmp(s->v[i - 1].name, s->v[i].name) == 0)
                        return -EBADMSG;
        return 0;
}

int sums_from_public(const char *text, size_t n, struct sums *ret) {
        struct sums s = { .v = NULL };
        int r = 0;

        for (const char *at = text, *end; r == 0 && (end = memchr(at, '\n', n - (size_t) (at - text))); at = end + 1) {
                _cleanup_json_ json_t *o = json_loadb(at, (size_t) (end - at), JSON_REJECT_DUPLICATES, NULL);

                r = sums_add(&s, member_str(o, "file"), member_str(o, "sha256"));
                if (r == 0)
                        s.v[s.n - 1].bytes = member_int(o, "bytes", -1);
        }
        if (r == 0)
                r = sums_sort(&s);
        if (r < 0)
                sums_done(&s);
        else
                *ret = s;
        return r;
}

static int compare(const void *name, const void *sum) {
        return strcmp(name, ((const struct sum *) sum)->name);
}

const struct sum *sums_find(const struct sums *s, const char *name) {
        return s->n > 0 ? bsearch(name, s->v, s->n, sizeof(*s->v), compare) : NULL;
}
