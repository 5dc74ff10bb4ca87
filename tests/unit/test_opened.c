/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/opened.c ctl/unpack.c ctl/unseal.c ctl/sums.c ctl/member.c ctl/file.c ctl/text.c ctl/why.c */
/* LINK: agent/collect/sealer.c agent/collect/press.c agent/collect/pack.c agent/util/io.c agent/util/fault.c */
#include "lib/sealed.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/collect/pack.h"
#include "agent/util/collect_abi.h"
#include "ctl/opened.h"

/* A bag whose data files are put there one by one: what is signed of it is not of interest here. */
struct bench {
        struct scratch s;
        char data[128], out[128];
        struct bag bag;
        struct opened o;
        struct why w;
};

static void open_bench(struct bench *b) {
        *b = (struct bench) { .bag = BAG_NULL };
        scratch_make(&b->s);
        (void) snprintf(b->data, sizeof(b->data), "%s/data", b->s.path);
        (void) snprintf(b->out, sizeof(b->out), "%s/out", b->s.path);
        assert_int_equal(mkdir(b->data, 0700), 0);
        b->bag.dir = open(b->s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void close_bench(struct bench *b) {
        closep(&b->bag.dir);
        json_decref(b->bag.predicate);
        sums_done(&b->bag.data);
        scratch_remove(&b->s);
}

#define _cleanup_bench_ _cleanup_(close_bench)

static void put(struct bench *b, const char *name, const void *bytes, size_t n) {
        static const char hex[] = "000102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
        char file[SUMS_NAME_MAX + 1];

        sealed_make(b->data, name, bytes, n);
        (void) snprintf(file, sizeof(file), "data/%.50s", name);
        assert_int_equal(sums_add(&b->bag.data, file, hex), 0);
        assert_int_equal(sums_sort(&b->bag.data), 0);
}

static void put_text(struct bench *b, const char *name, const char *text) {
        put(b, name, text, strlen(text));
}

/* A line of the index about an object with that content. */
static char *line_of(char *p, const char *file, const char *member, const char *content) {
        uint8_t digest[32];
        char hex[65];

        (void) crypto_hash_sha256(digest, (const uint8_t *) content, strlen(content));
        (void) sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
        return p + sprintf(p, "{\"kind\":\"k\",\"file\":\"%s\",%s%s%s\"bytes\":%zu,\"sha256\":\"%s\"}\n", file,
                           member ? "\"member\":\"" : "", member ? member : "", member ? "\"," : "", strlen(content),
                           hex);
}

static void put_pack(struct bench *b, const char *name, const char *const members[][2], size_t n) {
        struct pack p;

        assert_int_equal(pack_init(&p), 0);
        for (size_t i = 0; i < n; i++)
                pack_add(&p, members[i][0], members[i][1], strlen(members[i][1]), 0);
        pack_end(&p);
        put(b, name, p.bytes, p.n);
        pack_done(&p);
}

static const char *const members[][2] = { { "000002-status", "two" }, { "000003-maps", "three" } };

/* Two objects in a pack, one of its own, a hole, and the end. */
static void put_all(struct bench *b) {
        char index[2048], *p = index;

        put_pack(b, "000001-pack.tar.zst.age", members, 2);
        put_text(b, "000004-core.zst.age", "four");
        p = line_of(p, "data/000001-pack.tar.zst.age", "000002-status", "two");
        p = line_of(p, "data/000001-pack.tar.zst.age", "000003-maps", "three");
        p = line_of(p, "data/000004-core.zst.age", NULL, "four");
        p = stpcpy(p, "{\"hole\":\"EIO\",\"kind\":\"k\"}\n{\"note\":\"end\"}\n");
        put_text(b, "000005-index.jsonl.zst.age", index);
}

static int make(struct bench *b) {
        const struct identities with = sealed_key();
        char command[256];

        (void) snprintf(command, sizeof(command), "rm -rf %s", b->out);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
        return opened_make(&b->bag, &with, b->out, &b->o, &b->w);
}

static bool shell(const struct bench *b, const char *command) {
        char line[1024];

        (void) snprintf(line, sizeof(line), "cd %s && { %s; }", b->out, command);
        return system(line) == 0; /* NOLINT: a fixed command */
}

static void every_object_comes_out_under_our_name_and_is_compared(void **state) {
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        put_all(&b);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.objects, 3);
        assert_int_equal(b.o.bytes, 3 + 5 + 4);
        assert_int_equal(b.o.holes, 1);
        assert_int_equal(b.o.wrong + b.o.missing + b.o.unlisted, 0);
        assert_true(b.o.ended);
        assert_true(shell(&b, "test \"$(cat objects/000003-maps objects/000004-core)\" = threefour && "
                              "test $(wc -l <index.jsonl) = 5 && test $(ls objects | wc -l) = 3"));
        assert_true(shell(&b, "test $(stat -c %a . objects | sort -u) = 700 && "
                              "test $(stat -c %a index.jsonl objects/* | sort -u) = 600"));
        /* never into what is there already */
        const struct identities with = sealed_key();

        assert_int_equal(opened_make(&b.bag, &with, b.out, &b.o, &b.w), CTL_MACHINE);
}

/* Sealed anew to the same recipient, which is no secret: age and zstd are content with it. */
static void an_object_that_is_not_what_the_index_says_is_wrong(void **state) {
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        put_all(&b);
        assert_int_equal(unlinkat(b.bag.dir, "data/000004-core.zst.age", 0), 0);
        sealed_make(b.data, "000004-core.zst.age", "FOUR", 4);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.wrong, 1);
        assert_int_equal(b.o.objects, 2);
        assert_string_equal(b.o.first, "000004-core");
}

