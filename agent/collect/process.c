/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/process.h"

#include <limits.h>
#include <string.h>

#include <sodium.h>

#include "agent/collect/numdir.h"
#include "agent/collect/source.h"
#include "agent/util/io.h"

#define TASKS_MAX 4096U
#define TEXT_MAX  (16U * 1024)

static const struct source kernel_files[] = {
        { "status", "status", 0 },
        { "stat", "stat", 0 },
        { "comm", "comm", 0 },
        { "cgroup", "cgroup", 0 },
        { "limits", "limits", 0 },
        { "io", "io", SOURCE_OPTIONAL },
        { "wchan", "wchan", SOURCE_OPTIONAL },
};

/* Each is a line or two: an object for all of them. */
static const char *const attributes[] = {
        "loginuid",  "sessionid", "attr/current", "personality", "oom_score_adj",  "oom_score", "coredump_filter",
        "uid_map",   "gid_map",   "projid_map",   "setgroups",   "timens_offsets", "cpuset",    "autogroup",
        "schedstat", "sched",     "syscall",      "timers",      "statm",
};

/* Of each thread; the namespaces of one can be others than its process's. */
static const char *const task_texts[] = { "stat", "status", "wchan", "syscall", "cgroup" };
static const char *const task_links[] = { "ns/net", "ns/mnt", "ns/user", "ns/pid_for_children", "cwd", "root" };

static const struct source memory_files[] = {
        { "maps", "maps", 0 },
        { "cmdline", "cmdline", 0 },
        { "environ", "environ", 0 },
};

static const char *const links[] = {
        "exe", "cwd", "root", "ns/cgroup", "ns/ipc", "ns/mnt", "ns/net", "ns/pid", "ns/user", "ns/uts", "ns/time",
};

static void copy_files(struct store *s, const struct process *p, const struct source *table, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char source[64];
                const struct index_item item = {
                        .kind = table[i].kind, .source = source, .pid = p->pid, .not_frozen = !p->frozen
                };

                (void) snprintf(source, sizeof(source), "/proc/%d/%s", (int) p->pid, table[i].path);
                source_copy(s, &item, p->dir, table[i].path, table[i].flags);
        }
}

static void copy_stack(struct store *s, const struct process *p) {
        char source[64];
        const struct index_item item = { .kind = "stack", .source = source, .pid = p->pid, .not_frozen = !p->frozen };

        (void) snprintf(source, sizeof(source), "/proc/%d/stack", (int) p->pid);
        if (p->stack >= 0)
                source_copy_fd(s, &item, p->stack);
        else if (p->stack != -ENOENT)
                store_hole(s, &item, p->stack, -1);
}

static void add_link(struct store *s, const struct process *p, const char *name, json_t *o) {
        char target[PATH_MAX], source[64];
        const struct index_item item = { .kind = "links", .source = source, .pid = p->pid, .not_frozen = !p->frozen };
        ssize_t n = source_link(p->dir, name, target, sizeof(target));

        (void) snprintf(source, sizeof(source), "/proc/%d/%s", (int) p->pid, name);
        if (n >= 0)
                n = index_set_bytes(o, name, target, (size_t) n);
        if (n < 0)
                store_hole(s, &item, (int) n, -1);
}

static void copy_links(struct store *s, const struct process *p) {
        _cleanup_json_ json_t *o = json_object();
        _cleanup_free_ char *line = NULL;
        char source[64];
        const struct index_item item = { .kind = "links", .source = source, .pid = p->pid, .not_frozen = !p->frozen };

        (void) snprintf(source, sizeof(source), "/proc/%d", (int) p->pid);
        for (size_t i = 0; o && i < ELEMENTSOF(links); i++)
                add_link(s, p, links[i], o);
        if (!o || index_json_line(o, &line) < 0)
                store_hole(s, &item, -ENOMEM, -1);
        else
                source_put(s, &item, line, strlen(line));
}

/* Sets name to what the file says, without its last newline, or name_errno. */
static int add_text(json_t *o, int at, const char *path, const char *name) {
        _cleanup_free_ char *text = NULL;
        char key[48];
        size_t n = 0;
        int r = io_read_file(at, path, TEXT_MAX, &text, &n);

        if (r == 0)
                return index_set_bytes(o, name, text, n > 0 && text[n - 1] == '\n' ? n - 1 : n);
        (void) snprintf(key, sizeof(key), "%s_errno", name);
        return json_object_set_new(o, key, json_string(strerrorname_np(-r))) < 0 ? -ENOMEM : 0;
}

static int add_task_link(json_t *o, int at, const char *tid, const char *name) {
        char target[PATH_MAX], path[64], key[48];
        ssize_t n;

        (void) snprintf(path, sizeof(path), "%.20s/%s", tid, name);
        n = source_link(at, path, target, sizeof(target));
        if (n >= 0)
                return index_set_bytes(o, name, target, (size_t) n);
        (void) snprintf(key, sizeof(key), "%s_errno", name);
        return json_object_set_new(o, key, json_string(strerrorname_np((int) -n))) < 0 ? -ENOMEM : 0;
}

