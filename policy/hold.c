/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/hold.h"

#include <string.h>

struct hold_set {
        struct hold *holds[HOLD_ACTIVE_MAX];
        size_t n_holds;

        struct seen_set seen;
        struct account_set accounts;

        uint8_t boot_id[16];
        int64_t boot_ms;
        int64_t passed_ms;
        bool started; /* boot_id and boot_ms are known */
};

_Static_assert(_HOLD_STATE_MAX <= 32, "the states that may follow are one 32-bit word");

#define HOLD_TO(name)   (1U << HOLD_##name)
#define HOLD_TO_SETTLED (HOLD_TO(HELD) | HOLD_TO(PARTIAL) | HOLD_TO(FAILED))

static const struct {
        const char *id;
        uint32_t next;
} states[_HOLD_STATE_MAX] = {
#define X(name, str, to) [HOLD_##name] = { .id = str, .next = to },
        HOLD_STATE_TABLE(X)
#undef X
};

const char *hold_state_id(enum hold_state s) {
        return states[s].id;
}

bool hold_state_from_id(const char *id, enum hold_state *ret) {
        for (size_t i = 0; i < _HOLD_STATE_MAX; i++)
                if (strcmp(states[i].id, id) == 0) {
                        *ret = i;
                        return true;
                }

        return false;
}

bool hold_state_may_follow(enum hold_state from, enum hold_state to) {
        return states[from].next & (1U << to);
}

static void hold_free(struct hold *h) {
        if (!h)
                return;

        free(h->targets);
        free(h->permits);
        free(h);
}

static void hold_freep(struct hold **h) {
        hold_free(*h);
}

struct hold_set *hold_set_new(void) {
        return calloc(1, sizeof(struct hold_set));
}

void hold_set_free(struct hold_set *s) {
        if (!s)
                return;

        for (size_t i = 0; i < s->n_holds; i++)
                hold_free(s->holds[i]);
        seen_done(&s->seen);
        account_done(&s->accounts);
        free(s);
}

void hold_set_freep(struct hold_set **s) {
        hold_set_free(*s);
}

