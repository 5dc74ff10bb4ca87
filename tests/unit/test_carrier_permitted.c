/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/carrier.c ctl/carrier_frame.c ctl/file.c ctl/text.c ctl/why.c ctl/times.c */

/* What the process that talks to brokers says when it is asked what is permitted, and right after it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/carrier_child.h"

#define WAIT_MS 60000
/* more than fit between the two at once */
#define MESSAGES 20000U

static void tell(int fd, enum carrier_kind kind, const char *subject, const char *text) {
        const struct carrier_frame f = { .kind = kind };

        if (carrier_frame_send(fd, &f, subject, "", text, strlen(text)) < 0)
                _exit(0);
}

/* Instead of libnats: whether something is denied is in what was to be heard. */
_Noreturn void carrier_child(int fd, const struct broker *b, const char *server, const struct nkey *key, size_t room) {
        static char buf[CARRIER_FRAME_MAX];
        bool is_denied = false;
        struct carrier_parts p;
        ssize_t n;

        (void) b, (void) server, (void) key, (void) room;
        tell(fd, CARRIER_OPEN, "", "");
        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 && carrier_frame_read(buf, (size_t) n, &p) == 0) {
                if (p.head.kind == CARRIER_HEAR)
                        is_denied = p.subject[0] == 'x';
                if (p.head.kind != CARRIER_SETTLE)
                        continue;
                tell(fd, CARRIER_MESSAGE, "before", "1");
                if (is_denied)
                        tell(fd, CARRIER_DENIED, "", "x.1");
                tell(fd, CARRIER_MESSAGE, "before", "2");
                tell(fd, CARRIER_SETTLED, "", "");
                for (unsigned i = 0; i < MESSAGES; i++)
                        tell(fd, CARRIER_MESSAGE, "after", "3");
                tell(fd, CARRIER_CLOSED, "", "that was all");
        }
        _exit(0);
}

static struct carrier *carrier(const char *hears) {
        const struct broker b = { .n_servers = 1, .servers = { "nats://127.0.0.1:4222" } };
        struct carrier *c = NULL;
        struct why w;

        assert_int_equal(carrier_open(&b, &c, &w), 0);
        assert_int_equal(carrier_hear(c, hears), 0);
        return c;
}

/* A broker never has to stop, and what ends it must not be lost. */
static void what_comes_after_it_is_there_and_is_not_waited_for(void **state) {
        _cleanup_(carrier_freep) struct carrier *c = carrier("a");
        unsigned after = 0;
        struct why w;

        (void) state;
        assert_int_equal(carrier_permitted(c, &w), 0);
        for (bool closed = false; !closed;) {
                struct carrier_event *e = NULL;
                assert_int_equal(carrier_next(c, WAIT_MS, &e), 0);
                assert_non_null(e);
                closed = e->kind == CARRIER_CLOSED;
                assert_string_equal(closed ? e->text : e->subject, closed ? "that was all" : "after");
                after += !closed;
                free(e);
        }
        assert_int_equal(after, MESSAGES);
}

static void what_is_denied_is_an_exit_code_and_is_told_once(void **state) {
        _cleanup_(carrier_freep) struct carrier *c = carrier("x.1");
        struct carrier_event *e = NULL;
        struct why w;

        (void) state;
        assert_int_equal(carrier_permitted(c, &w), CTL_MACHINE);
        assert_non_null(strstr(w.text, "does not permit it: x.1"));
        assert_false(carrier_is_denied(c));
        assert_int_equal(carrier_next(c, WAIT_MS, &e), 0);
        assert_non_null(e);
        assert_string_equal(e->subject, "after");
        free(e);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_comes_after_it_is_there_and_is_not_waited_for),
                cmocka_unit_test(what_is_denied_is_an_exit_code_and_is_told_once),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
