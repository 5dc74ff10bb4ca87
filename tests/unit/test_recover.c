/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/recover.c agent/core/release.c agent/util/log.c agent/util/clock.c */

/* Which holds a start goes on ending, and which orders it gives the outcome that they lack. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hold_box.h"

#include "agent/core/again.h"
#include "agent/core/anew.h"
#include "agent/core/ending.h"
#include "agent/core/fence.h"
#include "agent/core/keep.h"
#include "agent/core/layers.h"
#include "agent/core/lease.h"
#include "agent/core/prove.h"
#include "agent/core/receipt.h"
#include "agent/core/recover.h"
#include "agent/core/release.h"
#include "agent/core/retain.h"
#include "agent/core/snapshot.h"
#include "agent/core/strays.h"

static struct agent agent;
static struct ending_hold ended[8];
static size_t n_ended;
static struct command_id remains[4];
static size_t n_remains, n_enforced, n_snapshots;
static bool evidence_is_due;
static char last_words[128]; /* state and holds of the last receipt */

/* What the ledger has. */
static struct {
        enum verb verb;
        bool step;
        size_t n;
        struct command_id id, targets[2];
} orders[4];
static size_t n_orders;

/* Who is to be ended, and no more: the answer never comes. */
int ending_begin(struct agent *a, const struct ending_hold *holds, size_t n, ending_fn fn, void (*drop)(void *userdata),
                 void *userdata) {
        (void) a;
        (void) fn;
        for (size_t i = 0; i < n; i++) {
                assert_true(n_ended < ELEMENTSOF(ended));
                ended[n_ended++] = holds[i];
        }
        drop(userdata);
        return 0;
}

enum hold_state prove_hold(struct agent *a, const struct hold *h, prove_fn fn, void *userdata, reason_set *ret_gaps) {
        (void) a;
        (void) fn;
        (void) userdata;
        *ret_gaps = 0;
        return h->state;
}

/* Not asked for here. */
void again_find(struct agent *a, const struct command_id *hold, struct sites *sites) {
        (void) a;
        (void) hold;
        (void) sites;
}

int again_enforce(struct agent *a, const struct command_id *hold, enum reason why) {
        (void) a;
        (void) hold;
        assert_int_equal(why, REASON_RECOVERED);
        n_enforced++;
        return 0;
}

json_t *again_unfinished(struct agent *a, const struct command_id *hold) {
        return evidence_is_due ? record_receipt(a, hold) : NULL;
}

json_t *record_receipt(struct agent *a, const struct command_id *id) {
        const struct seen *s = hold_set_seen(a->holds, id);

        return s && s->receipt > 0 ? json_pack("{sb so}", "final", !s->more, "flags", json_array()) : NULL;
}

int snapshot_of_hold(struct agent *a, const struct command_id *hold, json_t *receipt, const struct answer *to) {
        (void) a;
        (void) hold;
        (void) receipt;
        (void) to;
        n_snapshots++;
        return 0;
}

struct sites *held_find(const struct held_list *l, const struct command_id *id) {
        static struct sites none;

        (void) l;
        (void) id;
        return &none;
}

void held_doubt(struct held_list *l, const struct command_id *id) {
        (void) l;
        (void) id;
}

void sites_close(struct sites *sites) {
        (void) sites;
}

void sites_done(struct sites *sites) {
        (void) sites;
}

int site_open(struct site *s, const char *root) {
        (void) s;
        (void) root;
        return -ENOENT;
}

bool site_is_host(const struct site *s) {
        (void) s;
        return false;
}

bool site_isolates(const struct site *s, enum verb verb) {
        (void) s;
        (void) verb;
        return false;
}

bool isolate_is_ours(struct isolate *i, const struct command_id *hold, uint64_t cgroup_id, const struct permit *a,
                     size_t n_a, const struct permit *b, size_t n_b) {
        (void) i;
        (void) hold;
        (void) cgroup_id;
        (void) a;
        (void) n_a;
        (void) b;
        (void) n_b;
        return true;
}

bool strays_any(struct cgroup_events *e, const struct site *s) {
        (void) e;
        (void) s;
        return false;
}

bool ledger_ok(const struct ledger *l) {
        (void) l;
        return true;
}

void layers_recover(struct agent *a) {
        (void) a;
}

void fence_restore(struct agent *a) {
        (void) a;
}

void retain_recover(struct agent *a) {
        (void) a;
}

void keep_update(struct agent *a) {
        (void) a;
}

void systemd_rest(struct systemd *s) {
        (void) s;
}

void lease_arm(struct agent *a) {
        (void) a;
}

void anew_or_refuse(struct agent *a, int r, const struct command_id *id, const struct answer *to) {
        (void) a;
        (void) r;
        (void) id;
        (void) to;
}

