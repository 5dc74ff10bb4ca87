/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/guard.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/core/agent.h"
#include "agent/core/cgroup.h"
#include "agent/core/fencefile.h"
#include "agent/core/guard_trial.h"
#include "agent/core/guard_want.h"
#include "agent/core/strays.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"
#include "agent/util/log.h"
#include "bpf/guard.skel.h"

#define OWN_CGROUP     "/freezed.slice/freezed.service"
#define MANAGER_CGROUP "/init.scope"

/* Those that refuse have a place in GUARD_TABLE; these only take note. */
static const struct {
        const char *layer, *program;
} witnesses[] = {
        { "cgroup-births", "guard_cgroup_mkdir" },
        { "held-children", "guard_process_fork" },
        { "held-newcomers", "guard_cgroup_attach" },
        { "held-marks", "guard_sweep" },
};

#define LAYERS (_GUARD_HOOK_MAX + ELEMENTSOF(witnesses))

static const struct {
        const char *layer, *program;
} refusers[_GUARD_HOOK_MAX] = {
#define X(name, layer_, hook) [GUARD_##name] = { .layer = layer_, .program = "guard_" #hook },
        GUARD_TABLE(X)
#undef X
};

_Static_assert(sizeof(GUARD_FENCE) == sizeof(FENCEFILE_NAME), "the programs know the fence by its name");

struct guard {
        char *dir;              /* PINS/guard */
        struct guard_bpf *skel; /* NULL: none could be loaded */
        struct bpf_link *links[LAYERS];
        int error[LAYERS];
        bool pinned; /* by this core or the one before */
        bool own_pins;
};

static const char *program_of(size_t layer) {
        return layer < _GUARD_HOOK_MAX ? refusers[layer].program : witnesses[layer - _GUARD_HOOK_MAX].program;
}

static void fail_all(struct guard *g, int error) {
        for (size_t k = 0; k < LAYERS; k++)
                g->error[k] = error;
}

static void unload(struct guard *g) {
        for (size_t k = 0; k < LAYERS; k++) {
                bpf_link__destroy(g->links[k]);
                g->links[k] = NULL;
        }
        guard_bpf__destroy(g->skel);
        g->skel = NULL;
}

static void pin_path(const struct guard *g, const char *name, const char *suffix, char ret[static PATH_MAX]) {
        (void) snprintf(ret, PATH_MAX, "%s/%s%s", g->dir, name, suffix);
}

/* What is pinned already becomes the map of the new programs, so that old and new guard the same while both are there.
 * One of another layout is an older core's: the new map is filled from the ledger. */
static void reuse_maps(const struct guard *g) {
        struct bpf_map *m;

        bpf_object__for_each_map(m, g->skel->obj) {
                char path[PATH_MAX];
                _cleanup_close_ int fd = -EBADF;
                struct bpf_map_info info = { 0 };
                uint32_t size = sizeof(info);

                if (bpf_map__is_internal(m))
                        continue;
                pin_path(g, bpf_map__name(m), "", path);
                fd = bpf_obj_get(path);
                if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == bpf_map__type(m) &&
                    info.key_size == bpf_map__key_size(m) && info.value_size == bpf_map__value_size(m) &&
                    info.max_entries == bpf_map__max_entries(m))
                        (void) bpf_map__reuse_fd(m, fd);
        }
}

static int own_cgroup(uint64_t *ret_id) {
        _cleanup_free_ char *root = NULL, *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r = cgroup_of_pid(getpid(), &path);

        if (r == 0 && strcmp(path, OWN_CGROUP) != 0)
                r = -EXDEV;
        if (r == 0)
                r = cgroup_root(&root);
        return r < 0 ? r : cgroup_open(root, path, &fd, ret_id);
}

static uint32_t mount_ns(const char *path) {
        struct stat st;

        return stat(path, &st) < 0 ? 0 : (uint32_t) st.st_ino;
}

static int own_path(struct guard *g, const char *path, volatile uint32_t *ret_dev) {
        struct guard_owned own[GUARD_OWN_MAX / 4];
        uint32_t dev = 0;
        const int n = guard_want_own(path, own, ELEMENTSOF(own), &dev), map = bpf_map__fd(g->skel->maps.guard_own);

        for (int i = 0; i < n; i++)
                if (bpf_map_update_elem(map, &own[i].key, &own[i].flags, BPF_ANY) < 0)
                        return -errno;
        *ret_dev = dev;
        return n < 0 ? n : 0;
}

