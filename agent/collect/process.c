/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/process.h"

#include <limits.h>
#include <string.h>

#include "agent/collect/numdir.h"
#include "agent/collect/source.h"
#include "agent/util/io.h"

#define TASKS_MAX 4096U
#define COMM_MAX  64U

static const struct source kernel_files[] = {
        { "status", "status", 0 },
        { "stat", "stat", 0 },
        { "comm", "comm", 0 },
        { "cgroup", "cgroup", 0 },
        { "limits", "limits", 0 },
        { "io", "io", SOURCE_OPTIONAL },
        { "wchan", "wchan", SOURCE_OPTIONAL },
};

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
                const struct index_item item = { .kind = table[i].kind, .source = source, .pid = p->pid };

                (void) snprintf(source, sizeof(source), "/proc/%d/%s", (int) p->pid, table[i].path);
                source_copy(s, &item, p->dir, table[i].path, table[i].flags);
        }
}

static void copy_stack(struct store *s, const struct process *p) {
        char source[64];
        const struct index_item item = { .kind = "stack", .source = source, .pid = p->pid };

        (void) snprintf(source, sizeof(source), "/proc/%d/stack", (int) p->pid);
        if (p->stack >= 0)
                source_copy_fd(s, &item, p->stack);
        else if (p->stack != -ENOENT)
                store_hole(s, &item, p->stack, -1);
}

static void add_link(struct store *s, const struct process *p, const char *name, json_t *o) {
        char target[PATH_MAX], source[64];
        const struct index_item item = { .kind = "links", .source = source, .pid = p->pid };
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
        const struct index_item item = { .kind = "links", .source = source, .pid = p->pid };

        (void) snprintf(source, sizeof(source), "/proc/%d", (int) p->pid);
        for (size_t i = 0; o && i < ELEMENTSOF(links); i++)
                add_link(s, p, links[i], o);
        if (!o || index_json_line(o, &line) < 0)
                store_hole(s, &item, -ENOMEM, -1);
        else
                source_put(s, &item, line, strlen(line));
}

static int write_task(struct store *s, DIR *d, const char *tid) {
        _cleanup_json_ json_t *o = json_pack("{s:I}", "tid", (json_int_t) atoi(tid));
        _cleanup_free_ char *line = NULL, *comm = NULL;
        char path[64];
        size_t n = 0;
        int r;

        if (!o)
                return -ENOMEM;
        (void) snprintf(path, sizeof(path), "%s/comm", tid);
        r = io_read_file(dirfd(d), path, COMM_MAX, &comm, &n);
        if (r == 0)
                r = index_set_bytes(o, "comm", comm, n > 0 ? n - 1 : 0); /* without the newline that the kernel adds */
        else
                r = json_object_set_new(o, "errno", json_string(strerrorname_np(-r))) < 0 ? -ENOMEM : 0;
        if (r == 0)
                r = index_json_line(o, &line);
        return r < 0 ? r : store_write(s, line, strlen(line));
}

static void copy_tasks(struct store *s, const struct process *p) {
        _cleanup_(numdir_closep) DIR *d = numdir_open(p->dir, "task");
        int r = d ? 0 : -errno;
        char source[64];
        const struct index_item item = { .kind = "tasks", .source = source, .pid = p->pid };
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
                copy_files(s, p, kernel_files, ELEMENTSOF(kernel_files));
                copy_stack(s, p);
                copy_links(s, p);
                copy_tasks(s, p);
                p->done = true;
        }
}

void process_collect_memory(struct target_set *t, struct store *s) {
        for (size_t i = 0; i < t->n_processes; i++)
                copy_files(s, &t->processes[i], memory_files, ELEMENTSOF(memory_files));
}
