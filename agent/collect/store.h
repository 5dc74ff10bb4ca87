/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What was read, on its way into the bag: an object that is small goes into a pack with others, a larger one becomes a
 * file of its own, and the sealed index gets a line for each, and one for each hole.
 *
 * Objects are hashed as they are sealed. The index is sealed in parts, each after the pack whose members it lists, so
 * whatever stops the program leaves files that can be opened, and all but the latest of them listed. Collecting never
 * fails because of what is collected: anything not read becomes a hole, and the caller goes on. */

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/bag.h"
#include "agent/collect/index.h"
#include "agent/util/collect_abi.h"

struct store;

struct store_limits {
        const struct age_recipient *recipients;
        size_t n_recipients;
        uint64_t max_bytes;  /* of the disk, for all objects; half of its free space and inodes is a bound beside it */
        int64_t deadline_us; /* CLOCK_MONOTONIC */
};

/* folder is borrowed. It has to be empty: -EEXIST otherwise. -errno. */
int store_open(int folder, const struct store_limits *limits, struct store **ret) _warn_unused_;
void store_free(struct store *s);
void store_freep(struct store **s);

/* The deadline has passed, or nothing can be listed any more: read nothing else. */
bool store_over(struct store *s);
/* Microseconds until it is, by the deadline. */
int64_t store_left_us(const struct store *s);
/* What the objects from now on have to leave for later ones: bytes of the budget and numbers of objects, of each a
 * third of what is left of it at most, and time before the deadline. */
void store_keep(struct store *s, uint64_t bytes, uint64_t objects, int64_t us);
void store_flag(struct store *s, enum collect_flag flag);
/* A line of our own in the index: what ran, where and how. The reference is stolen in every case. */
void store_note(struct store *s, json_t *object);

/* One object at a time. begin returns 0, or -errno when the object cannot be made; write returns 0 or -errno, after
 * which the object is as long as it will get. Neither has told the index anything: the caller ends both with
 * store_end. */
int store_begin(struct store *s, const struct index_item *item) _warn_unused_;
int store_write(struct store *s, const void *bytes, size_t n) _warn_unused_;
/* Names the object and lists it; err (negative errno, 0 for none), changed or a failure of the disk add a hole line.
 * expected as in struct index_hole. After a begin that failed this lists the hole only. An object without a byte that
 * ended with an error is not kept. */
void store_end(struct store *s, int err, int64_t expected, bool changed);
/* fd is the file that the object is a copy of: what the file system says of it goes into the index too. Between begin
 * and end, before the first byte is read: reading may change its atime. Files that the kernel makes up are left out. */
void store_stat(struct store *s, int fd);
/* Something that was not read at all; err is a negative errno. */
void store_hole(struct store *s, const struct index_item *item, int err, int64_t expected);

/* Seals what waits to be: for when a stage is done. Between objects. */
void store_checkpoint(struct store *s);
/* The threads that compress; between objects (press.h). */
void store_start_threads(struct store *s);
void store_stop_threads(struct store *s);

/* Makes everything durable, the manifest last. -errno: there is no manifest then, *ret untouched. */
int store_finish(struct store *s, struct collect_result *ret) _warn_unused_;
