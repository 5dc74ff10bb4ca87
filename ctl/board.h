/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where orders hang that lack signatures: frz.v1.FLEET.sign.ID in the fleet's stream, for the next person. What hangs
 * there is read as quorum.h says; a broker can take something down, and no more. */

#include "ctl/carrier.h"
#include "ctl/quorum.h"

#define BOARD_MAX 256U

struct board {
        struct quorum v[BOARD_MAX];
        size_t n;
        size_t expired;
        size_t forged; /* nobody signed it who may order such a thing, or it is no order */
        bool more;     /* there was no room, or no patience, for what may be behind it */
};

/* All that hangs there, the oldest first, as far as there is room. *ret has to be freed with board_free.
 * Returns 0 or an exit code. */
int board_read(struct carrier *c, const struct trust *t, int64_t now_ms, struct board **ret,
               struct why *w) _warn_unused_;
void board_free(struct board *b);
void board_freep(struct board **b);
/* One of it. Nothing of that id that counts: CTL_REFUSED. */
int board_find(struct carrier *c, const struct trust *t, const struct command_id *id, int64_t now_ms,
               struct quorum *ret, struct why *w) _warn_unused_;
/* Hangs it up, with all signatures that are on q or hang there already; they are on q then. 0: it was there when it was
 * looked for after that, and no other order under its id; else an exit code. */
int board_put(struct carrier *c, const struct trust *t, struct quorum *q, int64_t now_ms, struct why *w) _warn_unused_;
