/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may go on talking while the whole host is isolated, and which addresses are the host itself: as it is now, for a
 * set of programs that lasts until this changes. */

#include <stdint.h>

#include "bpf/host_abi.h"
#include "policy/local.h"

struct management {
        uint64_t root_id;
        struct management_unit {
                uint64_t cgroup_id;
                uint32_t may; /* HOST_ANSWERS, HOST_CONFIGURES, HOST_ASKS */
        } units[HOST_UNITS_MAX];
        size_t n_units;
        struct permit brokers[LOCAL_BROKERS_MAX]; /* whom who asks may ask */
        size_t n_brokers;
        struct permit own[HOST_OWN_MAX]; /* the loopback networks first */
        size_t n_own;
};

/* Equal facts are equal bytes. Only a cgroup that lies in slices alone is taken for a unit: what lies in a unit was
 * named by whoever is in it. -errno; -E2BIG when there are more units than fit. */
int management_read(const char *cgroup_root, const struct local *l, struct management *ret) _warn_unused_;