json_t *ending_hold_json(const struct ending_hold *hold, const char *state, const struct hold *h) {
        (void) hold;
        (void) h;
        return json_pack("{ss}", "state", state);
}

void undone_done(struct undone *u) {
        json_decref(u->holds);
}

void link_answer(const struct answer *to, const char *envelope, bool more) {
        (void) to;
        (void) envelope;
        (void) more;
}

int record_lapse(struct agent *a, const struct command_id *hold) {
        (void) a;
        (void) hold;
        return 0;
}

int record_order(struct agent *a, struct authorised *authorised, const struct dsse *d, struct sites *sites,
                 const struct phases *p, struct recorded **ret) {
        (void) a;
        (void) d;
        (void) sites;
        (void) p;
        (void) ret;
        authorised_free(authorised);
        return -ENOMEM;
}

json_t *record_order_of(struct agent *a, const struct command_id *id) {
        (void) a;
        for (size_t i = 0; i < n_orders; i++)
                if (command_id_equal(&orders[i].id, id))
                        return json_integer((json_int_t) i);
        return NULL;
}

struct command *record_order_command(const json_t *order, uint8_t *ret_digest) {
        const size_t k = (size_t) json_integer_value(order);
        struct command *c = order ? calloc(1, sizeof(*c)) : NULL;

        if (!c)
                return NULL;
        memcpy(ret_digest, digest_1, sizeof(digest_1));
        c->id = orders[k].id;
        c->verb = orders[k].verb;
        c->step = orders[k].step;
        c->n_targets = orders[k].n;
        c->targets = calloc(MAX(orders[k].n, (size_t) 1), sizeof(*c->targets));
        assert_non_null(c->targets);
        for (size_t i = 0; i < c->n_targets; i++) {
                c->targets[i].cls = TARGET_HOLD;
                command_id_to_str(&orders[k].targets[i], c->targets[i].name);
        }
        return c;
}

void snapshot_remains(struct agent *a, const struct command *c, const uint8_t digest[static 32]) {
        (void) a;
        (void) digest;
        assert_true(n_remains < ELEMENTSOF(remains));
        remains[n_remains++] = c->id;
}

const struct command *recorded_command(const struct recorded *r) {
        (void) r;
        return NULL;
}

const struct command_id *recorded_id(const struct recorded *r) {
        (void) r;
        return NULL;
}

const uint8_t *recorded_digest(const struct recorded *r) {
        (void) r;
        return NULL;
}

reason_set recorded_flags(const struct recorded *r) {
        (void) r;
        return 0;
}

struct phases *recorded_phases(struct recorded *r) {
        (void) r;
        return NULL;
}

void phases_stamp(struct phases *p, enum phase which) {
        (void) p;
        (void) which;
}

void recorded_free(struct recorded *r) {
        (void) r;
}

void recorded_freep(struct recorded **r) {
        (void) r;
}

json_t *receipt_plain(struct agent *a, const struct command_id *id, const uint8_t *digest, const char *verb,
                      const char *state, reason_set reasons) {
        (void) a;
        (void) id;
        (void) digest;
        (void) verb;
        assert_true((reasons & reason_bit(REASON_RECOVERED)) != 0);
        return json_pack("{ss}", "state", state);
}

int receipt_conclude(struct agent *a, json_t *receipt, bool final, struct outcome *o, char **ret) {
        size_t n = 0, i;
        json_t *hold;

        (void) a;
        (void) ret;
        assert_true(final && o->id);
        n += (size_t) snprintf(last_words, sizeof(last_words), "%s",
                               json_string_value(json_object_get(receipt, "state")));
        json_array_foreach(json_object_get(receipt, "holds"), i, hold) n += (size_t) snprintf(
                last_words + n, sizeof(last_words) - n, " %s", json_string_value(json_object_get(hold, "state")));
        return -ENOMEM;
}

static const struct command_id zeros;

static struct command_id held(uint32_t n) {
        const struct command_id id = begin(n, 0, false);

        assert_int_equal(hold_set_settle(set, &id, HOLD_HELD, 0), 0);
        return id;
}

static void start(void) {
        agent = (struct agent) { .holds = set };
        n_ended = n_remains = n_enforced = n_snapshots = 0;
        last_words[0] = '\0';
        recover_all(&agent);
}

/* An order that the ledger has; the ids of its targets are 0 for none. */
static struct command_id recorded(uint32_t n, enum verb verb, uint32_t target, uint32_t other) {
        const struct command_id id = id_of(n);

