/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Netlink attributes as JSON, by tables of what they are called and how they are written. No attribute is left out: an
 * attribute that no table knows, or that is not as long as its table says, is written as "attr_NUMBER" in hex; one that
 * comes twice is an array. Pure: no I/O, no clock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

enum attrs_type {
        ATTRS_HEX,
        ATTRS_U8,
        ATTRS_U16,
        ATTRS_U32,
        ATTRS_U64,
        ATTRS_BE16,
        ATTRS_BE32,
        ATTRS_BE64,
        ATTRS_TEXT,    /* up to its NUL, where it has one */
        ATTRS_UNIX,    /* the name of a socket: one that begins with a NUL is called "abstract", without it */
        ATTRS_ADDRESS, /* 4 bytes IPv4, 16 bytes IPv6, 6 bytes Ethernet */
        ATTRS_NEST,    /* by the table in nest */
        ATTRS_STRUCT,  /* by fields */
        ATTRS_LIST,    /* the numbers of its members say nothing: each by the table in nest */
};

/* A number within a fixed header or structure. */
struct attrs_field {
        const char *name; /* NULL ends the table */
        uint16_t offset;
        uint8_t type; /* a number, ATTRS_HEX or ATTRS_ADDRESS */
        uint8_t size; /* of the latter two */
};

struct attrs {
        uint16_t id;
        uint8_t type;
        const char *name; /* NULL ends the table */
        const struct attrs *nest;
        const struct attrs_field *fields;
};

/* Lines of such tables, which { 0 } ends. */
#define FIELD(type, member, name, as) \
        { name, offsetof(struct type, member), ATTRS_##as, 0 }
#define ATTR(id, name, as) \
        { id, ATTRS_##as, name, NULL, NULL }
#define NEST(id, name, table) \
        { id, ATTRS_NEST, name, table, NULL }
#define LIST(id, name, table) \
        { id, ATTRS_LIST, name, table, NULL }

/* The attributes in n bytes, into an object. Bytes that are no attribute end it, as "rest" in hex. -ENOMEM. */
int attrs_decode(json_t *object, const void *bytes, size_t n, const struct attrs *table) _warn_unused_;
/* The fields that lie within n bytes; a kernel that is older has fewer. -ENOMEM. */
int attrs_fields(json_t *object, const void *bytes, size_t n, const struct attrs_field *table) _warn_unused_;
