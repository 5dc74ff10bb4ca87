/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/ending.h"

#include <string.h>

#include "agent/core/again.h"
#include "agent/core/attempts.h"
#include "agent/core/awaiting.h"
#include "agent/core/cgroup.h"
#include "agent/core/enforce.h"
#include "agent/core/fence.h"
#include "agent/core/keep.h"
#include "agent/core/record.h"
#include "agent/util/alive.h"

struct one {
        struct ending_hold hold;
        json_t *thawed;      /* per site: what was found before, and later after */
        struct sites let_go; /* of one that goes on, those that do not */
        reason_set reasons;
};

struct ending {
        struct agent *agent;
        struct one *v;
        size_t n;
        ending_fn fn;
        void (*drop)(void *userdata);
        void *userdata;
};

void undone_done(struct undone *u) {
        free(u->ended);
        json_decref(u->holds);
        *u = (struct undone) { 0 };
}

static void ending_free(struct ending *e) {
        for (size_t i = 0; i < e->n; i++) {
                json_decref(e->v[i].thawed);
                sites_done(&e->v[i].let_go);
        }
        free(e->v);
        free(e);
}

json_t *ending_hold_json(const struct ending_hold *hold, const char *state, const struct hold *h) {
        json_t *o, *targets = json_array();
        char text[33];

        command_id_to_str(&hold->id, text);
        for (size_t i = 0; h && i < h->n_targets; i++) {
                char name[TARGET_STR_SIZE];

                target_to_str(&h->targets[i], name, sizeof(name));
                (void) json_array_append_new(targets, json_string(name));
        }
        o = json_pack("{ss ss ss so}", "id", text, "was", hold->was ? hold->was : "unknown", "state", state, "targets",
                      targets);
        if (o && h)
                (void) json_object_set_new(o, "held_ms", json_integer(h->held_ms));
        return o;
}

/* What the isolation programs have refused and dropped there so far. */
static json_int_t stopped_so_far(const struct agent *a, const struct command_id *hold, uint64_t cgroup_id) {
        struct isolate_counters c = { 0 };

        (void) isolate_count(a->isolate, hold, cgroup_id, &c);
        return (json_int_t) (c.refused + c.dropped_out);
}

/* Who is there, and what waits for them. */
static void look_before(struct agent *a, struct one *x) {
        struct sites *sites = held_find(&a->held, &x->hold.id);

        for (size_t i = 0; sites && i < sites->n; i++) {
                struct site *s = &sites->v[i];
                _cleanup_free_ pid_t *pids = NULL;
                char name[TARGET_STR_SIZE];
                size_t n = 0;
                json_t *o;

                if (s->missing != REASON_NONE || site_open(s, a->cgroup_root) < 0 || cgroup_pids(s->fd, &pids, &n) < 0)
                        continue;
                target_to_str(&s->target, name, sizeof(name));
                o = json_pack("{ss sI sI sI}", "target", name, "cgroup_id", (json_int_t) s->cgroup_id, "processes",
                              (json_int_t) n, "stopped", stopped_so_far(a, &x->hold.id, s->cgroup_id));
                x->reasons |= awaiting_add(a, s, pids, n, o);
                (void) json_array_append_new(x->thawed, o);
                alive();
        }
        if (sites)
                sites_close(sites);
}

static json_t *find_look(const struct one *x, uint64_t cgroup_id) {
        json_t *o;
        size_t i;

        json_array_foreach(x->thawed, i,
                           o) if ((uint64_t) json_integer_value(json_object_get(o, "cgroup_id")) == cgroup_id) return o;
        return NULL;
}

/* Who survived, and what they tried to send since they were thawed. */
static void look_after(struct agent *a, struct one *x, struct sites *sites) {
        for (size_t i = 0; sites && i < sites->n; i++) {
                struct site *s = &sites->v[i];
                json_t *o = s->missing == REASON_NONE ? find_look(x, s->cgroup_id) : NULL;
                _cleanup_free_ pid_t *pids = NULL;
                size_t n = 0;

                if (!o)
                        continue;
                /* none that can be seen is none */
                if (site_open(s, a->cgroup_root) < 0 || cgroup_pids(s->fd, &pids, &n) < 0)
                        n = 0;
                (void) json_object_set_new(o, "survived", json_integer((json_int_t) n));
                (void) json_object_set_new(o, "stopped",
                                           json_integer(stopped_so_far(a, &x->hold.id, s->cgroup_id) -
                                                        json_integer_value(json_object_get(o, "stopped"))));
        }
        if (sites)
                sites_close(sites);
}

static int undone_init(struct undone *u, size_t n) {
        *u = (struct undone) { .ended = calloc(n ? n : 1, sizeof(*u->ended)), .holds = json_array() };
        if (u->ended && u->holds)
                return 0;
        undone_done(u);
        return -ENOMEM;
}

static void list(struct undone *u, struct one *x, const char *state, const struct hold *h) {
        json_t *o = ending_hold_json(&x->hold, state, h);

        if (o && json_array_size(x->thawed) > 0)
                (void) json_object_set(o, "thawed", x->thawed);
        (void) json_array_append_new(u->holds, o);
        u->reasons |= x->reasons;
}

