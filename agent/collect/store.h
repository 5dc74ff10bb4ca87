/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The incident's folder while it is being filled:
 *
 *   data/NNNNNN-KIND      one object each; the name holds nothing that an attacker wrote
 *   index.jsonl           a line per object and a line per hole, in the order in which things were read
 *   manifest-sha256.txt   for `sha256sum -c`; it exists only when everything else is complete and durable
 *
 * An object is hashed as it is written and gets its name only when it is whole, so whatever stops the program leaves
 * whole objects, each with its index line. Collecting never fails because of what is collected: anything not read
 * becomes a hole, and the caller goes on. Room for the index is taken from the disk before anything is read, so that a
 * full disk still has its holes listed. */

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/index.h"
#include "agent/util/collect_abi.h"

struct store;

struct store_limits {
        uint64_t max_bytes;  /* of all objects; half of the disk's free space and inodes is a bound beside it */
        int64_t deadline_us; /* CLOCK_MONOTONIC */
};

/* folder is borrowed. It has to be empty: -EEXIST otherwise. -errno. */
int store_open(int folder, const struct store_limits *limits, struct store **ret) _warn_unused_;
void store_free(struct store *s);
void store_freep(struct store **s);

/* The deadline has passed, or the index cannot be written any more: read nothing else. */
bool store_over(struct store *s);
/* Bytes of the budget that the objects from now on have to leave for later ones. */
void store_keep(struct store *s, uint64_t bytes);
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
/* Something that was not read at all; err is a negative errno. */
void store_hole(struct store *s, const struct index_item *item, int err, int64_t expected);

/* Makes everything durable, the manifest last. -errno: there is no manifest then, *ret untouched. */
int store_finish(struct store *s, struct collect_result *ret) _warn_unused_;
