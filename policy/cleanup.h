/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ownership by attribute: a local that owns something says so on its own line, and gives it up only through
 * TAKE_PTR/TAKE_FD. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#define _cleanup_(fn)  __attribute__((__cleanup__(fn)))
#define _warn_unused_  __attribute__((__warn_unused_result__))
#define _printf_(a, b) __attribute__((__format__(printf, a, b)))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

#define TAKE_PTR(p)                                   \
        ({                                            \
                __typeof__(p) *_pp = &(p), _p = *_pp; \
                *_pp = NULL;                          \
                _p;                                   \
        })
#define TAKE_FD(fd)                          \
        ({                                   \
                int *_fp = &(fd), _f = *_fp; \
                *_fp = -EBADF;               \
                _f;                          \
        })

static inline void freep(void *p) {
        free(*(void **) p);
}

static inline void closep(int *fd) {
        if (*fd >= 0)
                (void) close(*fd);
}

static inline void fclosep(FILE **f) {
        if (*f)
                (void) fclose(*f);
}

/* A copy of n items of the size; never NULL but when out of memory. */
static inline void *memdup_array(const void *items, size_t n, size_t size) {
        void *copy = reallocarray(NULL, MAX(n, (size_t) 1), size);

        if (copy && n > 0)
                memcpy(copy, items, n * size);
        return copy;
}

#define _cleanup_free_   _cleanup_(freep)
#define _cleanup_close_  _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)
#define _cleanup_json_   _cleanup_(json_decrefp)
