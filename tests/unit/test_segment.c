/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/util/io.c agent/util/clock.c agent/util/fault.c */

/* Damage: a ledger whose bytes were changed, cut, doubled or put elsewhere says so, and never gives back a record that
 * was not written. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include "agent/core/segment.h"
#include "lib/ledger_box.h"

#define FIRST  "00000001.log"
#define SECOND "00000002.log"
#define THIRD  "00000003.log"

static uint32_t u32_at(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

/* Offsets of the records in a segment; returns how many there are. ret[that many] is where the used part ends. */
static unsigned record_offsets(const struct scratch_bytes *b, uint32_t ret[static 64]) {
        unsigned n = 0;

        ret[0] = 0;
        while (ret[n] + SEGMENT_OVERHEAD < b->n && u32_at(b->data + ret[n]) > 0) {
                assert_true(n < 62);
                ret[n + 1] = ret[n] + SEGMENT_OVERHEAD + u32_at(b->data + ret[n]);
                n++;
        }
        return n;
}

static void expect(const char *dir, int r, bool torn, uint64_t n) {
        struct box_opened o = box_check(dir);

        assert_int_equal(o.r, r);
        assert_int_equal(o.torn, torn);
        assert_int_equal(o.n, n);
}

static void ledger_sees_every_flipped_byte(void **state) {
        static const char *const files[] = { FIRST, SECOND };
        static const uint8_t flips[] = { 0x01, 0x80, 0xff };
        unsigned long torn = 0, corrupt = 0;
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        for (size_t f = 0; f < ELEMENTSOF(files); f++) {
                const char *path = scratch_path(&s, files[f]);
                _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(path);

                assert_int_equal(b.n, BOX_SEGMENT);
                for (size_t i = 0; i < b.n * ELEMENTSOF(flips); i++) {
                        uint8_t flip = flips[i % ELEMENTSOF(flips)], *at = &b.data[i / ELEMENTSOF(flips)];
                        struct box_opened o;

                        *at ^= flip;
                        scratch_write(scratch_path(&s, files[f]), b.data, b.n);
                        o = box_check(s.path);
                        *at ^= flip;
                        assert_true(o.r == -EBADMSG || (o.r == 0 && o.torn));
                        /* only the last record can have been dropped */
                        if (o.r == 0)
                                assert_true(o.n >= 4);
                        torn += o.torn;
                        corrupt += o.r == -EBADMSG;
                }
                scratch_write(scratch_path(&s, files[f]), b.data, b.n);
        }
        print_message("%lu flips: %lu told as a cut-off last record, %lu as corruption\n", torn + corrupt, torn,
                      corrupt);
        expect(s.path, 0, false, 5);
}

/* The last record was written up to byte k only, k from nothing to all of it; then the ledger goes on. */
static void ledger_drops_a_record_cut_off_at_any_byte(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes whole = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&whole, at), 5);
        for (uint32_t k = at[4]; k <= at[5]; k++) {
                _cleanup_(scratch_bytes_done) struct scratch_bytes cut = scratch_read(scratch_path(&s, FIRST));
                /* trailing zeros of the hash are there either way */
                bool intact = true, touched = false;

                memcpy(cut.data, whole.data, whole.n);
                memset(cut.data + k, 0, cut.n - k);
                intact = memcmp(cut.data, whole.data, whole.n) == 0;
                for (uint32_t i = at[4]; i < k; i++)
                        touched |= cut.data[i] != 0;
                scratch_write(scratch_path(&s, FIRST), cut.data, cut.n);
                expect(s.path, 0, touched && !intact, intact ? 5 : 4);
                /* what was dropped left nothing behind that could be read later */
                _cleanup_(ledger_freep) struct ledger *l = box_open(s.path);

                box_append(l, 2);
                ledger_free(TAKE_PTR(l));
                expect(s.path, 0, false, intact ? 7 : 6);
                scratch_write(scratch_path(&s, FIRST), whole.data, whole.n);
        }
}

static json_t *long_record(unsigned i, size_t n_text) {
        char text[2048];

        assert_true(n_text < sizeof(text));
        memset(text, 'x', n_text);
        text[n_text] = '\0';
        return json_pack("{s:i,s:s}", "i", i, "text", text);
}

