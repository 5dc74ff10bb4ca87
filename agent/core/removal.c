/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/removal.h"

#include <string.h>

#include <sodium.h>

#include "agent/core/record.h"
#include "agent/core/room.h"
#include "agent/core/tombstone.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

struct removal {
        struct agent *agent;
        removal_fn fn;
        void *userdata;
        sd_event_source *step;
        struct command_id *failed; /* owned */
        size_t n_failed;
};

void removal_free(struct removal *r) {
        if (!r)
                return;
        (void) sd_event_source_disable_unref(r->step);
        free(r->failed);
        free(r);
}

bool removal_failed(const struct removal *r, const struct command_id *id) {
        for (size_t i = 0; i < r->n_failed; i++)
                if (command_id_equal(&r->failed[i], id))
                        return true;
        return false;
}

static const struct shelf_item *next(const struct removal *r) {
        const struct shelf *s = &r->agent->shelf;

        for (size_t i = 0; i < s->n; i++)
                if (s->items[i].condemned && !removal_failed(r, &s->items[i].id))
                        return &s->items[i];
        return NULL;
}

/* What a tombstone says of the order, from the ledger. */
struct source {
        json_t *body;
        struct command *command;
        struct tombstone t;
};

static void source_done(struct source *s) {
        json_decref(s->body);
        command_free(s->command);
}

/* FAIL-CLOSED: an order that the ledger cannot show any more deletes nothing. */
static int load(struct agent *a, const struct shelf_item *item, struct source *s) {
        s->t = (struct tombstone) { .key = a->key,
                                    .fleet = a->trust ? a->trust->fleet : "",
                                    .floor_ms = floor_now(&a->floor),
                                    .ledger = a->ledger ? ledger_head(a->ledger).n : 0,
                                    .sealed_ms = item->sealed_ms,
                                    .keep_ms = item->keep_ms,
                                    .by = item->by };
        memcpy(s->t.boot_id, a->boot_id, sizeof(s->t.boot_id));
        if (command_id_is_none(&item->by))
                return 0;
        s->body = record_order_of(a, &item->by);
        s->command = record_order_command(s->body, s->t.command_sha256);
        s->t.order = json_string_value(json_object_get(s->body, "envelope"));
        s->t.people = json_object_get(s->body, "people");
        s->t.role = json_string_value(json_object_get(s->body, "role"));
        if (!s->command || !s->t.order || !s->t.people || !s->t.role)
                return -ENODATA;
        s->t.why = s->command->reason;
        return 0;
}

static int step_folder(const struct folder *f, void *userdata) {
        return tombstone_step(f, userdata);
}

static int add_digest(const struct folder *f, void *userdata) {
        uint8_t sha256[32];
        char hex[65];
        int r = tombstone_digest(f, sha256);

        if (r < 0)
                return r;
        sodium_bin2hex(hex, sizeof(hex), sha256, sizeof(sha256));
        return json_object_set_new(userdata, f->path, json_string(hex)) < 0 ? -ENOMEM : 0;
}

/* Whom a line of the journal is about. */
struct about {
        char hold[33], order[33];
};

static struct log_fields fields(const struct shelf_item *item, struct about *ret) {
        command_id_to_str(&item->id, ret->hold);
        command_id_to_str(&item->by, ret->order);
        return (struct log_fields) { .hold = ret->hold,
                                     .command_id = command_id_is_none(&item->by) ? NULL : ret->order,
                                     .stage = "retain" };
}

/* 1: there is more to do. */
static int step(struct agent *a, const struct shelf_item *item) {
        _cleanup_(source_done) struct source s = { 0 };
        _cleanup_json_ json_t *tombstones = json_object();
        const struct command_id id = item->id;
        struct about about;
        const struct log_fields f = fields(item, &about);
        int r = load(a, item, &s);

        /* a full disk is when deleting matters most */
        (void) room_provide(a->config.state, ROOM_TAGS);
        if (r == 0)
                r = folder_each(a->config.state, &id, step_folder, &s.t);
        if (r == 0)
                r = tombstones ? folder_each(a->config.state, &id, add_digest, tombstones) : -ENOMEM;
        if (r == 0)
                r = record_deleted(a, &id, json_incref(tombstones));
        if (r != 0)
                return r;
        log_event(LOG_NOTICE, MESSAGE_ID_DELETED, &f, "Evidence was deleted: %s",
                  s.t.order ? "it was ordered" : "its time was over");
        return 0;
}

/* Without memory for it, it is tried at once again, which may go better. */
static void fail(struct removal *r, const struct shelf_item *item, int err) {
        struct command_id *failed = reallocarray(r->failed, r->n_failed + 1, sizeof(*failed));
        struct about about;
        const struct log_fields f = fields(item, &about);

        log_event(LOG_ERR, MESSAGE_ID_NOT_DELETED, &f, "Evidence could not be deleted, and will be tried again: %s",
                  strerror(-err));
        if (!failed)
                return;
        r->failed = failed;
        r->failed[r->n_failed++] = item->id;
}

static int on_step(sd_event_source *source, void *userdata) {
        struct removal *r = userdata;
        const struct shelf_item *item = next(r);

        if (item) {
                int e = step(r->agent, item);

                if (e < 0)
                        fail(r, item, e); /* so it is there still */
                if (e <= 0) {
                        r->fn(r->userdata);
                        agent_idle_work(r->agent);
                }
        }
        return sd_event_source_set_enabled(source, next(r) ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

int removal_new(struct agent *a, removal_fn fn, void *userdata, struct removal **ret) {
        struct removal *r = calloc(1, sizeof(*r));
        int e = r ? 0 : -ENOMEM;

        if (e == 0) {
                *r = (struct removal) { .agent = a, .fn = fn, .userdata = userdata };
                e = sd_event_add_defer(a->event, &r->step, on_step, r);
        }
        if (e >= 0)
                e = sd_event_source_set_priority(r->step, SD_EVENT_PRIORITY_IDLE);
        if (e >= 0)
                e = sd_event_source_set_enabled(r->step, SD_EVENT_OFF);
        if (e < 0) {
                removal_free(r);
                return e;
        }
        *ret = r;
        return 0;
}

bool removal_start(struct removal *r) {
        bool any;

        r->n_failed = 0;
        any = next(r);
        (void) sd_event_source_set_enabled(r->step, any ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        return any;
}
