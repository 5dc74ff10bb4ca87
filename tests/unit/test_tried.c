/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/tried.c */

/* The table of what a hold's processes tried: what is the same is counted, what is hostile is escaped, what is too much
 * is counted and not kept, and the ledger gives back what it was given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "agent/core/tried.h"

static struct tried table;

static int begin(void **state) {
        (void) state;
        table = (struct tried) { 0 };
        return 0;
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

static struct isolate_attempt attempt(uint8_t hook, const char *ip, uint16_t port, const char *comm) {
        struct isolate_attempt a = {
                .hook = hook, .port = port, .proto = IPPROTO_TCP, .family = AF_INET, .times = 1, .tgid = 7
        };

        if (ip && strchr(ip, ':')) {
                assert_int_equal(inet_pton(AF_INET6, ip, a.addr), 1);
        } else if (ip) {
                a.addr[2] = htonl(0xffff);
                assert_int_equal(inet_pton(AF_INET, ip, &a.addr[3]), 1);
        }
        memcpy(a.comm, comm, strnlen(comm, sizeof(a.comm)));
        return a;
}

static void add(struct isolate_attempt a, int64_t ms) {
        assert_true(tried_add(&table, &a, ms));
}

static void what_is_the_same_is_one_line_and_its_times_add_up(void **state) {
        struct isolate_attempt many = attempt(ISOLATE_CONNECT4, "10.0.0.1", 443, "curl");

        (void) state;
        add(many, 1000);
        many.times = 400;
        many.tgid = 8;
        add(many, 3000);
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 444, "curl"), 1000);
        add(attempt(ISOLATE_CONNECT4, "10.0.0.2", 443, "curl"), 1000);
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 443, "wget"), 1000);
        add(attempt(ISOLATE_SENDMSG4, "10.0.0.1", 443, "curl"), 1000);
        assert_int_equal(table.n, 5);
        assert_int_equal(table.v[0].count, 401);
        assert_int_equal(table.v[0].pid, 8);
        assert_int_equal(table.v[0].first_ms, 1000);
        assert_int_equal(table.v[0].last_ms, 3000);
}

static void a_service_under_a_scan_is_one_line_for_each_of_its_ports(void **state) {
        struct isolate_attempt in = attempt(ISOLATE_INGRESS, "10.0.0.1", 1, "");

        (void) state;
        in.local_port = 80;
        for (uint16_t port = 1; port < 1000; port++) {
                in.port = port;
                add(in, port);
        }
        assert_int_equal(table.n, 1);
        assert_int_equal(table.v[0].port, 80);
}

static void what_has_no_room_is_counted(void **state) {
        (void) state;
        for (uint16_t port = 1; port <= 1000; port++)
                add(attempt(ISOLATE_CONNECT4, "10.0.0.1", port, "scan"), port);
        assert_int_equal(table.n, TRIED_MAX);
        assert_int_equal(table.others, 1000 - TRIED_MAX);
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 1, "scan"), 2000);
        assert_int_equal(table.v[0].count, 2);
}

static void what_was_missed_is_counted_whatever_told_of_it(void **state) {
        struct isolate_attempt a = attempt(ISOLATE_CONNECT4, "10.0.0.1", 1, "x");

        (void) state;
        a.missed = 31000;
        add(a, 1);
        add(a, 2);
        assert_int_equal(table.missed, 62000);
}

static void a_hook_that_does_not_exist_is_no_attempt(void **state) {
        const struct isolate_attempt a = attempt(_ISOLATE_HOOK_MAX, "10.0.0.1", 1, "x");

        (void) state;
        assert_false(tried_add(&table, &a, 1));
        assert_int_equal(table.n, 0);
        assert_false(table.changed);
}

static const char *first(const json_t *o, const char *member) {
        return json_string_value(json_object_get(json_array_get(json_object_get(o, "attempts"), 0), member));
}

static void hostile_names_are_escaped_and_stay_different(void **state) {
        static const char *const names[][2] = {
                { "curl", "curl" },
                { "\033[31mroot", "\\x1b[31mroot" },
                { "a\\x1b", "a\\x5cx1b" },
                { "\xff\xfe\x80", "\\xff\\xfe\\x80" },
                { "0123456789abcdef", "0123456789abcdef" }, /* the kernel's own end with a NUL */
                { "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
                  "\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a\\x0a" },
        };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(names); k++) {
                _cleanup_json_ json_t *o = NULL;

                table = (struct tried) { 0 };
                add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 1, names[k][0]), 1);
                o = tried_to_json(&table, false);
                assert_non_null(o);
                assert_string_equal(first(o, "comm"), names[k][1]);
        }
}

