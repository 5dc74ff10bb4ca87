/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* manifest-sha256.txt: "<hex>  <name>" a line, sorted by name, as `sha256sum -c` and BagIt (RFC 8493) both read it. The
 * names are our own and hold nothing that either would have to escape. */

#include <stdint.h>

#include "policy/cleanup.h"

struct manifest;

/* Takes the disk's space for some 1,500 lines at once, so that a disk that fills up meanwhile still gets its manifest.
 * folder is borrowed until manifest_free. -errno. */
int manifest_new(int folder, struct manifest **ret) _warn_unused_;
void manifest_free(struct manifest *m);
void manifest_freep(struct manifest **m);

/* Names are at most MANIFEST_NAME_MAX bytes: -EINVAL. -ENOMEM. */
#define MANIFEST_NAME_MAX 59U
int manifest_add(struct manifest *m, const char *name, const uint8_t sha256[static 32]) _warn_unused_;
/* Takes back what was added last. */
void manifest_drop(struct manifest *m);
/* Writes it durably; it gets its name in the folder only when it is whole. ret is the digest of its bytes. -errno.
 * Blocks on the disk. */
int manifest_write(struct manifest *m, uint8_t ret[static 32]) _warn_unused_;
