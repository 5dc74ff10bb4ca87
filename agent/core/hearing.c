/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/hearing.h"

#include <string.h>
#include <time.h>

#include <sodium.h>

#include "agent/core/record.h"
#include "agent/core/status.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "policy/verify.h"

#define RECORD_EVERY_MS 60000

static void settle(struct agent *a);

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        settle(userdata);
        return 0;
}

static void arm(struct agent *a, int64_t at_ms) {
        struct heard *h = &a->heard;
        const uint64_t at = (uint64_t) at_ms * 1000;
        int r;

        if (!h->timer)
                r = sd_event_add_time(a->event, &h->timer, CLOCK_BOOTTIME, at, 1000, on_timer, a);
        else {
                r = sd_event_source_set_time(h->timer, at);
                if (r >= 0)
                        r = sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
        }
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "head"), "The timer of heads could not be set: %s",
                          strerror(-r));
}

static void tell(struct agent *a, enum heard_state now) {
        struct heard *h = &a->heard;
        int r = record_hearing(a, heard_state_id(now), h->n);

        h->recorded_ms = clock_boot_ms();
        log_event(now == HEARD_STALE ? LOG_WARNING : LOG_NOTICE, NULL, LOG_FIELDS(.stage = "head"),
                  now == HEARD_STALE ? "No fresh head of the fleet: orders may be kept from this host"
                                     : "The fleet's head is fresh");
        if (r == 0)
                h->recorded = now;
        else
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "record"), "That could not be recorded: %s", strerror(-r));
}

/* Records a change, and sees to it that the next one is noticed. */
static void settle(struct agent *a) {
        struct heard *h = &a->heard;
        const enum heard_state now = heard_state(a);
        const int64_t boot_ms = clock_boot_ms();

        if (h->head.payload && !heard_believes(h))
                dsse_done(&h->head);
        if ((now == HEARD_FRESH || now == HEARD_STALE) && now != h->recorded &&
            (h->recorded_ms == 0 || boot_ms - h->recorded_ms >= RECORD_EVERY_MS))
                tell(a, now);
        if ((now == HEARD_FRESH || now == HEARD_STALE) && now != h->recorded)
                arm(a, h->recorded_ms + RECORD_EVERY_MS);
        else if (h->head.payload)
                arm(a, h->until_ms);
        else if (now == HEARD_UNKNOWN)
                arm(a, heard_missed_from(h));
}

static bool is_same(const struct dsse *a, const struct dsse *b) {
        return a->n_payload == b->n_payload && memcmp(a->payload, b->payload, a->n_payload) == 0;
}

/* Takes what d owns when it is NONE and news. */
static enum reason judge(struct agent *a, const struct herald_head *head, struct dsse *d) {
        const struct herald_clock clock = { clock_wall_ms(), floor_now(&a->floor), clock_synced() };
        struct heard *h = &a->heard;
        enum reason reason;
        int64_t life;

        if (h->head.payload && is_same(&h->head, d))
                return REASON_NONE;
        reason = herald_life(head, &clock, &life);
        if (reason == REASON_NONE && h->head.payload && head->n <= h->n)
                reason = REASON_HEAD_STALE;
        if (reason != REASON_NONE)
                return reason;
        dsse_done(&h->head);
        h->head = *d;
        *d = DSSE_NULL;
        h->n = head->n;
        h->trust_version = head->trust_version;
        h->iat_ms = head->iat_ms;
        h->exp_ms = head->exp_ms;
        h->came_ms = clock_boot_ms();
        h->until_ms = h->came_ms + life;
        return REASON_NONE;
}

static int answer(struct agent *a, const uint8_t digest[static 32], const struct herald_head *head, enum reason reason,
                  const struct answer *to) {
        json_t *report = status_report_new(a, "head", NULL);
        char hex[65];
        int r;

        r = json_object_set_new(report, "digest", json_string(sodium_bin2hex(hex, sizeof(hex), digest, 32)));
        r |= json_object_set_new(report, "taken", json_boolean(reason == REASON_NONE));
        if (head)
                r |= json_object_set_new(report, "n", json_integer(head->n));
        if (reason != REASON_NONE)
                r |= json_object_set_new(report, "reason", json_string(reason_id(reason)));
        r |= json_object_set_new(report, "missing", heard_missing_to_json(a));
        r |= json_object_set_new(report, "trust_version", json_integer(a->trust ? a->trust->version : 0));
        r |= json_object_set_new(report, "head", heard_to_json(a));
        if (r != 0) {
                json_decref(report);
                report = NULL;
        }
        return status_report_send(a, report, to);
}

int hearing_take(struct agent *a, const struct dsse *d, const struct answer *to) {
        _cleanup_herald_ struct herald_head *head = NULL;
        _cleanup_(dsse_done) struct dsse kept = *d;
        enum reason reason;
        uint8_t digest[32];
        int r;

        (void) crypto_hash_sha256(digest, d->payload, d->n_payload);
        kept.payload = memdup_array(d->payload, d->n_payload + 1, 1);
        if (!kept.payload)
                return -ENOMEM;
        settle(a);
        r = herald_verify(a->trust, d, &head, &reason);
        if (r < 0)
                return r;
        if (reason == REASON_NONE)
                reason = judge(a, head, &kept);
        if (reason == REASON_NONE)
                heard_list(a, head);
        settle(a);
        return answer(a, digest, head, reason, to);
}

void hearing_begin(struct agent *a) {
        struct heard *h = &a->heard;
        const bool listens = a->trust && trust_role_people(a->trust, TRUST_HERALD_ROLE) != 0;
        enum reason reason = REASON_NONE;

        if (h->head.payload &&
            (verify_by_role(a->trust, &h->head, DSSE_HEAD, TRUST_HERALD_ROLE, &reason) < 0 || reason != REASON_NONE)) {
                dsse_done(&h->head);
                h->until_ms = 0;
                heard_forget_missing(a);
        }
        if (!listens) {
                h->since_ms = h->until_ms = 0;
                heard_forget_missing(a);
        }
        if (listens && h->since_ms == 0)
                h->since_ms = clock_boot_ms();
        settle(a);
}
