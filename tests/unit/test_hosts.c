/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/hosts.c ctl/file.c ctl/text.c ctl/why.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ctl/hosts.h"
#include "tests/lib/scratch.h"

static struct sshkey key_of(uint8_t n) {
        uint8_t raw[32] = { n };
        struct sshkey k;

        sshkey_from_raw(raw, &k);
        return k;
}

static const char *line_of(uint8_t n) {
        static char lines[4][SSHKEY_LINE_SIZE];
        static unsigned i;
        struct sshkey k = key_of(n);
        char *line = lines[i++ % ELEMENTSOF(lines)];

        sshkey_to_line(&k, line);
        return line;
}

static int parse(const char *text, struct hosts *h, struct why *w) {
        *h = HOSTS_NULL;
        return hosts_parse("file", text, h, w);
}

static void lines_are_names_and_keys(void **state) {
        char text[1024];
        struct hosts h;
        struct why w;

        (void) state;
        (void) snprintf(text, sizeof(text), "# the machines\n\n  web1 %s\nweb-2.prod\t%s  a comment\n\t# end\nweb1 %s",
                        line_of(1), line_of(2), line_of(1));
        assert_int_equal(parse(text, &h, &w), 0);
        assert_int_equal(h.n, 2);
        struct sshkey k = key_of(2);
        assert_string_equal(hosts_by_id(&h, k.id)->name, "web-2.prod");
        assert_memory_equal(hosts_by_name(&h, "web1")->key.pub, key_of(1).pub, 32);
        assert_null(hosts_by_name(&h, "web"));
        hosts_done(&h);
}

static void a_bad_line_is_named_and_nothing_is_guessed(void **state) {
        static const char *const bad[] = {
                "web1",
                "web1 ssh-rsa AAAA",
                "we!b1 %s",
                "web1%s",
                "web1 %sAAAA",
                "web1 %.60s",
                "\033[m %s",
                "a/b %s",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa %s",
        };
        char text[1024];
        struct hosts h;
        struct why w;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                size_t n = (size_t) snprintf(text, sizeof(text), "ok %s\n", line_of(1));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
                (void) snprintf(text + n, sizeof(text) - n, bad[i], line_of(2));
#pragma GCC diagnostic pop
                assert_int_equal(parse(text, &h, &w), CTL_MACHINE);
                assert_non_null(strstr(w.text, "file:2"));
                hosts_done(&h);
        }
}

static void a_name_has_one_key_and_a_key_one_name(void **state) {
        char text[1024];
        struct hosts h;
        struct why w;

        (void) state;
        (void) snprintf(text, sizeof(text), "web1 %s\nweb1 %s\n", line_of(1), line_of(2));
        assert_int_equal(parse(text, &h, &w), CTL_MACHINE);
        hosts_done(&h);
        (void) snprintf(text, sizeof(text), "web1 %s\nweb2 %s\n", line_of(1), line_of(1));
        assert_int_equal(parse(text, &h, &w), CTL_MACHINE);
        hosts_done(&h);
}

static void many_hosts_are_kept_apart(void **state) {
        struct hosts h = HOSTS_NULL;
        struct why w;

        (void) state;
        for (unsigned i = 0; i < 200; i++) {
                char text[256];
                (void) snprintf(text, sizeof(text), "h%u %s\n", i, line_of((uint8_t) i));
                assert_int_equal(hosts_parse("file", text, &h, &w), 0);
        }
        assert_int_equal(h.n, 200);
        struct sshkey k = key_of(177);
        assert_string_equal(hosts_by_id(&h, k.id)->name, "h177");
        hosts_done(&h);
}

static void local_is_the_one_known_host_or_has_to_be_asked(void **state) {
        const struct host *host = (const struct host *) 1;
        char text[1024], to[128] = "host=";
        struct hosts h = HOSTS_NULL;
        struct sshkey k = key_of(2);
        struct why w;

        (void) state;
        assert_int_equal(hosts_resolve(&h, NULL, &host, &w), CTL_MACHINE);
        (void) snprintf(text, sizeof(text), "web1 %s\n", line_of(1));
        assert_int_equal(parse(text, &h, &w), 0);
        assert_int_equal(hosts_resolve(&h, "local", &host, &w), 0);
        assert_string_equal(host->name, "web1");
        (void) snprintf(text, sizeof(text), "web2 %s\n", line_of(2));
        assert_int_equal(hosts_parse("file", text, &h, &w), 0);
        assert_int_equal(hosts_resolve(&h, NULL, &host, &w), 0);
        assert_null(host);
        assert_int_equal(hosts_resolve(&h, "host=web2", &host, &w), 0);
        assert_string_equal(host->name, "web2");
        sshkey_id_to_str(k.id, to + strlen(to));
        assert_int_equal(hosts_resolve(&h, to, &host, &w), 0);
        assert_string_equal(host->name, "web2");
        k = key_of(3);
        sshkey_id_to_str(k.id, to + strlen("host="));
        assert_int_equal(hosts_resolve(&h, to, &host, &w), CTL_USAGE);
        assert_int_equal(hosts_resolve(&h, "host=web3", &host, &w), CTL_USAGE);
        assert_int_equal(hosts_resolve(&h, "all", &host, &w), CTL_USAGE);
        assert_int_equal(hosts_resolve(&h, "group=web", &host, &w), CTL_USAGE);
        hosts_done(&h);
}

