/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/util/io.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "agent/util/io.h"
#include "lib/scratch.h"

static void expect_content(const char *path, const char *want) {
        _cleanup_free_ char *got = NULL;

        assert_int_equal(io_read_file(AT_FDCWD, path, 1 << 20, &got, NULL), 0);
        assert_string_equal(got, want);
}

static void io_read_file_takes_exactly_max_and_refuses_one_more(void **state) {
        _cleanup_scratch_ struct scratch s;
        static char data[10001];

        (void) state;
        scratch_make(&s);
        memset(data, 'x', sizeof(data));
        for (size_t n = 0; n <= 10000; n += n % 4096 < 4090 && n > 0 ? 1000 : 1) {
                _cleanup_free_ char *got = NULL;
                size_t n_got = 77;

                scratch_write(scratch_path(&s, "f"), data, n);
                assert_int_equal(io_read_file(AT_FDCWD, scratch_path(&s, "f"), n, &got, &n_got), 0);
                assert_int_equal(n_got, n);
                assert_memory_equal(got, data, n);
                assert_int_equal(got[n], '\0');
                scratch_write(scratch_path(&s, "f"), data, n + 1);
                n_got = 77;
                assert_int_equal(io_read_file(AT_FDCWD, scratch_path(&s, "f"), n, &got, &n_got), -EFBIG);
                assert_int_equal(n_got, 77);
        }
}

static void io_read_file_reads_procfs_whole(void **state) {
        _cleanup_free_ char *got = NULL;
        size_t n = 0;

        (void) state;
        assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/smaps", 64 << 20, &got, &n), 0);
        /* the last mapping of the address space comes last, some pages after the first read */
        assert_true(n > 16384);
        assert_non_null(strstr(got, "[stack]"));
}

static void io_read_file_is_relative_to_the_directory(void **state) {
        _cleanup_scratch_ struct scratch s;
        _cleanup_close_ int dir = -EBADF;
        _cleanup_free_ char *got = NULL;

        (void) state;
        scratch_make(&s);
        scratch_write(scratch_path(&s, "f"), "a\0b", 3);
        dir = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(io_read_file(dir, "f", 10, &got, NULL), 0);
        assert_memory_equal(got, "a\0b", 4);
        assert_int_equal(io_read_file(dir, "absent", 10, &got, NULL), -ENOENT);
        assert_int_equal(io_read_file(dir, ".", 10, &got, NULL), -EISDIR);
}

static void io_write_string_reaches_the_kernel_and_creates_nothing(void **state) {
        _cleanup_scratch_ struct scratch s;
        char name[16] = "";

        (void) state;
        scratch_make(&s);
        assert_int_equal(io_write_string(AT_FDCWD, "/proc/self/comm", "renamed"), 0);
        assert_int_equal(prctl(PR_GET_NAME, name), 0);
        assert_string_equal(name, "renamed");
        assert_int_equal(io_write_string(AT_FDCWD, "/proc/self/oom_score_adj", "no number"), -EINVAL);
        assert_int_equal(io_write_string(AT_FDCWD, scratch_path(&s, "absent"), "x"), -ENOENT);
        assert_int_equal(io_write_string(AT_FDCWD, "/dev/full", "x"), -ENOSPC);
}

static void io_write_string_calls_a_short_write_an_error(void **state) {
        const struct rlimit limit = { 4, 4 };
        _cleanup_scratch_ struct scratch s;
        pid_t pid;

        (void) state;
        scratch_make(&s);
        scratch_write(scratch_path(&s, "f"), "", 0);
        pid = fork();
        if (pid == 0) {
                (void) signal(SIGXFSZ, SIG_IGN);
                (void) setrlimit(RLIMIT_FSIZE, &limit);
                _exit(io_write_string(AT_FDCWD, scratch_path(&s, "f"), "12345678") == -EIO ? 0 : 1);
        }
        assert_int_equal(scratch_wait(pid), 0);
        expect_content(scratch_path(&s, "f"), "1234");
}

static void on_alarm(int sig) {
        (void) sig;
}

static void io_write_all_goes_on_after_interrupted_writes(void **state) {
        const struct itimerval every = { { 0, 500 }, { 0, 500 } }, never = { 0 };
        const struct sigaction act = { .sa_handler = on_alarm }; /* without SA_RESTART */
        enum { N = 4 << 20 };
        _cleanup_free_ uint8_t *data = malloc(N);
        int fds[2];
        pid_t pid;

        (void) state;
        for (size_t i = 0; i < N; i++)
                data[i] = (uint8_t) (i * 31 >> 8);
        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0) {
                uint8_t buf[1000];
                size_t n = 0;
                ssize_t got;

                (void) close(fds[1]);
                while ((got = read(fds[0], buf, sizeof(buf))) > 0)
                        for (ssize_t i = 0; i < got; i++, n++)
                                if (buf[i] != data[n])
                                        _exit(1);
                _exit(n == N ? 0 : 2);
        }
        (void) close(fds[0]);
        assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
        assert_int_equal(setitimer(ITIMER_REAL, &every, NULL), 0);
        assert_int_equal(io_write_all(fds[1], data, N), 0);
        assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
        (void) close(fds[1]);
        assert_int_equal(scratch_wait(pid), 0);
}