int guard_own_map(struct guard *g, int fd) {
        const uint32_t tree = GUARD_TREE;
        struct bpf_map_info info = { 0 };
        uint32_t size = sizeof(info);
        struct guard_own key = { .kind = GUARD_OWN_MAP };

        if (!g || !g->skel || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
                return 0; /* nothing guards, or the kernel did not make that map for its program */
        key.id = info.id;
        return bpf_map_update_elem(bpf_map__fd(g->skel->maps.guard_own), &key, &tree, BPF_ANY) < 0 ? -errno : 0;
}

static int own_maps(struct guard *g) {
        struct bpf_map *m;
        int r = 0;

        bpf_object__for_each_map(m, g->skel->obj) if (r == 0) r = guard_own_map(g, bpf_map__fd(m));
        return r;
}

/* What was the last core's own is not this one's: mounts come and go, and their numbers with them. */
static int fill_own(struct guard *g, const char *pins, const char *state) {
        volatile struct guard_state *s = &g->skel->bss->guard_state;
        const int map = bpf_map__fd(g->skel->maps.guard_own);
        struct guard_own key;
        uint64_t id = 0;
        int r;

        while (bpf_map_get_next_key(map, NULL, &key) == 0 && bpf_map_delete_elem(map, &key) == 0)
                ;
        r = own_cgroup(&id);
        s->agent_cgroup = id;
        s->mount_ns[0] = mount_ns("/proc/1/ns/mnt");
        s->mount_ns[1] = mount_ns("/proc/self/ns/mnt");
        if (r == 0)
                r = own_path(g, pins, &s->pins_dev);
        if (r == 0)
                r = own_path(g, state, &s->state_dev);
        return r < 0 ? r : own_maps(g);
}

static void attach_all(struct guard *g) {
        for (size_t k = 0; k < LAYERS; k++) {
                struct bpf_program *p = bpf_object__find_program_by_name(g->skel->obj, program_of(k));

                g->links[k] = p ? bpf_program__attach(p) : NULL;
                g->error[k] = g->links[k] ? 0 : p ? -errno : -ENOENT;
        }
}

static void try_programs(struct guard *g, const char *run) {
        uint32_t seen = 0;
        const int r = guard_trial(&g->skel->bss->guard_state, run, bpf_map__fd(g->skel->maps.guard_holds), &seen);

        for (size_t k = 0; k < _GUARD_HOOK_MAX; k++)
                if (g->error[k] == 0 && !(seen >> k & 1))
                        g->error[k] = r < 0 ? r : -ENODATA;
}

/* A guard with a hole in it is kept all the same. */
static int load(struct guard *g, const char *pins, const char *state, const char *run) {
        uint64_t id;
        int r;

        g->skel = guard_bpf__open();
        if (!g->skel)
                return -errno;
        reuse_maps(g);
        r = guard_bpf__load(g->skel);
        if (r == 0)
                r = own_cgroup(&id);
        if (r == 0)
                r = fill_own(g, pins, state);
        if (r < 0)
                return r;
        attach_all(g);
        try_programs(g, run);
        return 0;
}

int guard_new(const char *pins, const char *state, const char *run, struct guard **ret) {
        _cleanup_(guard_freep) struct guard *g = calloc(1, sizeof(*g));
        int r;

        if (!g || asprintf(&g->dir, "%s/guard", pins) < 0)
                return -ENOMEM;
        g->pinned = access(g->dir, F_OK) == 0;
        r = io_mkdirs(pins, 0700);
        if (r == 0)
                r = load(g, pins, state, run);
        if (r < 0) {
                unload(g);
                fail_all(g, r);
        }
        *ret = TAKE_PTR(g);
        return 0;
}

void guard_free(struct guard *g) {
        if (!g)
                return;
        unload(g);
        free(g->dir);
        free(g);
}

void guard_freep(struct guard **g) {
        guard_free(*g);
}

bool guard_is_live(const struct guard *g) {
        for (size_t k = 0; g && k < LAYERS; k++)
                if (g->error[k] < 0)
                        return false;
        return g != NULL;
}

bool guard_covers(const struct guard *g, const struct site *s) {
        return guard_is_live(g) && guard_want_reaches(s);
}

void guard_each_layer(const struct guard *g, void (*fn)(const char *id, int error, void *userdata), void *userdata) {
        int all = g ? 0 : -ENODEV;

        for (size_t k = 0; g && k < LAYERS && all == 0; k++)
                all = g->error[k];
        fn("guard", all, userdata);
        for (size_t k = 0; g && g->skel && k < LAYERS; k++) {
                char id[64];

                (void) snprintf(id, sizeof(id), "guard-%s",
                                k < _GUARD_HOOK_MAX ? refusers[k].layer : witnesses[k - _GUARD_HOOK_MAX].layer);
                fn(id, g->error[k], userdata);
        }
}

/* Under another name first: what is there stays in force until the new one is. */
static int pin(const struct guard *g, int fd, const char *name) {
        char path[PATH_MAX], fresh[PATH_MAX];
        int r = fault_effect("guard-pin");

        if (r < 0)
                return r;
        pin_path(g, name, "", path);
        pin_path(g, name, "_new", fresh);
        (void) unlink(fresh);
        return bpf_obj_pin(fd, fresh) < 0 || rename(fresh, path) < 0 ? -errno : 0;
}

/* The walk through all tasks is the core's own. */
static bool outlives_core(const struct guard *g, size_t layer) {
        return g->links[layer] && strcmp(program_of(layer), "guard_sweep") != 0;
}

static int pin_all(struct guard *g) {
        struct bpf_map *m;
        int r = io_mkdirs(g->dir, 0700);

        bpf_object__for_each_map(m, g->skel->obj) if (r == 0 && !bpf_map__is_internal(m)) r =
                pin(g, bpf_map__fd(m), bpf_map__name(m));
        for (size_t k = 0; k < LAYERS && r == 0; k++)
                if (outlives_core(g, k))
                        r = pin(g, bpf_link__fd(g->links[k]), program_of(k));
        return r;
}

static bool is_pinned(const struct guard *g) {
        bool all = true;
        struct bpf_map *m;
        char path[PATH_MAX];

        bpf_object__for_each_map(m, g->skel->obj) if (!bpf_map__is_internal(m)) {
                pin_path(g, bpf_map__name(m), "", path);
                all &= access(path, F_OK) == 0;
        }
        for (size_t k = 0; k < LAYERS; k++)
                if (outlives_core(g, k)) {
                        pin_path(g, program_of(k), "", path);
                        all &= access(path, F_OK) == 0;
                }
        return all;
}

/* The service manager may have removed what it saw empty. */
static int take_home(pid_t pid, const char *home) {
        _cleanup_free_ char *root = NULL, *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r = cgroup_of_pid(pid, &path);

        if (r < 0 || strcmp(path, home) == 0)
                return r;
        r = cgroup_root(&root);
        if (r == 0)
                r = strays_make_again(root, home, &fd, &id);
        if (r == 0)
                r = strays_put_back(root, home, fd, pid);
        return r < 0 ? r : 1;
}

int guard_mend(struct guard *g) {
        int core, manager, pins = 0;

        if (!g || !g->skel || !g->own_pins)
                return 0;
        core = take_home(getpid(), OWN_CGROUP);
        manager = take_home(1, MANAGER_CGROUP);
        if (!is_pinned(g)) {
                pins = pin_all(g);
                pins = pins < 0 ? pins : 1;
        }
        if (core < 0 || manager < 0)
                return core < 0 ? core : manager;
        return pins < 0 ? pins : core | manager | pins;
}

static void unpin_all(const struct guard *g) {
        DIR *d = opendir(g->dir);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (e->d_name[0] != '.' && fault_effect("guard-unpin") == 0)
                        (void) unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                (void) closedir(d);
        (void) rmdir(g->dir);
}

/* Everyone who is held gets his mark, and who is not any more loses it, by a walk in the kernel: nobody is missed or
 * mistaken because his pid changed hands. */
static void sweep(struct guard *g) {
        const struct bpf_link *link = g->links[LAYERS - 1];
        _cleanup_close_ int fd = link ? bpf_iter_create(bpf_link__fd(link)) : -EBADF;
        char nothing[64];

        while (fd >= 0 && read(fd, nothing, sizeof(nothing)) > 0)
                ;
}

/* The keys of a map that are not wanted any more. They are gathered before those that are wanted are worked out: one
 * that a program adds meanwhile is not among them. */
struct keys {
        uint8_t *v;
        size_t n, size;
};

static void keys_done(struct keys *k) {
        free(k->v);
}

static int keys_read(int map, size_t size, struct keys *ret) {
        struct keys k = { .v = calloc(GUARD_HOLDS_MAX, size), .size = size };

        if (!k.v)
                return -ENOMEM;
        while (k.n < GUARD_HOLDS_MAX &&
               bpf_map_get_next_key(map, k.n ? k.v + (k.n - 1) * size : NULL, k.v + k.n * size) == 0)
                k.n++;
        *ret = k;
        return 0;
}

static int put_holds(int holds, int paths, const struct guard_want *w) {
        int r = 0;

        for (size_t i = 0; i < w->n_holds; i++)
                if (bpf_map_update_elem(holds, &w->holds[i].id, &w->holds[i].flags, BPF_ANY) < 0)
                        r = -errno;
        for (size_t i = 0; i < w->n_paths; i++)
                if (bpf_map_update_elem(paths, &w->paths[i].path, &w->paths[i].flags, BPF_ANY) < 0)
                        r = -errno;
        return r;
}

/* True when somebody may be held no more, or by another than his mark names. */
static bool drop_holds(int holds, int paths, const struct keys *ids, const struct keys *names,
                       const struct guard_want *w) {
        bool any = false;

        for (size_t i = 0; i < ids->n; i++) {
                uint64_t id;

                memcpy(&id, ids->v + i * ids->size, sizeof(id));
                if (guard_want_flags(w, id) == 0)
                        any |= bpf_map_delete_elem(holds, &id) == 0;
        }
        for (size_t i = 0; i < names->n; i++) {
                const struct guard_path *path = (const void *) (names->v + i * names->size);

                if (!guard_want_path(w, path))
                        (void) bpf_map_delete_elem(paths, path);
        }
        return any;
}

/* A map of the guard: of this core's programs, or of those that an older one left and that it could not replace. */
static int map_open(const struct guard *g, const char *name) {
        char path[PATH_MAX];

        if (g->skel)
                return fcntl(bpf_object__find_map_fd_by_name(g->skel->obj, name), F_DUPFD_CLOEXEC, 3);
        pin_path(g, name, "", path);
        return bpf_obj_get(path);
}

static int apply(struct guard *g, struct agent *a, const struct command_id *thawed) {
        _cleanup_(guard_want_done) struct guard_want want = { 0 };
        _cleanup_(keys_done) struct keys ids = { 0 }, names = { 0 };
        _cleanup_close_ int holds = map_open(g, "guard_holds"), paths = map_open(g, "guard_paths");
        volatile struct guard_state *state = g->skel ? &g->skel->bss->guard_state : NULL;
        bool dropped;
        int r;

        if (holds < 0 || paths < 0)
                return 0; /* nothing guards, and health says so */
        r = keys_read(holds, sizeof(uint64_t), &ids);
        if (r == 0)
                r = keys_read(paths, sizeof(struct guard_path), &names);
        if (r == 0)
                r = guard_want_holds(a, thawed, &want);
        if (r == 0)
                r = put_holds(holds, paths, &want);
        if (state && want.n_holds > 0) {
                state->levels |= a->aside ? GUARD_LEVELS_ALL : want.levels;
                state->active = 1;
        }
        if (r == 0 && state && want.n_holds > 0) {
                if (!g->own_pins)
                        r = pin_all(g);
                g->pinned = true;
                g->own_pins = r == 0;
                sweep(g);
        }
        /* who went without the ledger does not know all that is held: what is there stays */
        if (r < 0 || a->aside)
                return r;
        dropped = drop_holds(holds, paths, &ids, &names, &want);
        if (state) {
                state->levels = want.levels;
                state->active = want.n_holds > 0;
        }
        if (dropped)
                sweep(g);
        if (want.n_holds == 0 && g->pinned) {
                unpin_all(g);
                g->pinned = g->own_pins = false;
        }
        return 0;
}

static void update(struct agent *a, const struct command_id *thawed) {
        const int r = a->guard ? apply(a->guard, a, thawed) : 0;

        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "guard"), "The guard does not have every hold: %s",
                          strerror(-r));
}

void guard_update(struct agent *a) {
        update(a, NULL);
}

void guard_let_thaw(struct agent *a, const struct command_id *hold) {
        update(a, hold);
}

void guard_let_manager(struct agent *a, uint64_t cgroup_id, bool may) {
        _cleanup_close_ int holds = a->guard ? map_open(a->guard, "guard_holds") : -EBADF;
        uint32_t flags;

        if (holds < 0 || bpf_map_lookup_elem(holds, &cgroup_id, &flags) < 0)
                return;
        flags = may ? flags | GUARD_MANAGER : flags & ~GUARD_MANAGER;
        (void) bpf_map_update_elem(holds, &cgroup_id, &flags, BPF_EXIST);
}
