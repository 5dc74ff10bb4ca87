/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/natsconfig.h"
#include "ctl/text.h"
#include "policy/schema.h"
#include "policy/subject.h"

#define WORD_SIZE 160U

static const char *const roles[_NATSCONFIG_ROLE_MAX] = {
#define X(name, word) [NATSCONFIG_##name] = word,
        NATSCONFIG_ROLE_TABLE(X)
#undef X
};

void natsconfig_done(struct natsconfig *c) {
        free(c->v);
        *c = NATSCONFIG_NULL;
}

bool natsconfig_has(const struct natsconfig *c, const struct inventory_host *h) {
        for (size_t i = 0; i < c->n; i++)
                if (c->v[i].host == h)
                        return true;
        return false;
}

static int find_host(const struct inventory *i, const char *name, struct natsconfig_user *u, const char *where,
                     struct why *w) {
        uint8_t id[32];

        if (sshkey_id_from_str(name, id) >= 0)
                u->host = inventory_by_id(i, id);
        else
                for (size_t k = 0; k < i->n; k++) {
                        if (strcmp(i->v[k].host.name, name) != 0)
                                continue;
                        if (u->host)
                                return why_set(w, CTL_USAGE,
                                               "%s: two hosts of the inventory are called \"%s\": say which by its "
                                               "fingerprint",
                                               where, CLEAN(name));
                        u->host = &i->v[k];
                }
        if (!u->host)
                return why_set(w, CTL_USAGE, "%s: the inventory has no host \"%s\"", where, CLEAN(name));
        memcpy(u->name, u->host->host.name, sizeof(u->name));
        return 0;
}

static int read_user(const struct inventory *i, const char *name, struct natsconfig_user *u, const char *where,
                     struct why *w) {
        for (enum natsconfig_role role = NATSCONFIG_HOST + 1; role < _NATSCONFIG_ROLE_MAX; role++) {
                const size_t n = strlen(roles[role]);
                if (strncmp(name, roles[role], n) != 0 || name[n] != '=')
                        continue;
                u->role = role;
                if (!schema_is_name(name + n + 1, sizeof(u->name)))
                        return why_set(w, CTL_USAGE, "%s: \"%s\" is no name", where, CLEAN(name + n + 1));
                (void) snprintf(u->name, sizeof(u->name), "%s", name + n + 1);
                return 0;
        }
        u->role = NATSCONFIG_HOST;
        return find_host(i, name, u, where, w);
}

/* One line, without its newline. 0 also for one that says nothing. */
static int read_line(struct natsconfig *c, const struct inventory *i, const char *text, size_t n, size_t line,
                     const char *where, struct why *w) {
        struct natsconfig_user u = { .line = line }, *v;
        char copy[2 * WORD_SIZE], name[WORD_SIZE], nkey[WORD_SIZE], more;

        if (n >= sizeof(copy) || memchr(text, '\0', n))
                return why_set(w, CTL_USAGE, "%s: not NAME NKEY", where);
        (void) snprintf(copy, sizeof(copy), "%.*s", (int) n, text);
        copy[strcspn(copy, "#")] = '\0';
        if (copy[strspn(copy, " \t\r")] == '\0')
                return 0;
        if (sscanf(copy, "%159s %159s %c", name, nkey, &more) != 2)
                return why_set(w, CTL_USAGE, "%s: not NAME NKEY", where);
        if (!nkey_is_public(nkey))
                return why_set(w, CTL_USAGE,
                               "%s: \"%s\" is not the public nkey of a user: U and 55 characters, as `freezectl fleet "
                               "nkey` prints it",
                               where, nkey[0] == 'S' ? "S..." : CLEAN(nkey));
        int x = read_user(i, name, &u, where, w);
        if (x != 0)
                return x;
        memcpy(u.nkey, nkey, sizeof(u.nkey));
        v = (c->n & (c->n - 1)) == 0 ? reallocarray(c->v, c->n ? 2 * c->n : 1, sizeof(*v)) : c->v;
        if (!v)
                return why_errno(w, -ENOMEM, "nkeys");
        c->v = v;
        c->v[c->n++] = u;
        return 0;
}

static int by_nkey(const void *x, const void *y) {
        const struct natsconfig_user *const *a = x, *const *b = y;

        return strcmp((*a)->nkey, (*b)->nkey);
}

static int by_host(const void *x, const void *y) {
        const struct natsconfig_user *const *a = x, *const *b = y;

        return ((*a)->host > (*b)->host) - ((*a)->host < (*b)->host);
}

