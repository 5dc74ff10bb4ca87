/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The content of an open regular file as one object. Of a file with gaps the object is the data alone, one run after
 * the other, and a note says where each belongs: a terabyte of nothing costs nothing. */

#include <sys/stat.h>

#include "agent/collect/store.h"

/* before: what fstat(2) said when the file was first looked at; not a byte behind that size is read. `from`: what lies
 * before that offset is left out, which is a hole EFBIG and told by the note. Times or a size that differ afterwards
 * are told as a change. */
void sparse_copy(struct store *s, const struct index_item *item, int fd, const struct stat *before, off_t from);
