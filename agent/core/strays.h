/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Processes that are held at one site and live in another cgroup. Who is held where is known to the kernel's own map,
 * so that it outlives the agent; see cgroup_events.h. Where there is none (NULL), nobody is known to be anywhere else.
 */

#include "agent/core/cgroup_events.h"
#include "agent/core/site.h"

/* True when the process lives in another cgroup than this and those below it. */
bool strays_is_outside(pid_t pid, const char *path);
/* True when there are such processes of this site. */
bool strays_any(struct cgroup_events *e, const struct site *s);
/* The same of many at once: sets those of ret, one for each site. */
void strays_find(struct cgroup_events *e, const struct site *v, size_t n, bool *ret);

/* Puts a process into the cgroup at path, whose directory is fd, or into one below when that one takes none. -errno. */
int strays_put_back(const char *root, const char *path, int fd, pid_t pid) _warn_unused_;
/* Makes a cgroup again that was removed after its processes had been moved out. -errno. *ret_fd is the caller's. */
int strays_make_again(const char *root, const char *path, int *ret_fd, uint64_t *ret_id) _warn_unused_;
/* Who was held there is held here from now on. */
void strays_retag(struct cgroup_events *e, uint64_t from, uint64_t to);
/* A site whose cgroup is gone while processes that were held in it live on: makes it again, and puts them in. False
 * when there are none. The site is another cgroup then, and open. */
bool strays_bring_back(struct cgroup_events *e, const char *root, struct site *s);
