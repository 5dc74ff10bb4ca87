/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* To whom something is said: the member "to" of a command, and of each order that a head lists. Exactly one of
 *   {"hosts":["SHA256:...",...]}       1 to ADDRESS_HOSTS_MAX, no two alike
 *   {"group":name,"max_hosts":n}
 *   {"all":true,"max_hosts":n}         max_hosts from 1 to 2^32-1
 * the last two also with
 *   "part":{"salt":"<16 lower-case hex digits>","from":n,"below":n}    as place.h says */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/attributes.h"
#include "policy/cleanup.h"
#include "policy/place.h"
#include "policy/reason.h"
#include "policy/schema.h"

/* as many fingerprints as one payload has room for; more hosts than that are a group */
#define ADDRESS_HOSTS_MAX 512U
#define ADDRESS_GROUP_MAX 63U

enum command_to {
        COMMAND_TO_HOSTS,
        COMMAND_TO_GROUP,
        COMMAND_TO_ALL,
};

struct address {
        enum command_to to;
        uint8_t (*hosts)[32]; /* n_hosts fingerprints of host keys */
        size_t n_hosts;
        char group[ADDRESS_GROUP_MAX + 1];
        uint32_t max_hosts;     /* for GROUP and ALL */
        struct place_part part; /* for GROUP and ALL */
};

/* Frees the hosts, of an address that address_read filled. */
void address_done(struct address *a);
/* For field tables; ret is a struct address that is all zero, and owned also when the answer is not NONE. */
enum reason address_read(const json_t *v, const struct schema_field *f, void *ret);
/* New reference; NULL when out of memory. The group has to be text. What address_read would not take is written all the
 * same. */
json_t *address_to_json(const struct address *a);

/* Is it for this host? in_force: what certifies it, or NULL. FAIL-CLOSED: a host that nothing certifies is of no group.
 */
bool address_names(const struct address *a, const uint8_t host[static 32], const struct attributes *in_force);
/* How many hosts it names, or its signer promises that it reaches at most. */
uint32_t address_breadth(const struct address *a);
