/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the collector may still do once it starts to read what an attacker wrote. Put up in this order:
 *
 *   limit     resource limits: size of a file, CPU time, memory, descriptors, no core dump; and first to be killed when
 *             memory runs out.
 *   mounts    a mount namespace of its own in which everything is read-only; the folder is reached through a detached
 *             mount whose root it is, so ".." leads nowhere. Needs CAP_SYS_ADMIN at that moment; without it the
 *             collector goes on and says so.
 *   enter     capabilities cut to CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (without which /proc of other users says
 *             nothing) and CAP_CHECKPOINT_RESTORE (mapped files that were deleted), no new privileges, and a seccomp
 * filter: no socket, no exec, no new process, of ptrace only what reads registers, no signal, no mount, no executable
 * memory, no open for writing but an unnamed file that is given a name later. Without this nothing is read. landlock no
 * file made or changed but beneath the folder, no exec, no TCP, and both of /proc's capabilities gone. Landlock also
 *             refuses every ptrace-like look at processes outside (that is most of /proc/PID), so it comes when /proc
 *             is done: before the journal, whose binary format is the largest thing that is parsed here. A kernel
 *             without it: the collector goes on and says so. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

struct sandbox_limits {
        uint64_t max_bytes;   /* of one file */
        uint64_t cpu_seconds; /* of all its threads together; the kernel kills it then */
};

/* Aim for the collector's own memory, stack and mapped files aside. */
#define SANDBOX_DATA_MAX (64ULL * 1024 * 1024)

/* *folder is replaced by a descriptor of the same folder within the detached mount; the old one is closed. -errno, then
 * nothing changed but perhaps the mount namespace. */
int sandbox_mounts(int *folder) _warn_unused_;
/* -errno. */
int sandbox_limit(const struct sandbox_limits *limits) _warn_unused_;
/* -errno: the process must not go on. */
int sandbox_enter(void) _warn_unused_;
/* For a reader (reader.h), forked before the collector entered its own: n capabilities, no new privileges, and a filter
 * of its own: netlink is the only address family, of bpf(2) what looks, files for reading only. -errno: it must not go
 * on. */
int sandbox_enter_reader(const unsigned *capabilities, size_t n) _warn_unused_;
/* -ENOSYS and -EOPNOTSUPP: no Landlock here. Other -errno: it was refused. CAP_SYS_PTRACE and CAP_CHECKPOINT_RESTORE
 * are given up in any case. */
int sandbox_landlock(int folder) _warn_unused_;
