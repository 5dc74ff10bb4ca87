/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/extract.c ctl/file.c ctl/member.c agent/core/ledger.c agent/core/segment.c agent/util/io.c agent/util/fault.c */
/* LINK: agent/util/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "agent/core/ledger.h"
#include "ctl/extract.h"
#include "lib/scratch.h"

#define HOLD  "000102030405060708090a0b0c0d0e0f"
#define OTHER "ffffffffffffffffffffffffffffffff"

struct got {
        size_t n;
        uint64_t last;
        char kinds[256];
};

static int take(const char *body, size_t n, const json_t *o, void *userdata) {
        struct got *g = userdata;
        _cleanup_json_ json_t *again = json_loadb(body, n, 0, NULL);

        assert_true(json_equal(again, o));
        g->n++;
        g->last = (uint64_t) json_integer_value(json_object_get(o, "n"));
        (void) snprintf(g->kinds + strlen(g->kinds), sizeof(g->kinds) - strlen(g->kinds), "%s ",
                        json_string_value(json_object_get(o, "kind")));
        return 0;
}

static void append(struct ledger *l, const char *kind, const char *member, const char *text) {
        assert_int_equal(ledger_append(l, json_pack("{s:s, s:s}", "kind", kind, member, text), NULL), 0);
}

/* A receipt that says `text` in its payload. */
static void append_receipt(struct ledger *l, const char *text) {
        char b64[256], envelope[512];

        sodium_bin2base64(b64, sizeof(b64), (const uint8_t *) text, strlen(text), sodium_base64_VARIANT_ORIGINAL);
        (void) snprintf(
                envelope, sizeof(envelope),
                "{\"payload\":\"%s\",\"payloadType\":\"application/vnd.freezed.receipt.v1+json\",\"signatures\":"
                "[{\"sig\":\"%s==\"}]}",
                b64, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        append(l, "outcome", "receipt", envelope);
}

static void fill(const struct scratch *dir, size_t more) {
        struct ledger *l = NULL;
        bool torn;

        assert_int_equal(ledger_open(dir->path, 65536, NULL, NULL, &torn, &l), 0);
        append(l, "order", "id", HOLD);
        append(l, "order", "id", OTHER);
        append_receipt(l, "{\"id\":\"" HOLD "\"}");
        append_receipt(l, "{\"id\":\"" OTHER "\"}");
        for (size_t i = 0; i < more; i++)
                append(l, "custody", "id", i % 2 ? HOLD : OTHER);
        ledger_free(l);
}

static void extract_finds_the_records_of_a_hold_also_in_what_is_signed(void **state) {
        struct scratch dir;
        struct got g = { .n = 0 };
        uint64_t bad;

        (void) state;
        scratch_make(&dir);
        fill(&dir, 0);
        assert_int_equal(extract_read(dir.path, HOLD, take, &g, &bad), 0);
        assert_string_equal(g.kinds, "order outcome ");
        assert_int_equal(bad, 0);
        scratch_remove(&dir);
}

static void extract_goes_on_from_file_to_file(void **state) {
        struct scratch dir;
        struct got g = { .n = 0 };
        uint64_t bad;

        (void) state;
        scratch_make(&dir);
        fill(&dir, 1000);
        assert_int_equal(extract_read(dir.path, HOLD, take, &g, &bad), 0);
        assert_int_equal(g.n, 2 + 500);
        assert_int_equal(g.last, 1004);
        assert_int_equal(bad, 0);
        scratch_remove(&dir);
}

static void extract_takes_no_record_that_was_changed(void **state) {
        struct scratch dir;
        uint64_t bad;

        (void) state;
        scratch_make(&dir);
        fill(&dir, 0);
        const struct scratch_bytes file = scratch_read(scratch_path(&dir, "00000001.log"));
        size_t used = 0;

        for (size_t i = 0; i < file.n; i++)
                if (file.data[i])
                        used = i + 1;
        for (size_t at = 0; at < used; at += 7) {
                struct got g = { .n = 0 };

                file.data[at] ^= 1;
                scratch_write(scratch_path(&dir, "00000001.log"), file.data, file.n);
                assert_int_equal(extract_read(dir.path, HOLD, take, &g, &bad), 0);
                assert_int_equal(bad, 1);
                assert_true(g.n < 2 || at > used / 2);
                file.data[at] ^= 1;
        }
        scratch_bytes_done((struct scratch_bytes *) &file);
        scratch_remove(&dir);
}

static void extract_says_that_there_is_no_ledger(void **state) {
        struct scratch dir;
        struct got g = { .n = 0 };
        uint64_t bad;

        (void) state;
        scratch_make(&dir);
        assert_int_equal(extract_read(dir.path, HOLD, take, &g, &bad), -ENOENT);
        scratch_remove(&dir);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(extract_finds_the_records_of_a_hold_also_in_what_is_signed),
                cmocka_unit_test(extract_goes_on_from_file_to_file),
                cmocka_unit_test(extract_takes_no_record_that_was_changed),
                cmocka_unit_test(extract_says_that_there_is_no_ledger),
        };
        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
