/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The units that the targets are or lie in, and those that run below them: a slice is what is in it. */

#include "agent/collect/target.h"
#include "agent/collect/unit.h"

#define UNITS_MAX 512U

struct units {
        struct {
                char name[UNIT_NAME_MAX + 1];
                bool given; /* a target is it or lies in it; not found below one */
        } v[UNITS_MAX];
        size_t n;
};

/* Malloc'ed; NULL when out of memory. Units of a user's own manager are left out: their files are the user's, and what
 * they log is among what the manager's own unit does. A hole EOVERFLOW when there are more. */
struct units *units_find(struct target_set *t, struct store *s);
/* True for what systemd takes as a unit's name, and no pattern. */
bool units_name_ok(const char *name);
