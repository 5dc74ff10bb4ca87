/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A hold's program on one interface of the namespace that the caller is in. It covers nothing unless it is the set's
 * own and is asked before all others: a link can be given another program, and whoever is asked before it can let
 * through what it never sees. Of those before it only other holds' programs are let be, which drop or go on to the
 * next. */

#include "agent/core/uplink.h"

/* linux/bpf.h of Debian 12 is older than TCX */
#define TCX_EGRESS 47
/* PINS/<hold>/uplink_<namespace>_<ifindex>; PINS is an option of ours and short */
#define UPLINK_PIN_MAX 512

/* Sets link_id and prog_id of what the hold has there, both 0 when that is not as it has to be. */
void uplink_prog_read(const struct uplinks_of *of, struct uplink *u);
/* The same reading, after prog was attached where there was none, given to a link that has another, and put before
 * those that came to be asked first; those two count as mended unless it is new: what is there then is the last one's,
 * and is replaced. */
void uplink_prog_cover(const struct uplinks_of *of, int prog, bool is_new, struct uplink *u);
/* Takes off what has no pin. 0, -EBUSY. */
int uplink_prog_drop(const struct command_id *hold, const struct uplink *u) _warn_unused_;
/* A program that does nothing but say this of each packet. Its descriptor, or -errno. */
int uplink_prog_load(int verdict) _warn_unused_;