/* Two records: one of so much text that the second, of some sectors, begins there in its sector. */
static void make_with_second_at(const char *dir, uint32_t in_sector) {
        _cleanup_(ledger_freep) struct ledger *l = box_open(dir);
        uint32_t used;

        assert_int_equal(ledger_append(l, long_record(1, 0), NULL), 0);
        used = BOX_SEGMENT - (uint32_t) ledger_room(l);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(nftw(dir, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
        l = box_open(dir);
        assert_int_equal(ledger_append(l, long_record(1, (in_sector + 512 - used % 512) % 512), NULL), 0);
        assert_int_equal((BOX_SEGMENT - ledger_room(l)) % 512, in_sector);
        assert_int_equal(ledger_append(l, long_record(2, 1700), NULL), 0);
}

/* A power cut may leave any subset of a record's sectors. At some places two of them share the header. */
static void ledger_drops_a_record_with_any_of_its_sectors_missing(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64], first, sectors;

        (void) state;
        scratch_make(&s);
        for (uint32_t in_sector = 506; in_sector <= 513; in_sector++) {
                const char *dir = scratch_path(&s, "ledger"), *path = scratch_path(&s, "ledger/" FIRST);

                make_with_second_at(dir, in_sector % 512);
                _cleanup_(scratch_bytes_done) struct scratch_bytes whole = scratch_read(path);
                _cleanup_(scratch_bytes_done) struct scratch_bytes cut = scratch_read(path);

                assert_int_equal(record_offsets(&whole, at), 2);
                first = at[1] / 512;
                sectors = (at[2] - 1) / 512 - first + 1;
                assert_true(sectors >= 4);
                for (uint32_t missing = 1; missing < 1U << sectors; missing++) {
                        bool left = false;

                        memcpy(cut.data, whole.data, whole.n);
                        for (uint32_t i = at[1]; i < at[2]; i++)
                                if (missing >> (i / 512 - first) & 1)
                                        cut.data[i] = 0;
                                else
                                        left |= cut.data[i] != 0;
                        scratch_write(path, cut.data, cut.n);
                        /* what is missing may be the zeros that a header begins with */
                        bool intact = memcmp(cut.data, whole.data, whole.n) == 0;

                        expect(dir, 0, left && !intact, intact ? 2 : 1);
                        expect(dir, 0, false, intact ? 2 : 1);
                }
                scratch_write(path, whole.data, whole.n);
                expect(dir, 0, false, 2);
                assert_int_equal(nftw(dir, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
        }
}

static void ledger_drops_a_first_record_cut_off_in_the_reserve(void **state) {
        _cleanup_scratch_ struct scratch s;
        unsigned n = 0;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        {
                _cleanup_(ledger_freep) struct ledger *l = box_open(s.path);

                while (access(scratch_path(&s, SECOND), F_OK) < 0) {
                        box_append(l, 1);
                        n++;
                }
        }
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, SECOND));
        assert_int_equal(record_offsets(&b, at), 1);
        memset(b.data + at[1] - 10, 0, 10);
        scratch_write(scratch_path(&s, SECOND), b.data, b.n);
        expect(s.path, 0, true, n - 1);
        expect(s.path, 0, false, n - 1);
        _cleanup_(ledger_freep) struct ledger *l = box_open(s.path);

        box_append(l, 3);
        ledger_free(TAKE_PTR(l));
        expect(s.path, 0, false, n + 2);
}

static void ledger_refuses_a_file_that_was_cut_or_grew_and_keeps_what_it_holds(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&b, at), 5);
        for (off_t size = 0; size <= BOX_SEGMENT + 1; size++) {
                unsigned n = 0;

                if (size == BOX_SEGMENT)
                        continue;
                while (n < 5 && at[n + 1] <= size)
                        n++;
                assert_int_equal(truncate(scratch_path(&s, FIRST), size), 0);
                expect(s.path, -EBADMSG, false, n);
                scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        }
        assert_int_equal(truncate(scratch_path(&s, SECOND), BOX_SEGMENT - 1), 0);
        expect(s.path, -EBADMSG, false, 5);
}

static void ledger_refuses_bytes_beyond_a_cut_off_record(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&b, at), 5);
        b.data[at[5] - 1] ^= 1;
        b.data[at[5]] = 1;
        scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        expect(s.path, -EBADMSG, false, 4);
}

static void ledger_refuses_a_last_record_with_a_length_that_was_never_written(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        box_make(s.path, 2);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&b, at), 2);
        b.data[at[1]] = 0x7f;
        scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        expect(s.path, -EBADMSG, false, 1);
}

