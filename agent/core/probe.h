/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The self-test: sockets that really belong to the held cgroup try to get out, and a listener of ours watches whether
 * they do.
 *
 * A child of the core, forked before the core gives up network sockets, does the work. A socket belongs to the cgroup
 * of the task that creates it, for good: so for a moment a task sharing the child's memory and descriptors is cloned
 * into the target (CLONE_INTO_CGROUP, no migration and its grace period), makes the sockets, and is gone before the
 * target is frozen. The sockets stay with the child, and keep testing the hooks while the target is frozen.
 *
 * No test waits for silence: after each attempt a control message is sent over the same loopback path from outside the
 * cgroup, and what has not arrived when the control message has, was dropped. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/command.h"

#define PROBE_PERMITS_MAX 8U
#define PROBE_CGROUPS_MAX 256U
/* how long a permitted address may take to answer */
#define PROBE_PERMIT_MS 300
/* 127.70.82.90, where the self-test's own paths end: not an address that anyone has reason to permit */
#define PROBE_ADDRESS 0x7f46525aU

/* X(NAME, "id") */
#define PROBE_RESULT_TABLE(X)         \
        X(NOT_RUN, "not-run")         \
        X(BLOCKED, "blocked")         \
        X(LEAK, "leak")               \
        X(REACHED, "reached")         \
        X(REFUSED, "refused-by-peer") \
        X(NO_ANSWER, "no-answer")     \
        X(CUT, "cut")

enum probe_result {
#define X(name, id) PROBE_##name,
        PROBE_RESULT_TABLE(X)
#undef X
                _PROBE_RESULT_MAX,
};

struct probe_report {
        bool baseline;          /* before the hold the same paths did carry a byte: a later `blocked` means something */
        uint8_t new_connection; /* enum probe_result: connect(2) of a fresh TCP socket */
        uint8_t open_stream;    /* a TCP connection opened before the hold */
        uint8_t open_datagram;  /* a connected UDP socket opened before the hold: tests the packet hook alone */
        uint8_t inbound;        /* a datagram from outside to a socket of the cgroup */
        uint8_t n_permits;
        uint8_t permits[PROBE_PERMITS_MAX]; /* enum probe_result per permit; NOT_RUN for networks, UDP, and when asked
                                               again */
};

struct probe;

/* Forks the child. Call once, before sandboxing, while the process has one thread. -errno. */
int probe_start(struct probe **ret) _warn_unused_;
/* Ends the child and reaps it. */
void probe_free(struct probe *p);
void probe_freep(struct probe **p);

/* Makes the sockets inside the cgroup, one more for each permit that will be tried, and tries the paths. 0; -EBUSY when
 * the cgroup is already frozen and cannot be entered; -errno. At most PROBE_CGROUPS_MAX are kept, the oldest goes. */
int probe_enter(struct probe *p, int cgroup_fd, uint64_t cgroup_id, size_t n_permits) _warn_unused_;
/* Begins to enter and does not wait. probe_enter() of the same cgroup waits for it; so does whatever else is asked
 * first. */
void probe_begin_enter(struct probe *p, int cgroup_fd, uint64_t cgroup_id, size_t n_permits);
/* The child. */
pid_t probe_pid(const struct probe *p);
/* True when it has been entered. */
bool probe_has(const struct probe *p, uint64_t cgroup_id);
/* Inodes of what the self-test has in each cgroup: the socket that destroying has to spare, as it tests the packet
 * hooks alone, and the connection that is destroyed like the target's own but is none of them. Those of all cgroups,
 * because one may lie below another. Tells how many of each. */
size_t probe_inodes(const struct probe *p, uint64_t ret_spare[static PROBE_CGROUPS_MAX],
                    uint64_t ret_own[static PROBE_CGROUPS_MAX]);
/* Tries everything. -ENOENT for a cgroup that was never entered. Blocks up to PROBE_PERMIT_MS when there are permits.
 */
int probe_check(struct probe *p, uint64_t cgroup_id, const struct permit *permits, size_t n,
                struct probe_report *ret) _warn_unused_;
/* Forgets the cgroup's sockets. */
void probe_leave(struct probe *p, uint64_t cgroup_id);

/* True when one of the permits lets the self-test's own paths through: it cannot tell then whether anything else is
 * blocked. */
bool probe_is_permitted(const struct permit *p, size_t n);

const char *probe_result_id(enum probe_result r);
