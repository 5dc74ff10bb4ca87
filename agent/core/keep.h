/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is in force does not stay so by itself. Each module that keeps it so is told here whenever what it has to keep
 * may have changed, and compares the holds and sites with what it did for them before. */

#include "agent/core/agent.h"

/* The set of holds, or of the sites of one, is another now. Call it after the ledger has the change, with nothing
 * half-done. Never fails: who keeps something logs what it cannot keep, and says so wherever state is read. */
void keep_update(struct agent *a);
