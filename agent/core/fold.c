/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/fold.h"

#include <sodium.h>
#include <string.h>

#include "agent/core/epochkey.h"
#include "agent/util/clock.h"
#include "policy/decide.h"
#include "policy/schema.h"

/* Later than any time that is recorded: a trust root may be dated at SCHEMA_INT_MAX, and the floor goes on from there
 * for as long as hosts run. Times up to here can be added and taken from each other. */
#define TIME_MAX (2 * SCHEMA_INT_MAX)

static bool is_time(json_int_t ms) {
        return ms >= 0 && ms <= TIME_MAX;
}

static int fold_end(struct agent *a, const struct command_id *hold, const struct command *c) {
        const struct hold *h = hold_set_find(a->holds, hold);

        if (!h && !c->step)
                return hold_set_bury(a->holds, hold, c->exp_ms);
        /* FAIL-CLOSED: an order that is yet to come is carried out in full */
        if (!h)
                return 0;
        return c->step && verb_info(h->verb)->isolates ? hold_set_thaw(a->holds, hold, &c->id)
                                                       : hold_set_release(a->holds, hold, &c->id);
}

static int fold_release(struct agent *a, const struct command *c) {
        for (size_t i = 0; i < c->n_targets; i++) {
                struct command_id hold;
                int r = command_id_from_str(c->targets[i].name, &hold);

                if (r == 0)
                        r = fold_end(a, &hold, c);
                /* -EPROTO: it is being released already, and one undoing serves both */
                if (r < 0 && r != -EPROTO)
                        return r;
        }
        floor_raise(&a->floor, decide_raise_floor(floor_now(&a->floor), c->iat_ms));
        return 0;
}

static int fold_extend(struct agent *a, const struct command *c, const struct account_charge *automation) {
        for (size_t i = 0; i < c->n_targets; i++) {
                struct command_id hold;
                int r = command_id_from_str(c->targets[i].name, &hold);

                if (r == 0)
                        r = hold_set_extend(a->holds, &hold, c->lease_ms, automation);
                /* one that was made, or is not over, by what could not be recorded: the others are extended all the
                 * same */
                if (r < 0 && r != -ENOENT && r != -EPROTO)
                        return r;
        }
        return 0;
}

static int keep_item(struct agent *a, const struct command_id *item, const struct command *c,
                     const uint8_t key[static 32]) {
        return shelf_hold(&a->shelf, &c->id, item, key);
}

static int lift_hold(struct agent *a, const struct command_id *hold, const struct command *c,
                     const uint8_t key[static 32]) {
        (void) c;
        (void) key;
        shelf_lift(&a->shelf, hold);
        return 0;
}

static int condemn_item(struct agent *a, const struct command_id *item, const struct command *c,
                        const uint8_t key[static 32]) {
        (void) key;
        return shelf_condemn(&a->shelf, item, &c->id);
}

static int fold_evidence(struct agent *a, const struct command *c, const uint8_t key[static 32]) {
        static int (*const folds[_VERB_MAX])(struct agent * a, const struct command_id *id, const struct command *c,
                                             const uint8_t key[static 32]) = {
                [VERB_EVIDENCE_HOLD] = keep_item,
                [VERB_EVIDENCE_UNHOLD] = lift_hold,
                [VERB_EVIDENCE_DELETE] = condemn_item,
        };
        int r = folds[c->verb] ? shelf_expect(&a->shelf, &c->id) : 0;

        for (size_t i = 0; r == 0 && folds[c->verb] && i < c->n_targets; i++) {
                struct command_id id;

                r = command_id_from_str(c->targets[i].name, &id);
                if (r == 0)
                        r = folds[c->verb](a, &id, c, key);
        }
        return r;
}

int fold_order(struct agent *a, const struct command *c, const uint8_t digest[static 32],
               const struct account_charge *by, bool is_automation, int64_t wall_ms, uint64_t n, struct sites *sites) {
        const struct account_charge *automation = is_automation ? by : NULL;
        int r = hold_set_see(a->holds, &c->id, digest, c->exp_ms);

        if (r == 0)
                r = hold_set_order(a->holds, &c->id, n);
        if (r == 0 && verb_info(c->verb)->cls == VERB_CLASS_STOP) {
                r = hold_set_begin(a->holds, c, automation, wall_ms);
                if (r == 0)
                        r = held_put(&a->held, &c->id, sites);
        } else if (r == 0 && c->verb == VERB_RELEASE) {
                r = fold_release(a, c);
        } else if (r == 0 && c->verb == VERB_EXTEND) {
                r = fold_extend(a, c, automation);
        } else if (r == 0) {
                r = fold_evidence(a, c, by->key);
        }
        sites_done(sites);
        return r;
}

