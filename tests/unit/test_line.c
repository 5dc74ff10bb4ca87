/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/line.c agent/relay/inbox.c agent/relay/leash.c */

/* The client library against a real nats-server, and the leash against one that only greets. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/relay/leash.h"
#include "agent/relay/line.h"
#include "lib/port.h"

#define WAIT_MS 60000

static char dir[] = "/tmp/line-XXXXXX";
static uint16_t port;
static pid_t server;
static struct nkey mine, others;

static bool is_up(void) {
        struct sockaddr_in a = { .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0;
}

static void make_key(struct nkey *ret) {
        char seed[NKEY_SEED_LENGTH + 1];
        uint8_t random[32];

        randombytes_buf(random, sizeof(random));
        nkey_seed(random, seed);
        assert_int_equal(nkey_from_seed(seed, strlen(seed), ret), 0);
}

static void start_server(void) {
        char path[64];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/conf", dir);
        f = fopen(path, "we");
        assert_non_null(f);
        (void) fprintf(f,
                       "listen: \"127.0.0.1:%u\"\nauthorization { users = [ { nkey: %s, permissions: { publish: "
                       "[\"ok.>\", \"_INBOX.>\"], subscribe: { allow: [\"ok.>\", \"_INBOX.>\"] } } } ] }\n",
                       port, mine.pub);
        assert_int_equal(fclose(f), 0);
        server = fork();
        if (server == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) dup2(null, STDERR_FILENO);
                (void) execlp("nats-server", "nats-server", "-c", path, NULL);
                _exit(127);
        }
        for (int i = 0; i < WAIT_MS / 20 && !is_up(); i++)
                (void) usleep(20 * 1000);
        assert_true(is_up());
}

static void stop_server(void) {
        (void) kill(server, SIGKILL);
        assert_int_equal(waitpid(server, NULL, 0), server);
        server = 0;
}

static int begin(void **state) {
        (void) state;
        make_key(&mine);
        make_key(&others);
        assert_int_equal(close(port_bind(&port)), 0);
        start_server();
        return 0;
}

static int end(void **state) {
        (void) state;
        if (server > 0)
                stop_server();
        return 0;
}

static struct broker broker_at(uint16_t at) {
        struct broker b = { .n_servers = 1 };

        (void) snprintf(b.servers[0], sizeof(b.servers[0]), "nats://127.0.0.1:%u", at);
        return b;
}

/* Waits until the inbox has news. */
static struct inbox_news news_of(struct inbox *i) {
        struct pollfd p = { .fd = inbox_fd(i), .events = POLLIN };
        struct inbox_news news;

        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        inbox_quiet(i);
        inbox_news(i, &news);
        return news;
}

static struct inbox_item *next_item(struct inbox *i) {
        struct inbox_item *item;

        for (int k = 0; k < WAIT_MS / 10; k++) {
                item = inbox_take(i);
                if (item)
                        return item;
                (void) usleep(10 * 1000);
        }
        fail_msg("nothing came");
        return NULL;
}

static struct line *open_line(const struct broker *b, const struct nkey *key, struct inbox *i) {
        struct line *l;

        assert_int_equal(line_new(b, key, i, &l), 0);
        return l;
}

/* The library's objects live as long as the process: see line.h. */
static void what_is_said_is_heard_and_what_is_refused_is_told(void **state) {
        const struct broker b = broker_at(port);
        struct inbox_item *item;
        struct inbox_news news;
        struct inbox *i;
        const char *why;
        struct line *l;

        (void) state;
        assert_int_equal(inbox_new(&i), 0);
        l = open_line(&b, &mine, i);
        assert_false(line_is_open(l));
        assert_int_equal(line_connect(l, b.servers[0], &why), 0);
        assert_true(line_is_open(l));
        assert_int_equal(line_hear(l, "ok.*"), 0);
        assert_int_equal(line_settle(l), 0);
        assert_int_equal(line_say(l, "ok.a", "ok.reply", "hello", 5), 0);
        item = next_item(i);
        assert_string_equal(item->subject, "ok.a");
        assert_string_equal(item->text, "hello");
        free(item);
        inbox_quiet(i);

        assert_int_equal(line_hear(l, "secret.*"), 0);
        assert_int_equal(line_settle(l), 0);
        news = news_of(i);
        assert_int_equal(news.n_denied, 1);
        assert_non_null(strstr(news.denied[0], "Subscription to \"secret.*\""));
        assert_int_equal(line_say(l, "secret.a", NULL, "x", 1), 0);
        assert_int_equal(line_settle(l), 0);
        news = news_of(i);
        assert_non_null(strstr(news.denied[0], "Publish to \"secret.a\""));

        stop_server();
        assert_true(news_of(i).closed);
        line_drop(l);
        assert_false(line_is_open(l));
        assert_int_equal(line_connect(l, b.servers[0], &why), -ECONNREFUSED);
        assert_true(*why);
        start_server();
        assert_int_equal(line_connect(l, b.servers[0], &why), 0);
        assert_int_equal(line_settle(l), 0);
}

static void who_is_not_known_is_not_let_in(void **state) {
        const struct broker b = broker_at(port);
        struct inbox *i;
        const char *why;

        (void) state;
        assert_int_equal(inbox_new(&i), 0);
        assert_int_equal(line_connect(open_line(&b, &others, i), b.servers[0], &why), -ECONNREFUSED);
        assert_int_equal(line_connect(open_line(&b, NULL, i), b.servers[0], &why), -ECONNREFUSED);
}

static void certificates_that_are_none_are_refused_at_once(void **state) {
        struct broker b = broker_at(port);
        struct inbox *i;
        struct line *l;

        (void) state;
        b.tls = true;
        (void) snprintf(b.ca, sizeof(b.ca), "%s/conf", dir);
        assert_int_equal(inbox_new(&i), 0);
        assert_int_equal(line_new(&b, NULL, i, &l), -EINVAL);
}

/* Debian 12's library never comes back from this, at one processor's full speed. */
static void one_that_greets_and_is_silent_costs_the_process(void **state) {
        static const char greeting[] = "INFO {\"server_id\":\"x\",\"version\":\"2.9.10\",\"max_payload\":1048576}\r\n";
        struct inbox *i;
        uint16_t at;
        int listener = port_bind(&at), fd, status;
        pid_t pid;

        (void) state;
        assert_int_equal(listen(listener, 1), 0);
        pid = fork();
        if (pid == 0) {
                const struct broker b = broker_at(at);
                const char *why;

                if (leash_open() < 0 || inbox_new(&i) < 0)
                        _exit(1);
                (void) !line_connect(open_line(&b, NULL, i), b.servers[0], &why);
                _exit(0);
        }
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL) > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), LEASH_STATUS);
        assert_int_equal(close(fd), 0);
        assert_int_equal(close(listener), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                /* first: the library's threads do not survive a fork */
                cmocka_unit_test(one_that_greets_and_is_silent_costs_the_process),
                cmocka_unit_test(what_is_said_is_heard_and_what_is_refused_is_told),
                cmocka_unit_test(who_is_not_known_is_not_let_in),
                cmocka_unit_test(certificates_that_are_none_are_refused_at_once),
        };
        char path[64];
        int r;

        if (sodium_init() < 0 || leash_open() < 0 || !mkdtemp(dir))
                return 1;
        r = cmocka_run_group_tests(tests, begin, end);
        (void) snprintf(path, sizeof(path), "%s/conf", dir);
        (void) unlink(path);
        (void) rmdir(dir);
        /* nothing of the library is waited for, and what it still has is no leak of ours */
        _exit(r);
}
