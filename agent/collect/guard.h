/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading a mapped file that its owner truncates kills the reader with SIGBUS, and journald truncates and vacuums while
 * sd-journal reads. */

#include "policy/cleanup.h"

/* Runs fn. Returns what it returns, or -EFAULT when it was left because of a SIGBUS. What fn had in its hands is then
 * in an unknown state and must be given up without being touched again; locals of the caller that fn does not change
 * are safe. Not re-entrant. */
int guard_run(int (*fn)(void *userdata), void *userdata) _warn_unused_;
