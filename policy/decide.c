/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/decide.h"

#include <string.h>

struct authorised {
        struct command *command;
        uint8_t digest[32];
        reason_set flags;
        char role[TRUST_NAME_MAX + 1];
        bool automation;
        uint8_t key[32];
        uint64_t people;
        struct command_id *holds;
        size_t n_holds;
};

/* One command on its way through the steps. */
struct judge {
        const struct verified *v;
        const struct trust *t;
        const struct local *l;
        const struct facts *f;
        const struct command *c;
        enum verb_class cls;
        const struct trust_rule *rule; /* the one that allows it; set by judge_authority */
        struct decision d;
};

/* FAIL-OPEN: the host is not in order; whatever stops, observes, prolongs or keeps is done all the same, and says so.
 * FAIL-CLOSED: what lets go waits until the host is in order. */
static enum reason weigh(struct judge *j, enum reason r) {
        if (verb_class_lets_go(j->cls))
                return r;

        j->d.flags |= reason_bit(r);
        return REASON_NONE;
}

static void note(struct judge *j, enum reason r) {
        j->d.flags |= reason_bit(r);
}

static enum reason judge_fleet(struct judge *j) {
        return strcmp(j->c->fleet, j->t->fleet) == 0 ? REASON_NONE : REASON_FLEET;
}

struct fit {
        enum reason reason; /* NONE: every condition of the rule is met */
        unsigned int have, need;
};

static struct fit fit_rule(const struct judge *j, const struct trust_rule *rule) {
        unsigned int have = __builtin_popcountll(verified_people(j->v) & j->t->roles[rule->role].people);

        if (have == 0)
                return (struct fit) { .reason = REASON_ROLE };
        /* FAIL-CLOSED: a rule with a compulsory lease is for what may do no lasting harm. trust_parse() refuses this
         * one already. */
        if (verb_class_lets_go(j->cls) && trust_rule_is_automation(rule))
                return (struct fit) { .reason = REASON_ROLE };
        if (have < rule->k)
                return (struct fit) { .reason = REASON_THRESHOLD, .have = have, .need = rule->k };
        if (!(rule->severities & (1U << j->c->severity)))
                return (struct fit) { .reason = REASON_SEVERITY };
        for (size_t i = 0; i < j->c->n_targets; i++)
                if (!(rule->targets & (1U << j->c->targets[i].cls)))
                        return (struct fit) { .reason = REASON_TARGET_CLASS };
        if (trust_rule_is_automation(rule) && j->c->lease_ms == 0)
                return (struct fit) { .reason = REASON_LEASE_REQUIRED };
        if (trust_rule_is_automation(rule) && j->c->lease_ms > rule->max_lease_ms)
                return (struct fit) { .reason = REASON_LEASE_LONG };
        const struct address to = command_address(j->c);
        if (rule->max_hosts > 0 && address_breadth(&to) > rule->max_hosts)
                return (struct fit) { .reason = REASON_TOO_BROAD };

        return (struct fit) { .reason = REASON_NONE };
}

/* The order in which fit_rule() looks, so that the answer is about the rule that lacks least. */
static bool is_closer(const struct fit *a, const struct fit *b) {
        static const uint8_t rank[_REASON_MAX] = {
                [REASON_ROLE] = 1,           [REASON_THRESHOLD] = 2,  [REASON_SEVERITY] = 3,  [REASON_TARGET_CLASS] = 4,
                [REASON_LEASE_REQUIRED] = 5, [REASON_LEASE_LONG] = 5, [REASON_TOO_BROAD] = 6,
        };

        if (rank[a->reason] != rank[b->reason])
                return rank[a->reason] > rank[b->reason];
        return a->reason == REASON_THRESHOLD && a->need - a->have < b->need - b->have;
}

static enum reason judge_authority(struct judge *j) {
        struct fit best = { .reason = REASON_ROLE };

