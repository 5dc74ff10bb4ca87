/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The other side of probe.c: what the child does, and the messages between them. Both sides are one binary, so the
 * messages are plain structs, one SOCK_SEQPACKET message each. */

#include <stdint.h>

#include "agent/core/probe.h"

enum probe_op {
        PROBE_OP_ENTER, /* with the cgroup's directory as SCM_RIGHTS */
        PROBE_OP_CHECK,
        PROBE_OP_LEAVE,
};

struct probe_request {
        uint64_t cgroup_id;
        uint32_t op;
        uint32_t n_permits;
        struct permit permits[PROBE_PERMITS_MAX];
};

struct probe_reply {
        int32_t result;      /* 0 or -errno */
        uint64_t spare, own; /* inodes; see probe_inodes() */
        struct probe_report report;
};

/* Serves requests until the other end is closed. Never returns. */
void probe_child_run(int fd) __attribute__((__noreturn__));
