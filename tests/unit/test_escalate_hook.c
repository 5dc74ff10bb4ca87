/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_hook.c ctl/escalate_outcome.c ctl/exchange.c ctl/client.c ctl/receipt.c ctl/hosts.c ctl/file.c */
/* LINK: ctl/times.c */
/* LINK: ctl/member.c ctl/text.c ctl/why.c */

/* What a webhook does not take: it is told, in whole lines. The other end is the test's own, and no time passes. */

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/escalate_hook.h"
#include "ctl/exchange.h"
#include "ctl/post.h"
#include "policy/cleanup.h"

static sem_t asked, may;
static unsigned long answer;

int post_send(const char *url, const char *type, const char *body, size_t n, int64_t timeout_ms, struct post_answer *a,
              struct why *w) {
        (void) url, (void) type, (void) body, (void) n, (void) timeout_ms, (void) w;
        (void) sem_post(&asked);
        while (sem_wait(&may) < 0)
                ;
        a->status = (long) answer;
        return 0;
}

int nanosleep(const struct timespec *ts, struct timespec *left) {
        (void) ts, (void) left;
        return 0;
}

void render_headline(const struct page *p, const struct receipt *r) {
        (void) p, (void) r;
}

/* The last chance of whoever waits is over. */
int clock_gettime(clockid_t id, struct timespec *ts) {
        (void) id;
        *ts = (struct timespec) { 0 };
        return 0;
}

/* Standard output, while it is kept. */
static FILE *kept;
static int output;

static int set_up(void **state) {
        (void) state;
        (void) fflush(stdout);
        kept = tmpfile();
        output = dup(STDOUT_FILENO);
        assert_non_null(kept);
        assert_true(output >= 0 && dup2(fileno(kept), STDOUT_FILENO) >= 0);
        assert_int_equal(sem_init(&asked, 0, 0), 0);
        assert_int_equal(sem_init(&may, 0, 0), 0);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        (void) fclose(kept);
        return 0;
}

/* From now on it is shown again. */
static void read_output(char *ret, size_t size) {
        (void) fflush(stdout);
        (void) dup2(output, STDOUT_FILENO);
        (void) close(output);
        rewind(kept);
        ret[fread(ret, 1, size - 1, kept)] = '\0';
}

static struct escalate_hook *start(void) {
        struct escalate_hook *h = NULL;
        struct why w;

        assert_int_equal(escalate_hook_new("http://127.0.0.1/", &h, &w), 0);
        return h;
}

static void put(struct escalate_hook *h, const char *id) {
        escalate_hook_put(h, id, strdup("{}"));
}

static void wait_asked(void) {
        while (sem_wait(&asked) < 0)
                ;
}

static void what_is_not_taken_after_some_tries_is_told(void **state) {
        struct escalate_hook *h = start();
        char text[4096];

        (void) state;
        answer = 500;
        put(h, "a/final");
        for (unsigned i = 0; i < 3; i++) {
                wait_asked();
                (void) sem_post(&may);
        }
        /* the next one is asked for when the first one has been told */
        put(h, "b/final");
        wait_asked();
        answer = 200;
        (void) sem_post(&may);
        escalate_hook_freep(&h);
        read_output(text, sizeof(text));
        assert_string_equal(
                text,
                "{\"cloudevent\":\"a/final\",\"outcome\":\"not-told\",\"why\":\"the webhook did not take it\"}\n");
}

static void what_does_not_fit_is_told_and_waits_for_nobody(void **state) {
        struct escalate_hook *h = start();
        static char text[ESCALATE_HOOK_QUEUE * 128];
        char id[32];
        unsigned lines = 0;

        (void) state;
        answer = 200;
        put(h, "first");
        wait_asked();
        for (unsigned i = 0; i < ESCALATE_HOOK_QUEUE + 1; i++) {
                (void) snprintf(id, sizeof(id), "n-%u", i);
                put(h, id);
        }
        /* one is being told, 256 wait, and the last one was too many; with the end none of those that wait is told */
        (void) sem_post(&may);
        for (unsigned i = 0; i < ESCALATE_HOOK_QUEUE; i++)
                (void) sem_post(&may);
        escalate_hook_freep(&h);
        read_output(text, sizeof(text));
        assert_non_null(
                strstr(text, "{\"cloudevent\":\"n-256\",\"outcome\":\"not-told\",\"why\":\"the webhook is too slow"));
        for (const char *p = text; *p; p += strcspn(p, "\n") + 1, lines++)
                assert_true(strncmp(p, "{\"cloudevent\":\"n-", 17) == 0 && p[strcspn(p, "\n") - 1] == '}');
        assert_true(lines >= 1);
}

/* The main thread writes a line in pieces: none of the other's comes between them. */
static void two_threads_write_whole_lines(void **state) {
        struct escalate_hook *h = start();
        struct ctl c = { .out = stdout };
        _cleanup_json_ json_t *o =
                json_pack("{s:s, s:s, s:[i,i,i,i]}", "outcome", "ordered", "verb", "contain", "n", 1, 2, 3, 4);
        _cleanup_free_ char *line = json_dumps(o, JSON_COMPACT);
        static char text[4 << 20];
        char id[32];
        unsigned told = 0;

        (void) state;
        answer = 500;
        for (unsigned i = 0; i < ESCALATE_HOOK_QUEUE; i++) {
                (void) snprintf(id, sizeof(id), "n-%u", i);
                put(h, id);
        }
        for (unsigned i = 0; i < 100 * ESCALATE_HOOK_QUEUE; i++) {
                exchange_json_line(&c, o);
                /* each is asked for three times before it is told */
                if (i % 100 < 3)
                        (void) sem_post(&may);
        }
        escalate_hook_freep(&h);
        read_output(text, sizeof(text));
        for (char *p = text, *next; (next = strchr(p, '\n')); p = next + 1) {
                *next = '\0';
                if (strcmp(p, line) == 0)
                        continue;
                told++;
                if (strncmp(p, "{\"cloudevent\":\"n-", 17) != 0 || next[-1] != '}' || strchr(p + 1, '{'))
                        fail_msg("%s", p);
        }
        assert_int_equal(told, ESCALATE_HOOK_QUEUE);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                CASE(what_is_not_taken_after_some_tries_is_told),
                CASE(what_does_not_fit_is_told_and_waits_for_nobody),
                CASE(two_threads_write_whole_lines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
