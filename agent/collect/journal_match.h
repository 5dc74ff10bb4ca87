/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which entries of a journal tell of what. */

#include <systemd/sd-journal.h>

#include "policy/cleanup.h"

/* What `journalctl --unit=UNIT` shows, and more: of a slice also the slices in it, as far as the journal names them
 * (-E2BIG, added all the same: some were too many); of a container's scope also what its runtime sent to journald in
 * its name. -errno. */
int journal_match_unit(sd_journal *j, const char *unit) _warn_unused_;
/* What the kernel and its audit said. */
int journal_match_kernel(sd_journal *j, const char *unit) _warn_unused_;
/* Everything. */
int journal_match_all(sd_journal *j, const char *unit) _warn_unused_;
