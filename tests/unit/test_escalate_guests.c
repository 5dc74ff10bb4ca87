/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_guests.c */

/* Who may stay connected to the listener, and who goes for whom, with real sockets. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/escalate_guests.h"
#include "policy/cleanup.h"

struct room {
        struct escalate_guests g;
        int ours[ESCALATE_GUESTS_MAX], theirs[ESCALATE_GUESTS_MAX];
        size_t n;
};

static int begin(void **state) {
        struct room *r = calloc(1, sizeof(*r));

        escalate_guests_init(&r->g);
        *state = r;
        return 0;
}

static int end(void **state) {
        struct room *r = *state;

        for (size_t i = 0; i < r->n; i++) {
                (void) close(r->ours[i]);
                (void) close(r->theirs[i]);
        }
        escalate_guests_done(&r->g);
        free(r);
        return 0;
}

/* One more client of 10.0.0.LAST; its number. */
static size_t come(struct room *r, unsigned last, int64_t now) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000000 + last) };
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        r->ours[r->n] = fds[0];
        r->theirs[r->n] = fds[1];
        escalate_guests_come(&r->g, &r->ours[r->n], fds[0], (const struct sockaddr *) &a, now);
        return r->n++;
}

static bool is_sent_away(const struct room *r, size_t i) {
        char byte;

        return recv(r->ours[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

static void a_client_has_so_many_places_before_it_is_known(void **state) {
        struct room *r = *state;

        for (int64_t i = 0; i < ESCALATE_GUESTS_STRANGERS_MAX; i++)
                (void) come(r, 1, i);
        assert_int_equal(escalate_guests_sent_away(&r->g), 0);
        (void) come(r, 2, 100);
        assert_true(is_sent_away(r, 0));
        assert_false(is_sent_away(r, 1));
        assert_int_equal(escalate_guests_sent_away(&r->g), 1);
        assert_int_equal(escalate_guests_sent_away(&r->g), 0);
}

static void who_is_known_stays(void **state) {
        struct room *r = *state;

        for (int64_t i = 0; i < ESCALATE_GUESTS_STRANGERS_MAX; i++)
                (void) come(r, 1, i);
        escalate_guests_know(&r->g, &r->ours[0]);
        (void) come(r, 1, 100);
        assert_int_equal(escalate_guests_sent_away(&r->g), 0);
        (void) come(r, 1, 101);
        assert_false(is_sent_away(r, 0));
        assert_true(is_sent_away(r, 1));
        /* the next request on its connection is a stranger's, and not an old one */
        escalate_guests_rest(&r->g, &r->ours[0], 102);
        (void) come(r, 1, 103);
        assert_false(is_sent_away(r, 0));
        assert_true(is_sent_away(r, 2));
}

static void in_a_crowd_the_one_with_the_most_places_makes_room(void **state) {
        struct room *r = *state;

        (void) come(r, 99, 0);
        for (unsigned i = 1; i < ESCALATE_GUESTS_CROWD; i++)
                (void) come(r, 1 + i % 10, i);
        assert_int_equal(escalate_guests_sent_away(&r->g), 0);
        (void) come(r, 77, 1000);
        assert_int_equal(escalate_guests_sent_away(&r->g), 1);
        /* it was there first, and has one place only */
        assert_false(is_sent_away(r, 0));
        assert_true(is_sent_away(r, 1));
}

static void a_stranger_has_so_long_for_its_headers(void **state) {
        struct room *r = *state;

        assert_int_equal(escalate_guests_sweep(&r->g, 0), -1);
        (void) come(r, 1, 0);
        (void) come(r, 1, 4000);
        (void) come(r, 1, 4000);
        escalate_guests_know(&r->g, &r->ours[2]);
        assert_int_equal(escalate_guests_sweep(&r->g, ESCALATE_GUESTS_STRANGER_MS - 1), 1);
        assert_false(is_sent_away(r, 0));
        assert_int_equal(escalate_guests_sweep(&r->g, ESCALATE_GUESTS_STRANGER_MS), 4000);
        assert_true(is_sent_away(r, 0));
        assert_int_equal(escalate_guests_sweep(&r->g, 10LL * ESCALATE_GUESTS_STRANGER_MS), -1);
        assert_true(is_sent_away(r, 1));
        assert_false(is_sent_away(r, 2));
        assert_int_equal(escalate_guests_sent_away(&r->g), 2);
}

static void who_has_left_is_not_touched(void **state) {
        struct room *r = *state;

        (void) come(r, 1, 0);
        (void) come(r, 1, 0);
        escalate_guests_leave(&r->g, &r->ours[0]);
        assert_int_equal(escalate_guests_sweep(&r->g, ESCALATE_GUESTS_STRANGER_MS), -1);
        assert_false(is_sent_away(r, 0));
        assert_true(is_sent_away(r, 1));
}

static void what_was_sent_in_whole_is_read_by_who_goes(void **state) {
        struct room *r = *state;
        char text[8] = "";

        (void) come(r, 1, 0);
        assert_int_equal(send(r->theirs[0], "whole", 5, 0), 5);
        (void) escalate_guests_sweep(&r->g, ESCALATE_GUESTS_STRANGER_MS);
        assert_int_equal(recv(r->ours[0], text, sizeof(text), 0), 5);
        assert_int_equal(recv(r->ours[0], text, sizeof(text), 0), 0);
        assert_int_equal(send(r->ours[0], "answer", 6, MSG_NOSIGNAL), 6);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_client_has_so_many_places_before_it_is_known, begin, end),
                cmocka_unit_test_setup_teardown(who_is_known_stays, begin, end),
                cmocka_unit_test_setup_teardown(in_a_crowd_the_one_with_the_most_places_makes_room, begin, end),
                cmocka_unit_test_setup_teardown(a_stranger_has_so_long_for_its_headers, begin, end),
                cmocka_unit_test_setup_teardown(who_has_left_is_not_touched, begin, end),
                cmocka_unit_test_setup_teardown(what_was_sent_in_whole_is_read_by_who_goes, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
