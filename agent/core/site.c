/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/site.h"

#include <string.h>

#include <sodium.h>

#include "agent/core/cgroup.h"

void site_done(struct site *s) {
        free(s->path);
        paths_done(&s->several);
        closep(&s->fd);
        *s = SITE_NULL;
}

int site_copy(const struct site *s, struct site *ret) {
        char *path = s->path ? strdup(s->path) : NULL;

        if (s->path && !path)
                return -ENOMEM;
        *ret = *s;
        ret->path = path;
        ret->fd = -EBADF;
        ret->several = (struct paths) { 0 };
        return 0;
}

void sites_done(struct sites *s) {
        for (size_t i = 0; i < s->n; i++)
                site_done(&s->v[i]);
        free(s->v);
        *s = (struct sites) { 0 };
}

int site_open(struct site *s, const char *root) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r;

        if (s->missing != REASON_NONE || !s->path || !root)
                return -ENOENT;
        r = cgroup_open(root, s->path, &fd, &id);
        if (r < 0)
                return r;
        if (id != s->cgroup_id)
                return -ESTALE;
        closep(&s->fd);
        s->fd = TAKE_FD(fd);
        return 0;
}

bool sites_have(const struct sites *s, uint64_t cgroup_id) {
        for (size_t i = 0; i < s->n; i++)
                if (s->v[i].missing == REASON_NONE && s->v[i].cgroup_id == cgroup_id)
                        return true;
        return false;
}

void sites_close(struct sites *s) {
        for (size_t i = 0; i < s->n; i++) {
                closep(&s->v[i].fd);
                s->v[i].fd = -EBADF;
        }
}

const char *site_unit(const struct site *s) {
        const bool by_name = s->target.cls == TARGET_UNIT || s->target.cls == TARGET_SLICE;
        const char *last = s->path ? strrchr(s->path, '/') : NULL, *dot;

        if (!last || !last[1])
                return by_name ? s->target.name : NULL;
        /* what an alias is an alias of; systemd puts a "_" before a name that looks like a file of the kernel's */
        last += last[1] == '_' ? 2 : 1;
        if (by_name)
                return last;
        dot = strrchr(last, '.');
        return (s->target.cls == TARGET_CONTAINER || s->target.cls == TARGET_USER) && dot &&
                               (strcmp(dot, ".scope") == 0 || strcmp(dot, ".slice") == 0)
                       ? last
                       : NULL;
}

const char *site_freezable_unit(const struct site *s) {
        return s->target.cls == TARGET_SLICE || s->target.cls == TARGET_USER ? NULL : site_unit(s);
}

static void put_birth(json_t *o, const struct birth *b) {
        char boot[2 * sizeof(b->boot) + 1];

        (void) json_object_set_new(o, "born", json_integer((json_int_t) b->ticks));
        (void) json_object_set_new(o, "boot",
                                   json_string(sodium_bin2hex(boot, sizeof(boot), b->boot, sizeof(b->boot))));
}

static int birth_from_json(const json_t *o, struct birth *ret) {
        const char *boot = NULL;
        json_int_t ticks = 0;
        size_t n = 0;

        if (json_unpack((json_t *) o, "{s?I s?s}", "born", &ticks, "boot", &boot) < 0 || (ticks > 0) != (boot != NULL))
                return -EBADMSG;
        if (boot && (sodium_hex2bin(ret->boot, sizeof(ret->boot), boot, strlen(boot), NULL, &n, NULL) != 0 ||
                     n != sizeof(ret->boot)))
                return -EBADMSG;
        ret->ticks = (uint64_t) ticks;
        return 0;
}

bool site_is_host(const struct site *s) {
        return s->target.cls == TARGET_HOST;
}

bool site_isolates(const struct site *s, enum verb verb) {
        return verb_info(verb)->isolates && !s->only_freeze;
}

bool site_freezes(const struct site *s, enum verb verb) {
        return verb_info(verb)->freezes && !site_is_host(s);
}

