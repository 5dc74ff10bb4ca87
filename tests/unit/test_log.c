/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/util/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "agent/util/log.h"
#include "lib/scratch.h"

#define HOSTILE "evil\nREASON=none\n\x1b[2J\x9b\xc2\x9b\x7f\ttail"
#define ESCAPED "evil\\x0aREASON=none\\x0a\\x1b[2J\\x9b\\xc2\\x9b\\x7f\\x09tail"

/* stderr becomes a pipe; its reading end is returned. */
static int capture_stderr(int *ret_saved) {
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        *ret_saved = dup(STDERR_FILENO);
        assert_int_equal(dup2(fds[1], STDERR_FILENO), STDERR_FILENO);
        (void) close(fds[1]);
        assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
        return fds[0];
}

static void restore_stderr(int saved) {
        assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
        (void) close(saved);
}

static size_t drain(int fd, char *buf, size_t size) {
        size_t n = 0;
        ssize_t got;

        while (n + 1 < size && (got = read(fd, buf + n, size - n - 1)) > 0)
                n += (size_t) got;
        buf[n] = '\0';
        return n;
}

static unsigned count(const char *text, const char *what) {
        unsigned n = 0;

        for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
                n++;
        return n;
}

static void log_event_writes_one_line_to_stderr(void **state) {
        char got[65536];
        int saved, fd = capture_stderr(&saved);

        (void) state;
        errno = ENOTTY;
        log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "verify", .reason = "bad-signature"), "refused %d", 7);
        assert_int_equal(errno, ENOTTY);
        log_event(LOG_INFO, NULL, NULL, "plain");
        log_event(LOG_INFO, NULL, LOG_FIELDS(.target = HOSTILE), "%s", HOSTILE);
        (void) drain(fd, got, sizeof(got));
        restore_stderr(saved);
        assert_string_equal(got, "test_log: refused 7 STAGE=verify REASON=bad-signature\n"
                                 "test_log: plain\n"
                                 "test_log: " ESCAPED " TARGET=" ESCAPED "\n");
        (void) close(fd);
}

static void log_event_cuts_what_is_too_long(void **state) {
        static char huge[1 << 20];
        char got[65536];
        int saved, fd = capture_stderr(&saved);

        (void) state;
        memset(huge, '\n', sizeof(huge) - 1);
        log_event(LOG_ERR, NULL, LOG_FIELDS(huge, huge, huge, huge, huge, huge), "%s", huge);
        (void) drain(fd, got, sizeof(got));
        restore_stderr(saved);
        assert_int_equal(count(got, "\n"), 1);
        assert_int_equal(got[strlen(got) - 1], '\n');
        assert_int_equal(count(got, "\\x0a"), LOG_MESSAGE_MAX / 4 + 6 * (LOG_VALUE_MAX / 4));
        assert_non_null(strstr(got, "\\x0a TARGET=\\x0a"));
        assert_true(strlen(got) < 4096);
        (void) close(fd);
}

static void log_event_never_waits_for_stderr(void **state) {
        char got[1 << 17];
        int saved, fd = capture_stderr(&saved);

        (void) state;
        /* the pipe holds 64 KiB and nobody reads it */
        (void) alarm(60);
        for (int i = 0; i < 5000; i++)
                log_event(LOG_ERR, NULL, NULL, "line number %06d of many", i);
        (void) alarm(0);
        size_t kept = drain(fd, got, sizeof(got)) / strlen("test_log: line number 000000 of many\n");

        assert_in_range(kept, 1000, 4000);
        assert_int_equal(count(got, "\n"), kept);
        log_event(LOG_ERR, NULL, NULL, "after");
        log_event(LOG_ERR, NULL, NULL, "later");
        (void) drain(fd, got, sizeof(got));
        restore_stderr(saved);
        char want[128];

        (void) snprintf(want, sizeof(want), "test_log: after LOG_LOST=%zu\ntest_log: later\n", 5000 - kept);
        assert_string_equal(got, want);
        (void) close(fd);
}

static void log_lossy_drops_beyond_the_limit_and_says_how_many(void **state) {
        static struct log_limit limit = LOG_LIMIT(5);
        static struct log_limit other = LOG_LIMIT(2);
        char got[65536];
        int saved, fd = capture_stderr(&saved);
        struct timespec now, then;
        unsigned n, most;

        (void) state;
        /* from just after a second's turn, so that the flood is in one */
        (void) clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        (void) usleep((useconds_t) ((1000000000 - now.tv_nsec) / 1000 + 20000));
        (void) clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        for (int i = 0; i < 1000; i++)
                log_lossy(&limit, LOG_WARNING, NULL, LOG_FIELDS(.stage = "gate"), "forged %d", i);
        (void) clock_gettime(CLOCK_MONOTONIC_COARSE, &then);
        log_lossy(&other, LOG_WARNING, NULL, NULL, "another kind");
        (void) drain(fd, got, sizeof(got));
        n = count(got, "forged ");
        most = 5 * (unsigned) (1 + then.tv_sec - now.tv_sec);
        if (most > 5) /* the machine was so slow that a second turned */
                print_message("the flood took longer than a second\n");
        assert_in_range(n, 5, most);
        assert_int_equal(count(got, "another kind"), 1);
        (void) usleep(1100000);
        log_lossy(&limit, LOG_WARNING, NULL, LOG_FIELDS(.stage = "gate"), "forged later");
        (void) drain(fd, got, sizeof(got));
        restore_stderr(saved);
        if (n == 5)
                assert_string_equal(got, "test_log: 995 messages like the next one were left out STAGE=gate\n"
                                         "test_log: forged later STAGE=gate\n");
        (void) close(fd);
}

