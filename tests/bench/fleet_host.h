/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The relay of a host of which there are thousands in one process: it listens to what the relay listens to, publishes
 * where the relay does, asks for what it missed as the relay asks, and comes back when the relay would (ears.h,
 * fetch.h, subject.h and answer.h are the relay's own). Bounds on a connection are those of the relay. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "policy/broker.h"
#include "policy/cleanup.h"
#include "tests/bench/fleet_wire.h"

struct fleet_core;
struct fleet_host;

/* What all hosts of a process have in common. */
struct fleet {
        sd_event *event;
        struct wire_server server;
        struct broker broker; /* of it spread_s */
        bool again_at_once;   /* a connection that was lost is tried again at once by all of them */
        size_t echo;          /* 0, or: every message is answered with so many bytes, and nobody looks at it */
        unsigned echoes;      /* so often */

        /* of all hosts */
        size_t n_ready; /* connected, and the server has all their subscriptions */
        size_t n_caught_up, failures;
        uint64_t messages, answers, caught;
        uint64_t core_ns;               /* that gate and core took, on the processor */
        void (*ready)(struct fleet *f); /* one more is */
};

/* Host number `number` of the process. core is borrowed. It connects by itself. -errno. */
int fleet_host_new(struct fleet *f, struct fleet_core *core, size_t number, struct fleet_host **ret) _warn_unused_;
