/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The text of /proc/PID/maps: what a process has mapped (proc_pid_maps(5)). Whose it is can make it as long as he
 * likes: no more than a piece of it is in memory at any time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

struct mapping {
        uint64_t start, end; /* start < end, above the end of the one before; both multiples of 4096 */
        uint64_t offset;     /* into the file, bytes */
        uint64_t inode;      /* 0: no file */
        uint64_t dev;        /* of the inode, as the kernel has it for this file */
        const char *path;    /* path_n bytes, as the kernel escaped it; may be none */
        size_t path_n;
        bool read, write, exec, shared;
        bool memory; /* a file that nobody can open by its path, or that is gone */
        bool kernel; /* a page of the kernel's own */
        bool device; /* to touch its pages can be an act; by its path, until somebody who can ask the kernel knows
                        better */
};

/* One line, without its newline; the path borrows it. after is the end of the mapping before it. -EBADMSG for what no
 * kernel writes. Pure. */
int maps_parse_line(const char *line, size_t n, uint64_t after, struct mapping *ret) _warn_unused_;

/* Calls found for each line of the file maps in dir, in order; the path is good until it returns. Of a line longer than
 * MAPS_LINE_MAX the path has "..." for its middle. A negative return stops and is returned. -EBADMSG, -errno. */
#define MAPS_LINE_MAX (32U * 1024)
typedef int (*maps_fn)(const struct mapping *m, void *userdata);
int maps_each(int dir, maps_fn found, void *userdata) _warn_unused_;

/* What of a mapping's memory is nowhere else, and so has to be read. */
enum maps_content {
        MAPS_NOTHING,   /* a device, or a page of the kernel's */
        MAPS_ANONYMOUS, /* every page that there is */
        MAPS_PRIVATE,   /* of a file that can be read by itself: the pages that were written to, and the first */
};
enum maps_content maps_content(const struct mapping *m);
