/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How container runtimes name the cgroup of a container, which is the same for all that keep to the OCI runtime
 * specification but for what their engine puts around the id. The container is all that its runtime put into that
 * cgroup: what is started in it later, by `podman exec` or a health check, is born there.
 *
 * Not part of it is what looks after it from outside, conmon or containerd's shim: it runs as the host's own root, has
 * the other end of the container's terminal and pipes, and holds none of its secrets but those. It goes on, so that the
 * engine knows what becomes of the container; what it could start in the container is born held. */

#include <stdbool.h>

#include "agent/core/find.h"

/* True for a cgroup that is by its name a container with an id of 64 hex digits. */
bool container_has_id(const char *name);
/* True for a cgroup that by its name only holds what the runtimes make, and is no container: /docker, /kubepods and a
 * pod in there. Ask for each cgroup of a path from the root on; *in_pods, false before the first, is kept from one to
 * the next. */
bool container_is_folder(const char *name, bool *in_pods);
/* Whether a cgroup of this name is the container that is wanted, by its id, by the first digits of it, or by its name.
 */
enum find_fit container_fits(const char *name, const char *wanted);
