/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/active.c ctl/seenset.c ctl/trustfile.c ctl/file.c ctl/text.c ctl/why.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/active.h"
#include "lib/people.h"

#define NOW    1795000000000LL
#define MINUTE 60000LL
#define HOUR   (60 * MINUTE)

static struct trust trust;
static uint8_t hosts[2][32] = { { 1 }, { 2 } };

static int begin(void **state) {
        (void) state;
        people_trust(NOW - HOUR, &trust);
        return 0;
}

/* With an id of alice. A release is of the hold of the first one. */
static struct command order(uint8_t id, enum verb verb) {
        static struct target unit, hold;
        const bool stops = verb_info(verb)->cls == VERB_CLASS_STOP || verb == VERB_SNAPSHOT;

        assert_int_equal(target_from_str("unit:a.service", &unit), 0);
        assert_int_equal(target_from_str("hold:0100000000000000b42576a84bcfcccb", &hold), 0);
        return (struct command) { .fleet = "prod",
                                  .id = { { id, [8] = 0xb4, 0x25, 0x76, 0xa8, 0x4b, 0xcf, 0xcc, 0xcb } },
                                  .verb = verb,
                                  .to = COMMAND_TO_ALL,
                                  .max_hosts = 9,
                                  .targets = stops ? &unit : &hold,
                                  .n_targets = 1,
                                  .iat_ms = NOW,
                                  .exp_ms = NOW + 10 * MINUTE,
                                  .severity = SEVERITY_P1,
                                  .reason = "test" };
}

/* With a lease, and an id that is this key's. */
static struct command order_of(enum key key, uint8_t id) {
        struct command c = order(id, VERB_CONTAIN);

        people_id(key, &c.id);
        c.lease_ms = MINUTE;
        return c;
}

/* As many hosts as an order may name. */
static void to_many(struct command *c) {
        static uint8_t many[ADDRESS_HOSTS_MAX][32];

        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                memcpy(many[i], &i, sizeof(i));
        c->to = COMMAND_TO_HOSTS;
        c->max_hosts = 0;
        c->hosts = many;
        c->n_hosts = ELEMENTSOF(many);
}

/* Owned by the caller. */
static char *signed_by(const struct command *c, unsigned by) {
        _cleanup_free_ char *json = NULL;
        char *text = NULL;

        assert_int_equal(command_to_json(c, &json), 0);
        struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, json, strlen(json), by);
        assert_int_equal(dsse_to_json(&d, &text), 0);
        dsse_done(&d);
        return text;
}

static enum reason add_at(struct active *a, const struct command *c, unsigned by, int64_t now_ms) {
        _cleanup_free_ char *text = signed_by(c, by);
        enum reason reason;

        assert_int_equal(active_add(a, &trust, text, strlen(text), now_ms, &reason), 0);
        return reason;
}

static bool has_room(struct active *a, const struct command *c, unsigned by) {
        _cleanup_free_ char *text = signed_by(c, by);
        enum reason reason;
        int r = active_add(a, &trust, text, strlen(text), NOW, &reason);

        assert_int_equal(reason, REASON_NONE);
        assert_true(r == 0 || r == -ENOSPC);
        return r == 0;
}

static enum reason add(struct active *a, const struct command *c, unsigned by) {
        return add_at(a, c, by, NOW);
}

static size_t n_of(const struct active *a) {
        size_t n = 0;

        for (size_t by = 0; by < _ACTIVE_BY_MAX; by++)
                n += a->by[by].n;
        return n;
}

/* The next head; it is one that hosts take. Freed by the caller. */
static struct herald_head *list(struct active *a, int64_t now_ms) {
        struct herald_head *h = calloc(1, sizeof(*h));
        _cleanup_free_ char *json = NULL;

        assert_non_null(h);
        *h = (struct herald_head) { .fleet = "prod", .n = NOW, .iat_ms = NOW, .exp_ms = NOW + 1, .trust_version = 1 };
        assert_int_equal(active_list(a, now_ms, h), 0);
        assert_int_equal(herald_to_json(h, &json), 0);
        return h;
}

