/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An ELF core file up to where the memory begins: what gdb, lldb and crash tools read (elf(5), "ET_CORE"). Pure.
 *
 *   ELF header | a program header for the notes and one for each run of pages | notes | padding | the runs, in order
 *
 * A run's header reaches in memory up to the next run of the same mapping, or to its end: pages that are not there are
 * not in the file, and a debugger that is asked for them says so or looks into the mapped file. */

#include <stddef.h>
#include <stdint.h>

#include "agent/collect/maps.h"
#include "agent/collect/runs.h"

/* Notes, one after the other, as they will be in the file. */
struct notes {
        uint8_t *bytes; /* owned */
        size_t n, size;
};

void notes_done(struct notes *b);
/* name is "CORE" or "LINUX"; type one of NT_*. -ENOMEM, the notes as before. */
int notes_add(struct notes *b, const char *name, uint32_t type, const void *desc, size_t n) _warn_unused_;
/* NT_FILE: which file is mapped where. -ENOMEM. */
int notes_add_files(struct notes *b, const struct mapping *maps, size_t n) _warn_unused_;

/* All before the first run, RUNS_PAGE aligned. *ret is malloc'ed. -ENOMEM. */
int elfcore_head(const struct mapping *maps, size_t n_maps, const struct runs *runs, const struct notes *notes,
                 uint8_t **ret, size_t *ret_n) _warn_unused_;
