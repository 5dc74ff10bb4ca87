/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/heard.h"

#include <string.h>

#include "agent/core/agent.h"
#include "agent/util/clock.h"
#include "policy/decide.h"

#define WITHHELD_LISTED 16U

static const char *const ids[_HEARD_STATE_MAX] = {
#define X(name, id) [HEARD_##name] = id,
        HEARD_STATE_TABLE(X)
#undef X
};

void heard_done(struct heard *h) {
        h->timer = sd_event_source_disable_unref(h->timer);
        dsse_done(&h->head);
}

const char *heard_state_id(enum heard_state s) {
        return ids[s];
}

bool heard_state_from_id(const char *id, enum heard_state *ret) {
        for (size_t i = 0; i < _HEARD_STATE_MAX; i++)
                if (strcmp(ids[i], id) == 0) {
                        *ret = (enum heard_state) i;
                        return true;
                }
        return false;
}

/* By a clock that somebody vouches for; when the head came, nobody may have. */
static bool is_of_now(const struct heard *h) {
        const int64_t now = clock_wall_ms();

        return now < h->exp_ms && h->iat_ms <= now + DECIDE_AHEAD_MS;
}

bool heard_believes(const struct heard *h) {
        return h->head.payload && clock_boot_ms() < h->until_ms && (!clock_synced() || is_of_now(h));
}

/* Who has heard a head to its end knows that there is somebody to be heard. */
int64_t heard_missed_from(const struct heard *h) {
        const int64_t from = h->since_ms + HERALD_LIFE_MS;

        return h->until_ms != 0 ? MIN(from, h->until_ms) : from;
}

enum heard_state heard_state(const struct agent *a) {
        const struct heard *h = &a->heard;

        if (!a->trust || trust_role_people(a->trust, TRUST_HERALD_ROLE) == 0)
                return HEARD_NONE;
        /* FAIL-CLOSED: by a clock that nobody vouches for, a head of last year may look new */
        if (heard_believes(h))
                return clock_synced() ? HEARD_FRESH : HEARD_UNKNOWN;
        /* who was deaf before a restart is not given time anew, or whoever can kill the agent could have it say nothing
         */
        return h->recorded != HEARD_STALE && clock_boot_ms() < heard_missed_from(h) ? HEARD_UNKNOWN : HEARD_STALE;
}

static bool is_digest(const uint8_t a[static HERALD_DIGEST_SIZE], const uint8_t b[static HERALD_DIGEST_SIZE]) {
        return memcmp(a, b, HERALD_DIGEST_SIZE) == 0;
}

static bool was_refused(const struct heard *h, const uint8_t digest[static HERALD_DIGEST_SIZE]) {
        for (size_t i = 0; i < MIN(h->next_refused, HEARD_REFUSED_MAX); i++)
                if (is_digest(h->refused[i], digest))
                        return true;
        return false;
}

/* By the now of a stop order (policy/decide.h), and what was forgotten can act no more. */
static bool is_over(const struct agent *a, int64_t exp_ms) {
        const int64_t now = clock_synced() ? clock_wall_ms() : floor_now(&a->floor);

        return now >= exp_ms || exp_ms <= hold_set_forgotten(a->holds);
}

/* By its bytes: whoever may order anything could else hide an order of others behind one of their own that has its id.
 * What was buried under an id is whatever has it. */
static bool has_come(const struct agent *a, const struct command_id *id,
                     const uint8_t digest[static HERALD_DIGEST_SIZE]) {
        const struct seen *s = hold_set_seen(a->holds, id);

        return (s && (seen_is_tombstone(s) || is_digest(s->digest, digest))) || was_refused(&a->heard, digest);
}

static void drop_settled(struct agent *a) {
        struct heard *h = &a->heard;
        size_t kept = 0;

        for (size_t i = 0; i < h->n_missing; i++)
                if (!has_come(a, &h->missing[i].id, h->missing[i].digest) && !is_over(a, h->missing[i].exp_ms))
                        h->missing[kept++] = h->missing[i];
        h->n_missing = kept;
}

static bool is_withheld(const struct heard *h, size_t i) {
        return clock_boot_ms() - h->missing[i].since_ms >= HERALD_PATIENCE_MS;
}

