/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/errands.c agent/util/clock.c */

/* Against a gate that the test plays: one that answers, answers twice, is busy, closes, or is not there. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/relay/errands.h"
#include "agent/util/clock.h"

static struct {
        char dir[32];
        struct sockaddr_un address;
        int listener;
        sd_event *event;
        struct errands *errands;
        enum errand_verdict verdict;
        unsigned n_answers, n_room;
        enum errand_heard before;
        char last[64];
} box;

static enum errand_verdict on_answer(void *userdata, enum errand what, enum errand_heard before, const char *text,
                                     size_t n) {
        (void) userdata;
        (void) what;
        box.before = before;
        box.n_answers++;
        (void) snprintf(box.last, sizeof(box.last), "%.*s", (int) n, text);
        return box.verdict;
}

static void on_room(void *userdata) {
        (void) userdata;
        box.n_room++;
}

static void listen_there(void) {
        box.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(box.listener, (struct sockaddr *) &box.address, sizeof(box.address)), 0);
        assert_int_equal(listen(box.listener, 64), 0);
}

static int begin(void **state) {
        (void) state;
        memset(&box, 0, sizeof(box));
        box.verdict = ERRAND_DONE;
        (void) snprintf(box.dir, sizeof(box.dir), "/tmp/errands-XXXXXX");
        assert_non_null(mkdtemp(box.dir));
        box.address.sun_family = AF_UNIX;
        (void) snprintf(box.address.sun_path, sizeof(box.address.sun_path), "%s/gate", box.dir);
        assert_int_equal(sd_event_new(&box.event), 0);
        assert_int_equal(errands_new(box.event, box.address.sun_path, on_answer, on_room, NULL, &box.errands), 0);
        listen_there();
        return 0;
}

static int end(void **state) {
        (void) state;
        errands_free(box.errands);
        (void) sd_event_unref(box.event);
        closep(&box.listener);
        (void) unlink(box.address.sun_path);
        return rmdir(box.dir);
}

/* Runs the loop until there is nothing to do right now. */
static void turn(void) {
        while (sd_event_run(box.event, 20 * 1000) > 0)
                ;
}

