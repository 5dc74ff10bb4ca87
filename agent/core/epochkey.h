/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The secret key of the ledger's epoch (policy/epoch.h). It is never on a disk: it is in locked memory, and in a file,
 * from where a core that is restarted takes it. That is on a ramfs, which is never swapped, "epoch" beside the core's
 * socket; where there is none, on the tmpfs that the socket is on; and nowhere when that is none. It is overwritten as
 * soon as the ledger has the record of the next one. */

#include "agent/core/hostkey.h"
#include "policy/epoch.h"

struct epochkey;

/* socket: a path whose directory holds the file. -ENOMEM. */
int epochkey_new(const char *socket, struct epochkey **ret) _warn_unused_;
void epochkey_free(struct epochkey *k);
void epochkey_freep(struct epochkey **k);

/* A record of an epoch, in order, of the boot. -EBADMSG when it is none. k may be NULL. */
int epochkey_replay(struct epochkey *k, const json_t *body, const uint8_t boot[static 16]) _warn_unused_;
/* After the replay: finds the secret of the last epoch, or erases what is there. True when it was found. */
bool epochkey_resume(struct epochkey *k);
/* True when there is a key in force. */
bool epochkey_is_there(const struct epochkey *k);
/* Why the host's key has to begin the next epoch, when none is in force. */
enum epoch_why epochkey_why(const struct epochkey *k, const uint8_t boot[static 16]);

/* Makes the key of the next epoch and has it certified: by the one in force, or by the host's, as why says. size and
 * root of *e are the caller's. -ENOMEM, -ESRCH when why needs a key and none is in force. */
int epochkey_next(struct epochkey *k, const struct hostkey *host, enum epoch_why why, struct epoch *e) _warn_unused_;
/* Its record is durable: from here on it signs, and the one before is gone. */
void epochkey_commit(struct epochkey *k, const uint8_t boot[static 16]);
/* Its record is not: all stays as it was. */
void epochkey_drop(struct epochkey *k);

/* The epoch in force; number 0 when there never was one. */
const struct epoch *epochkey_epoch(const struct epochkey *k);
/* Ed25519 over the bytes as they are. There has to be a key. */
void epochkey_sign(const struct epochkey *k, const uint8_t *bytes, size_t n, uint8_t ret[static 64]);
