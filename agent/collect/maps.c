/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/maps.h"

#include <string.h>

#define PAGE_MASK 4095U

/* A line as it is taken apart. */
struct cursor {
        const char *at, *end;
};

static bool take_hex(struct cursor *c, uint64_t *ret) {
        uint64_t v = 0;
        const char *start = c->at;

        for (; c->at < c->end; c->at++) {
                const char d = *c->at;
                const int digit = d >= '0' && d <= '9' ? d - '0' : d >= 'a' && d <= 'f' ? d - 'a' + 10 : -1;

                if (digit < 0)
                        break;
                if (v >> 60 != 0)
                        return false;
                v = v << 4 | (uint64_t) digit;
        }
        *ret = v;
        return c->at > start;
}

static bool take_decimal(struct cursor *c, uint64_t *ret) {
        uint64_t v = 0;
        const char *start = c->at;

        for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
                if (v > UINT64_MAX / 10 - 1)
                        return false;
                v = v * 10 + (uint64_t) (*c->at - '0');
        }
        *ret = v;
        return c->at > start;
}

static bool take(struct cursor *c, char what) {
        if (c->at == c->end || *c->at != what)
                return false;
        c->at++;
        return true;
}

static bool take_permissions(struct cursor *c, struct mapping *m) {
        if (c->end - c->at < 4)
                return false;
        m->read = c->at[0] == 'r';
        m->write = c->at[1] == 'w';
        m->exec = c->at[2] == 'x';
        m->shared = c->at[3] == 's';
        c->at += 4;
        return true;
}

static bool path_starts(const struct mapping *m, const char *s) {
        const size_t n = strlen(s);
        return m->path_n >= n && memcmp(m->path, s, n) == 0;
}

static bool path_ends(const struct mapping *m, const char *s) {
        const size_t n = strlen(s);
        return m->path_n >= n && memcmp(m->path + m->path_n - n, s, n) == 0;
}

/* Memory with a name: shared memory of every kind lives in a file that nobody can open by its path, or that is gone. */
static bool is_memory_file(const struct mapping *m) {
        return path_ends(m, " (deleted)") || path_starts(m, "/memfd:") || path_starts(m, "/SYSV") ||
               path_starts(m, "/dev/shm/") || path_starts(m, "/dev/zero") || path_starts(m, "/anon_hugepage") ||
               path_starts(m, "/dev/hugepages/");
}

static bool parse_line(struct cursor *c, struct mapping *m) {
        uint64_t major, minor;

        *m = (struct mapping) { 0 };
        if (!take_hex(c, &m->start) || !take(c, '-') || !take_hex(c, &m->end) || !take(c, ' ') ||
            !take_permissions(c, m) || !take(c, ' ') || !take_hex(c, &m->offset) || !take(c, ' ') ||
            !take_hex(c, &major) || !take(c, ':') || !take_hex(c, &minor) || !take(c, ' ') ||
            !take_decimal(c, &m->inode))
                return false;
        while (take(c, ' '))
                ;
        m->dev = major << 32 | minor;
        m->path = c->at;
        m->path_n = (size_t) (c->end - c->at);
        m->device = m->inode != 0 && path_starts(m, "/dev/") && !is_memory_file(m);
        return m->start < m->end && ((m->start | m->end) & PAGE_MASK) == 0;
}

static size_t count_lines(const char *text, size_t n) {
        size_t lines = 0;

        for (size_t i = 0; i < n; i++)
                lines += text[i] == '\n';
        return lines;
}

int maps_parse(const char *text, size_t n, struct mapping **ret, size_t *ret_n) {
        const size_t lines = count_lines(text, n);
        _cleanup_free_ struct mapping *maps = NULL;
        const char *at = text;

        if (lines > MAPS_MAX)
                return -E2BIG;
        if (n > 0 && text[n - 1] != '\n')
                return -EBADMSG;
        maps = calloc(lines ? lines : 1, sizeof(*maps));
        if (!maps)
                return -ENOMEM;
        for (size_t i = 0; i < lines; i++) {
                struct cursor c = { at, memchr(at, '\n', n - (size_t) (at - text)) };

                if (!parse_line(&c, &maps[i]) || (i > 0 && maps[i].start < maps[i - 1].end))
                        return -EBADMSG;
                at = c.end + 1;
        }
        *ret = TAKE_PTR(maps);
        *ret_n = lines;
        return 0;
}

enum maps_content maps_content(const struct mapping *m) {
        if (path_starts(m, "[vvar") || path_starts(m, "[vsyscall]"))
                return MAPS_NOTHING;
        if (m->device)
                return MAPS_NOTHING;
        return m->inode == 0 || is_memory_file(m) ? MAPS_ANONYMOUS : MAPS_PRIVATE;
}
