/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A hold on the whole host: programs at the root of the cgroup hierarchy, which see every socket of every network
 * namespace, and one on every uplink for what no such socket sends. Who still gets through is told in bpf/host_abi.h.
 *
 * Packet sockets that pass both by are kept from being set up, and what those from before send is dropped, see
 * direct.h.
 *
 * What it permits is fixed when a set of programs is loaded. When the host changes (sshd was restarted and has another
 * cgroup, an address came) a new set takes the place of the old one link by link, and at no time is there none; for an
 * address that came or went not on the uplinks, whose program has to do with none. An interface that appears gets its
 * program when the kernel tells of it, and at the latest at the next look; so does one from which somebody takes it
 * off. Anyone can make network namespaces by the thousand, and PID 1 can be slow: looking into all of the former, and
 * asking the latter, takes a twentieth of one processor at most and is then rarer; our own namespace is looked at each
 * time. */

#include "agent/core/agent.h"
#include "agent/core/site.h"
#include "agent/core/uplink.h"
#include "policy/hold.h"

/* how long what the kernel did not tell of may go unnoticed */
#define HOSTHOLD_LOOK_US (1000LL * 1000)
/* how long what the kernel tells of waits for more of the same, but for the interfaces of our own network namespace */
#define HOSTHOLD_SOON_US (50LL * 1000)

struct hosthold;

/* The isolation was taken back, since management did not answer; the ledger knows. Nothing puts it in force again by
 * itself. */
static inline bool hosthold_is_given_up(const struct hold *h) {
        return h->reasons & reason_bit(REASON_MANAGEMENT);
}

/* What it tells of. */
struct hosthold_tell {
        void (*replaced)(struct agent *a); /* links have other programs than before, and by us */
        /* an interface lost what it had since then: r is 1 when it has it again, or -errno */
        void (*lost)(struct agent *a, const struct command_id *hold, int r, int64_t since_us);
};

/* tell: static. */
int hosthold_new(const struct hosthold_tell *tell, struct hosthold **ret) _warn_unused_;
void hosthold_free(struct hosthold *x);

/* Loads the programs for a hold as the host is now. 0, -errno. */
int hosthold_begin(struct agent *a, const struct hold *h) _warn_unused_;
/* Attaches what belongs to one phase: calls and inbound packets; or outbound packets, then the uplinks. Goes on after a
 * failure. The first -errno; -EBUSY for a cgroup that carries a foreign exclusive program. */
int hosthold_attach(struct agent *a, const struct hold *h, const struct site *s,
                    enum isolate_phase phase) _warn_unused_;
/* Takes off what isolate_drop() would leave. 0, -EBUSY. */
int hosthold_drop(struct agent *a, const struct command_id *hold) _warn_unused_;
/* What management was when programs were last loaded for a host; NULL when no host is held. Until the next look. */
const struct management *hosthold_known(const struct agent *a);
/* What is on the uplinks. Owned by the caller. */
void hosthold_read(const struct agent *a, const struct command_id *hold, struct uplinks *ret);
/* A cgroup was made that may be management's: looks soon. */
void hosthold_hear(struct agent *a);
/* Holds or what they hold may have changed: begins, goes on or ends to look after them. */
void hosthold_keep(struct agent *a);
