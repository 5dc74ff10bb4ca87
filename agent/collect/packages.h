/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which packages are installed, on the host and in each root directory of the target: the databases of dpkg, apk and
 * rpm as they are, and of dpkg also which package each program and library is of, in which version, and what it was
 * when it was installed (`dpkg-md5sums`). In a container these belong to whoever is in it: they are what it says. */

#include "agent/collect/binaries.h"

/* Fills in package and version. */
void packages_collect(struct store *s, const struct roots *roots, struct binaries *b);
/* Version of the package in the text of a dpkg status file; NULL when it is not there. name is "libc6:amd64" or "sed".
 * Malloc'ed. */
char *packages_version(const char *status, size_t n, const char *name);