/* The next connection, and what it says; below 0 when there is none. */
static int accept_one(char ret[static 64]) {
        int fd;

        turn();
        fd = accept4(box.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
                return -1;
        turn();
        memset(ret, 0, 64);
        return recv(fd, ret, 63, 0) > 0 ? fd : -2;
}

/* The same when it is tried again. */
static int accept_later(char ret[static 64]) {
        struct pollfd p = { .fd = box.listener, .events = POLLIN };

        for (int i = 0; i < 3000 && poll(&p, 1, 0) == 0; i++)
                (void) sd_event_run(box.event, 20 * 1000);
        return accept_one(ret);
}

static void say(int fd, const char *text) {
        assert_true(send(fd, text, strlen(text), MSG_NOSIGNAL) > 0);
        turn();
}

static bool is_closed(int fd) {
        char c;

        turn();
        return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

static void send_errand(enum errand what, const char *text) {
        assert_int_equal(errands_send(box.errands, what, text, strlen(text)), 0);
}

static void an_errand_brings_its_answer_and_is_over(void **state) {
        char text[64];
        int fd;

        (void) state;
        send_errand(ERRAND_ENVELOPE, "order");
        fd = accept_one(text);
        assert_string_equal(text, "order");
        say(fd, "receipt");
        assert_string_equal(box.last, "receipt");
        assert_true(is_closed(fd));
        assert_int_equal(box.n_room, 1);
        assert_int_equal(close(fd), 0);
}

static void an_answer_that_is_not_the_last_is_followed_by_another(void **state) {
        char text[64];
        int fd;

        (void) state;
        send_errand(ERRAND_ENVELOPE, "order");
        fd = accept_one(text);
        box.verdict = ERRAND_MORE;
        say(fd, "first");
        assert_false(is_closed(fd));
        /* others may go on */
        assert_int_equal(box.n_room, 1);
        say(fd, "more");
        assert_int_equal(box.n_room, 1);
        box.verdict = ERRAND_DONE;
        say(fd, "second");
        assert_true(is_closed(fd));
        assert_int_equal(box.n_answers, 3);
        assert_int_equal(close(fd), 0);
}

/* The clock of the other thirty seconds is not waited for: nobody is kept by it, and that is bounded. */
static void what_is_answered_later_waits_without_a_connection_and_keeps_nobody(void **state) {
        char text[64], order[32];
        int fd;

        (void) state;
        box.verdict = ERRAND_LATER;
        for (unsigned i = 0; i < ERRANDS_LATER_MAX; i++) {
                (void) snprintf(order, sizeof(order), "duplicate %u", i);
                send_errand(ERRAND_FIRST, order);
                fd = accept_one(text);
                say(fd, "under way");
                assert_true(is_closed(fd));
                assert_int_equal(box.before, ERRAND_NOTHING);
                assert_int_equal(close(fd), 0);
        }
        assert_true(errands_are_answered(box.errands, ERRAND_FIRST));
        assert_int_equal(box.n_room, ERRANDS_LATER_MAX);
        for (unsigned i = ERRANDS_LATER_MAX; i < ERRANDS_MAX; i++)
                send_errand(ERRAND_ENVELOPE, "order");
        assert_false(errands_has_room(box.errands));
        /* one more gives up the oldest of them */
        fd = accept_one(text);
        assert_string_equal(text, "order");
        say(fd, "under way");
        assert_int_equal(close(fd), 0);
        assert_true(errands_has_room(box.errands));
        send_errand(ERRAND_ENVELOPE, "order");
        assert_false(errands_has_room(box.errands));
}

static void bring_copy(const char *want) {
        char text[64];
        int fd;

        send_errand(ERRAND_ENVELOPE, want);
        fd = accept_one(text);
        assert_string_equal(text, want);
        box.verdict = ERRAND_LATER;
        say(fd, "under way");
        assert_true(is_closed(fd));
        /* who brought it is told */
        assert_int_equal(box.before, ERRAND_NOTHING);
        assert_int_equal(close(fd), 0);
}

static void copies_of_an_order_take_the_place_of_no_other(void **state) {
        (void) state;
        bring_copy("one");
        for (unsigned i = 0; i <= ERRANDS_LATER_MAX; i++)
                bring_copy("another");
        /* beside the two of them */
        for (unsigned i = 2; i < ERRANDS_MAX; i++)
                send_errand(ERRAND_ENVELOPE, "new");
        assert_false(errands_has_room(box.errands));
}

static void a_copy_leaves_the_order_its_connection(void **state) {
        char text[64];
        int fd;

        (void) state;
        send_errand(ERRAND_ENVELOPE, "order");
        fd = accept_one(text);
        box.verdict = ERRAND_MORE;
        say(fd, "first");
        bring_copy("order");
        assert_false(is_closed(fd));
        box.verdict = ERRAND_DONE;
        say(fd, "last");
        assert_string_equal(box.last, "last");
        for (unsigned i = 0; i < ERRANDS_MAX; i++)
                send_errand(ERRAND_ENVELOPE, "new");
        assert_int_equal(close(fd), 0);
}

static void an_answer_after_an_answer_is_not_the_first(void **state) {
        char text[64];
        int fd;

        (void) state;
        send_errand(ERRAND_ENVELOPE, "order");
        fd = accept_one(text);
        box.verdict = ERRAND_AGAIN;
        say(fd, "busy");
        assert_int_equal(box.before, ERRAND_NOTHING);
        assert_int_equal(close(fd), 0);
        fd = accept_later(text);
        box.verdict = ERRAND_MORE;
        say(fd, "first");
        assert_int_equal(box.before, ERRAND_NOTHING);
        say(fd, "second");
        assert_int_equal(box.before, ERRAND_ANSWERED);
        assert_int_equal(close(fd), 0);
        fd = accept_later(text);
        box.verdict = ERRAND_DONE;
        say(fd, "duplicate");
        assert_int_equal(box.before, ERRAND_ANSWERED);
        assert_int_equal(close(fd), 0);
}

static void what_others_wait_for_is_answered_when_the_gate_took_it(void **state) {
        char text[64];
        int fd, order;

        (void) state;
        assert_true(errands_are_answered(box.errands, ERRAND_FIRST));
        send_errand(ERRAND_ENVELOPE, "order");
        order = accept_one(text);
        assert_true(errands_are_answered(box.errands, ERRAND_FIRST));
        send_errand(ERRAND_FIRST, "release");
        assert_false(errands_are_answered(box.errands, ERRAND_FIRST));
        fd = accept_one(text);
        assert_string_equal(text, "release");
        box.verdict = ERRAND_AGAIN;
        say(fd, "busy");
        assert_int_equal(close(fd), 0);
        assert_false(errands_are_answered(box.errands, ERRAND_FIRST));
        fd = accept_later(text);
        assert_string_equal(text, "release");
        box.verdict = ERRAND_MORE;
        say(fd, "taken");
        assert_true(errands_are_answered(box.errands, ERRAND_FIRST));
        assert_int_equal(close(fd), 0);
        assert_int_equal(close(order), 0);
}

static void the_same_bytes_go_again_when_the_gate_is_busy_closes_or_is_away(void **state) {
        char text[64];
        int fd;

        (void) state;
        assert_int_equal(close(box.listener), 0);
        assert_int_equal(unlink(box.address.sun_path), 0);
        send_errand(ERRAND_ENVELOPE, "order");
        turn();
        listen_there();
        fd = accept_later(text);
        assert_true(fd >= 0);
        assert_string_equal(text, "order");
        assert_int_equal(close(fd), 0);
        fd = accept_later(text);
        assert_true(fd >= 0);
        box.verdict = ERRAND_AGAIN;
        say(fd, "busy");
        assert_true(is_closed(fd));
        assert_int_equal(close(fd), 0);
        box.verdict = ERRAND_DONE;
        fd = accept_later(text);
        assert_string_equal(text, "order");
        say(fd, "receipt");
        assert_true(is_closed(fd));
        assert_int_equal(close(fd), 0);
        assert_int_equal(errands_lost(box.errands), 0);
}

static void what_was_refused_for_what_may_pass_goes_again_each_time_later(void **state) {
        int64_t then = 0, before = 0;
        char text[64];

        (void) state;
        box.verdict = ERRAND_WAIT;
        send_errand(ERRAND_FIRST, "release");
        for (unsigned i = 0; i < 3; i++) {
                int fd = accept_later(text);

                assert_string_equal(text, "release");
                if (i > 0)
                        assert_true(clock_mono_us() - then >= 900 * 1000 && clock_mono_us() - then > before);
                before = i > 0 ? clock_mono_us() - then : 0;
                then = clock_mono_us();
                say(fd, "disk full");
                assert_int_equal(box.before, i == 0 ? ERRAND_NOTHING : ERRAND_REFUSED);
                assert_true(is_closed(fd));
                assert_int_equal(close(fd), 0);
                /* orders do not wait for it */
                assert_true(errands_are_answered(box.errands, ERRAND_FIRST));
                assert_int_equal(box.n_room, 1);
        }
        box.verdict = ERRAND_DONE;
        int fd = accept_later(text);
        say(fd, "released");
        assert_int_equal(box.before, ERRAND_REFUSED);
        assert_int_equal(close(fd), 0);
        assert_int_equal(box.n_room, 2);
}

/* Refuses all that come until none has for a second. Returns how many did; ret counts those that say this. */
static unsigned refuse_all(const char *want, unsigned *ret) {
        struct pollfd p = { .fd = box.listener, .events = POLLIN };
        unsigned n = 0;
        char text[64];

        for (int quiet = 0; quiet < 50; quiet++) {
                (void) sd_event_run(box.event, 20 * 1000);
                if (poll(&p, 1, 0) != 1)
                        continue;
                int fd = accept_one(text);
                n++;
                *ret += strcmp(text, want) == 0;
                say(fd, "disk full");
                assert_int_equal(close(fd), 0);
                quiet = 0;
        }
        return n;
}

static void of_what_may_pass_little_waits_and_what_stops_goes_last(void **state) {
        unsigned stops = 0;
        char text[64];

        (void) state;
        box.verdict = ERRAND_WAIT;
        send_errand(ERRAND_ENVELOPE, "stop");
        for (unsigned i = 0; i <= ERRANDS_REFUSED_MAX; i++) {
                (void) snprintf(text, sizeof(text), "release %u", i);
                send_errand(ERRAND_OTHER, text);
                /* of copies one waits */
                send_errand(ERRAND_OTHER, text);
        }
        assert_true(refuse_all("stop", &stops) > ERRANDS_REFUSED_MAX);
        stops = 0;
        for (unsigned i = 0; i < 30 && stops == 0; i++)
                (void) refuse_all("stop", &stops);
        assert_true(stops > 0);
        /* all but these are given up */
        for (unsigned i = ERRANDS_REFUSED_MAX; i < ERRANDS_MAX; i++)
                send_errand(ERRAND_ENVELOPE, "new");
        assert_false(errands_has_room(box.errands));
}

static void what_the_gate_cannot_read_goes_once_more_without_what_it_is_carried_in(void **state) {
        char text[64];
        int fd;

        (void) state;
        box.verdict = ERRAND_BARE;
        send_errand(ERRAND_ENVELOPE, "{\"carried\":order}");
        fd = accept_one(text);
        assert_string_equal(text, "{\"carried\":order}");
        say(fd, "malformed");
        assert_true(is_closed(fd));
        assert_int_equal(close(fd), 0);
        assert_int_equal(box.n_room, 0);
        fd = accept_later(text);
        assert_true(fd >= 0);
        assert_string_equal(text, "order");
        say(fd, "malformed");
        assert_true(is_closed(fd));
        assert_int_equal(close(fd), 0);
        assert_int_equal(box.n_room, 1);
        assert_int_equal(accept_one(text), -1);
}

static void questions_go_one_at_a_time_and_few_wait(void **state) {
        char text[64];
        int fd;

        (void) state;
        for (unsigned i = 0; i < ERRANDS_QUERIES_MAX; i++)
                send_errand(ERRAND_QUERY, "who");
        assert_int_equal(errands_send(box.errands, ERRAND_QUERY, "who", 3), -EAGAIN);
        fd = accept_one(text);
        assert_true(fd >= 0);
        assert_int_equal(accept_one(text), -1);
        /* which keeps no order waiting */
        send_errand(ERRAND_ENVELOPE, "order");
        assert_int_equal(close(accept_one(text)), 0);
        assert_string_equal(text, "order");
        say(fd, "report");
        assert_int_equal(close(fd), 0);
        fd = accept_one(text);
        assert_string_equal(text, "who");
        assert_int_equal(close(fd), 0);
}

static void orders_that_wait_for_evidence_make_room_for_new_ones(void **state) {
        int fds[ERRANDS_OPEN_MAX], fd;
        char text[64];

        (void) state;
        for (unsigned i = 0; i < ERRANDS_OPEN_MAX; i++) {
                send_errand(ERRAND_ENVELOPE, "snapshot");
                fds[i] = accept_one(text);
                assert_true(fds[i] >= 0);
        }
        send_errand(ERRAND_ENVELOPE, "release");
        assert_int_equal(accept_one(text), -1);
        box.verdict = ERRAND_MORE;
        say(fds[3], "first");
        fd = accept_later(text);
        assert_true(fd >= 0);
        assert_string_equal(text, "release");
        assert_true(is_closed(fds[3]));
        assert_false(is_closed(fds[0]));
        for (unsigned i = 0; i < ERRANDS_OPEN_MAX; i++)
                assert_int_equal(close(fds[i]), 0);
        assert_int_equal(close(fd), 0);
}

static void it_is_bounded(void **state) {
        (void) state;
        for (unsigned i = 0; i < ERRANDS_MAX; i++)
                send_errand(ERRAND_ENVELOPE, "order");
        assert_false(errands_has_room(box.errands));
        assert_int_equal(errands_send(box.errands, ERRAND_ENVELOPE, "order", 5), -EAGAIN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(an_errand_brings_its_answer_and_is_over),
                CASE(an_answer_that_is_not_the_last_is_followed_by_another),
                CASE(what_is_answered_later_waits_without_a_connection_and_keeps_nobody),
                CASE(copies_of_an_order_take_the_place_of_no_other),
                CASE(a_copy_leaves_the_order_its_connection),
                CASE(an_answer_after_an_answer_is_not_the_first),
                CASE(what_others_wait_for_is_answered_when_the_gate_took_it),
                CASE(the_same_bytes_go_again_when_the_gate_is_busy_closes_or_is_away),
                CASE(what_was_refused_for_what_may_pass_goes_again_each_time_later),
                CASE(of_what_may_pass_little_waits_and_what_stops_goes_last),
                CASE(what_the_gate_cannot_read_goes_once_more_without_what_it_is_carried_in),
                CASE(questions_go_one_at_a_time_and_few_wait),
                CASE(orders_that_wait_for_evidence_make_room_for_new_ones),
                CASE(it_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