static void only_who_may_give_an_order_has_it_listed(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command c = order(1, VERB_CONTAIN), r = order(2, VERB_RELEASE), other = order(3, VERB_CONTAIN),
                       snapshot = order(4, VERB_SNAPSHOT), plan = order(5, VERB_CONTAIN),
                       squatter = order_of(KEY_ALICE, 1);
        enum reason reason;

        (void) state;
        assert_int_equal(add(&a, &c, BY(STRANGER)), REASON_UNTRUSTED);
        assert_int_equal(add(&a, &c, BY(DAVE)), REASON_ROLE);
        assert_int_equal(add(&a, &r, BY(ALICE) | BY(ALICE_2)), REASON_THRESHOLD);
        strcpy(other.fleet, "lab");
        assert_int_equal(add(&a, &other, BY(ALICE)), REASON_FLEET);
        assert_int_equal(add(&a, &snapshot, BY(ALICE)), REASON_TYPE);
        plan.plan = true;
        assert_int_equal(add(&a, &plan, BY(ALICE)), REASON_TYPE);
        /* with somebody else's id: no host takes it, so no head may ask for it */
        assert_int_equal(add(&a, &c, BY(BOB)), REASON_FOREIGN_ID);
        assert_int_equal(add(&a, &squatter, BY(BOT)), REASON_FOREIGN_ID);
        assert_int_equal(active_add(&a, &trust, "garbage", 7, NOW, &reason), 0);
        assert_int_not_equal(reason, REASON_NONE);
        assert_int_equal(n_of(&a), 0);

        assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
        assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
        assert_int_equal(add(&a, &c, BY(BOB)), REASON_NONE);
        assert_int_equal(n_of(&a), 1);
        struct herald_head *h = list(&a, NOW);
        assert_int_equal(h->n_orders, 1);
        assert_true(command_id_equal(&h->orders[0].id, &c.id));
        assert_int_equal(h->orders[0].to.to, COMMAND_TO_ALL);
        assert_int_equal(h->orders[0].exp_ms, c.exp_ms);
        herald_free(h);
}

static void what_was_released_is_not_listed_whichever_came_first(void **state) {
        struct command c = order(1, VERB_CONTAIN), r = order(2, VERB_RELEASE);

        (void) state;
        for (int first = 0; first < 2; first++) {
                _cleanup_(active_done) struct active a = ACTIVE_NULL;
                assert_int_equal(add(&a, first ? &r : &c, BY(ALICE) | BY(BOB)), REASON_NONE);
                assert_int_equal(add(&a, first ? &c : &r, BY(ALICE) | BY(BOB)), REASON_NONE);
                struct herald_head *h = list(&a, NOW);
                assert_int_equal(h->n_orders, 1);
                assert_true(command_id_equal(&h->orders[0].id, &r.id));
                herald_free(h);
        }
}

/* The stop order may be good for longer than the release that ended it. */
static void a_release_that_is_over_has_released(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command c = order(1, VERB_CONTAIN), r = order(2, VERB_RELEASE);

        (void) state;
        c.exp_ms = NOW + 20 * HOUR;
        assert_int_equal(add(&a, &r, BY(ALICE) | BY(BOB)), REASON_NONE);
        assert_int_equal(active_forget(&a, NOW + 3 * HOUR), 0);
        assert_int_equal(add_at(&a, &c, BY(ALICE), NOW + 3 * HOUR), REASON_NONE);
        assert_int_equal(active_count(&a, NOW + 3 * HOUR), 0);
        assert_int_equal(active_forget(&a, NOW + 25 * HOUR), 0);
        assert_int_equal(n_of(&a), 0);
        assert_int_equal(add_at(&a, &c, BY(ALICE), NOW + 25 * HOUR), REASON_EXPIRED);
}

