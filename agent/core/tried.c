/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/tried.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define WORD_SIZE 16U
/* between two records of one hold, doubled with each */
#define PAUSE_MS     60000
#define PAUSE_MS_MAX (60 * PAUSE_MS)

static const char *const hook_ids[_ISOLATE_HOOK_MAX] = {
#define X(name, id, ...) [ISOLATE_##name] = id,
        ISOLATE_HOOK_TABLE(X)
#undef X
};

static const struct {
        uint16_t number;
        const char *name;
} protocols[] = {
        { IPPROTO_ICMP, "icmp" }, { IPPROTO_TCP, "tcp" },         { IPPROTO_UDP, "udp" }, { IPPROTO_ICMPV6, "icmpv6" },
        { IPPROTO_SCTP, "sctp" }, { IPPROTO_UDPLITE, "udplite" }, { IPPROTO_RAW, "raw" }, { IPPROTO_MPTCP, "mptcp" },
};

static void proto_to_str(uint16_t proto, char ret[static WORD_SIZE]) {
        (void) snprintf(ret, WORD_SIZE, "%u", proto);
        for (size_t k = 0; k < ELEMENTSOF(protocols); k++)
                if (protocols[k].number == proto)
                        (void) snprintf(ret, WORD_SIZE, "%s", protocols[k].name);
}

static int proto_from_str(const char *s, uint16_t *ret) {
        char *end;
        unsigned long n;

        for (size_t k = 0; k < ELEMENTSOF(protocols); k++)
                if (strcmp(protocols[k].name, s) == 0) {
                        *ret = protocols[k].number;
                        return 0;
                }
        n = strtoul(s, &end, 10);
        if (end == s || *end || n > UINT16_MAX)
                return -EBADMSG;
        *ret = (uint16_t) n;
        return 0;
}

/* Injective: two that differ stay so. */
static void escape(const char comm[static 16], char ret[static TRIED_COMM_SIZE]) {
        size_t used = 0;

        for (size_t k = 0; k < 16 && comm[k]; k++) {
                const uint8_t c = (uint8_t) comm[k];

                if (c >= 0x20 && c < 0x7f && c != '\\')
                        ret[used++] = (char) c;
                else
                        used += (size_t) snprintf(ret + used, TRIED_COMM_SIZE - used, "\\x%02x", c);
        }
        ret[used] = 0;
}

static bool is_same(const struct tried_entry *a, const struct tried_entry *b) {
        return a->hook == b->hook && a->proto == b->proto && a->family == b->family && a->type == b->type &&
               a->port == b->port && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 && strcmp(a->comm, b->comm) == 0;
}

/* The entry of that thing, or a new one; NULL when there is no room. */
static struct tried_entry *entry_of(struct tried *t, const struct tried_entry *e) {
        for (size_t k = 0; k < t->n; k++)
                if (is_same(&t->v[k], e))
                        return &t->v[k];
        if (t->n == TRIED_MAX)
                return NULL;
        t->v[t->n] = *e;
        return &t->v[t->n++];
}

bool tried_add(struct tried *t, const struct isolate_attempt *a, int64_t wall_ms) {
        const bool local = a->hook == ISOLATE_INGRESS || a->hook == ISOLATE_BIND4 || a->hook == ISOLATE_BIND6;
        struct tried_entry e = {
                .port = local ? a->local_port : a->port,
                .proto = a->proto,
                .hook = a->hook,
                .family = a->family,
                .type = a->type,
                .first_ms = wall_ms,
        };
        struct tried_entry *there;

        if (a->hook >= _ISOLATE_HOOK_MAX)
                return false;
        memcpy(e.addr, a->addr, sizeof(e.addr));
        escape(a->comm, e.comm);
        t->missed += a->missed;
        t->changed = true;
        there = entry_of(t, &e);
        if (!there) {
                t->others += a->times;
                return true;
        }
        there->count += a->times;
        there->pid = a->tgid;
        there->cgroup_id = a->cgroup_id;
        there->last_ms = MAX(there->last_ms, wall_ms);
        there->changed = true;
        return true;
}

static void addr_to_str(const struct tried_entry *e, char ret[static INET6_ADDRSTRLEN]) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }, none[16];

        ret[0] = 0;
        if (memcmp(e->addr, mapped, sizeof(mapped)) == 0)
                (void) inet_ntop(AF_INET, e->addr + 12, ret, INET6_ADDRSTRLEN);
        else if (memcmp(e->addr, none, sizeof(none)) != 0)
                (void) inet_ntop(AF_INET6, e->addr, ret, INET6_ADDRSTRLEN);
}

static int addr_from_str(const char *s, uint8_t ret[static 16]) {
        memset(ret, 0, 16);
        if (!*s || inet_pton(AF_INET6, s, ret) == 1)
                return 0;
        memset(ret + 10, 0xff, 2);
        return inet_pton(AF_INET, s, ret + 12) == 1 ? 0 : -EBADMSG;
}

