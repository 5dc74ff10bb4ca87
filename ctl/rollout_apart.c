/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/catchup.h"
#include "ctl/order.h"
#include "ctl/quorum.h"
#include "ctl/rollout.h"
#include "ctl/seenset.h"
#include "ctl/text.h"
#include "ctl/times.h"

/* an order to hosts has one for each of them; of more, somebody published it there */
#define COPIES_MAX (2 * ADDRESS_HOSTS_MAX)
/* somebody waits to type a number */
#define LOOK_MS 10000

struct look {
        struct rollout *r;
        struct carrier *c;
        int64_t end_ms;      /* of all of it; mono_ms */
        struct seenset said; /* what was, to say it once */
};

/* The two patterns that all subjects of orders with that id are under. */
static int patterns_of(const struct rollout *r, const struct command_id *id, char ret[static 2][SUBJECT_SIZE]) {
        static const char all[] = ".cmd.all.";
        struct subject s = { .kind = SUBJECT_CMD_ALL, .id = *id };

        memcpy(s.fleet, r->trust->fleet, sizeof(s.fleet));
        int e = subject_build(&s, ret[0]);
        const char *at = e == 0 ? strstr(ret[0], all) : NULL;
        if (!at)
                return -EINVAL;
        (void) snprintf(ret[1], SUBJECT_SIZE, "%.*s.cmd.*.*.%s", (int) (at - ret[0]), ret[0], at + strlen(all));
        return 0;
}

/* What a host refuses when others may have been taken in: who signed it, and by which trust root. One that cannot tell
 * the time cannot tell whether that is over. */
static const enum reason doubts[] = {
        REASON_UNTRUSTED,    REASON_SIGNATURE,    REASON_FLEET,     REASON_ROLE,  REASON_THRESHOLD,
        REASON_SEVERITY,     REASON_TARGET_CLASS, REASON_NO_TRUST,  REASON_CLOCK, REASON_TRUST_CHAIN,
        REASON_ROOT_EXPIRED, REASON_ROOT_STALE,   REASON_TOO_BROAD, _REASON_MAX,
};

static bool is_doubt(const struct rollcall_entry *e) {
        bool is = false;

        for (size_t i = 0; e->class == ROLLCALL_REFUSED && i < ELEMENTSOF(doubts); i++)
                is |= e->reason == doubts[i];
        return is;
}

bool rollout_is_taken(const struct rollout *r) {
        size_t verified = 0;

        for (size_t i = 0; i < r->n_waves; i++) {
                const struct rollcall *c = &r->waves[i].calls;
                verified += c->counts[ROLLCALL_VERIFIED];
                for (size_t k = 0; k < c->n; k++)
                        if (is_doubt(&c->v[k]))
                                return false;
        }
        return verified > 0;
}

static const char *why_it_stays(const struct rollout *r) {
        if (r->stopped)
                return "It was stopped";
        if (!rollout_is_taken(r))
                return "No host has said that it let go, or one doubts who may release";
        if (!r->waves[r->n_waves - 1].sent)
                return "Its last wave was not sent";
        return "The broker was lost, or does not permit it";
}

void rollout_tell_stays(const struct rollout *r) {
        if (r->outlived && !r->placed && rollout_takes_places(r))
                fprintf(stderr,
                        "%s: what the stream has of the orders that it names stays there. A host that comes back finds "
                        "the release there, too, and does not begin them; where it finds only the order, it carries it "
                        "out. Until %s the same release can be sent again.\n",
                        why_it_stays(r), TIME(r->cmd->exp_ms));
}

bool rollout_takes_places(const struct rollout *r) {
        size_t n = 0;

        for (size_t i = 0; i < r->n_waves; i++)
                n += r->waves[i].part.hosts;
        return n == r->to.n;
}

static bool takes_its_place(const struct rollout *r, const struct command *order) {
        const struct address *to = &r->to.to;
        bool all = rollout_takes_places(r) && order->to == to->to && strcmp(order->group, to->group) == 0;

        for (size_t i = 0; all && i < order->n_hosts; i++) {
                all = false;
                for (size_t k = 0; k < to->n_hosts; k++)
                        all |= memcmp(order->hosts[i], to->hosts[k], sizeof(to->hosts[k])) == 0;
        }
        return all;
}