/* Two people signed it and nobody sent it: no host has had it, and none takes it now. */
static void a_release_that_comes_when_it_is_over_releases_nothing(void **state) {
        struct command c = order(1, VERB_CONTAIN), r = order(2, VERB_RELEASE);

        (void) state;
        c.exp_ms = NOW + 20 * HOUR;
        for (int first = 0; first < 2; first++) {
                _cleanup_(active_done) struct active a = ACTIVE_NULL;
                if (!first)
                        assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
                assert_int_equal(add_at(&a, &r, BY(ALICE) | BY(BOB), r.exp_ms), REASON_EXPIRED);
                if (first)
                        assert_int_equal(add_at(&a, &c, BY(ALICE), r.exp_ms), REASON_NONE);
                assert_int_equal(active_count(&a, r.exp_ms), 1);
        }
}

/* Hosts have had it, and what it ended is not to be listed again. By a root that does not know who gave it, it is none.
 */
static void a_release_that_was_there_in_time_is_in_time_for_another_root(void **state) {
        struct command c = order(1, VERB_CONTAIN), r = order(2, VERB_RELEASE), late = order(3, VERB_RELEASE);
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        const uint64_t responders = trust.roles[ROLE_RESPONDER].people;

        (void) state;
        c.exp_ms = NOW + 20 * HOUR;
        assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
        assert_int_equal(add(&a, &r, BY(ALICE) | BY(BOB)), REASON_NONE);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(active_forget(&a, NOW + HOUR), 0);
                active_anew(&a);
                assert_int_equal(n_of(&a), 0);
                /* the second time it was not heard again before the third root was there */
                if (i == 1)
                        continue;
                assert_int_equal(add_at(&a, &late, BY(ALICE) | BY(BOB), NOW + HOUR), REASON_EXPIRED);
                assert_int_equal(add_at(&a, &c, BY(ALICE), NOW + HOUR), REASON_NONE);
                assert_int_equal(active_count(&a, NOW + HOUR), 1);
                assert_int_equal(add_at(&a, &r, BY(ALICE) | BY(BOB), NOW + HOUR), REASON_NONE);
                assert_int_equal(active_count(&a, NOW + HOUR), 0);
        }
        active_anew(&a);
        trust.roles[ROLE_RESPONDER].people &= ~(UINT64_C(1) << PERSON_BOB);
        assert_int_equal(add_at(&a, &c, BY(ALICE), NOW + HOUR), REASON_NONE);
        assert_int_equal(add_at(&a, &r, BY(ALICE) | BY(BOB), NOW + HOUR), REASON_THRESHOLD);
        trust.roles[ROLE_RESPONDER].people = responders;
        assert_int_equal(active_count(&a, NOW + HOUR), 1);
}

/* Which every host refuses. Stop orders act all the same. */
static void by_a_root_that_is_over_nothing_is_released(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command c = order(1, VERB_CONTAIN), r = order(2, VERB_RELEASE);
        const int64_t expires_ms = trust.expires_ms;

        (void) state;
        trust.expires_ms = NOW;
        assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
        assert_int_equal(add(&a, &r, BY(ALICE) | BY(BOB)), REASON_ROOT_EXPIRED);
        assert_int_equal(active_count(&a, NOW), 1);
        trust.expires_ms = NOW + 1;
        assert_int_equal(add(&a, &r, BY(ALICE) | BY(BOB)), REASON_NONE);
        assert_int_equal(active_count(&a, NOW), 1);
        assert_true(a.by[ACTIVE_BY_PEOPLE].v[0].released);
        trust.expires_ms = expires_ms;
}

