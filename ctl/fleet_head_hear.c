/* SPDX-License-Identifier: Apache-2.0 */

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/catchup.h"
#include "ctl/file.h"
#include "ctl/fleet_head.h"
#include "ctl/text.h"
#include "policy/dsse.h"
#include "policy/subject.h"

/* A stream that somebody emptied counts from 1 again: now and then it is read from there, when it was read to its end.
 */
#define ROUNDS_MAX 20U
/* in one round: who has more than that to say does not get to keep the herald from speaking */
#define MESSAGES_MAX   100000U
#define ORDER_FILE_MAX (1024U * 1024)
#define FILES_MAX      4096U

/* What nobody signed who may is counted, and what there is no room for; what is no order, or over, is neither. */
static int take(struct fleet_head *h, struct fleet_head_unlisted *u, const char *text, size_t n, int64_t now_ms) {
        enum reason reason;
        int r = active_add(&h->active, h->trust, text, n, now_ms, &reason);

        if (r == -ENOSPC)
                u->crowded++;
        else if (r < 0)
                return why_errno(&h->c->why, r, "orders");
        else
                u->strays += reason != REASON_NONE && reason != REASON_TYPE && reason != REASON_EXPIRED;
        return 0;
}

static int names(const struct fleet_head *h, char ret_orders[static SUBJECT_SIZE], char ret_head[static SUBJECT_SIZE]) {
        struct subject s = { .kind = SUBJECT_HEAD };

        memcpy(s.fleet, h->trust->fleet, sizeof(s.fleet));
        int r = subject_build(&s, ret_head);
        if (r < 0)
                return r;
        (void) snprintf(ret_orders, SUBJECT_SIZE, "%.*scmd.>", (int) (strlen(ret_head) - strlen("head")), ret_head);
        return 0;
}

static int hear_orders(struct fleet_head *h, const char *orders, int64_t now_ms) {
        int x = 0;

        for (unsigned i = 0; x == 0 && i < MESSAGES_MAX; i++) {
                struct carrier_event *e;
                x = catchup_next(h->carrier, h->trust->fleet, orders, &h->from, &e, &h->c->why);
                h->rounds += x == 0 && !e;
                if (x != 0 || !e)
                        break;
                x = take(h, &h->in_stream, e->text, e->n, now_ms);
                free(e);
        }
        return x;
}

/* The last head of another herald, or of this one. */
static int hear_head(struct fleet_head *h, const char *head) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_herald_ struct herald_head *last = NULL;
        struct carrier_event *e = NULL;
        enum reason reason;
        int x = catchup_ask(h->carrier, h->trust->fleet, head, "", &e, &h->c->why);

        if (x != 0 || !e)
                return x;
        int r = dsse_parse(e->text, e->n, &d, &reason);
        free(e);
        if (r == 0 && reason == REASON_NONE)
                r = herald_verify(h->trust, &d, &last, &reason);
        if (r < 0)
                return why_errno(&h->c->why, r, "head");
        h->seen = reason == REASON_NONE ? last->n : 0;
        return 0;
}

static int take_file(struct fleet_head *h, const char *path, int64_t now_ms) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        int x = 0, r = file_read_plain(path, ORDER_FILE_MAX, &text, &n);

        if (r < 0)
                return why_errno(&h->c->why, r, "%s", CLEAN(path));
        for (const char *p = text, *end = text + n, *eol; x == 0 && p < end; p = eol + 1) {
                eol = memchr(p, '\n', (size_t) (end - p));
                if (!eol)
                        eol = end;
                if (eol > p)
                        x = take(h, &h->in_files, p, (size_t) (eol - p), now_ms);
        }
        return x;
}

/* A file that cannot be read takes no other with it; it is told of. */
static int take_dir(struct fleet_head *h, DIR *dir, const char *path, int64_t now_ms) {
        char one[PATH_MAX];
        unsigned n = 0;

        for (const struct dirent *d; (d = readdir(dir)) && n < FILES_MAX;) {
                if (d->d_name[0] == '.' || (size_t) snprintf(one, sizeof(one), "%s/%s", path, d->d_name) >= sizeof(one))
                        continue;
                n++;
                if (take_file(h, one, now_ms) != 0) {
                        fprintf(stderr, "freezectl: %s\n", h->c->why.text);
                        h->c->why.text[0] = '\0';
                }
        }
        return 0;
}

static int hear_files(struct fleet_head *h, int64_t now_ms) {
        const char *path = h->c->opt.orders;
        DIR *dir = path ? opendir(path) : NULL;

        /* they are read from their beginning each time */
        h->in_files = (struct fleet_head_unlisted) { 0 };
        if (!path)
                return 0;
        if (!dir)
                return errno == ENOTDIR ? take_file(h, path, now_ms) : why_errno(&h->c->why, -errno, "%s", CLEAN(path));
        int x = take_dir(h, dir, path, now_ms);
        (void) closedir(dir);
        return x;
}

int fleet_head_hear(struct fleet_head *h, int64_t now_ms) {
        char orders[SUBJECT_SIZE], head[SUBJECT_SIZE];

        if (h->rounds == ROUNDS_MAX)
                fleet_head_again(h);
        if (names(h, orders, head) < 0)
                return why_set(&h->c->why, CTL_USAGE, "the trust root has no name of a fleet");
        int x = hear_orders(h, orders, now_ms);
        if (x == 0)
                x = hear_head(h, head);
        if (x == 0)
                x = hear_files(h, now_ms);
        int r = active_forget(&h->active, now_ms);
        return x == 0 && r < 0 ? why_errno(&h->c->why, r, "orders") : x;
}