static void addresses_and_protocols_are_written_as_people_write_them(void **state) {
        static const struct {
                uint8_t hook;
                const char *ip;
                uint16_t proto;
                const char *address, *name;
        } table_of[] = {
                { ISOLATE_CONNECT4, "10.0.0.1", IPPROTO_TCP, "10.0.0.1", "tcp" },
                { ISOLATE_CONNECT6, "fd00::1", IPPROTO_UDP, "fd00::1", "udp" },
                { ISOLATE_CREATE, NULL, 262, "", "mptcp" },
                { ISOLATE_CREATE, NULL, 33, "", "33" },
                { ISOLATE_EGRESS, "::1", 65535, "::1", "65535" },
        };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(table_of); k++) {
                struct isolate_attempt a = attempt(table_of[k].hook, table_of[k].ip, 0, "x");
                _cleanup_json_ json_t *o = NULL;

                table = (struct tried) { 0 };
                a.proto = table_of[k].proto;
                add(a, 1);
                o = tried_to_json(&table, false);
                assert_string_equal(first(o, "address"), table_of[k].address);
                assert_string_equal(first(o, "proto"), table_of[k].name);
        }
}

static void the_latest_stands_first(void **state) {
        _cleanup_json_ json_t *o = NULL;

        (void) state;
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 1, "old"), 1);
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 1, "new"), 3);
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 1, "mid"), 2);
        o = tried_to_json(&table, false);
        assert_string_equal(first(o, "comm"), "new");
}

static void only_what_changed_is_written_again(void **state) {
        _cleanup_json_ json_t *all = NULL, *changed = NULL, *none = NULL;

        (void) state;
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 1, "a"), 1);
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 2, "a"), 1);
        assert_true(table.changed);
        tried_settle(&table);
        assert_false(table.changed);
        none = tried_to_json(&table, true);
        assert_int_equal(json_array_size(json_object_get(none, "attempts")), 0);
        add(attempt(ISOLATE_CONNECT4, "10.0.0.1", 2, "a"), 2);
        changed = tried_to_json(&table, true);
        assert_int_equal(json_array_size(json_object_get(changed, "attempts")), 1);
        all = tried_to_json(&table, false);
        assert_int_equal(json_array_size(json_object_get(all, "attempts")), 2);
}

static void what_was_written_down_in_parts_comes_back_as_it_was(void **state) {
        _cleanup_json_ json_t *one = NULL, *two = NULL, *before = NULL, *after = NULL;
        struct isolate_attempt odd = attempt(ISOLATE_CREATE, NULL, 0, "\xff\\");
        struct tried back = { 0 };

        (void) state;
        odd.type = SOCK_RAW;
        odd.proto = 300;
        odd.missed = 9;
        add(odd, 1);
        add(attempt(ISOLATE_CONNECT6, "fd00::1", 2, "a"), 2);
        one = tried_to_json(&table, true);
        tried_settle(&table);
        add(attempt(ISOLATE_CONNECT6, "fd00::1", 2, "a"), 3);
        add(attempt(ISOLATE_EGRESS, "10.0.0.9", 2, ""), 4);
        two = tried_to_json(&table, true);
        assert_int_equal(tried_restore(&back, one), 0);
        assert_int_equal(tried_restore(&back, two), 0);
        assert_false(back.changed);
        before = tried_to_json(&table, false);
        after = tried_to_json(&back, false);
        assert_true(json_equal(before, after));
}