static void a_release_of_fewer_releases_for_fewer(void **state) {
        static const struct {
                struct address stop, release;
                size_t left;
        } cases[] = {
                { { .to = COMMAND_TO_HOSTS, .hosts = hosts, .n_hosts = 2 },
                  { .to = COMMAND_TO_HOSTS, .hosts = hosts, .n_hosts = 1 },
                  1 },
                { { .to = COMMAND_TO_HOSTS, .hosts = hosts, .n_hosts = 1 },
                  { .to = COMMAND_TO_HOSTS, .hosts = hosts, .n_hosts = 2 },
                  0 },
                { { .to = COMMAND_TO_GROUP, .group = "web" }, { .to = COMMAND_TO_GROUP, .group = "web" }, 0 },
                { { .to = COMMAND_TO_GROUP, .group = "web" }, { .to = COMMAND_TO_GROUP, .group = "db" }, 1 },
                { { .to = COMMAND_TO_GROUP, .group = "web" }, { .to = COMMAND_TO_ALL }, 0 },
                { { .to = COMMAND_TO_ALL }, { .to = COMMAND_TO_GROUP, .group = "web" }, 1 },
                { { .to = COMMAND_TO_ALL }, { .to = COMMAND_TO_ALL, .part = { true, { 1 }, 0, 9 } }, 1 },
                { { .to = COMMAND_TO_ALL, .part = { true, { 1 }, 0, 9 } }, { .to = COMMAND_TO_ALL }, 0 },
                { { .to = COMMAND_TO_ALL, .part = { true, { 1 }, 0, 9 } },
                  { .to = COMMAND_TO_ALL, .part = { true, { 1 }, 0, 10 } },
                  0 },
                { { .to = COMMAND_TO_ALL, .part = { true, { 1 }, 0, 9 } },
                  { .to = COMMAND_TO_ALL, .part = { true, { 2 }, 0, 9 } },
                  1 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(active_done) struct active a = ACTIVE_NULL;
                struct command c = order(1, VERB_CONTAIN), r = order(2, VERB_RELEASE), *both[] = { &c, &r };
                for (int k = 0; k < 2; k++) {
                        const struct address *to = k == 0 ? &cases[i].stop : &cases[i].release;
                        both[k]->to = to->to;
                        both[k]->hosts = to->hosts;
                        both[k]->n_hosts = to->n_hosts;
                        both[k]->part = to->part;
                        both[k]->max_hosts = to->to == COMMAND_TO_HOSTS ? 0 : 9;
                        memcpy(both[k]->group, to->group, sizeof(to->group));
                        assert_int_equal(add(&a, both[k], BY(ALICE) | BY(BOB)), REASON_NONE);
                }
                if (active_count(&a, NOW) != cases[i].left + 1)
                        fail_msg("case %zu", i);
        }
}

static void a_step_leaves_the_hold_as_one(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command c = order(1, VERB_CONTAIN), r = order(2, VERB_RELEASE);

        (void) state;
        r.step = true;
        assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
        assert_int_equal(add(&a, &r, BY(ALICE) | BY(BOB)), REASON_NONE);
        assert_int_equal(active_count(&a, NOW), 2);
}

/* Somebody who may order gives another order of the same id. */
static void two_orders_of_one_id_are_both_listed(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command c = order(1, VERB_CONTAIN), twin = order(1, VERB_CONTAIN);

        (void) state;
        twin.to = COMMAND_TO_HOSTS;
        twin.max_hosts = 0;
        twin.hosts = hosts;
        twin.n_hosts = 1;
        assert_int_equal(add(&a, &twin, BY(ALICE)), REASON_NONE);
        assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
        for (int i = 0; i < 3; i++) {
                struct herald_head *h = list(&a, NOW);
                assert_int_equal(h->n_orders, 2);
                assert_true(command_id_equal(&h->orders[0].id, &h->orders[1].id));
                assert_int_not_equal(h->orders[0].to.to, h->orders[1].to.to);
                herald_free(h);
        }
}

/* So that a host that has another one knows. */
static void what_is_listed_is_named_by_its_bytes(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command c = order(1, VERB_CONTAIN);
        _cleanup_free_ char *json = NULL;
        uint8_t digest[32];

        (void) state;
        assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
        assert_int_equal(command_to_json(&c, &json), 0);
        (void) crypto_hash_sha256(digest, (const uint8_t *) json, strlen(json));
        struct herald_head *h = list(&a, NOW);
        assert_int_equal(h->n_orders, 1);
        assert_memory_equal(h->orders[0].digest, digest, sizeof(h->orders[0].digest));
        herald_free(h);
}

static void what_does_not_fit_is_in_the_next_head(void **state) {
        static unsigned seen[700];
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        unsigned heads = 0, least = 0;

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(seen); i++) {
                struct command c = order(0, VERB_ISOLATE);
                c.id.b[1] = (uint8_t) (i >> 8);
                c.id.b[2] = (uint8_t) i;
                c.id.b[3] = 1;
                c.to = COMMAND_TO_HOSTS;
                c.max_hosts = 0;
                c.hosts = hosts;
                c.n_hosts = 2;
                assert_int_equal(add(&a, &c, BY(ALICE)), REASON_NONE);
        }
        for (; least == 0 && heads < 20; heads++) {
                struct herald_head *h = list(&a, NOW);
                assert_true(h->n_orders > 100);
                for (size_t i = 0; i < h->n_orders; i++)
                        seen[h->orders[i].id.b[1] << 8 | h->orders[i].id.b[2]]++;
                herald_free(h);
                least = 1;
                for (size_t i = 0; i < ELEMENTSOF(seen); i++)
                        least = MIN(least, seen[i]);
        }
        assert_true(heads > 1 && heads <= 7);
        assert_int_equal(active_forget(&a, NOW + HOUR), 0);
        assert_int_equal(n_of(&a), 0);
        struct herald_head *h = list(&a, NOW + HOUR);
        assert_int_equal(h->n_orders, 0);
        herald_free(h);
}

