/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A directory of a test's own, and whole files in it. Everything asserts: a test that cannot prepare its ground has
 * failed. */

#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "policy/cleanup.h"

struct scratch {
        char path[64];
};

/* What a whole file held. */
struct scratch_bytes {
        uint8_t *data;
        size_t n;
};

/* On tmpfs where there is one: most tests are about bytes, and a thousand fsyncs teach nothing. */
static inline void scratch_make(struct scratch *s) {
        (void) snprintf(s->path, sizeof(s->path), "%s/freezed-test-XXXXXX",
                        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(s->path));
}

static inline int scratch_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st, (void) type, (void) ftw;
        return remove(path);
}

static inline void scratch_remove(struct scratch *s) {
        if (*s->path)
                assert_int_equal(nftw(s->path, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
        *s->path = '\0';
}

#define _cleanup_scratch_ _cleanup_(scratch_remove)

/* The path of a file in the directory, good until the call after the next three. */
static inline const char *scratch_path(const struct scratch *s, const char *name) {
        static char paths[4][192];
        static unsigned i;
        char *path = paths[i++ % ELEMENTSOF(paths)];

        (void) snprintf(path, sizeof(paths[0]), "%s/%s", s->path, name);
        return path;
}

static inline void scratch_bytes_done(struct scratch_bytes *b) {
        free(b->data);
}

static inline struct scratch_bytes scratch_read(const char *path) {
        _cleanup_fclose_ FILE *f = fopen(path, "rbe");
        struct scratch_bytes b = { 0 };
        struct stat st;

        assert_non_null(f);
        assert_int_equal(fstat(fileno(f), &st), 0);
        b.data = calloc(1, (size_t) st.st_size + 1);
        assert_non_null(b.data);
        b.n = fread(b.data, 1, (size_t) st.st_size, f);
        assert_int_equal(b.n, st.st_size);
        return b;
}

static inline void scratch_write(const char *path, const void *data, size_t n) {
        _cleanup_fclose_ FILE *f = fopen(path, "wbe");

        assert_non_null(f);
        assert_int_equal(fwrite(data, 1, n, f), n);
        assert_int_equal(fflush(f), 0);
}

/* Waits for a child: its exit status, or minus the signal that it died of. */
static inline int scratch_wait(pid_t pid) {
        int status = 0;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
