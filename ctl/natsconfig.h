/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who may do what at a fleet's brokers: the part `authorization` of a nats-server's configuration, from the inventory
 * and a list of the nkeys that hosts, people and programs log in with. It keeps hosts from each other's mail and from
 * ordering; what an order is worth is not decided there. The list has a line for each user,
 *   NAME NKEY         a host, by its name or fingerprint in the inventory
 *   operator=NAME NKEY, herald=NAME NKEY, automation=NAME NKEY
 * blank lines and # comments. Pure but for the allocation and what it writes. */

#include <stddef.h>
#include <stdio.h>

#include "ctl/inventory.h"
#include "ctl/why.h"
#include "policy/nkey.h"

#define NATSCONFIG_FILE_MAX (16U * 1024 * 1024)

/* X(NAME, "word") */
#define NATSCONFIG_ROLE_TABLE(X)                                                       \
        X(HOST, "host")                                                                \
        X(OPERATOR, "operator")     /* orders, asks, signs, and sees to the streams */ \
        X(HERALD, "herald")         /* says heads */                                   \
        X(AUTOMATION, "automation") /* orders, and hears the answers */

enum natsconfig_role {
#define X(name, ...) NATSCONFIG_##name,
        NATSCONFIG_ROLE_TABLE(X)
#undef X
                _NATSCONFIG_ROLE_MAX,
};

struct natsconfig_user {
        enum natsconfig_role role;
        const struct inventory_host *host; /* of HOST; the inventory's */
        char name[HOSTS_NAME_MAX + 1];
        char nkey[NKEY_PUBLIC_SIZE];
        size_t line;
};

struct natsconfig {
        struct natsconfig_user *v; /* owned; by line */
        size_t n;
};

#define NATSCONFIG_NULL ((struct natsconfig) { .v = NULL })

/* A line that is none, a host that the inventory does not have, a host with two nkeys and an nkey of two users are
 * errors: guessing here would give somebody another's mail. Returns 0 or an exit code. */
int natsconfig_parse(const char *file, const char *text, size_t n, const struct inventory *i, struct natsconfig *ret,
                     struct why *w) _warn_unused_;
void natsconfig_done(struct natsconfig *c);
/* Has the host a user? */
bool natsconfig_has(const struct natsconfig *c, const struct inventory_host *h);
/* 0, or -EINVAL when the fleet's name is none. */
int natsconfig_write(const struct natsconfig *c, const char *fleet, FILE *f) _warn_unused_;
