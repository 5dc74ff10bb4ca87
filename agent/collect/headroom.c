/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/headroom.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "agent/util/io.h"

#define TEXT_MAX    (64U * 1024)
#define MEMINFO     "/proc/meminfo"
#define BASE_V1     "/sys/fs/cgroup/memory"
#define BASE        "/sys/fs/cgroup"
#define BASE_HYBRID "/sys/fs/cgroup/unified"
#define CONTROLLERS "cgroup.controllers"

/* The same in both versions of the kernel's interface. */
static const struct names {
        const char *limit, *usage, *caches[2];
} names[2] = {
        { "memory.max", "memory.current", { "inactive_file ", "active_file " } },
        { "memory.limit_in_bytes", "memory.usage_in_bytes", { "total_inactive_file ", "total_active_file " } },
};

/* Behind the key that a line begins with; 0 when there is none. */
static uint64_t field(const char *text, const char *key) {
        const size_t n = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (strncmp(line, key, n) == 0)
                        return strtoull(line + n, NULL, 10);
        }
        return 0;
}

static int read_number(int base, const char *path, const char *name, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        char file[PATH_MAX];
        int r = snprintf(file, sizeof(file), "%s/%s", path, name) < (int) sizeof(file) ? 0 : -ENAMETOOLONG;

        if (r == 0)
                r = io_read_file(base, file, TEXT_MAX, &text, NULL);
        if (r == 0 && strcmp(text, "max\n") == 0)
                *ret = UINT64_MAX;
        else if (r == 0 && sscanf(text, "%" SCNu64, ret) != 1)
                r = -EBADMSG;
        return r;
}

static uint64_t cache_of(int base, const char *path, const struct names *n) {
        _cleanup_free_ char *text = NULL;
        char file[PATH_MAX];

        if (snprintf(file, sizeof(file), "%s/memory.stat", path) >= (int) sizeof(file) ||
            io_read_file(base, file, TEXT_MAX, &text, NULL) < 0)
                return 0;
        return field(text, n->caches[0]) + field(text, n->caches[1]);
}

/* FAIL-CLOSED: a limit of which the rest is not told counts as reached. */
static uint64_t left_in(int base, const char *path, const struct names *n) {
        uint64_t limit, usage, used;
        int r = read_number(base, path, n->limit, &limit);

        /* the controller is not enabled there */
        if (r == -ENOENT || (r == 0 && limit == UINT64_MAX))
                return UINT64_MAX;
        if (r < 0 || read_number(base, path, n->usage, &usage) < 0)
                return 0;
        used = usage - MIN(usage, cache_of(base, path, n) / 2);
        return limit - MIN(limit, used);
}

uint64_t headroom_below(int base, const char *path, bool v1) {
        uint64_t least = UINT64_MAX;
        char at[PATH_MAX];

        (void) snprintf(at, sizeof(at), ".%s", path);
        for (char *slash; (slash = strrchr(at, '/')); *slash = '\0')
                if (slash[1])
                        least = MIN(least, left_in(base, at, &names[v1]));
        return least;
}

static uint64_t left_on_host(void) {
        _cleanup_free_ char *text = NULL;

        return io_read_file(AT_FDCWD, MEMINFO, TEXT_MAX, &text, NULL) < 0 ? 0 : field(text, "MemAvailable:") * 1024;
}

/* A line is "4:memory:/path", and "0::/path" for the unified hierarchy, which counts where the other does not. */
bool headroom_parse_cgroup(const char *text, bool *ret_v1, char *ret, size_t n) {
        bool found = false, v1 = false;

        for (const char *line = text, *end; !v1 && (end = strchr(line, '\n')); line = end + 1) {
                static const char memory[] = ":memory:", unified[] = "0::";
                const char *at = memmem(line, (size_t) (end - line), memory, sizeof(memory) - 1);
                const char *path = at                                                 ? at + sizeof(memory) - 1
                                   : strncmp(line, unified, sizeof(unified) - 1) == 0 ? line + sizeof(unified) - 1
                                                                                      : NULL;

                if (!path || *path != '/' || (size_t) (end - path) >= n)
                        continue;
                (void) snprintf(ret, n, "%.*s", (int) (end - path), path);
                *ret_v1 = v1 = path != line + sizeof(unified) - 1;
                found = true;
        }
        return found;
}

static int open_base(bool v1) {
        static const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
        int fd = open(v1 ? BASE_V1 : BASE, flags);

        if (v1 || fd < 0 || faccessat(fd, CONTROLLERS, F_OK, 0) == 0)
                return fd;
        (void) close(fd);
        return open(BASE_HYBRID, flags);
}

void headroom_open(const struct process *p, struct headroom *ret) {
        _cleanup_free_ char *text = NULL;

        *ret = (struct headroom) { .base = -EBADF };
        if (io_read_file(p->dir, "cgroup", TEXT_MAX, &text, NULL) == 0 &&
            headroom_parse_cgroup(text, &ret->v1, ret->cgroup, sizeof(ret->cgroup)))
                ret->base = open_base(ret->v1);
}

void headroom_done(struct headroom *h) {
        closep(&h->base);
}

bool headroom_take(struct headroom *h, uint64_t n) {
        if (h->granted < n) {
                const uint64_t host = left_on_host(),
                               own = h->base < 0 ? host : headroom_below(h->base, h->cgroup, h->v1);

                if (MIN(host, own) < HEADROOM_KEEP + HEADROOM_STEP)
                        return false;
                h->granted = HEADROOM_STEP;
        }
        h->granted -= n;
        return true;
}
