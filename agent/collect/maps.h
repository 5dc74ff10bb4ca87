/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The text of /proc/PID/maps: what a process has mapped (proc_pid_maps(5)). Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* vm.max_map_count is 65530 unless somebody raised it. */
#define MAPS_MAX (256U * 1024)

struct mapping {
        uint64_t start, end; /* start < end, above the end of the one before; both multiples of 4096 */
        uint64_t offset;     /* into the file, bytes */
        uint64_t inode;      /* 0: no file */
        uint64_t dev;        /* of the inode, as the kernel has it for this file */
        const char *path;    /* into the text, path_n bytes, as the kernel escaped it; may be none */
        size_t path_n;
        bool read, write, exec, shared;
        bool device; /* to touch its pages can be an act; by its path, until somebody who can ask the kernel knows
                        better */
};

/* *ret is malloc'ed and borrows the text. -EBADMSG for what no kernel writes, -E2BIG over MAPS_MAX, -ENOMEM. */
int maps_parse(const char *text, size_t n, struct mapping **ret, size_t *ret_n) _warn_unused_;

/* What of a mapping's memory is nowhere else, and so has to be read. */
enum maps_content {
        MAPS_NOTHING,   /* a device, or a page of the kernel's */
        MAPS_ANONYMOUS, /* every page that there is */
        MAPS_PRIVATE,   /* of a file that can be read by itself: the pages that were written to, and the first */
};
enum maps_content maps_content(const struct mapping *m);