static void io_replace_file_replaces_whole_with_the_mode_asked_for(void **state) {
        _cleanup_scratch_ struct scratch s;
        _cleanup_close_ int dir = -EBADF;
        mode_t before = umask(0077);
        char long_name[252];
        struct stat st;

        (void) state;
        scratch_make(&s);
        dir = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* what a predecessor left that died half-way */
        scratch_write(scratch_path(&s, ".f.new"), "half", 4);
        assert_int_equal(io_replace_file(dir, "f", "first", 5, 0644), 0);
        assert_int_equal(io_replace_file(dir, "f", "2nd", 3, 0640), 0);
        expect_content(scratch_path(&s, "f"), "2nd");
        assert_int_equal(stat(scratch_path(&s, "f"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(access(scratch_path(&s, ".f.new"), F_OK), -1);
        memset(long_name, 'n', sizeof(long_name) - 1);
        long_name[sizeof(long_name) - 1] = '\0';
        assert_int_equal(io_replace_file(dir, long_name, "x", 1, 0600), -ENAMETOOLONG);
        (void) umask(before);
}

static void io_replace_file_keeps_the_old_file_when_it_cannot_write(void **state) {
        const struct rlimit limit = { 4, 4 };
        _cleanup_scratch_ struct scratch s;
        pid_t pid;

        (void) state;
        scratch_make(&s);
        scratch_write(scratch_path(&s, "f"), "old", 3);
        pid = fork();
        if (pid == 0) {
                int dir = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                (void) signal(SIGXFSZ, SIG_IGN);
                (void) setrlimit(RLIMIT_FSIZE, &limit);
                _exit(io_replace_file(dir, "f", "12345678", 8, 0600) == -EFBIG ? 0 : 1);
        }
        assert_int_equal(scratch_wait(pid), 0);
        expect_content(scratch_path(&s, "f"), "old");
        assert_int_equal(access(scratch_path(&s, ".f.new"), F_OK), -1);
}

static void io_replace_file_never_shows_half_a_file_when_killed(void **state) {
        enum { N = 20000 };
        static char a[N + 1], b[N + 1];
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        memset(a, 'a', N);
        memset(b, 'b', N);
        scratch_write(scratch_path(&s, "f"), a, N);
        for (unsigned round = 0; round < 100; round++) {
                _cleanup_free_ char *got = NULL;
                pid_t pid = fork();

                if (pid == 0) {
                        int dir = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                        for (unsigned i = 0;; i++)
                                if (io_replace_file(dir, "f", i % 2 ? a : b, N, 0600) < 0)
                                        _exit(1);
                }
                (void) usleep(500 + round * 37);
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(scratch_wait(pid), -SIGKILL);
                assert_int_equal(io_read_file(AT_FDCWD, scratch_path(&s, "f"), N, &got, NULL), 0);
                assert_true(strcmp(got, a) == 0 || strcmp(got, b) == 0);
        }
}

static void io_mkdirs_makes_what_is_missing_and_only_that(void **state) {
        _cleanup_scratch_ struct scratch s;
        mode_t before = umask(0077);
        struct stat st;

        (void) state;
        scratch_make(&s);
        assert_int_equal(chmod(s.path, 0701), 0);
        assert_int_equal(io_mkdirs(scratch_path(&s, "a//b/c/"), 0755), 0);
        assert_int_equal(stat(scratch_path(&s, "a/b/c"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0755);
        assert_int_equal(stat(s.path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0701);
        assert_int_equal(io_mkdirs(scratch_path(&s, "a/b/c"), 0700), 0);
        assert_int_equal(stat(scratch_path(&s, "a/b/c"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0755);
        scratch_write(scratch_path(&s, "file"), "", 0);
        assert_int_equal(io_mkdirs(scratch_path(&s, "file"), 0755), -ENOTDIR);
        assert_int_equal(io_mkdirs(scratch_path(&s, "file/below"), 0755), -ENOTDIR);
        assert_int_equal(io_mkdirs("", 0755), -ENOENT);
        assert_int_equal(io_mkdirs("/", 0755), 0);
        assert_int_equal(chdir(s.path), 0);
        assert_int_equal(io_mkdirs("relative/too", 0755), 0);
        assert_int_equal(access(scratch_path(&s, "relative/too"), F_OK), 0);
        assert_int_equal(chdir("/"), 0);
        (void) umask(before);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(io_read_file_takes_exactly_max_and_refuses_one_more),
                cmocka_unit_test(io_read_file_reads_procfs_whole),
                cmocka_unit_test(io_read_file_is_relative_to_the_directory),
                cmocka_unit_test(io_write_string_reaches_the_kernel_and_creates_nothing),
                cmocka_unit_test(io_write_string_calls_a_short_write_an_error),
                cmocka_unit_test(io_write_all_goes_on_after_interrupted_writes),
                cmocka_unit_test(io_replace_file_replaces_whole_with_the_mode_asked_for),
                cmocka_unit_test(io_replace_file_keeps_the_old_file_when_it_cannot_write),
                cmocka_unit_test(io_replace_file_never_shows_half_a_file_when_killed),
                cmocka_unit_test(io_mkdirs_makes_what_is_missing_and_only_that),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
