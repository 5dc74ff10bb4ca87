/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The evidence that this host keeps, and what keeps it. A fold over the ledger, as the holds are (hold.h): the same
 * calls rebuild it at start as changed it when it happened, so that a deletion that was begun is known to be one.
 *
 *            put                       condemn                    remove
 *   (none) --------> kept, under any ----------> condemned ----------------> (none)
 *                    number of legal             its bytes may be
 *                    holds                       gone already
 *
 * A legal hold is made by an order and has that order's id. Each counts by itself: lifting one lifts no other, and what
 * is under one is neither condemned by an order nor by time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/command.h"

/* Evidence under legal holds, each pair of them counted. Beyond that another one could not be accounted for. */
#define SHELF_BONDS_MAX 65536U

/* Of these, those of what is not there: ids that somebody made up leave room for what is. */
#define SHELF_ABSENT_MAX (SHELF_BONDS_MAX / 4)

struct shelf_item {
        struct command_id id; /* of the command that it was taken for */
        bool condemned;
        struct command_id by; /* the order that condemned it; all zero: its time was over */
        int64_t sealed_ms;    /* floor of the clock when it was sealed, or when its hold ended, whichever was last
                                 (decide.h); 0: found, and never sealed */
        int64_t passed_ms;    /* what had passed in all then (hold_set_passed) */
        int64_t keep_ms;      /* from then on, what was promised; 0: until an order */
        uint64_t bytes;       /* of its sealed files */
        uint32_t holds;       /* legal holds that it is under; kept by these functions */
};

/* One legal hold of one item. */
struct shelf_bond {
        struct command_id hold, item;
        uint8_t key[32]; /* fingerprint of the key that ordered it; zeros in ledgers that did not name it */
};

/* Zeroed, it is empty. */
struct shelf {
        struct shelf_item *items; /* sorted by id */
        size_t n, size;
        struct shelf_bond *bonds;
        size_t n_bonds, bonds_size;
        struct command_id *unanswered; /* orders about evidence that have no last outcome yet */
        size_t n_unanswered;
};

/* Frees what s owns. */
void shelf_done(struct shelf *s);

/* Evidence was sealed. What was there under the same id and what comes to it are kept together, for as long as the one
 * that is kept longer. -ENOMEM. */
int shelf_put(struct shelf *s, const struct shelf_item *item) _warn_unused_;
/* What it is of was held until now: its time begins then. Nothing for what was never sealed. */
void shelf_begin(struct shelf *s, const struct command_id *item, int64_t floor_ms, int64_t passed_ms);
/* A legal hold was ordered, also of what is not there yet. -ENOSPC, -ENOMEM. */
int shelf_hold(struct shelf *s, const struct command_id *hold, const struct command_id *item,
               const uint8_t key[static 32]) _warn_unused_;
/* It was lifted. */
void shelf_lift(struct shelf *s, const struct command_id *hold);
/* It is going to be deleted: by an order, or, with NULL, because its time is over. What is not known is condemned all
 * the same: the ledger said that it is there. -ENOMEM. */
int shelf_condemn(struct shelf *s, const struct command_id *item, const struct command_id *by) _warn_unused_;
/* It is gone. */
void shelf_remove(struct shelf *s, const struct command_id *item);
/* An order about evidence was recorded, and has no outcome yet, or none that is its last. -ENOMEM. */
int shelf_expect(struct shelf *s, const struct command_id *order) _warn_unused_;
/* It has. */
void shelf_answered(struct shelf *s, const struct command_id *order);

/* Borrowed, valid until the next change; NULL when there is none. s may be NULL, which is an empty one. */
const struct shelf_item *shelf_find(const struct shelf *s, const struct command_id *item);
/* How many legal holds it is under. */
size_t shelf_count_holds(const struct shelf *s, const struct command_id *item);
/* A legal hold of something has this id. */
bool shelf_is_hold(const struct shelf *s, const struct command_id *hold);
/* How many more bonds the key may make, and of what is not there: of each it has no more than it leaves to all others,
 * for one that was stolen could name the same evidence over and over. */
size_t shelf_room(const struct shelf *s, const uint8_t key[static 32]);
size_t shelf_room_absent(const struct shelf *s, const uint8_t key[static 32]);
/* How much of its time is left, and not above 0 when it is over; INT64_MAX: it has no end, or is condemned, or under a
 * legal hold. Both the floor of the clock and the time that passed have to be beyond it: the one stays behind for all
 * the time that a host is off, and comes up in a leap. */
int64_t shelf_left(const struct shelf_item *item, int64_t floor_ms, int64_t passed_ms);
/* Of all that is there. */
uint64_t shelf_bytes(const struct shelf *s);
