/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/fetch.h"

#include <inttypes.h>
#include <string.h>

/* The longest stream is gone through in one go; a broker that always has one more is left at some time. */
#define PATTERN_MESSAGES_MAX 100000U
/* When nobody could say so often in a row, orders are left to the next head: all that was missed waits behind them. */
#define ORDER_TRIES_MAX 3U

/* A broker without the stream is asked by every host of a fleet: when so many questions in a row were for nothing, each
 * next one rests twice as long, up to so many times what the first did. */
#define EAGER_TRIES 6U
#define RESTS_MAX   30U

struct want {
        char subject[SUBJECT_SIZE];
        int64_t sequence; /* of a pattern: from here on */
        int64_t ahead;    /* while nobody can tell which number it is that is there: so much further on it is asked */
        int64_t clear;    /* so far on it is something else; 0: not known yet */
        unsigned n;       /* that came of it */
};

/* Of each list the first is asked first, and is what is under way. */
struct fetch {
        struct want orders[FETCH_ORDERS_MAX];
        size_t n_orders;
        struct want patterns[3 + WHO_GROUPS_MAX];
        size_t n_patterns;
        enum { NOTHING, AN_ORDER, A_PATTERN } waiting;
        bool rests;     /* nobody could say; it is asked again after a while */
        unsigned tries; /* of an order that this came of, in a row */
        unsigned vain;  /* the same of patterns, also when nothing came */
        unsigned rest;  /* so many more times it is not asked again for a pattern */
};

int fetch_new(struct fetch **ret) {
        *ret = calloc(1, sizeof(**ret));
        return *ret ? 0 : -ENOMEM;
}

void fetch_free(struct fetch *f) {
        free(f);
}

void fetch_freep(struct fetch **f) {
        fetch_free(*f);
}

void fetch_clear(struct fetch *f) {
        f->n_orders = f->n_patterns = 0;
        f->waiting = NOTHING;
        f->rests = false;
        f->vain = f->rest = 0;
}

/* Where the n-th kind of order for this host is: its own, all hosts', its groups'. False past the last. */
static bool address(const struct who *w, size_t n, struct subject *ret) {
        *ret = (struct subject) { .kind = n == 0 ? SUBJECT_CMD_HOST : n == 1 ? SUBJECT_CMD_ALL : SUBJECT_CMD_GROUP };
        if (n >= 2 + w->n_groups)
                return false;
        memcpy(ret->fleet, w->fleet, sizeof(ret->fleet));
        if (n == 0)
                memcpy(ret->host, w->host, sizeof(ret->host));
        else if (n >= 2)
                memcpy(ret->group, w->groups[n - 2], sizeof(ret->group));
        return true;
}

static bool is_wanted(const struct want *wants, size_t n, const char *subject) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(wants[i].subject, subject) == 0)
                        return true;
        return false;
}

static int add_pattern(struct fetch *f, const struct subject *s) {
        struct want want = { .sequence = 1 };

        if (subject_pattern(s, want.subject) < 0)
                return -EINVAL;
        if (f->n_patterns < ELEMENTSOF(f->patterns) && !is_wanted(f->patterns, f->n_patterns, want.subject))
                f->patterns[f->n_patterns++] = want;
        return 0;
}

int fetch_all(struct fetch *f, const struct who *w) {
        struct subject s = { .kind = SUBJECT_TRUST };

        memcpy(s.fleet, w->fleet, sizeof(s.fleet));
        int r = add_pattern(f, &s);
        for (size_t i = 0; r == 0 && address(w, i, &s); i++)
                r = add_pattern(f, &s);
        return r;
}

bool fetch_order(struct fetch *f, const struct who *w, const struct command_id *id) {
        const size_t before = f->n_orders;
        struct subject s;

        f->rests = false;
        for (size_t i = 0; address(w, i, &s); i++) {
                struct want want = {};

                s.id = *id;
                if (subject_build(&s, want.subject) < 0 || is_wanted(f->orders, f->n_orders, want.subject))
                        continue;
                if (f->n_orders == FETCH_ORDERS_MAX) {
                        f->n_orders = before;
                        return false;
                }
                f->orders[f->n_orders++] = want;
        }
        return true;
}

