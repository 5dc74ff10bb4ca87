/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between the sites of a hold and their sockets: looks at those of all sites in one go, or destroys them. */

#include "agent/core/agent.h"
#include "agent/core/sockets.h"

enum sweep_how {
        SWEEP_DESTROY,
        SWEEP_LOOK,
        SWEEP_ASK, /* as well: each socket, whose it is; of sites that are isolated and run on */
};

/* Sites of that hold. ret[s->n]; that of a site which is not open is all zero. Never fails: what could not be done is a
 * gap. */
void sweep_sites(const struct agent *a, const struct command_id *hold, const struct sites *s, enum sweep_how how,
                 struct sockets_result *ret);