        for (size_t i = 0; i < j->t->n_rules; i++) {
                const struct trust_rule *rule = &j->t->rules[i];

                if (rule->verb != j->c->verb)
                        continue;

                struct fit fit = fit_rule(j, rule);
                if (fit.reason != REASON_NONE) {
                        if (is_closer(&fit, &best))
                                best = fit;
                } else if (!j->rule || (trust_rule_is_automation(j->rule) && !trust_rule_is_automation(rule)))
                        j->rule = rule;
        }

        if (!j->rule) {
                j->d.have = best.have;
                j->d.need = best.need;
                return best.reason;
        }
        /* FAIL-CLOSED: an id is taken by whoever is here first with it, and those of other orders are no secret. So
         * what was stolen of one is in the way of nobody else's orders. */
        if (trust_key_of_id(j->t, verified_keys(j->v), &j->c->id) < 0)
                return REASON_FOREIGN_ID;

        j->d.allowed = true;
        return REASON_NONE;
}

/* Asked of a copy: nothing of the answer is left in what is judged. */
static bool may_order(const struct judge *j) {
        struct judge other = *j;

        return judge_authority(&other) == REASON_NONE;
}

/* This very order was acted on. It stays so when the host has left its group since. */
static bool is_known(const struct judge *j) {
        const struct seen *s = hold_set_seen(j->f->holds, &j->c->id);

        return s && !seen_is_tombstone(s) && memcmp(s->digest, verified_digest(j->v), sizeof(s->digest)) == 0;
}

/* Is it by a part alone that it is not this host's, and may its signers order it? */
static bool is_for_another_part(const struct judge *j, struct address whole) {
        whole.part = (struct place_part) {};
        return address_names(&whole, j->f->host, j->f->attributes) && may_order(j);
}

static enum reason judge_host(struct judge *j) {
        const struct address to = command_address(j->c);

        if (is_known(j) || address_names(&to, j->f->host, j->f->attributes))
                return REASON_NONE;
        j->d.for_others = is_for_another_part(j, to);
        return REASON_HOST;
}

static enum reason judge_replay(struct judge *j) {
        const struct seen *s = hold_set_seen(j->f->holds, &j->c->id);

        if (!s)
                return REASON_NONE;
        /* Only an order that would make the hold was cancelled with it; another verb's id is met here by accident. */
        if (seen_is_tombstone(s))
                return j->cls == VERB_CLASS_STOP ? REASON_SUPERSEDED : REASON_NONE;
        if (memcmp(s->digest, verified_digest(j->v), sizeof(s->digest)) != 0) {
                j->d.allowed = may_order(j);
                return REASON_ID_REUSED;
        }

        j->d.kind = DECISION_DUPLICATE;
        return REASON_NONE;
}

static enum reason judge_root(struct judge *j) {
        if (MAX(j->f->wall_ms, j->f->floor_ms) >= j->t->expires_ms) {
                enum reason r = weigh(j, REASON_ROOT_EXPIRED);
                if (r != REASON_NONE)
                        return r;
        }

        /* Someone whose key the newer root takes away may be among the signers. That must not undo a hold; it may make
         * one. */
        if (verb_class_lets_go(j->cls) && j->c->root_version > j->t->version)
                return REASON_ROOT_STALE;
        return REASON_NONE;
}

/* NULL when the target is not an id, or not of an active hold. */
static const struct hold *target_hold(const struct judge *j, const struct target *t) {
        struct command_id id;

        return command_id_from_str(t->name, &id) < 0 ? NULL : hold_set_find(j->f->holds, &id);
}

/* A release that is over lets nothing go, but calls off what never began here for as long as that can come. */
static bool is_over(const struct judge *j, int64_t now) {
        int64_t until_ms = j->c->exp_ms + (j->cls == VERB_CLASS_RELEASE ? COMMAND_STOP_LIFE_MS : 0);

        for (size_t i = 0; i < j->c->n_targets; i++)
                until_ms = target_hold(j, &j->c->targets[i]) ? j->c->exp_ms : until_ms;
        return now >= until_ms;
}

