/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/late.h"

#include <stdbool.h>
#include <string.h>

/* The last half of these is for orders. */
#define LATE_MAX 256U

const char *late_id(const json_t *body) {
        return json_string_value(json_object_get(body, "id"));
}

bool late_is_order(const json_t *body) {
        return strcmp(json_string_value(json_object_get(body, "kind")), "order") == 0;
}

static bool is_of(const json_t *body, const char *id) {
        return id && strcmp(late_id(body), id) == 0;
}

bool late_waits(const json_t *queue, const char *id) {
        const json_t *late;
        size_t i;

        json_array_foreach(queue, i, late) if (late_is_order(late) || is_of(late, id)) return true;
        return false;
}

json_t *late_outcome(const json_t *queue, const char *id) {
        json_t *late, *found = NULL;
        size_t i;

        json_array_foreach(queue, i, late) if (!late_is_order(late) && is_of(late, id)) found = late;
        return found;
}

/* The last word of a command in the place of one that promised it. What only that told, a state and what it ended,
 * stays. */
static void replace_outcome(json_t *late, json_t *body) {
        json_t *state = json_object_get(body, "state");

        (void) json_object_set(late, "of", json_object_get(body, "of"));
        (void) json_object_set(late, "receipt", json_object_get(body, "receipt"));
        if (!json_is_true(json_object_get(body, "more")))
                (void) json_object_del(late, "more");
        if (state || !json_object_get(late, "state"))
                (void) json_object_set(late, "reasons", json_object_get(body, "reasons"));
        if (state)
                (void) json_object_set(late, "state", state);
        (void) json_array_extend(json_object_get(late, "ended"), json_object_get(body, "ended"));
}

void late_keep(json_t **queue, json_t *body) {
        json_t *first;

        if (!*queue)
                *queue = json_array();
        if (json_array_size(*queue) < (late_is_order(body) ? LATE_MAX : LATE_MAX / 2)) {
                (void) json_array_append(*queue, body);
                return;
        }
        first = late_is_order(body) ? NULL : late_outcome(*queue, late_id(body));
        if (json_is_true(json_object_get(first, "more")))
                replace_outcome(first, body);
}
