/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Walking /proc directories whose entries are numbers: fd, fdinfo, task. */

#include <dirent.h>
#include <stdbool.h>
#include <sys/types.h>

#include "policy/cleanup.h"

/* NULL with errno set. */
DIR *numdir_open(int at, const char *path);
void numdir_closep(DIR **d);
/* The next entry that is a number, valid until the next call; NULL at the end. */
const char *numdir_next(DIR *d);
/* Whether a thread has a table of descriptors that is not its process's. True also when the kernel does not say. */
bool numdir_own_files(pid_t pid, pid_t tid);