static void a_member_of_a_pack_that_is_not_what_the_index_says_is_wrong(void **state) {
        static const char *const other[][2] = { { "000002-status", "two" }, { "000003-maps", "Three" } };
        char index[1024], *p = index;
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        p = line_of(p, "data/000001-pack.tar.zst.age", "000002-status", "two");
        (void) line_of(p, "data/000001-pack.tar.zst.age", "000003-maps", "three");
        put_text(&b, "000004-index.jsonl.zst.age", index);
        put_pack(&b, "000001-pack.tar.zst.age", other, 2);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.wrong, 1);
        assert_int_equal(b.o.objects, 1);
        assert_string_equal(b.o.first, "000003-maps");
}

static void one_that_is_larger_than_it_was_is_not_written_out(void **state) {
        _cleanup_free_ char *large = calloc(1, 32U << 20);
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        put_all(&b);
        assert_int_equal(unlinkat(b.bag.dir, "data/000004-core.zst.age", 0), 0);
        sealed_make(b.data, "000004-core.zst.age", large, 32U << 20);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.wrong, 1);
        assert_true(shell(&b, "test $(stat -c %s objects/000004-core) -le 4"));
}

static void put_said(struct bench *b, json_int_t bytes) {
        json_decref(b->bag.predicate);
        b->bag.predicate = json_pack("{s:I}", "bytes", bytes);
        assert_non_null(b->bag.predicate);
}

/* The index of a collector that was taken over says of each what is in it; the host, that it was less. */
static void no_more_comes_out_than_the_host_says(void **state) {
        _cleanup_free_ char *large = calloc(1, 32U << 20);
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        put_all(&b);
        put_said(&b, 3 + 5 + 4);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.objects, 3);
        put_said(&b, 3 + 5 + 3);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.wrong, 1);
        assert_int_equal(b.o.err, -EFBIG);
        /* the members of packs as well */
        put_said(&b, 3 + 4);
        assert_int_equal(make(&b), 0);
        assert_true(shell(&b, "test $(cat objects/* | wc -c) -le 7"));
        /* and what is in no index */
        put(&b, "000006-core.zst.age", large, 32U << 20);
        put_said(&b, 1000);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.wrong, 1);
        assert_true(shell(&b, "test $(cat objects/* | wc -c) -le 1000"));
}

/* Where the host says nothing, for its collector died, the disk is not filled. */
static void the_disk_is_not_filled(void **state) {
        _cleanup_free_ char *large = calloc(1, 32U << 20);
        struct bench b = { .bag = BAG_NULL };
        char command[512];

        (void) state;
        if (geteuid() != 0) {
                print_message("skip: mounts a small disk, which takes root\n");
                skip();
        }
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        open_bench(&b);
        put(&b, "000001-core.zst.age", large, 32U << 20);
        (void) snprintf(command, sizeof(command), "%s/disk", b.s.path);
        assert_int_equal(mkdir(command, 0700), 0);
        assert_int_equal(mount("small", command, "tmpfs", 0, "size=8m"), 0);
        (void) snprintf(b.out, sizeof(b.out), "%s/disk/out", b.s.path);
        for (int said = 0; said < 2; said++) {
                if (said)
                        put_said(&b, (json_int_t) 1 << 52);
                assert_int_equal(make(&b), 0);
                assert_int_equal(b.o.wrong, 1);
                assert_int_equal(b.o.err, -ENOSPC);
                assert_true(shell(&b, "test $(df --output=avail -B1 . | tail -n 1) -ge $((900 << 10))"));
        }
        assert_int_equal(umount2(command, MNT_DETACH), 0);
        close_bench(&b);
}

_Static_assert(OPENED_INDEX_MAX >= COLLECT_INDEX_MAX && OPENED_OBJECTS_MAX >= COLLECT_OBJECTS_MAX,
               "what a collector can make can be opened");

static void all_parts_of_the_index_together_are_bounded(void **state) {
        static const char line[] = "{\"hole\":\"EIO\",\"kind\":\"k\"}\n";
        const size_t n = COLLECT_INDEX_MAX / 2 / (sizeof(line) - 1) * (sizeof(line) - 1);
        _cleanup_free_ char *part = malloc(n + 1);
        _cleanup_bench_ struct bench b;

        (void) state;
        for (size_t at = 0; at < n; at += sizeof(line) - 1)
                memcpy(part + at, line, sizeof(line));
        open_bench(&b);
        put(&b, "000001-index.jsonl.zst.age", part, n);
        put(&b, "000002-index.jsonl.zst.age", part, n);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.wrong, 0);
        put(&b, "000003-index.jsonl.zst.age", part, n);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.wrong, 1);
        assert_string_equal(b.o.first, "data/000003-index.jsonl.zst.age");
        assert_true(shell(&b, "test $(stat -c %s index.jsonl) -le $((16 << 20))"));
}

