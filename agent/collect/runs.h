/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which pages of a process have to be read: those that are there, in runs. Reading any other page would make it, in the
 * memory of a process that is evidence, or wait for a page fault that nobody answers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/collect/maps.h"

#define RUNS_PAGE 4096U
/* So many program headers an ELF file can have without an extension, less some for mappings without a page. Where there
 * are more mappings than that, each can have one. */
#define RUNS_MAX 60000U
/* A kernel without PAGEMAP_SCAN has a word for each page: larger mappings are not looked through there. */
#define RUNS_LOOK_MAX (1ULL << 40)

/* Pages from start to end of mapping number map. */
struct run {
        uint64_t start, end;
        uint32_t map;
};

struct runs {
        struct run *v; /* owned */
        size_t n, size;
        uint64_t bytes;   /* that are there */
        uint64_t gap;     /* bytes that are not there and lie between two runs that became one: not to be read */
        uint64_t skipped; /* bytes of mappings above RUNS_LOOK_MAX */
};

void runs_done(struct runs *r);

/* Of all mappings, in order. pagemap is /proc/PID/pagemap, open for reading. When there are more runs than RUNS_MAX,
 * those with the smallest gaps between them become one. over is asked before each mapping, of which one can take
 * seconds. -ETIME when it says so, -ENOMEM, or -errno of reading. */
typedef bool (*runs_over_fn)(void *userdata);
int runs_find(int pagemap, const struct mapping *maps, size_t n, runs_over_fn over, void *userdata,
              struct runs *ret) _warn_unused_;

/* Which of up to 64 pages from start on are swapped out, the first in the lowest bit: to read one takes it back into
 * memory. -errno. */
int runs_swapped(int pagemap, uint64_t start, size_t pages, uint64_t *ret) _warn_unused_;

/* Calls found for each range of pages between start and end that has to be read, in order. A negative return stops and
 * is returned. -EFBIG above RUNS_LOOK_MAX where the kernel has no PAGEMAP_SCAN. */
typedef int (*runs_fn)(uint64_t start, uint64_t end, void *userdata);
int runs_each(int pagemap, enum maps_content content, uint64_t start, uint64_t end, runs_fn found,
              void *userdata) _warn_unused_;
