/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/courier.c ctl/carrier.c ctl/carrier_child.c ctl/carrier_frame.c ctl/file.c ctl/text.c ctl/why.c */
/* LINK: ctl/times.c */

/* The process that keeps a connection to brokers, with a real nats-server that comes and goes. */

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/courier.h"
#include "lib/nats_fixture.h"

/* a try to connect may be 10 s after the one before */
#define WAIT_MS 60000

static struct courier *start(void) {
        const struct broker b = nats_broker_at(server.port);
        struct courier *c = NULL;

        assert_int_equal(courier_start(&b, "prod", &c), 0);
        return c;
}

/* The next one of that kind, which has to come. */
static struct courier_event *next(struct courier *c, enum courier_kind kind) {
        struct pollfd p = { .fd = courier_fd(c), .events = POLLIN };

        for (;;) {
                struct courier_event *e = NULL;

                assert_int_equal(courier_take(c, &e), 0);
                if (e && e->kind == kind)
                        return e;
                if (!e && poll(&p, 1, WAIT_MS) != 1)
                        fail_msg("nothing came");
                free(e);
        }
}

static void wait_for(struct courier *c, enum courier_kind kind) {
        free(next(c, kind));
}

static const struct subject order = { .kind = SUBJECT_CMD_GROUP, .fleet = "prod", .group = "web", .id = { { 1 } } };

static void give(struct courier *c, const struct subject *s, const char *text) {
        char subject[SUBJECT_SIZE];

        assert_int_equal(subject_build(s, subject), 0);
        assert_int_equal(courier_give(c, subject, text, strlen(text)), 0);
}

static struct carrier *host(void) {
        struct broker b = { .n_servers = 0 };
        struct carrier *h = NULL;
        struct why w;

        nats_server_add(&b, server.port);
        if (carrier_open(&b, &h, &w) != 0)
                fail_msg("%s", w.text);
        assert_int_equal(carrier_hear(h, "frz.v1.prod.cmd.>"), 0);
        assert_int_equal(carrier_settle(h), 0);
        return h;
}

static void answer(struct carrier *h, const struct subject *s) {
        char subject[SUBJECT_SIZE];

        assert_int_equal(subject_build(s, subject), 0);
        assert_int_equal(carrier_say(h, subject, NULL, "receipt", 7), 0);
        assert_int_equal(carrier_settle(h), 0);
}

static void an_order_goes_out_and_only_its_answers_come_back(void **state) {
        struct courier *c = start();
        _cleanup_(carrier_freep) struct carrier *h = host();
        struct subject a = { .kind = SUBJECT_RSP, .fleet = "prod", .host = { 7 }, .id = order.id }, other = a;

        (void) state;
        wait_for(c, COURIER_UP);
        give(c, &order, "contain");
        _cleanup_free_ struct courier_event *sent = next(c, COURIER_SENT);
        assert_true(command_id_equal(&sent->subject.id, &order.id));
        _cleanup_free_ struct carrier_event *e = NULL;
        assert_int_equal(carrier_next(h, WAIT_MS, &e), 0);
        assert_non_null(e);
        assert_string_equal(e->text, "contain");

        other.id.b[0] = 2;
        answer(h, &other);
        answer(h, &a);
        _cleanup_free_ struct courier_event *got = next(c, COURIER_ANSWER);
        assert_true(command_id_equal(&got->subject.id, &order.id));
        assert_memory_equal(got->subject.host, a.host, sizeof(a.host));
        assert_string_equal(got->text, "receipt");
        courier_freep(&c);
}

static void more_orders_than_one_connection_listens_for_are_sent_all_the_same(void **state) {
        struct courier *c = start();
        struct subject s = order;

        (void) state;
        wait_for(c, COURIER_UP);
        for (unsigned i = 0; i < COURIER_HEARD_MAX; i++) {
                s.id.b[1] = (uint8_t) (i >> 8);
                s.id.b[2] = (uint8_t) i;
                give(c, &s, "contain");
                wait_for(c, COURIER_SENT);
        }
        s.id.b[3] = 1;
        give(c, &s, "contain");
        wait_for(c, COURIER_UP);
        give(c, &s, "contain");
        wait_for(c, COURIER_SENT);
        courier_freep(&c);
}

static void whoever_gives_it_orders_never_waits_for_it(void **state) {
        static char text[64 * 1024];
        struct courier *c = start();
        char subject[SUBJECT_SIZE];
        int r = 0;

        (void) state;
        memset(text, 'x', sizeof(text));
        assert_int_equal(subject_build(&order, subject), 0);
        wait_for(c, COURIER_UP);
        assert_int_equal(kill(server.pid, SIGSTOP), 0);
        for (unsigned i = 0; r == 0 && i < 1000; i++)
                r = courier_give(c, subject, text, sizeof(text));
        assert_int_equal(r, -EAGAIN);
        wait_for(c, COURIER_DOWN);
        assert_int_equal(kill(server.pid, SIGCONT), 0);
        wait_for(c, COURIER_UP);
        courier_freep(&c);
}

