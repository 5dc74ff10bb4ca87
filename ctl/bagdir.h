/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where bags of evidence are: a folder by its path, or on the host itself STATE/evidence/INCIDENT/HOLD by the hold's
 * id, the first digits of it, or the incident. */

#include <limits.h>
#include <stddef.h>

#include "ctl/option.h"
#include "ctl/why.h"

struct bagdir {
        char path[PATH_MAX];
};

/* The state directory; borrowed. */
const char *bagdir_state(const struct options *o);
/* INCIDENT/HOLD of a path that ends so. */
const char *bagdir_folder(const char *path);

/* Every bag of this host, sorted by path. *ret is malloc'ed. Returns 0 or an exit code; a host that has none gives
 * none.
 */
int bagdir_all(const struct options *o, struct bagdir **ret, size_t *ret_n, struct why *w) _warn_unused_;
/* All that the word means; *ret is malloc'ed and not empty. Returns 0 or an exit code. */
int bagdir_match(const struct options *o, const char *word, struct bagdir **ret, size_t *ret_n,
                 struct why *w) _warn_unused_;
/* The one that the word means; of a bag that was exported, the one in it. Returns 0 or an exit code. */
int bagdir_find(const struct options *o, const char *word, struct bagdir *ret, struct why *w) _warn_unused_;
