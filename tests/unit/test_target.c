/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/target.h"

#define ID "00112233445566778899aabbccddeeff"

static const struct {
        const char *in, *out;
} accepted[] = {
        { "unit:nginx.service", NULL },
        { "nginx.service", "unit:nginx.service" },
        { "unit:run-u12.scope", NULL },
        { "session-3.scope", "unit:session-3.scope" },
        { "cups.socket", "unit:cups.socket" },
        { "unit:srv-data.mount", NULL },
        { "unit:dev-sda2.swap", NULL },
        { "unit:getty@tty1.service", NULL },
        { "unit:a@b@c.service", NULL },
        { "unit:user@1000.service", NULL },
        { "unit:systemd-cryptsetup@luks\\x2d1.service", NULL },
        { "unit:dbus-:1.2-org.example@0.service", NULL },
        { "unit:unit:x.service", NULL },
        { "unit:..service", NULL },
        { "slice:app.slice", NULL },
        { "app.slice", "slice:app.slice" },
        { "slice:-.slice", NULL },
        { "slice:user-1000.slice", NULL },
        { "cgroup:/a", NULL },
        { "cgroup:/a/b.c/d@1", NULL },
        { "cgroup:/.../..a/a../.b", NULL },
        { "cgroup:/gr\xc3\xbc\xc3\x9f"
          "e",
          NULL },
        { "cgroup:/with space", NULL },
        { "cgroup:/a:b", NULL },
        { "container:0123456789ab", NULL },
        { "container:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", NULL },
        { "container:web_1.prod+a-b", NULL },
        { "container:x.service", NULL },
        { "user:alice", NULL },
        { "user:_apt", NULL },
        { "user:systemd-network", NULL },
        { "user:a.b", NULL },
        { "user:machine$", NULL },
        { "user:0", NULL },
        { "user:1000", NULL },
        { "user:4294967294", NULL },
        { "pid:1", NULL },
        { "pid:4194304", NULL },
        { "host", NULL },
        { "hold:" ID, NULL },
};

static const char *const refused[] = {
        /* no class, an unknown one, or one of other letters */
        "",
        ":",
        "unit",
        "unit:",
        "slice:",
        "cgroup:",
        "hold:",
        "Unit:nginx.service",
        "unit :nginx.service",
        "pod:abc",
        "HOST",
        "hosts",
        "host ",
        "host:",
        "host:web1",
        "nginx",
        "/a/b",
        ID,
        /* a class of the future is not a unit's name */
        "pod:x.service",
        "vm:1000.slice",
        "averylongclassname:x.service",
        ":x.service",
        /* one name, one class */
        "unit:app.slice",
        "slice:nginx.service",
        "unit:/a",
        "cgroup:nginx.service",
        "hold:nginx.service",
        "unit:" ID,
        /* not a concrete unit with processes */
        "unit:getty@.service",
        "unit:@.service",
        "unit:@a.service",
        "unit:a.timer",
        "unit:a.target",
        "unit:a.path",
        "unit:a.device",
        "unit:a.automount",
        "unit:a",
        "unit:a.",
        "unit:.service",
        "unit:a.Service",
        "unit:a.service.",
        "unit:a.services",
        /* characters */
        "unit:a b.service",
        "unit:a/b.service",
        "unit:../a.service",
        "unit:a*.service",
        "unit:a?.service",
        "unit:a[b].service",
        "unit:a\n.service",
        "unit:a.service\n",
        "unit:a\t.service",
        "unit:\xc3\xa4.service",
        "unit:a%i.service",
        "unit:a\x7f.service",
        "unit:a;b.service",
        "unit:$a.service",
        "unit:'a'.service",
        /* slices */
        "slice:.slice",
        "slice:-a.slice",
        "slice:a-.slice",
        "slice:a--b.slice",
        "slice:--.slice",
        "slice:a@b.slice",
        "slice:/.slice",
        /* paths */
        "cgroup:/",
        "cgroup://",
        "cgroup:a",
        "cgroup:a/b",
        "cgroup:./a",
        "cgroup:../a",
        "cgroup:/a/",
        "cgroup://a",
        "cgroup:/a//b",
        "cgroup:/.",
        "cgroup:/..",
        "cgroup:/./a",
        "cgroup:/../a",
        "cgroup:/a/.",
        "cgroup:/a/..",
        "cgroup:/a/../b",
        "cgroup:/a/./b",
        "cgroup:/a/../../b",
        "cgroup:/a\nb",
        "cgroup:/a\x1b[2J",
        "cgroup:/a\x7f",
        "cgroup:/a\xc2\x9b",
        "cgroup:/a\xff",
        "cgroup:/a\xc0\xae\xc0\xae/b",
        "cgroup:/a\xed\xa0\x80",
        /* containers */
        "container:",
        "container:.",
        "container:..",
        "container:.a",
        "container:-a",
        "container:_a",
        "container:a/b",
        "container:/docker/abc",
        "container:a b",
        "container:a*",
        "container:a:b",
        "container:a\n",
        "container:\xc3\xa4",
        /* users */
        "user:",
        "user:01000",
        "user:+1",
        "user:-1",
        "user:-alice",
        "user:.alice",
        "user:1000a",
        "user:4294967295",
        "user:4294967296",
        "user:99999999999999999999",
        "user:al ice",
        "user:a/b",
        "user:a:b",
        "user:a$b",
        "user:$",
        "user:1000.slice",
        "user:*",
        /* processes */
        "pid:",
        "pid:0",
        "pid:01",
        "pid:-1",
        "pid:+1",
        "pid:0x10",
        "pid:1.0",
        "pid:4194305",
        "pid:18446744073709551617",
        "pid:1 ",
        "pid:self",
        /* ids */
        "hold:0011",
        "hold:00112233445566778899AABBCCDDEEFF",
        "hold:" ID "0",
        "hold:" ID " ",
        "hold: " ID,
        "hold:0011223344556677-899aabbccddeeff",
        "hold:0x112233445566778899aabbccddeeff",
        "hold:00112233445566778899aabbccddeefg",
};

