/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What we ourselves are and left on the host, so that nobody takes it for the attacker's, or the other way round: one
 * object of kind `footprint`, and our configuration as objects of kind `agent-config`.
 *
 *   {"version":"0.1.0","programs":[{"what":"collector","pid":1,"path":"/usr/lib/freezed/freezed-collect","sha256":"..."},
 *    ...],"boot_id":"...","wall_ms":1,"boot_ms":1,"synced":true,"kernel":"...","files":[{"path":"/sys/fs/bpf/freezed/..."},...]}
 *
 * What we did to a target besides is in the receipt; its drop-ins are among the unit files. */

#include "agent/collect/store.h"

/* What cannot be asked in the sandbox. */
struct footprint {
        pid_t core;
        bool synced; /* clock_synced() */
};

/* While /proc/PID/exe of the core may be followed. */
void footprint_collect(struct store *s, const struct footprint *f);
