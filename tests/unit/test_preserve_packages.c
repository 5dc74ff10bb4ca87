/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
#include "lib/evidence_rig.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

/* What stock tools say of the same files. */
#define DPKG "dpkg-query -W -f '${Version}' "

/* The program is there before its libraries are. */
static void exec_sleep(struct rig *r) {
        pid_t pid = rig_exec(r, "/bin/sleep");
        char command[128];

        (void) snprintf(command, sizeof(command), "grep -q 'r-xp.*/libc[.]so' /proc/%d/maps", (int) pid);
        for (unsigned i = 0; i < 1000 && !rig_shell("/", command); i++)
                (void) usleep(20000);
}

static void packages_and_digests_are_what_stock_tools_say(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        if (access("/var/lib/dpkg/status", R_OK) < 0) {
                print_message("skip: no dpkg here\n");
                skip();
        }
        exec_sleep(r);
        exec_sleep(r);
        rig_freeze(r, true);
        d = rig_preserve(r);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, "test $(ls data/*-binaries | wc -l) = 1"));
        /* each file once, though two processes have it */
        assert_true(rig_shell(d.opened, "test -z \"$(jq -r .path data/*-binaries | sort | uniq -d)\""));
        assert_true(rig_shell(d.opened, "jq -r '.sha256 + \"  \" + .path' data/*-binaries >sums && test $(wc -l <sums) "
                                        "-ge 3 && grep -q bin/sleep sums && sha256sum -c --strict --quiet sums"));
        assert_true(rig_shell(d.opened, "test \"$(jq -r 'select(.path | test(\"bin/sleep$\")) | .package + \" \" + "
                                        ".version' data/*-binaries)\" = \"coreutils $(" DPKG "coreutils)\""));
        assert_true(rig_shell(d.opened,
                              "set -- $(jq -r 'select(.path | test(\"/libc[.]so\")) | .package + \" \" + .version' "
                              "data/*-binaries) && test \"$2\" = \"$(" DPKG "$1)\""));
        assert_true(rig_shell(d.opened, "cmp data/*-dpkg-status /var/lib/dpkg/status || "
                                        "zstd -dqc data/*-dpkg-status | cmp - /var/lib/dpkg/status"));
        assert_true(rig_shell(d.opened, "cmp $(grep -l bin/sleep data/*-dpkg-md5sums) "
                                        "/var/lib/dpkg/info/coreutils.md5sums && ls data/*-os-release"));
        assert_true(rig_shell(d.opened, "jq -es 'all(.[]; .kind != \"binary\" or .hole == null)' index.jsonl"));
}

/* Another dpkg database, and a program that was replaced while it runs: what is mapped counts. */
static void make_root(void *userdata) {
        const char *dir = userdata;
        char command[2048];

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                _exit(1);
        (void) snprintf(command, sizeof(command),
                        "cd %s && mkdir -p bin usr/bin var/lib/dpkg/info proc && for f in $(ldd /bin/sleep | grep -o "
                        "'/[^ ]*'); do mkdir -p ./${f%%/*} && cp $f ./$f; done && cp /bin/sleep usr/bin/nap && "
                        "printf '/.\\n/bin/nap\\n' >var/lib/dpkg/info/nap.list && ln -s ../info/nap.list "
                        "var/lib/dpkg/info/evil.list && mkfifo var/lib/dpkg/info/stuck.list && "
                        "printf 'Package: other\\nVersion: 9\\n\\nPackage: nap\\nStatus: x\\nVersion: 1:2.3-4\\n\\n' "
                        ">var/lib/dpkg/status",
                        dir);
        if (system(command) != 0 || mount(dir, dir, NULL, MS_BIND, NULL) < 0 || chdir(dir) < 0) /* NOLINT: fixed */
                _exit(2);
        if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
                _exit(3);
        (void) execl("/usr/bin/nap", "nap", "1000", NULL);
        _exit(4);
}

static void packages_of_a_container_are_its_own(void **state) {
        struct rig *r = *state;
        _cleanup_scratch_ struct scratch s;
        char check[512];
        struct rig_done d;

        scratch_make(&s);
        pid_t pid = rig_spawn(r, make_root, s.path);

        (void) snprintf(check, sizeof(check), "rm %s/usr/bin/nap && cp /bin/true %s/usr/bin/nap", s.path, s.path);
        assert_true(rig_shell(s.path, check));
        rig_freeze(r, true);
        d = rig_preserve(r);
        rig_open(r, &d);
        (void) snprintf(
                check, sizeof(check),
                "jq -es 'any(.[]; .kind == \"dpkg-status\" and .source == \"/proc/%d/root/var/lib/dpkg/status\" "
                "and .bytes < 200)' index.jsonl",
                (int) pid);
        assert_true(rig_shell(d.opened, check));
        assert_true(rig_shell(d.opened, "test $(jq -r 'select(.path == \"/usr/bin/nap (deleted)\") | .sha256' "
                                        "data/*-binaries) = $(sha256sum </bin/sleep | cut -d' ' -f1)"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(packages_and_digests_are_what_stock_tools_say, rig_set_up,
                                                rig_tear_down),
                cmocka_unit_test_setup_teardown(packages_of_a_container_are_its_own, rig_set_up, rig_tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
