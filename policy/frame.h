/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What passes between gate and core: one SOCK_SEQPACKET message is one frame of fixed layout. It is the only unsigned thing that the
 * core parses, so there is nothing in it to interpret: no text, no optional part, no offset. PROTOCOL.md draws it byte by byte.
 *
 *   0  4  "FRZ1"
 *   4  1  kind
 *   5  1  payload type (enum dsse_type) for COMMAND, else 0
 *   6  1  number of signatures, 0..8; 0 unless COMMAND
 *   7  1  more: 1 when further REPLY frames with this number follow, else 0
 *   8  4  number, big endian: chosen by the gate, repeated in every REPLY
 *  12  4  payload length, big endian
 *  16  96 each: key id (32), signature (64)
 *  ..     payload; the frame ends where it ends */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/dsse.h"

#define FRAME_HEADER_SIZE 16U
#define FRAME_SIG_SIZE 96U
/* A receipt of many targets is larger than any command. */
#define FRAME_REPLY_MAX (160U * 1024)
#define FRAME_MAX (FRAME_HEADER_SIZE + DSSE_SIGS_MAX * FRAME_SIG_SIZE + FRAME_REPLY_MAX)

/* X(NAME, payload at least, payload at most, sent by the gate) */
#define FRAME_KIND_TABLE(X)                                                                            \
        X(COMMAND, 1, DSSE_PAYLOAD_MAX, true)       /* a signed command */                            \
        X(STATUS, 0, 16, true)                      /* 16 bytes: one hold; none: all */               \
        X(HEALTH, 0, 0, true)                                                                         \
        X(KEYS, 0, 64 * 64, false)                  /* 64 bytes a key: id, public key */              \
        X(REPLY, 1, FRAME_REPLY_MAX, false)         /* one DSSE envelope as JSON, signed by the host */ \
        X(REFUSAL, 1, 1, false)                     /* one byte: enum reason; the core could not even sign */

enum frame_kind {
#define X(name, lo, hi, from_gate) FRAME_##name,
        FRAME_KIND_TABLE(X)
#undef X
        _FRAME_KIND_MAX,
};

struct frame {
        enum frame_kind kind;
        enum dsse_type type;
        bool more;
        uint32_t number;
        struct dsse_sig sigs[DSSE_SIGS_MAX];
        size_t n_sigs;
        const uint8_t *payload; /* borrowed from the buffer that was unpacked */
        size_t n_payload;
};

/* Fills *ret, whose payload points into buf. -EBADMSG unless every byte is as the table says; *ret untouched then. Does not allocate. */
int frame_unpack(const uint8_t *buf, size_t n, struct frame *ret) _warn_unused_;
/* Writes the frame into buf and its size into *ret_n. -EMSGSIZE when it does not fit or breaks the table. */
int frame_pack(const struct frame *f, uint8_t *buf, size_t n, size_t *ret_n) _warn_unused_;
