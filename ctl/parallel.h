/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Many pieces of work that have nothing to do with each other, on all processors. */

#include <stddef.h>

/* Calls work(arg, 0) to work(arg, n - 1), each once, in no order and several at a time, and returns when all have
 * returned. On as many threads as this process has processors, of which the caller is one; where none can be made it
 * does all of it. Signals are only handled where they were before. */
void parallel_for(size_t n, void (*work)(void *arg, size_t i), void *arg);
