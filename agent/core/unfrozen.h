/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* On whom a freeze waits. The kernel says of a cgroup that it is not frozen, and of no task that it is not: a frozen
 * one looks asleep. What tells is where in the kernel it waits. */

#include <stddef.h>
#include <sys/types.h>

#include "policy/cleanup.h"

#define UNFROZEN_MAX 16U

struct unfrozen {
        pid_t pid, tid; /* process, and the first thread of it that is not frozen */
        char state;     /* as in proc(5): D waits for something that no signal ends, R has not come to notice */
        char comm[64];  /* of the thread; printable */
        char wchan[64]; /* the kernel's function in which it waits; empty when it does not, or is not told */
};

struct unfrozen_list {
        struct unfrozen v[UNFROZEN_MAX];
        size_t n;
};

/* Those of the processes that are not frozen, the first UNFROZEN_MAX of them. Never fails; one that ends meanwhile is
 * none of them. */
void unfrozen_find(const pid_t *pids, size_t n, struct unfrozen_list *ret);
/* [{"pid","tid","comm","state","wchan"}]; new reference, NULL when out of memory. */
json_t *unfrozen_to_json(const struct unfrozen_list *l);
