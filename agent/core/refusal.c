/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/refusal.h"

#include <string.h>

#include "agent/core/receipt.h"
#include "agent/core/record.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

#define RECORDED_A_MINUTE 60U
/* of one person, some 200 KiB */
#define RECORDED_A_DAY 500U
#define DAY_MS         (24LL * 60 * 60 * 1000)

static bool is_repeated(const struct refusals *m, const uint8_t *digest, enum reason reason) {
        for (size_t i = 0; i < REFUSALS_REMEMBERED; i++)
                if (m->last[i].reason == reason && memcmp(m->last[i].digest, digest, 32) == 0)
                        return true;
        return false;
}

/* Of several people it is the first one's. */
static unsigned *used_today(struct refusals *m, uint64_t people) {
        const int64_t day = clock_boot_ms() / DAY_MS;

        if (m->day != day) {
                m->day = day;
                memset(m->of, 0, sizeof(m->of));
        }
        return &m->of[people ? (unsigned) __builtin_ctzll(people) : TRUST_PEOPLE_MAX];
}

static bool may_record(struct refusals *m, uint64_t people, const uint8_t *digest, enum reason reason) {
        const int64_t minute = clock_boot_ms() / 60000;
        unsigned *today = used_today(m, people);

        if (is_repeated(m, digest, reason))
                return false;
        if (m->minute != minute) {
                m->minute = minute;
                m->used = 0;
        }
        if (m->used >= RECORDED_A_MINUTE || *today >= RECORDED_A_DAY)
                return false;
        m->used++;
        (*today)++;
        memcpy(m->last[m->next].digest, digest, 32);
        m->last[m->next].reason = reason;
        m->next = (m->next + 1) % REFUSALS_REMEMBERED;
        return true;
}

static bool has_room(const struct agent *a) {
        return agent_ledger_ok(a) && ledger_room(a->ledger) > LEDGER_ROOM_LEFT;
}

static void record_it(struct agent *a, const struct command *c, uint64_t people, const uint8_t *digest,
                      enum reason reason) {
        int r;

        if (!digest || (c && c->plan) || !has_room(a) || !may_record(&a->refused, people, digest, reason))
                return;
        r = record_refusal(a, c ? &c->id : NULL, digest, reason);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "record"), "A refusal could not be recorded: %s",
                          strerror(-r));
}

/* Of whom it is, and what. */
struct refused {
        const struct command *c; /* NULL: it is none, or was not read */
        const char *label;       /* what stands for its id then */
        uint64_t people;
        const uint8_t *digest; /* NULL: nobody signed it */
};

static int answer(struct agent *a, const struct refused *what, const struct decision *d, const struct sites *sites,
                  const struct answer *to) {
        static struct log_limit limit = { .per_second = 5 };
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        char id[33] = "";
        int r;

        a->counters.refusals++;
        if (what->c)
                command_id_to_str(&what->c->id, id);
        log_lossy(&limit, LOG_NOTICE, MESSAGE_ID_REFUSED, LOG_FIELDS(.command_id = id, .reason = reason_id(d->reason)),
                  "Refused: %s", reason_text(d->reason));
        record_it(a, what->c, what->people, what->digest, d->reason);
        receipt = receipt_of_refusal(a, what->c, what->digest, d);
        if (receipt && what->label && json_object_set_new(receipt, "id", json_string(what->label)) < 0)
                return -ENOMEM;
        if (receipt && sites && json_object_set_new(receipt, "targets", receipt_missing(sites)) < 0)
                return -ENOMEM;
        r = receipt_seal(a, receipt, true, &envelope);
        if (r == 0)
                link_answer(to, envelope, false);
        return r;
}

int refusal_answer(struct agent *a, const struct command *c, uint64_t people, const uint8_t *digest,
                   const struct decision *d, const struct answer *to) {
        return answer(a, &(struct refused) { .c = c, .people = people, .digest = digest }, d, NULL, to);
}

int refusal_of(struct agent *a, const char *label, const uint8_t *digest, const struct decision *d,
               const struct answer *to) {
        return answer(a, &(struct refused) { .label = label, .digest = digest }, d, NULL, to);
}

int refusal_of_targets(struct agent *a, const struct authorised *authorised, const struct sites *sites,
                       const struct answer *to) {
        const struct decision d = { .kind = DECISION_REFUSED, .reason = sites->v[0].missing };

        const struct refused what = { .c = authorised_command(authorised),
                                      .people = authorised_people(authorised),
                                      .digest = authorised_digest(authorised) };

        return answer(a, &what, &d, sites, to);
}

/* The waves of a rollout share one subject, so each host is brought the orders of all. Who sends one expects answers of
 * its part only, found by the same function of salt and key (policy/place.h), and drops any other unread: in three
 * waves of 10,000 hosts that would be 20,000 signatures, records on a disk, and messages, for nobody.
 *
 * It comes here with valid signatures of people who may order it, and costs what every order does up to here. Before
 * that nobody knows for whom it is: that stands in what was signed, and only there. What a stranger changed or made up,
 * and what its signers may not order, is never passed over; who brings it can leave out nothing that is for this host.
 *
 * Nor is it remembered. A head names the part of an order beside its id, so what is not for this host is not missing
 * here, also after a restart (heard.c). A memory of ids would let whoever has one person's key and a broker hide an
 * order that is: by another of the same id, for nobody, and without a trace. */
void refusal_for_others(struct agent *a, const struct answer *to) {
        a->counters.for_others++;
        link_refuse(to, REASON_HOST);
}

/* The last receipt was told once, and is not in the ledger: nothing follows what is there. */
static bool is_lost(const struct agent *a, const struct command_id *id, const json_t *stored) {
        const struct seen *s = hold_set_seen(a->holds, id);

        return s && (s->unwritten || (!stored && s->receipt > 0));
}

int refusal_duplicate(struct agent *a, const struct command *c, const uint8_t *digest, const struct answer *to) {
        _cleanup_json_ json_t *receipt = receipt_of_duplicate(a, c, digest);
        _cleanup_free_ char *envelope = NULL;
        const json_t *stored = json_object_get(receipt, "receipt");
        bool final = stored && !json_is_false(json_object_get(stored, "final"));
        int r;

        a->counters.duplicates++;
        if (!final && is_lost(a, &c->id, stored)) {
                receipt_add_flag(receipt, REASON_LEDGER);
                final = true;
        }
        r = receipt_seal(a, receipt, final, &envelope);
        if (r == 0)
                link_answer(to, envelope, false);
        return r;
}
