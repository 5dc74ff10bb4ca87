/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The unified cgroup hierarchy: where it is, which cgroup a path or a pid means, who is in it, and freezing it. What is
 * returned was read from the kernel by this call. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/cleanup.h"
#include "policy/command.h"

/* Path of the cgroup2 mount ("/sys/fs/cgroup", or its "unified" folder on a hybrid host). *ret is malloc'ed. -ENOENT
 * without one. */
int cgroup_root(char **ret) _warn_unused_;

/* Opens the directory of a path within the hierarchy ("/system.slice/x.service") and tells its 64-bit id, which the
 * kernel never gives to another cgroup of the same boot. -ENOENT, -errno. *ret_fd is owned by the caller. */
int cgroup_open(const char *root, const char *path, int *ret_fd, uint64_t *ret_id) _warn_unused_;
/* The unified path of a process. *ret is malloc'ed. -ESRCH. */
int cgroup_of_pid(pid_t pid, char **ret) _warn_unused_;
/* The directory of the cgroup with this id. -ENOENT. Walks the tree. *ret_fd is owned by the caller. */
int cgroup_open_id(const char *root, uint64_t id, int *ret_fd) _warn_unused_;

/* The same without a walk, and its path: for an id that the kernel has just told. -ENOENT; -EPERM where handles are
 * refused. *ret_path is malloc'ed. */
int cgroup_open_told(const char *root, uint64_t id, int *ret_fd, char **ret_path) _warn_unused_;

/* All process ids of the cgroup and its descendants. *ret is malloc'ed (NULL when there are none). -EOPNOTSUPP for a
 * threaded cgroup, which has only threads; -ELOOP for one that is nested too deep to be walked; -errno. */
int cgroup_pids(int fd, pid_t **ret, size_t *ret_n) _warn_unused_;
/* The ids of the cgroup and all its descendants, sorted; same ownership. -ELOOP, -errno. */
int cgroup_ids(int fd, uint64_t **ret, size_t *ret_n) _warn_unused_;

/* Opens the first cgroup of the subtree that has processes of its own, itself included: one with controllers for its
 * children can have none. -ENOENT. *ret_fd is owned by the caller. */
int cgroup_open_populated(int fd, int *ret_fd) _warn_unused_;
/* True when a process more, and a megabyte, fit what the cgroup may use: at the limit one page more has the service
 * killed. */
bool cgroup_has_room(int fd);
/* Calls fn with the path of every descendant cgroup, from here ("/a/b"), until it returns other than 0, which is then
 * returned. -errno. */
int cgroup_each_path(int fd, int (*fn)(const char *path, void *userdata), void *userdata) _warn_unused_;

/* Ends every process in it and below with SIGKILL, one that is frozen too (cgroup.kill, Linux 5.14). -errno. */
int cgroup_kill(int fd) _warn_unused_;

/* Freezer (kernel/cgroup/freezer.c): asked is what was written last, frozen what the kernel reports about every task.
 */
struct cgroup_freezer {
        bool asked, frozen, populated;
};

/* True when a cgroup further up is asked to be frozen: this one then stays frozen whatever is asked of it. */
bool cgroup_frozen_above(int fd);
int cgroup_freezer_read(int fd, struct cgroup_freezer *ret) _warn_unused_;
/* Asks and returns without waiting. */
int cgroup_freezer_write(int fd, bool freeze) _warn_unused_;
/* Waits until the kernel reports the wanted state, at most timeout_us. 0, or -ETIMEDOUT. Re-reads in a tight loop
 * first: notifications of cgroup.events are rate-limited to one in 10 ms, a freeze of sleeping tasks is over in 0.1 ms.
 */
int cgroup_freezer_wait(int fd, bool frozen, int64_t timeout_us) _warn_unused_;
