/* SPDX-License-Identifier: Apache-2.0 */

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "ctl/escalate_hook.h"
#include "ctl/escalate_outcome.h"
#include "ctl/post.h"
#include "ctl/text.h"

#define TRIES         3U
#define ANSWER_MAX    4096U
#define ID_SIZE       64U
#define TYPE          "application/cloudevents+json; charset=utf-8"
#define POST_MS       5000
#define LAST_CHANCE_S 10

struct told {
        char id[ID_SIZE], *json;
};

struct escalate_hook {
        const char *url;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t more, empty;
        struct told queue[ESCALATE_HOOK_QUEUE]; /* a ring */
        size_t first, n;
        bool busy, ends;
};

/* No jansson here: its allocator is borrowed by the other thread (schema.c). The id needs no escape. */
static void say_lost(const char *id, const char *why) {
        printf("{\"cloudevent\":\"%s\",\"outcome\":\"%s\",\"why\":\"%s\"}\n", id,
               escalate_outcome_id(ESCALATE_OUTCOME_NOT_TOLD), why);
        (void) fflush(stdout);
}

static void wait_before(unsigned try) {
        const struct timespec ts = { .tv_sec = 1 << (try - 1), .tv_nsec = 0 };

        (void) nanosleep(&ts, NULL);
}

static void tell(struct escalate_hook *h, const struct told *t) {
        char body[ANSWER_MAX + 1];

        for (unsigned i = 0; i < TRIES; i++) {
                struct post_answer a = { .body = body, .max = ANSWER_MAX };
                struct why w = { "" };

                if (i > 0 && __atomic_load_n(&h->ends, __ATOMIC_RELAXED))
                        break;
                if (i > 0)
                        wait_before(i);
                if (post_send(h->url, TYPE, t->json, strlen(t->json), POST_MS, &a, &w) == 0 && a.status / 100 == 2)
                        return;
        }
        say_lost(t->id, "the webhook did not take it");
}

static void *run(void *arg) {
        struct escalate_hook *h = arg;

        (void) pthread_mutex_lock(&h->lock);
        for (;;) {
                struct told t;

                while (h->n == 0 && !h->ends)
                        (void) pthread_cond_wait(&h->more, &h->lock);
                if (h->n == 0)
                        break;
                t = h->queue[h->first];
                h->first = (h->first + 1) % ESCALATE_HOOK_QUEUE;
                h->n--;
                h->busy = true;
                (void) pthread_mutex_unlock(&h->lock);
                tell(h, &t);
                free(t.json);
                (void) pthread_mutex_lock(&h->lock);
                h->busy = false;
                (void) pthread_cond_signal(&h->empty);
        }
        (void) pthread_mutex_unlock(&h->lock);
        return NULL;
}

int escalate_hook_new(const char *url, struct escalate_hook **ret, struct why *w) {
        struct escalate_hook *h = calloc(1, sizeof(*h));

        if (!h)
                return why_errno(w, -ENOMEM, "webhook");
        h->url = url;
        (void) pthread_mutex_init(&h->lock, NULL);
        (void) pthread_cond_init(&h->more, NULL);
        (void) pthread_cond_init(&h->empty, NULL);
        int r = pthread_create(&h->thread, NULL, run, h);
        if (r != 0) {
                free(h);
                return why_errno(w, -r, "webhook");
        }
        *ret = h;
        return 0;
}

void escalate_hook_put(struct escalate_hook *h, const char *id, char *json) {
        (void) pthread_mutex_lock(&h->lock);
        const bool full = h->n == ESCALATE_HOOK_QUEUE;
        if (!full) {
                struct told *t = &h->queue[(h->first + h->n++) % ESCALATE_HOOK_QUEUE];

                (void) snprintf(t->id, sizeof(t->id), "%s", id);
                t->json = json;
                (void) pthread_cond_signal(&h->more);
        }
        (void) pthread_mutex_unlock(&h->lock);
        if (full) {
                say_lost(id, "the webhook is too slow, and too much waits for it");
                free(json);
        }
}

void escalate_hook_freep(struct escalate_hook **hp) {
        struct escalate_hook *h = *hp;
        struct timespec until;

        if (!h)
                return;
        (void) clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += LAST_CHANCE_S;
        (void) pthread_mutex_lock(&h->lock);
        __atomic_store_n(&h->ends, true, __ATOMIC_RELAXED);
        (void) pthread_cond_signal(&h->more);
        while ((h->n > 0 || h->busy) && pthread_cond_timedwait(&h->empty, &h->lock, &until) == 0)
                ;
        /* what is still there is not told any more */
        for (; h->n > 0; h->n--, h->first = (h->first + 1) % ESCALATE_HOOK_QUEUE) {
                say_lost(h->queue[h->first].id, "the program ended before");
                free(h->queue[h->first].json);
        }
        (void) pthread_mutex_unlock(&h->lock);
        (void) pthread_join(h->thread, NULL);
        free(h);
        *hp = NULL;
}