/* So many of another id each, which begins with that byte. */
static void flood(struct active *a, size_t by, uint8_t first, uint32_t n) {
        struct active_share *s = &a->by[by];

        s->v = calloc(ACTIVE_MAX, sizeof(*s->v));
        assert_non_null(s->v);
        for (; s->n < n; s->n++) {
                struct active_order *o = &s->v[s->n];

                *o = (struct active_order) { .id = { { first } },
                                             .to = { .to = COMMAND_TO_ALL, .max_hosts = 9 },
                                             .iat_ms = NOW,
                                             .exp_ms = NOW + HOUR };
                memcpy(o->id.b + 4, &s->n, sizeof(s->n));
                memcpy(o->digest, &o->id, sizeof(o->id));
                assert_int_equal(seenset_add(&s->known, o->digest, sizeof(o->digest)), 1);
        }
}

static bool is_in(const struct herald_head *h, const struct command_id *id) {
        for (size_t i = 0; i < h->n_orders; i++)
                if (command_id_equal(&h->orders[i].id, id))
                        return true;
        return false;
}

static void what_automation_floods_is_beside_the_orders_of_people(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command one = order_of(KEY_BOT, 1), more = order_of(KEY_BOT, 2), person = order(3, VERB_CONTAIN);

        (void) state;
        flood(&a, ACTIVE_BY_KEY(KEY_BOT), 9, ACTIVE_AUTOMATION_MAX - 1);
        assert_int_equal(add(&a, &one, BY(BOT)), REASON_NONE);
        assert_false(has_room(&a, &more, BY(BOT)));
        assert_int_equal(add(&a, &one, BY(BOT)), REASON_NONE);
        assert_int_equal(add(&a, &person, BY(ALICE)), REASON_NONE);
        /* what automation may order too counts as a person's when one signed it */
        assert_int_equal(add(&a, &more, BY(ALICE) | BY(BOT)), REASON_NONE);
        assert_int_equal(a.by[ACTIVE_BY_PEOPLE].n, 2);
        for (int i = 0; i < 3; i++) {
                struct herald_head *h = list(&a, NOW);
                assert_true(h->n_orders > 100);
                assert_true(is_in(h, &person.id) && is_in(h, &more.id));
                herald_free(h);
        }
        assert_int_equal(active_forget(&a, NOW + 30 * MINUTE), 0);
        assert_int_equal(n_of(&a), ACTIVE_AUTOMATION_MAX - 1);
        assert_int_equal(a.by[ACTIVE_BY_KEY(KEY_BOT)].known.n, n_of(&a));
        assert_int_equal(a.by[ACTIVE_BY_PEOPLE].known.n, 0);
}

/* As many hosts as an order may name take more than people's part of a head; it is listed in the head that it begins,
 * and what else there is in the others. */
