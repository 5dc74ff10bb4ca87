/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/frame.h"

#include <string.h>

static const uint8_t magic[4] = { 'F', 'R', 'Z', '1' };

enum offset {
        AT_KIND = 4,
        AT_TYPE = 5,
        AT_N_SIGS = 6,
        AT_FLAG = 7,
        AT_NUMBER = 8,
        AT_LENGTH = 12,
};

static const struct {
        uint32_t lo, hi, step;
        bool from_gate;
} kinds[_FRAME_KIND_MAX] = {
#define X(name, lo, hi, step, from_gate) [FRAME_##name] = { lo, hi, step, from_gate },
        FRAME_KIND_TABLE(X)
#undef X
};

static uint32_t be32_get(const uint8_t *b) {
        return (uint32_t) b[0] << 24 | (uint32_t) b[1] << 16 | (uint32_t) b[2] << 8 | b[3];
}

static void be32_put(uint8_t *b, uint32_t v) {
        for (size_t i = 0; i < 4; i++)
                b[i] = (uint8_t) (v >> (24 - 8 * i));
}

/* The one statement of what a frame may be: reading and writing both ask it, so neither can drift from the other. */
static bool is_legal(const struct frame *f) {
        if ((unsigned int) f->kind >= _FRAME_KIND_MAX)
                return false;
        if (f->kind == FRAME_COMMAND ? (unsigned int) f->type >= _DSSE_TYPE_MAX || f->n_sigs > DSSE_SIGS_MAX
                                     : f->type != 0 || f->n_sigs != 0)
                return false;
        if ((f->more && f->kind != FRAME_REPLY) || (f->carried && f->kind != FRAME_COMMAND))
                return false;
        if (f->n_payload < kinds[f->kind].lo || f->n_payload > kinds[f->kind].hi ||
            f->n_payload % kinds[f->kind].step != 0)
                return false;
        return f->kind != FRAME_REFUSAL || (f->payload[0] != REASON_NONE && f->payload[0] < _REASON_MAX);
}

int frame_unpack(const uint8_t *buf, size_t n, struct frame *ret) {
        struct frame f = {};
        size_t n_head;

        if (n < FRAME_HEADER_SIZE || memcmp(buf, magic, sizeof(magic)) != 0 || buf[AT_FLAG] > 1)
                return -EBADMSG;
        f.kind = buf[AT_KIND];
        f.type = buf[AT_TYPE];
        f.carried = buf[AT_FLAG] && f.kind == FRAME_COMMAND;
        f.more = buf[AT_FLAG] && f.kind != FRAME_COMMAND;
        f.number = be32_get(buf + AT_NUMBER);
        f.n_sigs = buf[AT_N_SIGS];
        f.n_payload = be32_get(buf + AT_LENGTH);

        /* Both lengths are held against the buffer before anything behind the header is looked at. */
        n_head = FRAME_HEADER_SIZE + f.n_sigs * FRAME_SIG_SIZE;
        if (n < n_head || n - n_head != f.n_payload)
                return -EBADMSG;
        f.payload = buf + n_head;
        if (!is_legal(&f))
                return -EBADMSG;

        for (size_t i = 0; i < f.n_sigs; i++) {
                const uint8_t *sig = buf + FRAME_HEADER_SIZE + i * FRAME_SIG_SIZE;

                memcpy(f.sigs[i].keyid, sig, sizeof(f.sigs[i].keyid));
                memcpy(f.sigs[i].sig, sig + sizeof(f.sigs[i].keyid), sizeof(f.sigs[i].sig));
        }
        *ret = f;
        return 0;
}

int frame_pack(const struct frame *f, uint8_t *buf, size_t n, size_t *ret_n) {
        uint8_t *at = buf + FRAME_HEADER_SIZE;

        if (!is_legal(f) || n < FRAME_HEADER_SIZE + f->n_sigs * FRAME_SIG_SIZE + f->n_payload)
                return -EMSGSIZE;

        memcpy(buf, magic, sizeof(magic));
        buf[AT_KIND] = (uint8_t) f->kind;
        buf[AT_TYPE] = (uint8_t) f->type;
        buf[AT_N_SIGS] = (uint8_t) f->n_sigs;
        buf[AT_FLAG] = f->more || f->carried;
        be32_put(buf + AT_NUMBER, f->number);
        be32_put(buf + AT_LENGTH, (uint32_t) f->n_payload);
        for (size_t i = 0; i < f->n_sigs; i++) {
                memcpy(at, f->sigs[i].keyid, sizeof(f->sigs[i].keyid));
                memcpy(at + sizeof(f->sigs[i].keyid), f->sigs[i].sig, sizeof(f->sigs[i].sig));
                at += FRAME_SIG_SIZE;
        }
        if (f->n_payload > 0)
                memcpy(at, f->payload, f->n_payload);
        *ret_n = (size_t) (at - buf) + f->n_payload;
        return 0;
}

bool frame_is_from_gate(enum frame_kind k) {
        return (unsigned int) k < _FRAME_KIND_MAX && kinds[k].from_gate;
}
