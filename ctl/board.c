/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/board.h"
#include "ctl/catchup.h"
#include "ctl/text.h"

/* each signer reads again what is there; between two who do that at once it settles by the second time */
#define PUTS_MAX 4U
/* what is none, or has expired, hides nothing that waits behind it; but who goes on is not listened to for ever */
#define MESSAGES_MAX 65536U

void board_free(struct board *b) {
        for (size_t i = 0; b && i < b->n; i++)
                quorum_done(&b->v[i]);
        free(b);
}

void board_freep(struct board **b) {
        board_free(*b);
}

/* id NULL: the pattern of all. */
static int subject_of(const struct trust *t, const struct command_id *id, char ret[static SUBJECT_SIZE]) {
        struct subject s = { .kind = SUBJECT_SIGN };

        memcpy(s.fleet, t->fleet, sizeof(s.fleet));
        if (id)
                s.id = *id;
        return id ? subject_build(&s, ret) : subject_pattern(&s, ret);
}

/* One that is there already gets the other's signatures. */
static int add(struct board *b, const struct trust *t, struct quorum *q) {
        for (size_t i = 0; i < b->n; i++) {
                bool more;
                int r;
                if (!command_id_equal(&b->v[i].file.command->id, &q->file.command->id))
                        continue;
                r = quorum_merge(&b->v[i], t, q, &more);
                quorum_done(q);
                return r;
        }
        b->v[b->n++] = *q;
        *q = QUORUM_NULL;
        return 0;
}

static int take(struct board *b, const struct trust *t, const struct carrier_event *e, int64_t now_ms) {
        struct quorum q = QUORUM_NULL;
        enum reason reason;
        int r = quorum_read(t, NULL, e->text, e->n, now_ms, &q, &reason);

        if (r == 0 && reason == REASON_NONE)
                return add(b, t, &q);
        b->expired += reason == REASON_EXPIRED;
        b->forged += reason != REASON_EXPIRED;
        return r;
}

int board_read(struct carrier *c, const struct trust *t, int64_t now_ms, struct board **ret, struct why *w) {
        _cleanup_(board_freep) struct board *b = calloc(1, sizeof(*b));
        char pattern[SUBJECT_SIZE];
        int64_t next = 1;

        if (!b || subject_of(t, NULL, pattern) < 0)
                return why_errno(w, -ENOMEM, "what lacks signatures");
        for (size_t i = 0; !b->more; i++) {
                struct carrier_event *e;
                int x = catchup_next(c, t->fleet, pattern, &next, &e, w);
                if (x != 0)
                        return x;
                if (!e)
                        break;
                b->more = b->n == BOARD_MAX || i == MESSAGES_MAX;
                int r = b->more ? 0 : take(b, t, e, now_ms);
                free(e);
                if (r < 0)
                        return why_errno(w, r, "what lacks signatures");
        }
        *ret = TAKE_PTR(b);
        return 0;
}

/* *ret_reason NO_HOLD: nothing of that name is there. */
static int find(struct carrier *c, const struct trust *t, const struct command_id *id, int64_t now_ms,
                struct quorum *ret, enum reason *ret_reason, struct why *w) {
        char subject[SUBJECT_SIZE];
        struct carrier_event *e;

        *ret_reason = REASON_NO_HOLD;
        if (subject_of(t, id, subject) < 0)
                return why_set(w, CTL_USAGE, "that is no id of an order");
        int x = catchup_ask(c, t->fleet, subject, "", &e, w);
        if (x != 0 || !e)
                return x;
        int r = quorum_read(t, id, e->text, e->n, now_ms, ret, ret_reason);
        free(e);
        return r < 0 ? why_errno(w, r, "what lacks signatures") : 0;
}

int board_find(struct carrier *c, const struct trust *t, const struct command_id *id, int64_t now_ms,
               struct quorum *ret, struct why *w) {
        enum reason reason;
        char hex[33];

        command_id_to_str(id, hex);
        int x = find(c, t, id, now_ms, ret, &reason, w);
        if (x != 0 || reason == REASON_NONE)
                return x;
        if (reason == REASON_NO_HOLD)
                return why_set(w, CTL_REFUSED, "no order %s waits for signatures at the broker, and none is kept here",
                               hex);
        return why_set(w, reason_exit(reason), "what the broker has as %s is none to sign or send (%s): %s", hex,
                       reason_id(reason), reason_text(reason));
}

static int publish(struct carrier *c, const struct trust *t, const struct quorum *q, struct why *w) {
        _cleanup_free_ char *text = NULL;
        char subject[SUBJECT_SIZE];
        struct carrier_event *e = NULL;
        int r = subject_of(t, &q->file.command->id, subject);

        if (r == 0)
                r = dsse_to_json(&q->file.env, &text);
        if (r < 0)
                return why_errno(w, r, "what lacks signatures");
        /* the stream answers that it has it, which proves nothing; that nobody answers means that nobody keeps it */
        int x = carrier_ask(c, subject, text, strlen(text), &e, w);
        if (x == 0 && e->status == 503)
                x = why_set(w, CTL_MACHINE, "no stream of the broker keeps it: freezectl fleet setup");
        free(e);
        return x;
}

/* Another order under that id, from somebody who may give such orders, is one that this one takes the place of: who has
 * signed this one has been shown this one. */
static bool is_same(const struct quorum *a, const struct quorum *b) {
        const struct dsse *x = &a->file.env, *y = &b->file.env;

        return x->n_payload == y->n_payload && memcmp(x->payload, y->payload, x->n_payload) == 0;
}

int board_put(struct carrier *c, const struct trust *t, struct quorum *q, int64_t now_ms, struct why *w) {
        for (unsigned i = 0; i < PUTS_MAX; i++) {
                _cleanup_(quorum_done) struct quorum there = QUORUM_NULL;
                bool more = true, more_there = true;
                enum reason reason;
                int x = find(c, t, &q->file.command->id, now_ms, &there, &reason, w);

                if (x != 0)
                        return x;
                const bool is_there = reason == REASON_NONE && is_same(q, &there);
                int r = is_there ? quorum_merge(q, t, &there, &more) : 0;
                if (r == 0 && is_there)
                        r = quorum_merge(&there, t, q, &more_there);
                if (r < 0)
                        return why_errno(w, r, "what lacks signatures");
                if (!more_there)
                        return 0;
                x = publish(c, t, q, w);
                if (x != 0)
                        return x;
        }
        return why_set(w, CTL_MACHINE, "the broker does not keep what is signed; carry the file");
}
