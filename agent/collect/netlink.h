/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One table of the kernel, asked for over netlink, as one object with a JSON line for each entry. Runs in a reader. */

#include <linux/netlink.h>

#include "agent/collect/attrs.h"
#include "agent/collect/reader.h"

struct netlink_table {
        const char *kind; /* of the object */
        int bus;          /* NETLINK_... */
        uint16_t type;    /* of the request */
        const void *request;
        size_t n_request;
        size_t n_header; /* of each answer: a fixed header before the attributes */
        const struct attrs_field *fields;
        const struct attrs *attrs;
        /* Its absence is not a hole: a kernel without that protocol. */
        bool optional;
        /* Also told of each entry; may be NULL. */
        void (*seen)(const struct nlmsghdr *entry, void *userdata);
};

/* What was asked for is named in source. A dump during which the table changed is kept, and said to have changed; one
 * that ended early is a hole with the kernel's errno. False when the collector does not listen any more. */
bool netlink_copy(struct reader_out *o, const struct netlink_table *t, const char *source, void *userdata);

/* The same of n of them, of whose entries nobody else is told. */
bool netlink_copy_all(struct reader_out *o, const struct netlink_table *t, size_t n, const char *source);

#define NETLINK_REQUEST_MAX 768U

/* Writes the ith request and returns its size. */
typedef size_t (*netlink_request_fn)(size_t i, uint8_t ret[static NETLINK_REQUEST_MAX], const void *userdata);

struct netlink_parts {
        size_t n, max; /* devices, or sets; beyond max none is asked for */
        size_t each;   /* requests for each of them */
        netlink_request_fn request;
};

/* One object of what is asked for in parts: a table that the kernel tells of only by device, or by set. No object when
 * there is no entry in any, and one more that is a hole when there are more than max. What is gone when it is asked for
 * makes the object one that has changed. */
bool netlink_copy_parts(struct reader_out *o, const struct netlink_table *t, const char *source,
                        const struct netlink_parts *p, const void *userdata);
