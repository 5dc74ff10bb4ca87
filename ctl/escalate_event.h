/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the tools send, read into events that rules can look at. Nothing of it is believed: it only chooses among what
 * the rules allow. Pure but for the allocation; not for two threads at once (schema.h).
 *
 *   alertmanager  the webhook, version 4: an event for each alert, with the members of the message beside its own.
 *                 `resolved` is the alert's own status, never the group's
 *   falco         one alert as json_output writes it
 *   tetragon      one event of the export file
 *   cloudevents   one event of CloudEvents 1.0 in JSON, or a batch of them
 *
 * A message that is none of that, or a part of one, is an event too: `wrong` says why, and no rule sees it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define ESCALATE_EVENT_TEXT_MAX 159U
/* of one message; one with more is one event, that is wrong */
#define ESCALATE_EVENTS_MAX 20000U

/* X(NAME, "id") */
#define ESCALATE_SOURCE_TABLE(X)        \
        X(ALERTMANAGER, "alertmanager") \
        X(FALCO, "falco")               \
        X(TETRAGON, "tetragon")         \
        X(CLOUDEVENTS, "cloudevents")

enum escalate_source {
#define X(name, ...) ESCALATE_##name,
        ESCALATE_SOURCE_TABLE(X)
#undef X
                _ESCALATE_SOURCE_MAX,
};

struct escalate_event {
        enum escalate_source source;
        char id[ESCALATE_EVENT_TEXT_MAX + 1];    /* as its tool names it, or the first digits of key; cleaned */
        char title[ESCALATE_EVENT_TEXT_MAX + 1]; /* what it is about, for people; cleaned */
        uint8_t key[32];                         /* the same for the same event, however often it is sent */
        int64_t time_ms;                         /* when it happened; -1: it does not say */
        bool resolved;
        const char *wrong; /* NULL, or why this is no event; static */
        json_t *json;      /* owned; NULL when wrong */
};

struct escalate_events {
        struct escalate_event *v; /* owned */
        size_t n;
        uint64_t truncated; /* alerts that Alertmanager left out of the message */
        bool mended;        /* escalate_mend.h */
};

#define ESCALATE_EVENTS_NULL ((struct escalate_events) { .v = NULL })

/* A header of an HTTP request, for CloudEvents in binary mode. */
struct escalate_header {
        char *name, *value;
};

const char *escalate_source_id(enum escalate_source s);
bool escalate_source_from_id(const char *id, enum escalate_source *ret);

/* Reads one message. -ENOMEM, *ret untouched. */
int escalate_event_read(enum escalate_source source, const char *bytes, size_t n,
                        struct escalate_events *ret) _warn_unused_;
/* A CloudEvent whose attributes are the headers that begin with "ce-", and whose data is the body, as JSON when its
 * type says so. */
int escalate_event_read_binary(const struct escalate_header *headers, size_t n_headers, const char *type,
                               const char *body, size_t n, struct escalate_events *ret) _warn_unused_;
void escalate_events_done(struct escalate_events *e);
/* RFC 3339; -1 for anything else, and for what is before 1970. Milliseconds. */
int64_t escalate_event_time(const char *s);
