/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What passes between gate and core: one SOCK_SEQPACKET message is one frame of fixed layout. It is the only unsigned
 * thing that the core parses, so there is nothing in it to interpret: no text, no optional part, no offset. PROTOCOL.md
 * draws it byte by byte.
 *
 *   0  4  "FRZ1"
 *   4  1  kind
 *   5  1  payload type (enum dsse_type) for COMMAND, else 0
 *   6  1  number of signatures, 0..8; 0 unless COMMAND
 *   7  1  of REPLY, more: 1 when further ones with this number follow; of COMMAND, carried: 1 when whoever sent it
 *         brings it for others (carried.h); else 0
 *   8  4  number, big endian: chosen by the gate, repeated in every REPLY
 *  12  4  payload length, big endian
 *  16  96 each: key id (32), signature (64)
 *  ..     payload; the frame ends where it ends */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/custody.h"
#include "policy/dsse.h"

#define FRAME_HEADER_SIZE 16U
#define FRAME_SIG_SIZE    96U
#define FRAME_KEY_SIZE    64U
#define FRAME_NONCE_SIZE  16U
#define FRAME_KEYS_MAX    (DSSE_KEYS_MAX * FRAME_KEY_SIZE)
#define FRAME_REPLY_MAX   DSSE_HOST_ENVELOPE_MAX
#define FRAME_MAX         (FRAME_HEADER_SIZE + DSSE_SIGS_MAX * FRAME_SIG_SIZE + FRAME_REPLY_MAX)

/* X(NAME, payload at least, payload at most, payload a multiple of, sent to the core) */
#define FRAME_KIND_TABLE(X)                                                                                            \
        X(COMMAND, 1, DSSE_PAYLOAD_MAX, 1, true)          /* a signed command */                                       \
        X(STATUS, 16, 32, 16, true)                       /* nonce (16); then the id of one hold (16), or none: all */ \
        X(HEALTH, 16, 16, 16, true)                       /* nonce */                                                  \
        X(KEYS, 0, FRAME_KEYS_MAX, FRAME_KEY_SIZE, false) /* each: key id (32), public key (32) */                     \
        X(REPLY, 1, FRAME_REPLY_MAX, 1, false)            /* one DSSE envelope as JSON, signed by the host */          \
        X(REFUSAL, 1, 1, 1, false) /* one byte: enum reason but NONE; the core could not even sign */                  \
        X(CUSTODY, CUSTODY_SIZE, CUSTODY_SIZE, 1, true) /* see custody.h; from root itself, the gate sends none */

enum frame_kind {
#define X(name, lo, hi, step, from_gate) FRAME_##name,
        FRAME_KIND_TABLE(X)
#undef X
                _FRAME_KIND_MAX,
};

struct frame {
        enum frame_kind kind;
        enum dsse_type type;
        bool more, carried;
        uint32_t number;
        struct dsse_sig sigs[DSSE_SIGS_MAX];
        size_t n_sigs;
        const uint8_t *payload; /* borrowed from the buffer that was unpacked */
        size_t n_payload;
};

/* Fills *ret, whose payload points into buf. -EBADMSG unless every byte is as the table says; *ret untouched then.
 * Does not allocate. */
int frame_unpack(const uint8_t *buf, size_t n, struct frame *ret) _warn_unused_;
/* Writes the frame into buf, which does not overlap the payload, and its size into *ret_n. -EMSGSIZE when it does
 * not fit or breaks the table: frame_unpack reads back whatever this wrote. */
int frame_pack(const struct frame *f, uint8_t *buf, size_t n, size_t *ret_n) _warn_unused_;
/* True when this kind travels from gate to core, false when from core to gate: each end takes only what the other
 * may send. */
bool frame_is_from_gate(enum frame_kind k);