/* The pid of the only child of that process. */
static pid_t child_of(pid_t pid) {
        char path[64];
        int child = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        return f && fscanf(f, "%d", &child) == 1 ? child : 0;
}

static void what_kills_the_process_has_it_for_a_moment(void **state) {
        struct courier *c = start();
        pid_t nurse = child_of(getpid());

        (void) state;
        /* the server is a child, too, and the older one */
        if (nurse == server.pid) {
                char path[64];
                int first, second;

                (void) snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
                _cleanup_fclose_ FILE *f = fopen(path, "re");
                assert_int_equal(fscanf(f, "%d %d", &first, &second), 2);
                nurse = second;
        }
        wait_for(c, COURIER_UP);
        pid_t worker = child_of(nurse);
        assert_true(worker > 0);
        assert_int_equal(kill(worker, SIGKILL), 0);
        wait_for(c, COURIER_UP);
        give(c, &order, "contain");
        wait_for(c, COURIER_SENT);
        worker = child_of(nurse);
        courier_freep(&c);
        for (unsigned i = 0; i < WAIT_MS / 20 && kill(worker, 0) == 0; i++)
                (void) usleep(20 * 1000);
        assert_int_equal(kill(worker, 0), -1);
}

static void a_subject_that_the_broker_denies_is_told(void **state) {
        struct nats_server strict;
        struct broker b = { .n_servers = 0 };
        struct courier *c = NULL;

        (void) state;
        nats_server_start(&strict, "authorization { users: [ { user: u, password: p, permissions: { publish: "
                                   "\"nothing\", subscribe: \"nothing\" } } ] }\nno_auth_user: u");
        nats_server_add(&b, strict.port);
        assert_int_equal(courier_start(&b, "prod", &c), 0);
        wait_for(c, COURIER_UP);
        give(c, &order, "contain");
        _cleanup_free_ struct courier_event *e = next(c, COURIER_DENIED);
        assert_non_null(strstr(e->text, "frz.v1.prod"));
        courier_freep(&c);
        nats_server_done(&strict);
}

/* The next event of an order. */
static struct courier_event *next_of_order(struct courier *c) {
        struct pollfd p = { .fd = courier_fd(c), .events = POLLIN };

        for (;;) {
                struct courier_event *e = NULL;

                assert_int_equal(courier_take(c, &e), 0);
                if (e && e->kind != COURIER_UP && e->kind != COURIER_DOWN)
                        return e;
                if (!e && poll(&p, 1, WAIT_MS) != 1)
                        fail_msg("nothing came");
                free(e);
        }
}

static void what_the_broker_drops_is_not_told_as_sent(void **state) {
        const struct subject other = { .kind = SUBJECT_CMD_GROUP, .fleet = "prod", .group = "db", .id = { { 2 } } };
        struct nats_server strict;
        struct courier *c = NULL;

        (void) state;
        nats_server_start(&strict, "authorization { users: [ { user: u, password: p, permissions: { publish: { deny: "
                                   "\"frz.v1.prod.cmd.group.web.>\" } } } ] }\nno_auth_user: u");
        const struct broker b = nats_broker_at(strict.port);
        assert_int_equal(courier_start(&b, "prod", &c), 0);
        wait_for(c, COURIER_UP);
        for (int i = 0; i < 40; i++) {
                give(c, i % 4 == 3 ? &other : &order, "contain");
                _cleanup_free_ struct courier_event *e = next_of_order(c);
                assert_int_equal(e->kind, i % 4 == 3 ? COURIER_SENT : COURIER_DENIED);
        }
        courier_freep(&c);
        nats_server_done(&strict);
}

/* Last: there is no server any more after it. */
static void a_broker_that_is_away_is_waited_for(void **state) {
        struct courier *c = start();

        (void) state;
        wait_for(c, COURIER_UP);
        nats_server_kill(&server);
        _cleanup_free_ struct courier_event *e = next(c, COURIER_DOWN), *still = next(c, COURIER_DOWN);
        assert_true(e->n > 0);
        assert_true(still->n > 0);
        courier_freep(&c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_order_goes_out_and_only_its_answers_come_back),
                cmocka_unit_test(more_orders_than_one_connection_listens_for_are_sent_all_the_same),
                cmocka_unit_test(whoever_gives_it_orders_never_waits_for_it),
                cmocka_unit_test(what_kills_the_process_has_it_for_a_moment),
                cmocka_unit_test(a_subject_that_the_broker_denies_is_told),
                cmocka_unit_test(what_the_broker_drops_is_not_told_as_sent),
                cmocka_unit_test(a_broker_that_is_away_is_waited_for),
        };

        return cmocka_run_group_tests(tests, nats_begin, nats_end);
}