static enum reason judge_time(struct judge *j) {
        const struct facts *f = j->f;
        bool release = verb_class_lets_go(j->cls);
        int64_t now = release ? MAX(f->wall_ms, f->floor_ms) : f->clock_synced ? f->wall_ms : f->floor_ms;

        if (!f->clock_synced)
                note(j, REASON_CLOCK_UNSYNC);
        /* By the second condition an order whose id was forgotten can never act again, whatever the clock says. */
        if (is_over(j, now) || j->c->exp_ms <= hold_set_forgotten(f->holds))
                return REASON_EXPIRED;
        /* whose clock is wrong, the host's or that of who made the root, is known where something disciplines it */
        const int64_t past = f->clock_synced ? f->floor_ms : MAX(f->floor_ms, j->t->iat_ms);
        if (f->wall_ms < past - DECIDE_BEHIND_MS) {
                enum reason r = weigh(j, REASON_CLOCK);
                if (r != REASON_NONE)
                        return r;
        }
        if (release && j->c->iat_ms > now + DECIDE_AHEAD_MS)
                return REASON_NOT_YET;
        if (j->c->iat_ms > f->wall_ms + DECIDE_AHEAD_MS)
                note(j, REASON_CLOCK_SKEW);
        return REASON_NONE;
}

static enum reason judge_ledger(struct judge *j) {
        return j->f->ledger_ok ? REASON_NONE : weigh(j, REASON_LEDGER);
}

/* Of the room for ids, what this command has to leave: the end of a short lease gives back the hold, never the id, so
 * one key alone could use up all there is. FAIL-OPEN: for two people who stop something no date is too far ahead; the
 * wrong clock may be the host's. */
static size_t room_for_others(const struct judge *j) {
        const bool stops = j->cls == VERB_CLASS_STOP && !trust_rule_is_automation(j->rule);
        const uint64_t people = verified_people(j->v) & j->t->roles[j->rule->role].people;

        if (j->cls == VERB_CLASS_RELEASE)
                return 0;
        if (stops && __builtin_popcountll(people) > 1)
                return HOLD_SEEN_RELEASE;
        if (j->d.flags & reason_bit(REASON_CLOCK_SKEW))
                return HOLD_SEEN_AHEAD;
        return stops ? HOLD_SEEN_JOINT : HOLD_SEEN_RESERVE;
}

/* A target of a command that is about evidence; the parser has read it. */
static struct command_id target_id(const struct judge *j, size_t i) {
        struct command_id id;

        return command_id_from_str(j->c->targets[i].name, &id) == 0 ? id : (struct command_id) { 0 };
}

/* Thresholds count people, budgets and shares are of keys: one that was stolen is charged alone, and its successor
 * starts anew. Whose order it is its id says, which whoever carries it cannot change by a signature more. */
static struct account_charge charge_of(const struct judge *j) {
        const uint64_t people = j->t->roles[j->rule->role].people;
        struct account_charge charge = { .floor_ms = j->f->floor_ms };
        int key = trust_key_of_id(j->t, verified_keys(j->v), &j->c->id);

        for (int i = 0; (key < 0 || !(people & UINT64_C(1) << j->t->keys[key].person)) && i < (int) j->t->n_keys; i++)
                if (verified_keys(j->v) & UINT64_C(1) << i)
                        key = i;
        if (key >= 0)
                memcpy(charge.key, j->t->keys[key].key.id, sizeof(charge.key));
        return charge;
}

/* For one more legal hold of each target. Whoever signs can name what nobody ever took, or the same once more. */
static bool has_shelf_room(const struct judge *j) {
        const struct account_charge by = charge_of(j);
        size_t absent = 0;

        for (size_t i = 0; i < j->c->n_targets; i++) {
                const struct command_id id = target_id(j, i);

                absent += !shelf_find(j->f->shelf, &id);
        }
        return shelf_room(j->f->shelf, by.key) >= j->c->n_targets &&
               (absent == 0 || shelf_room_absent(j->f->shelf, by.key) >= absent);
}

