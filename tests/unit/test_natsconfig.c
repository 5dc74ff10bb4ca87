/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/natsconfig.c ctl/inventory.c ctl/parallel.c ctl/file.c ctl/text.c ctl/why.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/natsconfig.h"
#include "lib/scratch.h"

static struct inventory_host fleet[3];
static struct inventory inventory = { .v = fleet, .n = 3 };
static char groups[] = "a.b\0web";
static char nkeys[5][NKEY_PUBLIC_SIZE], ids[3][SSHKEY_ID_SIZE];

static int begin(void **state) {
        static const char *const names[] = { "web-1", "web-2", "twin" };

        (void) state;
        for (uint8_t i = 0; i < 5; i++) {
                char seed[NKEY_SEED_LENGTH + 1];
                struct nkey key;
                nkey_seed((const uint8_t[32]) { i }, seed);
                assert_int_equal(nkey_from_seed(seed, strlen(seed), &key), 0);
                memcpy(nkeys[i], key.pub, sizeof(nkeys[i]));
        }
        for (uint8_t i = 0; i < 3; i++) {
                memset(fleet[i].host.key.id, i + 1, 32);
                sshkey_id_to_str(fleet[i].host.key.id, ids[i]);
                strcpy(fleet[i].host.name, names[i]);
        }
        fleet[0].groups = groups;
        fleet[0].n_groups = 2;
        fleet[1].groups = fleet[2].groups = groups;
        return 0;
}

/* The list, in which %0 to %4 are nkeys and @0 to @2 fingerprints. */
static int parse(const char *text, struct natsconfig *ret, struct why *w) {
        _cleanup_free_ char *list = NULL;
        size_t n;
        FILE *f = open_memstream(&list, &n);

        for (const char *p = text; *p; p++)
                if (*p == '%')
                        (void) fputs(nkeys[*++p - '0'], f);
                else if (*p == '@')
                        (void) fputs(ids[*++p - '0'], f);
                else
                        (void) fputc(*p, f);
        (void) fclose(f);
        return natsconfig_parse("nkeys", list, n, &inventory, ret, w);
}

static void who_is_there_is_found_by_name_and_by_fingerprint(void **state) {
        _cleanup_(natsconfig_done) struct natsconfig c = NATSCONFIG_NULL;
        struct why w;

        (void) state;
        assert_int_equal(
                parse("# all\n\nweb-1 %0 # one\n\t@1  %1\r\noperator=alice %2\nherald=h.1 %3\nautomation=bot %4", &c,
                      &w),
                0);
        assert_int_equal(c.n, 5);
        assert_true(natsconfig_has(&c, &fleet[0]) && natsconfig_has(&c, &fleet[1]));
        assert_false(natsconfig_has(&c, &fleet[2]));
        assert_string_equal(c.v[1].name, "web-2");
        assert_string_equal(c.v[2].name, "alice");
        assert_int_equal(c.v[2].role, NATSCONFIG_OPERATOR);
        assert_int_equal(c.v[3].role, NATSCONFIG_HERALD);
        assert_int_equal(c.v[4].role, NATSCONFIG_AUTOMATION);
}

static void what_could_mean_two_things_means_none(void **state) {
        static const struct {
                const char *text, *says;
        } cases[] = {
                { "web-1\n", "line 1: not NAME NKEY" },
                { "web-1 %0 more\n", "not NAME NKEY" },
                { "\nweb-1 %0x\n", "line 2" },
                { "web-1 SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4\n", "\"S...\"" },
                { "web-9 %0\n", "no host \"web-9\"" },
                { "web-1 %0\nweb-2 %0\n", "lines 1 and 2 have the same nkey" },
                { "web-1 %0\n@0 %1\n", "lines 1 and 2 are both for web-1" },
                { "operator=No Name %0\n", "not NAME NKEY" },
                { "operator=\"} %0\n", "is no name" },
                { "operator= %0\n", "is no name" },
        };
        struct natsconfig c = NATSCONFIG_NULL;
        struct why w;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(parse(cases[i].text, &c, &w), CTL_USAGE);
                if (!strstr(w.text, cases[i].says))
                        fail_msg("%s: %s", cases[i].text, w.text);
                assert_null(c.v);
        }
        strcpy(fleet[1].host.name, "twin");
        assert_int_equal(parse("twin %0\n", &c, &w), CTL_USAGE);
        strcpy(fleet[1].host.name, "web-2");
        assert_int_equal(natsconfig_parse("nkeys", "a\0b", 3, &inventory, &c, &w), CTL_USAGE);
}

static void what_is_written_nats_server_reads(void **state) {
        _cleanup_(natsconfig_done) struct natsconfig c = NATSCONFIG_NULL;
        struct scratch dir;
        char command[512], *text = NULL;
        struct why w;
        size_t n;

        (void) state;
        assert_int_equal(parse("web-1 %0\n@1 %1\noperator=alice %2\nherald=h %3\nautomation=bot %4\n", &c, &w), 0);
        scratch_make(&dir);
        FILE *f = fopen(scratch_path(&dir, "conf"), "we"), *m = open_memstream(&text, &n);
        assert_int_equal(natsconfig_write(&c, "my.fleet", f), 0);
        assert_int_equal(natsconfig_write(&c, "my.fleet", m), 0);
        assert_int_equal(natsconfig_write(&c, "No fleet", m), -EINVAL);
        assert_int_equal(fclose(f) | fclose(m), 0);
        (void) snprintf(command, sizeof(command), "exec nats-server -t -c %s >/dev/null 2>&1",
                        scratch_path(&dir, "conf"));
        assert_int_equal(system(command), 0);
        assert_non_null(strstr(text, "\"frz.v1.my~fleet.cmd.group.a~b.*\""));
        assert_non_null(strstr(text, "\"$JS.API.DIRECT.GET.FRZ_CMD_my~fleet.frz.v1.my~fleet.cmd.group.web.*\""));
        free(text);
        scratch_remove(&dir);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(who_is_there_is_found_by_name_and_by_fingerprint),
                cmocka_unit_test(what_could_mean_two_things_means_none),
                cmocka_unit_test(what_is_written_nats_server_reads),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, NULL);
}