/* A host that says that it is another one is seen here, when that one has said so too. */
static int find_twins(const struct natsconfig *c, const char *file, struct why *w) {
        _cleanup_free_ const struct natsconfig_user **v = calloc(MAX(c->n, (size_t) 1), sizeof(*v));

        if (!v)
                return why_errno(w, -ENOMEM, "nkeys");
        for (size_t i = 0; i < c->n; i++)
                v[i] = &c->v[i];
        if (c->n > 0)
                qsort(v, c->n, sizeof(*v), by_nkey);
        for (size_t i = 1; i < c->n; i++)
                if (strcmp(v[i - 1]->nkey, v[i]->nkey) == 0)
                        return why_set(w, CTL_USAGE, "%s: lines %zu and %zu have the same nkey", file, v[i - 1]->line,
                                       v[i]->line);
        if (c->n > 0)
                qsort(v, c->n, sizeof(*v), by_host);
        for (size_t i = 1; i < c->n; i++)
                if (v[i]->host && v[i - 1]->host == v[i]->host)
                        return why_set(w, CTL_USAGE, "%s: lines %zu and %zu are both for %s", file, v[i - 1]->line,
                                       v[i]->line, v[i]->name);
        return 0;
}

int natsconfig_parse(const char *file, const char *text, size_t n, const struct inventory *i, struct natsconfig *ret,
                     struct why *w) {
        _cleanup_(natsconfig_done) struct natsconfig c = NATSCONFIG_NULL;
        char where[TEXT_CLEAN_MAX + 32];
        size_t line = 0;
        int x = 0;

        for (const char *p = text, *end = text + n, *eol; x == 0 && p < end; p = eol + 1) {
                eol = memchr(p, '\n', (size_t) (end - p));
                if (!eol)
                        eol = end;
                (void) snprintf(where, sizeof(where), "%s, line %zu", CLEAN(file), ++line);
                x = read_line(&c, i, p, (size_t) (eol - p), line, where, w);
        }
        if (x == 0)
                x = find_twins(&c, CLEAN(file), w);
        if (x == 0) {
                *ret = c;
                c = NATSCONFIG_NULL;
        }
        return x;
}

/* A list of subjects in quotes; none of them holds what would have to be escaped. */
struct list {
        FILE *f;
        const char *separator;
};

static void begin(struct list *l, FILE *f, const char *what) {
        fprintf(f, "      %s: { allow: [", what);
        *l = (struct list) { f, "" };
}

static void item(struct list *l, const char *prefix, const char *subject) {
        fprintf(l->f, "%s\n        \"%s%s\"", l->separator, prefix, subject);
        l->separator = ",";
}

static void end(const struct list *l) {
        fputs("\n      ] }\n", l->f);
}

/* Where orders come to a host: to all, to each of its groups, to itself. */
static void orders(struct list *l, const char *prefix, const char *fleet, const struct inventory_host *h) {
        struct subject s = { .kind = SUBJECT_CMD_ALL };
        char text[SUBJECT_SIZE];
        const char *g = h->groups;

        (void) snprintf(s.fleet, sizeof(s.fleet), "%s", fleet);
        if (subject_pattern(&s, text) == 0)
                item(l, prefix, text);
        s.kind = SUBJECT_CMD_GROUP;
        for (size_t i = 0; i < h->n_groups; i++, g += strlen(g) + 1) {
                (void) snprintf(s.group, sizeof(s.group), "%s", g);
                if (subject_pattern(&s, text) == 0)
                        item(l, prefix, text);
        }
        s.group[0] = '\0';
        s.kind = SUBJECT_CMD_HOST;
        memcpy(s.host, h->host.key.id, sizeof(s.host));
        if (subject_pattern(&s, text) == 0)
                item(l, prefix, text);
}

/* frz.v1.FLEET., and DIRECT.GET of its stream. */
struct names {
        char prefix[SUBJECT_SIZE], get[2 * SUBJECT_SIZE], streams[2][SUBJECT_SIZE];
        const char *fleet;
};