        assert_true(n_orders < ELEMENTSOF(orders));
        assert_int_equal(hold_set_see(set, &id, digest_1, 2 * DAY), 0);
        assert_int_equal(hold_set_order(set, &id, 5), 0);
        orders[n_orders].verb = verb;
        orders[n_orders].step = false;
        orders[n_orders].id = id;
        orders[n_orders].n = (target > 0) + (other > 0);
        orders[n_orders].targets[0] = id_of(target);
        orders[n_orders++].targets[1] = id_of(other);
        return id;
}

static int forget_orders(void **state) {
        n_orders = 0;
        return set_up(state);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, forget_orders, tear_down)

static void expect_ended(size_t i, const struct command_id *id, bool step) {
        assert_true(command_id_equal(&ended[i].id, id));
        assert_int_equal(ended[i].step, step);
}

/* A ledger may have an order of zeros without a receipt, or one that a release named. Who released what nobody released
 * is zeros as well. */
static void what_nobody_released_is_not_let_go(void **state) {
        (void) state;
        (void) held(1);
        (void) held(2);
        assert_int_equal(hold_set_see(set, &zeros, digest_1, 2 * DAY), 0);
        start();
        assert_int_equal(n_ended, 0);
}

static void neither_is_it_by_a_tombstone_of_zeros(void **state) {
        (void) state;
        (void) held(1);
        assert_int_equal(hold_set_bury(set, &zeros, 2 * DAY), 0);
        start();
        assert_int_equal(n_ended, 0);
}

/* One that is ending is ended alone, every minute anew. */
static void a_release_of_zeros_ends_what_it_named(void **state) {
        const struct command_id id = held(2);

        (void) state;
        (void) held(1);
        (void) held(3);
        assert_int_equal(hold_set_see(set, &zeros, digest_1, 2 * DAY), 0);
        assert_int_equal(hold_set_release(set, &id, &zeros), 0);
        start();
        assert_int_equal(n_ended, 1);
        expect_ended(0, &id, false);
        release_finish(&agent, &id, 0);
        assert_int_equal(n_ended, 2);
        expect_ended(1, &id, false);
}

/* One release has one receipt, also for those that it has thawed already. */
static void one_release_is_finished_as_a_whole(void **state) {
        const struct command_id by = id_of(9), thawed = held(1), thawing = held(2);

        (void) state;
        (void) held(3);
        assert_int_equal(hold_set_see(set, &by, digest_1, 2 * DAY), 0);
        assert_int_equal(hold_set_thaw(set, &thawed, &by), 0);
        assert_int_equal(hold_set_settle(set, &thawed, HOLD_HELD, 0), 0);
        assert_int_equal(hold_set_thaw(set, &thawing, &by), 0);
        agent = (struct agent) { .holds = set };
        n_ended = 0;
        release_finish(&agent, &thawing, 0);
        assert_int_equal(n_ended, 2);
        expect_ended(0, &thawed, true);
        expect_ended(1, &thawing, true);
        assert_int_equal(hold_set_settle(set, &thawing, HOLD_HELD, 0), 0);
        start(); /* both wait for their receipt, and that is one */
        assert_int_equal(n_ended, 2);
        assert_int_equal(hold_set_receipt(set, &by, 7, false), 0);
        start();
        assert_int_equal(n_ended, 0);
}

static void a_release_of_what_is_not_known_is_carried_out_again(void **state) {
        const struct command_id by = recorded(9, VERB_RELEASE, 5, 0), orphan = id_of(5);

        (void) state;
        (void) held(1);
        assert_int_equal(hold_set_bury(set, &orphan, 2 * DAY), 0);
        start();
        assert_int_equal(n_ended, 1);
        expect_ended(0, &orphan, false);
        assert_null(ended[0].was);
        assert_int_equal(hold_set_receipt(set, &by, 7, false), 0);
        start();
        assert_int_equal(n_ended, 0);
}

static void a_release_of_that_and_of_a_hold_has_one_receipt(void **state) {
        const struct command_id by = recorded(9, VERB_RELEASE, 1, 5), id = held(1), orphan = id_of(5);

        (void) state;
        assert_int_equal(hold_set_release(set, &id, &by), 0);
        assert_int_equal(hold_set_bury(set, &orphan, 2 * DAY), 0);
        start();
        assert_int_equal(n_ended, 2);
        expect_ended(0, &id, false);
        expect_ended(1, &orphan, false);
        assert_string_equal(ended[0].was, "releasing");
}