int sites_take_only_frozen(struct sites *s, struct sites *ret) {
        const size_t n = s->n;
        struct site *v = calloc(n ? n : 1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        *ret = (struct sites) { .v = v };
        s->n = 0;
        for (size_t i = 0; i < n; i++) {
                struct sites *to = s->v[i].only_freeze ? ret : s;

                to->v[to->n++] = s->v[i];
        }
        return 0;
}

json_t *sites_to_json(const struct sites *s) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < s->n; i++) {
                const struct site *t = &s->v[i];
                _cleanup_free_ char *path = paths_to_text(t->path);
                char name[TARGET_STR_SIZE];
                json_t *one;

                target_to_str(&t->target, name, sizeof(name));
                if (t->missing != REASON_NONE)
                        one = json_pack("{ss ss ss*}", "target", name, "missing", reason_id(t->missing), "cgroup",
                                        path);
                else
                        one = json_pack("{ss ss sI sb}", "target", name, "cgroup", path, "cgroup_id",
                                        (json_int_t) t->cgroup_id, "was_frozen", t->was_frozen);
                if (one && t->born.ticks > 0)
                        put_birth(one, &t->born);
                if (one && t->only_freeze)
                        (void) json_object_set_new(one, "only_freeze", json_true());
                if (json_array_append_new(array, one) < 0) {
                        json_decref(array);
                        array = NULL;
                }
        }
        return array;
}

static int site_from_json(const json_t *o, struct site *ret) {
        struct site s = SITE_NULL;
        const char *target = NULL, *missing = NULL, *path = NULL;
        json_int_t id = 0;
        int was_frozen = 0, only_freeze = 0;

        if (json_unpack((json_t *) o, "{ss s?s s?s s?I s?b s?b}", "target", &target, "missing", &missing, "cgroup",
                        &path, "cgroup_id", &id, "was_frozen", &was_frozen, "only_freeze", &only_freeze) < 0 ||
            birth_from_json(o, &s.born) < 0 || target_from_str(target, &s.target) < 0 ||
            (missing && !reason_from_id(missing, &s.missing)) || (!missing && !path))
                return -EBADMSG;
        if (path) {
                const int r = paths_from_text(path, &s.path);

                if (r < 0)
                        return r;
        }
        s.cgroup_id = (uint64_t) id;
        s.was_frozen = was_frozen;
        s.only_freeze = only_freeze;
        *ret = s;
        return 0;
}

int sites_from_json(const json_t *array, struct sites *ret) {
        _cleanup_(sites_done) struct sites s = { 0 };
        const size_t n = json_array_size(array);

        s.v = calloc(n ? n : 1, sizeof(*s.v));
        if (!s.v)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = site_from_json(json_array_get(array, i), &s.v[i]);

                if (r < 0)
                        return r;
                s.n++;
        }
        *ret = s;
        s = (struct sites) { 0 };
        return 0;
}

void held_list_done(struct held_list *l) {
        for (size_t i = 0; i < l->n; i++)
                sites_done(&l->v[i].sites);
        free(l->v);
        *l = (struct held_list) { 0 };
}

static struct held *find(const struct held_list *l, const struct command_id *id) {
        for (size_t i = 0; i < l->n; i++)
                if (command_id_equal(&l->v[i].id, id))
                        return &l->v[i];
        return NULL;
}

int held_put(struct held_list *l, const struct command_id *id, struct sites *sites) {
        struct held *h = find(l, id);

        if (!h) {
                struct held *more = realloc(l->v, (l->n + 1) * sizeof(*more));

                if (!more) {
                        sites_done(sites);
                        return -ENOMEM;
                }
                l->v = more;
                h = &l->v[l->n++];
                *h = (struct held) { .id = *id };
        }
        sites_done(&h->sites);
        h->sites = *sites;
        *sites = (struct sites) { 0 };
        return 0;
}

struct sites *held_find(const struct held_list *l, const struct command_id *id) {
        struct held *h = find(l, id);

        return h ? &h->sites : NULL;
}

void held_doubt(struct held_list *l, const struct command_id *id) {
        struct held *h = find(l, id);

        if (h)
                h->doubtful = true;
}

bool held_is_doubtful(const struct held_list *l, const struct command_id *id) {
        const struct held *h = find(l, id);

        return h && h->doubtful;
}

void held_remove(struct held_list *l, const struct command_id *id) {
        struct held *h = find(l, id);

        if (!h)
                return;
        sites_done(&h->sites);
        *h = l->v[--l->n];
}
