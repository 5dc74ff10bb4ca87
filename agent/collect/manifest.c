/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/manifest.h"

#include <fcntl.h>
#include <string.h>

#include <sodium.h>

#include "agent/util/collect_abi.h"
#include "agent/util/io.h"

/* 64 hex digits, two spaces, name, newline */
#define LINE_MAX_SIZE (64U + 2 + MANIFEST_NAME_MAX + 1)

_Static_assert((COLLECT_OBJECTS_MAX + 1) * LINE_MAX_SIZE <= COLLECT_MANIFEST_MAX,
               "the core reads every manifest that can be made");

struct entry {
        uint8_t sha256[32];
        char name[MANIFEST_NAME_MAX + 1];
};

/* Some 1,500 lines. */
#define RESERVE (128U * 1024)

struct manifest {
        int folder, fd;
        struct entry *entries;
        size_t n, size;
};

int manifest_new(int folder, struct manifest **ret) {
        _cleanup_(manifest_freep) struct manifest *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->folder = folder;
        m->fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0400);
        if (m->fd < 0)
                return -errno;
        /* Best effort, as for the index. */
        (void) fallocate(m->fd, FALLOC_FL_KEEP_SIZE, 0, RESERVE);
        *ret = TAKE_PTR(m);
        return 0;
}

void manifest_free(struct manifest *m) {
        if (!m)
                return;
        closep(&m->fd);
        free(m->entries);
        free(m);
}

void manifest_freep(struct manifest **m) {
        manifest_free(*m);
}

int manifest_add(struct manifest *m, const char *name, const uint8_t sha256[static 32]) {
        if (strlen(name) > MANIFEST_NAME_MAX)
                return -EINVAL;
        if (m->n == m->size) {
                size_t size = m->size ? m->size * 2 : 256;
                struct entry *bigger = reallocarray(m->entries, size, sizeof(*bigger));

                if (!bigger)
                        return -ENOMEM;
                m->entries = bigger;
                m->size = size;
        }
        struct entry *e = &m->entries[m->n++];

        memcpy(e->sha256, sha256, sizeof(e->sha256));
        (void) snprintf(e->name, sizeof(e->name), "%s", name);
        return 0;
}

void manifest_drop(struct manifest *m) {
        m->n--;
}

static int compare_entries(const void *a, const void *b) {
        return strcmp(((const struct entry *) a)->name, ((const struct entry *) b)->name);
}

static size_t print_lines(const struct manifest *m, char *text) {
        char *p = text;

        for (size_t i = 0; i < m->n; i++) {
                char hex[65];

                sodium_bin2hex(hex, sizeof(hex), m->entries[i].sha256, sizeof(m->entries[i].sha256));
                p += sprintf(p, "%s  %s\n", hex, m->entries[i].name);
        }
        return (size_t) (p - text);
}

int manifest_write(struct manifest *m, uint8_t ret[static 32]) {
        _cleanup_free_ char *text = malloc(m->n * LINE_MAX_SIZE + 1);
        uint8_t digest[32];
        int r;

        if (!text)
                return -ENOMEM;
        if (m->n > 0)
                qsort(m->entries, m->n, sizeof(*m->entries), compare_entries);
        size_t n = print_lines(m, text);

        (void) crypto_hash_sha256(digest, (const uint8_t *) text, n);
        r = io_write_all(m->fd, text, n);
        if (r < 0)
                return r;
        if (fdatasync(m->fd) < 0 || linkat(m->fd, "", m->folder, COLLECT_MANIFEST, AT_EMPTY_PATH) < 0 ||
            fsync(m->folder) < 0)
                return -errno;
        memcpy(ret, digest, sizeof(digest));
        return 0;
}
