/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

static const struct {
        const char *id, *words;
} repairs[] = {
        { "thaw", "thawed" },
        { "link", "a program detached or exchanged" },
        { "pin", "a pin removed" },
        { "moved", "a process moved out" },
        { "replaced", "the cgroup made anew" },
        { "fence", "the service manager let start it" },
        { "uplink", "an interface opened" },
        { "guard", "a pin of the guard removed" },
};

void render_repaired(const struct page *p, const json_t *repaired) {
        const json_t *counts = json_object_get(repaired, "repairs"), *latency = json_object_get(repaired, "latency_us");
        const int64_t failed = member_int(repaired, "failed", 0);
        const char *label = "put back";

        for (size_t i = 0; i < ELEMENTSOF(repairs); i++) {
                const int64_t n = member_int(counts, repairs[i].id, 0);

                if (n <= 0)
                        continue;
                render_row(p, label, "%" PRId64 " x %s", n, repairs[i].words);
                label = NULL;
        }
        if (!label)
                render_row(p, NULL, "the last after %" PRId64 " us, the slowest after %" PRId64 " us",
                           member_int(latency, "last", 0), member_int(latency, "worst", 0));
        if (failed > 0)
                render_row(p, label, "%" PRId64 " x in vain, and tried again", failed);
}
