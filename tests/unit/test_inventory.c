/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/inventory.c ctl/parallel.c ctl/file.c ctl/text.c ctl/why.c */

/* Who is expected to answer: what a registrar signed, each line by itself, the newest of each host. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/inventory.h"
#include "lib/fleet.h"

static struct trust trust;

static int set_up(void **state) {
        (void) state;
        fleet_trust(TRUST_REGISTRAR_ROLE, &trust);
        return 0;
}

static struct attributes host(uint8_t key, const char *name, const char *group, int64_t n) {
        struct attributes a = fleet_host();
        const uint8_t pub[32] = { key };

        sshkey_from_raw(pub, &a.key);
        strcpy(a.name, name);
        strcpy(a.groups[0], group);
        a.n_groups = 1;
        a.n = n;
        return a;
}

/* One line of the file, as `by` signed it. */
static char *line_by(const struct attributes *a, unsigned int by) {
        _cleanup_free_ char *json = NULL;
        char *line;

        assert_int_equal(attributes_to_json(a, &json), 0);
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_ATTRIBUTES, DSSE_ATTRIBUTES, json, strlen(json), by);
        assert_int_equal(dsse_to_json(&d, &line), 0);
        return line;
}

/* Appends it, with what is to end it. */
static void put_by(char **text, const struct attributes *a, unsigned int by, const char *end) {
        _cleanup_free_ char *line = line_by(a, by), *before = *text;

        assert_true(asprintf(text, "%s%s%s", before ? before : "", line, end) > 0);
}

static void put(char **text, uint8_t key, const char *name, const char *group, int64_t n) {
        const struct attributes a = host(key, name, group, n);

        put_by(text, &a, BY(BOT), "\n");
}

static struct inventory parse(const char *text) {
        struct inventory i;

        assert_int_equal(inventory_parse(&trust, text, strlen(text), &i), 0);
        for (size_t k = 1; k < i.n; k++)
                assert_true(memcmp(i.v[k - 1].host.key.id, i.v[k].host.key.id, 32) < 0);
        return i;
}

static const struct inventory_host *find(const struct inventory *i, uint8_t key) {
        const struct attributes a = host(key, "x", "x", 1);

        return inventory_by_id(i, a.key.id);
}

static void every_line_is_a_host(void **state) {
        _cleanup_free_ char *text = NULL;
        struct attributes many = fleet_host(), none = host(9, "lone", "x", 1);

        (void) state;
        put(&text, 1, "web-1", "web", 1);
        none.n_groups = 0;
        put_by(&text, &none, BY(BOT), "\r\n\n \t\n");
        put_by(&text, &many, BY(BOT), "");
        _cleanup_(inventory_done) struct inventory i = parse(text);
        assert_int_equal(i.n, 3);
        assert_int_equal(i.n_bad, 0);
        assert_string_equal(find(&i, 1)->host.name, "web-1");
        assert_int_equal(find(&i, 7)->line, 5);
        assert_true(inventory_is_of(find(&i, 7), "eu") && inventory_is_of(find(&i, 7), "web"));
        assert_false(inventory_is_of(find(&i, 7), "we") || inventory_is_of(find(&i, 9), ""));
        assert_null(find(&i, 2));
}

static void a_file_with_nothing_in_it_has_no_hosts(void **state) {
        static const char *const empty[] = { "", "\n", "\n\n  \n" };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(empty); k++) {
                _cleanup_(inventory_done) struct inventory i = parse(empty[k]);
                assert_true(i.n == 0 && i.n_bad == 0);
                assert_null(find(&i, 1));
        }
}

static void the_highest_serial_counts_wherever_it_stands(void **state) {
        static const int64_t orders[][3] = { { 1, 2, 3 }, { 3, 2, 1 }, { 2, 3, 1 } };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(orders); k++) {
                _cleanup_free_ char *text = NULL;
                for (size_t j = 0; j < 3; j++)
                        put(&text, 1, "web-1", orders[k][j] == 3 ? "new" : "old", orders[k][j]);
                _cleanup_(inventory_done) struct inventory i = parse(text);
                assert_int_equal(i.n, 1);
                assert_int_equal(i.v[0].n, 3);
                assert_true(inventory_is_of(&i.v[0], "new") && !inventory_is_of(&i.v[0], "old"));
                assert_int_equal(i.n_bad, 0);
        }
}

