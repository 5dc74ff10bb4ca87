/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/press.h"

#include <pthread.h>

#include <zstd.h>

/* zstd needs some kilobytes of it; the default of 8 MiB would count against the memory limit. */
#define STACK_SIZE (256U * 1024)
/* Above it, the heap of a service came out hardly smaller and took half as long again. */
#define LEVEL 1

struct press {
        struct press_frame frames[PRESS_FRAMES];
        /* counts of frames since the start, a frame's place is its count modulo PRESS_FRAMES: dropped <= begun <= put
         */
        uint64_t put, begun, dropped;
        ZSTD_CCtx *contexts[PRESS_WORKERS];
        pthread_t threads[PRESS_WORKERS];
        unsigned n_threads;
        bool stop;
        pthread_mutex_t lock;
        pthread_cond_t work, done;
};

struct press_worker {
        struct press *press;
        ZSTD_CCtx *context;
};

static void compress_frame(ZSTD_CCtx *context, struct press_frame *f) {
        size_t n = ZSTD_compress2(context, f->out, ZSTD_compressBound(PRESS_FRAME_SIZE), f->in, f->n_in);

        f->n_out = ZSTD_isError(n) ? 0 : n;
}

static struct press_frame *frame_at(struct press *p, uint64_t count) {
        return &p->frames[count % PRESS_FRAMES];
}

static void *work(void *userdata) {
        struct press_worker *w = userdata;
        struct press *p = w->press;

        (void) pthread_mutex_lock(&p->lock);
        for (;;) {
                while (p->begun == p->put && !p->stop)
                        (void) pthread_cond_wait(&p->work, &p->lock);
                if (p->begun == p->put)
                        break;
                struct press_frame *f = frame_at(p, p->begun++);

                (void) pthread_mutex_unlock(&p->lock);
                compress_frame(w->context, f);
                (void) pthread_mutex_lock(&p->lock);
                f->done = true;
                (void) pthread_cond_signal(&p->done);
        }
        (void) pthread_mutex_unlock(&p->lock);
        free(w);
        return NULL;
}

static int make_context(ZSTD_CCtx **ret) {
        ZSTD_CCtx *c = ZSTD_createCCtx();

        *ret = c;
        if (!c || ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, LEVEL)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)))
                return -ENOMEM;
        return 0;
}

int press_new(struct press **ret) {
        _cleanup_(press_freep) struct press *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        (void) pthread_mutex_init(&p->lock, NULL);
        (void) pthread_cond_init(&p->work, NULL);
        (void) pthread_cond_init(&p->done, NULL);
        for (size_t i = 0; i < PRESS_WORKERS; i++)
                if (make_context(&p->contexts[i]) < 0)
                        return -ENOMEM;
        for (size_t i = 0; i < PRESS_FRAMES; i++) {
                p->frames[i].in = malloc(PRESS_FRAME_SIZE);
                p->frames[i].out = malloc(ZSTD_compressBound(PRESS_FRAME_SIZE));
                if (!p->frames[i].in || !p->frames[i].out)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(p);
        return 0;
}

void press_free(struct press *p) {
        if (!p)
                return;
        press_stop(p);
        for (size_t i = 0; i < PRESS_FRAMES; i++) {
                free(p->frames[i].in);
                free(p->frames[i].out);
        }
        for (size_t i = 0; i < PRESS_WORKERS; i++)
                (void) ZSTD_freeCCtx(p->contexts[i]);
        (void) pthread_cond_destroy(&p->done);
        (void) pthread_cond_destroy(&p->work);
        (void) pthread_mutex_destroy(&p->lock);
        free(p);
}

void press_freep(struct press **p) {
        press_free(*p);
}

void press_start(struct press *p) {
        pthread_attr_t attr;

        p->stop = false;
        if (pthread_attr_init(&attr) != 0)
                return;
        (void) pthread_attr_setstacksize(&attr, STACK_SIZE);
        while (p->n_threads < PRESS_WORKERS) {
                struct press_worker *w = malloc(sizeof(*w));

                if (!w)
                        break;
                *w = (struct press_worker) { p, p->contexts[p->n_threads] };
                if (pthread_create(&p->threads[p->n_threads], &attr, work, w) != 0) {
                        free(w);
                        break;
                }
                p->n_threads++;
        }
        (void) pthread_attr_destroy(&attr);
}

void press_stop(struct press *p) {
        (void) pthread_mutex_lock(&p->lock);
        p->stop = true;
        (void) pthread_cond_broadcast(&p->work);
        (void) pthread_mutex_unlock(&p->lock);
        while (p->n_threads > 0)
                (void) pthread_join(p->threads[--p->n_threads], NULL);
}

struct press_frame *press_next(struct press *p) {
        return p->put - p->dropped < PRESS_FRAMES ? frame_at(p, p->put) : NULL;
}

void press_put(struct press *p) {
        struct press_frame *f = frame_at(p, p->put);

        if (p->n_threads == 0) {
                compress_frame(p->contexts[0], f);
                f->done = true;
                p->put++;
                p->begun++;
                return;
        }
        (void) pthread_mutex_lock(&p->lock);
        f->done = false;
        p->put++;
        (void) pthread_cond_signal(&p->work);
        (void) pthread_mutex_unlock(&p->lock);
}

struct press_frame *press_oldest(struct press *p) {
        struct press_frame *f = frame_at(p, p->dropped);

        if (p->dropped == p->put)
                return NULL;
        (void) pthread_mutex_lock(&p->lock);
        while (!f->done)
                (void) pthread_cond_wait(&p->done, &p->lock);
        (void) pthread_mutex_unlock(&p->lock);
        return f;
}

void press_drop(struct press *p) {
        struct press_frame *f = frame_at(p, p->dropped++);

        f->n_in = 0;
        f->done = false;
}
