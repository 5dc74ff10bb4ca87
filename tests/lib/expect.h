/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For a child that a test forked, whose checks are no assertions of cmocka. */

#include <stdio.h>
#include <unistd.h>

/* Where one fails, it exits with this; 77 is a skip. */
#define EXPECT(condition)                                                       \
        do {                                                                    \
                if (!(condition)) {                                             \
                        fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
                        _exit(1);                                               \
                }                                                               \
        } while (false)