static void of_two_that_contradict_each_other_the_second_is_bad(void **state) {
        _cleanup_free_ char *text = NULL;

        (void) state;
        put(&text, 1, "web-1", "web", 5);
        put(&text, 1, "web-1", "web", 5);
        put(&text, 1, "web-1", "db", 5);
        put(&text, 1, "web-2", "web", 5);
        put(&text, 1, "web-1", "db", 4);
        _cleanup_(inventory_done) struct inventory i = parse(text);
        assert_int_equal(i.n, 1);
        assert_true(inventory_is_of(&i.v[0], "web"));
        assert_int_equal(i.n_bad, 2);
        assert_int_equal(i.bad[0].line, 3);
        assert_int_equal(i.bad[1].line, 4);
        assert_int_equal(i.bad[0].reason, REASON_ATTRIBUTES_STALE);
}

/* A host that took one answers that the other is stale, whatever they say. */
static void two_that_are_not_the_same_bytes_contradict_each_other(void **state) {
        struct attributes a = host(1, "web-1", "web", 5);
        _cleanup_free_ char *text = NULL;

        (void) state;
        put_by(&text, &a, BY(BOT), "\n");
        a.iat_ms++;
        put_by(&text, &a, BY(BOT), "\n");
        _cleanup_(inventory_done) struct inventory i = parse(text);
        assert_int_equal(i.n, 1);
        assert_int_equal(i.n_bad, 1);
        assert_int_equal(i.bad[0].line, 2);
}

static void each_host_knows_its_line_and_what_was_signed(void **state) {
        const struct attributes a = host(1, "web-1", "web", 5), b = host(2, "web-2", "web", 1);
        _cleanup_free_ char *text = NULL, *line = line_by(&a, BY(BOT)), *json = NULL;
        uint8_t digest[32];

        (void) state;
        put_by(&text, &b, BY(BOT), "\n\n  ");
        put_by(&text, &a, BY(BOT), "\n");
        put(&text, 1, "web-1", "old", 4);
        _cleanup_(inventory_done) struct inventory i = parse(text);
        const struct inventory_host *h = find(&i, 1);
        assert_int_equal(h->size, strlen(line));
        assert_memory_equal(text + h->from, line, h->size);
        assert_int_equal(attributes_to_json(&a, &json), 0);
        (void) crypto_hash_sha256(digest, (const uint8_t *) json, strlen(json));
        assert_memory_equal(h->digest, digest, sizeof(digest));
        assert_int_equal(find(&i, 2)->from, 0);
}

/* A host that only somebody else vouches for is no host, and the others stay what they are. */
static void a_bad_line_is_named_and_takes_no_other_with_it(void **state) {
        _cleanup_free_ char *text = NULL, *more = NULL, *cut = NULL;
        struct attributes a = host(2, "web-2", "web", 1);

        (void) state;
        put(&text, 1, "web-1", "web", 1);
        put_by(&text, &a, BY(ALICE) | BY(BOB), "\n");
        put_by(&text, &a, BY(STRANGER), "\n");
        put_by(&text, &a, 0, "\n\n");
        strcpy(a.fleet, "test");
        put_by(&text, &a, BY(BOT), "\n");
        assert_true(asprintf(&more, "%sweb-3 ssh-ed25519 AAAA\n", text) > 0);
        put(&more, 3, "web-3", "web", 1);
        /* a file that was cut off in its last line */
        put(&more, 4, "web-4", "web", 1);
        cut = strndup(more, strlen(more) - 30);
        _cleanup_(inventory_done) struct inventory i = parse(cut);
        static const struct inventory_bad expected[] = { { 2, REASON_ROLE },      { 3, REASON_UNTRUSTED },
                                                         { 4, REASON_UNTRUSTED }, { 6, REASON_FLEET },
                                                         { 7, REASON_MALFORMED }, { 9, REASON_MALFORMED } };
        assert_int_equal(i.n_bad, ELEMENTSOF(expected));
        for (size_t k = 0; k < ELEMENTSOF(expected); k++) {
                assert_int_equal(i.bad[k].line, expected[k].line);
                assert_int_equal(i.bad[k].reason, expected[k].reason);
        }
        assert_int_equal(i.n, 2);
        assert_non_null(find(&i, 1));
        assert_non_null(find(&i, 3));
}

