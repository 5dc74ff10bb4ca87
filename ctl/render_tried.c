/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

#define END_SIZE 96U

static const struct {
        const char *hook, *words, *before;
} deeds[] = {
        { "sock_create", "make a socket", "" },  { "connect4", "connect", " to " },
        { "connect6", "connect", " to " },       { "sendmsg4", "send", " to " },
        { "sendmsg6", "send", " to " },          { "bind4", "wait for callers", " at " },
        { "bind6", "wait for callers", " at " }, { "egress", "packets out", " to " },
        { "ingress", "packets in", " from " },
};

/* "10.0.0.1:443", "[fd00::1]:443", "port 80"; a packet that came in has its own port, not the other's. */
static void write_end(const json_t *e, bool in, char ret[static END_SIZE]) {
        const char *address = CLEAN(member_str(e, "address"));
        const int64_t port = member_int(e, "port", 0);
        const bool v6 = strchr(address, ':') != NULL;

        if (!*address)
                (void) snprintf(ret, END_SIZE, port > 0 ? "port %" PRId64 : "", port);
        else if (port == 0)
                (void) snprintf(ret, END_SIZE, "%s", address);
        else if (in)
                (void) snprintf(ret, END_SIZE, "%s at port %" PRId64, address, port);
        else
                (void) snprintf(ret, END_SIZE, v6 ? "[%s]:%" PRId64 : "%s:%" PRId64, address, port);
}

static void render_entry(const struct page *p, const char *label, const json_t *e) {
        const char *hook = member_str(e, "hook"), *words = hook, *before = " ", *comm = CLEAN(member_str(e, "comm"));
        const int64_t pid = member_int(e, "pid", 0);
        char end[END_SIZE], who[TEXT_CLEAN_MAX + 32] = "";

        for (size_t k = 0; k < ELEMENTSOF(deeds); k++)
                if (strcmp(deeds[k].hook, hook) == 0) {
                        words = deeds[k].words;
                        before = deeds[k].before;
                }
        write_end(e, strcmp(hook, "ingress") == 0, end);
        if (pid > 0 || *comm)
                (void) snprintf(who, sizeof(who), " by %s (%" PRId64 ")", comm, pid);
        render_row(p, label, "%" PRId64 " x %s, %s%s%s%s, last %s", member_int(e, "count", 0), CLEAN(words),
                   CLEAN(member_str(e, "proto")), *end ? before : "", end, who, TIME(member_int(e, "last_ms", 0)));
}

void render_tried(const struct page *p, const json_t *tried) {
        const int64_t others = member_int(tried, "others", 0), missed = member_int(tried, "missed", 0);
        const char *label = "tried";
        size_t i;
        json_t *e;

        json_array_foreach(json_object_get(tried, "attempts"), i, e) {
                render_entry(p, label, e);
                label = NULL;
        }
        if (others > 0)
                render_row(p, label, "%" PRId64 " x more, of which there were too many kinds to name each", others);
        if (missed > 0)
                render_row(p, others > 0 ? NULL : label, "%" PRId64 " x more, too fast to be told one by one", missed);
}
