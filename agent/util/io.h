/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whole reads and writes. Nothing here logs. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/cleanup.h"

/* Reads a file up to max bytes; *ret is malloc'ed and NUL-terminated, *ret_n may be NULL. at is a directory fd or
 * AT_FDCWD. -EFBIG when there is more than max; works on procfs and cgroupfs, where st_size is 0. */
int io_read_file(int at, const char *path, size_t max, char **ret, size_t *ret_n) _warn_unused_;
/* One write(2) of the whole string, as kernel files want it. -EIO on a short write. */
int io_write_string(int at, const char *path, const char *s) _warn_unused_;
/* Writes all bytes; retries short writes. */
int io_write_all(int fd, const void *buf, size_t n) _warn_unused_;
/* Durably replaces name in dir: temporary file, fsync, rename, fsync of the directory. */
int io_replace_file(int dir, const char *name, const void *buf, size_t n, mode_t mode) _warn_unused_;
/* mkdir -p with that mode for what is missing. */
int io_mkdirs(const char *path, mode_t mode) _warn_unused_;
