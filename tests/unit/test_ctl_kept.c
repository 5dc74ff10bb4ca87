/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/bag.c ctl/kept.c ctl/sums.c ctl/member.c ctl/text.c ctl/why.c agent/util/io.c */

/* A tombstone excuses files that are missing, so everything about it that could be another's is tried. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/util/io.h"
#include "ctl/bag.h"
#include "lib/people.h"
#include "lib/scratch.h"

#define HOLD       "00112233445566778899aabbccddeeff"
#define OTHER      "ffeeddccbbaa99887766554433221100"
#define TAGS       "tagmanifest-sha256.txt"
#define TOMBSTONE  "tombstone.dsse.json"
#define EVIDENCE   "urn:freezed:evidence:v1"
#define BURIED     "urn:freezed:tombstone:v1"
#define HOST       KEY_ALICE
#define OTHER_HOST KEY_BOB

static struct scratch dir;
static struct host hosts[2];
static const struct hosts known = { hosts, ELEMENTSOF(hosts) };
static struct bag b;

static void hash(const char *name, char ret[static 65]) {
        _cleanup_(scratch_bytes_done) struct scratch_bytes f = scratch_read(scratch_path(&dir, name));
        uint8_t sha256[32];

        (void) crypto_hash_sha256(sha256, f.data, f.n);
        sodium_bin2hex(ret, 65, sha256, sizeof(sha256));
}

static json_t *subject(const char *name) {
        char hex[65];

        hash(name, hex);
        return json_pack("{ss s{ss}}", "name", name, "digest", "sha256", hex);
}

/* Signs a statement about these subjects, which it takes, and lays it in the folder. */
static void sign(const char *name, enum key by, const char *type, const char *hold, json_t *subjects) {
        _cleanup_json_ json_t *o =
                json_pack("{ss so ss s{ss ss}}", "_type", "https://in-toto.io/Statement/v1", "subject", subjects,
                          "predicateType", type, "predicate", "hold", hold, "state", "complete");
        _cleanup_free_ char *payload = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS), *text = NULL;

        assert_non_null(payload);
        struct dsse d = people_sign(DSSE_EVIDENCE, DSSE_EVIDENCE, payload, strlen(payload), 1U << by);

        assert_int_equal(dsse_to_json(&d, &text), 0);
        scratch_write(scratch_path(&dir, name), text, strlen(text));
        dsse_done(&d);
}

static json_t *all(void) {
        return json_pack("[ooo]", subject(TAGS), subject("evidence.dsse.json"), subject("public.jsonl"));
}

static void write_text(const char *name, const char *text) {
        scratch_write(scratch_path(&dir, name), text, strlen(text));
}

/* A folder of one file, of which data/000001-x is gone. */
static int begin(void **state) {
        char manifest[128], tags[256], hex[65], hex2[65];

        (void) state;
        scratch_make(&dir);
        for (size_t i = 0; i < ELEMENTSOF(hosts); i++) {
                uint8_t secret[crypto_sign_SECRETKEYBYTES];

                people_key(i == 0 ? HOST : OTHER_HOST, secret, &hosts[i].key);
                (void) snprintf(hosts[i].name, sizeof(hosts[i].name), "host%zu", i);
        }
        write_text("public.jsonl", "{}\n");
        (void) snprintf(manifest, sizeof(manifest), "%064d  data/000001-x\n", 7);
        write_text("manifest-sha256.txt", manifest);
        hash("manifest-sha256.txt", hex);
        hash("public.jsonl", hex2);
        (void) snprintf(tags, sizeof(tags), "%s  manifest-sha256.txt\n%s  public.jsonl\n", hex, hex2);
        write_text(TAGS, tags);
        sign("evidence.dsse.json", HOST, EVIDENCE, HOLD, json_pack("[o]", subject(TAGS)));
        return 0;
}

static int end(void **state) {
        (void) state;
        bag_done(&b);
        scratch_remove(&dir);
        return 0;
}

static bool says(enum bag_finding what) {
        for (size_t i = 0; i < b.n_named; i++)
                if (b.named[i].what == what)
                        return true;
        return false;
}

static void verify(const struct hosts *by) {
        struct why w;

        bag_done(&b);
        assert_int_equal(bag_verify(dir.path, by, &b, &w), 0);
}

static void expect_believed(void) {
        verify(&known);
        assert_non_null(b.tombstone);
        assert_true(says(BAG_DELETED));
        assert_false(says(BAG_TOMBSTONE));
        for (size_t i = 0; i < b.n_named; i++)
                assert_string_not_equal(b.named[i].file, "data/000001-x");
}

/* Then the file is missing, as if there were none. */
static void expect_not_believed(void) {
        bool missing = false;

        verify(&known);
        assert_null(b.tombstone);
        assert_true(says(BAG_TOMBSTONE));
        assert_false(says(BAG_DELETED));
        for (size_t i = 0; i < b.n_named; i++)
                missing |= b.named[i].what == BAG_MISSING && strcmp(b.named[i].file, "data/000001-x") == 0;
        assert_true(missing);
        assert_int_equal(bag_exit(&b), CTL_REFUSED);
}

static void what_the_host_signed_about_this_folder_is_believed(void **state) {
        (void) state;
        sign(TOMBSTONE, HOST, BURIED, HOLD, all());
        expect_believed();
}

static void without_a_tombstone_what_is_missing_was_taken(void **state) {
        (void) state;
        verify(&known);
        assert_true(says(BAG_MISSING));
        assert_false(says(BAG_TOMBSTONE) || says(BAG_DELETED));
}

