/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a host is, as a registrar of the fleet certifies it: its name for people, and the groups that it is of. The
 * payload of type ATTRIBUTES, with exactly these members:
 *   v       1
 *   fleet   name
 *   host    fingerprint of the host's key, "SHA256:..."
 *   key     that key, an OpenSSH line; its fingerprint is `host`
 *   name    name, at most ATTRIBUTES_NAME_MAX bytes
 *   groups  at most ATTRIBUTES_GROUPS_MAX names, no two alike; none takes the host out of all
 *   n       from 1: of two for one host the higher one counts
 *   iat     ms since 1970, for people: no clock decides which counts */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/dsse.h"
#include "policy/reason.h"
#include "policy/sshkey.h"

#define ATTRIBUTES_NAME_MAX   63U
#define ATTRIBUTES_GROUPS_MAX 32U

struct trust;

struct attributes {
        char fleet[ATTRIBUTES_NAME_MAX + 1];
        struct sshkey key; /* key.id is the host */
        char name[ATTRIBUTES_NAME_MAX + 1];
        char groups[ATTRIBUTES_GROUPS_MAX][ATTRIBUTES_NAME_MAX + 1];
        size_t n_groups;
        int64_t n, iat_ms;
};

/* The payload. Returns 0 and a reason as command_parse does; *ret is filled only with NONE. */
int attributes_parse(const uint8_t *payload, size_t n, struct attributes *ret, enum reason *ret_reason) _warn_unused_;
/* For signing; attributes_parse reads the same back. *ret is malloc'ed. -ENOMEM, or -EINVAL when it would not. */
int attributes_to_json(const struct attributes *a, char **ret) _warn_unused_;

/* Signed by a registrar of t (reasons of verify_by_role), about a host of t's fleet (FLEET), and as above. For hosts
 * and for inventories: whether it is about this host, and newer than what is in force, is for the caller to say. */
int attributes_verify(const struct trust *t, const struct dsse *d, struct attributes *ret,
                      enum reason *ret_reason) _warn_unused_;

bool attributes_is_of(const struct attributes *a, const char *group);
