/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A small ledger in a directory of its own, filled with records that can be told apart. */

#include "agent/core/ledger.h"
#include "lib/scratch.h"

#define BOX_SEGMENT 4096U

/* NULL: none from now on. */
static inline void fault(const char *setting) {
        assert_int_equal(setting ? setenv("FREEZED_FAULT", setting, 1) : unsetenv("FREEZED_FAULT"), 0);
}

static inline json_t *box_record(unsigned i) {
        return json_pack("{s:s,s:i,s:s}", "ev", "test", "i", i, "text", "a line\nand \"more\" of it");
}

static inline void box_append(struct ledger *l, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                uint64_t got = 0;

                assert_int_equal(ledger_append(l, box_record((unsigned) ledger_head(l).n + 1), &got), 0);
                assert_int_equal(got, ledger_head(l).n);
        }
}

/* Record n is the one that box_append wrote as number n. */
static inline int box_replay(const json_t *body, uint64_t n, void *userdata) {
        uint64_t *seen = userdata;

        assert_int_equal(n, *seen + 1);
        assert_int_equal(json_integer_value(json_object_get(body, "n")), n);
        assert_int_equal(json_integer_value(json_object_get(body, "i")), n);
        *seen = n;
        return 0;
}

struct box_opened {
        int r;
        bool torn;
        uint64_t n;
};

/* Opens, checks that what is replayed and read back is a prefix of what was written, and closes again. */
static inline struct box_opened box_check(const char *dir) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        struct box_opened o = { 0 };
        uint64_t seen = 0;

        o.r = ledger_open(dir, BOX_SEGMENT, box_replay, &seen, &o.torn, &l);
        if (!l)
                return o;
        o.n = ledger_head(l).n;
        assert_int_equal(seen, o.n);
        assert_int_equal(ledger_ok(l), o.r == 0);
        for (uint64_t n = 1; n <= o.n; n++) {
                _cleanup_json_ json_t *body = NULL;

                assert_int_equal(ledger_read(l, n, &body), 0);
                assert_int_equal(json_integer_value(json_object_get(body, "i")), n);
        }
        if (o.r < 0)
                assert_int_equal(ledger_append(l, box_record(0), NULL), -EBADMSG);
        return o;
}

static inline struct ledger *box_open(const char *dir) {
        struct ledger *l = NULL;
        uint64_t seen = 0;
        bool torn = true;

        assert_int_equal(ledger_open(dir, BOX_SEGMENT, box_replay, &seen, &torn, &l), 0);
        assert_false(torn);
        return l;
}

/* A ledger of n records, with its reserve segment, closed. */
static inline void box_make(const char *dir, unsigned n) {
        _cleanup_(ledger_freep) struct ledger *l = box_open(dir);
        int r;

        box_append(l, n);
        while ((r = ledger_prepare(l)) > 0)
                ;
        assert_int_equal(r, 0);
}
