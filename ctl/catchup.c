/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/catchup.h"
#include "ctl/streams.h"
#include "policy/schema.h"

int catchup_ask(struct carrier *c, const char *fleet, const char *last, const char *body, struct carrier_event **ret,
                struct why *w) {
        char stream[SUBJECT_SIZE], subject[CARRIER_SUBJECT_SIZE];
        struct carrier_event *e = NULL;
        int r = streams_name(STREAMS_CMD, fleet, stream);

        *ret = NULL;
        if (r < 0)
                return why_errno(w, r, "the fleet's stream");
        r = snprintf(subject, sizeof(subject), "$JS.API.DIRECT.GET.%s%s%s", stream, last ? "." : "", last ? last : "");
        if ((size_t) r >= sizeof(subject))
                return why_set(w, CTL_MACHINE, "the name of the fleet is too long");
        int x = carrier_ask(c, subject, body, strlen(body), &e, w);
        if (x != 0)
                return x;
        if (e->status == 503)
                x = why_set(w, CTL_MACHINE,
                            "the broker has no stream of the fleet %s, so it keeps nothing: `freezectl fleet setup` "
                            "makes it",
                            fleet);
        else if (e->status != 0 && e->status != 404)
                x = why_set(w, CTL_MACHINE, "the stream does not answer as one (status %d)", e->status);
        else if (e->status == 0)
                *ret = TAKE_PTR(e);
        free(e);
        return x;
}

int catchup_next(struct carrier *c, const char *fleet, const char *pattern, int64_t *from, struct carrier_event **ret,
                 struct why *w) {
        char body[SUBJECT_SIZE + 64];
        struct carrier_event *e;

        *ret = NULL;
        (void) snprintf(body, sizeof(body), "{\"seq\":%" PRId64 ",\"next_by_subj\":\"%s\"}", *from, pattern);
        int x = catchup_ask(c, fleet, NULL, body, &e, w);
        if (x != 0 || !e)
                return x;
        if (e->sequence > SCHEMA_INT_MAX) {
                free(e);
                return 0;
        }
        *from = MAX(e->sequence, *from) + 1;
        *ret = e;
        return 0;
}
