/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

#define PIDS_SHOWN 4U

static void signal_names(const json_t *signals, char *ret, size_t n) {
        size_t i, used = 0;
        json_t *v;

        ret[0] = '\0';
        json_array_foreach(signals, i, v) {
                const char *name = sigabbrev_np((int) json_integer_value(v));

                if (used < n && name)
                        used += (size_t) snprintf(ret + used, n - used, "%sSIG%s", used ? ", " : "", name);
                else if (used < n)
                        used += (size_t) snprintf(ret + used, n - used, "%ssignal %d", used ? ", " : "",
                                                  (int) json_integer_value(v));
        }
}

void render_awaiting(const struct page *p, const json_t *target) {
        const json_t *signalled = json_object_get(target, "signalled");
        const char *label = "waits for it";
        size_t i;
        json_t *s;

        json_array_foreach(signalled, i, s) {
                char names[128];

                if (i == PIDS_SHOWN) {
                        render_row(p, NULL, "... and more processes");
                        break;
                }
                signal_names(json_object_get(s, "signals"), names, sizeof(names));
                render_row(p, label, "%s, which ends process %" PRId64 " when it is thawed", names,
                           member_int(s, "pid", 0));
                label = NULL;
        }
        if (json_is_true(json_object_get(target, "watchdog_expired")))
                render_row(p, label, "its watchdog ran out: the service manager gives the unit up");
}

void render_thawed(const struct page *p, const json_t *thawed) {
        size_t i;
        json_t *t;

        json_array_foreach(thawed, i, t) {
                const int64_t stopped = member_int(t, "stopped", 0);

                render_row(p, "thawed", "%s: %" PRId64 " of %" PRId64 " processes live", CLEAN(member_str(t, "target")),
                           member_int(t, "survived", 0), member_int(t, "processes", 0));
                if (stopped > 0)
                        render_row(p, NULL, "thawed and still isolated, they were kept from sending %" PRId64 " times",
                                   stopped);
                render_awaiting(p, t);
        }
}