int fold_outcome(struct agent *a, const struct outcome *o, uint64_t n, int64_t floor_ms) {
        int first = o->settle ? hold_set_settle(a->holds, o->id, o->state, o->reasons) : 0;

        for (size_t i = 0; i < o->n_ended; i++) {
                int r = hold_set_end(a->holds, &o->ended[i]);

                first = first < 0 ? first : r;
                /* its end is of a release that this version does not know: it stays, with what it holds */
                if (r == -EPROTO)
                        continue;
                held_remove(&a->held, &o->ended[i]);
                shelf_begin(&a->shelf, &o->ended[i], floor_ms, hold_set_passed(a->holds));
        }
        /* what cannot be deleted yet is tried until it is, and then there is more to say */
        if (!(o->reasons & reason_bit(REASON_NOT_DELETED)))
                shelf_answered(&a->shelf, o->id);
        const int r = hold_set_receipt(a->holds, o->id, n, o->more);
        return first < 0 || n == 0 ? first : r;
}

int fold_lapse(struct agent *a, const struct command_id *hold) {
        return hold_set_release(a->holds, hold, NULL);
}

/* Records from before keys were charged name none; what they granted is charged to nobody's. Nor did those of what
 * people ordered. */
static int charge_from_json(const json_t *body, int64_t floor_ms, struct account_charge *ret) {
        const json_t *key = json_object_get(body, "key");

        *ret = (struct account_charge) { .floor_ms = floor_ms };
        if (!key)
                return 0;
        return json_is_string(key) && sshkey_id_from_str(json_string_value(key), ret->key) == 0 ? 0 : -EBADMSG;
}

static int replay_order(struct agent *a, const json_t *body, int64_t wall_ms, int64_t floor_ms, uint64_t n) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_command_ struct command *c = NULL;
        _cleanup_(sites_done) struct sites sites = { 0 };
        const char *envelope = json_string_value(json_object_get(body, "envelope"));
        const bool automation = json_is_true(json_object_get(body, "automation"));
        struct account_charge charge;
        uint8_t digest[32];
        enum reason reason;
        int r;

        if (!envelope || charge_from_json(body, floor_ms, &charge) < 0)
                return -EBADMSG;
        r = dsse_parse(envelope, strlen(envelope), &d, &reason);
        if (r == 0 && reason == REASON_NONE)
                r = command_parse(d.payload, d.n_payload, &c, &reason);
        if (r < 0)
                return r;
        if (reason != REASON_NONE)
                return -EBADMSG;
        r = sites_from_json(json_object_get(body, "sites"), &sites);
        if (r < 0)
                return r;
        (void) crypto_hash_sha256(digest, d.payload, d.n_payload);
        return fold_order(a, c, digest, &charge, automation, wall_ms, n, &sites);
}

static reason_set reasons_from_json(const json_t *array) {
        reason_set set = 0;
        const json_t *one;
        size_t i;

        json_array_foreach(array, i, one) {
                enum reason r;

                if (json_is_string(one) && reason_from_id(json_string_value(one), &r))
                        set |= reason_bit(r);
        }
        return set;
}

static int replay_outcome(struct agent *a, const json_t *body, uint64_t n, int64_t floor_ms) {
        const json_t *list = json_object_get(body, "ended");
        const json_t *state = json_object_get(body, "state");
        const char *id_text = json_string_value(json_object_get(body, "id"));
        _cleanup_free_ struct command_id *ended = calloc(json_array_size(list) + 1, sizeof(*ended));
        struct command_id id;
        struct outcome o = { .id = &id,
                             .ended = ended,
                             .reasons = reasons_from_json(json_object_get(body, "reasons")),
                             .more = json_is_true(json_object_get(body, "more")) };

        if (!ended)
                return -ENOMEM;
        if (!id_text || command_id_from_str(id_text, &id) < 0)
                return -EBADMSG;
        o.settle = state != NULL;
        if (o.settle && (!json_is_string(state) || !hold_state_from_id(json_string_value(state), &o.state)))
                return -EBADMSG;
        for (size_t i = 0; i < json_array_size(list); i++) {
                const char *text = json_string_value(json_array_get(list, i));

                if (!text || command_id_from_str(text, &ended[o.n_ended++]) < 0)
                        return -EBADMSG;
        }
        return fold_outcome(a, &o, n, floor_ms);
}

static int replay_lapse(struct agent *a, const json_t *body) {
        const char *text = json_string_value(json_object_get(body, "id"));
        struct command_id hold;

        if (!text || command_id_from_str(text, &hold) < 0)
                return -EBADMSG;
        return fold_lapse(a, &hold);
}

static int replay_sites(struct agent *a, const json_t *body) {
        const char *text = json_string_value(json_object_get(body, "id"));
        struct sites sites = { 0 };
        struct command_id hold;
        int r;

        if (!text || command_id_from_str(text, &hold) < 0)
                return -EBADMSG;
        if (!hold_set_find(a->holds, &hold))
                return -ENOENT;
        r = sites_from_json(json_object_get(body, "sites"), &sites);
        return r < 0 ? r : held_put(&a->held, &hold, &sites);
}

static int replay_evidence(struct agent *a, const json_t *body, int64_t floor_ms) {
        const char *text = NULL;
        json_int_t keep_ms = 0, sealed = 0;
        struct shelf_item item = { .sealed_ms = floor_ms, .passed_ms = hold_set_passed(a->holds) };

        if (json_unpack((json_t *) body, "{ss sI sI}", "id", &text, "keep_ms", &keep_ms, "sealed", &sealed) < 0 ||
            command_id_from_str(text, &item.id) < 0 || !is_time(keep_ms) || sealed < 0)
                return -EBADMSG;
        item.keep_ms = keep_ms;
        item.bytes = (uint64_t) sealed;
        return shelf_put(&a->shelf, &item);
}