static void ledger_refuses_bytes_where_no_record_has_room(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        {
                _cleanup_(ledger_freep) struct ledger *l = box_open(s.path);

                assert_int_equal(ledger_append(l, long_record(1, 2000), NULL), 0);
                size_t frame = strlen("{\"i\":2,\"text\":\"\",\"n\":2,\"prev\":\"\"}") + 64 + SEGMENT_OVERHEAD;

                assert_int_equal(ledger_append(l, long_record(2, ledger_room(l) - frame - 30), NULL), 0);
                assert_int_equal(ledger_room(l), 30);
        }
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&b, at), 2);
        b.data[at[2] + 3] = 1;
        scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        expect(s.path, -EBADMSG, false, 2);
}

/* A record as anyone could write it who knows the format. */
static uint32_t forge(uint8_t *at, const char *body, uint32_t n) {
        const uint8_t header[] = { (uint8_t) (n >> 24), (uint8_t) (n >> 16), (uint8_t) (n >> 8), (uint8_t) n };

        memcpy(at, header, sizeof(header));
        memcpy(at + 4, body, n);
        segment_leaf_hash(body, n, at + 4 + n);
        return SEGMENT_OVERHEAD + n;
}

#define ZEROS "\"0000000000000000000000000000000000000000000000000000000000000000\""

static void ledger_refuses_a_forged_record_that_is_not_the_next(void **state) {
        static const struct {
                const char *body;
                bool good;
        } cases[] = {
                { "{\"i\":1,\"n\":1,\"prev\":" ZEROS "}", true },
                { "{\"i\":1,\"n\":2,\"prev\":" ZEROS "}", false },
                { "{\"i\":1,\"n\":0,\"prev\":" ZEROS "}", false },
                { "{\"i\":1,\"n\":\"1\",\"prev\":" ZEROS "}", false },
                { "{\"i\":1,\"n\":1.0,\"prev\":" ZEROS "}", false },
                { "{\"i\":1,\"prev\":" ZEROS "}", false },
                { "{\"i\":1,\"n\":1}", false },
                { "{\"i\":1,\"n\":1,\"prev\":0}", false },
                { "{\"i\":1,\"n\":1,\"prev\":\"00\"}", false },
                { "{\"i\":1,\"n\":1,\"n\":1,\"prev\":" ZEROS "}", false },
                { "{\"i\":1,\"n\":1,\"prev\":" ZEROS "} {}", false },
                { "{\"i\":1,\"n\":1,\"prev\":" ZEROS, false },
                { "[1]", false },
                { "null", false },
        };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint8_t segment[BOX_SEGMENT] = { 0 };

                (void) forge(segment, cases[i].body, (uint32_t) strlen(cases[i].body));
                scratch_write(scratch_path(&s, FIRST), segment, sizeof(segment));
                expect(s.path, cases[i].good ? 0 : -EBADMSG, false, cases[i].good);
        }
}

static void ledger_refuses_a_forged_record_above_the_limit(void **state) {
        enum { SIZE = 1 << 20 };
        static char body[LEDGER_RECORD_MAX + 2];
        static uint8_t segment[SIZE];

        (void) state;
        for (uint32_t n = LEDGER_RECORD_MAX; n <= LEDGER_RECORD_MAX + 1; n++) {
                _cleanup_(ledger_freep) struct ledger *l = NULL;
                _cleanup_scratch_ struct scratch s;
                bool torn, good = n == LEDGER_RECORD_MAX;

                scratch_make(&s);
                memset(body, ' ', sizeof(body));
                memset(segment, 0, sizeof(segment));
                memcpy(body, "{\"n\":1,\"prev\":" ZEROS, 14 + 66);
                body[n - 1] = '}';
                (void) forge(segment, body, n);
                scratch_write(scratch_path(&s, FIRST), segment, sizeof(segment));
                assert_int_equal(ledger_open(s.path, SIZE, NULL, NULL, &torn, &l), good ? 0 : -EBADMSG);
                assert_int_equal(ledger_head(l).n, good);
        }
}

