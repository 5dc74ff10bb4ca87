/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* PAGEMAP_SCAN (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst), which older headers lack: tells where pages are
 * without a word for each page that is not there. */

#include <stdint.h>
#include <sys/ioctl.h>

struct pagemap_region {
        uint64_t start, end;
        uint64_t categories;
};

struct pagemap_scan {
        uint64_t size;
        uint64_t flags;
        uint64_t start, end;
        uint64_t walk_end; /* where it stopped */
        uint64_t vec, vec_len;
        uint64_t max_pages;
        uint64_t category_inverted, category_mask, category_anyof_mask;
        uint64_t return_mask;
};

#define PAGEMAP_IS_FILE    (UINT64_C(1) << 2)
#define PAGEMAP_IS_PRESENT (UINT64_C(1) << 3)
#define PAGEMAP_IS_SWAPPED (UINT64_C(1) << 4)
#define PAGEMAP_IS_ZERO    (UINT64_C(1) << 5)

#define PAGEMAP_SCAN _IOWR('f', 16, struct pagemap_scan)
