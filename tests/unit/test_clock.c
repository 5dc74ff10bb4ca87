/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/util/clock.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/timex.h>
#include <time.h>

#include <seccomp.h>
#include <sodium.h>

#include "agent/util/clock.h"
#include "lib/scratch.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static void clock_units_are_what_they_say(void **state) {
        int64_t wall, boot, mono;
        time_t before, after;

        (void) state;
        before = time(NULL);
        wall = clock_wall_ms();
        after = time(NULL);
        boot = clock_boot_ms();
        mono = clock_mono_us();
        assert_in_range(wall / 1000, before - 1, after + 1);
        (void) usleep(50000);
        assert_in_range(clock_boot_ms() - boot, 49, 60000);
        assert_in_range(clock_mono_us() - mono, 49000, 60000000);
}

/* In a time namespace that moves one clock, the function that reads that clock moves, and the other does not. */
static void clock_boot_reads_boottime_and_mono_reads_monotonic(void **state) {
        static const char *const offsets[] = { "boottime 1000 0\n", "monotonic 1000 0\n" };

        (void) state;
        for (int moved = 0; moved < 2; moved++) {
                pid_t pid = fork();

                if (pid == 0) {
                        int64_t boot = clock_boot_ms(), mono = clock_mono_us() / 1000;
                        int fd;

                        if (unshare(CLONE_NEWTIME) < 0)
                                _exit(77);
                        fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
                        if (fd < 0 || write(fd, offsets[moved], strlen(offsets[moved])) < 0)
                                _exit(77);
                        pid_t inside = fork(); /* only children are in the namespace */

                        if (inside == 0) {
                                bool boot_moved = clock_boot_ms() - boot > 900000;
                                bool mono_moved = clock_mono_us() / 1000 - mono > 900000;

                                _exit(boot_moved == (moved == 0) && mono_moved == (moved == 1) ? 0 : 1);
                        }
                        _exit(scratch_wait(inside));
                }
                int r = scratch_wait(pid);

                if (r == 77) {
                        print_message("skip: no time namespace here (needs root and Linux 5.6)\n");
                        skip();
                }
                assert_int_equal(r, 0);
        }
}

static void clock_synced_says_what_the_kernel_says(void **state) {
        struct timex tx = { 0 };

        (void) state;
        assert_true(adjtimex(&tx) >= 0);
        assert_int_equal(clock_synced(), !(tx.status & STA_UNSYNC));
}

static void clock_synced_is_false_when_the_kernel_does_not_answer(void **state) {
        pid_t pid = fork();

        (void) state;
        if (pid == 0) {
                scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

                if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(adjtimex), 0) < 0 ||
                    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clock_adjtime), 0) < 0 ||
                    seccomp_load(filter) < 0)
                        _exit(2);
                _exit(clock_synced() ? 1 : 0);
        }
        assert_int_equal(scratch_wait(pid), 0);
}

static void clock_boot_id_is_the_kernels(void **state) {
        uint8_t id[16], want[16];
        char text[37] = "";
        FILE *f = fopen(BOOT_ID, "re");
        size_t n;

        (void) state;
        assert_non_null(f);
        assert_int_equal(fread(text, 1, 36, f), 36);
        (void) fclose(f);
        assert_int_equal(sodium_hex2bin(want, 16, text, 36, "-", &n, NULL), 0);
        clock_boot_id(id);
        assert_memory_equal(id, want, 16);
}

/* What clock_boot_id makes of a file in the place of the kernel's: 0 when it is the id wanted. */
static int boot_id_of(const char *file, const char *want_hex) {
        uint8_t id[16], want[16];
        pid_t pid = fork();
        size_t n;

        if (pid > 0)
                return scratch_wait(pid);
        memset(id, 0xee, sizeof(id));
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount(file, BOOT_ID, NULL, MS_BIND, NULL) < 0)
                _exit(77);
        clock_boot_id(id);
        _exit(sodium_hex2bin(want, 16, want_hex, 32, NULL, &n, NULL) == 0 && memcmp(id, want, 16) == 0 ? 0 : 1);
}

static void clock_boot_id_is_zero_when_proc_does_not_tell(void **state) {
        static const struct {
                const char *text, *want;
        } cases[] = {
                { "01234567-89ab-cdef-0123-456789abcdef\n", "0123456789abcdef0123456789abcdef" },
                { "", "00000000000000000000000000000000" },
                { "01234567-89ab-cdef-0123-456789abcde", "00000000000000000000000000000000" },
                { "01234567-89ab-cdef-0123-456789abcdeg\n", "00000000000000000000000000000000" },
                { "------------------------------------\n", "00000000000000000000000000000000" },
        };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                scratch_write(scratch_path(&s, "id"), cases[i].text, strlen(cases[i].text));
                int r = boot_id_of(scratch_path(&s, "id"), cases[i].want);

                if (r == 77) {
                        print_message("skip: no mount namespace here (needs root)\n");
                        skip();
                }
                assert_int_equal(r, 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(clock_units_are_what_they_say),
                cmocka_unit_test(clock_boot_reads_boottime_and_mono_reads_monotonic),
                cmocka_unit_test(clock_synced_says_what_the_kernel_says),
                cmocka_unit_test(clock_synced_is_false_when_the_kernel_does_not_answer),
                cmocka_unit_test(clock_boot_id_is_the_kernels),
                cmocka_unit_test(clock_boot_id_is_zero_when_proc_does_not_tell),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