/* What is remembered is finite. */
static enum reason judge_room(struct judge *j) {
        const size_t need = 1 + (j->cls == VERB_CLASS_RELEASE ? j->c->n_targets : 0) + room_for_others(j);

        if (hold_set_seen_room(j->f->holds) < need || (j->cls == VERB_CLASS_KEEP && !has_shelf_room(j)))
                return REASON_LIMIT;
        if (j->cls == VERB_CLASS_STOP &&
            (hold_set_count(j->f->holds) >= HOLD_ACTIVE_MAX ||
             (trust_rule_is_automation(j->rule) && hold_set_count_automation(j->f->holds) >= HOLD_AUTOMATION_MAX)))
                return REASON_LIMIT;

        return REASON_NONE;
}

static bool has_budget(const struct judge *j, const char *incident, int64_t ms) {
        const struct account_charge of = charge_of(j);

        return ms <= j->l->automation_budget_ms - account_incident_used(hold_set_accounts(j->f->holds), &of, incident);
}

static bool has_day(const struct judge *j, int64_t ms) {
        const struct account_charge of = charge_of(j);

        return ms <= j->l->automation_day_ms - account_day_used(hold_set_accounts(j->f->holds), &of);
}

static enum reason judge_extend(const struct judge *j) {
        const struct hold *holds[COMMAND_TARGETS_MAX];
        size_t n = j->c->n_targets;
        int64_t day = 0;

        for (size_t i = 0; i < n; i++) {
                holds[i] = target_hold(j, &j->c->targets[i]);
                if (!holds[i] || holds[i]->state == HOLD_RELEASING)
                        return REASON_NO_HOLD;
                if (trust_rule_is_automation(j->rule) && !holds[i]->automation)
                        return REASON_NOT_OWNER;
        }

        /* Holds of one incident share its budget, so what they gain counts together. */
        for (size_t i = 0; trust_rule_is_automation(j->rule) && i < n; i++) {
                int64_t gain = 0;

                day += account_day_cost(hold_lease_gain(holds[i], j->c->lease_ms));
                for (size_t k = 0; k < n; k++)
                        if (strcmp(holds[k]->incident, holds[i]->incident) == 0)
                                gain += hold_lease_gain(holds[k], j->c->lease_ms);
                if (!has_budget(j, holds[i]->incident, gain))
                        return REASON_BUDGET;
        }

        return trust_rule_is_automation(j->rule) && !has_day(j, day) ? REASON_BUDGET : REASON_NONE;
}

static enum reason judge_stop(const struct judge *j) {
        if (trust_rule_is_automation(j->rule) &&
            (!has_budget(j, j->c->incident, j->c->lease_ms) || !has_day(j, account_day_cost(j->c->lease_ms))))
                return REASON_BUDGET;
        return REASON_NONE;
}

/* An order whose evidence is yet to be sealed counts: what is to be kept is kept from its first moment. */
static enum reason judge_keep(struct judge *j) {
        for (size_t i = 0; i < j->c->n_targets; i++) {
                const struct command_id id = target_id(j, i);
                const struct shelf_item *item = shelf_find(j->f->shelf, &id);
                const struct seen *seen = hold_set_seen(j->f->holds, &id);

                if (item ? !item->condemned : seen && !seen_is_tombstone(seen))
                        return REASON_NONE;
        }
        return REASON_NO_SUCH_EVIDENCE;
}

static enum reason judge_unhold(struct judge *j) {
        for (size_t i = 0; i < j->c->n_targets; i++) {
                const struct command_id id = target_id(j, i);

                if (!shelf_is_hold(j->f->shelf, &id))
                        return REASON_NO_HOLD;
        }
        return REASON_NONE;
}