static int bind_journal(void) {
        const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        return fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : fd;
}

/* A journal of our own in a mount namespace of our own: a socket that nobody reads until it is asked. Returns it. */
static int fake_journal(void) {
        char stream[64];
        struct stat st;
        int fds[2], fd;

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
                return -errno;
        if (mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0)
                return -errno;
        fd = bind_journal();
        if (fd < 0)
                return fd;
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 || fstat(fds[1], &st) < 0 || dup2(fds[1], STDERR_FILENO) < 0)
                return -errno;
        (void) snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long) st.st_dev,
                        (unsigned long long) st.st_ino);
        return setenv("JOURNAL_STREAM", stream, 1) < 0 ? -errno : fd;
}

#define EXPECT(condition)                          \
        do {                                       \
                if (!(condition))                  \
                        _exit(__LINE__ % 200 + 1); \
        } while (false)

/* The child's exit status is 0, or tells the line that failed. */
static void in_child_with_journal(void (*body)(int journal)) {
        pid_t pid = fork();
        int r;

        if (pid == 0) {
                int fd = fake_journal();

                if (fd < 0)
                        _exit(fd == -EPERM ? 255 : 254);
                log_open();
                (void) alarm(60);
                body(fd);
                _exit(0);
        }
        r = scratch_wait(pid);
        if (r == 255) {
                print_message("skip: no mount namespace here (needs root)\n");
                skip();
        }
        assert_int_equal(r, 0);
}

static void receive(int journal, char *buf, size_t size) {
        ssize_t n = recv(journal, buf, size - 1, 0);

        EXPECT(n >= 0);
        buf[n] = '\0';
}

static void structured(int journal) {
        char got[8192];

        log_event(LOG_CRIT, "0123456789abcdef0123456789abcdef",
                  LOG_FIELDS(.command_id = "c1", .stage = "enforce", .reason = HOSTILE, .key_id = "SHA256:k",
                             .hold = "h1", .target = "unit:a.service"),
                  "%s", HOSTILE);
        receive(journal, got, sizeof(got));
        EXPECT(strcmp(got, "PRIORITY=2\nSYSLOG_IDENTIFIER=test_log\nMESSAGE_ID=0123456789abcdef0123456789abcdef\n"
                           "COMMAND_ID=c1\nSTAGE=enforce\nREASON=" ESCAPED "\nKEY_ID=SHA256:k\nHOLD=h1\n"
                           "TARGET=unit:a.service\nMESSAGE=" ESCAPED "\n") == 0);
        log_event(LOG_INFO, NULL, NULL, "plain");
        receive(journal, got, sizeof(got));
        EXPECT(strcmp(got, "PRIORITY=6\nSYSLOG_IDENTIFIER=test_log\nMESSAGE=plain\n") == 0);
}

static void log_event_sends_fields_that_no_value_can_forge(void **state) {
        (void) state;
        in_child_with_journal(structured);
}

static void stuck(int journal) {
        char got[8192], want[64];
        unsigned kept = 0;

        for (int i = 0; i < 20000; i++)
                log_event(LOG_INFO, NULL, NULL, "flood");
        while (recv(journal, got, sizeof(got), 0) > 0)
                kept++;
        EXPECT(kept > 0 && kept < 20000);
        log_event(LOG_INFO, NULL, NULL, "after");
        receive(journal, got, sizeof(got));
        (void) snprintf(want, sizeof(want), "\nLOG_LOST=%u\n", 20000 - kept);
        EXPECT(strstr(got, want));
        log_event(LOG_INFO, NULL, NULL, "later");
        receive(journal, got, sizeof(got));
        EXPECT(!strstr(got, "LOG_LOST"));
}

static void log_event_never_waits_for_a_stuck_journal(void **state) {
        (void) state;
        in_child_with_journal(stuck);
}

static void gone(int journal) {
        char got[8192];

        (void) close(journal);
        for (int i = 0; i < 10; i++)
                log_event(LOG_INFO, NULL, NULL, "into the void");
        EXPECT(unlink("/run/systemd/journal/socket") == 0);
        log_event(LOG_INFO, NULL, NULL, "into the void");
        journal = bind_journal();
        EXPECT(journal >= 0);
        log_event(LOG_INFO, NULL, NULL, "back");
        receive(journal, got, sizeof(got));
        EXPECT(strstr(got, "\nLOG_LOST=11\nMESSAGE=back\n"));
}

static void log_event_finds_a_journal_that_was_restarted(void **state) {
        (void) state;
        in_child_with_journal(gone);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(log_event_writes_one_line_to_stderr),
                cmocka_unit_test(log_event_cuts_what_is_too_long),
                cmocka_unit_test(log_event_never_waits_for_stderr),
                cmocka_unit_test(log_lossy_drops_beyond_the_limit_and_says_how_many),
                cmocka_unit_test(log_event_sends_fields_that_no_value_can_forge),
                cmocka_unit_test(log_event_never_waits_for_a_stuck_journal),
                cmocka_unit_test(log_event_finds_a_journal_that_was_restarted),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
