/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/foreign.h"

#include <string.h>

#include <bpf/bpf.h>

#include "agent/core/cgroup.h"
#include "agent/core/paths.h"

/* more than this many programs are some that were attached as one of several */
#define PROGS_MAX 64U

static const enum bpf_attach_type types[_ISOLATE_HOOK_MAX] = {
#define X(name, id, type, phase) [ISOLATE_##name] = type,
        ISOLATE_HOOK_TABLE(X)
#undef X
};

/* Names come from whoever loaded the program. */
static void name_of(uint32_t id, char ret[static 16]) {
        _cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
        struct bpf_prog_info info = { 0 };
        uint32_t size = sizeof(info);

        ret[0] = 0;
        if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
                return;
        (void) snprintf(ret, 16, "%.15s", info.name);
        for (char *c = ret; *c; c++)
                if (*c < 0x20 || *c > 0x7e)
                        *c = '?';
}

/* What the cgroup has at the hook. True when nothing further up matters. */
static bool look(int fd, enum isolate_hook h, bool self, const char *path, struct foreign_list *ret) {
        uint32_t ids[PROGS_MAX], n = ELEMENTSOF(ids), flags = 0;
        struct foreign *f = &ret->v[ret->n];

        if (bpf_prog_query(fd, types[h], 0, &flags, ids, &n) < 0)
                return errno == ENOSPC;
        if (flags & BPF_F_ALLOW_MULTI)
                return !self; /* one that came first may still have one above that forbids more */
        if (n == 0)
                return false;
        if (!self && flags & BPF_F_ALLOW_OVERRIDE)
                return true;
        *f = (struct foreign) {
                .hook = h, .path = strdup(path), .prog_id = ids[0], .overridable = flags & BPF_F_ALLOW_OVERRIDE
        };
        name_of(ids[0], f->name);
        ret->n += f->path != NULL;
        return true;
}

void foreign_find(const char *root, const char *path, struct foreign_list *ret) {
        _cleanup_free_ char *at = strdup(path);
        bool done[_ISOLATE_HOOK_MAX] = { 0 }, self = true;

        *ret = (struct foreign_list) { 0 };
        while (at && root) {
                _cleanup_close_ int fd = -EBADF;
                char *slash = strrchr(at, '/');
                uint64_t id;

                if (cgroup_open(root, *at ? at : "/", &fd, &id) == 0)
                        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++)
                                done[h] = done[h] || look(fd, h, self, *at ? at : "/", ret);
                self = false;
                if (!slash || !*at)
                        break;
                *slash = 0;
        }
}

void foreign_list_done(struct foreign_list *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->v[i].path);
        l->n = 0;
}

static json_t *one_to_json(const struct foreign *f) {
        _cleanup_free_ char *path = paths_to_text(f->path);

        return json_pack("{ss ss sI ss sb}", "hook", isolate_hook_id(f->hook), "cgroup", path, "prog_id",
                         (json_int_t) f->prog_id, "name", f->name, "overridable", f->overridable);
}

json_t *foreign_to_json(const struct foreign_list *l) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < l->n; i++)
                (void) json_array_append_new(array, one_to_json(&l->v[i]));
        return array;
}
