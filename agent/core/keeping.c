/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/keeping.h"

#include <string.h>

#include "agent/core/folder.h"
#include "agent/core/record.h"
#include "agent/util/clock.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"

#define NAME           "keeping.dsse.json"
#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "urn:freezed:keeping:v1"

/* The order's id, and who signed it and why where the ledger tells. */
static json_t *hold_to_json(struct agent *a, const struct command_id *hold) {
        _cleanup_json_ json_t *body = record_order_of(a, hold);
        _cleanup_command_ struct command *c = record_order_command(body, NULL);
        char id[33];

        command_id_to_str(hold, id);
        return json_pack("{ss sO* sO* ss*}", "id", id, "role", json_object_get(body, "role"), "people",
                         json_object_get(body, "people"), "reason", c ? c->reason : NULL);
}

static json_t *holds_to_json(struct agent *a, const struct command_id *id) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < a->shelf.n_bonds; i++)
                if (command_id_equal(&a->shelf.bonds[i].item, id))
                        (void) json_array_append_new(array, hold_to_json(a, &a->shelf.bonds[i].hold));
        return array;
}

static json_t *predicate(struct agent *a, const struct folder *f) {
        const struct shelf_item *item = shelf_find(&a->shelf, &f->id);
        char hold[33], host[SSHKEY_ID_SIZE];

        command_id_to_str(&f->id, hold);
        sshkey_id_to_str(hostkey_public(a->key)->id, host);
        return json_pack("{si ss ss sI sI sI sI sI so}", "v", 1, "hold", hold, "host", host, "ledger",
                         (json_int_t) (a->ledger ? ledger_head(a->ledger).n : 0), "wall_ms",
                         (json_int_t) clock_wall_ms(), "floor_ms", (json_int_t) floor_now(&a->floor), "sealed_ms",
                         (json_int_t) (item ? item->sealed_ms : 0), "keep_ms", (json_int_t) (item ? item->keep_ms : 0),
                         "legal_holds", holds_to_json(a, &f->id));
}

static int tell_folder(const struct folder *f, void *userdata) {
        struct agent *a = userdata;
        _cleanup_json_ json_t *o = json_pack("{ss so ss so}", "_type", STATEMENT_TYPE, "subject", folder_subjects(f),
                                             "predicateType", PREDICATE_TYPE, "predicate", predicate(a, f));
        _cleanup_free_ char *payload = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        _cleanup_free_ char *envelope = NULL;
        int r = payload ? fault_effect("evidence-keeping") : -ENOMEM;

        if (r == 0)
                r = hostkey_envelope(a->key, DSSE_EVIDENCE, payload, &envelope);
        return r < 0 ? r : io_replace_file(f->fd, NAME, envelope, strlen(envelope), 0400);
}

int keeping_tell(struct agent *a, const struct command_id *id) {
        return folder_each(a->config.state, id, tell_folder, a);
}
