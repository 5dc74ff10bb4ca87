/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/frame.h"

static const uint8_t bytes[FRAME_REPLY_MAX + 1];
static uint8_t buf[FRAME_MAX + 1];

static struct frame frame_of(enum frame_kind kind, size_t n_payload) {
        /* a refusal's byte has to be a reason; it does not matter to the others */
        static const uint8_t refusal[1] = { REASON_BUSY };

        return (struct frame) {
                .kind = kind,
                .number = 0x01020304,
                .payload = kind == FRAME_REFUSAL ? refusal : bytes,
                .n_payload = n_payload,
        };
}

static struct frame command_of(size_t n_sigs, size_t n_payload) {
        struct frame f = frame_of(FRAME_COMMAND, n_payload);

        f.type = DSSE_TRUST;
        f.n_sigs = n_sigs;
        for (size_t i = 0; i < MIN(n_sigs, DSSE_SIGS_MAX); i++) {
                memset(f.sigs[i].keyid, (int) (2 * i + 1), sizeof(f.sigs[i].keyid));
                memset(f.sigs[i].sig, (int) (2 * i + 2), sizeof(f.sigs[i].sig));
        }
        return f;
}

static size_t pack(const struct frame *f) {
        size_t n = 0;

        assert_int_equal(frame_pack(f, buf, sizeof(buf), &n), 0);
        return n;
}

static void assert_frame_equal(const struct frame *a, const struct frame *b) {
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->more, b->more);
        assert_int_equal(a->carried, b->carried);
        assert_int_equal(a->number, b->number);
        assert_int_equal(a->n_sigs, b->n_sigs);
        assert_memory_equal(a->sigs, b->sigs, sizeof(a->sigs));
        assert_int_equal(a->n_payload, b->n_payload);
        if (a->n_payload > 0)
                assert_memory_equal(a->payload, b->payload, a->n_payload);
}

/* The layout is a contract between two programs that may be of different versions for a moment: these bytes do not
 * change. */
static void frame_layout_is_byte_for_byte_as_documented(void **state) {
        static const uint8_t payload[] = { 'h', 'i' };
        struct frame f = command_of(2, 0);
        uint8_t want[FRAME_HEADER_SIZE + 2 * FRAME_SIG_SIZE + sizeof(payload)] = {
                'F', 'R', 'Z', '1', 0, 2, 2, 0, 1, 2, 3, 4, 0, 0, 0, 2,
        };

        (void) state;
        f.payload = payload;
        f.n_payload = sizeof(payload);
        memset(want + 16, 1, 32);
        memset(want + 16 + 32, 2, 64);
        memset(want + 16 + 96, 3, 32);
        memset(want + 16 + 96 + 32, 4, 64);
        memcpy(want + 16 + 192, payload, sizeof(payload));
        assert_int_equal(pack(&f), sizeof(want));
        assert_memory_equal(buf, want, sizeof(want));
        f.carried = true;
        want[7] = 1;
        assert_int_equal(pack(&f), sizeof(want));
        assert_memory_equal(buf, want, sizeof(want));

        assert_int_equal(FRAME_COMMAND, 0);
        assert_int_equal(FRAME_STATUS, 1);
        assert_int_equal(FRAME_HEALTH, 2);
        assert_int_equal(FRAME_KEYS, 3);
        assert_int_equal(FRAME_REPLY, 4);
        assert_int_equal(FRAME_REFUSAL, 5);
        assert_int_equal(FRAME_CUSTODY, 6);
        assert_int_equal(_FRAME_KIND_MAX, 7);
}

static void frame_reads_back_what_was_packed(void **state) {
        struct frame frames[] = {
                command_of(0, 1),
                command_of(1, 77),
                command_of(DSSE_SIGS_MAX, DSSE_PAYLOAD_MAX),
                frame_of(FRAME_STATUS, 16),
                frame_of(FRAME_STATUS, 32),
                frame_of(FRAME_HEALTH, 16),
                frame_of(FRAME_KEYS, 0),
                frame_of(FRAME_KEYS, FRAME_KEYS_MAX),
                frame_of(FRAME_REPLY, 1),
                frame_of(FRAME_REPLY, FRAME_REPLY_MAX),
                frame_of(FRAME_REPLY, 2),
                frame_of(FRAME_REFUSAL, 1),
                frame_of(FRAME_CUSTODY, CUSTODY_SIZE),
                command_of(1, 78),
        };

        (void) state;
        frames[10].more = true;
        frames[13].carried = true;
        frames[11].number = UINT32_MAX;
        for (size_t i = 0; i < ELEMENTSOF(frames); i++) {
                struct frame back;
                size_t n = pack(&frames[i]);

                assert_int_equal(frame_unpack(buf, n, &back), 0);
                assert_frame_equal(&back, &frames[i]);
                assert_ptr_equal(back.payload, buf + n - back.n_payload);
        }
}