/* systemd says itself what it still has of a hold's fences; whoever reads the receipt will start the unit next. It has
 * read its files when it is asked, so that no answer within the second that it is given says nothing. */
static bool still_fenced(struct agent *a, const struct command_id *hold) {
        const struct sites *sites = held_find(&a->held, hold);

        for (size_t i = 0; sites && i < sites->n; i++)
                if (fence_lingers(a, &sites->v[i]) > 0)
                        return true;
        return false;
}

/* It runs again, and what still holds it is proven while it does. One that did not thaw is tried again, and one that
 * another release has overtaken is that one's. */
static void stop_between(struct agent *a, struct one *x, struct undone *u) {
        struct sites *sites = held_find(&a->held, &x->hold.id);
        const struct hold *h = hold_set_find(a->holds, &x->hold.id);

        if (h && sites && h->state == HOLD_THAWING && !(x->reasons & reason_bit(REASON_PERSISTS))) {
                int r;

                again_find(a, &x->hold.id, sites);
                r = again_enforce(a, &x->hold.id, REASON_STILL_ISOLATED);
                x->reasons |= r < 0 && r != -ESRCH ? reason_bit(REASON_INTERNAL) : h->reasons;
        }
        look_after(a, x, sites);
        look_after(a, x, &x->let_go);
        list(u, x, h ? hold_state_id(h->state) : "unknown", h);
}

static void end_one(struct agent *a, struct one *x, bool told, struct undone *u) {
        const struct hold *h = hold_set_find(a->holds, &x->hold.id);

        if (x->hold.step) {
                stop_between(a, x, u);
                return;
        }
        look_after(a, x, held_find(&a->held, &x->hold.id));
        /* two that the ledger does not know each keep frozen what the other one froze; the one before is gone by now */
        if (!h && !x->hold.was)
                enforce_thaw(a, &x->hold.id, &x->reasons);
        enforce_lift(a, &x->hold.id, &x->reasons);
        attempts_settle(a, &x->hold.id);
        if (!told || still_fenced(a, &x->hold.id))
                x->reasons |= reason_bit(REASON_PERSISTS);
        /* one that was known and is not any more was ended meanwhile by another command */
        if (!h && !x->hold.was)
                x->reasons |= reason_bit(REASON_UNKNOWN_HOLD);
        else if (h && !(x->reasons & reason_bit(REASON_PERSISTS)))
                u->ended[u->n_ended++] = x->hold.id;
        list(u, x, x->reasons & reason_bit(REASON_PERSISTS) ? "releasing" : h && h->lapsing ? "lapsed" : "released", h);
}

static void on_told(int r, void *userdata) {
        struct ending *e = userdata;
        struct undone u;

        /* FAIL-CLOSED: without memory it stays RELEASING, and is tried again */
        if (undone_init(&u, e->n) < 0) {
                e->drop(e->userdata);
        } else {
                for (size_t i = 0; i < e->n; i++) {
                        end_one(e->agent, &e->v[i], r == 0, &u);
                        alive();
                }
                e->fn(e->agent, &u, e->userdata);
                undone_done(&u);
        }
        ending_free(e);
}

static void on_dropped(void *userdata) {
        struct ending *e = userdata;

        e->drop(e->userdata);
        ending_free(e);
}

static struct ending *ending_new(struct agent *a, const struct ending_hold *holds, size_t n) {
        struct ending *e = calloc(1, sizeof(*e));

        if (e)
                e->v = calloc(n ? n : 1, sizeof(*e->v));
        if (!e || !e->v) {
                free(e);
                return NULL;
        }
        e->agent = a;
        for (; e->n < n; e->n++)
                e->v[e->n] = (struct one) { .hold = holds[e->n], .thawed = json_array() };
        return e;
}

/* Of a whole host, what was frozen and is not isolated by itself is held no more. */
static void keep_isolated(struct agent *a, struct one *x) {
        struct sites *sites = held_find(&a->held, &x->hold.id);

        if (!sites || x->reasons & reason_bit(REASON_PERSISTS))
                return;
        if (sites_take_only_frozen(sites, &x->let_go) < 0 || (x->let_go.n > 0 && record_sites(a, &x->hold.id) < 0))
                x->reasons |= reason_bit(REASON_PERSISTS);
}

int ending_begin(struct agent *a, const struct ending_hold *holds, size_t n, ending_fn fn, void (*drop)(void *userdata),
                 void *userdata) {
        struct ending *e = ending_new(a, holds, n);
        int r;

        if (!e)
                return -ENOMEM;
        e->fn = fn;
        e->drop = drop;
        e->userdata = userdata;
        /* who keeps them in force lets go of them first: what is thawed would be frozen again until the manager answers
         */
        keep_update(a);
        for (size_t i = 0; i < n; i++) {
                look_before(a, &e->v[i]);
                enforce_thaw(a, &holds[i].id, &e->v[i].reasons);
                if (holds[i].step)
                        keep_isolated(a, &e->v[i]);
                if (fence_drop(a, &holds[i].id) < 0)
                        e->v[i].reasons |= reason_bit(REASON_PERSISTS);
                if (holds[i].step)
                        fence_raise(a, &holds[i].id);
        }
        r = fence_tell(a, on_told, on_dropped, e);
        if (r < 0)
                ending_free(e);
        return r;
}
