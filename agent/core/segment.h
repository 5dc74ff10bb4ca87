/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One file of the ledger as bytes: it is made whole before it has a name, it is never longer or shorter afterwards, and
 * a record in it is either all there or not taken for one. What the records say, and how they hang together, is the
 * ledger's business. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* Of a record, beside its body: the length before it and the hash after it. */
#define SEGMENT_OVERHEAD (4U + 32U)
#define SEGMENT_LAST     99999999U

struct segment_record {
        uint8_t *body; /* owned; n bytes */
        uint32_t n;
        uint8_t hash[32];
};

/* The file that will be number's successor, while it is being made and afterwards. */
struct segment_spare {
        int fd;
        uint32_t filled;
        bool ready;
};

void segment_record_done(struct segment_record *r);
/* SHA-256(0x00 || body), the leaf hash of RFC 6962. */
void segment_leaf_hash(const void *body, size_t n, uint8_t ret[static 32]);

/* The highest number of the segments in dir; 0 when there is none. -errno. */
int segment_find_last(int dir, uint32_t *ret) _warn_unused_;
/* Opens a segment for reading, and for writing where that may be; *ret_size, when not NULL, is the file's. -EBADMSG
 * when there is no such file. */
int segment_open(int dir, uint32_t number, uint64_t *ret_size, int *ret) _warn_unused_;
bool segment_is_writable(int fd);
/* Reads the record at an offset. -ENODATA when the used part ends there, -EBADMSG when what is there is no whole
 * record. */
int segment_read(int fd, uint32_t at, uint32_t size, struct segment_record *ret) _warn_unused_;
/* Writes a record with one call, and returns once it is on the disk. It has to fit. After an error any part of it may
 * be there, up to *ret_end, which is at when nothing is. */
int segment_write(int fd, uint32_t at, const char *body, uint32_t n, const uint8_t hash[static 32],
                  uint32_t *ret_end) _warn_unused_;

/* *ret is the offset after the last byte that is not zero, or from when there is none at or beyond it. */
int segment_find_end(int fd, uint32_t from, uint32_t size, uint32_t *ret) _warn_unused_;
/* True when no record was ever acknowledged in it, though not all of it can be read: it begins with zeros, and what
 * else can be read of it is zeros, but for a few pieces around what cannot. Gives up where more cannot: that takes a
 * disk that dies long. */
bool segment_is_blank(int fd, uint32_t size);
/* Takes the file away, durably. */
int segment_remove(int dir, uint32_t number) _warn_unused_;
/* 0 when the bytes from at to end can be what one interrupted segment_write left: any part of them may be missing, but
 * nothing lies beyond what it was going to write. -EBADMSG otherwise. */
int segment_check_torn(int fd, uint32_t at, uint32_t end, uint32_t size) _warn_unused_;
/* Zeroes them durably, lest a part be read as the record after the next one. */
int segment_wipe(int fd, uint32_t at, uint32_t end) _warn_unused_;
/* Writes what is there over itself, durably: what a disk failed to take once, fdatasync does not ask of it again. */
int segment_renew(int fd, uint32_t at, uint32_t end) _warn_unused_;

/* Makes a segment, a step of about a millisecond for each call: 1 when there is more to do, 0 when it stands, durable
 * and named. On an error what was done is given up and the next call begins again. */
int segment_make(int dir, uint32_t number, uint32_t size, struct segment_spare *spare) _warn_unused_;
