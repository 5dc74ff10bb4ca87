/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/tables.h"

#include <fcntl.h>
#include <string.h>

#include <linux/capability.h>

#include "agent/collect/netconf.h"
#include "agent/collect/programs.h"
#include "agent/collect/sockdiag.h"
#include "agent/collect/source.h"

/* Sockets first: they are what changes fastest. */
static void read_netns(struct reader_out *o, const void *userdata) {
        const char *name = userdata;

        if (sockdiag_copy(o, name))
                (void) netconf_copy(o, name);
}

static void read_programs(struct reader_out *o, const void *userdata) {
        const struct target_set *t = userdata;

        programs_copy(o, t);
}

static const unsigned of_netns[] = { CAP_NET_ADMIN };
/* Which programs act on a cgroup is told, up to Linux 6.8, to CAP_NET_ADMIN only. */
static const unsigned of_programs[] = { CAP_SYS_ADMIN, CAP_NET_ADMIN };

static int start_programs(const struct target_set *t, struct reader *ret) {
        int keep[COLLECT_TARGETS_MAX];
        struct reader_job job = { .capabilities = of_programs,
                                  .n_capabilities = ELEMENTSOF(of_programs),
                                  .netns = -1,
                                  .fn = read_programs,
                                  .userdata = t,
                                  .keep = keep };

        for (size_t i = 0; i < t->n_targets; i++)
                if (t->targets[i].dir >= 0)
                        keep[job.n_keep++] = t->targets[i].dir;
        return reader_start(&job, ret);
}

/* Asking the kernel for a table may have it load the module that knows it: kept before the first question and after the
 * last, so that what is there because of us is told from what was. */
static void copy_modules(struct store *s, const char *kind) {
        const struct index_item item = { .kind = kind, .source = "/proc/modules" };

        source_copy(s, &item, AT_FDCWD, "/proc/modules", SOURCE_OPTIONAL);
}

/* Where nobody may enter a namespace, what is told of our own is told all the same. */
static int to_enter(const struct netns *n) {
        char own[NETNS_NAME];

        return source_link(AT_FDCWD, "/proc/self/ns/net", own, sizeof(own)) > 0 && strcmp(own, n->name) == 0 ? -1
                                                                                                             : n->fd;
}

struct tables *tables_start(const struct target_set *t, struct store *s) {
        struct tables *y = calloc(1, sizeof(*y));

        if (!y)
                return NULL;
        copy_modules(s, "modules");
        netns_find(&y->netns, t, s);
        for (size_t i = 0; i < y->netns.n; i++) {
                const struct reader_job job = { .capabilities = of_netns,
                                                .n_capabilities = ELEMENTSOF(of_netns),
                                                .netns = to_enter(&y->netns.v[i]),
                                                .fn = read_netns,
                                                .userdata = y->netns.v[i].name };

                y->readers[i] = (struct reader) READER_NULL;
                y->errors[i] = reader_start(&job, &y->readers[i]);
        }
        y->programs = (struct reader) READER_NULL;
        y->programs_err = start_programs(t, &y->programs);
        return y;
}

static void collect(struct tables *t, struct reader *r, int err, struct store *s, const struct index_item *item) {
        if (err < 0)
                store_hole(s, item, err, -1);
        else if (reader_collect(r, s, item, t->late ? READER_LATE_MS : READER_SILENCE_MS) == -ETIME)
                t->late = true;
}

void tables_collect_netns(struct tables *t, struct store *s) {
        for (size_t i = 0; t && i < t->netns.n; i++) {
                const struct netns *n = &t->netns.v[i];
                const struct index_item item = {
                        .kind = "tables", .source = n->name, .pid = n->pid, .not_frozen = !n->frozen
                };

                collect(t, &t->readers[i], t->errors[i], s, &item);
        }
}

void tables_miss(const struct tables *t, struct store *s, const char *netns) {
        const struct index_item item = { .kind = "tables", .source = netns };

        if (!t || !netns_has(&t->netns, netns))
                store_hole(s, &item, -EPERM, -1);
}

void tables_collect_programs(struct tables *t, struct store *s) {
        const struct index_item item = { .kind = "bpf", .source = "bpf" };

        if (!t)
                store_hole(s, &item, -ENOMEM, -1);
        else
                collect(t, &t->programs, t->programs_err, s, &item);
        copy_modules(s, "modules-after");
}

void tables_free(struct tables *t) {
        for (size_t i = 0; t && i < t->netns.n; i++)
                reader_done(&t->readers[i]);
        if (t) {
                reader_done(&t->programs);
                netns_done(&t->netns);
        }
        free(t);
}

void tables_freep(struct tables **t) {
        tables_free(*t);
}