static json_t *entry_to_json(const struct tried_entry *e) {
        char address[INET6_ADDRSTRLEN], proto[WORD_SIZE];

        addr_to_str(e, address);
        proto_to_str(e->proto, proto);
        return json_pack("{ss ss si si ss si ss sI sI sI sI sI}", "hook", hook_ids[e->hook], "proto", proto, "family",
                         e->family, "type", e->type, "address", address, "port", e->port, "comm", e->comm, "pid",
                         (json_int_t) e->pid, "cgroup_id", (json_int_t) e->cgroup_id, "count", (json_int_t) e->count,
                         "first_ms", (json_int_t) e->first_ms, "last_ms", (json_int_t) e->last_ms);
}

static int compare_recent(const void *a, const void *b) {
        const struct tried_entry *const *x = a, *const *y = b;

        return ((*x)->last_ms < (*y)->last_ms) - ((*x)->last_ms > (*y)->last_ms);
}

json_t *tried_to_json(const struct tried *t, bool changed) {
        const struct tried_entry *order[TRIED_MAX];
        json_t *array = json_array();

        for (size_t k = 0; k < t->n; k++)
                order[k] = &t->v[k];
        if (t->n > 0)
                qsort(order, t->n, sizeof(order[0]), compare_recent);
        for (size_t k = 0; array && k < t->n; k++)
                if ((!changed || order[k]->changed) && json_array_append_new(array, entry_to_json(order[k])) < 0) {
                        json_decref(array);
                        array = NULL;
                }
        return json_pack("{so sI sI}", "attempts", array, "others", (json_int_t) t->others, "missed",
                         (json_int_t) t->missed);
}

void tried_settle(struct tried *t) {
        for (size_t k = 0; k < t->n; k++)
                t->v[k].changed = false;
        t->changed = false;
}

static bool hook_from_str(const char *s, uint8_t *ret) {
        for (uint8_t h = 0; h < _ISOLATE_HOOK_MAX; h++)
                if (strcmp(hook_ids[h], s) == 0) {
                        *ret = h;
                        return true;
                }
        return false;
}

static int entry_from_json(const json_t *o, struct tried_entry *ret) {
        const char *hook, *proto, *address, *comm;
        json_int_t pid, cgroup_id, count, first, last;
        struct tried_entry e = { 0 };
        int family, type, port;

        if (json_unpack((json_t *) o, "{ss ss si si ss si ss sI sI sI sI sI}", "hook", &hook, "proto", &proto, "family",
                        &family, "type", &type, "address", &address, "port", &port, "comm", &comm, "pid", &pid,
                        "cgroup_id", &cgroup_id, "count", &count, "first_ms", &first, "last_ms", &last) < 0 ||
            !hook_from_str(hook, &e.hook) || proto_from_str(proto, &e.proto) < 0 ||
            addr_from_str(address, e.addr) < 0 || strlen(comm) >= sizeof(e.comm))
                return -EBADMSG;
        (void) strcpy(e.comm, comm);
        e.family = (uint8_t) family;
        e.type = (uint8_t) type;
        e.port = (uint16_t) port;
        e.pid = (uint32_t) pid;
        e.cgroup_id = (uint64_t) cgroup_id;
        e.count = (uint64_t) count;
        e.first_ms = first;
        e.last_ms = last;
        *ret = e;
        return 0;
}

int tried_restore(struct tried *t, const json_t *o) {
        json_int_t others, missed;
        json_t *array, *one;
        size_t i;

        if (json_unpack((json_t *) o, "{so sI sI}", "attempts", &array, "others", &others, "missed", &missed) < 0)
                return -EBADMSG;
        t->others = (uint64_t) others;
        t->missed = (uint64_t) missed;
        json_array_foreach(array, i, one) {
                struct tried_entry e, *there;
                int r = entry_from_json(one, &e);

                if (r < 0)
                        return r;
                there = entry_of(t, &e);
                if (there)
                        *there = e;
        }
        return 0;
}

void tried_list_done(struct tried_list *l) {
        while (l->n > 0)
                tried_list_remove(l, l->n - 1);
        free(l->v);
        *l = (struct tried_list) { 0 };
}

struct tried_hold *tried_list_find(const struct tried_list *l, const struct command_id *hold) {
        for (size_t i = 0; i < l->n; i++)
                if (command_id_equal(&l->v[i]->hold, hold))
                        return l->v[i];
        return NULL;
}

struct tried_hold *tried_list_put(struct tried_list *l, const struct command_id *hold) {
        struct tried_hold *there = tried_list_find(l, hold), **more;

        if (there)
                return there;
        more = reallocarray(l->v, l->n + 1, sizeof(struct tried_hold *));
        if (!more)
                return NULL;
        l->v = more;
        there = calloc(1, sizeof(*there));
        if (!there)
                return NULL;
        there->hold = *hold;
        l->v[l->n++] = there;
        return there;
}

void tried_hold_written(struct tried_hold *t, int64_t boot_ms) {
        t->pause_ms = t->pause_ms ? MIN(2 * t->pause_ms, PAUSE_MS_MAX) : PAUSE_MS;
        t->due_ms = boot_ms + t->pause_ms;
}

void tried_list_remove(struct tried_list *l, size_t i) {
        free(l->v[i]);
        l->v[i] = l->v[--l->n];
}