static void frame_bounds_hold_for_every_kind(void **state) {
        static const struct {
                enum frame_kind kind;
                size_t good[3], bad[4];
        } cases[] = {
                { FRAME_COMMAND,
                  { 1, 2, DSSE_PAYLOAD_MAX },
                  { 0, DSSE_PAYLOAD_MAX + 1, DSSE_HOST_PAYLOAD_MAX, FRAME_REPLY_MAX } },
                { FRAME_STATUS, { 16, 32, 32 }, { 0, 15, 17, 48 } },
                { FRAME_HEALTH, { 16, 16, 16 }, { 0, 15, 17, 32 } },
                { FRAME_KEYS, { 0, 64, FRAME_KEYS_MAX }, { 1, 63, 65, FRAME_KEYS_MAX + 64 } },
                { FRAME_REPLY, { 1, 2, FRAME_REPLY_MAX }, { 0, FRAME_REPLY_MAX + 1, 0, 0 } },
                { FRAME_REFUSAL, { 1, 1, 1 }, { 0, 2, 3, 64 } },
                { FRAME_CUSTODY, { 65, 65, 65 }, { 0, 64, 66, 130 } },
        };

        (void) state;
        assert_int_equal(ELEMENTSOF(cases), _FRAME_KIND_MAX);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct frame back = frame_of(FRAME_HEALTH, 16);

                for (size_t k = 0; k < ELEMENTSOF(cases[i].good); k++) {
                        struct frame f = frame_of(cases[i].kind, cases[i].good[k]);

                        (void) pack(&f);
                }
                for (size_t k = 0; k < ELEMENTSOF(cases[i].bad); k++) {
                        struct frame f = frame_of(cases[i].kind, cases[i].bad[k]);
                        size_t n = 4711;

                        assert_int_equal(frame_pack(&f, buf, sizeof(buf), &n), -EMSGSIZE);
                        assert_int_equal(n, 4711);

                        /* the same on the way in, from a peer that did not ask frame_pack */
                        memcpy(buf, (uint8_t[FRAME_HEADER_SIZE]) { 'F', 'R', 'Z', '1', (uint8_t) cases[i].kind },
                               FRAME_HEADER_SIZE);
                        memset(buf + FRAME_HEADER_SIZE, REASON_BUSY, MIN(cases[i].bad[k], 64U));
                        for (int b = 0; b < 4; b++)
                                buf[12 + b] = (uint8_t) (cases[i].bad[k] >> (24 - 8 * b));
                        assert_int_equal(frame_unpack(buf, FRAME_HEADER_SIZE + cases[i].bad[k], &back), -EBADMSG);
                        assert_int_equal(back.kind, FRAME_HEALTH);
                }
        }
}

static void frame_unpack_refuses_every_other_length(void **state) {
        struct frame f = command_of(2, 10), back;
        size_t n = pack(&f);

        (void) state;
        for (size_t i = 0; i <= n + 1; i++) {
                /* on the heap and of just that size, so that a read beyond the message is seen */
                _cleanup_free_ uint8_t *copy = malloc(i > 0 ? i : 1);

                memcpy(copy, buf, i);
                assert_int_equal(frame_unpack(copy, i, &back), i == n ? 0 : -EBADMSG);
        }
}

/* Every value of every header byte: what is taken packs to the same bytes, so no two messages mean the same. */
static void frame_header_has_no_byte_that_is_ignored(void **state) {
        struct frame samples[] = { command_of(1, 96), frame_of(FRAME_REPLY, 3), frame_of(FRAME_REFUSAL, 1),
                                   frame_of(FRAME_STATUS, 32), frame_of(FRAME_HEALTH, 16) };
        static uint8_t again[FRAME_MAX];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                size_t n = pack(&samples[i]), n_again = 0;

                for (size_t at = 0; at < FRAME_HEADER_SIZE; at++) {
                        const uint8_t true_byte = buf[at];

                        for (int v = 0; v < 256; v++) {
                                struct frame back;

                                buf[at] = (uint8_t) v;
                                if (frame_unpack(buf, n, &back) < 0)
                                        continue;
                                assert_int_equal(frame_pack(&back, again, sizeof(again), &n_again), 0);
                                assert_int_equal(n_again, n);
                                assert_memory_equal(again, buf, n);
                                assert_true(at >= 4 || v == true_byte);
                        }
                        buf[at] = true_byte;
                }
        }
}