/* The last of several receipts would be the poorest: what is ended by the first is not there for the second. */
static void a_release_of_several_holds_is_resumed_once(void **state) {
        const struct command_id by = recorded(9, VERB_RELEASE, 1, 2), one = held(1), other = held(2), alone = held(3);
        const struct command_id last = recorded(10, VERB_RELEASE, 3, 0);

        (void) state;
        assert_int_equal(hold_set_release(set, &one, &by), 0);
        assert_int_equal(hold_set_release(set, &other, &by), 0);
        assert_int_equal(hold_set_release(set, &alone, &last), 0);
        start();
        assert_int_equal(n_ended, 3);
        expect_ended(0, &one, false);
        expect_ended(1, &other, false);
        expect_ended(2, &alone, false);
        /* it was answered, and did not get through with it */
        assert_int_equal(hold_set_receipt(set, &by, 7, false), 0);
        start();
        assert_int_equal(n_ended, 3);
}

/* Two that stop between: what the first one did stands. */
static void one_that_was_overtaken_touches_nothing_of_the_other(void **state) {
        const struct command_id by = recorded(8, VERB_RELEASE, 1, 0), id = held(1);
        const struct command_id late = recorded(9, VERB_RELEASE, 1, 0);

        (void) state;
        orders[0].step = orders[1].step = true;
        assert_int_equal(hold_set_thaw(set, &id, &by), 0);
        assert_int_equal(hold_set_settle(set, &id, HOLD_HELD, 0), 0);
        assert_int_equal(hold_set_receipt(set, &by, 7, false), 0);
        start();
        assert_int_equal(n_ended, 0);
        (void) late;
}

static void of_an_extension_it_is_said_whether_it_is_in_force(void **state) {
        const struct command_id by = recorded(9, VERB_EXTEND, 1, 2), longer = begin(1, 2 * MINUTE, false);
        const struct command_id other = begin(2, MINUTE, false);

        (void) state;
        assert_int_equal(hold_set_settle(set, &longer, HOLD_HELD, 0), 0);
        assert_int_equal(hold_set_settle(set, &other, HOLD_HELD, 0), 0);
        start();
        assert_string_equal(last_words, "extended extended extended");
        assert_int_equal(hold_set_release(set, &other, NULL), 0);
        start();
        assert_string_equal(last_words, "partial extended releasing");
        assert_int_equal(hold_set_end(set, &other), 0);
        start();
        assert_string_equal(last_words, "partial extended unknown");
        assert_int_equal(hold_set_receipt(set, &by, 7, false), 0);
        start();
        assert_string_equal(last_words, "");
}

static void of_a_snapshot_it_is_said_what_there_is(void **state) {
        const struct command_id snapshot = recorded(9, VERB_SNAPSHOT, 0, 0), over = recorded(8, VERB_CONTAIN, 0, 0);

        (void) state;
        (void) recorded(1, VERB_CONTAIN, 0, 0);
        (void) held(1);
        start();
        assert_int_equal(n_remains, 2);
        assert_true(command_id_equal(&remains[0], &over) && command_id_equal(&remains[1], &snapshot));
        assert_int_equal(hold_set_receipt(set, &over, 6, true), 0);
        assert_int_equal(hold_set_receipt(set, &snapshot, 7, false), 0);
        start();
        assert_int_equal(n_remains, 1);
        assert_true(command_id_equal(&remains[0], &over));
        assert_int_equal(hold_set_receipt(set, &over, 8, false), 0);
        start();
        assert_int_equal(n_remains, 0);
}

/* A freeze is answered before systemd is told of it, and once more after. */
static void a_promised_receipt_is_given(void **state) {
        const struct command_id id = recorded(1, VERB_CONTAIN, 0, 0);

        (void) state;
        (void) held(1);
        assert_int_equal(hold_set_receipt(set, &id, 6, true), 0);
        start();
        assert_int_equal(n_enforced, 1);
        assert_int_equal(n_snapshots, 0);
        evidence_is_due = true;
        start();
        evidence_is_due = false;
        assert_int_equal(n_enforced, 0);
        assert_int_equal(n_snapshots, 1);
        assert_int_equal(hold_set_receipt(set, &id, 7, false), 0);
        start();
        assert_int_equal(n_enforced + n_snapshots + n_remains, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(what_nobody_released_is_not_let_go),
                CASE(neither_is_it_by_a_tombstone_of_zeros),
                CASE(a_release_of_zeros_ends_what_it_named),
                CASE(one_release_is_finished_as_a_whole),
                CASE(a_release_of_what_is_not_known_is_carried_out_again),
                CASE(a_release_of_that_and_of_a_hold_has_one_receipt),
                CASE(a_release_of_several_holds_is_resumed_once),
                CASE(one_that_was_overtaken_touches_nothing_of_the_other),
                CASE(of_an_extension_it_is_said_whether_it_is_in_force),
                CASE(of_a_snapshot_it_is_said_what_there_is),
                CASE(a_promised_receipt_is_given),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
