/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Compression beside reading: frames of plain bytes go in one after the other and come out in the same order, each as a
 * zstd frame of its own, so that damage to one costs that one. The work is done by threads; where none can be made, by
 * the caller. One caller. Memory is bounded: PRESS_FRAMES frames, in and out. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* What reading, hashing and sealing leave of two processors. */
#define PRESS_WORKERS    2U
#define PRESS_FRAMES     8U
#define PRESS_FRAME_SIZE (1024U * 1024)

struct press_frame {
        uint8_t *in; /* PRESS_FRAME_SIZE */
        size_t n_in;
        uint8_t *out;
        size_t n_out; /* 0: could not be compressed */
        bool done;
};

struct press;

/* Takes the memory; no thread runs yet. -ENOMEM. */
int press_new(struct press **ret) _warn_unused_;
void press_free(struct press *p);
void press_freep(struct press **p);

/* Threads inherit what their maker is allowed, when they are made: so they end before the caller gives up something,
 * and begin again after it. Nothing may be in the press meanwhile. press_start that fails leaves the work to the
 * caller. */
void press_start(struct press *p);
void press_stop(struct press *p);

/* The frame to fill next, the same until press_put; NULL while all are taken. */
struct press_frame *press_next(struct press *p);
/* Hands the frame of press_next over, filled. */
void press_put(struct press *p);
/* The oldest frame that was put and not yet dropped, done: waits for it. NULL when there is none. */
struct press_frame *press_oldest(struct press *p);
/* Takes the frame of press_oldest out, so that it can be filled again. */
void press_drop(struct press *p);
