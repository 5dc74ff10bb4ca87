/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/core.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>

#include "agent/collect/elfcore.h"
#include "agent/collect/headroom.h"
#include "agent/collect/maps.h"
#include "agent/collect/numdir.h"
#include "agent/collect/runs.h"
#include "agent/collect/thread.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"

/* vm.max_map_count is 65530 unless somebody raised it. */
#define MAPS_MAX (256U * 1024)
/* Of the files that a process has mapped, once for each mapping: as much as the kernel has in a core of its own. */
#define PATHS_MAX (4U * 1024 * 1024)
/* A bit for each page of it fits a word. */
#define CHUNK_SIZE (64U * RUNS_PAGE)
#define AUXV_MAX   4096U
#define STAT_MAX   4096U
/* The line of its groups can be long. */
#define STATUS_MAX (1024U * 1024)
#define TIMERS_MAX (1024U * 1024)
/* Kilobytes of those with a timer: more is hardly read before it goes off. */
#define DOOMED_MAX (256U * 1024)
/* Notes of a thread are some 3 KiB. */
#define THREADS_MAX 2048U

/* One process's memory on its way into the store. */
struct dump {
        struct store *store;
        struct target_set *set;
        const struct process *process;
        struct index_item item;
        char source[96];
        int mem, pagemap;
        struct headroom headroom; /* for what is swapped out */
        int64_t patience_us;      /* with threads that do not stop, of all processes */
        int64_t until_us;         /* of this pass, beside the store's own */
        struct mapping *maps;
        size_t n_maps, size_maps;
        size_t n_paths;   /* bytes of paths, which maps borrow */
        bool lacks_paths; /* there were more */
        struct runs runs;
        struct notes notes;
        uint64_t miss_start, miss_end; /* what could not be read, until the next page that could */
        int miss_err;
        uint8_t chunk[CHUNK_SIZE];
        char paths[PATHS_MAX];
};

static bool over(void *userdata) {
        const struct dump *d = userdata;

        return store_over(d->store) || clock_mono_us() >= d->until_us;
}

static void miss(struct dump *d, const char *what, int err) {
        char source[128];
        struct index_item item = d->item;

        (void) snprintf(source, sizeof(source), "/proc/%d/%s", (int) d->process->pid, what);
        item.source = source;
        store_hole(d->store, &item, err, -1);
}

/* None is asked that runs: its target may have been released by now. */
static int add_thread(struct dump *d, pid_t tid, bool *ret_stop) {
        const int r = over(d) ? -ETIME : !target_is_frozen(d->set, d->process) ? -EBUSY : 0;

        *ret_stop = r < 0;
        return r < 0 ? r : thread_add_notes(d->process, tid, &d->patience_us, &d->notes);
}

static void add_threads(struct dump *d) {
        _cleanup_(numdir_closep) DIR *tasks = numdir_open(d->process->dir, "task");
        bool stop = !tasks;
        int r = stop ? -errno : add_thread(d, d->process->pid, &stop);
        size_t n = 0;

        if (r < 0)
                miss(d, "task", r);
        for (const char *name; !stop && (name = numdir_next(tasks));) {
                const pid_t tid = (pid_t) atoi(name);
                char what[32];

                (void) snprintf(what, sizeof(what), "task/%d", (int) tid);
                if (tid == d->process->pid)
                        continue;
                r = ++n >= THREADS_MAX ? -EOVERFLOW : add_thread(d, tid, &stop);
                stop |= r == -EOVERFLOW;
                if (r < 0)
                        miss(d, what, r);
        }
}

/* The start of the command line; how long the whole is, is for its owner to say, and as a file of its own it is kept
 * anyway. */
