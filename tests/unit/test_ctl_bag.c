/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/bag.c ctl/kept.c ctl/sums.c ctl/member.c ctl/text.c ctl/why.c */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
#include "lib/evidence_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>

#include <sodium.h>

#include "ctl/bag.h"

/* Of each file so many bytes are changed, and it is cut at so many places: all of a short one, some of a long one. */
#define SAMPLES 48U
#define ABSENCE "its absence"
/* only against one that never ends */
#define ENDS_S 60U

/* A bag that a real collector and the real sealing made, a copy of it to break, and the host as the reader knows it. */
struct bench {
        struct rig *rig;
        char whole[512], copy[600];
        struct host host;
        struct hosts known;
};

static void shell(const char *dir, const char *command) {
        if (!rig_shell(dir, command))
                fail_msg("in %s: %s", dir, command);
}

static void take_copy(struct bench *b) {
        char command[3000];

        (void) snprintf(command, sizeof(command), "rm -rf '%s' && cp -a '%s' '%s' && chmod -R u+w '%s'", b->copy,
                        b->whole, b->copy, b->copy);
        shell("/", command);
}

static void make(struct bench *b, struct rig *r) {
        *b = (struct bench) { .rig = r, .known = { .v = &b->host, .n = 1 } };
        b->host = (struct host) { .name = "web-1", .key = *hostkey_public(r->key) };
}

/* The digest of an order that is none would be told as another finding. */
static void make_bag(struct bench *b, struct rig *r) {
        struct rig_done d;

        make(b, r);
        r->job.order = NULL;
        /* small: what is forked off this program has its memory */
        rig_exec(r, "/bin/sleep");
        d = rig_preserve(r);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        (void) snprintf(b->whole, sizeof(b->whole), "%s", d.folder);
        (void) snprintf(b->copy, sizeof(b->copy), "%s/copy", r->opened.path);
        take_copy(b);
}

/* How bad the copy is, and whether that file is among what was found. */
static enum bag_severity verdict(const struct bench *b, const char *file, bool *ret_named) {
        struct why w = { .text = "" };
        struct bag bag = BAG_NULL;
        enum bag_severity worst;

        assert_int_equal(bag_verify(b->copy, &b->known, &bag, &w), 0);
        worst = bag.worst;
        *ret_named = false;
        for (size_t i = 0; file && i < bag.n_named; i++)
                *ret_named |= strcmp(bag.named[i].file, file) == 0;
        bag_done(&bag);
        return worst;
}

static bool is_whole(const struct bench *b) {
        bool named;

        return verdict(b, NULL, &named) == BAG_SEVERITY_NONE;
}

static bool finds(const struct bench *b, enum bag_finding what, const char *file) {
        struct why w = { .text = "" };
        struct bag bag = BAG_NULL;
        bool found = false;

        assert_int_equal(bag_verify(b->copy, &b->known, &bag, &w), 0);
        for (size_t i = 0; i < bag.n_named; i++)
                found |= bag.named[i].what == what && (!file || strcmp(bag.named[i].file, file) == 0);
        bag_done(&bag);
        return found;
}

