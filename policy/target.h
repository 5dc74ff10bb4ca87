/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an order is about, as "class:name". A name that passed here is a unit name, a slice name, a cgroup path, a
 * container's id or name, a user, a process id or a hold id and nothing else: it cannot climb out of the cgroup
 * hierarchy, name the root, or be read as two different things. Whether it exists is for the host to find out.
 *
 *   unit:    a concrete systemd unit that has processes: .service .scope .socket .mount .swap; no template, and no
 *            slice, because the trust root may allow units and not slices
 *   slice:   a .slice by systemd's rules ("-" nests, so no "--" and no "-" at either end of the stem); "-.slice" is the
 *            root slice
 *   cgroup:  an absolute path within the unified hierarchy without "//", ".", ".." or a "/" at its end; not "/"
 *   container: what the runtime calls it: its id, the first 6 or more hex digits of one, or, where the runtime has only
 *            names, that; letters, digits, "_", ".", "+", "-", and a letter or digit first
 *   user:    a login name, as in /etc/passwd, or a uid in decimal
 *   pid:     a process id in decimal, as the host's own pid namespace counts; its descendants belong to it
 *   host     all of it; has no name and no ":"
 *   hold:    the 32 hex digits of the command that made the hold
 * Without a class, a name ending as above is a unit or a slice; it may then hold no ":", so that a class that this
 * version does not know is never taken for a unit. */

#include <stddef.h>

#include "policy/cleanup.h"
#include "policy/verb.h"

/* systemd's limit for unit names */
#define TARGET_NAME_MAX 255U
/* Linux's highest process id */
#define TARGET_PID_MAX 4194304U
/* the longest class, ":", a name, NUL */
#define TARGET_STR_SIZE (9 + 1 + TARGET_NAME_MAX + 1)

struct target {
        enum target_class cls;
        /* without the class, zero-filled to its end, so that equal targets are equal bytes; "" of the host */
        char name[TARGET_NAME_MAX + 1];
};

/* -EINVAL for anything but the forms above; *ret untouched then. */
int target_from_str(const char *s, struct target *ret) _warn_unused_;
/* True, and the uid, when a user is named by number. */
bool target_uid(const struct target *t, uint32_t *ret);
/* Writes "class:name", or "host"; n of at least TARGET_STR_SIZE always fits. */
void target_to_str(const struct target *t, char *ret, size_t n);
