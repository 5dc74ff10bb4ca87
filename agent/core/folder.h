/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The folders of evidence under STATE/evidence: INCIDENT/HOLD, and INCIDENT/HOLD.N where the same was preserved again
 * (preserve.h). They are found by looking, never remembered. */

#include <stdbool.h>
#include <dirent.h>
#include <stddef.h>

#include "policy/command.h"

#define FOLDER_DATA      "data"
#define FOLDER_STATEMENT "evidence.dsse.json"
#define FOLDER_TOMBSTONE "tombstone.dsse.json"
#define FOLDER_DELETION  "deletion.dsse.json"

struct folder {
        char path[COMMAND_INCIDENT_MAX + 1 + 32 + 1 + 4]; /* below STATE/evidence */
        struct command_id id;
        int fd; /* of the folder */
};

/* Anything but 0 ends it and is returned. The descriptor is the caller's own only during the call. */
typedef int (*folder_fn)(const struct folder *f, void *userdata);

/* Every folder whose name is one of ours, or, with an id, of that. Follows no link. A host without evidence has none.
 * 0, -errno, or what the function returned. */
int folder_each(const char *state, const struct command_id *only, folder_fn fn, void *userdata) _warn_unused_;
/* What it holds was deleted: there is a tombstone, and no data any more. */
bool folder_is_empty(const struct folder *f);
/* data/ to be read; NULL and 0: there is none. The caller closes it. */
int folder_open_data(const struct folder *f, DIR **ret) _warn_unused_;
bool folder_is_dots(const char *name);
/* The files of data/ and their sizes, added to what is there already. */
int folder_count(const struct folder *f, uint64_t *files, uint64_t *bytes) _warn_unused_;
/* SHA-256 of a file of it. -ENOENT; -EBADMSG for what is no plain file of at most COLLECT_PUBLIC_MAX. */
int folder_digest(const struct folder *f, const char *name, uint8_t ret[static 32]) _warn_unused_;
/* What there is beside data/, as in-toto lists what a statement is about. New reference, NULL when out of memory. */
json_t *folder_subjects(const struct folder *f);
