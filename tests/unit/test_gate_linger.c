/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: tests/lib/gate_rig.c */

/* The real freezed-gate and who sends it descriptors whose closing takes for ever. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "agent/gate/limit.h"
#include "lib/gate_rig.h"
#include "lib/people.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define HEALTH    "{\"query\":\"health\",\"nonce\":\"00112233445566778899aabbccddeeff\"}"
#define N_SOCKETS 8
#define FOR_EVER  3600

static struct rig rig;

static int stop(void **state) {
        (void) state;
        rig_stop(&rig);
        return 0;
}

static int listen_on_loopback(struct sockaddr_in *ret) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
        socklen_t n = sizeof(*ret);

        *ret = (struct sockaddr_in) { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
        assert_int_equal(bind(fd, (struct sockaddr *) ret, n), 0);
        assert_int_equal(listen(fd, N_SOCKETS), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) ret, &n), 0);
        return fd;
}

/* Its closing waits until somebody has read what it sent, and nobody ever does. */
static int lingering(const struct sockaddr_in *to) {
        const struct linger l = { .l_onoff = 1, .l_linger = FOR_EVER };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char bytes[4096] = {};

        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
        assert_int_equal(connect(fd, (const struct sockaddr *) to, sizeof(*to)), 0);
        do
                while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
                }
        while (poll(&(struct pollfd) { .fd = fd, .events = POLLOUT }, 1, 100) > 0);
        return fd;
}

/* Sends text with that many descriptors, and closes them here; -errno. */
static int send_with(int client, const char *text, const int *fds, size_t n_fds) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(N_SOCKETS * sizeof(int))] = {};
        struct iovec v = { (void *) text, strlen(text) };
        struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control };
        struct cmsghdr *c = (void *) control;
        int r;

        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        *c = (struct cmsghdr) { CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        r = sendmsg(client, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
        for (size_t i = 0; i < n_fds && r == 0; i++)
                assert_int_equal(close(fds[i]), 0);
        return r;
}

static void send_lingering(int client, const char *text, const struct sockaddr_in *to, size_t n) {
        int fds[N_SOCKETS];

        for (size_t i = 0; i < n; i++)
                fds[i] = lingering(to);
        assert_int_equal(send_with(client, text, fds, n), 0);
}

static void expect_served(int client) {
        char text[1024];
        struct frame f;

        rig_send_string(client, HEALTH);
        f = rig_take(&rig);
        assert_int_equal(f.kind, FRAME_HEALTH);
        rig_reply(&rig, f.number, "{}", 2, false);
        assert_true(rig_recv(client, text, sizeof(text)));
        assert_string_equal(text, "{}");
}

static void gate_does_not_wait_for_a_descriptor_that_came_along(void **state) {
        _cleanup_close_ int listener = -EBADF;
        struct sockaddr_in at;
        _cleanup_free_ char *order = rig_envelope("{\"n\":1}", BY(ALICE));
        int clients[LIMIT_CONNECTIONS_PER_UID + 1];

        (void) state;
        listener = listen_on_loopback(&at);
        rig_start_late(&rig, clients, ELEMENTSOF(clients));
        /* the gate reads it */
        send_lingering(clients[0], "x", &at, N_SOCKETS - 4);
        /* it is thrown away unread, after failures enough */
        for (unsigned int i = 0; i < LIMIT_SLIPS_MAX; i++)
                rig_send_string(clients[1], "x");
        send_lingering(clients[1], "x", &at, 2);
        assert_int_equal(close(clients[1]), 0);
        /* and so it is with who is one too many */
        send_lingering(clients[ELEMENTSOF(clients) - 1], "x", &at, 2);

        rig_keys(&rig, KEY_STRANGER);
        rig_send_string(clients[2], order);
        assert_int_equal(rig_take(&rig).kind, FRAME_COMMAND);
        expect_served(clients[3]);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                if (i != 1)
                        assert_int_equal(close(clients[i]), 0);
}

static void gate_lets_nobody_send_a_descriptor(void **state) {
        int first, client, pair[2], one;
        socklen_t n = sizeof(one);

        (void) state;
        rig_start(&rig);
        rig_keys(&rig, KEY_STRANGER);
        first = rig_connect(&rig, geteuid());
        /* an answer proves that its start is over */
        expect_served(first);
        client = rig_connect(&rig, geteuid());
        if (getsockopt(client, SOL_SOCKET, SO_PASSRIGHTS, &one, &n) < 0) {
                print_message("skip: this kernel takes any descriptor to any socket\n");
                skip();
        }
        assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(send_with(client, HEALTH, pair, 1), -EPERM);
        assert_int_equal(close(pair[0]), 0);
        assert_int_equal(close(pair[1]), 0);
        expect_served(client);
        assert_int_equal(close(client), 0);
        assert_int_equal(close(first), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(gate_does_not_wait_for_a_descriptor_that_came_along, stop),
                cmocka_unit_test_teardown(gate_lets_nobody_send_a_descriptor, stop),
        };

        return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, NULL, NULL);
}
