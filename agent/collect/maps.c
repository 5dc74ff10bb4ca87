/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/maps.h"

#include <fcntl.h>
#include <string.h>

#define PAGE_MASK 4095U
/* What is kept of the end of a line that is too long: enough to see that the file is gone. */
#define TAIL 16U

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

static bool parse_numbers(struct cursor *c, struct mapping *m) {
        uint64_t major, minor;

        if (!take_hex(c, &m->start) || !take(c, '-') || !take_hex(c, &m->end) || !take(c, ' ') ||
            !take_permissions(c, m) || !take(c, ' ') || !take_hex(c, &m->offset) || !take(c, ' ') ||
            !take_hex(c, &major) || !take(c, ':') || !take_hex(c, &minor) || !take(c, ' ') ||
            !take_decimal(c, &m->inode))
                return false;
        m->dev = major << 32 | minor;
        return m->start < m->end && ((m->start | m->end) & PAGE_MASK) == 0;
}

int maps_parse_line(const char *line, size_t n, uint64_t after, struct mapping *ret) {
        struct cursor c = { line, line + n };
        struct mapping m = { 0 };

        if (!parse_numbers(&c, &m) || m.start < after)
                return -EBADMSG;
        while (take(&c, ' '))
                ;
        m.path = c.at;
        m.path_n = (size_t) (c.end - c.at);
        m.memory = is_memory_file(&m);
        m.kernel = path_starts(&m, "[vvar") || path_starts(&m, "[vsyscall]");
        m.device = m.inode != 0 && path_starts(&m, "/dev/") && !m.memory;
        *ret = m;
        return 0;
}

/* Of the text, what was not yet taken. */
struct piece {
        char text[MAPS_LINE_MAX];
        size_t n;
        uint64_t after;
};

static int take_lines(struct piece *p, maps_fn found, void *userdata) {
        size_t at = 0;
        int r = 0;

        for (const char *end; r >= 0 && (end = memchr(p->text + at, '\n', p->n - at));) {
                struct mapping m;

                r = maps_parse_line(p->text + at, (size_t) (end - p->text) - at, p->after, &m);
                if (r < 0)
                        break;
                p->after = m.end;
                at = (size_t) (end - p->text) + 1;
                r = found(&m, userdata);
        }
        memmove(p->text, p->text + at, p->n - at);
        p->n -= at;
        return r < 0 ? r : 0;
}

static void leave_middle_out(struct piece *p) {
        static const char dots[] = "...";
        char *to = p->text + sizeof(p->text) / 2;

        memcpy(to, dots, sizeof(dots) - 1);
        memmove(to + sizeof(dots) - 1, p->text + p->n - TAIL, TAIL);
        p->n = sizeof(p->text) / 2 + sizeof(dots) - 1 + TAIL;
}

int maps_each(int dir, maps_fn found, void *userdata) {
        _cleanup_close_ int fd = openat(dir, "maps", O_RDONLY | O_CLOEXEC);
        struct piece p = { .n = 0 };

        if (fd < 0)
                return -errno;
        for (;;) {
                const ssize_t got = read(fd, p.text + p.n, sizeof(p.text) - p.n);
                int r;

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : p.n > 0 ? -EBADMSG : 0;
                p.n += (size_t) got;
                r = take_lines(&p, found, userdata);
                if (r < 0)
                        return r;
                if (p.n == sizeof(p.text))
                        leave_middle_out(&p);
        }
}

enum maps_content maps_content(const struct mapping *m) {
        if (m->kernel || m->device)
                return MAPS_NOTHING;
        return m->inode == 0 || m->memory ? MAPS_ANONYMOUS : MAPS_PRIVATE;
}
