/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A BagIt bag (RFC 8493) that leaves the host: a directory, or one tar archive. Whatever is put in is hashed on its
 * way. It is made in a directory of its own beside the place where it shall be, for nobody else to read, and appears
 * there only when it is whole; when anything fails, or the program is told to end (SIGINT, SIGTERM, SIGHUP), nothing of
 * it is left. There is one outbox at a time. Names are given by the program, never taken from what was collected. */

#include <stddef.h>
#include <stdint.h>

#include "ctl/why.h"

struct outbox;

#define OUTBOX_NAME_MAX 127U

/* path must be free; where it ends in ".tar" it becomes an archive. Each of these returns 0 or an exit code. */
int outbox_new(const char *path, struct outbox **ret, struct why *w) _warn_unused_;
void outbox_free(struct outbox *o);
void outbox_freep(struct outbox **o);
/* A directory for files that are not ready yet; it goes with the outbox. */
const char *outbox_work(const struct outbox *o);

/* Payload is what lies below "data/". */
int outbox_put(struct outbox *o, const char *name, const void *bytes, size_t n, struct why *w) _warn_unused_;
/* The rest of what fd has. sha256, when not NULL, is what it must be: CTL_REFUSED otherwise. */
int outbox_copy(struct outbox *o, const char *name, int fd, const uint8_t *sha256, struct why *w) _warn_unused_;
/* A file of the work directory, which is not there any more then. */
int outbox_move(struct outbox *o, const char *name, const char *work_name, struct why *w) _warn_unused_;
/* Writes manifests and bag-info.txt, with these lines in it, and gives the bag its name. */
int outbox_finish(struct outbox *o, const char *info, struct why *w) _warn_unused_;

/* Of the payload. */
void outbox_count(const struct outbox *o, uint64_t *ret_files, uint64_t *ret_bytes);
