/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The kernel's own tables, which go on changing while every process is frozen: of each network namespace that the
 * targets use its sockets (sockdiag.h), what they are sent by (netconf.h, ruleset.h), and of the host the BPF that is
 * loaded (programs.h), beside its modules. Each table is an object of JSON lines, its source names the namespace.
 * Readers (reader.h) begin while that is still allowed; what they say is taken when the collector is in its sandbox. */

#include "agent/collect/netns.h"
#include "agent/collect/reader.h"

struct tables {
        struct netns_set netns;
        struct reader readers[NETNS_MAX];
        int errors[NETNS_MAX]; /* of a reader that could not be started */
        struct reader programs;
        int programs_err;
        bool late; /* one of them was given up */
};

/* Before the sandbox is entered and threads are started; for the processes that are in the set by then. */
struct tables *tables_start(const struct target_set *t, struct store *s);
/* The namespaces' tables. */
void tables_collect_netns(struct tables *t, struct store *s);
/* A namespace that was found only later is a hole: nobody is left who may enter it. */
void tables_miss(const struct tables *t, struct store *s, const char *netns);
/* The BPF. */
void tables_collect_programs(struct tables *t, struct store *s);
void tables_free(struct tables *t);
void tables_freep(struct tables **t);
