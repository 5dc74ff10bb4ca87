/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/brokerfile.h"
#include "ctl/fleet_ask.h"
#include "ctl/text.h"
#include "ctl/times.h"
#include "ctl/trustfile.h"
#include "policy/subject.h"

/* Each round hears under a subject of its own; the broker forgets them with the connection. */
#define ROUNDS_MAX 60U

int fleet_ask_open(struct ctl *c, struct fleet_ask *ret) {
        struct fleet_ask *a = ret;

        *a = (struct fleet_ask) { .c = c };
        int x = trustfile_load(&c->opt, &a->trust, &c->why);
        if (x == 0 && !a->trust)
                x = why_set(&c->why, CTL_MACHINE, "there is no %s here: give --trust FILE", TRUSTFILE_PATH);
        if (x == 0 && c->opt.nats)
                x = brokerfile_load(c->opt.nats, &a->broker, &c->why);
        if (x == 0)
                x = inventory_load(c->opt.inventory, a->trust, &a->inventory, &c->why);
        if (x == 0 && a->inventory.n == 0)
                x = why_set(&c->why, CTL_USAGE, "the inventory has no host in it that counts");
        if (x == 0 && muster_init(&a->muster, &a->inventory) < 0)
                x = why_errno(&c->why, -ENOMEM, "hosts");
        return x;
}

void fleet_ask_done(struct fleet_ask *a) {
        carrier_free(a->carrier);
        muster_done(&a->muster);
        inventory_done(&a->inventory);
        trust_freep(&a->trust);
}

static int open_carrier(struct fleet_ask *a) {
        if (a->rounds++ >= ROUNDS_MAX)
                carrier_free(TAKE_PTR(a->carrier));
        if (a->carrier)
                return 0;
        a->rounds = 0;
        return carrier_open(&a->broker, &a->carrier, &a->c->why);
}

/* Hears before it asks. */
static int ask(struct fleet_ask *a, const struct command_id *nonce) {
        struct subject s = { .kind = SUBJECT_ASK_ALL };
        char answers[SUBJECT_SIZE], subject[SUBJECT_SIZE], query[128], hex[33];

        command_id_to_str(nonce, hex);
        memcpy(s.fleet, a->trust->fleet, sizeof(s.fleet));
        (void) snprintf(query, sizeof(query), "{\"query\":\"health\",\"nonce\":\"%s\"}", hex);
        int r = subject_answers(a->trust->fleet, nonce, answers);
        if (r == 0)
                r = subject_build(&s, subject);
        if (r == 0)
                r = carrier_hear(a->carrier, answers);
        if (r < 0)
                return carrier_failed(a->carrier, r, &a->c->why);
        int x = carrier_permitted(a->carrier, &a->c->why);
        if (x != 0)
                return x;
        muster_begin(&a->muster, hex);
        a->asked_ms = boot_ms();
        r = carrier_say(a->carrier, subject, NULL, query, strlen(query));
        return r < 0 ? carrier_failed(a->carrier, r, &a->c->why) : 0;
}

/* An answer comes under its host's name, which is tried and not believed. One to an earlier question is late. */
static int take(struct fleet_ask *a, const struct carrier_event *e, const struct command_id *nonce, int64_t at_ms) {
        struct subject s;

        if (e->kind == CARRIER_DENIED)
                return why_set(&a->c->why, CTL_MACHINE, "the broker does not permit it: %s", CLEAN(e->text));
        if (e->kind == CARRIER_CLOSED)
                return why_set(&a->c->why, CTL_MACHINE, "%s", CLEAN(e->text));
        if (e->kind == CARRIER_LOST)
                return why_set(&a->c->why, CTL_MACHINE, "answers came faster than they could be taken");
        if (e->kind != CARRIER_MESSAGE || subject_parse(e->subject, strlen(e->subject), &s) < 0 ||
            s.kind != SUBJECT_RSP || !command_id_equal(&s.id, nonce))
                return 0;
        int r = muster_add(&a->muster, s.host, e->text, e->n, at_ms);
        return r < 0 ? why_errno(&a->c->why, r, "answers") : 0;
}

/* Who has answered in time is not silent because there was no time to look: see rollout_send.c. */
static int hear(struct fleet_ask *a, const struct command_id *nonce, int64_t timeout_ms) {
        int x = 0;

        while (x == 0 && !muster_is_over(&a->muster)) {
                struct carrier_event *e = NULL;
                const int64_t left = timeout_ms - (boot_ms() - a->asked_ms);
                int r = carrier_next(a->carrier, (int) MIN(MAX(left, (int64_t) HANDOVER_MS), INT64_C(1000)), &e);
                if (r < 0)
                        x = carrier_failed(a->carrier, r, &a->c->why);
                else if (e)
                        x = take(a, e, nonce, boot_ms());
                const bool came = e != NULL;
                free(e);
                if (left <= -timeout_ms || (left <= 0 && !came))
                        break;
        }
        return x;
}

int fleet_ask_round(struct fleet_ask *a, int64_t timeout_ms) {
        struct command_id nonce;

        randombytes_buf(&nonce, sizeof(nonce));
        int x = open_carrier(a);
        if (x == 0)
                x = ask(a, &nonce);
        if (x == 0)
                x = hear(a, &nonce, timeout_ms);
        if (x != 0)
                carrier_free(TAKE_PTR(a->carrier));
        return x;
}