/* FAIL-CLOSED: all of it or nothing. Nothing in an order says which of its targets matters most. */
static enum reason judge_delete(struct judge *j) {
        for (size_t i = 0; i < j->c->n_targets; i++) {
                const struct command_id id = target_id(j, i);
                const struct shelf_item *item = shelf_find(j->f->shelf, &id);

                if (shelf_count_holds(j->f->shelf, &id) > 0)
                        return REASON_LEGAL_HOLD;
                if (!item || item->condemned)
                        return REASON_NO_SUCH_EVIDENCE;
                if (hold_set_find(j->f->holds, &id))
                        return REASON_STILL_HELD;
        }
        return REASON_NONE;
}

static enum reason judge_holds(struct judge *j) {
        switch (j->cls) {
        case VERB_CLASS_STOP:
                return judge_stop(j);
        case VERB_CLASS_EXTEND:
                return judge_extend(j);
        case VERB_CLASS_RELEASE:
                for (size_t i = 0; i < j->c->n_targets; i++)
                        if (!target_hold(j, &j->c->targets[i]))
                                note(j, REASON_UNKNOWN_HOLD);
                return REASON_NONE;
        case VERB_CLASS_KEEP:
                return judge_keep(j);
        case VERB_CLASS_DROP:
                return j->c->verb == VERB_EVIDENCE_DELETE ? judge_delete(j) : judge_unhold(j);
        case VERB_CLASS_OBSERVE:
                return REASON_NONE;
        }

        return REASON_INTERNAL;
}

/* A path is protected when its last component is, or when it lies within a protected unit. That it lies within a
 * protected slice is no matter: system.slice is protected, and most of what is ever held lies in it. What lies in
 * anything but slices is no unit, whatever it is called. */
static bool protects_path(const struct local *l, const char *path) {
        while (*path) {
                char name[TARGET_NAME_MAX + 1];
                size_t n;

                path += strspn(path, "/");
                n = MIN(strcspn(path, "/"), TARGET_NAME_MAX);
                memcpy(name, path, n);
                name[n] = '\0';
                path += n;

                bool slice = n > strlen(".slice") && strcmp(name + n - strlen(".slice"), ".slice") == 0;
                if ((!*path || !slice) && local_protects(l, name))
                        return true;
                if (!slice)
                        return false;
        }

        return false;
}

/* What the name alone can tell. Which cgroup a container, a user or a process means, the host has to find out first. */
static bool (*const protectors[_TARGET_MAX])(const struct local *l, const char *name) = {
        [TARGET_UNIT] = local_protects,
        [TARGET_SLICE] = local_protects,
        [TARGET_CGROUP] = protects_path,
};

static enum reason judge_local(struct judge *j) {
        if (j->cls != VERB_CLASS_STOP)
                return REASON_NONE;

        for (size_t i = 0; i < j->c->n_targets; i++) {
                const struct target *t = &j->c->targets[i];

                if (protectors[t->cls] && protectors[t->cls](j->l, t->name))
                        return REASON_PROTECTED;
        }

        return REASON_NONE;
}

/* Evidence that nobody could open is not taken. That stops no one from stopping something. */
static enum reason judge_evidence(struct judge *j) {
        if (!verb_info(j->c->verb)->snapshots || j->t->n_recipients > 0)
                return REASON_NONE;
        if (j->cls == VERB_CLASS_OBSERVE)
                return REASON_NO_RECIPIENT;
        note(j, REASON_NOT_PRESERVED);
        return REASON_NONE;
}

/* The order is part of the protocol: it says which reason is given when there are several. */
static enum reason (*const judges[])(struct judge *j) = {
        judge_fleet,  judge_host, judge_replay, judge_authority, judge_root,     judge_time,
        judge_ledger, judge_room, judge_holds,  judge_local,     judge_evidence,
};

void authorised_free(struct authorised *a) {
        if (!a)
                return;

        command_free(a->command);
        free(a->holds);
        free(a);
}

void authorised_freep(struct authorised **a) {
        authorised_free(*a);
}