/* A zero at the end of the last hash must not hide that record from the search for one behind the damage. */
static void ledger_finds_a_record_behind_damage_whose_hash_ends_in_zero(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint8_t segment[BOX_SEGMENT], hash[32];
        char body[256];
        uint32_t second, n;
        unsigned salt = 0;

        (void) state;
        scratch_make(&s);
        do {
                static const char first[] = "{\"i\":1,\"n\":1,\"prev\":" ZEROS "}";

                memset(segment, 0, sizeof(segment));
                second = forge(segment, first, sizeof(first) - 1);
                memcpy(hash, segment + second - 32, 32);
                n = (uint32_t) snprintf(body, sizeof(body), "{\"i\":2,\"salt\":%u,\"n\":2,\"prev\":\"", salt++);
                for (size_t i = 0; i < 32; i++)
                        n += (uint32_t) snprintf(body + n, sizeof(body) - n, "%02x", hash[i]);
                n += (uint32_t) snprintf(body + n, sizeof(body) - n, "\"}");
                (void) forge(segment + second, body, n);
        } while (segment[second + SEGMENT_OVERHEAD + n - 1] != 0);
        scratch_write(scratch_path(&s, FIRST), segment, sizeof(segment));
        expect(s.path, 0, false, 2);
        /* no length any more: the first could as well have been cut off, but for the second */
        memset(segment, 0, 4);
        scratch_write(scratch_path(&s, FIRST), segment, sizeof(segment));
        expect(s.path, -EBADMSG, false, 0);
}

static void ledger_refuses_two_cut_off_records(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        _cleanup_(scratch_bytes_done) struct scratch_bytes reserve = scratch_read(scratch_path(&s, SECOND));
        assert_int_equal(record_offsets(&b, at), 5);
        b.data[at[5] - 1] ^= 1;
        reserve.data[20] = 1;
        scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        scratch_write(scratch_path(&s, SECOND), reserve.data, reserve.n);
        expect(s.path, -EBADMSG, false, 4);
}

static void ledger_refuses_a_doubled_record(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&b, at), 5);
        memcpy(b.data + at[5], b.data + at[4], at[5] - at[4]);
        scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        expect(s.path, -EBADMSG, false, 5);
}

static void ledger_refuses_records_in_another_order(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64], n;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&b, at), 5);
        n = at[2] - at[1];
        assert_int_equal(at[3] - at[2], n);
        uint8_t second[4096];

        memcpy(second, b.data + at[1], n);
        memcpy(b.data + at[1], b.data + at[2], n);
        memcpy(b.data + at[2], second, n);
        scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        expect(s.path, -EBADMSG, false, 1);
}

static void ledger_refuses_a_record_taken_out_of_the_middle(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64];

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&b, at), 5);
        memmove(b.data + at[2], b.data + at[3], b.n - at[3]);
        memset(b.data + b.n - (at[3] - at[2]), 0, at[3] - at[2]);
        scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        expect(s.path, -EBADMSG, false, 2);
}

/* A record that says something else, under a hash that fits it, is given away by its successor. */
static void ledger_refuses_a_rewritten_record_with_a_new_hash(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t at[64], n;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, FIRST));
        assert_int_equal(record_offsets(&b, at), 5);
        uint8_t *body = b.data + at[2] + 4;
        char *word = memmem(body, at[3] - at[2], "\"ev\":\"test\"", 11);

        assert_non_null(word);
        memcpy(word, "\"ev\":\"TEST\"", 11);
        n = u32_at(b.data + at[2]);
        segment_leaf_hash(body, n, body + n);
        scratch_write(scratch_path(&s, FIRST), b.data, b.n);
        expect(s.path, -EBADMSG, false, 3);
}

/* Three used segments and an empty one. Returns the number of records. */
static uint64_t make_long(const char *dir) {
        _cleanup_(ledger_freep) struct ledger *l = box_open(dir);
        char path[128];
        int r;

        (void) snprintf(path, sizeof(path), "%s/" THIRD, dir);
        while (access(path, F_OK) < 0)
                box_append(l, 1);
        box_append(l, 2);
        while ((r = ledger_prepare(l)) > 0)
                ;
        assert_int_equal(r, 0);
        return ledger_head(l).n;
}

static void move_segment(const struct scratch *s, const char *from, const char *to) {
        assert_int_equal(rename(scratch_path(s, from), scratch_path(s, to)), 0);
}

