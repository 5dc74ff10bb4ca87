/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How the drop-ins of fencefile.h looked when they were written or last compared. A file that looks as it did is not
 * read again: that is what makes a look at hundreds of them cheap. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

#include "policy/cleanup.h"

struct stamp {
        char *unit;
        ino_t ino;
        struct timespec ctime;
};

struct stamps {
        struct stamp *v;
        size_t n;
};

void stamps_done(struct stamps *s);
/* Without memory it is not noted, and the file is compared again each time. */
void stamps_note(struct stamps *s, const char *dir, const char *unit);
void stamps_forget(struct stamps *s, const char *unit);
/* True when the first of the directories that has the unit's file has it as it was noted. */
bool stamps_hold(const struct stamps *s, const char *const *dirs, size_t n_dirs, const char *unit);