bool fetch_next(struct fetch *f, const struct who *w, char ret_subject[static FETCH_SUBJECT_SIZE],
                char ret_body[static FETCH_BODY_SIZE]) {
        const struct want *order = f->n_orders > 0 ? f->orders : NULL;
        char stream[SUBJECT_SIZE];

        if (f->waiting != NOTHING || f->rests || fetch_is_over(f) || subject_stream("CMD", w->fleet, stream) < 0)
                return false;
        ret_body[0] = '\0';
        /* no name of a fleet or a group holds what JSON would have to escape */
        if (!order)
                (void) snprintf(ret_body, FETCH_BODY_SIZE, "{\"seq\":%" PRId64 ",\"next_by_subj\":\"%s\"}",
                                f->patterns[0].sequence + f->patterns[0].ahead, f->patterns[0].subject);
        (void) snprintf(ret_subject, FETCH_SUBJECT_SIZE, "$JS.API.DIRECT.GET.%s%s%s", stream, order ? "." : "",
                        order ? order->subject : "");
        f->waiting = order ? AN_ORDER : A_PATTERN;
        return true;
}

static void done_with_first(struct want *wants, size_t *n) {
        (*n)--;
        memmove(wants, wants + 1, *n * sizeof(wants[0]));
}

/* What is at p->sequence has no number that can be: nobody reads its headers, or it lies. Where it is, and so where to
 * go on, is found by asking further and further on until something else comes, and then between the two. False when
 * there is no further. */
static bool grope(struct want *p) {
        p->sequence += p->ahead;
        p->clear -= MIN(p->clear, p->ahead);
        p->ahead = p->clear > 0 ? MAX(p->clear / 2, 1) : MAX(2 * p->ahead, 1);
        return p->ahead < (INT64_MAX - p->sequence) / 2;
}

/* From there on is something else, or nothing. True when it is right behind what has no number. */
static bool close_in(struct want *p) {
        p->clear = p->ahead;
        p->ahead /= 2;
        return p->ahead == 0;
}

/* False when that was all of the pattern. */
static bool went_on(struct want *p, bool found, int64_t sequence, bool *ret_new) {
        if (++p->n == PATTERN_MESSAGES_MAX || sequence == INT64_MAX)
                return false;
        if (found && sequence < p->sequence + p->ahead)
                return grope(p);
        /* it comes again, behind what else may be between the two */
        if (!close_in(p)) {
                *ret_new = false;
                return true;
        }
        p->clear = 0;
        p->sequence = sequence + 1;
        return found;
}

static void in_vain(struct fetch *f) {
        f->vain = MIN(f->vain + 1, EAGER_TRIES + 5);
        f->rest = f->vain < EAGER_TRIES ? 0 : MIN(2U << (f->vain - EAGER_TRIES), RESTS_MAX) - 1;
}

bool fetch_came(struct fetch *f, int status, int64_t sequence) {
        const bool an_order = f->waiting == AN_ORDER;
        bool new = status == 0;

        if (f->waiting == NOTHING)
                return false;
        f->waiting = NOTHING;
        f->rests = status != 0 && status != FETCH_NONE && status != FETCH_DENIED;
        f->tries = f->rests && an_order ? f->tries + 1 : 0;
        if (f->tries == ORDER_TRIES_MAX)
                f->n_orders = f->tries = 0;
        if (f->rests && !an_order)
                in_vain(f);
        if (f->rests)
                return false;
        f->vain = f->rest = 0;
        if (an_order)
                done_with_first(f->orders, &f->n_orders);
        else if (status == FETCH_DENIED || !went_on(f->patterns, status == 0, sequence, &new))
                done_with_first(f->patterns, &f->n_patterns);
        return new;
}

void fetch_again(struct fetch *f) {
        if (f->waiting == A_PATTERN)
                in_vain(f);
        f->waiting = NOTHING;
        f->rests = f->n_orders == 0 && f->rest > 0;
        f->rest -= f->rests;
}

bool fetch_is_waiting(const struct fetch *f) {
        return f->waiting != NOTHING;
}

bool fetch_is_over(const struct fetch *f) {
        return f->n_orders == 0 && f->n_patterns == 0;
}