reason_set heard_notes(struct agent *a) {
        const struct heard *h = &a->heard;
        reason_set notes = heard_state(a) == HEARD_STALE ? reason_bit(REASON_HEAD_STALE) : 0;

        drop_settled(a);
        for (size_t i = 0; i < h->n_missing; i++)
                if (is_withheld(h, i))
                        notes |= reason_bit(REASON_WITHHELD);
        return notes;
}

static void append_id(json_t *array, const struct command_id *id) {
        char text[33];

        command_id_to_str(id, text);
        (void) json_array_append_new(array, json_string(text));
}

static json_t *withheld_to_json(const struct heard *h) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < h->n_missing && json_array_size(array) < WITHHELD_LISTED; i++)
                if (is_withheld(h, i))
                        append_id(array, &h->missing[i].id);
        return array;
}

json_t *heard_to_json(struct agent *a) {
        const struct heard *h = &a->heard;
        json_t *o = json_pack("{ss}", "state", heard_state_id(heard_state(a))), *withheld;

        drop_settled(a);
        if (o && heard_believes(h)) {
                (void) json_object_set_new(o, "n", json_integer(h->n));
                (void) json_object_set_new(o, "age_ms", json_integer(clock_boot_ms() - h->came_ms));
                (void) json_object_set_new(o, "trust_version", json_integer(h->trust_version));
        }
        withheld = withheld_to_json(h);
        if (o && json_array_size(withheld) > 0)
                (void) json_object_set(o, "withheld", withheld);
        json_decref(withheld);
        return o;
}

json_t *heard_missing_to_json(struct agent *a) {
        json_t *array = json_array();

        drop_settled(a);
        for (size_t i = 0; array && i < a->heard.n_missing; i++)
                append_id(array, &a->heard.missing[i].id);
        return array;
}

/* Is it missing already? Then it is named once more. Only the digest says which order it is: the head before may have
 * been a thief's, with another id. */
static bool name_again(struct heard *h, const struct herald_order *o) {
        for (size_t i = 0; i < h->n_missing; i++)
                if (is_digest(h->missing[i].digest, o->digest)) {
                        h->missing[i].id = o->id;
                        h->missing[i].exp_ms = o->exp_ms;
                        h->missing[i].named_ms = h->came_ms;
                        return true;
                }
        return false;
}

/* Whoever had the key for a moment could have named what nobody ordered, and filled all there is room for. */
static void drop_unnamed(struct heard *h, int64_t for_ms) {
        size_t kept = 0;

        for (size_t i = 0; i < h->n_missing; i++)
                if (h->came_ms - h->missing[i].named_ms < for_ms)
                        h->missing[kept++] = h->missing[i];
        h->n_missing = kept;
}

static void add_missing(struct heard *h, const struct herald_order *o) {
        if (h->n_missing == HEARD_MISSING_MAX)
                drop_unnamed(h, HERALD_LIFE_MS);
        if (h->n_missing == HEARD_MISSING_MAX)
                return;
        h->missing[h->n_missing].id = o->id;
        memcpy(h->missing[h->n_missing].digest, o->digest, sizeof(o->digest));
        h->missing[h->n_missing].since_ms = clock_boot_ms();
        h->missing[h->n_missing].exp_ms = o->exp_ms;
        h->missing[h->n_missing++].named_ms = h->came_ms;
}

void heard_list(struct agent *a, const struct herald_head *head) {
        const uint8_t *host = hostkey_public(a->key)->id;
        struct heard *h = &a->heard;

        drop_settled(a);
        for (size_t i = 0; i < head->n_orders; i++) {
                const struct herald_order *o = &head->orders[i];

                if (address_names(&o->to, host, a->attributes) && !has_come(a, &o->id, o->digest) &&
                    !is_over(a, o->exp_ms) && !name_again(h, o))
                        add_missing(h, o);
        }
        drop_unnamed(h, HEARD_UNNAMED_MS);
}

void heard_arrived(struct agent *a, const struct command_id *id, const uint8_t digest[static 32]) {
        struct heard *h = &a->heard;

        if (has_come(a, id, digest))
                return;
        memcpy(h->refused[h->next_refused % HEARD_REFUSED_MAX], digest, HERALD_DIGEST_SIZE);
        h->next_refused++;
        /* so that it can go round for as long as anybody likes */
        if (h->next_refused == 2 * HEARD_REFUSED_MAX)
                h->next_refused = HEARD_REFUSED_MAX;
}

void heard_forget_missing(struct agent *a) {
        a->heard.n_missing = 0;
}
