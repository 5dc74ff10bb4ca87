/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_http.c ctl/escalate_listen.c ctl/escalate_guests.c ctl/escalate_event.c ctl/escalate_path.c */
/* LINK: ctl/escalate_mend.c ctl/times.c */
/* LINK: ctl/member.c ctl/file.c ctl/text.c ctl/why.c */

/* The listener for webhooks while there is no descriptor for a client. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/escalate_http.h"
#include "lib/descriptors.h"

#define WAIT_MS 30000

static struct escalate_http *http;

static int begin(void **state) {
        char path[] = "/tmp/test_escalate_http.XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC);
        struct why w;

        (void) state;
        assert_int_equal(dprintf(fd, "0123456789abcdef\n"), 17);
        int x = escalate_http_start("0", path, NULL, &http, &w);
        assert_int_equal(close(fd), 0);
        assert_int_equal(unlink(path), 0);
        if (x != 0)
                fail_msg("%s", w.text);
        return 0;
}

static int end(void **state) {
        (void) state;
        escalate_http_stopp(&http);
        return 0;
}

static int new_client(void) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        return fd;
}

static void ask(int fd) {
        static const char text[] = "POST /falco HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
        const struct sockaddr_in to = { .sin_family = AF_INET,
                                        .sin_port = htons(escalate_http_port(http)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        assert_int_equal(connect(fd, (const struct sockaddr *) &to, sizeof(to)), 0);
        assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static bool is_answered(int fd, int ms) {
        char text[16] = "";

        return poll(&(struct pollfd) { .fd = fd, .events = POLLIN }, 1, ms) == 1 &&
               recv(fd, text, 12, MSG_WAITALL) == 12 && strcmp(text, "HTTP/1.1 401") == 0;
}

static int64_t cpu_ms(void) {
        struct timespec ts;

        assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts), 0);
        return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static void without_a_descriptor_it_rests_says_so_once_and_serves_later(void **state) {
        int fd = new_client();
        const struct rlimit before = descriptors_take();
        const int64_t used = cpu_ms();

        (void) state;
        ask(fd);
        assert_false(is_answered(fd, 1000));
        assert_in_range(cpu_ms() - used, 0, 200);
        assert_int_equal(escalate_http_rejected(http, ESCALATE_HTTP_STARVED), 1);
        descriptors_give(&before);
        assert_true(is_answered(fd, WAIT_MS));
        assert_int_equal(escalate_http_rejected(http, ESCALATE_HTTP_STARVED), 0);
        (void) close(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(without_a_descriptor_it_rests_says_so_once_and_serves_later),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
