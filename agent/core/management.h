/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may go on talking while the whole host is isolated, and which addresses are the host itself: as it is now, for a
 * set of programs that lasts until this changes. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/core/systemd.h"
#include "bpf/host_abi.h"
#include "policy/local.h"

struct management {
        uint64_t root_id;
        uint64_t told; /* 1: PID 1 said which units there are, now or before */
        struct management_unit {
                uint64_t cgroup_id;
                uint32_t may; /* HOST_ANSWERS, HOST_CONFIGURES, HOST_ASKS */
        } units[HOST_UNITS_MAX];
        size_t n_units;
        struct permit brokers[LOCAL_BROKERS_MAX]; /* whom who asks may ask */
        size_t n_brokers;
        struct permit leases[HOST_LEASES_MAX]; /* the DHCP servers that addresses were leased from, and their port */
        size_t n_leases;
        /* last; see management_only_moved() */
        struct permit own[HOST_OWN_MAX]; /* the loopback networks first */
        size_t n_own;
};

/* True when all but the host's own addresses is the same. */
static inline bool management_only_moved(const struct management *a, const struct management *b) {
        return memcmp(a, b, offsetof(struct management, own)) == 0;
}

/* Equal facts are equal bytes. A unit's cgroup is the one that PID 1 says is its: root can make one of any name. While
 * it does not answer, the units are those of `known` (NULL: none). Before it has said anything, and without systemd,
 * whatever lies in slices alone and has a unit's name is one, since a host that nobody reaches is lost (FAIL-OPEN). Of
 * more than fit units of templates are left out first: they do not answer, but nothing fails. The leases are those of
 * `known` too: a server of networkd that comes later is heard of by broadcast. -errno. */
int management_read(const char *cgroup_root, struct systemd *s, const struct local *l, const struct management *known,
                    struct management *ret) _warn_unused_;