static int open_copy(const struct bench *b, const char *file, int flags) {
        char path[1000];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", b->copy, file);
        fd = open(path, flags | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

/* Every file of the bag, by its name within it. */
static void each_file(const struct bench *b, void (*fn)(const struct bench *b, const char *file)) {
        static const char *const dirs[] = { "", "data/" };

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                char path[1000];
                DIR *d;

                (void) snprintf(path, sizeof(path), "%s/%s", b->whole, dirs[i]);
                d = opendir(path);
                assert_non_null(d);
                for (const struct dirent *e; (e = readdir(d));) {
                        char name[300];

                        (void) snprintf(name, sizeof(name), "%s%s", dirs[i], e->d_name);
                        if (e->d_type == DT_REG)
                                fn(b, name);
                }
                (void) closedir(d);
        }
}

static void assert_seen(const struct bench *b, const char *file, const char *what, off_t at) {
        bool named;

        const enum bag_severity worst = verdict(b, file, &named);

        /* without the statement nobody says anything */
        const bool nobody_says = strcmp(file, "evidence.dsse.json") == 0 && strcmp(what, ABSENCE) == 0;

        if (worst != (nobody_says ? BAG_SEVERITY_SHORT : BAG_SEVERITY_BAD))
                fail_msg("%s: %s at %ld is not seen", file, what, (long) at);
        if (!named)
                fail_msg("%s: %s at %ld is not said of it", file, what, (long) at);
}

static void flip_bytes(const struct bench *b, const char *file) {
        _cleanup_close_ int fd = open_copy(b, file, O_RDWR);
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        for (off_t at = 0; at < st.st_size; at += 1 + st.st_size / SAMPLES) {
                uint8_t byte, other;

                assert_int_equal(pread(fd, &byte, 1, at), 1);
                other = byte ^ (uint8_t) (1U << (at % 8));
                assert_int_equal(pwrite(fd, &other, 1, at), 1);
                assert_seen(b, file, "a changed bit", at);
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
}

static void every_changed_bit_is_seen_and_said_of_its_file(void **state) {
        struct bench b;

        make_bag(&b, *state);
        assert_true(is_whole(&b));
        each_file(&b, flip_bytes);
        assert_true(is_whole(&b));
}

static void cut_and_grow(const struct bench *b, const char *file) {
        _cleanup_close_ int fd = open_copy(b, file, O_RDWR);
        _cleanup_free_ char *bytes = NULL;
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        bytes = malloc((size_t) st.st_size + 1);
        assert_int_equal(pread(fd, bytes, (size_t) st.st_size, 0), st.st_size);
        for (off_t at = st.st_size - 1; at >= 0; at -= 1 + st.st_size / 8) {
                assert_int_equal(ftruncate(fd, at), 0);
                assert_seen(b, file, "a cut", at);
        }
        assert_int_equal(pwrite(fd, bytes, (size_t) st.st_size, 0), st.st_size);
        for (const char *more = "\n x"; *more; more++) {
                assert_int_equal(pwrite(fd, more, 1, st.st_size), 1);
                assert_seen(b, file, "a byte more", st.st_size);
        }
        assert_int_equal(pwrite(fd, "", 1, st.st_size), 1);
        assert_seen(b, file, "a NUL more", st.st_size);
        assert_int_equal(ftruncate(fd, st.st_size), 0);
}

static void every_file_that_is_shorter_or_longer_is_seen(void **state) {
        struct bench b;

        make_bag(&b, *state);
        each_file(&b, cut_and_grow);
        assert_true(is_whole(&b));
}

static void take_away(const struct bench *b, const char *file) {
        char from[1000], to[1000];

        (void) snprintf(from, sizeof(from), "%s/%s", b->copy, file);
        (void) snprintf(to, sizeof(to), "%s.kept", b->copy);
        assert_int_equal(rename(from, to), 0);
        assert_seen(b, file, ABSENCE, 0);
        /* another file, another kind of file */
        assert_int_equal(symlink(to, from), 0);
        assert_seen(b, file, "a link to what it was", 0);
        assert_int_equal(unlink(from), 0);
        assert_int_equal(mkfifo(from, 0600), 0);
        assert_seen(b, file, "a FIFO", 0);
        assert_int_equal(unlink(from), 0);
        assert_int_equal(mkdir(from, 0700), 0);
        assert_seen(b, file, "a directory", 0);
        assert_int_equal(rmdir(from), 0);
        assert_int_equal(rename(to, from), 0);
}

static void every_file_that_is_gone_or_is_no_file_is_seen(void **state) {
        struct bench b;

        make_bag(&b, *state);
        each_file(&b, take_away);
        assert_true(is_whole(&b));
}

static void write_copy(const struct bench *b, const char *file, const void *bytes, size_t n) {
        char path[1000];

        (void) snprintf(path, sizeof(path), "%s/%s", b->copy, file);
        scratch_write(path, bytes, n);
}

static struct scratch_bytes read_copy(const struct bench *b, const char *file) {
        char path[1000];

        (void) snprintf(path, sizeof(path), "%s/%s", b->copy, file);
        return scratch_read(path);
}

/* The host signs the copy's tag manifest, whatever is in it, as it signs its own. */
static void sign_again(const struct bench *b) {
        _cleanup_(scratch_bytes_done) struct scratch_bytes tags = read_copy(b, "tagmanifest-sha256.txt");
        struct rig_done copy = { .folder = "" };
        _cleanup_json_ json_t *statement = NULL;
        _cleanup_free_ char *payload = NULL, *envelope = NULL;
        uint8_t sha256[32], sig[64];
        char hex[65];

        assert_true(strlen(b->copy) < sizeof(copy.folder));
        (void) snprintf(copy.folder, sizeof(copy.folder), "%.500s", b->copy);
        statement = rig_statement(b->rig, &copy);
        (void) crypto_hash_sha256(sha256, tags.data, tags.n);
        (void) sodium_bin2hex(hex, sizeof(hex), sha256, sizeof(sha256));
        assert_int_equal(
                json_object_set_new(json_object_get(json_array_get(json_object_get(statement, "subject"), 0), "digest"),
                                    "sha256", json_string(hex)),
                0);
        payload = json_dumps(statement, JSON_COMPACT | JSON_SORT_KEYS);
        assert_int_equal(hostkey_envelope(b->rig->key, DSSE_EVIDENCE, payload, &envelope), 0);
        write_copy(b, "evidence.dsse.json", envelope, strlen(envelope));
        hostkey_sign(b->rig->key, tags.data, tags.n, sig);
        write_copy(b, "tagmanifest-sha256.txt.sig", sig, sizeof(sig));
}

static void no_list_at_all_is_no_whole_one(void **state) {
        struct bench b;
        bool named;

        make_bag(&b, *state);
        /* as a core of before signed what somebody had taken public.jsonl away from: the manifest says it all */
        shell(b.copy, "sed -i '/ public.jsonl$/d' tagmanifest-sha256.txt && rm public.jsonl");
        sign_again(&b);
        assert_true(is_whole(&b));
        shell(b.copy, "f=(data/*); echo more >>${f[0]}");
        assert_int_equal(verdict(&b, NULL, &named), BAG_SEVERITY_BAD);
        /* and where neither is signed, nothing does */
        take_copy(&b);
        shell(b.copy, "sed -i '/ public.jsonl$/d; / manifest-sha256.txt$/d' tagmanifest-sha256.txt");
        sign_again(&b);
        assert_true(finds(&b, BAG_MANIFEST, "tagmanifest-sha256.txt"));
        assert_int_equal(verdict(&b, NULL, &named), BAG_SEVERITY_BAD);
}

/* Somebody takes it away between the collector's end and the seal. */
static void what_lost_its_list_before_it_was_sealed_is_not_complete(void **state) {
        struct rig *r = *state;
        char script[700];
        struct bench b;
        bool named;

        make(&b, r);
        r->job.order = NULL;
        rig_exec(r, "/bin/sleep");
        (void) snprintf(script, sizeof(script), "%s \"$@\"; r=$?; rm /proc/self/fd/3/public.jsonl; exit $r\n",
                        r->collector);
        rig_script(r, script);
        struct rig_done d = rig_preserve(r);

        assert_int_equal(d.state, PRESERVE_CUT_SHORT);
        assert_true(d.has_manifest);
        (void) snprintf(b.copy, sizeof(b.copy), "%s", d.folder);
        assert_int_equal(verdict(&b, NULL, &named), BAG_SEVERITY_SHORT);
        assert_true(finds(&b, BAG_CUT_SHORT, ""));
        shell(d.folder, "f=(data/*); chmod u+w ${f[0]}; echo more >>${f[0]}");
        assert_int_equal(verdict(&b, NULL, &named), BAG_SEVERITY_BAD);
}

/* A collector that could do nothing leaves nothing, and that is signed as it is. */
static void a_snapshot_that_failed_has_no_list_and_is_short(void **state) {
        struct rig *r = *state;
        struct bench b;
        bool named;

        make(&b, r);
        r->job.order = NULL;
        rig_script(r, "exit 3\n");
        (void) snprintf(b.copy, sizeof(b.copy), "%s", rig_preserve(r).folder);
        assert_int_equal(verdict(&b, NULL, &named), BAG_SEVERITY_SHORT);
        /* what is put there is in no list */
        shell(b.copy, "mkdir -p data && echo x >data/000001-x.zst.age");
        assert_true(finds(&b, BAG_UNLISTED, "data/000001-x.zst.age"));
}

/* What a shell does to the copy, and what has to be found then. */
static void what_is_put_in_the_place_of_another_is_seen(void **state) {
        static const struct {
                const char *command;
                enum bag_finding what;
        } cases[] = {
                { "f=(data/*); mv ${f[0]} x; mv ${f[1]} ${f[0]}; mv x ${f[1]}", BAG_CHANGED },
                { "f=(data/*); cp ${f[0]} ${f[1]}", BAG_CHANGED },
                { "f=(data/*); cp ${f[0]} data/999999-core.zst.age", BAG_EXTRA },
                { "mkdir data/x", BAG_EXTRA },
                { "touch data/.x", BAG_EXTRA },
                { "touch $'data/\\n\\e[2J'", BAG_EXTRA },
                /* beside data/, where other tools would take it for one of the bag's */
                { "echo http://x/ - data/y >fetch.txt", BAG_EXTRA },
                { "echo exit >verify.sh", BAG_EXTRA },
                { "mkdir more", BAG_EXTRA },
                { "ln -s data/x metadata", BAG_EXTRA },
                { "touch .x", BAG_EXTRA },
                { "touch .verify.sh.new", BAG_EXTRA },
                { "touch .keeping.dsse.json.new", BAG_UNLISTED },
                { "touch order.dsse.json", BAG_EXTRA },
                /* the manifests rewritten by somebody who has no key */
                { "tac manifest-sha256.txt >x && mv x manifest-sha256.txt", BAG_CHANGED },
                { "f=(data/*); echo more >>${f[0]}; sha256sum data/* >manifest-sha256.txt", BAG_CHANGED },
                { "f=(data/*); echo more >>${f[0]}; sha256sum data/* >manifest-sha256.txt; "
                  "sha256sum $(cut -c67- tagmanifest-sha256.txt) >x; mv x tagmanifest-sha256.txt",
                  BAG_TAGS },
                { "rm -r data", BAG_MISSING },
                { "rm -r data && ln -s ../../evidence data", BAG_CHANGED },
                { "for f in data/*; do truncate -s 4P $f || truncate -s 4T $f; done", BAG_CHANGED },
                { "truncate -s 4T public.jsonl", BAG_CHANGED },
                { "truncate -s 4T manifest-sha256.txt", BAG_CHANGED },
                { "truncate -s 4T bag-info.txt", BAG_CHANGED },
                { "truncate -s 4T tagmanifest-sha256.txt", BAG_TAGS },
                { "rm evidence.dsse.json", BAG_NO_STATEMENT },
                { "sed -i 's/\"payload\":\"/&e30=/' evidence.dsse.json", BAG_STATEMENT },
                { "echo '{}' >evidence.dsse.json", BAG_STATEMENT },
        };
        struct bench b;

        make_bag(&b, *state);
        (void) alarm(ENDS_S);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                take_copy(&b);
                shell(b.copy, cases[i].command);
                if (!finds(&b, cases[i].what, NULL))
                        fail_msg("not found: %s", cases[i].command);
        }
        (void) alarm(0);
}

/* Each file of an older snapshot of the same host, as well signed as the newer one, in the newer one's place. */
static void put_back(const struct bench *b, const char *file) {
        char command[3000];

        (void) snprintf(command, sizeof(command), "cp %s/../older/%s x && ! cmp -s x %s && mv x %s", b->copy, file,
                        file, file);
        /* what does not differ, or is not in both, cannot be taken from the other */
        if (!rig_shell(b->copy, command)) {
                (void) rig_shell(b->copy, "rm -f x");
                return;
        }
        bool named;

        if (verdict(b, file, &named) != BAG_SEVERITY_BAD)
                fail_msg("%s of an older snapshot is taken for this one's", file);
        (void) snprintf(command, sizeof(command), "cp %s/%s %s", b->whole, file, file);
        shell(b->copy, command);
}

static void a_file_of_an_older_snapshot_is_seen(void **state) {
        struct rig *r = *state;
        struct bench b;
        char command[3000];

        make_bag(&b, r);
        (void) snprintf(command, sizeof(command), "cp -a '%s' '%s/../older'", b.whole, b.copy);
        shell("/", command);
        rig_exec(r, "/bin/sleep");
        (void) snprintf(b.whole, sizeof(b.whole), "%s", rig_preserve(r).folder);
        take_copy(&b);
        assert_true(is_whole(&b));
        each_file(&b, put_back);
        assert_true(is_whole(&b));
}

static void a_folder_in_the_place_of_another_hold_is_seen(void **state) {
        struct rig *r = *state;
        struct bench b;
        char command[3000];

        make_bag(&b, r);
        (void) snprintf(b.copy, sizeof(b.copy), "%s/ffffffffffffffffffffffffffffffff", r->opened.path);
        (void) snprintf(command, sizeof(command), "cp -a '%s' '%s'", b.whole, b.copy);
        shell("/", command);
        assert_true(finds(&b, BAG_OTHER_HOLD, ""));
        (void) snprintf(b.copy, sizeof(b.copy), "%s/ffffffffffffffffffffffffffffffff/", r->opened.path);
        assert_true(finds(&b, BAG_OTHER_HOLD, ""));
        (void) snprintf(b.copy, sizeof(b.copy), "%s", b.whole);
        assert_true(is_whole(&b));
}

static void a_host_that_is_not_known_is_no_witness(void **state) {
        struct bench b;
        bool named;

        make_bag(&b, *state);
        b.known.n = 0;
        assert_int_equal(verdict(&b, "evidence.dsse.json", &named), BAG_SEVERITY_DOUBT);
        assert_true(named);
        b.known.n = 1;
        memset(b.host.key.pub, 7, sizeof(b.host.key.pub));
        assert_int_not_equal(verdict(&b, "evidence.dsse.json", &named), BAG_SEVERITY_NONE);
        sshkey_from_raw(b.host.key.pub, &b.host.key);
        assert_int_equal(verdict(&b, "evidence.dsse.json", &named), BAG_SEVERITY_DOUBT);
}

/* Nobody knows the key, and what it did not sign is seen all the same. */
static void what_a_strangers_key_did_not_sign_is_bad(void **state) {
        /* as openssl makes one */
        static const char other[] = "openssl genpkey -algorithm ed25519 | openssl pkey -pubout >host_key.pem";
        static const struct {
                const char *command;
                enum bag_finding what;
                const char *file;
        } cases[] = {
                { "rm host_key.pem", BAG_MISSING, "host_key.pem" },
                { "echo >>host_key.pem", BAG_CHANGED, "host_key.pem" },
                { "echo no key >host_key.pem", BAG_CHANGED, "host_key.pem" },
                { other, BAG_STATEMENT, "evidence.dsse.json" },
                /* the envelope names another key, or has another signature */
                { "sed -i 's/SHA256:./SHA256:_/' evidence.dsse.json", BAG_STATEMENT, "evidence.dsse.json" },
                { "sed -i 's/\"sig\":\"......../\"sig\":\"AAAAAAAA/' evidence.dsse.json", BAG_STATEMENT,
                  "evidence.dsse.json" },
                /* another statement, and the tag manifest that it would be about */
                { "p=$(jq -r .payload evidence.dsse.json); q=$(echo $p | base64 -d | sed 's/complete/failed!!/' | "
                  "base64 -w 0); "
                  "sed -i s,$p,$q, evidence.dsse.json",
                  BAG_STATEMENT, "evidence.dsse.json" },
                { "head -c 64 /dev/zero >tagmanifest-sha256.txt.sig", BAG_CHANGED, "tagmanifest-sha256.txt.sig" },
                { "f=(data/*); echo more >>${f[0]}", BAG_CHANGED, NULL },
        };
        struct bench b;
        bool named;

        make_bag(&b, *state);
        b.known.n = 0;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                take_copy(&b);
                assert_int_equal(verdict(&b, NULL, &named), BAG_SEVERITY_DOUBT);
                shell(b.copy, cases[i].command);
                if (!finds(&b, cases[i].what, cases[i].file) || verdict(&b, NULL, &named) != BAG_SEVERITY_BAD)
                        fail_msg("not found: %s", cases[i].command);
        }
}

