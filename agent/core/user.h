/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who a user is, by the host's own file: neither NSS nor a directory server behind it may make an order wait. A user of
 * such a server is named by uid. */

#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/target.h"

/* The uid that a USER target means. -ENOENT when passwd, "/etc/passwd", has no such name; -errno. */
int user_uid(const char *passwd, const struct target *t, uint32_t *ret) _warn_unused_;
/* Where systemd has all of that user's sessions and own services. *ret is malloc'ed. -ENOMEM. */
int user_cgroup(uint32_t uid, char **ret) _warn_unused_;