static void what_is_missing_and_what_nobody_lists_are_told_apart(void **state) {
        char index[1024];
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        put_text(&b, "000001-core.zst.age", "one");
        put_text(&b, "000002-core.zst.age", "two");
        (void) line_of(index, "data/000001-core.zst.age", NULL, "one");
        put_text(&b, "000003-index.jsonl.zst.age", index);
        (void) line_of(index, "data/000009-core.zst.age", NULL, "nine");
        put_text(&b, "000004-index.jsonl.zst.age", index);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.objects, 1);
        assert_int_equal(b.o.unlisted, 1);
        assert_int_equal(b.o.missing, 1);
        assert_int_equal(b.o.wrong, 0);
        assert_false(b.o.ended);
        assert_string_equal(b.o.first, "000009-core");
}

/* A collector that was taken over by what it read writes what it likes. */
static void names_that_lead_elsewhere_are_refused_wherever_they_stand(void **state) {
        static const char *const lines[] = {
                "{\"file\":\"data/x\",\"member\":\"../../evil\",\"bytes\":1,\"sha256\":\"%s\"}\n",
                "{\"file\":\"data/x\",\"member\":\"a/b\",\"bytes\":1,\"sha256\":\"%s\"}\n",
                "{\"file\":\"data/..\",\"bytes\":1,\"sha256\":\"%s\"}\n",
                "{\"file\":\"data/\\u001b[2J\",\"bytes\":1,\"sha256\":\"%s\"}\n",
                "{\"file\":\"nothing\",\"bytes\":1,\"sha256\":\"%s\"}\n",
                "{\"file\":\"data/x\",\"bytes\":1,\"sha256\":\"%.10s\"}\n",
                "{\"file\":\"data/x\",\"bytes\":1,\"sha256\":\"%s00\"}\n",
                "{\"file\":\"data/x\",\"bytes\":1,\"bytes\":2,\"sha256\":\"%s\"}\n",
                "{\"file\":\"data/x\",\"bytes\":1,\"sha256\":\"%s\"}",
                "[\"%s\"]\n",
                "\n",
        };
        static const char *const hostile[][2] = { { "../../evil", "x" } };
        static const char hex[] = "000102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

        (void) state;
        for (size_t i = 0; i <= ELEMENTSOF(lines); i++) {
                _cleanup_bench_ struct bench b;
                char index[512];

                open_bench(&b);
                if (i < ELEMENTSOF(lines)) {
                        (void) snprintf(index, sizeof(index), lines[i], hex); /* NOLINT: of the table above */
                        put_text(&b, "000001-index.jsonl.zst.age", index);
                } else
                        put_pack(&b, "000001-pack.tar.zst.age", hostile, 1);
                assert_int_equal(make(&b), 0);
                assert_int_equal(b.o.wrong, 1);
                assert_int_equal(b.o.objects, 0);
                assert_true(shell(&b, "test $(ls objects | wc -l) = 0 && test ! -e ../evil && test ! -e ../../evil"));
        }
}

static void two_of_a_name_do_not_overwrite_each_other(void **state) {
        static const char *const same[][2] = { { "000001-core", "first" }, { "000001-core", "second" } };
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        put_pack(&b, "000002-pack.tar.zst.age", same, 2);
        assert_int_equal(make(&b), 0);
        assert_int_equal(b.o.wrong, 1);
        assert_true(shell(&b, "test $(cat objects/000001-core) = first"));
}

static void a_bag_for_others_is_refused_and_says_who_could(void **state) {
        struct identities with = { .n = 1 };
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        put_all(&b);
        randombytes_buf(&with.v[0], sizeof(with.v[0]));
        assert_int_equal(opened_make(&b.bag, &with, b.out, &b.o, &b.w), CTL_REFUSED);
        assert_non_null(strstr(b.w.text, "sealed"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_object_comes_out_under_our_name_and_is_compared),
                cmocka_unit_test(an_object_that_is_not_what_the_index_says_is_wrong),
                cmocka_unit_test(a_member_of_a_pack_that_is_not_what_the_index_says_is_wrong),
                cmocka_unit_test(one_that_is_larger_than_it_was_is_not_written_out),
                cmocka_unit_test(no_more_comes_out_than_the_host_says),
                cmocka_unit_test(the_disk_is_not_filled),
                cmocka_unit_test(all_parts_of_the_index_together_are_bounded),
                cmocka_unit_test(what_is_missing_and_what_nobody_lists_are_told_apart),
                cmocka_unit_test(names_that_lead_elsewhere_are_refused_wherever_they_stand),
                cmocka_unit_test(two_of_a_name_do_not_overwrite_each_other),
                cmocka_unit_test(a_bag_for_others_is_refused_and_says_who_could),
        };
        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