static void a_line_that_was_changed_is_no_line(void **state) {
        const struct attributes a = host(1, "web-1", "web", 1);
        _cleanup_free_ char *line = line_by(&a, BY(BOT));
        char *payload = strstr(line, "\"payload\":\"") + strlen("\"payload\":\"");

        (void) state;
        payload[40] = payload[40] == 'A' ? 'B' : 'A';
        _cleanup_(inventory_done) struct inventory i = parse(line);
        assert_int_equal(i.n, 0);
        assert_int_equal(i.n_bad, 1);
        assert_int_equal(i.bad[0].reason, REASON_SIGNATURE);
}

static void without_a_registrar_nobody_is_a_host(void **state) {
        _cleanup_free_ char *text = NULL;
        struct trust other;
        struct inventory i;

        (void) state;
        fleet_trust(TRUST_HERALD_ROLE, &other);
        put(&text, 1, "web-1", "web", 1);
        assert_int_equal(inventory_parse(&other, text, strlen(text), &i), 0);
        assert_int_equal(i.n, 0);
        assert_int_equal(i.bad[0].reason, REASON_ROLE);
        inventory_done(&i);
}

static int expect(const struct inventory *i, const char *to, uint32_t max_hosts, struct expected *e) {
        struct why w;

        *e = EXPECTED_NULL;
        return inventory_expect(i, to, max_hosts, e, &w);
}

static void who_is_meant_is_who_is_expected(void **state) {
        _cleanup_free_ char *text = NULL;
        char by_id[8 + SSHKEY_ID_SIZE] = "host=";
        struct expected e;

        (void) state;
        put(&text, 1, "web-1", "web", 1);
        put(&text, 2, "web-2", "web", 1);
        put(&text, 3, "db-1", "db", 1);
        put(&text, 4, "twin", "db", 1);
        put(&text, 5, "twin", "db", 1);
        _cleanup_(inventory_done) struct inventory i = parse(text);

        assert_int_equal(expect(&i, "group=web", 0, &e), 0);
        assert_int_equal(e.n, 2);
        assert_int_equal(e.to.to, COMMAND_TO_GROUP);
        assert_string_equal(e.to.group, "web");
        assert_int_equal(e.to.max_hosts, 2);
        assert_false(e.to.part.is_set);
        expected_done(&e);

        assert_int_equal(expect(&i, "all", 9, &e), 0);
        assert_int_equal(e.n, 5);
        assert_int_equal(e.to.to, COMMAND_TO_ALL);
        assert_int_equal(e.to.max_hosts, 9);
        expected_done(&e);

        assert_int_equal(expect(&i, "host=db-1", 1, &e), 0);
        assert_int_equal(e.n, 1);
        assert_int_equal(e.to.n_hosts, 1);
        assert_memory_equal(e.to.hosts[0], find(&i, 3)->host.key.id, 32);
        expected_done(&e);

        sshkey_id_to_str(find(&i, 4)->host.key.id, by_id + strlen(by_id));
        assert_int_equal(expect(&i, by_id, 0, &e), 0);
        assert_ptr_equal(e.v[0], find(&i, 4));
        expected_done(&e);
}

