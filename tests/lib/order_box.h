/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An agent that records orders as the core does: signed, decided, in a ledger if it has one. Included after
 * decide_world.h, whose world the orders are from. */

#include "agent/core/record.h"
#include "agent/util/clock.h"

static struct agent agent;

static inline void agent_begin(void) {
        agent = (struct agent) { .holds = w.holds, .trust = &w.trust };
        agent.shelf = w.shelf;
        w.shelf = (struct shelf) { 0 };
        w.facts.shelf = &agent.shelf;
        clock_boot_id(agent.boot_id);
        hold_set_advance(agent.holds, agent.boot_id, clock_boot_ms());
}

static inline void agent_end(void) {
        held_list_done(&agent.held);
        shelf_done(&agent.shelf);
        json_decref(TAKE_PTR(agent.late));
        ledger_free(TAKE_PTR(agent.ledger));
}

/* Decides on the order that the world holds, and records it for these sites, which it takes. */
static inline struct recorded *agent_record(struct sites *sites) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *json = NULL;
        struct recorded *recorded = NULL;
        struct phases phases;

        ask();
        assert_string_equal(reason_id(w.d.reason), "none");
        assert_int_equal(w.d.kind, DECISION_GO);
        assert_int_equal(command_to_json(&w.c, &json), 0);
        d = world_sign(json);
        phases_begin(&phases);
        assert_int_equal(record_order(&agent, TAKE_PTR(w.authorised), &d, sites, &phases, &recorded), 0);
        assert_non_null(recorded);
        return recorded;
}