static void an_order_that_names_all_hosts_that_it_may_is_listed_beside_a_flood(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command large = order(1, VERB_CONTAIN), other = large, person = order(3, VERB_CONTAIN);
        unsigned n_large = 0, n_other = 0, n_person = 0;

        (void) state;
        to_many(&large);
        other = large;
        other.id.b[0] = 2;
        flood(&a, ACTIVE_BY_KEY(KEY_BOT), 9, ACTIVE_AUTOMATION_MAX);
        assert_int_equal(add(&a, &large, BY(ALICE)), REASON_NONE);
        assert_int_equal(add(&a, &person, BY(ALICE)), REASON_NONE);
        assert_int_equal(add(&a, &other, BY(ALICE)), REASON_NONE);
        for (int i = 0; i < 6; i++) {
                struct herald_head *h = list(&a, NOW);
                n_large += is_in(h, &large.id);
                n_other += is_in(h, &other.id);
                n_person += is_in(h, &person.id);
                herald_free(h);
        }
        assert_true(n_large >= 2 && n_other >= 2 && n_person >= 2);
}

/* Whoever carries it may take the signatures of people from it and be the first to bring it. */
static void what_people_signed_is_theirs_whoever_brought_it_first(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command c = order_of(KEY_BOT, 1), d = order_of(KEY_BOT, 2);

        (void) state;
        flood(&a, ACTIVE_BY_KEY(KEY_BOT), 9, ACTIVE_AUTOMATION_MAX - 2);
        assert_true(has_room(&a, &c, BY(BOT)));
        assert_true(has_room(&a, &d, BY(BOT)));
        assert_int_equal(a.by[ACTIVE_BY_PEOPLE].n, 0);
        assert_int_equal(add(&a, &c, BY(BOT) | BY(STRANGER)), REASON_NONE);
        assert_int_equal(a.by[ACTIVE_BY_PEOPLE].n, 0);
        assert_int_equal(add(&a, &c, BY(BOT) | BY(ALICE)), REASON_NONE);
        assert_int_equal(a.by[ACTIVE_BY_PEOPLE].n, 1);
        assert_int_equal(a.by[ACTIVE_BY_KEY(KEY_BOT)].n, ACTIVE_AUTOMATION_MAX - 1);
        for (int i = 0; i < 3; i++) {
                struct herald_head *h = list(&a, NOW);
                assert_true(is_in(h, &c.id));
                herald_free(h);
        }
        /* and stays so */
        assert_int_equal(active_forget(&a, NOW), 0);
        assert_int_equal(add(&a, &c, BY(BOT)), REASON_NONE);
        assert_int_equal(add(&a, &d, BY(BOT)), REASON_NONE);
        assert_int_equal(a.by[ACTIVE_BY_PEOPLE].n, 1);
        assert_int_equal(n_of(&a), ACTIVE_AUTOMATION_MAX);
}

/* So many of people that a head has no room for all: those of automation are listed all the same. */
static void orders_of_people_leave_room_for_those_of_automation(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        size_t bots = 0, people = 0;

        (void) state;
        flood(&a, ACTIVE_BY_PEOPLE, 1, 1000);
        flood(&a, ACTIVE_BY_KEY(KEY_BOT), 0, 10);
        struct herald_head *h = list(&a, NOW);
        for (size_t i = 0; i < h->n_orders; i++) {
                bots += h->orders[i].id.b[0] == 0;
                people += h->orders[i].id.b[0] == 1;
        }
        herald_free(h);
        assert_int_equal(bots, 10);
        assert_true(people > 3 * (people + bots) / 4);
}

/* A key that was stolen signs whatever it can, as large as it may be. */
static void keys_of_automation_take_turns(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command large = order_of(KEY_BOT, 1), other = order_of(KEY_DAVE, 2);

        (void) state;
        to_many(&large);
        trust.roles[ROLE_AUTOMATION].people |= PERSON(DAVE);
        flood(&a, ACTIVE_BY_PEOPLE, 7, 1000);
        for (; large.id.b[1] < 100; large.id.b[1]++)
                assert_int_equal(add(&a, &large, BY(BOT)), REASON_NONE);
        /* what is somebody else's is not made its own by its signature on it */
        assert_int_equal(add(&a, &other, BY(DAVE) | BY(BOT)), REASON_NONE);
        assert_int_equal(a.by[ACTIVE_BY_KEY(KEY_DAVE)].n, 1);
        for (int i = 0; i < 5; i++) {
                struct herald_head *h = list(&a, NOW);
                assert_true(is_in(h, &other.id));
                herald_free(h);
        }
        /* where people have none, both are there */
        a.by[ACTIVE_BY_PEOPLE].n = 0;
        struct herald_head *h = list(&a, NOW);
        assert_int_equal(h->n_orders, 2);
        assert_true(is_in(h, &other.id));
        herald_free(h);
        trust.roles[ROLE_AUTOMATION].people = PERSON(BOT);
}

