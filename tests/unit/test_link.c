/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: accept4 */
/* WRAP: log_event */
/* LINK: agent/core/link.c agent/core/turn.c agent/core/process.c */
/* LINK: agent/util/clock.c agent/util/log.c agent/util/io.c agent/util/fault.c */

/* The core's socket while there is no descriptor for another gate. */

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "lib/descriptors.h"
#include "lib/expect.h"

#define WAIT_MS 30000
#define LONG_US (1000 * 1000)

static char path[] = "/tmp/test_link.XXXXXX/socket";
static struct agent agent;
static struct link *link_;
static unsigned n_frames, n_accepts, n_lines;
static int accept_error; /* 0: as it is */

int __real_accept4(int fd, struct sockaddr *address, socklen_t *n, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *n, int flags);
void __wrap_log_event(int priority, const char *message_id, const struct log_fields *fields, const char *fmt, ...)
        _printf_(4, 5);

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *n, int flags) {
        n_accepts++;
        errno = accept_error;
        return accept_error ? -1 : __real_accept4(fd, address, n, flags);
}

void __wrap_log_event(int priority, const char *message_id, const struct log_fields *fields, const char *fmt, ...) {
        (void) priority;
        (void) message_id;
        (void) fields;
        (void) fmt;
        n_lines++;
}

static void on_frame(struct agent *a, const struct frame *f, const struct answer *to) {
        (void) a;
        n_frames += f->kind == FRAME_HEALTH && to->number == 7;
}

static int begin(void **state) {
        char *slash = strrchr(path, '/');

        (void) state;
        *slash = '\0';
        assert_non_null(mkdtemp(path));
        *slash = '/';
        assert_true(sd_event_new(&agent.event) >= 0);
        assert_int_equal(link_new(&agent, path, on_frame, &link_), 0);
        return 0;
}

static int end(void **state) {
        (void) state;
        link_free(link_);
        agent.event = sd_event_unref(agent.event);
        assert_int_equal(unlink(path), 0);
        strcpy(strrchr(path, '/'), "/turn");
        assert_int_equal(unlink(path), 0);
        *strrchr(path, '/') = '\0';
        return rmdir(path);
}

static struct sockaddr_un address_of(const char *at) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", at);
        return address;
}

static int gate_at(const char *at) {
        const struct sockaddr_un address = address_of(at);
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

static int gate(void) {
        return gate_at(path);
}

static void run_for(int64_t us) {
        const int64_t until = clock_mono_us() + us;

        for (int64_t left = us; left > 0; left = until - clock_mono_us())
                assert_true(sd_event_run(agent.event, (uint64_t) left) >= 0);
}

/* It was let in: the first that it hears is the keys. */
static bool is_in(int fd) {
        uint8_t bytes[FRAME_MAX];
        struct frame f;
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        return n > 0 && frame_unpack(bytes, (size_t) n, &f) == 0 && f.kind == FRAME_KEYS;
}

static bool comes_in(int fd) {
        bool in = is_in(fd);

        for (int i = 0; !in && i < WAIT_MS / 100; i++) {
                run_for(LONG_US / 10);
                in = is_in(fd);
        }
        return in;
}

static void ask(int fd) {
        static const uint8_t nonce[16];
        const struct frame f = { .kind = FRAME_HEALTH, .number = 7, .payload = nonce, .n_payload = sizeof(nonce) };
        uint8_t bytes[FRAME_MAX];
        size_t n;

        assert_int_equal(frame_pack(&f, bytes, sizeof(bytes), &n), 0);
        assert_int_equal(send(fd, bytes, n, 0), n);
}

static void without_a_descriptor_the_core_rests_serves_and_lets_in_later(void **state) {
        int first = gate(), second;

        (void) state;
        assert_true(comes_in(first));
        second = gate();
        const struct rlimit before = descriptors_take();

        const int64_t used = clock_cpu_us();
        run_for(LONG_US);
        assert_in_range(clock_cpu_us() - used, 0, LONG_US / 5);
        ask(first);
        for (int i = 0; n_frames == 0 && i < WAIT_MS / 100; i++)
                run_for(LONG_US / 10);
        assert_int_equal(n_frames, 1);
        assert_false(is_in(second));

        descriptors_give(&before);
        assert_true(comes_in(second));
        (void) close(first);
        (void) close(second);
}

static void accept_fails(int error, unsigned times) {
        const int64_t until = clock_mono_us() + WAIT_MS * 1000;

        accept_error = error;
        n_accepts = 0;
        while (n_accepts < times) {
                assert_true(clock_mono_us() < until);
                assert_true(sd_event_run(agent.event, LONG_US / 10) >= 0);
        }
}

static void each_rest_is_said_once(void **state) {
        int fd = gate();

        (void) state;
        n_lines = 0;
        accept_fails(EMFILE, 3);
        assert_int_equal(n_lines, 1);
        /* who waited is gone, and nothing is wrong any more */
        accept_fails(EAGAIN, 1);
        assert_int_equal(n_lines, 1);
        accept_fails(ENFILE, 3);
        assert_int_equal(n_lines, 2);
        accept_error = 0;
        assert_true(comes_in(fd));
        assert_int_equal(n_lines, 2);
        (void) close(fd);
}

/* As a core does that another one follows: it has let one in, and does nothing any more. */
static pid_t start_dead_core(const char *at, int ready) {
        const pid_t pid = fork();

        if (pid == 0) {
                const struct sockaddr_un address = address_of(at);
                const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

                EXPECT(bind(fd, (const struct sockaddr *) &address, sizeof(address)) == 0 && listen(fd, 8) == 0);
                EXPECT(write(ready, "x", 1) == 1);
                EXPECT(__real_accept4(fd, NULL, NULL, 0) >= 0);
                EXPECT(write(ready, "x", 1) == 1);
                for (;;)
                        (void) pause();
        }
        return pid;
}

static bool has_another_its_turn(void) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                struct turn t;

                _exit(turn_take(path, &t) == 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status != 0;
}

/* And the core that does it has its turn all the same. */
static void who_waits_for_a_core_that_cannot_end_is_let_go(void **state) {
        const struct sockaddr_un none = { .sun_family = AF_UNIX };
        char at[sizeof(none.sun_path)], c;
        int ready[2], fd, second;
        struct turn turn;
        pid_t pid;

        (void) state;
        /* the other one has that file open too */
        assert_int_equal(turn_take(path, &turn), 0);
        (void) snprintf(at, sizeof(at), "%s.dead", path);
        assert_int_equal(pipe(ready), 0);
        pid = start_dead_core(at, ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        fd = gate_at(at);
        assert_int_equal(read(ready[0], &c, 1), 1);
        link_part(path, pid);
        assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        link_part(at, pid);
        assert_int_equal(recv(fd, &c, 1, 0), 0);
        assert_false(has_another_its_turn());
        (void) close(turn.fd);
        assert_true(has_another_its_turn());
        /* what listens there is another's too */
        second = gate_at(at);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void) close(second);
        (void) close(fd);
        (void) close(ready[0]);
        (void) close(ready[1]);
        assert_int_equal(unlink(at), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_a_descriptor_the_core_rests_serves_and_lets_in_later),
                cmocka_unit_test(each_rest_is_said_once),
                cmocka_unit_test(who_waits_for_a_core_that_cannot_end_is_let_go),
        };

        return cmocka_run_group_tests(tests, begin, end);
}
