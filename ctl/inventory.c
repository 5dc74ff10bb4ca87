/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "ctl/file.h"
#include "ctl/inventory.h"
#include "ctl/parallel.h"
#include "ctl/text.h"

_Static_assert(ATTRIBUTES_NAME_MAX <= HOSTS_NAME_MAX, "a certified name is the name of a host");

static void done_hosts(struct inventory_host *v, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(v[i].groups);
        free(v);
}

void inventory_done(struct inventory *i) {
        done_hosts(i->v, i->n);
        free(i->bad);
        *i = INVENTORY_NULL;
}

/* Room for one more; doubles at every power of two. */
static void *grow(void *v, size_t n, size_t size) {
        return (n & (n - 1)) == 0 ? reallocarray(v, n ? 2 * n : 1, size) : v;
}

static int add_bad(struct inventory *i, size_t line, enum reason reason) {
        struct inventory_bad *v = grow(i->bad, i->n_bad, sizeof(*v));

        if (!v)
                return -ENOMEM;
        i->bad = v;
        i->bad[i->n_bad++] = (struct inventory_bad) { line, reason };
        return 0;
}

/* A line, and what it says. */
struct line {
        struct inventory_host h; /* line, from and size; with NONE the rest of it too */
        enum reason reason;
        int r;
};

/* As many lines as are verified at a time: a file that is large, or full of nothing, takes no more memory for that. */
struct block {
        const struct trust *trust;
        const char *text;
        size_t at, line; /* how far it was read */
        size_t n;
        struct line v[1024];
};

/* The next lines that have something in them. */
static void block_fill(struct block *b, size_t size) {
        b->n = 0;
        while (b->at < size && b->n < ELEMENTSOF(b->v)) {
                const char *from = b->text + b->at, *end = memchr(from, '\n', size - b->at);
                if (!end)
                        end = b->text + size;
                b->at = (size_t) (end - b->text) + 1;
                b->line++;
                while (from < end && strchr(" \t\r", *from) && *from != '\0')
                        from++;
                if (from < end)
                        b->v[b->n++] = (struct line) { .h = { .line = b->line,
                                                              .from = (size_t) (from - b->text),
                                                              .size = (size_t) (end - from) } };
        }
}

/* Attributes have room for the most groups there can be; a hundred thousand hosts should not. */
static int take_attributes(struct inventory_host *h, const struct attributes *a) {
        size_t size = 1;

        h->host.key = a->key;
        h->n = a->n;
        h->n_groups = a->n_groups;
        for (size_t g = 0; g < a->n_groups; g++)
                size += strlen(a->groups[g]) + 1;
        h->groups = calloc(1, size);
        if (!h->groups)
                return -ENOMEM;
        for (size_t g = 0, at = 0; g < a->n_groups; g++, at += strlen(h->groups + at) + 1)
                strcpy(h->groups + at, a->groups[g]);
        (void) snprintf(h->host.name, sizeof(h->host.name), "%s", a->name);
        return 0;
}

/* One of several at a time. */
static void verify_line(void *arg, size_t i) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        struct block *b = arg;
        struct line *l = &b->v[i];
        struct attributes a;

        l->r = dsse_parse(b->text + l->h.from, l->h.size, &d, &l->reason);
        if (l->r == 0 && l->reason == REASON_NONE)
                l->r = attributes_verify(b->trust, &d, &a, &l->reason);
        if (l->r < 0 || l->reason != REASON_NONE)
                return;
        (void) crypto_hash_sha256(l->h.digest, d.payload, d.n_payload);
        l->r = take_attributes(&l->h, &a);
}

static int add_host(struct inventory *i, struct inventory_host *h) {
        struct inventory_host *v = grow(i->v, i->n, sizeof(*v));

        if (!v)
                return -ENOMEM;
        i->v = v;
        i->v[i->n++] = *h;
        h->groups = NULL;
        return 0;
}

/* The hosts that count, in the order of their lines; what is bad is named. */
static int block_take(struct block *b, struct inventory *i) {
        int r = 0;

        for (size_t k = 0; k < b->n; k++) {
                struct line *l = &b->v[k];
                if (r == 0)
                        r = l->r;
                if (r == 0)
                        r = l->reason == REASON_NONE ? add_host(i, &l->h) : add_bad(i, l->h.line, l->reason);
                free(l->h.groups);
        }
        return r;
}

/* By host; of one host the line that counts first. */
static int compare_hosts(const void *x, const void *y) {
        const struct inventory_host *a = x, *b = y;
        int by_id = memcmp(a->host.key.id, b->host.key.id, sizeof(a->host.key.id));

        if (by_id != 0)
                return by_id;
        if (a->n != b->n)
                return a->n > b->n ? -1 : 1;
        return a->line < b->line ? -1 : 1;
}

