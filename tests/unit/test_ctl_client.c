/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/client.c ctl/times.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/client.h"
#include "tests/lib/scratch.h"

static struct scratch dir;
static int listener = -EBADF;

static int set_up(void **state) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        (void) state;
        scratch_make(&dir);
        (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", scratch_path(&dir, "gate"));
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *) &sa, sizeof(sa)), 0);
        assert_int_equal(listen(listener, 0), 0);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        (void) close(listener);
        scratch_remove(&dir);
        return 0;
}

static int64_t now_ms(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static int connected(struct client *c, int64_t timeout_ms) {
        assert_int_equal(client_connect(scratch_path(&dir, "gate"), timeout_ms, c), 0);
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(peer >= 0);
        return peer;
}

static void messages_keep_their_bounds(void **state) {
        _cleanup_(client_done) struct client c = CLIENT_NULL;
        _cleanup_close_ int peer = connected(&c, 5000);
        char buf[64], *msg = NULL;
        size_t n;

        (void) state;
        assert_int_equal(client_send(&c, "question", 8), 0);
        assert_int_equal(recv(peer, buf, sizeof(buf), 0), 8);
        assert_int_equal(send(peer, "first", 5, 0), 5);
        assert_int_equal(send(peer, "second\0x", 8, 0), 8);
        assert_int_equal(client_recv(&c, &msg, &n), 0);
        assert_string_equal(msg, "first");
        free(msg);
        assert_int_equal(client_recv(&c, &msg, &n), 0);
        assert_int_equal(n, 8);
        free(msg);
}

static void silence_ends_at_the_deadline(void **state) {
        _cleanup_(client_done) struct client c = CLIENT_NULL;
        _cleanup_close_ int peer = connected(&c, 200);
        int64_t start = now_ms();
        char *msg = NULL;
        size_t n;

        (void) state;
        assert_int_equal(client_recv(&c, &msg, &n), -ETIMEDOUT);
        assert_true(now_ms() - start >= 190 && now_ms() - start < 60000);
        assert_null(msg);
        /* the deadline is one for all, and a message that is there is still taken */
        assert_int_equal(client_recv(&c, &msg, &n), -ETIMEDOUT);
        assert_int_equal(send(peer, "late", 4, 0), 4);
        assert_int_equal(client_recv(&c, &msg, &n), 0);
        free(msg);
        client_rearm(&c, 150);
        start = now_ms();
        assert_int_equal(client_recv(&c, &msg, &n), -ETIMEDOUT);
        assert_true(now_ms() - start >= 140);
}

static void a_peer_that_leaves_is_noticed(void **state) {
        _cleanup_(client_done) struct client c = CLIENT_NULL;
        int peer = connected(&c, 5000);
        char *msg = NULL;
        size_t n;

        (void) state;
        (void) close(peer);
        assert_int_equal(client_recv(&c, &msg, &n), -ECONNRESET);
        assert_int_equal(client_send(&c, "x", 1), -ECONNRESET);
}

static void the_largest_answer_fits_and_a_larger_one_does_not(void **state) {
        _cleanup_(client_done) struct client c = CLIENT_NULL;
        _cleanup_close_ int peer = connected(&c, 5000);
        _cleanup_free_ char *big = calloc(1, CLIENT_MESSAGE_MAX + 1);
        char *msg = NULL;
        size_t n;

        (void) state;
        assert_non_null(big);
        assert_int_equal(send(peer, big, CLIENT_MESSAGE_MAX, 0), CLIENT_MESSAGE_MAX);
        assert_int_equal(client_recv(&c, &msg, &n), 0);
        assert_int_equal(n, CLIENT_MESSAGE_MAX);
        free(msg);
        msg = NULL;
        assert_int_equal(send(peer, big, CLIENT_MESSAGE_MAX + 1, 0), CLIENT_MESSAGE_MAX + 1);
        assert_int_equal(client_recv(&c, &msg, &n), -EMSGSIZE);
        assert_null(msg);
}

static void nobody_there_is_said_at_once(void **state) {
        struct client c = CLIENT_NULL;
        char longer[200];

        (void) state;
        assert_int_equal(client_connect(scratch_path(&dir, "nothing"), 5000, &c), -ENOENT);
        memset(longer, 'x', sizeof(longer));
        longer[sizeof(longer) - 1] = '\0';
        assert_int_equal(client_connect(longer, 5000, &c), -ENAMETOOLONG);
        assert_int_equal(c.fd, -EBADF);
}

/* Under a flood the gate's queue is full: that must not outlast the deadline either. */
static void a_full_queue_ends_at_the_deadline(void **state) {
        struct client c[8];
        int64_t start = now_ms();
        int r = 0;
        size_t n = 0;

        (void) state;
        for (; n < ELEMENTSOF(c) && r == 0; n++) {
                c[n] = CLIENT_NULL;
                r = client_connect(scratch_path(&dir, "gate"), 200, &c[n]);
        }
        assert_int_equal(r, -ETIMEDOUT);
        assert_true(now_ms() - start < 60000);
        for (size_t i = 0; i < n; i++) {
                if (c[i].fd >= 0)
                        (void) close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
                client_done(&c[i]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(messages_keep_their_bounds),
                cmocka_unit_test(silence_ends_at_the_deadline),
                cmocka_unit_test(a_peer_that_leaves_is_noticed),
                cmocka_unit_test(the_largest_answer_fits_and_a_larger_one_does_not),
                cmocka_unit_test(nobody_there_is_said_at_once),
                cmocka_unit_test(a_full_queue_ends_at_the_deadline),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
