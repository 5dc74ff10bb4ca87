/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A core's ledger with its keys, epochs and checkpoint, and nothing of what a core does to a machine. */

#include "agent/core/epochkey.h"
#include "agent/core/fold.h"
#include "agent/core/head.h"
#include "agent/core/record.h"
#include "agent/util/clock.h"
#include "lib/scratch.h"

#define SEGMENT 65536U

/* What the core opens of a state directory, and nothing of what it does to a machine. */
struct rig {
        struct scratch s;
        char ledger[96], socket[96];
        struct agent a;
        int checked; /* what head_check said */
};

static inline void rig_start(struct rig *r) {
        struct agent *a = &r->a;
        bool torn;

        *a = (struct agent) { .config = { .state = r->s.path, .socket = r->socket }, .holds = hold_set_new() };
        clock_boot_id(a->boot_id);
        assert_true(sd_event_new(&a->event) >= 0);
        assert_int_equal(hostkey_open(r->s.path, &a->key), 0);
        assert_int_equal(epochkey_new(r->socket, &a->epoch), 0);
        assert_int_equal(ledger_open(r->ledger, SEGMENT, fold_replay, a, &torn, &a->ledger), 0);
        r->checked = head_check(a, r->ledger);
        head_begin(a);
}

static inline void rig_stop(struct rig *r) {
        struct agent *a = &r->a;

        a->heartbeat = sd_event_source_disable_unref(a->heartbeat);
        ledger_free(TAKE_PTR(a->ledger));
        epochkey_free(TAKE_PTR(a->epoch));
        hostkey_free(TAKE_PTR(a->key));
        hold_set_free(TAKE_PTR(a->holds));
        held_list_done(&a->held);
        tried_list_done(&a->tried);
        shelf_done(&a->shelf);
        free(TAKE_PTR(a->trusted.n));
        a->event = sd_event_unref(a->event);
}

static inline void rig_make(struct rig *r) {
        *r = (struct rig) { 0 };
        scratch_make(&r->s);
        (void) snprintf(r->ledger, sizeof(r->ledger), "%s/ledger", r->s.path);
        (void) snprintf(r->socket, sizeof(r->socket), "%s/core.sock", r->s.path);
        rig_start(r);
}

static inline void rig_done(struct rig *r) {
        rig_stop(r);
        scratch_remove(&r->s);
}

#define _cleanup_rig_ _cleanup_(rig_done)

static inline void happen(struct rig *r, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(record_start(&r->a), 0);
}

/* The record of a snapshot whose statement has that digest. */
static inline void rig_seal(struct rig *r, const uint8_t digest[static 32], const char *folder) {
        const struct command_id id = { { 1 } };
        struct outcome o = { .id = &id, .of = "evidence" };
        char hex[65];
        _cleanup_json_ json_t *receipt = json_pack("{s:{s:s, s:s}}", "evidence", "folder", folder, "statement_sha256",
                                                   sodium_bin2hex(hex, sizeof(hex), digest, 32));
        _cleanup_free_ char *text = json_dumps(receipt, JSON_COMPACT), *envelope = NULL;

        assert_int_equal(hostkey_envelope(r->a.key, DSSE_RECEIPT, text, &envelope), 0);
        o.receipt = envelope;
        /* the hold that it is of is not there, and the record is all that is wanted */
        assert_int_equal(record_outcome(&r->a, &o), -ENOENT);
}

static inline bool shell(const struct rig *r, const char *command) {
        char line[512];

        (void) snprintf(line, sizeof(line), "cd %s && %s", r->s.path, command);
        return system(line) == 0; /* NOLINT: fixed commands */
}
