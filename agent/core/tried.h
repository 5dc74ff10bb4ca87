/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the processes of one hold tried while they were held: a table of bounded size, filled from the records of the
 * isolation programs (isolate_abi.h) and from the ledger. Things beyond its size are counted and not named. Nothing of
 * it is trusted: a command's name is whatever it calls itself, and is kept escaped. */

#include <stdbool.h>
#include <stdint.h>

#include "bpf/isolate_abi.h"
#include "policy/cleanup.h"
#include "policy/command.h"

#define TRIED_MAX 64U
/* each byte of a command's name as \xNN, NUL */
#define TRIED_COMM_SIZE 65U

struct tried_entry {
        uint8_t addr[16]; /* remote, v4-mapped; all 0 for bind and sock_create */
        uint16_t port;    /* remote; local for bind, and for what came in */
        uint16_t proto;
        uint8_t hook, family, type;
        bool changed; /* since it was written down */
        uint32_t pid; /* of the last time; 0: unknown */
        uint64_t cgroup_id;
        uint64_t count;
        int64_t first_ms, last_ms; /* wall clock */
        char comm[TRIED_COMM_SIZE];
};

struct tried {
        struct tried_entry v[TRIED_MAX];
        size_t n;
        uint64_t others; /* times, of what had no room in v */
        uint64_t missed; /* times that no record was made of */
        bool changed;
};

/* Adds a record; wall_ms: when it was. False for one that no program of this version writes. */
bool tried_add(struct tried *t, const struct isolate_attempt *a, int64_t wall_ms);
/* {"attempts":[{"hook","proto","address","port","comm","pid","cgroup_id","count","first_ms","last_ms"}],"others",
 * "missed"}, the most recent first; changed: only entries that changed. New reference, NULL when out of memory. */
json_t *tried_to_json(const struct tried *t, bool changed);
/* Everything has been written down. */
void tried_settle(struct tried *t);
/* Takes over what was written down: each entry in place of the one that is there. -EBADMSG, and t has what came before
 * the entry that is none. */
int tried_restore(struct tried *t, const json_t *o) _warn_unused_;

/* The tables of all active holds of which something is known. */
struct tried_hold {
        struct command_id hold;
        struct tried tried;
        int64_t due_ms, pause_ms; /* CLOCK_BOOTTIME before which it is not written down again, and the pause after that
                                   */
};

struct tried_list {
        struct tried_hold **v;
        size_t n;
};

void tried_list_done(struct tried_list *l);
/* NULL when there is none. */
struct tried_hold *tried_list_find(const struct tried_list *l, const struct command_id *hold);
/* That of the hold, or a new one; NULL when out of memory. */
struct tried_hold *tried_list_put(struct tried_list *l, const struct command_id *hold);
/* It was written down then (CLOCK_BOOTTIME): not again for a minute, and each time for twice as long, up to an hour. */
void tried_hold_written(struct tried_hold *t, int64_t boot_ms);
void tried_list_remove(struct tried_list *l, size_t i);
