/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whole small files. -errno; nothing here prints. All of these block. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "policy/cleanup.h"

/* the machine's; people have their own */
#define FILE_CONFIG_DIR "/etc/freezed"

/* The path of that name where the operator keeps theirs. False when there is no such place. */
bool file_in_own_config(const char *name, char ret[static PATH_MAX]);
/* The same for what freezectl itself keeps of an operator's. */
bool file_in_own_state(const char *name, char ret[static PATH_MAX]);

/* *ret is malloc'ed and NUL-terminated; ret_n and ret_mode may be NULL. -EFBIG when there is more than max, -EISDIR,
 * -EINVAL for what is neither a regular file nor a pipe. */
int file_read(const char *path, size_t max, char **ret, size_t *ret_n, mode_t *ret_mode) _warn_unused_;
/* The same of what somebody else may have made: only a regular file is read, nothing is waited for, and a link in its
 * place is -ELOOP. */
int file_read_plain(const char *path, size_t max, char **ret, size_t *ret_n) _warn_unused_;
/* All of buf, whatever signals come between. */
int file_write_all(int fd, const void *buf, size_t n) _warn_unused_;
/* Durably replaces the file: temporary file beside it, fsync, rename, fsync of the directory. A reader sees the old or
 * the new one. */
int file_replace(const char *path, const void *buf, size_t n, mode_t mode) _warn_unused_;
/* The same, but the name must be free: -EEXIST. */
int file_create(const char *path, const void *buf, size_t n, mode_t mode) _warn_unused_;
/* Makes the directories above path that are missing, mode 0755. */
int file_make_parents(const char *path) _warn_unused_;
