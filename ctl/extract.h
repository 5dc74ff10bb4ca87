/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a host's ledger says of one hold: the records about it, byte for byte, so that the hash of each can be found in
 * the tree again. A record counts when its own hash is right; that nothing is missing between them, and that the host
 * has not written the ledger anew, is for others to say (`freezectl evidence verify`). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* body: one line of JSON, n bytes, without a newline; o: the same, read. A negative return stops. */
typedef int (*extract_fn)(const char *body, size_t n, const json_t *o, void *userdata);

/* hold: 32 hex digits. 0, -ENOENT when there is no ledger in dir, -errno, or what the function returned. *ret_bad
 * counts the places where a file was not as it should be, after which no more of it is read. */
int extract_read(const char *dir, const char *hold, extract_fn fn, void *userdata, uint64_t *ret_bad) _warn_unused_;
/* The same of one file's bytes. *ret_bad as a bool. Pure. */
int extract_records(const uint8_t *p, size_t n, const char *hold, extract_fn fn, void *userdata,
                    bool *ret_bad) _warn_unused_;
