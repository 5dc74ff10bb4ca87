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

/* Each of the two is evaluated once: a clock that is read again has gone on. */
#define MIN(a, b) _of_two_(a, <, b, _unique_(_a), _unique_(_b))
#define MAX(a, b) _of_two_(a, >, b, _unique_(_a), _unique_(_b))
#define _of_two_(a, is, b, x, y)           \
        __extension__({                    \
                const __auto_type x = (a); \
                const __auto_type y = (b); \
                x is y ? x : y;            \
        })
#define _unique_(name)   _join_(name, __COUNTER__)
#define _join_(a, b)     _join_now_(a, b)
#define _join_now_(a, b) a##b

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
