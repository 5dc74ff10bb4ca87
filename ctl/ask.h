/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The one question that is put to the person: only to a terminal, and only "y" or "yes" is a yes. */

#include "ctl/ctl.h"

/* Returns 0 for yes and with --yes, CTL_REFUSED for no, CTL_USAGE when there is nobody to ask. */
int ask_yes(struct ctl *c, const char *question) _warn_unused_;