static void keys_of_automation_have_as_many_places_each(void **state) {
        _cleanup_(active_done) struct active a = ACTIVE_NULL;
        struct command bot = order_of(KEY_BOT, 1), dave = order_of(KEY_DAVE, 2);

        (void) state;
        trust.roles[ROLE_AUTOMATION].people |= PERSON(DAVE);
        flood(&a, ACTIVE_BY_KEY(KEY_BOT), 9, ACTIVE_AUTOMATION_MAX / 2);
        assert_false(has_room(&a, &bot, BY(BOT)));
        assert_true(has_room(&a, &dave, BY(DAVE)));
        struct herald_head *h = list(&a, NOW);
        assert_true(is_in(h, &dave.id));
        assert_true(h->n_orders > 100);
        herald_free(h);
        trust.roles[ROLE_AUTOMATION].people = PERSON(BOT);
}

static clock_t cost_of_known(struct active *a, const char *text) {
        const clock_t start = clock();
        enum reason reason;

        for (unsigned i = 0; i < 4096; i++) {
                assert_int_equal(active_add(a, &trust, text, strlen(text), NOW, &reason), 0);
                assert_int_equal(reason, REASON_NONE);
        }
        return clock() - start;
}

/* A stream is heard from its beginning again and again. */
static void what_is_known_costs_the_same_in_a_full_list(void **state) {
        _cleanup_(active_done) struct active few = ACTIVE_NULL, full = ACTIVE_NULL;
        struct command c = order_of(KEY_BOT, 1);

        (void) state;
        _cleanup_free_ char *text = signed_by(&c, BY(BOT));
        flood(&full, ACTIVE_BY_KEY(KEY_BOT), 9, ACTIVE_AUTOMATION_MAX - 1);
        assert_int_equal(add(&full, &c, BY(BOT)), REASON_NONE);
        assert_int_equal(add(&few, &c, BY(BOT)), REASON_NONE);
        const clock_t cost = cost_of_known(&few, text);
        assert_in_range(cost_of_known(&full, text), 0, 5 * cost);
        assert_int_equal(n_of(&full), ACTIVE_AUTOMATION_MAX);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_who_may_give_an_order_has_it_listed),
                cmocka_unit_test(what_was_released_is_not_listed_whichever_came_first),
                cmocka_unit_test(a_release_that_is_over_has_released),
                cmocka_unit_test(a_release_that_comes_when_it_is_over_releases_nothing),
                cmocka_unit_test(a_release_that_was_there_in_time_is_in_time_for_another_root),
                cmocka_unit_test(by_a_root_that_is_over_nothing_is_released),
                cmocka_unit_test(a_release_of_fewer_releases_for_fewer),
                cmocka_unit_test(a_step_leaves_the_hold_as_one),
                cmocka_unit_test(two_orders_of_one_id_are_both_listed),
                cmocka_unit_test(what_is_listed_is_named_by_its_bytes),
                cmocka_unit_test(what_does_not_fit_is_in_the_next_head),
                cmocka_unit_test(what_automation_floods_is_beside_the_orders_of_people),
                cmocka_unit_test(an_order_that_names_all_hosts_that_it_may_is_listed_beside_a_flood),
                cmocka_unit_test(what_people_signed_is_theirs_whoever_brought_it_first),
                cmocka_unit_test(orders_of_people_leave_room_for_those_of_automation),
                cmocka_unit_test(keys_of_automation_take_turns),
                cmocka_unit_test(keys_of_automation_have_as_many_places_each),
                cmocka_unit_test(what_is_known_costs_the_same_in_a_full_list),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, NULL);
}