static int compare_bad(const void *x, const void *y) {
        const struct inventory_bad *a = x, *b = y;

        return (a->line > b->line) - (a->line < b->line);
}

/* Leaves each host once. */
static int settle(struct inventory *i) {
        size_t kept = 0;
        int r = 0;

        if (i->n > 0)
                qsort(i->v, i->n, sizeof(*i->v), compare_hosts);
        for (size_t k = 0; k < i->n; k++) {
                struct inventory_host *h = &i->v[k], *last = kept > 0 ? &i->v[kept - 1] : NULL;
                if (!last || memcmp(last->host.key.id, h->host.key.id, sizeof(h->host.key.id)) != 0) {
                        i->v[kept++] = *h;
                        continue;
                }
                if (r == 0 && last->n == h->n && memcmp(last->digest, h->digest, sizeof(h->digest)) != 0)
                        r = add_bad(i, h->line, REASON_ATTRIBUTES_STALE);
                free(h->groups);
        }
        i->n = kept;
        if (i->n_bad > 0)
                qsort(i->bad, i->n_bad, sizeof(*i->bad), compare_bad);
        return r;
}

int inventory_parse(const struct trust *t, const char *text, size_t n, struct inventory *ret) {
        _cleanup_free_ struct block *b = calloc(1, sizeof(*b));
        struct inventory i = INVENTORY_NULL;
        int r = 0;

        if (!b)
                return -ENOMEM;
        b->trust = t;
        b->text = text;
        while (r == 0 && b->at < n) {
                block_fill(b, n);
                parallel_for(b->n, verify_line, b);
                r = block_take(b, &i);
        }
        if (r == 0)
                r = settle(&i);
        if (r < 0) {
                inventory_done(&i);
                return r;
        }
        *ret = i;
        return 0;
}

/* -ENOENT is passed on as it is. */
static int read_text(const char *file, char **ret, size_t *ret_n, struct why *w) {
        mode_t mode;
        int r = file_read(file, INVENTORY_FILE_MAX, ret, ret_n, &mode);

        if (r == -ENOENT)
                return r;
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(file));
        /* FAIL-CLOSED: nobody can forge a line, but who takes one out hides a host */
        if (mode & S_IWOTH)
                return why_set(w, CTL_MACHINE,
                               "%s: everybody may write this file: chmod o-w it and check what is in it", CLEAN(file));
        return 0;
}

int inventory_load(const char *file, const struct trust *t, struct inventory *ret, struct why *w) {
        _cleanup_free_ char *text = NULL;
        char own[PATH_MAX];
        size_t n = 0;
        int x = -ENOENT;

        if (file)
                x = read_text(file, &text, &n, w);
        else if (file_in_own_config(INVENTORY_FILE_NAME, own))
                x = read_text(own, &text, &n, w);
        if (x == -ENOENT && !file)
                x = read_text(FILE_CONFIG_DIR "/" INVENTORY_FILE_NAME, &text, &n, w);
        if (x == -ENOENT)
                return why_set(w, CTL_MACHINE,
                               "%s is not there: it has one line of `freezectl fleet certify` for each host",
                               file ? CLEAN(file) : FILE_CONFIG_DIR "/" INVENTORY_FILE_NAME);
        if (x != 0)
                return x;
        int r = inventory_parse(t, text, n, ret);
        return r < 0 ? why_errno(w, r, "inventory") : 0;
}

static int compare_id(const void *id, const void *host) {
        const struct inventory_host *h = host;

        return memcmp(id, h->host.key.id, sizeof(h->host.key.id));
}

const struct inventory_host *inventory_by_id(const struct inventory *i, const uint8_t id[static 32]) {
        return i->n > 0 ? bsearch(id, i->v, i->n, sizeof(*i->v), compare_id) : NULL;
}

bool inventory_is_of(const struct inventory_host *h, const char *group) {
        const char *p = h->groups;

        for (size_t i = 0; i < h->n_groups; i++, p += strlen(p) + 1)
                if (strcmp(p, group) == 0)
                        return true;
        return false;
}

void expected_done(struct expected *e) {
        address_done(&e->to);
        free(e->v);
        *e = EXPECTED_NULL;
}

