/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fleet_core.h"

#include <fcntl.h>

#include "agent/core/certified.h"
#include "agent/core/hearing.h"
#include "agent/core/pipeline.h"
#include "agent/gate/request.h"
#include "agent/gate/screen.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "tests/bench/fleet_played.h"

struct fleet_world {
        sd_event *event;
        struct trust *trust;
        struct ledger *ledger;
        struct local local;
};

int fleet_world_new(sd_event *event, const char *trust, const char *ledger, struct fleet_world **ret) {
        _cleanup_free_ struct fleet_world *w = calloc(1, sizeof(*w));
        _cleanup_free_ char *text = NULL;
        enum reason reason = REASON_NONE;
        bool torn;
        size_t n;
        int r = w ? io_read_file(AT_FDCWD, trust, DSSE_ENVELOPE_MAX, &text, &n) : -ENOMEM;

        if (r == 0)
                r = trust_accept(text, n, NULL, &w->trust, &reason);
        if (r == 0 && reason != REASON_NONE)
                r = -EBADMSG;
        if (r == 0)
                r = ledger_open(ledger, LEDGER_SEGMENT_SIZE, NULL, NULL, &torn, &w->ledger);
        if (r < 0)
                return r;
        w->event = event;
        local_defaults(&w->local);
        *ret = TAKE_PTR(w);
        return 0;
}

int fleet_core_new(const struct fleet_world *w, const char *state, struct fleet_core **ret) {
        struct fleet_core *c = calloc(1, sizeof(*c));
        struct agent *a = c ? &c->agent : NULL;
        int r;

        if (!c)
                return -ENOMEM;
        *a = (struct agent) { .config.state = state,
                              .event = w->event,
                              .ledger = w->ledger,
                              .trust = w->trust,
                              .policy_state = "default",
                              .started_ms = clock_boot_ms() };
        a->local = w->local;
        clock_boot_id(a->boot_id);
        floor_raise(&a->floor, w->trust->iat_ms);
        a->holds = hold_set_new();
        r = a->holds ? hostkey_open(state, &a->key) : -ENOMEM;
        if (r == 0) {
                certified_load(a);
                r = a->attributes ? 0 : -ENODATA;
        }
        if (r < 0) {
                hold_set_free(a->holds);
                free(c);
                return r;
        }
        hearing_begin(a);
        *ret = c;
        return 0;
}

const struct attributes *fleet_core_attributes(const struct fleet_core *c) {
        return c->agent.attributes;
}

/* As the gate does with an envelope before the core sees it. */
static bool passes(const struct trust *t, struct request *r) {
        struct sshkey keys[TRUST_KEYS_MAX];
        enum reason reason = REASON_NONE;
        unsigned n;

        if (r->kind != FRAME_COMMAND)
                return true;
        trust_keys(t, keys);
        return screen_envelope(&r->envelope, keys, t->n_keys, &n, &reason) == 0 && reason == REASON_NONE;
}

void fleet_core_take(struct fleet_core *c, const char *text, size_t n,
                     void (*say)(void *userdata, const char *envelope), void *userdata) {
        _cleanup_(request_done) struct request request = REQUEST_NULL;
        struct answer to = { 0 };
        enum reason reason;
        struct frame f;

        if (request_parse(text, n, &request, &reason) < 0 || reason != REASON_NONE || !passes(c->agent.trust, &request))
                return;
        /* as the relay says of all that it carries */
        request.carried = request.kind == FRAME_COMMAND;
        request_to_frame(&request, 1, &f);
        to.carried = f.carried;
        fleet_played_say = say;
        fleet_played_userdata = userdata;
        pipeline_frame(&c->agent, &f, &to);
}
