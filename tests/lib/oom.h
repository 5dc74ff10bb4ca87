/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lets exactly one of jansson's allocations fail, so that a sweep over all of them shows that no refusal is made of
 * lacking memory. */

#include <stdbool.h>
#include <stdlib.h>

#include <jansson.h>
#include <sanitizer/lsan_interface.h>

static size_t oom_left;
static bool oom_hit;

static inline void *oom_malloc(size_t n) {
        if (oom_left-- == 0) {
                oom_hit = true;
                return NULL;
        }
        return malloc(n);
}

/* The allocation after k more ones fails. */
static inline void oom_begin(size_t k) {
        __lsan_disable(); /* schema.c says why what jansson had is lost then */
        oom_left = k;
        oom_hit = false;
        json_set_alloc_funcs(oom_malloc, free);
}

/* True when one failed. */
static inline bool oom_end(void) {
        json_set_alloc_funcs(malloc, free);
        __lsan_enable();
        return oom_hit;
}
