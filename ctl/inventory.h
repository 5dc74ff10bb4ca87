/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The hosts of a fleet, as its operators keep them: a file, one envelope of attributes (attributes.h) a line, in any
 * order; blank lines are none. It says from whom an answer is expected before anything is sent, and by which key. Each
 * line counts by its own signature, so one that is bad takes no other host with it; it is named by its number, and who
 * gives an order should see that. Of several lines about one host that with the highest serial counts; of two with the
 * same serial that are not the same bytes the second is bad (ATTRIBUTES_STALE), as it would be to the host. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/hosts.h"
#include "ctl/why.h"
#include "policy/address.h"
#include "policy/reason.h"
#include "policy/trust.h"

#define INVENTORY_FILE_NAME "inventory.jsonl"
#define INVENTORY_FILE_MAX  (128U * 1024 * 1024)

struct inventory_host {
        struct host host;
        int64_t n;
        size_t line;        /* from 1 */
        size_t from, size;  /* where the line is in what was parsed */
        uint8_t digest[32]; /* SHA-256 of the payload */
        char *groups;       /* n_groups names, a NUL after each; owned */
        size_t n_groups;
};

struct inventory_bad {
        size_t line;
        enum reason reason;
};

struct inventory {
        struct inventory_host *v; /* owned; by fingerprint, none twice */
        size_t n;
        struct inventory_bad *bad; /* owned; by line */
        size_t n_bad;
};

#define INVENTORY_NULL ((struct inventory) { 0 })

/* Reads the text, verified against t on all processors: only a registrar of it is believed. Pure but for the allocation
 * and the threads, which are gone when it returns. 0 or -ENOMEM; *ret is untouched on failure. */
int inventory_parse(const struct trust *t, const char *text, size_t n, struct inventory *ret) _warn_unused_;
/* The file, or when it is NULL the operator's, or when there is none the machine's. One that is not there, or that
 * everybody may write, is an error. Bad lines are not. Returns 0 or an exit code. */
int inventory_load(const char *file, const struct trust *t, struct inventory *ret, struct why *w) _warn_unused_;
void inventory_done(struct inventory *i);

/* Borrowed; NULL when it is not in there. */
const struct inventory_host *inventory_by_id(const struct inventory *i, const uint8_t id[static 32]);
bool inventory_is_of(const struct inventory_host *h, const char *group);

/* Who is to answer. */
struct expected {
        struct address to;               /* whole: without part; owned */
        const struct inventory_host **v; /* owned, the hosts are the inventory's; by fingerprint */
        size_t n;
};

#define EXPECTED_NULL ((struct expected) { 0 })

/* `host=NAME`, `host=FINGERPRINT`, `group=NAME` or `all`. Nobody, a name that two hosts have, and more hosts than
 * max_hosts (0: no matter how many) are an error. What the order promises is max_hosts, or when that is 0 the number of
 * those expected. Returns 0 or an exit code. */
int inventory_expect(const struct inventory *i, const char *to, uint32_t max_hosts, struct expected *ret,
                     struct why *w) _warn_unused_;
/* The same for the address of an order that was signed already, without its part. */
int inventory_expect_address(const struct inventory *i, const struct address *to, struct expected *ret,
                             struct why *w) _warn_unused_;
void expected_done(struct expected *e);
