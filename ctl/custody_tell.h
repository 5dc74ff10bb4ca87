/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Chain of custody: before evidence is read, the agent of this machine is told, which makes a record of it that names
 * who it was (policy/custody.h). Where there is no agent, and wherever it does not answer, evidence is read all the
 * same, and the answer says that this was not recorded. */

#include "ctl/bag.h"
#include "ctl/ctl.h"
#include "ctl/render.h"
#include "policy/custody.h"

struct custody_told {
        bool recorded;  /* a host that is known here signed that */
        uint64_t n;     /* number of the record */
        char why[256];  /* not recorded: why not; cleaned */
        char *envelope; /* what was signed; owned, NULL when nothing came */
        size_t n_envelope;
};

#define CUSTODY_TOLD_NULL ((struct custody_told) { .n = 0 })

/* path: of the folder; NULL for all there is. Blocks for some seconds at most. Fills *ret in every case. */
void custody_tell(const struct ctl *c, const struct hosts *known, enum custody_act act, const char *path,
                  struct custody_told *ret);
void custody_told_done(struct custody_told *t);

/* For people and for scripts. */
void custody_told_render(const struct page *p, const struct custody_told *t);
/* New reference, NULL when out of memory. */
json_t *custody_told_to_json(const struct custody_told *t);
