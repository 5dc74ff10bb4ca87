/* SPDX-License-Identifier: Apache-2.0 */

#include <poll.h>
#include <string.h>

#include "ctl/brokerfile.h"
#include "ctl/courier.h"
#include "ctl/openc2_fleet.h"
#include "ctl/times.h"
#include "ctl/trustfile.h"

int openc2_fleet_start(struct ctl *c, const struct trust *t, struct openc2_fleet *ret) {
        int code = t ? brokerfile_load(c->opt.nats, &ret->broker, &c->why)
                     : why_set(&c->why, CTL_MACHINE,
                               "--nats needs a trust root to know the inventory's hosts by: there is no %s here, give "
                               "--trust FILE",
                               TRUSTFILE_PATH);

        if (code == 0)
                code = inventory_load(c->opt.inventory, t, &ret->inventory, &c->why);
        if (code != 0)
                return code;
        int r = courier_start(&ret->broker, t->fleet, &ret->courier);
        return r < 0 ? why_errno(&c->why, r, "--nats") : 0;
}

void openc2_fleet_done(struct openc2_fleet *f) {
        courier_freep(&f->courier);
        inventory_done(&f->inventory);
}

const struct host *openc2_fleet_host(const struct openc2_fleet *f, const char *name) {
        const struct inventory *i = &f->inventory;
        const struct inventory_host *found = NULL;
        uint8_t id[32];

        if (sshkey_id_from_str(name, id) >= 0)
                found = inventory_by_id(i, id);
        else
                for (size_t k = 0; k < i->n; k++)
                        if (strcmp(i->v[k].host.name, name) == 0) {
                                if (found)
                                        return NULL;
                                found = &i->v[k];
                        }
        return found ? &found->host : NULL;
}

struct question {
        const struct command *cmd;
        const char *envelope, *subject;
        const struct hosts *known;
        const struct receipt_want *want;
        bool given;
};

static void give(struct openc2_fleet *f, struct question *q) {
        if (f->up && courier_give(f->courier, q->subject, q->envelope, strlen(q->envelope)) >= 0)
                q->given = true;
}

/* What nobody signed that was asked is as if it had not come. 1: it did. */
static int take_answer(const struct courier_event *e, const struct question *q, struct receipt *ret,
                       char **ret_envelope) {
        struct receipt next = RECEIPT_NULL;
        int r = receipt_read(e->text, e->n, q->known, q->want, &next);
        char *text = r == 0 && next.kind == RECEIPT_SIGNED ? strdup(e->text) : NULL;

        if (!text) {
                receipt_done(&next);
                return r < 0 ? r : 0;
        }
        receipt_done(ret);
        *ret = next;
        free(*ret_envelope);
        *ret_envelope = text;
        return 1;
}

/* The next event. 1: an answer. */
static int turn(struct openc2_fleet *f, struct question *q, int64_t left, struct receipt *ret, char **ret_envelope) {
        struct pollfd p = { .fd = courier_fd(f->courier), .events = POLLIN };
        _cleanup_free_ struct courier_event *e = NULL;
        int r = poll(&p, 1, (int) MIN(left, 60000)) < 0 && errno != EINTR ? -errno : courier_take(f->courier, &e);

        if (r < 0 || !e)
                return r;
        if (e->kind == COURIER_ANSWER && command_id_equal(&e->subject.id, &q->cmd->id))
                return take_answer(e, q, ret, ret_envelope);
        if (e->kind == COURIER_UP || e->kind == COURIER_DOWN) {
                f->up = e->kind == COURIER_UP;
                give(f, q);
        }
        return 0;
}

int openc2_fleet_ask(struct openc2_fleet *f, const struct command *cmd, const char *envelope,
                     const struct receipt_want *want, int64_t timeout_ms, struct receipt *ret, char **ret_envelope,
                     bool *ret_given) {
        const struct inventory_host *host = inventory_by_id(&f->inventory, cmd->hosts[0]);
        const struct hosts known = { host ? (struct host *) &host->host : NULL, host ? 1 : 0 };
        char subject[SUBJECT_SIZE];
        struct question q = { .cmd = cmd, .envelope = envelope, .subject = subject, .known = &known, .want = want };
        int64_t until = mono_ms() + timeout_ms;
        int r = subject_command(cmd, subject);

        if (r < 0)
                return r;
        give(f, &q);
        for (int64_t left;
             r >= 0 && !(ret->kind == RECEIPT_SIGNED && receipt_is_final(ret)) && (left = until - mono_ms()) > 0;) {
                const bool first = !*ret_envelope;
                r = turn(f, &q, left, ret, ret_envelope);
                /* once: a broker may play it again for as long as it likes */
                if (r > 0 && first)
                        until = mono_ms() + MAX(timeout_ms, FINAL_TIMEOUT_MS);
        }
        *ret_given = q.given;
        /* what is signed and not final is an answer, too */
        return ret->kind == RECEIPT_SIGNED ? 0 : r < 0 ? r : -ETIMEDOUT;
}
