/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One sealed file after the other: plain bytes -> SHA-256 -> zstd -> age -> SHA-256 of what is stored -> disk. Nothing
 * of the plain bytes is ever on the disk, and no name is there before the file is whole: what a kill leaves can be
 * opened.
 *
 * The disk's space for each frame is taken before the frame is written, so that a disk that fills up cuts a file at a
 * frame and the file still ends as it should. */

#include <stdint.h>

#include "policy/age.h"
#include "policy/cleanup.h"

struct sealer;

/* What became of a file. */
struct sealed {
        uint64_t plain_bytes, bytes;
        uint8_t sha256[32], plain_sha256[32]; /* the latter where it was asked for */
        int err;                              /* why it ends before what was written did; 0: it does not */
};

/* dir is where the files come to be, borrowed; recipients are copied. -ENOMEM, -EIO. */
int sealer_new(int dir, const struct age_recipient *to, size_t n_to, struct sealer **ret) _warn_unused_;
void sealer_free(struct sealer *s);
void sealer_freep(struct sealer **s);

/* The threads of the press (press.h); between files only. */
void sealer_start(struct sealer *s);
void sealer_stop(struct sealer *s);

/* Begins a file that may take max bytes of the disk. plain: the digest of what is written is wanted, which of all that
 * is done here takes longest but compressing. -errno: there is none. */
int sealer_begin(struct sealer *s, uint64_t max, bool plain) _warn_unused_;
/* -EFBIG when max is reached, -ENOSPC and other errors of the disk: the file ends after the frames before this one,
 * and takes no more bytes. Which bytes those are, sealer_end says. */
int sealer_write(struct sealer *s, const void *bytes, size_t n) _warn_unused_;
/* Nothing more is written to the file: what there is is worked on while the caller does something else. Only sealer_end
 * or sealer_close may follow. */
void sealer_put(struct sealer *s);
/* Finishes the file, which still has no name; *ret says what is in it, also when sealer_write failed before. -errno:
 * it is useless. */
int sealer_end(struct sealer *s, struct sealed *ret) _warn_unused_;
/* Gives the finished file its name in dir. -errno. */
int sealer_link(struct sealer *s, const char *name) _warn_unused_;
/* Forgets the file, named or not. */
void sealer_close(struct sealer *s);
