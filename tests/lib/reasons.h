/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* cmocka compares 64 bits; a set of reasons is wider. Include after cmocka. */
#define assert_reasons(a, b) assert_true((a) == (b))
