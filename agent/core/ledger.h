/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The append-only record of everything that happened on this host. A record is durable before ledger_append returns, so
 * the core writes it before the effect it announces.
 *
 * DIR/NNNNNNNN.log, each preallocated with zeros to its full size: appending neither grows a file nor needs a free
 * block, so a full disk cannot lose a record. The next segment is made ready before the current one is full; when that
 * fails the rest of the current one is the reserve and ledger_room tells how much of it is left.
 *
 *   record = u32 big-endian length of body | body (JSON, one line) | SHA-256(0x00 || body)
 *
 * The hash is the RFC 6962 leaf hash, so a Merkle tree over the records needs no new field. Each body carries "n" (from
 * 1, no gaps) and "prev" (the leaf hash of record n-1 in hex, zeros for the first). Length 0 ends a segment's used
 * part.
 *
 * A record cut off by a crash (the last one of the last segment, hash not matching) was never acknowledged: it is
 * zeroed at open and the caller is told. Anything else that does not match is corruption: the ledger opens as failed,
 * keeps what verifies, and appends nothing. So it does where the disk is read-only, or a part of it cannot be read; but
 * for the segment in reserve, which has nothing in it: one that cannot be read is taken away, and another is made. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define LEDGER_SEGMENT_SIZE (8U * 1024 * 1024)
#define LEDGER_RECORD_MAX   (256U * 1024)
/* The last of the room is for orders and releases: it may be that no more can be had. What others can cause stays out
 * of it. */
#define LEDGER_ROOM_LEFT (LEDGER_SEGMENT_SIZE / 4)

struct ledger;

struct ledger_head {
        uint64_t n;       /* records so far */
        uint8_t hash[32]; /* leaf hash of the last; zeros when n is 0 */
};

/* Called for every record in order while opening; the body is borrowed. -EBADMSG: it is not understood, as what a newer
 * version wrote; the replay goes on, and the ledger opens as failed. Any other negative return stops and is returned by
 * ledger_open. */
typedef int (*ledger_replay_fn)(const json_t *body, uint64_t n, void *userdata);

/* Takes the directory, made when missing, for this process alone: *ret is what has it for as long as it is open. -EBUSY
 * when another process has it; -errno. */
int ledger_lock(const char *dir, int *ret) _warn_unused_;
/* Opens or makes the ledger in a directory that is locked; the lock is taken over in any case. segment_size is
 * LEDGER_SEGMENT_SIZE except in tests. *ret_torn: a cut-off record was dropped. Returns 0; -errno with *ret set all the
 * same, failed, when it could be read as far as it verifies and takes nothing more: -EBADMSG when corruption was found
 * (see above), -EIO when some of it cannot be read, -EROFS and others when it cannot be written; -errno with *ret
 * untouched when it could not be replayed: -ENOMEM, what the replay said. Blocks on disk, for as long as there are
 * records, and tells the service manager that it goes on. */
int ledger_open_locked(int lock, uint32_t segment_size, ledger_replay_fn replay, void *userdata, bool *ret_torn,
                       struct ledger **ret) _warn_unused_;
/* Both. */
int ledger_open(const char *dir, uint32_t segment_size, ledger_replay_fn replay, void *userdata, bool *ret_torn,
                struct ledger **ret) _warn_unused_;
void ledger_free(struct ledger *l);
void ledger_freep(struct ledger **l);

/* Adds n and prev to the body (an object, stolen in every case), writes and fdatasyncs. *ret_n, when not NULL, is its
 * number. -EBADMSG when failed, -E2BIG over LEDGER_RECORD_MAX, -ENOSPC when there is no room and no spare segment, or
 * the disk's -errno; after a failed write the ledger is failed: a later record must not stand where an unknown one may
 * be. This one may be found there at the next start all the same: for what is done anyway. */
int ledger_append(struct ledger *l, json_t *body, uint64_t *ret_n) _warn_unused_;
/* The same for what is not done unless it is recorded: after an error no later start finds the record. -ENOTRECOVERABLE
 * when that cannot be said, because the disk took neither the record nor zeros over it. */
int ledger_append_or_none(struct ledger *l, json_t *body, uint64_t *ret_n) _warn_unused_;
/* Makes the next segment ready, a step at a time (some milliseconds at most): for the event loop's idle moments, after
 * open and after appends. 1 when there is more to do, 0 when it stands, -errno when it cannot be made now; appends go
 * on in what is left. Without it, the append that does not fit any more makes the segment itself, and is that much
 * later. */
int ledger_prepare(struct ledger *l) _warn_unused_;
/* Reads one record back, verified against its hash; *ret is a new reference. -ENOENT, -EBADMSG. */
int ledger_read(struct ledger *l, uint64_t n, json_t **ret) _warn_unused_;

struct ledger_head ledger_head(const struct ledger *l);
/* The root of the Merkle tree (RFC 6962) over all records. */
void ledger_root(const struct ledger *l, uint8_t ret[static 32]);
/* Over the first n; reads them back. -ENOENT when there are fewer, -EBADMSG, -errno. */
int ledger_root_at(struct ledger *l, uint64_t n, uint8_t ret[static 32]) _warn_unused_;
/* From now on it takes no record: something outside it shows that it is not what it was. */
void ledger_distrust(struct ledger *l);
/* False when corrupt, after a failed write, or distrusted. */
bool ledger_ok(const struct ledger *l);
/* Bytes that can still be appended for certain, a record's 36 beside its body included. One that is larger than what is
 * left of a segment leaves that unused. */
uint64_t ledger_room(const struct ledger *l);
