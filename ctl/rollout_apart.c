/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/catchup.h"
#include "ctl/order.h"
#include "ctl/quorum.h"
#include "ctl/rollout.h"
#include "ctl/text.h"

/* more than one group, or a host and a group, under one id: somebody published it there */
#define COPIES_MAX 16

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

static bool takes_its_place(const struct rollout *r, const struct command *order) {
        const struct address *to = &r->to.to;
        bool all = order->to == to->to && strcmp(order->group, to->group) == 0;

        for (size_t i = 0; all && i < order->n_hosts; i++) {
                all = false;
                for (size_t k = 0; k < to->n_hosts; k++)
                        all |= memcmp(order->hosts[i], to->hosts[k], sizeof(to->hosts[k])) == 0;
        }
        return all;
}

static void warn(const struct command *order, int64_t until_ms) {
        char id[33];

        command_id_to_str(&order->id, id);
        fprintf(stderr,
                "The order %s is addressed to %s%s and stays in the stream, for whom the release is not for. A host "
                "that comes back after the release is over (%s) and before the order is (%s) carries it out. A release "
                "with the order's address takes its place there.\n",
                id,
                order->to == COMMAND_TO_ALL     ? "all"
                : order->to == COMMAND_TO_GROUP ? "group="
                                                : "other hosts",
                order->to == COMMAND_TO_GROUP ? order->group : "", TIME(until_ms), TIME(order->exp_ms));
}

/* What is there and is an order that somebody may give; what else a broker shows is nobody's. */
static int look(const struct rollout *r, struct carrier *c, const char *pattern, const struct command_id *id) {
        const int64_t now = order_now_ms(), life = r->cmd->exp_ms - r->cmd->iat_ms;
        const int64_t until = r->bundle.n > 0 ? r->cmd->exp_ms : now + life;
        int64_t next = 1;

        for (int i = 0; i < COPIES_MAX; i++) {
                struct quorum q = QUORUM_NULL;
                struct carrier_event *e;
                enum reason reason;
                int x = catchup_next(c, r->trust->fleet, pattern, &next, &e, &r->c->why);
                if (x != 0 || !e)
                        return x;
                int k = quorum_read(r->trust, id, e->text, e->n, now, &q, &reason);
                free(e);
                if (k < 0)
                        return why_errno(&r->c->why, k, "orders");
                if (reason == REASON_NONE && q.file.command->exp_ms > until && !takes_its_place(r, q.file.command))
                        warn(q.file.command, until);
                quorum_done(&q);
        }
        return 0;
}

static int look_for_each(const struct rollout *r, struct carrier *c) {
        char patterns[2][SUBJECT_SIZE];
        struct command_id id;
        int x = 0;

        for (size_t i = 0; x == 0 && i < r->cmd->n_targets; i++) {
                if (command_id_from_str(r->cmd->targets[i].name, &id) < 0 || patterns_of(r, &id, patterns) < 0)
                        continue;
                for (size_t k = 0; x == 0 && k < ELEMENTSOF(patterns); k++)
                        x = look(r, c, patterns[k], &id);
        }
        return x;
}

int rollout_apart(struct rollout *r) {
        struct carrier *own = NULL;
        struct why *w = &r->c->why;

        if (!r->cmd || r->cmd->verb != VERB_RELEASE || r->cmd->step)
                return 0;
        int x = r->carrier ? 0 : carrier_open(&r->broker, &own, w);
        if (x != 0)
                return x;
        x = look_for_each(r, r->carrier ? r->carrier : own);
        carrier_free(own);
        if (x != 0) {
                fprintf(stderr, "Where the orders are in the stream cannot be known (%s).\n", w->text);
                w->text[0] = '\0';
        }
        return 0;
}