static void what_a_killed_collector_left_is_short_and_not_bad(void **state) {
        struct rig *r = *state;
        struct bench b;
        struct rig_done d;
        bool named;

        make(&b, r);
        r->job.order = NULL;
        for (int i = 0; i < 100; i++)
                rig_exec(r, "/bin/sleep");
        rig_start(r);
        assert_int_equal(kill(rig_stop_collector(r, 350), SIGKILL), 0);
        d = rig_wait(r);
        (void) snprintf(b.copy, sizeof(b.copy), "%s", d.folder);
        assert_int_equal(verdict(&b, NULL, &named), BAG_SEVERITY_SHORT);
        assert_true(finds(&b, BAG_CUT_SHORT, NULL));
        (void) snprintf(b.whole, sizeof(b.whole), "%s", d.folder);
        (void) snprintf(b.copy, sizeof(b.copy), "%s/copy", r->opened.path);
        take_copy(&b);
        shell(b.copy, "echo more >>$(ls data/* | head -n 1)");
        assert_int_equal(verdict(&b, NULL, &named), BAG_SEVERITY_BAD);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(every_changed_bit_is_seen_and_said_of_its_file),
                CASE(every_file_that_is_shorter_or_longer_is_seen),
                CASE(every_file_that_is_gone_or_is_no_file_is_seen),
                CASE(what_is_put_in_the_place_of_another_is_seen),
                CASE(no_list_at_all_is_no_whole_one),
                CASE(what_lost_its_list_before_it_was_sealed_is_not_complete),
                CASE(a_snapshot_that_failed_has_no_list_and_is_short),
                CASE(a_file_of_an_older_snapshot_is_seen),
                CASE(a_folder_in_the_place_of_another_hold_is_seen),
                CASE(a_host_that_is_not_known_is_no_witness),
                CASE(what_a_strangers_key_did_not_sign_is_bad),
                CASE(what_a_killed_collector_left_is_short_and_not_bad),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