static void another_host_buries_nothing_here(void **state) {
        (void) state;
        sign(TOMBSTONE, OTHER_HOST, BURIED, HOLD, all());
        expect_not_believed();
        sign(TOMBSTONE, KEY_STRANGER, BURIED, HOLD, all());
        expect_not_believed();
}

/* A folder of a host that nobody knows here: that host's tombstone, and no other's. */
static void a_stranger_buries_what_is_his(void **state) {
        static const struct hosts nobody = { .n = 0 };
        char pem[128], base64[61];
        uint8_t der[44] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };

        (void) state;
        memcpy(der + 12, hosts[0].key.pub, 32);
        (void) sodium_bin2base64(base64, sizeof(base64), der, sizeof(der), sodium_base64_VARIANT_ORIGINAL);
        (void) snprintf(pem, sizeof(pem), "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", base64);
        write_text("host_key.pem", pem);
        sign(TOMBSTONE, HOST, BURIED, HOLD, all());
        verify(&nobody);
        assert_true(says(BAG_STRANGER));
        assert_non_null(b.tombstone);
        sign(TOMBSTONE, OTHER_HOST, BURIED, HOLD, all());
        verify(&nobody);
        assert_null(b.tombstone);
        assert_true(says(BAG_TOMBSTONE));
}

static void another_folders_tombstone_is_none(void **state) {
        (void) state;
        sign(TOMBSTONE, HOST, BURIED, OTHER, all());
        expect_not_believed();
}

static void another_statement_is_no_tombstone(void **state) {
        (void) state;
        sign(TOMBSTONE, HOST, EVIDENCE, HOLD, all());
        expect_not_believed();
        sign(TOMBSTONE, HOST, "urn:freezed:keeping:v1", HOLD, all());
        expect_not_believed();
        write_text(TOMBSTONE, "{}");
        expect_not_believed();
        write_text(TOMBSTONE, "");
        expect_not_believed();
}

static void it_is_about_what_is_left_and_all_of_that(void **state) {
        (void) state;
        sign(TOMBSTONE, HOST, BURIED, HOLD, json_array());
        expect_not_believed();
        /* not about the tag manifest, by which the rest hangs together */
        sign(TOMBSTONE, HOST, BURIED, HOLD, json_pack("[o]", subject("public.jsonl")));
        expect_not_believed();
        sign(TOMBSTONE, HOST, BURIED, HOLD,
             json_pack("[o{ss s{ss}}]", subject(TAGS), "name", "../../etc/passwd", "digest", "sha256", "00"));
        expect_not_believed();
        sign(TOMBSTONE, HOST, BURIED, HOLD, all());
        expect_believed();
        /* and none of it was changed since */
        write_text("public.jsonl", "{} \n");
        verify(&known);
        assert_true(says(BAG_TOMBSTONE));
}

static void each_byte_of_it_counts(void **state) {
        (void) state;
        sign(TOMBSTONE, HOST, BURIED, HOLD, all());
        _cleanup_(scratch_bytes_done) struct scratch_bytes whole = scratch_read(scratch_path(&dir, TOMBSTONE));

        for (size_t i = 0; i < whole.n; i += 7) {
                const uint8_t was = whole.data[i];

                whole.data[i] ^= 1;
                scratch_write(scratch_path(&dir, TOMBSTONE), whole.data, whole.n);
                verify(&known);
                assert_null(b.tombstone);
                assert_true(says(BAG_TOMBSTONE));
                whole.data[i] = was;
        }
}

/* A host that died before it sealed: nothing is signed there but the tombstone. */
static void what_was_never_sealed_can_be_buried_by_a_known_host(void **state) {
        (void) state;
        assert_int_equal(unlink(scratch_path(&dir, "evidence.dsse.json")), 0);
        sign(TOMBSTONE, HOST, BURIED, HOLD, json_pack("[o]", subject("public.jsonl")));
        verify(&known);
        assert_non_null(b.tombstone);
        assert_true(says(BAG_NO_STATEMENT) && says(BAG_DELETED));
        sign(TOMBSTONE, KEY_STRANGER, BURIED, HOLD, json_pack("[o]", subject("public.jsonl")));
        verify(&known);
        assert_null(b.tombstone);
        assert_true(says(BAG_TOMBSTONE));
}

static void what_tells_of_legal_holds_is_the_hosts_word_too(void **state) {
        (void) state;
        sign("keeping.dsse.json", HOST, "urn:freezed:keeping:v1", HOLD, all());
        verify(&known);
        assert_non_null(b.keeping);
        assert_false(says(BAG_KEEPING));
        sign("keeping.dsse.json", OTHER_HOST, "urn:freezed:keeping:v1", HOLD, all());
        verify(&known);
        assert_null(b.keeping);
        assert_true(says(BAG_KEEPING));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
        static const struct CMUnitTest tests[] = {
                CASE(what_the_host_signed_about_this_folder_is_believed),
                CASE(without_a_tombstone_what_is_missing_was_taken),
                CASE(another_host_buries_nothing_here),
                CASE(a_stranger_buries_what_is_his),
                CASE(another_folders_tombstone_is_none),
                CASE(another_statement_is_no_tombstone),
                CASE(it_is_about_what_is_left_and_all_of_that),
                CASE(each_byte_of_it_counts),
                CASE(what_was_never_sealed_can_be_buried_by_a_known_host),
                CASE(what_tells_of_legal_holds_is_the_hosts_word_too),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