static int write_object(struct store *s, const json_t *o) {
        _cleanup_free_ char *line = NULL;
        int r = index_json_line(o, &line);

        return r < 0 ? r : store_write(s, line, strlen(line));
}

static int write_task(struct store *s, DIR *d, const char *tid) {
        _cleanup_json_ json_t *o = json_pack("{s:I}", "tid", (json_int_t) atoi(tid));
        char path[64];
        int r = o ? 0 : -ENOMEM;

        (void) snprintf(path, sizeof(path), "%.20s/comm", tid);
        if (r == 0)
                r = add_text(o, dirfd(d), path, "comm");
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(task_texts); i++) {
                (void) snprintf(path, sizeof(path), "%.20s/%s", tid, task_texts[i]);
                r = add_text(o, dirfd(d), path, task_texts[i]);
        }
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(task_links); i++)
                r = add_task_link(o, dirfd(d), tid, task_links[i]);
        return r < 0 ? r : write_object(s, o);
}

/* What one of them does not tell is said in its place: many kernels have not all of them. */
static void copy_attributes(struct store *s, const struct process *p) {
        _cleanup_json_ json_t *o = json_object();
        char source[64];
        const struct index_item item = {
                .kind = "attributes", .source = source, .pid = p->pid, .not_frozen = !p->frozen
        };
        int r = o ? 0 : -ENOMEM;

        (void) snprintf(source, sizeof(source), "/proc/%d", (int) p->pid);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(attributes); i++)
                r = add_text(o, p->dir, attributes[i], attributes[i]);
        int begun = store_begin(s, &item);

        if (r == 0 && begun == 0)
                r = write_object(s, o);
        store_end(s, r, -1, false);
}

/* Hundreds of workers have one table of mounts; it is told as seen from their root. */
static bool is_new_view(struct process_views *v, const struct process *p) {
        char mnt[64] = "", root[PATH_MAX] = "";
        uint8_t key[sizeof(v->keys[0])];
        char both[sizeof(mnt) + sizeof(root)];

        if (source_link(p->dir, "ns/mnt", mnt, sizeof(mnt)) < 0 || source_link(p->dir, "root", root, sizeof(root)) < 0)
                return true;
        int n = snprintf(both, sizeof(both), "%s %s", mnt, root);

        (void) crypto_generichash(key, sizeof(key), (const uint8_t *) both, (unsigned long long) n, NULL, 0);
        for (size_t i = 0; i < v->n; i++)
                if (memcmp(v->keys[i], key, sizeof(key)) == 0)
                        return false;
        if (v->n < ELEMENTSOF(v->keys))
                memcpy(v->keys[v->n++], key, sizeof(key));
        return true;
}

static void copy_mounts(struct store *s, const struct process *p, struct process_views *v) {
        static const struct source mounts = { "mounts", "mountinfo", SOURCE_OPTIONAL };

        if (is_new_view(v, p))
                copy_files(s, p, &mounts, 1);
}

static void copy_tasks(struct store *s, const struct process *p) {
        _cleanup_(numdir_closep) DIR *d = numdir_open(p->dir, "task");
        int r = d ? 0 : -errno;
        char source[64];
        const struct index_item item = { .kind = "tasks", .source = source, .pid = p->pid, .not_frozen = !p->frozen };
        size_t n = 0;

        (void) snprintf(source, sizeof(source), "/proc/%d/task", (int) p->pid);
        if (r == 0)
                r = store_begin(s, &item);
        else {
                store_hole(s, &item, r, -1);
                return;
        }
        for (const char *tid; r == 0 && (tid = numdir_next(d));)
                r = store_over(s) ? -ETIME : ++n > TASKS_MAX ? -EOVERFLOW : write_task(s, d, tid);
        store_end(s, r, -1, false);
}

void process_collect(struct target_set *t, struct store *s) {
        for (size_t i = 0; i < t->n_processes; i++) {
                struct process *p = &t->processes[i];

                if (p->done)
                        continue;
                p->frozen = target_is_frozen(t, p);
                copy_files(s, p, kernel_files, ELEMENTSOF(kernel_files));
                copy_stack(s, p);
                copy_links(s, p);
                copy_tasks(s, p);
                copy_attributes(s, p);
                copy_mounts(s, p, &t->views);
                p->done = true;
        }
}

void process_collect_memory(struct target_set *t, struct store *s) {
        for (size_t i = 0; i < t->n_processes; i++) {
                struct process *p = &t->processes[i];

                p->frozen = target_is_frozen(t, p);
                copy_files(s, p, memory_files, ELEMENTSOF(memory_files));
        }
        target_end_pass(t, s);
}
