/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/inbox.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "policy/dsse.h"

struct inbox {
        int fd;
        pthread_mutex_t lock;
        struct inbox_item *first, **last;
        size_t n_items, n_bytes;
        struct inbox_news news;
};

int inbox_new(struct inbox **ret) {
        struct inbox *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        i->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (i->fd < 0 || pthread_mutex_init(&i->lock, NULL) != 0) {
                const int r = i->fd < 0 ? -errno : -ENOMEM;

                closep(&i->fd);
                free(i);
                return r;
        }
        i->last = &i->first;
        *ret = i;
        return 0;
}

void inbox_free(struct inbox *i) {
        if (!i)
                return;
        inbox_clear(i);
        (void) pthread_mutex_destroy(&i->lock);
        closep(&i->fd);
        free(i);
}

void inbox_freep(struct inbox **i) {
        inbox_free(*i);
}

static void wake(const struct inbox *i) {
        const uint64_t one = 1;

        /* it fails only when it is readable already */
        (void) !write(i->fd, &one, sizeof(one));
}

static struct inbox_item *copy(const char *subject, int status, int64_t sequence, const char *text, size_t n) {
        struct inbox_item *item = malloc(sizeof(*item) + n + 1);

        if (!item)
                return NULL;
        *item = (struct inbox_item) { .status = status, .sequence = sequence, .n = n };
        (void) snprintf(item->subject, sizeof(item->subject), "%s", subject);
        if (n > 0)
                memcpy(item->text, text, n);
        item->text[n] = '\0';
        return item;
}

/* For this host alone: no flood of what all hear costs it a stop, or the stream's answer. */
static bool is_own(const char *subject) {
        return strncmp(subject, "_INBOX.", strlen("_INBOX.")) == 0 || strstr(subject, ".cmd.host.");
}

static bool has_room(const struct inbox *i, bool own, size_t n) {
        return i->n_items < INBOX_ITEMS_MAX + (own ? INBOX_OWN_ITEMS : 0) &&
               i->n_bytes + n <= INBOX_BYTES_MAX + (own ? INBOX_OWN_BYTES : 0);
}

void inbox_put(struct inbox *i, const char *subject, int status, int64_t sequence, const char *text, size_t n) {
        struct inbox_item *item;
        bool taken;

        n = n > DSSE_ENVELOPE_MAX ? 0 : n;
        item = copy(subject, status, sequence, text, n);
        (void) pthread_mutex_lock(&i->lock);
        taken = item && has_room(i, is_own(subject), n);
        if (taken) {
                *i->last = item;
                i->last = &item->next;
                i->n_items++;
                i->n_bytes += n;
        } else {
                i->news.lost++;
        }
        (void) pthread_mutex_unlock(&i->lock);
        if (!taken)
                free(item);
        wake(i);
}

void inbox_missed(struct inbox *i) {
        (void) pthread_mutex_lock(&i->lock);
        i->news.lost++;
        (void) pthread_mutex_unlock(&i->lock);
        wake(i);
}

void inbox_closed(struct inbox *i) {
        (void) pthread_mutex_lock(&i->lock);
        i->news.closed = true;
        (void) pthread_mutex_unlock(&i->lock);
        wake(i);
}

void inbox_denied(struct inbox *i, const char *text) {
        (void) pthread_mutex_lock(&i->lock);
        if (i->news.n_denied < INBOX_DENIED_MAX)
                (void) snprintf(i->news.denied[i->news.n_denied++], SUBJECT_SIZE, "%s", text);
        (void) pthread_mutex_unlock(&i->lock);
        wake(i);
}

int inbox_fd(const struct inbox *i) {
        return i->fd;
}

void inbox_quiet(struct inbox *i) {
        uint64_t n;

        (void) !read(i->fd, &n, sizeof(n));
}

struct inbox_item *inbox_take(struct inbox *i) {
        struct inbox_item *item;

        (void) pthread_mutex_lock(&i->lock);
        item = i->first;
        if (item) {
                i->first = item->next;
                i->last = i->first ? i->last : &i->first;
                i->n_items--;
                i->n_bytes -= item->n;
        }
        (void) pthread_mutex_unlock(&i->lock);
        return item;
}

void inbox_news(struct inbox *i, struct inbox_news *ret) {
        (void) pthread_mutex_lock(&i->lock);
        *ret = i->news;
        i->news = (struct inbox_news) {};
        (void) pthread_mutex_unlock(&i->lock);
}

void inbox_clear(struct inbox *i) {
        struct inbox_item *item;

        while ((item = inbox_take(i)))
                free(item);
}