static void what_is_no_table_is_refused(void **state) {
        static const char *const bad[] = {
                "{}",
                "{\"attempts\":[{}],\"others\":0,\"missed\":0}",
                "{\"attempts\":[{\"hook\":\"nonsense\",\"proto\":\"tcp\",\"family\":2,\"type\":1,\"address\":\"\","
                "\"port\":1,"
                "\"comm\":\"\",\"pid\":1,\"cgroup_id\":1,\"count\":1,\"first_ms\":1,\"last_ms\":1}],\"others\":0,"
                "\"missed\":0}",
                "{\"attempts\":[{\"hook\":\"egress\",\"proto\":\"tcp\",\"family\":2,\"type\":1,\"address\":\"10\","
                "\"port\":1,"
                "\"comm\":\"\",\"pid\":1,\"cgroup_id\":1,\"count\":1,\"first_ms\":1,\"last_ms\":1}],\"others\":0,"
                "\"missed\":0}",
                "{\"attempts\":[{\"hook\":\"egress\",\"proto\":\"70000\",\"family\":2,\"type\":1,\"address\":\"\","
                "\"port\":1,"
                "\"comm\":\"\",\"pid\":1,\"cgroup_id\":1,\"count\":1,\"first_ms\":1,\"last_ms\":1}],\"others\":0,"
                "\"missed\":0}",
        };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(bad); k++) {
                _cleanup_json_ json_t *o = json_loads(bad[k], 0, NULL);

                assert_non_null(o);
                assert_int_equal(tried_restore(&table, o), -EBADMSG);
                assert_int_equal(table.n, 0);
        }
}

static void each_hold_has_a_table_of_its_own(void **state) {
        const struct command_id a = { { 1 } }, b = { { 2 } };
        struct tried_list l = { 0 };
        struct tried_hold *first_of, *second;

        (void) state;
        assert_null(tried_list_find(&l, &a));
        first_of = tried_list_put(&l, &a);
        second = tried_list_put(&l, &b);
        assert_non_null(first_of);
        assert_ptr_not_equal(first_of, second);
        assert_ptr_equal(tried_list_put(&l, &a), first_of);
        assert_ptr_equal(tried_list_find(&l, &b), second);
        tried_list_remove(&l, 0);
        assert_null(tried_list_find(&l, &a));
        assert_ptr_equal(tried_list_find(&l, &b), second);
        tried_list_done(&l);
        assert_int_equal(l.n, 0);
}

static void it_is_written_down_ever_more_rarely(void **state) {
        static const int64_t minutes[] = { 1, 2, 4, 8, 16, 32, 60, 60 };
        struct tried_hold t = { 0 };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(minutes); k++) {
                tried_hold_written(&t, 5);
                assert_int_equal(t.due_ms, 5 + minutes[k] * 60000);
        }
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(what_is_the_same_is_one_line_and_its_times_add_up),
                CASE(a_service_under_a_scan_is_one_line_for_each_of_its_ports),
                CASE(what_has_no_room_is_counted),
                CASE(what_was_missed_is_counted_whatever_told_of_it),
                CASE(a_hook_that_does_not_exist_is_no_attempt),
                CASE(hostile_names_are_escaped_and_stay_different),
                CASE(addresses_and_protocols_are_written_as_people_write_them),
                CASE(the_latest_stands_first),
                CASE(only_what_changed_is_written_again),
                CASE(what_was_written_down_in_parts_comes_back_as_it_was),
                CASE(what_is_no_table_is_refused),
                CASE(each_hold_has_a_table_of_its_own),
                CASE(it_is_written_down_ever_more_rarely),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