/* Of a record that only names what it is about. */
static int replay_end_of_evidence(struct agent *a, const json_t *body, bool gone) {
        const char *text = json_string_value(json_object_get(body, "id"));
        struct command_id id;

        if (!text || command_id_from_str(text, &id) < 0)
                return -EBADMSG;
        if (!gone)
                return shelf_condemn(&a->shelf, &id, NULL);
        shelf_remove(&a->shelf, &id);
        return 0;
}

/* What a hold that is over tried is in the ledger and nowhere else. */
static int replay_attempts(struct agent *a, const json_t *body, int64_t boot_ms) {
        const char *text = json_string_value(json_object_get(body, "id"));
        struct command_id hold;
        struct tried_hold *t;

        if (!text || command_id_from_str(text, &hold) < 0)
                return -EBADMSG;
        if (!hold_set_find(a->holds, &hold))
                return -ENOENT;
        t = tried_list_put(&a->tried, &hold);
        if (!t)
                return -ENOMEM;
        tried_hold_written(t, a->same_boot ? boot_ms : 0);
        return tried_restore(&t->tried, body);
}

static int replay_hearing(struct agent *a, const json_t *body) {
        const char *state = json_string_value(json_object_get(body, "state"));

        if (!state || (strcmp(state, "fresh") != 0 && strcmp(state, "stale") != 0))
                return -EBADMSG;
        a->heard.recorded = state[0] == 'f' ? HEARD_FRESH : HEARD_STALE;
        return 0;
}

/* The floor goes on with CLOCK_BOOTTIME while it is the same boot; time that passed while the host was off is not
 * known. */
static void replay_floor(struct agent *a, int64_t floor_ms, const uint8_t boot[static 16], int64_t boot_ms) {
        if (memcmp(boot, a->boot_id, sizeof(a->boot_id)) == 0)
                floor_ms += clock_boot_ms() - boot_ms;
        floor_raise(&a->floor, floor_ms);
}

int fold_replay(const json_t *body, uint64_t n, void *userdata) {
        struct agent *a = userdata;
        const char *kind = NULL, *boot_text = NULL;
        int r;
        json_int_t boot_ms, wall_ms, floor_ms;
        uint8_t boot[16];
        size_t size;

        if (json_unpack((json_t *) body, "{ss ss sI sI sI}", "kind", &kind, "boot", &boot_text, "t_boot", &boot_ms,
                        "t_wall", &wall_ms, "floor", &floor_ms) < 0 ||
            sodium_hex2bin(boot, sizeof(boot), boot_text, strlen(boot_text), NULL, &size, NULL) != 0 ||
            size != sizeof(boot) || !is_time(boot_ms) || !is_time(floor_ms))
                return -EBADMSG;
        a->same_boot = memcmp(boot, a->boot_id, sizeof(boot)) == 0;
        hold_set_advance(a->holds, boot, boot_ms);
        replay_floor(a, floor_ms, boot, boot_ms);
        /* A ledger of years has more ids than fit. What made room for this record when it was written makes room now.
         */
        if (hold_set_seen_room(a->holds) <= COMMAND_TARGETS_MAX)
                hold_set_forget(a->holds, floor_now(&a->floor));
        if (strcmp(kind, "order") == 0)
                r = replay_order(a, body, wall_ms, floor_ms, n);
        else if (strcmp(kind, "outcome") == 0)
                r = replay_outcome(a, body, n, floor_ms);
        else if (strcmp(kind, "lapse") == 0)
                r = replay_lapse(a, body);
        else if (strcmp(kind, "sites") == 0)
                r = replay_sites(a, body);
        else if (strcmp(kind, "attempts") == 0)
                r = replay_attempts(a, body, boot_ms);
        else if (strcmp(kind, "epoch") == 0)
                r = epochkey_replay(a->epoch, body, boot);
        else if (strcmp(kind, "head") == 0)
                r = replay_hearing(a, body);
        else if (strcmp(kind, "attributes") == 0) {
                a->attributes_record = n;
                r = 0;
        } else if (strcmp(kind, "trust") == 0)
                r = record_list_add(&a->trusted, n);
        else if (strcmp(kind, "evidence") == 0)
                r = replay_evidence(a, body, floor_ms);
        else if (strcmp(kind, "expiry") == 0 || strcmp(kind, "deleted") == 0)
                r = replay_end_of_evidence(a, body, kind[0] == 'd');
        else
                r = strcmp(kind, "start") == 0 || strcmp(kind, "refusal") == 0 || strcmp(kind, "custody") == 0
                            ? 0
                            : -EBADMSG;
        /* A hold that was made while the ledger could take no order has an outcome and no beginning. */
        return r == -ENOENT || r == -EPROTO || r == -EEXIST ? 0 : r;
}
