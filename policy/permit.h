/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Addresses that stay reachable from an isolated target. IPv4 is kept as its v4-mapped IPv6 form with the prefix
 * counted from 96, so that one longest-prefix map serves both. For that reason an IPv6 network that covers
 * ::ffff:0:0/96 (such as ::/0) is refused: the map would read it as all of IPv4 too. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/reason.h"

/* an IPv6 address, "/128", NUL */
#define PERMIT_STR_SIZE 50

struct permit {
        uint8_t addr[16];
        uint8_t prefix;
        uint8_t proto; /* IPPROTO_TCP, IPPROTO_UDP, or 0 for any */
        uint16_t port; /* host order; 0: any */
};

/* "10.0.0.5", "10.0.0.0/8", "fd00::/8". Host bits beyond the prefix must be zero. -EINVAL, *ret untouched. Fills addr
 * and prefix only. */
int permit_net_from_str(const char *s, struct permit *ret) _warn_unused_;
/* The reverse, always with a prefix; n of at least PERMIT_STR_SIZE always fits. IPv4 is written as IPv4. */
void permit_net_to_str(const struct permit *p, char *ret, size_t n);
/* [{"net":"10.0.0.5/32","port":443,"proto":"tcp"}]: port (1 to 65535) and proto ("tcp", "udp") may be absent, which
 * means any. Returns NONE and the array, owned by the caller and NULL when it is empty; or SCHEMA, FIELD, and INTERNAL
 * when out of memory. A NULL array stands for none. *ret untouched unless NONE. */
enum reason permits_from_json(const json_t *array, size_t max, struct permit **ret, size_t *ret_n);
/* A new reference, or NULL when out of memory. Every permit must be in range. */
json_t *permits_to_json(const struct permit *p, size_t n);
