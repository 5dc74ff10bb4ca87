/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The drop-in that has systemd itself keep a held unit as it is, as a file: UNIT.d/zz-freezed-hold.conf below a
 * directory that systemd reads units from. It lists the holds that want it, so that it tells by itself when it may go,
 * also when the ledger is lost; "zz" because the last of a unit's drop-ins by name has the last word.
 *
 * What is in it was tried on systemd 252, and fencefile.c says line by line what for. */

#include <sys/stat.h>

#include "policy/command.h"
#include "policy/hold.h"

#define FENCEFILE_NAME "zz-freezed-hold.conf"

struct fencefile {
        char unit[TARGET_NAME_MAX + 1];
        struct command_id holds[HOLD_ACTIVE_MAX];
        size_t n;
};

/* The whole text; *ret is malloc'ed. -ENOMEM. */
int fencefile_render(const struct fencefile *f, char **ret) _warn_unused_;
/* The holds that a text lists, whatever else is in it; unit is left as it is. */
void fencefile_parse(const char *text, struct fencefile *f);

/* The file of a unit. -ENOENT when there is none, -EUCLEAN when it is not as we write it: *ret has its holds then. */
int fencefile_read(const char *dir, const char *unit, struct fencefile *ret) _warn_unused_;
/* Durably replaces it; without holds removes it, and its directory when nothing else is in that. -errno. */
int fencefile_write(const char *dir, const struct fencefile *f) _warn_unused_;
/* What changes whenever somebody touches the file. -ENOENT, -errno. */
int fencefile_stat(const char *dir, const char *unit, struct stat *ret) _warn_unused_;
/* Calls fn for each file of ours in the directory until it returns below 0, which is then returned. A directory that
 * is not there has none. -errno. */
int fencefile_each(const char *dir, int (*fn)(const struct fencefile *f, void *userdata), void *userdata) _warn_unused_;

bool fencefile_has(const struct fencefile *f, const struct command_id *hold);
/* -ENOSPC. */
int fencefile_add(struct fencefile *f, const struct command_id *hold) _warn_unused_;
void fencefile_remove(struct fencefile *f, const struct command_id *hold);
