/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The ways out of a held host that are no socket's: every interface but the loopback, in every network namespace that a
 * process of the host is in or that has a name. Each gets the set's uplink program: as a TCX link (6.6), pinned as
 * PINS/<hold>/uplink_<namespace>_<ifindex>; where the kernel has no TCX, as a filter of clsact, which has no pin;
 * either before all others. One that carries another program, or is asked after somebody's, is open. What packet
 * sockets send past either is dropped by direct.h. One interface at a time in its own namespace: what does not hold for
 * one must not keep the others open. */

#include <stdbool.h>
#include <stdint.h>

#include <net/if.h>

#include "policy/cleanup.h"
#include "policy/command.h"

/* as many of them as are told of, those first of which something is open; held is every one */
#define UPLINKS_TOLD_MAX 512U

struct uplink {
        char name[IFNAMSIZ];
        uint64_t netns; /* inode */
        unsigned ifindex;
        uint32_t link_id, prog_id; /* of TCX, or 0 and the program of clsact; both 0: open */
        bool direct;               /* neither can a packet socket hand anything to the driver itself */
        uint32_t xdp_prog;         /* of whoever: it can send back what comes in, past everything; 0: none */
        bool mended;               /* something of the hold was put on it just now */
};

struct uplinks {
        struct uplink *v; /* owned */
        size_t n;
        bool unread;    /* a namespace could not be looked into */
        uint64_t n_xsk; /* AF_XDP sockets: what they send passes every hook by */
};

/* Whose programs and rules: where they are pinned, and the mark of what the host's programs let through. */
struct uplinks_of {
        const char *pins;
        const struct command_id *hold;
        uint32_t mark;
        uint32_t prog_id;      /* of the program that it has to be; 0: of this hold nobody knows, and any is believed */
        const uint32_t *progs; /* of all holds: each may be asked before the others */
        size_t n_progs;
};

/* Reads which interfaces there are and what the hold has on each. Never fails. */
void uplinks_read(const struct uplinks_of *of, struct uplinks *ret);
/* Attaches prog, whose id is of->prog_id, wherever it is not, and first. is_new: what is in its place is the set's from
 * before. The same reading afterwards. */
void uplinks_cover(const struct uplinks_of *of, int prog, bool is_new, struct uplinks *ret);
/* The same where there is nothing, in our own namespace alone: an interface that leads out of the host appears there,
 * and a walk through all processes for the others takes long. */
void uplinks_cover_home(const struct uplinks_of *of, int prog, struct uplinks *ret);
/* Takes off what has no pin. 0, or -EBUSY when something is left. */
int uplinks_drop(const struct command_id *hold) _warn_unused_;
void uplinks_done(struct uplinks *u);

/* Attaches a program that does nothing to the loopback, and takes it off again. 0, -errno where the kernel refuses. */
int uplinks_try_tcx(void) _warn_unused_;
int uplinks_try_clsact(void) _warn_unused_;