static int expect_host(const struct inventory *i, const char *name, struct expected *e, struct why *w) {
        uint8_t id[32];

        e->to.to = COMMAND_TO_HOSTS;
        if (sshkey_id_from_str(name, id) >= 0) {
                const struct inventory_host *h = inventory_by_id(i, id);
                if (h)
                        e->v[e->n++] = h;
        } else
                for (size_t k = 0; k < i->n; k++)
                        if (strcmp(i->v[k].host.name, name) == 0)
                                e->v[e->n++] = &i->v[k];
        if (e->n == 0)
                return why_set(w, CTL_USAGE, "no host of the inventory is \"%s\"", CLEAN(name));
        if (e->n > 1)
                return why_set(w, CTL_USAGE,
                               "%zu hosts of the inventory are called \"%s\" (lines %zu and %zu): say which by its "
                               "fingerprint",
                               e->n, CLEAN(name), e->v[0]->line, e->v[1]->line);
        e->to.hosts = memdup_array(e->v[0]->host.key.id, 1, sizeof(*e->to.hosts));
        if (!e->to.hosts)
                return why_errno(w, -ENOMEM, "inventory");
        e->to.n_hosts = 1;
        return 0;
}

static int expect_many(const struct inventory *i, const char *group, struct expected *e, struct why *w) {
        e->to.to = group ? COMMAND_TO_GROUP : COMMAND_TO_ALL;
        if (group && !schema_is_name(group, sizeof(e->to.group)))
                return why_set(w, CTL_USAGE, "\"%s\" is no name of a group", CLEAN(group));
        if (group)
                (void) snprintf(e->to.group, sizeof(e->to.group), "%s", group);
        for (size_t k = 0; k < i->n; k++)
                if (!group || inventory_is_of(&i->v[k], group))
                        e->v[e->n++] = &i->v[k];
        if (e->n == 0 && group)
                return why_set(w, CTL_USAGE, "no host of the inventory is of the group \"%s\"", group);
        return e->n == 0 ? why_set(w, CTL_USAGE, "the inventory has no host in it that counts") : 0;
}

int inventory_expect(const struct inventory *i, const char *to, uint32_t max_hosts, struct expected *ret,
                     struct why *w) {
        static const char host[] = "host=", group[] = "group=";
        _cleanup_(expected_done) struct expected e = { .v = calloc(MAX(i->n, (size_t) 1), sizeof(*e.v)) };
        int x;

        if (!e.v)
                return why_errno(w, -ENOMEM, "inventory");
        if (strncmp(to, host, strlen(host)) == 0)
                x = expect_host(i, to + strlen(host), &e, w);
        else if (strncmp(to, group, strlen(group)) == 0)
                x = expect_many(i, to + strlen(group), &e, w);
        else if (strcmp(to, "all") == 0)
                x = expect_many(i, NULL, &e, w);
        else
                x = why_set(w, CTL_USAGE, "--to wants host=NAME, group=NAME or all, not \"%s\"", CLEAN(to));
        if (x != 0)
                return x;
        if (max_hosts > 0 && e.n > max_hosts)
                return why_set(w, CTL_REFUSED, "that is for %zu hosts, and --max-hosts is %" PRIu32, e.n, max_hosts);
        e.to.max_hosts = e.to.to == COMMAND_TO_HOSTS ? 0 : max_hosts > 0 ? max_hosts : (uint32_t) e.n;
        *ret = e;
        e = EXPECTED_NULL;
        return 0;
}

static int expect_these(const struct inventory *i, const struct address *to, struct expected *e, struct why *w) {
        char id[SSHKEY_ID_SIZE];

        e->to.to = COMMAND_TO_HOSTS;
        e->to.hosts = memdup_array(to->hosts, to->n_hosts, sizeof(*to->hosts));
        if (!e->to.hosts)
                return why_errno(w, -ENOMEM, "inventory");
        e->to.n_hosts = to->n_hosts;
        for (size_t k = 0; k < to->n_hosts; k++) {
                const struct inventory_host *h = inventory_by_id(i, to->hosts[k]);
                sshkey_id_to_str(to->hosts[k], id);
                if (!h)
                        return why_set(w, CTL_USAGE, "the order is for %s, and the inventory has no such host", id);
                e->v[e->n++] = h;
        }
        return 0;
}

int inventory_expect_address(const struct inventory *i, const struct address *to, struct expected *ret, struct why *w) {
        _cleanup_(expected_done) struct expected e = { .v = calloc(i->n + to->n_hosts + 1, sizeof(*e.v)) };

        if (!e.v)
                return why_errno(w, -ENOMEM, "inventory");
        int x = to->to == COMMAND_TO_HOSTS ? expect_these(i, to, &e, w)
                                           : expect_many(i, to->to == COMMAND_TO_GROUP ? to->group : NULL, &e, w);
        if (x != 0)
                return x;
        e.to.max_hosts = to->max_hosts;
        *ret = e;
        e = EXPECTED_NULL;
        return 0;
}
