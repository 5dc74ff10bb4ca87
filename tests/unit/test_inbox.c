/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/inbox.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>

#include "agent/relay/inbox.h"
#include "policy/dsse.h"

static bool is_readable(const struct inbox *i) {
        struct pollfd p = { .fd = inbox_fd(i), .events = POLLIN };

        return poll(&p, 1, 0) == 1;
}

static size_t count(struct inbox *i) {
        struct inbox_item *item;
        size_t n = 0;

        while ((item = inbox_take(i))) {
                free(item);
                n++;
        }
        return n;
}

static void what_comes_is_copied_and_leaves_in_order(void **state) {
        _cleanup_(inbox_freep) struct inbox *i = NULL;
        struct inbox_item *item;
        char bytes[] = "first";

        (void) state;
        assert_int_equal(inbox_new(&i), 0);
        assert_false(is_readable(i));
        inbox_put(i, "a.b", 0, 7, bytes, 5);
        inbox_put(i, "c", 404, 0, NULL, 0);
        memset(bytes, 'x', 5);
        assert_true(is_readable(i));
        inbox_quiet(i);
        assert_false(is_readable(i));
        item = inbox_take(i);
        assert_string_equal(item->subject, "a.b");
        assert_string_equal(item->text, "first");
        assert_int_equal(item->sequence, 7);
        free(item);
        item = inbox_take(i);
        assert_int_equal(item->status, 404);
        assert_int_equal(item->n, 0);
        free(item);
        assert_null(inbox_take(i));
}

static void what_has_no_room_is_dropped_and_counted(void **state) {
        static char large[DSSE_ENVELOPE_MAX + 1];
        _cleanup_(inbox_freep) struct inbox *i = NULL;
        struct inbox_news news;
        size_t n = 0;

        (void) state;
        assert_int_equal(inbox_new(&i), 0);
        for (unsigned k = 0; k < INBOX_ITEMS_MAX + 3; k++)
                inbox_put(i, "s", 0, 0, "x", 1);
        inbox_news(i, &news);
        assert_int_equal(news.lost, 3);
        assert_int_equal(count(i), INBOX_ITEMS_MAX);
        for (unsigned k = 0; k < INBOX_ITEMS_MAX; k++)
                inbox_put(i, "s", 0, 0, large, DSSE_ENVELOPE_MAX);
        n = count(i);
        assert_int_equal(n, INBOX_BYTES_MAX / DSSE_ENVELOPE_MAX);
        inbox_put(i, "s", 0, 0, "x", 1);
        assert_int_equal(count(i), 1);
}

/* Nobody could take it: it is no message that was lost, and moves on who asked the stream for the next one. */
static void of_what_no_gate_takes_is_told_that_it_came(void **state) {
        static char large[DSSE_ENVELOPE_MAX + 1];
        _cleanup_(inbox_freep) struct inbox *i = NULL;
        struct inbox_item *item;
        struct inbox_news news;

        (void) state;
        assert_int_equal(inbox_new(&i), 0);
        inbox_put(i, "_INBOX.a", 0, 7, large, sizeof(large));
        inbox_news(i, &news);
        assert_int_equal(news.lost, 0);
        item = inbox_take(i);
        assert_string_equal(item->subject, "_INBOX.a");
        assert_int_equal(item->sequence, 7);
        assert_int_equal(item->n, 0);
        free(item);
}

static void a_flood_leaves_room_for_what_is_for_this_host_alone(void **state) {
        static const char *const own[] = { "_INBOX.a", "frz.v1.prod.cmd.host.a.b" };
        _cleanup_(inbox_freep) struct inbox *i = NULL;
        static char large[DSSE_ENVELOPE_MAX];
        struct inbox_news news;

        (void) state;
        assert_int_equal(inbox_new(&i), 0);
        for (unsigned k = 0; k < INBOX_ITEMS_MAX; k++)
                inbox_put(i, "frz.v1.prod.cmd.all.b", 0, 0, "x", 1);
        for (unsigned k = 0; k < INBOX_OWN_ITEMS; k++)
                inbox_put(i, own[k % 2], 0, 0, "x", 1);
        inbox_news(i, &news);
        assert_int_equal(news.lost, 0);
        inbox_put(i, own[0], 0, 0, "x", 1);
        inbox_put(i, "frz.v1.prod.head", 0, 0, "x", 1);
        inbox_news(i, &news);
        assert_int_equal(news.lost, 2);
        assert_int_equal(count(i), INBOX_ITEMS_MAX + INBOX_OWN_ITEMS);
        for (unsigned k = 0; k < INBOX_ITEMS_MAX; k++)
                inbox_put(i, "frz.v1.prod.head", 0, 0, large, sizeof(large));
        for (unsigned k = 0; k < INBOX_ITEMS_MAX; k++)
                inbox_put(i, own[0], 0, 0, large, sizeof(large));
        assert_int_equal(count(i), (INBOX_BYTES_MAX + INBOX_OWN_BYTES) / sizeof(large));
}

static void what_is_told_of_the_connection_gets_through_a_full_queue(void **state) {
        _cleanup_(inbox_freep) struct inbox *i = NULL;
        struct inbox_news news;

        (void) state;
        assert_int_equal(inbox_new(&i), 0);
        for (unsigned k = 0; k < INBOX_ITEMS_MAX; k++)
                inbox_put(i, "s", 0, 0, "x", 1);
        for (unsigned k = 0; k < INBOX_DENIED_MAX + 2; k++)
                inbox_denied(i, "Permissions Violation for Subscription to \"frz.v1.x.head\"");
        inbox_closed(i);
        inbox_news(i, &news);
        assert_true(news.closed);
        assert_int_equal(news.n_denied, INBOX_DENIED_MAX);
        assert_non_null(strstr(news.denied[0], "head"));
        inbox_news(i, &news);
        assert_false(news.closed);
        assert_int_equal(news.n_denied, 0);
}

static void *put_many(void *userdata) {
        for (int k = 0; k < 100; k++)
                inbox_put(userdata, "s", 0, 0, "x", 1);
        return NULL;
}

static void threads_put_at_once(void **state) {
        _cleanup_(inbox_freep) struct inbox *i = NULL;
        pthread_t threads[4];

        (void) state;
        assert_int_equal(inbox_new(&i), 0);
        for (size_t k = 0; k < ELEMENTSOF(threads); k++)
                assert_int_equal(pthread_create(&threads[k], NULL, put_many, i), 0);
        for (size_t k = 0; k < ELEMENTSOF(threads); k++)
                assert_int_equal(pthread_join(threads[k], NULL), 0);
        assert_int_equal(count(i), 400);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_comes_is_copied_and_leaves_in_order),
                cmocka_unit_test(what_has_no_room_is_dropped_and_counted),
                cmocka_unit_test(of_what_no_gate_takes_is_told_that_it_came),
                cmocka_unit_test(a_flood_leaves_room_for_what_is_for_this_host_alone),
                cmocka_unit_test(what_is_told_of_the_connection_gets_through_a_full_queue),
                cmocka_unit_test(threads_put_at_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