static void adding_makes_the_file_and_never_replaces_a_key(void **state) {
        _cleanup_scratch_ struct scratch s;
        struct sshkey one = key_of(1), two = key_of(2);
        struct options o = OPTIONS_NULL;
        struct hosts h = HOSTS_NULL;
        struct why w;

        (void) state;
        scratch_make(&s);
        const char *file = scratch_path(&s, "a/b/hosts");
        o.hosts_file = file;
        assert_int_equal(hosts_add(file, "web1", &one, &w), 0);
        assert_int_equal(hosts_add(file, "web1", &one, &w), 0); /* again */
        assert_int_equal(hosts_add(file, "web2", &two, &w), 0);
        assert_int_equal(hosts_add(file, "web1", &two, &w), CTL_REFUSED);
        assert_int_equal(hosts_add(file, "web3", &one, &w), CTL_REFUSED);
        assert_int_equal(hosts_add(file, "no name", &one, &w), CTL_USAGE);
        assert_int_equal(hosts_load(&o, &h, &w), 0);
        assert_int_equal(h.n, 2);
        hosts_done(&h);
}

static void adding_ends_a_line_that_was_left_open(void **state) {
        _cleanup_scratch_ struct scratch s;
        struct sshkey two = key_of(2);
        struct options o = OPTIONS_NULL;
        struct hosts h = HOSTS_NULL;
        struct why w;
        char text[256];

        (void) state;
        scratch_make(&s);
        o.hosts_file = scratch_path(&s, "hosts");
        (void) snprintf(text, sizeof(text), "web1 %s", line_of(1));
        scratch_write(o.hosts_file, text, strlen(text));
        assert_int_equal(hosts_add(o.hosts_file, "web2", &two, &w), 0);
        assert_int_equal(hosts_load(&o, &h, &w), 0);
        assert_int_equal(h.n, 2);
        hosts_done(&h);
}

static void a_file_that_everybody_may_write_is_not_believed(void **state) {
        _cleanup_scratch_ struct scratch s;
        struct options o = OPTIONS_NULL;
        struct hosts h = HOSTS_NULL;
        struct why w;
        char text[256];

        (void) state;
        scratch_make(&s);
        o.hosts_file = scratch_path(&s, "hosts");
        (void) snprintf(text, sizeof(text), "web1 %s\n", line_of(1));
        scratch_write(o.hosts_file, text, strlen(text));
        assert_int_equal(chmod(o.hosts_file, 0646), 0);
        assert_int_equal(hosts_load(&o, &h, &w), CTL_MACHINE);
        assert_int_equal(chmod(o.hosts_file, 0644), 0);
        assert_int_equal(hosts_load(&o, &h, &w), 0);
        hosts_done(&h);
        /* a byte that ends the text early would hide the lines behind it */
        scratch_write(o.hosts_file, text, strlen(text) + 1);
        assert_int_equal(hosts_load(&o, &h, &w), CTL_MACHINE);
        hosts_done(&h);
}

static void the_operators_file_comes_before_the_machines(void **state) {
        _cleanup_scratch_ struct scratch s;
        struct sshkey one = key_of(1);
        struct options o = OPTIONS_NULL;
        struct hosts h = HOSTS_NULL;
        struct why w;

        (void) state;
        scratch_make(&s);
        assert_int_equal(setenv("HOME", s.path, 1), 0);
        assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
        assert_int_equal(hosts_add(scratch_path(&s, ".config/freezed/hosts"), "home", &one, &w), 0);
        assert_int_equal(hosts_load(&o, &h, &w), 0);
        assert_non_null(hosts_by_name(&h, "home"));
        hosts_done(&h);
        assert_int_equal(setenv("XDG_CONFIG_HOME", scratch_path(&s, "xdg"), 1), 0);
        assert_int_equal(hosts_add(scratch_path(&s, "xdg/freezed/hosts"), "xdg", &one, &w), 0);
        assert_int_equal(hosts_load(&o, &h, &w), 0);
        assert_non_null(hosts_by_name(&h, "xdg"));
        assert_null(hosts_by_name(&h, "home"));
        hosts_done(&h);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_names_and_keys),
                cmocka_unit_test(a_bad_line_is_named_and_nothing_is_guessed),
                cmocka_unit_test(a_name_has_one_key_and_a_key_one_name),
                cmocka_unit_test(many_hosts_are_kept_apart),
                cmocka_unit_test(local_is_the_one_known_host_or_has_to_be_asked),
                cmocka_unit_test(adding_makes_the_file_and_never_replaces_a_key),
                cmocka_unit_test(adding_ends_a_line_that_was_left_open),
                cmocka_unit_test(a_file_that_everybody_may_write_is_not_believed),
                cmocka_unit_test(the_operators_file_comes_before_the_machines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