static int64_t add_capped(int64_t a, int64_t b) {
        int64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

void hold_set_advance(struct hold_set *s, const uint8_t boot_id[static 16], int64_t boot_ms) {
        bool same = s->started && memcmp(s->boot_id, boot_id, sizeof(s->boot_id)) == 0;
        int64_t passed = !s->started ? 0 : same ? boot_ms - s->boot_ms : boot_ms;

        /* FAIL-CLOSED: CLOCK_BOOTTIME never runs backwards within a boot. If it seems to, the boot could not be told
         * from the one before, and leases stand still until it is past where it was. */
        if (boot_ms < 0 || passed < 0)
                return;

        memcpy(s->boot_id, boot_id, sizeof(s->boot_id));
        s->boot_ms = boot_ms;
        s->passed_ms = add_capped(s->passed_ms, passed);
        s->started = true;

        for (size_t i = 0; i < s->n_holds; i++) {
                struct hold *h = s->holds[i];

                h->held_ms = add_capped(h->held_ms, passed);
                if (h->lease_left_ms != INT64_MAX)
                        h->lease_left_ms = MAX(h->lease_left_ms - passed, 0);
        }
}

int64_t hold_set_passed(const struct hold_set *s) {
        return s->passed_ms;
}

static ssize_t find_index(const struct hold_set *s, const struct command_id *id) {
        for (size_t i = 0; i < s->n_holds; i++)
                if (command_id_equal(&s->holds[i]->id, id))
                        return i;

        return -ENOENT;
}

const struct hold *hold_set_find(const struct hold_set *s, const struct command_id *id) {
        ssize_t i = find_index(s, id);

        return i < 0 ? NULL : s->holds[i];
}

const struct hold *hold_set_at(const struct hold_set *s, size_t i) {
        return i < s->n_holds ? s->holds[i] : NULL;
}

size_t hold_set_count(const struct hold_set *s) {
        return s->n_holds;
}

size_t hold_set_count_automation(const struct hold_set *s) {
        size_t n = 0;

        for (size_t i = 0; i < s->n_holds; i++)
                n += s->holds[i]->automation;
        return n;
}

const struct account_set *hold_set_accounts(const struct hold_set *s) {
        return &s->accounts;
}

static int hold_new(const struct command *c, bool automation, int64_t wall_ms, struct hold **ret) {
        _cleanup_(hold_freep) struct hold *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;

        h->targets = memdup_array(c->targets, c->n_targets, sizeof(*c->targets));
        h->permits = memdup_array(c->permits, c->n_permits, sizeof(*c->permits));
        if (!h->targets || !h->permits)
                return -ENOMEM;

        h->id = c->id;
        h->verb = h->undo = c->verb;
        h->state = HOLD_PENDING;
        h->n_targets = c->n_targets;
        h->n_permits = c->n_permits;
        memcpy(h->incident, c->incident, sizeof(h->incident));
        h->severity = c->severity;
        h->automation = automation;
        h->made_ms = wall_ms;
        h->lease_left_ms = c->lease_ms > 0 ? c->lease_ms : INT64_MAX;
        h->lease_total_ms = c->lease_ms;
        *ret = TAKE_PTR(h);
        return 0;
}

int hold_set_begin(struct hold_set *s, const struct command *c, const struct account_charge *automation,
                   int64_t wall_ms) {
        _cleanup_(hold_freep) struct hold *h = NULL;
        int r;

        if (verb_info(c->verb)->cls != VERB_CLASS_STOP || c->lease_ms < 0 || (automation && c->lease_ms == 0))
                return -EINVAL;
        if (hold_set_find(s, &c->id) || hold_set_buried(s, &c->id))
                return -EEXIST;
        if (s->n_holds >= HOLD_ACTIVE_MAX)
                return -ENOSPC;

        r = hold_new(c, automation != NULL, wall_ms, &h);
        if (r == 0 && automation)
                r = account_add(&s->accounts, automation, c->incident, c->lease_ms);
        if (r < 0)
                return r;

        s->holds[s->n_holds++] = TAKE_PTR(h);
        return 0;
}

int hold_set_settle(struct hold_set *s, const struct command_id *id, enum hold_state state, reason_set reasons) {
        ssize_t i = find_index(s, id);

        if (i < 0)
                return i;
        /* Only an outcome of enforcing is settled, and one with a gap is never called contained. */
        if ((state != HOLD_HELD && state != HOLD_PARTIAL && state != HOLD_FAILED) ||
            !hold_state_may_follow(s->holds[i]->state, state) ||
            (state == HOLD_HELD && reason_set_has_kind(reasons, REASON_KIND_GAP)))
                return -EPROTO;

        s->holds[i]->state = state;
        s->holds[i]->reasons = reasons;
        s->holds[i]->undo = s->holds[i]->verb;
        return 0;
}

int hold_set_thaw(struct hold_set *s, const struct command_id *id, const struct command_id *releaser) {
        ssize_t i = find_index(s, id);

        if (i < 0)
                return i;

        struct hold *h = s->holds[i];
        if (!verb_info(h->verb)->isolates)
                return -EINVAL;
        if (!hold_state_may_follow(h->state, HOLD_THAWING))
                return -EPROTO;

        h->state = HOLD_THAWING;
        h->verb = VERB_ISOLATE;
        h->releaser = *releaser;
        return 0;
}

int hold_set_release(struct hold_set *s, const struct command_id *id, const struct command_id *releaser) {
        ssize_t i = find_index(s, id);

        if (i < 0)
                return i;

        struct hold *h = s->holds[i];
        if (!hold_state_may_follow(h->state, HOLD_RELEASING) || (!releaser && h->lease_left_ms == INT64_MAX))
                return -EPROTO;

        h->state = HOLD_RELEASING;
        h->lapsing = !releaser;
        h->releaser = releaser ? *releaser : (struct command_id) {};
        return 0;
}

bool hold_was_let_go(const struct hold *h) {
        return !command_id_is_none(&h->releaser);
}

int hold_set_end(struct hold_set *s, const struct command_id *id) {
        ssize_t i = find_index(s, id);

        if (i < 0)
                return i;
        if (!hold_state_may_follow(s->holds[i]->state, s->holds[i]->lapsing ? HOLD_LAPSED : HOLD_RELEASED))
                return -EPROTO;

        hold_free(s->holds[i]);
        s->n_holds--;
        memmove(&s->holds[i], &s->holds[i + 1], (s->n_holds - i) * sizeof(*s->holds));
        return 0;
}

bool hold_is_ending(const struct hold *h) {
        return h->state == HOLD_THAWING || h->state == HOLD_RELEASING;
}

int64_t hold_lease_gain(const struct hold *h, int64_t lease_ms) {
        return h->lease_left_ms == INT64_MAX ? 0 : MAX(lease_ms - h->lease_left_ms, 0);
}

int hold_set_extend(struct hold_set *s, const struct command_id *id, int64_t lease_ms,
                    const struct account_charge *automation) {
        ssize_t i = find_index(s, id);

        if (i < 0)
                return i;

        struct hold *h = s->holds[i];
        int64_t gain = hold_lease_gain(h, lease_ms);

        if (lease_ms <= 0)
                return -EINVAL;
        if (h->state == HOLD_RELEASING)
                return -EPROTO;
        if (automation) {
                int r = account_add(&s->accounts, automation, h->incident, gain);
                if (r < 0)
                        return r;
        }
        if (gain == 0)
                return 0;

        h->lease_left_ms = lease_ms;
        h->lease_total_ms = add_capped(h->lease_total_ms, gain);
        return 0;
}

int64_t hold_set_next_lapse(const struct hold_set *s) {
        int64_t least = INT64_MAX;

        for (size_t i = 0; i < s->n_holds; i++)
                if (s->holds[i]->state != HOLD_RELEASING)
                        least = MIN(least, s->holds[i]->lease_left_ms);
        return least;
}

int hold_set_bury(struct hold_set *s, const struct command_id *id, int64_t exp_ms) {
        /* The order was signed before its release expired, and lives no longer than this. */
        int64_t until_ms = add_capped(exp_ms, COMMAND_STOP_LIFE_MS);
        struct seen *e = seen_find(&s->seen, id);

        if (!e)
                return seen_add(&s->seen, &(struct seen) { .id = *id, .exp_ms = until_ms });
        if (seen_is_tombstone(e))
                e->exp_ms = MAX(e->exp_ms, until_ms);
        return 0;
}

int hold_set_see(struct hold_set *s, const struct command_id *id, const uint8_t digest[static 32], int64_t exp_ms) {
        struct seen new = { .id = *id, .exp_ms = exp_ms }, *e = seen_find(&s->seen, id);

        memcpy(new.digest, digest, sizeof(new.digest));
        if (!e)
                return seen_add(&s->seen, &new);
        if (!seen_is_tombstone(e))
                return memcmp(e->digest, digest, sizeof(e->digest)) == 0 ? 0 : -EEXIST;

        /* Another release that names it is still about. */
        new.exp_ms = MAX(exp_ms, e->exp_ms);
        *e = new;
        return 0;
}

int hold_set_order(struct hold_set *s, const struct command_id *id, uint64_t n) {
        struct seen *e = seen_find(&s->seen, id);

        if (!e)
                return -ENOENT;

        e->order = n;
        return 0;
}

int hold_set_receipt(struct hold_set *s, const struct command_id *id, uint64_t n, bool more) {
        struct seen *e = seen_find(&s->seen, id);

        if (!e)
                return -ENOENT;

        e->unwritten = n == 0;
        if (n > 0) {
                e->receipt = n;
                e->more = more;
        }
        return 0;
}

const struct seen *hold_set_seen(const struct hold_set *s, const struct command_id *id) {
        return seen_find(&s->seen, id);
}

const struct seen *hold_set_seen_at(const struct hold_set *s, size_t i) {
        return seen_at(&s->seen, i);
}

bool hold_set_buried(const struct hold_set *s, const struct command_id *id) {
        const struct seen *e = seen_find(&s->seen, id);

        return e && seen_is_tombstone(e);
}

int64_t hold_set_forgotten(const struct hold_set *s) {
        return s->seen.forgotten_ms;
}

size_t hold_set_seen_room(const struct hold_set *s) {
        return SEEN_MAX - s->seen.n;
}

/* An active hold still needs the id: it is its own or that of the release which is under way. */
static bool id_needed(const struct command_id *id, const void *userdata) {
        const struct hold_set *s = userdata;

        for (size_t i = 0; i < s->n_holds; i++)
                if (command_id_equal(&s->holds[i]->id, id) || command_id_equal(&s->holds[i]->releaser, id))
                        return true;

        return false;
}

void hold_set_forget(struct hold_set *s, int64_t floor_ms) {
        seen_forget(&s->seen, floor_ms, id_needed, s);
}