static void nobody_too_many_and_in_doubt_are_not_who_is_meant(void **state) {
        static const struct {
                const char *to;
                uint32_t max_hosts;
                int code;
        } rows[] = {
                { "group=web", 1, CTL_REFUSED },
                { "all", 2, CTL_REFUSED },
                { "group=cache", 0, CTL_USAGE },
                { "group=", 0, CTL_USAGE },
                { "group=Web", 0, CTL_USAGE },
                { "group=we", 0, CTL_USAGE },
                { "host=web-3", 0, CTL_USAGE },
                { "host=", 0, CTL_USAGE },
                { "host=twin", 0, CTL_USAGE },
                { "host=SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 0, CTL_USAGE },
                { "web", 0, CTL_USAGE },
                { "local", 0, CTL_USAGE },
                { "all ", 0, CTL_USAGE },
                { "", 0, CTL_USAGE },
        };
        _cleanup_free_ char *text = NULL;
        struct expected e;

        (void) state;
        put(&text, 1, "web-1", "web", 1);
        put(&text, 2, "twin", "web", 1);
        put(&text, 3, "twin", "db", 1);
        _cleanup_(inventory_done) struct inventory i = parse(text), empty = parse("");
        for (size_t k = 0; k < ELEMENTSOF(rows); k++) {
                assert_int_equal(expect(&i, rows[k].to, rows[k].max_hosts, &e), rows[k].code);
                assert_null(e.v);
        }
        assert_int_equal(expect(&empty, "all", 0, &e), CTL_USAGE);
}

static void write_text(const char *path, const char *text, mode_t mode) {
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        assert_int_equal(fputs(text, f) < 0, 0);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(chmod(path, mode), 0);
}

static void the_file_has_to_be_there_and_to_be_the_operators(void **state) {
        struct inventory i = INVENTORY_NULL;
        _cleanup_free_ char *text = NULL;
        char dir[] = "/tmp/inventory.XXXXXX", path[64], own[64];
        struct why w;

        (void) state;
        assert_non_null(mkdtemp(dir));
        (void) snprintf(path, sizeof(path), "%s/hosts.jsonl", dir);
        (void) snprintf(own, sizeof(own), "%s/freezed", dir);
        assert_int_equal(inventory_load(path, &trust, &i, &w), CTL_MACHINE);
        assert_non_null(strstr(w.text, "is not there"));

        put(&text, 1, "web-1", "web", 1);
        write_text(path, text, 0666);
        assert_int_equal(inventory_load(path, &trust, &i, &w), CTL_MACHINE);
        assert_non_null(strstr(w.text, "everybody may write"));
        write_text(path, text, 0644);
        assert_int_equal(inventory_load(path, &trust, &i, &w), 0);
        assert_int_equal(i.n, 1);
        inventory_done(&i);

        /* without a name it is the operator's own */
        assert_int_equal(mkdir(own, 0700), 0);
        (void) snprintf(own, sizeof(own), "%s/freezed/" INVENTORY_FILE_NAME, dir);
        put(&text, 2, "web-2", "web", 1);
        write_text(own, text, 0644);
        assert_int_equal(setenv("XDG_CONFIG_HOME", dir, 1), 0);
        assert_int_equal(inventory_load(NULL, &trust, &i, &w), 0);
        assert_int_equal(i.n, 2);
        inventory_done(&i);

        assert_int_equal(unlink(own), 0);
        assert_int_equal(unlink(path), 0);
        *strrchr(own, '/') = '\0';
        assert_int_equal(rmdir(own), 0);
        assert_int_equal(rmdir(dir), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_line_is_a_host),
                cmocka_unit_test(a_file_with_nothing_in_it_has_no_hosts),
                cmocka_unit_test(the_highest_serial_counts_wherever_it_stands),
                cmocka_unit_test(of_two_that_contradict_each_other_the_second_is_bad),
                cmocka_unit_test(two_that_are_not_the_same_bytes_contradict_each_other),
                cmocka_unit_test(each_host_knows_its_line_and_what_was_signed),
                cmocka_unit_test(a_bad_line_is_named_and_takes_no_other_with_it),
                cmocka_unit_test(a_line_that_was_changed_is_no_line),
                cmocka_unit_test(without_a_registrar_nobody_is_a_host),
                cmocka_unit_test(who_is_meant_is_who_is_expected),
                cmocka_unit_test(nobody_too_many_and_in_doubt_are_not_who_is_meant),
                cmocka_unit_test(the_file_has_to_be_there_and_to_be_the_operators),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}