static void warn(struct look *l, const struct command *order) {
        char id[33], text[1024];

        command_id_to_str(&order->id, id);
        (void) snprintf(
                text, sizeof(text),
                "The order %s is addressed to %s%s and stays in the stream, for whom the release is not for: who comes "
                "back before it is over (%s) carries it out. A release with the order's address takes its place "
                "there.\n",
                id,
                order->to == COMMAND_TO_ALL     ? "all"
                : order->to == COMMAND_TO_GROUP ? "group="
                                                : "other hosts",
                order->to == COMMAND_TO_GROUP ? order->group : "", TIME(order->exp_ms));
        if (seenset_add(&l->said, text, strlen(text)) != 0)
                fputs(text, stderr);
}

/* The next that is there, as long as there is time for it. */
static int next(struct look *l, const char *pattern, int64_t *from, struct carrier_event **ret) {
        struct why *w = &l->r->c->why;

        if (mono_ms() < l->end_ms)
                return catchup_next(l->c, l->r->trust->fleet, pattern, from, ret, w);
        return why_set(w, CTL_MACHINE, "the broker takes too long");
}

/* What is there and is an order that somebody may give; what else a broker shows is nobody's. */
static int look(struct look *l, const char *pattern, const struct command_id *id) {
        struct rollout *r = l->r;
        const int64_t now = order_now_ms(), life = r->cmd->exp_ms - r->cmd->iat_ms;
        const int64_t until = r->bundle.n > 0 ? r->cmd->exp_ms : now + life;
        int64_t from = 1;

        for (unsigned i = 0; i < COPIES_MAX; i++) {
                struct quorum q = QUORUM_NULL;
                struct carrier_event *e;
                enum reason reason;
                int x = next(l, pattern, &from, &e);
                if (x != 0 || !e)
                        return x;
                int k = quorum_read(r->trust, id, e->text, e->n, now, &q, &reason);
                free(e);
                if (k < 0)
                        return why_errno(&r->c->why, k, "orders");
                const bool outlives = reason == REASON_NONE && q.file.command->exp_ms > until;
                if (outlives && !takes_its_place(r, q.file.command))
                        warn(l, q.file.command);
                else if (outlives)
                        r->outlived = true;
                quorum_done(&q);
        }
        r->outlived = true;
        fprintf(stderr,
                "The stream has more under %s than an order leaves there: what else is there cannot be known.\n",
                pattern);
        return 0;
}

static int look_for_each(struct look *l) {
        const struct rollout *r = l->r;
        char patterns[2][SUBJECT_SIZE];
        struct command_id id;
        int x = 0;

        for (size_t i = 0; x == 0 && i < r->cmd->n_targets; i++) {
                if (command_id_from_str(r->cmd->targets[i].name, &id) < 0 || patterns_of(r, &id, patterns) < 0)
                        continue;
                for (size_t k = 0; x == 0 && k < ELEMENTSOF(patterns); k++)
                        x = look(l, patterns[k], &id);
        }
        return x;
}

int rollout_apart(struct rollout *r) {
        struct carrier *own = NULL;
        struct why *w = &r->c->why;

        if (!r->cmd || r->cmd->verb != VERB_RELEASE || r->cmd->step || r->cmd->plan)
                return 0;
        int x = r->carrier ? 0 : carrier_open(&r->broker, &own, w);
        if (x != 0)
                return x;
        struct look l = { .r = r, .c = own ? own : r->carrier, .end_ms = mono_ms() + LOOK_MS, .said = SEENSET_NULL };
        x = look_for_each(&l);
        seenset_done(&l.said);
        carrier_free(own);
        if (x != 0) {
                r->outlived = true;
                fprintf(stderr, "Where the orders are in the stream cannot be known (%s).\n", w->text);
                w->text[0] = '\0';
        }
        return 0;
}
