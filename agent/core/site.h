/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a hold takes place: one target, and the cgroup that it meant when it was ordered. The list of every active
 * hold's sites is part of what the ledger rebuilds. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/core/paths.h"
#include "policy/cleanup.h"
#include "policy/command.h"

/* Which of all processes that ever had a number. */
struct birth {
        uint64_t ticks; /* since the boot, as /proc/PID/stat has it; 0: none */
        uint8_t boot[16];
};

struct site {
        struct target target;
        enum reason missing;  /* NONE, or why there is no cgroup to hold: NO_TARGET, AMBIGUOUS, NOT_RUNNING, PROTECTED,
                                 NO_CGROUP2 */
        char *path;           /* unified path, owned; of one that is missing, where it was; NULL: nowhere yet */
        uint64_t cgroup_id;   /* 0: there is none */
        int fd;               /* its directory, owned; -EBADF when it could not be opened or is gone */
        struct birth born;    /* of a PID that was there when it was ordered; else zero */
        bool was_frozen;      /* by someone else, before any hold of ours: a release gives it back frozen. Of a PID: the
                                 cgroup that it is taken out of */
        bool only_freeze;     /* of a hold on the whole host: one of those that are frozen, not isolated by itself */
        struct paths several; /* what it could mean, when that is AMBIGUOUS; not recorded */
};

#define SITE_NULL ((struct site) { .fd = -EBADF })

struct sites {
        struct site *v;
        size_t n;
};

void site_done(struct site *s);
/* What is known of it without its directory being open. -ENOMEM. */
int site_copy(const struct site *s, struct site *ret) _warn_unused_;
void sites_done(struct sites *s);
/* Opens the directory of the recorded path if it still is the recorded cgroup. -ESTALE when another cgroup has taken
 * its place, -ENOENT, also for one that is missing. */
int site_open(struct site *s, const char *root) _warn_unused_;
/* True when the cgroup is one of them. */
bool sites_have(const struct sites *s, uint64_t cgroup_id);
/* Closes the directories, which are only needed while something is done about the sites: what is held may be more than
 * may be open. */
void sites_close(struct sites *s);
/* Name of the unit as its cgroup has it, whatever alias of it was ordered; of a container or a user the scope or slice
 * that it is; NULL for what is none. Borrowed. */
const char *site_unit(const struct site *s);
/* The same, and NULL for a slice: told that it is frozen or thawed, the service manager does so to each unit in it, and
 * those may be held by others. */
const char *site_freezable_unit(const struct site *s);

/* The whole host, whose cgroup is the root: it is isolated as no other is, and never frozen by itself. */
bool site_is_host(const struct site *s);
/* What the verb does to this site. */
bool site_isolates(const struct site *s, enum verb verb);
bool site_freezes(const struct site *s, enum verb verb);

/* Moves the ones that are frozen and not isolated by themselves out of the list. *ret has none then when there are
 * none. -ENOMEM. */
int sites_take_only_frozen(struct sites *s, struct sites *ret) _warn_unused_;

/* {"target","cgroup","cgroup_id","was_frozen"}, or {"target","missing"}, with "cgroup" when it was somewhere; of a PID
 * with "born" and "boot" too. New reference, NULL when out of memory. */
json_t *sites_to_json(const struct sites *s);
/* The reverse, without opening anything. -EBADMSG, -ENOMEM. */
int sites_from_json(const json_t *array, struct sites *ret) _warn_unused_;

/* The sites of all active holds. */
struct held {
        struct command_id id;
        struct sites sites;
        bool doubtful; /* a damaged ledger tells of it, and nothing of it was in force: it is not put in force */
};

struct held_list {
        struct held *v;
        size_t n;
};

void held_list_done(struct held_list *l);
/* Takes the sites over (also on failure). Replaces what the hold had. -ENOMEM. */
int held_put(struct held_list *l, const struct command_id *id, struct sites *sites) _warn_unused_;
struct sites *held_find(const struct held_list *l, const struct command_id *id);
void held_doubt(struct held_list *l, const struct command_id *id);
bool held_is_doubtful(const struct held_list *l, const struct command_id *id);
void held_remove(struct held_list *l, const struct command_id *id);