static size_t read_args(const struct dump *d, char *to, size_t n) {
        _cleanup_close_ int fd = openat(d->process->dir, "cmdline", O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? -1 : read(fd, to, n);

        return got < 0 ? 0 : (size_t) got;
}

/* What `info proc` and `file` say of a core. */
static void add_process_note(struct dump *d) {
        struct elf_prpsinfo info = { .pr_pid = d->process->pid };
        _cleanup_free_ char *comm = NULL;
        char args[sizeof(info.pr_psargs) - 1];
        size_t n = 0, n_args = read_args(d, args, sizeof(args));

        if (io_read_file(d->process->dir, "comm", STAT_MAX, &comm, &n) == 0 && n > 0)
                memcpy(info.pr_fname, comm, MIN(n - 1, sizeof(info.pr_fname) - 1));
        for (size_t i = 0; i < n_args; i++)
                info.pr_psargs[i] = args[i] ? args[i] : ' ';
        if (notes_add(&d->notes, "CORE", NT_PRPSINFO, &info, sizeof(info)) < 0)
                miss(d, "comm", -ENOMEM);
}

static void add_notes(struct dump *d) {
        _cleanup_free_ char *auxv = NULL;
        size_t n = 0;
        int r;

        add_threads(d);
        add_process_note(d);
        r = io_read_file(d->process->dir, "auxv", AUXV_MAX, &auxv, &n);
        if (r == 0)
                r = notes_add(&d->notes, "CORE", NT_AUXV, auxv, n);
        if (r < 0)
                miss(d, "auxv", r);
        r = notes_add_files(&d->notes, d->maps, d->n_maps);
        if (r < 0)
                miss(d, "maps", r);
}

/* A path says little: /dev is whatever its mount namespace has there, and a device can have a name anywhere. Told by
 * what the kernel has, because FUSE would ask its daemon. /dev/zero is memory, whatever it is called. */
static void tell_devices(struct dump *d) {
        for (size_t i = 0; i < d->n_maps; i++) {
                struct mapping *m = &d->maps[i];
                char path[64];
                struct statx st;

                (void) snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, m->start, m->end);
                if (m->inode != 0 && statx(d->process->dir, path, AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0)
                        m->device = S_ISCHR(st.stx_mode) && (st.stx_rdev_major != 1 || st.stx_rdev_minor != 5);
        }
}

/* The memory of one whose path there is no room for is kept all the same. */
static void keep_path(struct dump *d, struct mapping *m) {
        char *to = d->paths + d->n_paths;

        if (m->inode == 0 || m->path_n > PATHS_MAX - d->n_paths) {
                d->lacks_paths |= m->inode != 0;
                m->path_n = 0;
        }
        memcpy(to, m->path, m->path_n);
        m->path = to;
        d->n_paths += m->path_n;
}

static int keep_mapping(const struct mapping *m, void *userdata) {
        struct dump *d = userdata;

        if (d->n_maps == MAPS_MAX)
                return -E2BIG;
        if (d->n_maps == d->size_maps) {
                size_t size = d->size_maps ? d->size_maps * 2 : 256;
                struct mapping *bigger = reallocarray(d->maps, size, sizeof(*bigger));

                if (!bigger)
                        return -ENOMEM;
                d->maps = bigger;
                d->size_maps = size;
        }
        d->maps[d->n_maps] = *m;
        keep_path(d, &d->maps[d->n_maps++]);
        return 0;
}

static int find_memory(struct dump *d) {
        int r = maps_each(d->process->dir, keep_mapping, d);

        if (r == -E2BIG || d->lacks_paths)
                miss(d, "maps", r == -E2BIG ? r : -EFBIG);
        /* a kernel's thread, or a process that is over, has none */
        if ((r < 0 && r != -E2BIG) || d->n_maps == 0)
                return r;
        tell_devices(d);
        d->mem = openat(d->process->dir, "mem", O_RDONLY | O_CLOEXEC);
        if (d->mem < 0)
                return -errno;
        d->pagemap = openat(d->process->dir, "pagemap", O_RDONLY | O_CLOEXEC);
        if (d->pagemap < 0)
                return -errno;
        r = runs_find(d->pagemap, d->maps, d->n_maps, over, d, &d->runs);
        if (r == 0 && d->runs.skipped > 0)
                miss(d, "pagemap", -EFBIG);
        if (r == 0)
                add_notes(d);
        return r;
}

static void end_miss(struct dump *d) {
        char source[128];
        struct index_item item = d->item;

        if (d->miss_start == d->miss_end)
                return;
        (void) snprintf(source, sizeof(source), "/proc/%d/mem %" PRIx64 "-%" PRIx64, (int) d->process->pid,
                        d->miss_start, d->miss_end);
        item.source = source;
        store_hole(d->store, &item, d->miss_err, (int64_t) (d->miss_end - d->miss_start));
        d->miss_start = d->miss_end = 0;
}

static void miss_page(struct dump *d, uint64_t page, int err) {
        if (d->miss_end != page || d->miss_err != err) {
                end_miss(d);
                d->miss_start = page;
                d->miss_err = err;
        }
        d->miss_end = page + RUNS_PAGE;
}

static int read_pages(const struct dump *d, uint64_t at, uint8_t *to, size_t n) {
        ssize_t got = pread(d->mem, to, n, (off_t) at);

        return got < 0 ? -errno : (size_t) got == n ? 0 : -EIO;
}

/* Page by page, because one of them cannot be read. */
static void read_singly(struct dump *d, uint64_t chunk_at, uint64_t start, uint64_t end) {
        for (uint64_t page = start; page < end; page += RUNS_PAGE) {
                uint8_t *to = d->chunk + (page - chunk_at);
                int r = read_pages(d, page, to, RUNS_PAGE);

                if (r < 0) {
                        memset(to, 0, RUNS_PAGE);
                        miss_page(d, page, r);
                }
        }
}

/* Of a chunk of a run. */
struct part {
        struct dump *dump;
        uint64_t at; /* of the chunk */
};

/* What is swapped out is left where it is when there is no room for it: the process could be killed for being read. */
static void read_present(const struct part *p, uint64_t start, uint64_t end, uint64_t swapped) {
        for (uint64_t page = start; page < end; page += RUNS_PAGE, swapped >>= 1) {
                if (!(swapped & 1)) {
                        read_singly(p->dump, p->at, page, page + RUNS_PAGE);
                        continue;
                }
                memset(p->dump->chunk + (page - p->at), 0, RUNS_PAGE);
                miss_page(p->dump, page, -ENOMEM);
        }
}

static int read_part(uint64_t start, uint64_t end, void *userdata) {
        const struct part *p = userdata;
        struct dump *d = p->dump;
        uint64_t swapped;

        /* FAIL-CLOSED: what cannot be asked counts as swapped out */
        if (runs_swapped(d->pagemap, start, (end - start) / RUNS_PAGE, &swapped) < 0)
                swapped = UINT64_MAX;
        if (swapped && !headroom_take(&d->headroom, (uint64_t) __builtin_popcountll(swapped) * RUNS_PAGE))
                read_present(p, start, end, swapped);
        else if (read_pages(d, start, d->chunk + (start - p->at), end - start) < 0)
                read_singly(d, p->at, start, end);
        return 0;
}

/* Runs that had to become one have pages between them that must not be read. */
static void read_wanted(struct dump *d, const struct mapping *m, uint64_t at, size_t n) {
        struct part p = { d, at };

        memset(d->chunk, 0, n);
        if (runs_each(d->pagemap, maps_content(m), at, at + n, read_part, &p) < 0)
                read_singly(d, at, at, at + n);
}

static int dump_run(struct dump *d, const struct run *run) {
        int r = 0;

        for (uint64_t at = run->start; r == 0 && at < run->end;) {
                const size_t n = (size_t) MIN(run->end - at, (uint64_t) CHUNK_SIZE);

                if (d->runs.gap > 0)
                        read_wanted(d, &d->maps[run->map], at, n);
                else
                        (void) read_part(at, at + n, &(struct part) { d, at });
                r = over(d) ? -ETIME : store_write(d->store, d->chunk, n);
                at += n;
        }
        return r;
}

static int dump_memory(struct dump *d) {
        _cleanup_free_ uint8_t *head = NULL;
        size_t n = 0;
        int r = elfcore_head(d->maps, d->n_maps, &d->runs, &d->notes, &head, &n);

        if (r == 0)
                r = store_begin(d->store, &d->item);
        if (r == 0)
                r = store_write(d->store, head, n);
        for (size_t i = 0; r == 0 && i < d->runs.n; i++)
                r = dump_run(d, &d->runs.v[i]);
        end_miss(d);
        store_end(d->store, r, (int64_t) (n + d->runs.bytes + d->runs.gap),
                  d->process->frozen && !target_is_frozen(d->set, d->process));
        return r;
}

static void dump_process(struct dump *d, struct process *p) {
        int r;

        (void) snprintf(d->source, sizeof(d->source), "/proc/%d/mem", (int) p->pid);
        d->process = p;
        p->frozen = target_is_frozen(d->set, p);
        d->item = (struct index_item) {
                .kind = "core", .source = d->source, .pid = p->pid, .not_frozen = !p->frozen, .own_timer = p->doomed
        };
        d->mem = d->pagemap = -EBADF;
        headroom_open(p, &d->headroom);
        r = over(d) ? -ETIME : find_memory(d);
        /* what only this pass has no time for is read in the next */
        if (r < 0 && (r != -ETIME || store_over(d->store)))
                store_hole(d->store, &d->item, r, -1);
        else if (r == 0 && d->n_maps > 0)
                r = dump_memory(d);
        p->dumped = r == 0;
        closep(&d->mem);
        closep(&d->pagemap);
        headroom_done(&d->headroom);
        runs_done(&d->runs);
        notes_done(&d->notes);
        free(TAKE_PTR(d->maps));
        d->n_maps = d->size_maps = d->n_paths = 0;
        d->lacks_paths = false;
}

static uint64_t field(const char *status, const char *name) {
        const char *at = strstr(status, name);

        return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

uint64_t core_size(const char *status) {
        return field(status, "\nVmRSS:") + field(status, "\nVmSwap:");
}

/* One that cannot be asked comes first and fails first. */
static uint64_t size_of(const struct process *p) {
        _cleanup_free_ char *text = NULL;

        return io_read_file(p->dir, "status", STATUS_MAX, &text, NULL) < 0 ? 0 : core_size(text);
}

struct sized {
        struct process *process;
        uint64_t size;
};

static int compare_sizes(const void *a, const void *b) {
        const uint64_t x = ((const struct sized *) a)->size, y = ((const struct sized *) b)->size;
        return (x > y) - (x < y);
}

/* By its default, and to one that is frozen too: what dumps a core waits for the process to be thawed. */
static bool ends_at_once(unsigned sig, const char *status) {
        static const uint64_t others = 1U << SIGCHLD | 1U << SIGCONT | 1U << SIGURG | 1U << SIGWINCH | 1U << SIGSTOP |
                                       1U << SIGTSTP | 1U << SIGTTIN | 1U << SIGTTOU | 1U << SIGQUIT | 1U << SIGILL |
                                       1U << SIGTRAP | 1U << SIGABRT | 1U << SIGFPE | 1U << SIGSEGV | 1U << SIGBUS |
                                       1U << SIGSYS | 1U << SIGXCPU | 1U << SIGXFSZ;
        const char *const taken[] = { strstr(status, "\nSigIgn:"), strstr(status, "\nSigCgt:") };

        if (sig < 1 || sig > 64 || (sig < 32 && others >> sig & 1))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(taken); i++)
                if (taken[i] && strtoull(taken[i] + strlen("\nSigIgn:"), NULL, 16) >> (sig - 1) & 1)
                        return false;
        return true;
}

/* "signal: 9/0000000000000000", and later "notify: signal/pid.4711". */
bool core_timer_ends(const char *timers, const char *status) {
        unsigned sig = 0;

        for (const char *line = timers; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (sscanf(line, "signal: %u/", &sig) != 1 &&
                    strncmp(line, "notify: signal/", strlen("notify: signal/")) == 0 && ends_at_once(sig, status))
                        return true;
        }
        return false;
}

/* One with more timers than are read has them for something. */
static bool is_doomed(const struct process *p) {
        _cleanup_free_ char *timers = NULL, *status = NULL;
        int r = io_read_file(p->dir, "timers", TIMERS_MAX, &timers, NULL);

        if (r < 0 || !*timers)
                return r == -EFBIG;
        return io_read_file(p->dir, "status", STATUS_MAX, &status, NULL) == 0 && core_timer_ends(timers, status);
}

static void collect(struct target_set *t, struct store *s, bool doomed, int64_t until_us) {
        _cleanup_free_ struct sized *all = calloc(t->n_processes ? t->n_processes : 1, sizeof(*all));
        _cleanup_free_ struct dump *d = calloc(1, sizeof(*d));
        static const struct index_item item = { .kind = "core", .source = "memory of the processes" };
        uint64_t total = 0;
        size_t n = 0;

        if (!all || !d) {
                store_hole(s, &item, -ENOMEM, -1);
                return;
        }
        d->store = s;
        d->set = t;
        d->patience_us = THREAD_PATIENCE_US;
        d->until_us = until_us;
        for (size_t i = 0; i < t->n_processes; i++)
                if (!t->processes[i].dumped && (!doomed || t->processes[i].doomed))
                        all[n++] = (struct sized) { &t->processes[i], size_of(&t->processes[i]) };
        qsort(all, n, sizeof(*all), compare_sizes);
        for (size_t i = 0; i < n; i++) {
                total += all[i].size;
                if (doomed && (total > DOOMED_MAX || over(d)))
                        break;
                dump_process(d, all[i].process);
        }
        target_end_pass(t, s);
}

void core_collect(struct target_set *t, struct store *s) {
        collect(t, s, false, INT64_MAX);
}

void core_collect_doomed(struct target_set *t, struct store *s, int64_t max_us) {
        const int64_t until_us = clock_mono_us() + max_us;
        bool any = false;

        for (size_t i = 0; i < t->n_processes; i++)
                any |= t->processes[i].doomed = is_doomed(&t->processes[i]);
        if (any)
                collect(t, s, true, until_us);
}
