/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the running agent makes of a trust root that was just put there. */

#include "ctl/ctl.h"

enum enrolled {
        ENROLLED_LATER, /* nobody runs, or nobody answered: it is read at the next start */
        ENROLLED_IN_FORCE,
        ENROLLED_NOT, /* the agent goes on with another, or could not be told */
};

/* Has the agent read it again, and asks until its signed health names this very one, for a few seconds: another fleet of
 * the same name may have the same version. envelope: its file. *ret_text, of
 * size, is for people, in every case. Of a trust root anywhere but in the agent's own directory nothing is asked. */
enum enrolled enrolled_ask(struct ctl *c, const char *envelope, char *ret_text, size_t size);
