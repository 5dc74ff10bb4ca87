/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Lets exactly one allocation fail, so that a sweep over all of them shows that no refusal is made of lacking memory:
 * of malloc(), which is also what schema.c gives to jansson. The linker puts this in its place, as the test's WRAP line
 * says. */

#include <stdbool.h>
#include <stdlib.h>

#include <sanitizer/lsan_interface.h>

static bool oom_on, oom_hit;
static size_t oom_left;

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

void *__wrap_malloc(size_t n) {
        if (oom_on && oom_left-- == 0) {
                oom_hit = true;
                return NULL;
        }
        return __real_malloc(n);
}

/* The allocation after k more ones fails. */
static inline void oom_begin(size_t k) {
        __lsan_disable(); /* schema.c says why what jansson had is lost then */
        oom_left = k;
        oom_hit = false;
        oom_on = true;
}

/* True when one failed. */
static inline bool oom_end(void) {
        oom_on = false;
        __lsan_enable();
        return oom_hit;
}
