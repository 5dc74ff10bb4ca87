/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/carrier_frame.c */

/* What the process that talks to brokers may say, and what of that is no frame. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "ctl/carrier_frame.h"

/* What comes out at the other end; how many bytes. */
static size_t through_a_socket(const struct carrier_frame *f, const char *subject, const char *reply, const char *text,
                               size_t n, char *ret, size_t size) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(carrier_frame_send(fds[0], f, subject, reply, text, n), 0);
        ssize_t got = recv(fds[1], ret, size, 0);
        assert_true(got > 0);
        (void) close(fds[0]);
        (void) close(fds[1]);
        return (size_t) got;
}

static void what_is_sent_is_what_is_read(void **state) {
        static char bytes[CARRIER_FRAME_MAX], large[CARRIER_TEXT_MAX];
        const struct carrier_frame f = { .kind = CARRIER_MESSAGE, .status = 404, .sequence = INT64_MAX };
        struct carrier_parts p;

        (void) state;
        memset(large, 'x', sizeof(large));
        size_t n = through_a_socket(&f, "a.subject", "an.inbox", large, sizeof(large), bytes, sizeof(bytes));
        assert_int_equal(carrier_frame_read(bytes, n, &p), 0);
        assert_int_equal(p.head.kind, CARRIER_MESSAGE);
        assert_int_equal(p.head.status, 404);
        assert_true(p.head.sequence == INT64_MAX);
        assert_int_equal(p.head.n_subject, 9);
        assert_memory_equal(p.subject, "a.subject", 9);
        assert_int_equal(p.head.n_reply, 8);
        assert_memory_equal(p.reply, "an.inbox", 8);
        assert_int_equal(p.n, sizeof(large));
        assert_memory_equal(p.text, large, sizeof(large));
}

/* Lengths that point outside of the bytes, also those whose sum is small again. */
static void lengths_that_lie_make_no_frame(void **state) {
        static const uint32_t lies[][2] = {
                { 11, 0 },
                { 0, 11 },
                { 6, 5 },
                { UINT32_MAX, 1 },
                { 1, UINT32_MAX },
                { UINT32_MAX, UINT32_MAX },
                { 1U << 31, 1U << 31 },
                { CARRIER_SUBJECT_SIZE, 0 },
        };
        char bytes[sizeof(struct carrier_frame) + 10] = "";
        struct carrier_parts p;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
                const struct carrier_frame f = { .kind = CARRIER_MESSAGE,
                                                 .n_subject = lies[i][0],
                                                 .n_reply = lies[i][1] };

                memcpy(bytes, &f, sizeof(f));
                assert_int_equal(carrier_frame_read(bytes, sizeof(bytes), &p), -EBADMSG);
        }
        const struct carrier_frame honest = { .n_subject = 6, .n_reply = 4 };
        memcpy(bytes, &honest, sizeof(honest));
        assert_int_equal(carrier_frame_read(bytes, sizeof(bytes), &p), 0);
        assert_int_equal(p.n, 0);
        for (size_t n = 0; n < sizeof(bytes); n++)
                assert_int_equal(carrier_frame_read(bytes, n, &p), -EBADMSG);
}

static void what_has_no_room_is_not_sent(void **state) {
        static char long_subject[CARRIER_SUBJECT_SIZE + 1], text[CARRIER_TEXT_MAX + 1];
        const struct carrier_frame f = { .kind = CARRIER_MESSAGE };

        (void) state;
        memset(long_subject, 's', CARRIER_SUBJECT_SIZE);
        assert_int_equal(carrier_frame_send(-1, &f, long_subject, "", "", 0), -EMSGSIZE);
        assert_int_equal(carrier_frame_send(-1, &f, "", long_subject, "", 0), -EMSGSIZE);
        assert_int_equal(carrier_frame_send(-1, &f, "", "", text, sizeof(text)), -EMSGSIZE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_sent_is_what_is_read),
                cmocka_unit_test(lengths_that_lie_make_no_frame),
                cmocka_unit_test(what_has_no_room_is_not_sent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
