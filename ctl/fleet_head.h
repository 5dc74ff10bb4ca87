/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The herald: says every few seconds what is being ordered in a fleet (policy/herald.h), as its stream has it and as
 * files of orders have it that people have sent, so that a broker that hides orders from hosts has to hide them from
 * the herald, too, and from those files it cannot. Any number of heralds may be at work at once.
 *
 * FAIL-CLOSED: who cannot read the stream says nothing: hosts are rather `stale` than sure that they hear everything
 * while nobody knows what there is to hear. */

#include <limits.h>
#include <stdint.h>

#include "ctl/active.h"
#include "ctl/carrier.h"
#include "ctl/ctl.h"
#include "ctl/sign.h"
#include "policy/herald.h"
#include "policy/trust.h"

#define FLEET_HEAD_EVERY_MS 15000
/* six heads: one that is lost makes nobody stale */
#define FLEET_HEAD_LIFE_MS 90000
/* how far ahead of the clock a number may be that is still counted on from */
#define FLEET_HEAD_AHEAD_MS (24LL * 3600 * 1000)

/* What is in no head. */
struct fleet_head_unlisted {
        size_t strays;  /* messages that nobody signed who may */
        size_t crowded; /* orders that there was no room for */
};

struct fleet_head {
        struct ctl *c;
        struct trust *trust;
        uint8_t trust_digest[32];
        char trust_trouble[WHY_TEXT_MAX]; /* why the file cannot be read that was read before; "" */
        struct broker broker;
        struct carrier *carrier; /* NULL: not connected */
        struct signers signers;  /* of who is connected */
        struct active active;
        int64_t from;                         /* the number in the stream that comes next */
        unsigned rounds;                      /* to the end of the stream, since it was read from its beginning */
        int64_t said;                         /* the number of the last head by this one */
        int64_t seen;                         /* and of the last one by another herald, 0: none */
        struct fleet_head_unlisted in_stream; /* since it was read from its beginning */
        struct fleet_head_unlisted in_files;  /* when they were read last */
        char state_path[PATH_MAX];
        int lock;
};

/* The number of a head: above all that hosts may believe, unless that is so far off that only a wrong clock or a thief
 * has counted so far. Then it is the time again: hosts forget a number with the head that had it, and who followed a
 * thief to the last number could say nothing ever again. Since it is the time, two heralds take turns without knowing
 * of each other, and one that has lost its file goes on. */
int64_t fleet_head_next(int64_t now_ms, int64_t said, int64_t seen);

/* Locks the state directory and reads how far this herald has counted. Returns 0 or an exit code. */
int fleet_head_open_state(struct fleet_head *h) _warn_unused_;
/* Says it on disk. -errno. */
int fleet_head_save_state(const struct fleet_head *h, int64_t n) _warn_unused_;

/* Hears what is new: orders, and the last head. Returns 0 or an exit code. */
int fleet_head_hear(struct fleet_head *h, int64_t now_ms) _warn_unused_;
/* Reads the stream from its beginning again, as after another connection. What was heard is not forgotten: what a
 * broker lost, or lets others displace, is still ordered. */
void fleet_head_again(struct fleet_head *h);
/* Of both, each once. */
struct fleet_head_unlisted fleet_head_unlisted(const struct fleet_head *h);
/* Begins anew, by another trust root. */
void fleet_head_forget(struct fleet_head *h);