static void frame_unpack_refuses_what_the_table_does_not_name(void **state) {
        static const struct {
                size_t at;
                uint8_t value;
        } breaks[] = {
                { 0, 'f' },               /* magic */
                { 3, '2' },               /* version */
                { 4, _FRAME_KIND_MAX },   /* kind */
                { 4, 255 },               /* kind */
                { 5, _DSSE_TYPE_MAX },    /* type */
                { 5, 255 },               /* type */
                { 6, DSSE_SIGS_MAX + 1 }, /* signatures */
                { 7, 2 },                 /* carried */
                { 7, 255 },               /* carried */
        };
        struct frame f = command_of(1, 1000), back;
        size_t n;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(breaks); i++) {
                n = pack(&f);
                assert_int_equal(frame_unpack(buf, n, &back), 0);
                buf[breaks[i].at] = breaks[i].value;
                assert_int_equal(frame_unpack(buf, n, &back), -EBADMSG);
        }

        /* nine signatures whose bytes are really there */
        n = pack(&f);
        buf[6] = DSSE_SIGS_MAX + 1;
        buf[14] = 0;
        buf[15] = (uint8_t) (n - FRAME_HEADER_SIZE - (DSSE_SIGS_MAX + 1) * FRAME_SIG_SIZE);
        n = FRAME_HEADER_SIZE + (DSSE_SIGS_MAX + 1) * FRAME_SIG_SIZE + buf[15];
        assert_int_equal(frame_unpack(buf, n, &back), -EBADMSG);
        /* the largest length there is, which must not wrap */
        n = pack(&f);
        memset(buf + 12, 0xff, 4);
        assert_int_equal(frame_unpack(buf, n, &back), -EBADMSG);
}

static void frame_refusal_carries_a_reason_and_nothing_else(void **state) {
        (void) state;
        for (int v = 0; v < 256; v++) {
                uint8_t raw[] = { 'F', 'R', 'Z', '1', FRAME_REFUSAL, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, (uint8_t) v };
                bool good = v != REASON_NONE && v < _REASON_MAX;
                struct frame f;
                size_t n;

                assert_int_equal(frame_unpack(raw, sizeof(raw), &f), good ? 0 : -EBADMSG);
                f = frame_of(FRAME_REFUSAL, 1);
                f.payload = raw + 16;
                assert_int_equal(frame_pack(&f, buf, sizeof(buf), &n), good ? 0 : -EMSGSIZE);
        }
}

static void frame_pack_refuses_what_breaks_the_table(void **state) {
        struct frame broken[] = {
                command_of(DSSE_SIGS_MAX + 1, 1), command_of(0, 1),         command_of(0, 1),
                frame_of(FRAME_REPLY, 1),         frame_of(FRAME_REPLY, 1), frame_of(_FRAME_KIND_MAX, 0),
                frame_of(FRAME_REPLY, 1)
        };
        size_t n = 4711;

        (void) state;
        broken[1].type = _DSSE_TYPE_MAX;
        broken[2].more = true;
        broken[3].n_sigs = 1;
        broken[4].type = DSSE_RECEIPT;
        broken[6].carried = true;
        for (size_t i = 0; i < ELEMENTSOF(broken); i++)
                assert_int_equal(frame_pack(&broken[i], buf, sizeof(buf), &n), -EMSGSIZE);
        assert_int_equal(n, 4711);
}

static void frame_pack_writes_nothing_beyond_a_short_buffer(void **state) {
        struct frame f = command_of(2, 10);
        size_t need = pack(&f), n;

        (void) state;
        for (size_t i = 0; i <= need; i++) {
                _cleanup_free_ uint8_t *small = malloc(i > 0 ? i : 1);

                assert_int_equal(frame_pack(&f, small, i, &n), i == need ? 0 : -EMSGSIZE);
        }
}

static void frame_max_is_the_largest_that_packs(void **state) {
        struct frame f = frame_of(FRAME_REPLY, FRAME_REPLY_MAX);

        (void) state;
        assert_true(pack(&f) <= FRAME_MAX);
        f = command_of(DSSE_SIGS_MAX, DSSE_PAYLOAD_MAX);
        assert_true(pack(&f) <= FRAME_MAX);
}

static void frame_directions_are_disjoint(void **state) {
        (void) state;
        assert_true(frame_is_from_gate(FRAME_COMMAND));
        assert_true(frame_is_from_gate(FRAME_STATUS));
        assert_true(frame_is_from_gate(FRAME_HEALTH));
        assert_false(frame_is_from_gate(FRAME_KEYS));
        assert_false(frame_is_from_gate(FRAME_REPLY));
        assert_false(frame_is_from_gate(FRAME_REFUSAL));
        assert_false(frame_is_from_gate(_FRAME_KIND_MAX));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(frame_layout_is_byte_for_byte_as_documented),
                cmocka_unit_test(frame_reads_back_what_was_packed),
                cmocka_unit_test(frame_bounds_hold_for_every_kind),
                cmocka_unit_test(frame_unpack_refuses_every_other_length),
                cmocka_unit_test(frame_header_has_no_byte_that_is_ignored),
                cmocka_unit_test(frame_unpack_refuses_what_the_table_does_not_name),
                cmocka_unit_test(frame_refusal_carries_a_reason_and_nothing_else),
                cmocka_unit_test(frame_pack_refuses_what_breaks_the_table),
                cmocka_unit_test(frame_pack_writes_nothing_beyond_a_short_buffer),
                cmocka_unit_test(frame_max_is_the_largest_that_packs),
                cmocka_unit_test(frame_directions_are_disjoint),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