static void target_accepts_each_form_and_writes_it_with_its_class(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(accepted); i++) {
                struct target t, again;
                char s[TARGET_STR_SIZE];

                memset(&t, 0xaa, sizeof(t));
                memset(&again, 0x55, sizeof(again));
                if (target_from_str(accepted[i].in, &t) < 0)
                        fail_msg("refused: %s", accepted[i].in);
                target_to_str(&t, s, sizeof(s));
                assert_string_equal(s, accepted[i].out ? accepted[i].out : accepted[i].in);

                assert_int_equal(target_from_str(s, &again), 0);
                assert_memory_equal(&again, &t, sizeof(t));
        }
}

static void target_refuses_everything_else_and_touches_nothing(void **state) {
        struct target before, t;

        (void) state;
        memset(&before, 0xaa, sizeof(before));
        t = before;
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                if (target_from_str(refused[i], &t) != -EINVAL)
                        fail_msg("accepted: %s", refused[i]);
                assert_memory_equal(&t, &before, sizeof(t));
        }
}

/* prefix, then as many of the letter as make the name n bytes long, then suffix */
static int long_target(const char *class, const char *prefix, const char *suffix, size_t n, struct target *ret) {
        char s[2 * TARGET_NAME_MAX];
        size_t fill = n - strlen(prefix) - strlen(suffix);

        (void) snprintf(s, sizeof(s), "%s:%s", class, prefix);
        memset(s + strlen(s), 'x', fill + 1);
        (void) snprintf(s + strlen(class) + 1 + strlen(prefix) + fill, 64, "%s", suffix);
        return target_from_str(s, ret);
}

static void target_names_end_at_their_limit(void **state) {
        static const struct {
                const char *cls, *prefix, *suffix;
        } rows[] = {
                { "unit", "", ".service" }, { "slice", "", ".slice" }, { "cgroup", "/a/", "" },
                { "container", "a", "" },   { "user", "a", "" },
        };
        char s[TARGET_STR_SIZE];
        struct target t;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(long_target(rows[i].cls, rows[i].prefix, rows[i].suffix, TARGET_NAME_MAX, &t), 0);
                assert_int_equal(strlen(t.name), TARGET_NAME_MAX);
                target_to_str(&t, s, sizeof(s));
                assert_int_equal(strlen(s), strlen(rows[i].cls) + 1 + TARGET_NAME_MAX);
                assert_int_equal(long_target(rows[i].cls, rows[i].prefix, rows[i].suffix, TARGET_NAME_MAX + 1, &t),
                                 -EINVAL);
        }
}

static void target_tells_a_uid_from_a_name(void **state) {
        uint32_t uid = 7;
        struct target t;

        (void) state;
        assert_int_equal(target_from_str("user:1000", &t), 0);
        assert_true(target_uid(&t, &uid));
        assert_int_equal(uid, 1000);
        assert_int_equal(target_from_str("user:alice", &t), 0);
        assert_false(target_uid(&t, &uid));
        assert_int_equal(target_from_str("pid:1", &t), 0);
        assert_false(target_uid(&t, &uid));
        assert_int_equal(uid, 1000);
}

static void every_class_has_an_example_that_parses_as_one_of_it(void **state) {
        struct target t;

        (void) state;
        for (size_t i = 0; i < _TARGET_MAX; i++) {
                assert_int_equal(target_from_str(target_class_example((enum target_class) i), &t), 0);
                assert_int_equal(t.cls, i);
        }
}

static void target_str_size_holds_the_longest_class(void **state) {
        (void) state;
        for (size_t i = 0; i < _TARGET_MAX; i++)
                assert_true(strlen(target_class_id((enum target_class) i)) + 1 + TARGET_NAME_MAX + 1 <=
                            TARGET_STR_SIZE);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(target_accepts_each_form_and_writes_it_with_its_class),
                cmocka_unit_test(target_refuses_everything_else_and_touches_nothing),
                cmocka_unit_test(target_names_end_at_their_limit),
                cmocka_unit_test(target_tells_a_uid_from_a_name),
                cmocka_unit_test(every_class_has_an_example_that_parses_as_one_of_it),
                cmocka_unit_test(target_str_size_holds_the_longest_class),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
