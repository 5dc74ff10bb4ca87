/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/runs.c agent/collect/maps.c */
#include <stdint.h>
#include <sys/mman.h>

#include "agent/collect/runs.h"

#define WORDS_MAX 512U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A byte for each page of a pagemap as older kernels have it, in its upper three bits, and one that ends a mapping. */
static size_t make_maps(const uint8_t *data, size_t n, uint64_t *words, struct mapping *maps) {
        size_t n_maps = 0, from = 0;

        for (size_t i = 0; i < n; i++) {
                words[i] = (uint64_t) (data[i] & 0xe0) << 56;
                if (!(data[i] & 1) && i + 1 < n)
                        continue;
                maps[n_maps++] = (struct mapping) {
                        .start = from * RUNS_PAGE,
                        .end = (i + 1) * RUNS_PAGE,
                        .inode = data[i] & 2,
                        .path = "/x",
                        .path_n = data[i] & 2,
                        .read = data[i] & 4,
                };
                from = i + 1;
        }
        return n_maps;
}

static bool is_in(const struct runs *r, uint64_t page) {
        for (size_t i = 0; i < r->n; i++)
                if (r->v[i].start <= page * RUNS_PAGE && page * RUNS_PAGE < r->v[i].end)
                        return true;
        return false;
}

static bool never(void *userdata) {
        (void) userdata;
        return false;
}

/* Runs are in order and within their mappings; no page that was written to is left out. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const size_t n = MIN(size, (size_t) WORDS_MAX);
        uint64_t words[WORDS_MAX], bytes = 0;
        struct mapping maps[WORDS_MAX];
        _cleanup_(runs_done) struct runs r = { .v = NULL };
        _cleanup_close_ int fd = memfd_create("pagemap", MFD_CLOEXEC);
        size_t n_maps = make_maps(data, n, words, maps);

        if (fd < 0 || write(fd, words, n * sizeof(words[0])) != (ssize_t) (n * sizeof(words[0])))
                return 0;
        if (runs_find(fd, maps, n_maps, never, NULL, &r) != 0)
                __builtin_trap();
        for (size_t i = 0; i < r.n; i++) {
                const struct run *v = &r.v[i];

                bytes += v->end - v->start;
                if (v->map >= n_maps || v->start < maps[v->map].start || v->end > maps[v->map].end ||
                    v->start >= v->end || (i > 0 && v->start < v[-1].end))
                        __builtin_trap();
        }
        for (size_t i = 0; i < n; i++)
                if (((words[i] >> 62) & 3) && !(words[i] >> 61 & 1) && !is_in(&r, i))
                        __builtin_trap();
        if (bytes != r.bytes + r.gap)
                __builtin_trap();
        return 0;
}