static void ledger_refuses_swapped_missing_and_misplaced_segments(void **state) {
        /* segments are 1 2 3 and the reserve 4; "a>b" moves, "a>" deletes, in order */
        static const char *const cases[][3] = {
                { "00000001.log>x", "00000002.log>00000001.log", "x>00000002.log" },
                { "00000002.log>x", "00000003.log>00000002.log", "x>00000003.log" },
                { "00000001.log>" },
                { "00000002.log>" },
                { "00000001.log>", "00000002.log>00000001.log" },
                { "00000003.log>x", "00000004.log>00000003.log", "x>00000004.log" },
                { "00000004.log>00000005.log" },
                { "00000003.log>00000005.log" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_scratch_ struct scratch s;

                scratch_make(&s);
                uint64_t n = make_long(s.path);

                for (size_t j = 0; j < 3 && cases[i][j]; j++) {
                        char from[32];
                        const char *to = strchr(cases[i][j], '>') + 1;

                        (void) snprintf(from, sizeof(from), "%.*s", (int) (to - cases[i][j] - 1), cases[i][j]);
                        if (*to)
                                move_segment(&s, from, to);
                        else
                                assert_int_equal(unlink(scratch_path(&s, from)), 0);
                }
                struct box_opened o = box_check(s.path);

                assert_int_equal(o.r, -EBADMSG);
                assert_true(o.n <= n);
                assert_int_equal(box_check(s.path).r, -EBADMSG);
        }
}

static void ledger_refuses_segments_that_were_zeroed(void **state) {
        static const uint8_t zeros[BOX_SEGMENT];
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        (void) make_long(s.path);
        scratch_write(scratch_path(&s, THIRD), zeros, sizeof(zeros));
        assert_int_equal(box_check(s.path).r, -EBADMSG);
}

static void ledger_follows_no_link_and_waits_for_no_pipe(void **state) {
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        move_segment(&s, FIRST, "elsewhere");
        assert_int_equal(symlink("elsewhere", scratch_path(&s, FIRST)), 0);
        expect(s.path, -EBADMSG, false, 0);
        assert_int_equal(unlink(scratch_path(&s, FIRST)), 0);
        assert_int_equal(mkfifo(scratch_path(&s, FIRST), 0600), 0);
        expect(s.path, -EBADMSG, false, 0);
        assert_int_equal(unlink(scratch_path(&s, FIRST)), 0);
        assert_int_equal(mkdir(scratch_path(&s, FIRST), 0700), 0);
        expect(s.path, -EBADMSG, false, 0);
        assert_int_equal(rmdir(scratch_path(&s, FIRST)), 0);
        move_segment(&s, "elsewhere", FIRST);
        scratch_write(scratch_path(&s, "00000000.log"), "x", 1);
        scratch_write(scratch_path(&s, "0000003.log"), "x", 1);
        scratch_write(scratch_path(&s, "99999999999.log"), "x", 1);
        scratch_write(scratch_path(&s, "4294967299.log"), "x", 1);
        expect(s.path, 0, false, 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ledger_sees_every_flipped_byte),
                cmocka_unit_test(ledger_drops_a_record_cut_off_at_any_byte),
                cmocka_unit_test(ledger_drops_a_record_with_any_of_its_sectors_missing),
                cmocka_unit_test(ledger_drops_a_first_record_cut_off_in_the_reserve),
                cmocka_unit_test(ledger_refuses_a_file_that_was_cut_or_grew_and_keeps_what_it_holds),
                cmocka_unit_test(ledger_refuses_bytes_beyond_a_cut_off_record),
                cmocka_unit_test(ledger_refuses_a_last_record_with_a_length_that_was_never_written),
                cmocka_unit_test(ledger_refuses_bytes_where_no_record_has_room),
                cmocka_unit_test(ledger_refuses_a_forged_record_that_is_not_the_next),
                cmocka_unit_test(ledger_refuses_a_forged_record_above_the_limit),
                cmocka_unit_test(ledger_finds_a_record_behind_damage_whose_hash_ends_in_zero),
                cmocka_unit_test(ledger_refuses_two_cut_off_records),
                cmocka_unit_test(ledger_refuses_a_doubled_record),
                cmocka_unit_test(ledger_refuses_records_in_another_order),
                cmocka_unit_test(ledger_refuses_a_record_taken_out_of_the_middle),
                cmocka_unit_test(ledger_refuses_a_rewritten_record_with_a_new_hash),
                cmocka_unit_test(ledger_refuses_swapped_missing_and_misplaced_segments),
                cmocka_unit_test(ledger_refuses_segments_that_were_zeroed),
                cmocka_unit_test(ledger_follows_no_link_and_waits_for_no_pipe),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