static void write_host(const struct natsconfig_user *u, const struct names *n, FILE *f) {
        char token[SUBJECT_HOST_SIZE], text[3 * SUBJECT_SIZE];
        struct list l;

        subject_host(u->host->host.key.id, token);
        begin(&l, f, "subscribe");
        orders(&l, "", n->fleet, u->host);
        item(&l, n->prefix, "head");
        item(&l, n->prefix, "trust.*");
        item(&l, n->prefix, "ask.all");
        (void) snprintf(text, sizeof(text), "ask.host.%s", token);
        item(&l, n->prefix, text);
        subject_inbox(u->host->host.key.id, text);
        item(&l, "", text);
        end(&l);
        begin(&l, f, "publish");
        (void) snprintf(text, sizeof(text), "rsp.%s.*", token);
        item(&l, n->prefix, text);
        item(&l, "", n->get);
        (void) snprintf(text, sizeof(text), "%s.", n->get);
        orders(&l, text, n->fleet, u->host);
        end(&l);
}

static void write_operator(const struct names *n, FILE *f) {
        static const char *const said[] = { "cmd.>", "ask.>", "trust.*", "sign.*" };
        static const char *const calls[] = { "INFO", "CREATE", "UPDATE" };
        char text[2 * SUBJECT_SIZE];
        struct list l;

        begin(&l, f, "subscribe");
        item(&l, n->prefix, ">");
        item(&l, "", "_INBOX.>");
        end(&l);
        begin(&l, f, "publish");
        for (size_t i = 0; i < ELEMENTSOF(said); i++)
                item(&l, n->prefix, said[i]);
        item(&l, "", n->get);
        item(&l, n->get, ".>");
        for (size_t i = 0; i < 2 * ELEMENTSOF(calls); i++) {
                (void) snprintf(text, sizeof(text), "$JS.API.STREAM.%s.%s", calls[i / 2], n->streams[i % 2]);
                item(&l, "", text);
        }
        end(&l);
}

static void write_herald(const struct names *n, FILE *f) {
        char text[4 * SUBJECT_SIZE];
        struct list l;

        begin(&l, f, "subscribe");
        item(&l, "", "_INBOX.>");
        end(&l);
        begin(&l, f, "publish");
        item(&l, n->prefix, "head");
        item(&l, "", n->get);
        (void) snprintf(text, sizeof(text), "%s.%shead", n->get, n->prefix);
        item(&l, "", text);
        end(&l);
}

static void write_automation(const struct names *n, FILE *f) {
        struct list l;

        begin(&l, f, "subscribe");
        item(&l, n->prefix, "rsp.>");
        end(&l);
        begin(&l, f, "publish");
        item(&l, n->prefix, "cmd.>");
        end(&l);
}

static void write_permissions(const struct natsconfig_user *u, const struct names *n, FILE *f) {
        switch (u->role) {
        case NATSCONFIG_HOST:
                write_host(u, n, f);
                break;
        case NATSCONFIG_OPERATOR:
                write_operator(n, f);
                break;
        case NATSCONFIG_HERALD:
                write_herald(n, f);
                break;
        case NATSCONFIG_AUTOMATION:
                write_automation(n, f);
                break;
        case _NATSCONFIG_ROLE_MAX:
                break;
        }
}

static int name(const char *fleet, struct names *ret) {
        struct subject s = { .kind = SUBJECT_HEAD };
        int r;

        if (strlen(fleet) >= sizeof(s.fleet))
                return -EINVAL;
        (void) snprintf(s.fleet, sizeof(s.fleet), "%s", fleet);
        ret->fleet = fleet;
        r = subject_build(&s, ret->prefix);
        if (r == 0)
                r = subject_stream("CMD", fleet, ret->streams[0]);
        if (r == 0)
                r = subject_stream("RSP", fleet, ret->streams[1]);
        if (r < 0)
                return r;
        *(strrchr(ret->prefix, '.') + 1) = '\0';
        (void) snprintf(ret->get, sizeof(ret->get), "$JS.API.DIRECT.GET.%s", ret->streams[0]);
        return 0;
}

int natsconfig_write(const struct natsconfig *c, const char *fleet, FILE *f) {
        struct names n;

        if (name(fleet, &n) < 0)
                return -EINVAL;
        fprintf(f,
                "# made by: freezectl fleet nats-config, for the fleet %s\n"
                "# Never allow_responses: a host could publish wherever a question says. DIRECT.GET of the whole "
                "stream is "
                "how a host\n"
                "# catches up; it can read others' orders by that, which are signed and no secret.\n"
                "authorization {\n  users = [\n",
                fleet);
        for (size_t i = 0; i < c->n; i++) {
                const struct natsconfig_user *u = &c->v[i];
                fprintf(f, "    # %s %s\n    { nkey: \"%s\", permissions: {\n", roles[u->role], u->name, u->nkey);
                write_permissions(u, &n, f);
                fputs("    } }\n", f);
        }
        fputs("  ]\n}\n", f);
        return 0;
}