static int command_dup(const struct command *c, struct command **ret) {
        _cleanup_command_ struct command *d = memdup_array(c, 1, sizeof(*c));

        if (!d)
                return -ENOMEM;

        d->hosts = memdup_array(c->hosts, c->n_hosts, sizeof(*c->hosts));
        d->targets = memdup_array(c->targets, c->n_targets, sizeof(*c->targets));
        d->permits = memdup_array(c->permits, c->n_permits, sizeof(*c->permits));
        if (!d->hosts || !d->targets || !d->permits)
                return -ENOMEM;

        *ret = TAKE_PTR(d);
        return 0;
}

static int authorised_new(const struct judge *j, struct authorised **ret) {
        _cleanup_(authorised_freep) struct authorised *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        r = command_dup(j->c, &a->command);
        if (r < 0)
                return r;

        if (verb_class_is_of_holds(j->cls)) {
                a->holds = calloc(j->c->n_targets, sizeof(*a->holds));
                if (!a->holds)
                        return -ENOMEM;
                for (; a->n_holds < j->c->n_targets; a->n_holds++) {
                        r = command_id_from_str(j->c->targets[a->n_holds].name, &a->holds[a->n_holds]);
                        if (r < 0)
                                return r;
                }
        }

        memcpy(a->digest, verified_digest(j->v), sizeof(a->digest));
        memcpy(a->role, j->t->roles[j->rule->role].name, sizeof(a->role));
        a->flags = j->d.flags;
        a->automation = trust_rule_is_automation(j->rule);
        memcpy(a->key, charge_of(j).key, sizeof(a->key));
        a->people = verified_people(j->v);
        *ret = TAKE_PTR(a);
        return 0;
}

int decide(const struct verified *v, const struct trust *t, const struct local *l, const struct facts *f,
           struct decision *ret, struct authorised **ret_authorised, struct command **ret_command) {
        _cleanup_(authorised_freep) struct authorised *a = NULL;
        _cleanup_command_ struct command *c = NULL;
        struct judge j = { .v = v, .t = t, .l = l, .f = f, .d = { .kind = DECISION_GO } };
        const uint8_t *payload;
        size_t n;
        int r;

        payload = verified_payload(v, &n);
        r = command_parse(payload, n, &c, &j.d.reason);
        if (r < 0)
                return r;
        /* a ledger may have such an order, so that it still parses */
        if (c && command_id_is_none(&c->id)) {
                command_free(TAKE_PTR(c));
                j.d.reason = REASON_SCHEMA;
        }

        if (c) {
                j.c = c;
                j.cls = verb_info(c->verb)->cls;
                for (size_t i = 0; i < ELEMENTSOF(judges) && j.d.reason == REASON_NONE && j.d.kind == DECISION_GO; i++)
                        j.d.reason = judges[i](&j);
        }

        if (j.d.reason != REASON_NONE)
                j.d.kind = DECISION_REFUSED;
        else if (j.d.kind == DECISION_GO) {
                r = authorised_new(&j, &a);
                if (r < 0)
                        return r;
                *ret_authorised = TAKE_PTR(a);
        }

        *ret = j.d;
        if (c && ret_command)
                *ret_command = TAKE_PTR(c);
        return 0;
}

const struct command *authorised_command(const struct authorised *a) {
        return a->command;
}

const uint8_t *authorised_digest(const struct authorised *a) {
        return a->digest;
}

reason_set authorised_flags(const struct authorised *a) {
        return a->flags;
}

const char *authorised_role(const struct authorised *a) {
        return a->role;
}

bool authorised_automation(const struct authorised *a) {
        return a->automation;
}

const uint8_t *authorised_key(const struct authorised *a) {
        return a->key;
}

uint64_t authorised_people(const struct authorised *a) {
        return a->people;
}

const struct command_id *authorised_holds(const struct authorised *a, size_t *ret_n) {
        *ret_n = a->n_holds;
        return a->holds;
}

int64_t decide_raise_floor(int64_t floor_ms, int64_t iat_ms) {
        return MAX(floor_ms, MIN(iat_ms, floor_ms + DECIDE_FLOOR_STEP_MS));
}
