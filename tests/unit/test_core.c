/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/headroom.c */
/* LINK: agent/collect/core.c agent/collect/elfcore.c agent/collect/maps.c agent/collect/runs.c agent/collect/thread.c */
/* LINK: agent/collect/target.c agent/collect/numdir.c agent/collect/pidlist.c agent/collect/source.c */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c */
#include "lib/target_box.h"

#include <elf.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "agent/collect/core.h"
#include "agent/collect/runs.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define PAGE ((size_t) RUNS_PAGE)
/* where nothing else is, also with ASan */
#define PLACE  ((uint8_t *) 0x300000000000)
#define SECRET ((uint8_t *) 0x310000000000)

static uint8_t *map_at(uint8_t *at, size_t n, int fd, int flags) {
        uint8_t *p = mmap(at, n, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, fd, 0);

        assert_ptr_equal(p, at);
        (void) madvise(p, n, MADV_NOHUGEPAGE);
        return p;
}

/* What the core has at that address of the process; NULL where it has nothing. */
static const uint8_t *at(const struct scratch_bytes *core, const uint8_t *address) {
        const ElfW(Ehdr) *e = (const ElfW(Ehdr) *) core->data;
        const ElfW(Phdr) *p = (const ElfW(Phdr) *) (core->data + e->e_phoff);

        assert_memory_equal(e->e_ident, ELFMAG, SELFMAG);
        assert_int_equal(e->e_type, ET_CORE);
        for (size_t i = 0; i < e->e_phnum; i++)
                if (p[i].p_type == PT_LOAD && p[i].p_vaddr <= (uintptr_t) address &&
                    (uintptr_t) address < p[i].p_vaddr + p[i].p_filesz) {
                        assert_true(p[i].p_offset + p[i].p_filesz <= core->n);
                        return core->data + p[i].p_offset + ((uintptr_t) address - p[i].p_vaddr);
                }
        return NULL;
}

static size_t notes_of(const struct scratch_bytes *core, uint32_t type) {
        const ElfW(Ehdr) *e = (const ElfW(Ehdr) *) core->data;
        const ElfW(Phdr) *p = (const ElfW(Phdr) *) (core->data + e->e_phoff);
        size_t found = 0;

        for (size_t k = 0; k < p[0].p_filesz;) {
                const ElfW(Nhdr) *n = (const ElfW(Nhdr) *) (core->data + p[0].p_offset + k);

                found += n->n_type == type;
                k += sizeof(*n) + (n->n_namesz + 3) / 4 * 4 + (n->n_descsz + 3) / 4 * 4;
        }
        return found;
}

static void hide_memory(void *userdata) {
        uint8_t *p = map_at(PLACE, 8 * PAGE, -1, MAP_PRIVATE | MAP_ANONYMOUS);

        (void) userdata;
        memset(p, 'a', PAGE);
        memset(p + 2 * PAGE, 'b', PAGE);
        memset(p + 4 * PAGE, 'c', PAGE);
        assert_int_equal(mprotect(p + 2 * PAGE, PAGE, PROT_NONE), 0);
        assert_int_equal(madvise(p + 4 * PAGE, PAGE, MADV_DONTDUMP), 0);
}

/* Pages of PLACE that are there. */
static unsigned present(pid_t pid) {
        uint64_t words[8];
        char path[64];
        unsigned set = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/pagemap", (int) pid);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_int_equal(pread(fd, words, sizeof(words), (off_t) ((uintptr_t) PLACE / PAGE * 8)), sizeof(words));
        for (unsigned i = 0; i < ELEMENTSOF(words); i++)
                set |= (unsigned) (words[i] >> 63) << i;
        return set;
}

static void memory_is_kept_also_where_its_owner_hid_it_and_none_is_made(void **state) {
        struct target_box *b = *state;
        const pid_t pid = target_box_spawn(b, hide_memory, NULL);

        target_box_freeze(b, true);
        target_box_open(b);
        assert_int_equal(present(pid), 0x15);
        core_collect(b->set, b->box.store);
        assert_int_equal(present(pid), 0x15);
        box_finish(&b->box);
        _cleanup_(scratch_bytes_done) struct scratch_bytes core = box_bytes(&b->box, box_object(&b->box, "core", 0));

        assert_int_equal(*at(&core, PLACE + PAGE - 1), 'a');
        assert_null(at(&core, PLACE + PAGE));
        assert_int_equal(*at(&core, PLACE + 2 * PAGE), 'b');
        assert_int_equal(*at(&core, PLACE + 5 * PAGE - 1), 'c');
        assert_null(at(&core, PLACE + 7 * PAGE));
        assert_int_equal(notes_of(&core, NT_PRSTATUS), 1);
        assert_int_equal(notes_of(&core, NT_FILE), 1);
        assert_null(json_object_get(box_object(&b->box, "core", 0), "not_frozen"));
        assert_null(box_hole(&b->box, "core", 0));
}

/* In a mount namespace of its own /dev is what it likes, and /dev/zero has any name. */
static void hide_behind_devices(void *userdata) {
        int file, zero;

        (void) userdata;
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        assert_int_equal(mount("dev", "/dev", "tmpfs", 0, "size=1m"), 0);
        file = open("/dev/mem", O_RDWR | O_CREAT, 0600);
        assert_int_equal(ftruncate(file, (off_t) PAGE), 0);
        memset(map_at(PLACE, PAGE, file, MAP_PRIVATE), 'd', PAGE);
        assert_int_equal(mknod("/dev/any", S_IFCHR | 0600, makedev(1, 5)), 0);
        zero = open("/dev/any", O_RDWR);
        memset(map_at(SECRET, PAGE, zero, MAP_PRIVATE), 'z', PAGE);
}

static void memory_is_not_hidden_by_the_name_of_a_device(void **state) {
        struct target_box *b = *state;

        target_box_spawn(b, hide_behind_devices, NULL);
        target_box_freeze(b, true);
        target_box_open(b);
        core_collect(b->set, b->box.store);
        box_finish(&b->box);
        _cleanup_(scratch_bytes_done) struct scratch_bytes core = box_bytes(&b->box, box_object(&b->box, "core", 0));

        assert_int_equal(*at(&core, PLACE), 'd');
        assert_int_equal(*at(&core, SECRET), 'z');
}

static void *sleep_long(void *userdata) {
        (void) userdata;
        for (;;)
                (void) pause();
        return NULL;
}

static void make_threads(void *userdata) {
        pthread_t t;

        (void) userdata;
        for (int i = 0; i < 5; i++)
                assert_int_equal(pthread_create(&t, NULL, sleep_long, NULL), 0);
}

static void every_thread_is_in_the_core_when_frozen_and_none_is_stopped_when_not(void **state) {
        struct target_box *b = *state;

        target_box_spawn(b, make_threads, NULL);
        for (int frozen = 0; frozen < 2; frozen++) {
                target_box_freeze(b, frozen);
                target_box_open(b);
                core_collect(b->set, b->box.store);
                box_finish(&b->box);
                const json_t *o = box_object(&b->box, "core", 0);
                _cleanup_(scratch_bytes_done) struct scratch_bytes core = box_bytes(&b->box, o);

                assert_int_equal(notes_of(&core, NT_PRSTATUS), frozen ? 6 : 0);
                assert_int_equal(json_is_true(json_object_get(o, "not_frozen")), !frozen);
                if (!frozen)
                        assert_string_equal(box_text(box_hole(&b->box, "core", 0), "hole"), "EBUSY");
                target_box_close(b);
        }
}

static void what_was_released_meanwhile_is_said_to_be_free_and_none_of_its_threads_is_stopped(void **state) {
        struct target_box *b = *state;

        target_box_spawn(b, make_threads, NULL);
        target_box_freeze(b, true);
        target_box_open(b);
        assert_true(b->set->processes[0].frozen);
        target_box_freeze(b, false);
        core_collect(b->set, b->box.store);
        box_finish(&b->box);
        const json_t *o = box_object(&b->box, "core", 0), *events = box_object(&b->box, "cgroup-events", 0);
        _cleanup_(scratch_bytes_done) struct scratch_bytes core = box_bytes(&b->box, o);

        assert_true(json_is_true(json_object_get(o, "not_frozen")));
        assert_int_equal(notes_of(&core, NT_PRSTATUS), 0);
        assert_string_equal(box_text(box_hole(&b->box, "core", 0), "hole"), "EBUSY");
        assert_null(box_hole(&b->box, "core", 1));
        assert_string_equal(box_text(box_hole(&b->box, "cgroup-events", 0), "hole"), "changed");
        assert_non_null(strstr(box_text(events, "source"), b->cgroup));
        assert_null(box_hole(&b->box, "cgroup-events", 1));
}

static void *fork_and_wait(void *userdata) {
        (void) userdata;
        if (vfork() == 0) {
                /* the pipe of who waits for its parent */
                (void) close_range(3, UINT_MAX, 0);
                for (;;)
                        (void) pause();
        }
        return NULL;
}

static void make_one_that_waits_and_threads(void *userdata) {
        pthread_t t;

        assert_int_equal(pthread_create(&t, NULL, fork_and_wait, NULL), 0);
        make_threads(userdata);
}

static bool has_all_but_one(struct target_box *b, pid_t pid) {
        size_t n = 0, holes = 0;

        core_collect(b->set, b->box.store);
        box_finish(&b->box);
        for (size_t i = 0; box_object(&b->box, "core", i); i++) {
                const json_t *o = box_object(&b->box, "core", i);
                _cleanup_(scratch_bytes_done) struct scratch_bytes core = box_bytes(&b->box, o);

                if (box_int(o, "pid") == pid)
                        n = notes_of(&core, NT_PRSTATUS);
        }
        while (box_hole(&b->box, "core", holes))
                holes++;
        return n == 6 && holes == 1 && strcmp(box_text(box_hole(&b->box, "core", 0), "hole"), "ETIME") == 0;
}

/* It waits for its vfork(2) to end, and never stops. */
static void a_thread_that_never_stops_is_one_hole_and_costs_no_other(void **state) {
        struct target_box *b = *state;
        const char *const cgroup = b->cgroup, *const unit = "-";
        const pid_t pid = target_box_spawn(b, make_one_that_waits_and_threads, NULL);

        box_open(&b->box, 2ULL << 30);
        b->set = target_set_new(&cgroup, &unit, 1);
        while (b->set->n_processes < 2) {
                (void) usleep(1000);
                (void) target_find_processes(b->set, b->box.store);
        }
        target_box_freeze(b, true);
        /* in a process of its own, as the collector is: only its end lets go of such a thread */
        const pid_t asks = fork();

        if (asks == 0)
                _exit(has_all_but_one(b, pid) ? 0 : 1);
        assert_int_equal(scratch_wait(asks), 0);
}

static void keep_secret(void *userdata) {
        int fd = (int) syscall(SYS_memfd_secret, 0);
        uint8_t *p;

        if (fd < 0 || ftruncate(fd, 2 * (off_t) PAGE) < 0) {
                *(bool *) userdata = false;
                return;
        }
        p = map_at(SECRET, 2 * PAGE, fd, MAP_SHARED);
        memset(p, 's', 2 * PAGE);
        memset(map_at(PLACE, PAGE, -1, MAP_PRIVATE | MAP_ANONYMOUS), 'a', PAGE);
        *(bool *) userdata = true;
}

static void pages_that_nobody_can_read_are_zeros_and_one_hole_that_says_where(void **state) {
        bool *works = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct target_box *b = *state;

        target_box_spawn(b, keep_secret, works);
        if (!*works) {
                print_message("skip: this kernel has no memfd_secret\n");
                skip();
        }

        target_box_freeze(b, true);
        target_box_open(b);
        core_collect(b->set, b->box.store);
        box_finish(&b->box);
        const json_t *hole = box_hole(&b->box, "core", 0);
        _cleanup_(scratch_bytes_done) struct scratch_bytes core = box_bytes(&b->box, box_object(&b->box, "core", 0));
        char source[96];

        (void) snprintf(source, sizeof(source), "/proc/%d/mem 310000000000-310000002000", (int) b->pids[0]);
        assert_non_null(hole);
        assert_string_equal(box_text(hole, "source"), source);
        assert_int_equal(box_int(hole, "expected"), 2 * PAGE);
        assert_int_equal(*at(&core, SECRET), 0);
        assert_int_equal(*at(&core, PLACE), 'a');
        assert_null(box_hole(&b->box, "core", 1));
        (void) munmap(works, PAGE);
}

#define MANY (RUNS_MAX + 500)

static void scatter_pages(void *userdata) {
        uint8_t *p = map_at(PLACE, 2 * MANY * PAGE, -1, MAP_PRIVATE | MAP_ANONYMOUS);

        (void) userdata;
        for (size_t i = 0; i < MANY; i++)
                p[2 * i * PAGE] = (uint8_t) (1 + i % 200);
}

static void memory_in_more_runs_than_a_core_takes_is_kept_without_making_a_page(void **state) {
        struct target_box *b = *state;
        const pid_t pid = target_box_spawn(b, scatter_pages, NULL);

        target_box_freeze(b, true);
        target_box_open(b);
        assert_int_equal(present(pid), 0x55);
        core_collect(b->set, b->box.store);
        assert_int_equal(present(pid), 0x55);
        box_finish(&b->box);
        _cleanup_(scratch_bytes_done) struct scratch_bytes core = box_bytes(&b->box, box_object(&b->box, "core", 0));

        for (size_t i = 0; i < MANY; i += 997) {
                assert_int_equal(*at(&core, PLACE + 2 * i * PAGE), 1 + i % 200);
                assert_int_equal(*at(&core, PLACE + (2 * i + 1) * PAGE - 1), 0);
        }
}

/* What a page that is swapped out looks like, without a disk for it. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#define MEMORY "/sys/fs/cgroup/memory"

static void seem_swapped_out(void *userdata) {
        uint8_t *p = map_at(PLACE, 3 * PAGE, -1, MAP_PRIVATE | MAP_ANONYMOUS);

        memset(p, 'p', 3 * PAGE);
        *(bool *) userdata = madvise(p + PAGE, PAGE, MADV_GUARD_INSTALL) == 0;
}

static void write_to(const char *folder, const char *file, const char *text) {
        char path[192];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, file);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Collected twice: while its cgroup has room, and has none. */
static void what_is_swapped_out_is_left_there_when_its_return_could_kill_the_process(void **state) {
        bool *works = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct target_box *b = *state;
        char limited[128], pid[16];

        (void) snprintf(limited, sizeof(limited), MEMORY "/freezed-test-%d", (int) getpid());
        (void) snprintf(pid, sizeof(pid), "%d", (int) target_box_spawn(b, seem_swapped_out, works));
        if (!*works || mkdir(limited, 0755) < 0) {
                print_message("skip: needs MADV_GUARD_INSTALL and a cgroup that limits memory\n");
                skip();
        }
        write_to(limited, "cgroup.procs", pid);
        target_box_freeze(b, true);
        for (int room = 1; room >= 0; room--) {
                write_to(limited, "memory.limit_in_bytes", room ? "-1" : "16M");
                target_box_open(b);
                core_collect(b->set, b->box.store);
                box_finish(&b->box);
                const json_t *hole = box_hole(&b->box, "core", 0);
                _cleanup_(scratch_bytes_done) struct scratch_bytes core =
                        box_bytes(&b->box, box_object(&b->box, "core", 0));

                /* with room it is asked for, and is none that can be read */
                assert_string_equal(box_text(hole, "hole"), room ? "EIO" : "ENOMEM");
                assert_int_equal(box_int(hole, "expected"), PAGE);
                assert_null(box_hole(&b->box, "core", 1));
                assert_int_equal(*at(&core, PLACE), 'p');
                assert_int_equal(*at(&core, PLACE + PAGE), 0);
                assert_int_equal(*at(&core, PLACE + 2 * PAGE), 'p');
                target_box_close(b);
        }
        target_box_freeze(b, false);
        target_box_end(b, 0);
        assert_int_equal(rmdir(limited), 0);
        (void) munmap(works, PAGE);
}

#define MAPPINGS 60000
#define NAME_LEN 230

/* A file so deep down that what /proc/PID/maps says of so many mappings of it is longer than 32 MiB. */
static void map_often(void *userdata) {
        const struct scratch *s = userdata;
        char path[1024], name[NAME_LEN + 2] = "/";
        int n = snprintf(path, sizeof(path), "%s", s->path), fd;

        memset(name + 1, 'n', NAME_LEN);
        for (int i = 0; i < 3; i++) {
                n += snprintf(path + n, sizeof(path) - (size_t) n, "%s", name);
                assert_int_equal(i < 2 ? mkdir(path, 0700) : 0, 0);
        }
        fd = open(path, O_RDWR | O_CREAT, 0600);
        assert_int_equal(ftruncate(fd, (off_t) PAGE), 0);
        for (size_t i = 0; i < MAPPINGS; i++)
                assert_true(mmap(SECRET + i * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) != MAP_FAILED);
        hide_memory(NULL);
}

static void memory_is_not_hidden_behind_more_names_than_there_is_room_for(void **state) {
        struct target_box *b = *state;
        _cleanup_scratch_ struct scratch s;

        scratch_make(&s);
        target_box_spawn(b, map_often, &s);
        target_box_freeze(b, true);
        target_box_open(b);
        core_collect(b->set, b->box.store);
        box_finish(&b->box);
        _cleanup_(scratch_bytes_done) struct scratch_bytes core = box_bytes(&b->box, box_object(&b->box, "core", 0));
        const json_t *hole = box_hole(&b->box, "core", 0);

        assert_int_equal(*at(&core, PLACE + 2 * PAGE), 'b');
        assert_int_equal(notes_of(&core, NT_PRSTATUS), 1);
        assert_int_equal(notes_of(&core, NT_FILE), 1);
        /* the names alone */
        assert_string_equal(box_text(hole, "hole"), "EFBIG");
        assert_non_null(strstr(box_text(hole, "source"), "/maps"));
        assert_null(box_hole(&b->box, "core", 1));
}

static void one_that_is_gone_by_then_is_a_hole_and_costs_no_other(void **state) {
        struct target_box *b = *state;
        const pid_t first = target_box_spawn(b, NULL, NULL);

        target_box_spawn(b, hide_memory, NULL);
        target_box_open(b);
        target_box_end(b, 0);
        core_collect(b->set, b->box.store);
        box_finish(&b->box);
        assert_string_equal(box_text(box_hole(&b->box, "core", 0), "hole"), "ESRCH");
        assert_int_equal(box_int(box_hole(&b->box, "core", 0), "pid"), first);
        assert_int_equal(box_int(box_object(&b->box, "core", 0), "pid"), b->pids[0]);
}

static void fill_much(void *userdata) {
        (void) userdata;
        memset(map_at(PLACE, 4096 * PAGE, -1, MAP_PRIVATE | MAP_ANONYMOUS), 'x', 4096 * PAGE);
}

static void the_smallest_comes_first(void **state) {
        struct target_box *b = *state;

        target_box_spawn(b, fill_much, NULL);
        target_box_spawn(b, NULL, NULL);
        target_box_freeze(b, true);
        target_box_open(b);
        core_collect(b->set, b->box.store);
        box_finish(&b->box);
        assert_int_equal(box_int(box_object(&b->box, "core", 0), "pid"), b->pids[1]);
        assert_int_equal(box_int(box_object(&b->box, "core", 1), "pid"), b->pids[0]);
}

/* It never goes off: when it does, nobody but its owner knows. */
static void fill_much_with_a_timer(void *userdata) {
        struct sigevent to = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = *(int *) userdata };
        timer_t timer;

        fill_much(NULL);
        assert_int_equal(timer_create(CLOCK_MONOTONIC, &to, &timer), 0);
}

static void what_a_timer_of_its_own_would_end_comes_first_and_once(void **state) {
        struct target_box *b = *state;
        int deadly = SIGKILL, harmless = SIGURG;

        target_box_spawn(b, fill_much_with_a_timer, &harmless);
        target_box_spawn(b, fill_much_with_a_timer, &deadly);
        target_box_spawn(b, NULL, NULL);
        target_box_freeze(b, true);
        target_box_open(b);
        core_collect_doomed(b->set, b->box.store, BOX_FAR_US);
        core_collect(b->set, b->box.store);
        box_finish(&b->box);
        assert_int_equal(box_int(box_object(&b->box, "core", 0), "pid"), b->pids[1]);
        assert_true(json_is_true(json_object_get(box_object(&b->box, "core", 0), "own_timer")));
        assert_int_equal(box_int(box_object(&b->box, "core", 1), "pid"), b->pids[2]);
        assert_int_equal(box_int(box_object(&b->box, "core", 2), "pid"), b->pids[0]);
        assert_null(json_object_get(box_object(&b->box, "core", 2), "own_timer"));
        assert_null(box_object(&b->box, "core", 3));
}

/* Not all of that is read in so short a time, and some may be. */
static void what_there_was_no_time_for_is_read_whole_with_the_others(void **state) {
        static const int64_t times_us[] = { 0, 4000 };
        int deadly = SIGKILL;

        for (size_t i = 0; i < ELEMENTSOF(times_us); i++) {
                struct target_box *b = *state;
                size_t n = 0;

                if (b->n_pids == 0)
                        target_box_spawn(b, fill_much_with_a_timer, &deadly);
                target_box_freeze(b, true);
                target_box_open(b);
                core_collect_doomed(b->set, b->box.store, times_us[i]);
                core_collect(b->set, b->box.store);
                box_finish(&b->box);
                while (box_object(&b->box, "core", n))
                        n++;
                assert_true(n >= 1);
                assert_true(box_int(box_object(&b->box, "core", n - 1), "bytes") > (json_int_t) (4096 * PAGE));
                if (n == 1)
                        assert_null(box_hole(&b->box, "core", 0));
                /* its time is no matter of the store's */
                assert_false(b->box.result.flags & COLLECT_CUT_TIME);
                target_box_close(b);
        }
}

static void only_what_ends_a_process_at_once_dooms_it(void **state) {
#define TIMER(sig, notify) "ID: 0\nsignal: " sig "/00007fff86e452a8\nnotify: " notify "\nClockID: 1\n"
#define STATUS(ignored, caught) \
        "Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t" ignored "\nSigCgt:\t" caught "\nCapInh:\t0\n"
#define NONE "0000000000000000"
        static const struct {
                const char *timers, *status;
                bool ends;
        } rows[] = {
                { TIMER("9", "signal/pid.4711"), STATUS(NONE, NONE), true },
                { TIMER("9", "signal/tid.4711"), STATUS(NONE, NONE), true },
                { TIMER("14", "signal/pid.4711"), STATUS(NONE, NONE), true },
                { TIMER("64", "signal/pid.4711"), STATUS(NONE, NONE), true },
                { TIMER("17", "signal/pid.1") TIMER("9", "signal/pid.1"), STATUS(NONE, NONE), true },
                { "", STATUS(NONE, NONE), false },
                { TIMER("9", "none/pid.4711"), STATUS(NONE, NONE), false },
                { TIMER("9", "thread/pid.4711"), STATUS(NONE, NONE), false },
                { TIMER("14", "signal/pid.4711"), STATUS("0000000000002000", NONE), false },
                { TIMER("14", "signal/pid.4711"), STATUS(NONE, "0000000000002000"), false },
                { TIMER("64", "signal/pid.4711"), STATUS(NONE, "8000000000000000"), false },
                { TIMER("17", "signal/pid.4711"), STATUS(NONE, NONE), false },
                { TIMER("19", "signal/pid.4711"), STATUS(NONE, NONE), false },
                { TIMER("11", "signal/pid.4711"), STATUS(NONE, NONE), false },
                { TIMER("0", "signal/pid.4711"), STATUS(NONE, NONE), false },
                { TIMER("65", "signal/pid.4711"), STATUS(NONE, NONE), false },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_int_equal(core_timer_ends(rows[i].timers, rows[i].status), rows[i].ends);
}

static void what_is_swapped_out_counts(void **state) {
        (void) state;
        assert_int_equal(core_size("Name:\tVmRSS:9\nVmPeak:\t  9 kB\nVmRSS:\t    1964 kB\nVmSwap:\t  1000000 kB\n"),
                         1001964);
        assert_int_equal(core_size("Name:\tVmSwap:\nVmRSS:\t    1964 kB\n"), 1964);
        assert_int_equal(core_size("Name:\tkthreadd\n"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TARGET_BOX_CASE(memory_is_kept_also_where_its_owner_hid_it_and_none_is_made),
                TARGET_BOX_CASE(memory_is_not_hidden_by_the_name_of_a_device),
                TARGET_BOX_CASE(every_thread_is_in_the_core_when_frozen_and_none_is_stopped_when_not),
                TARGET_BOX_CASE(what_was_released_meanwhile_is_said_to_be_free_and_none_of_its_threads_is_stopped),
                TARGET_BOX_CASE(a_thread_that_never_stops_is_one_hole_and_costs_no_other),
                TARGET_BOX_CASE(pages_that_nobody_can_read_are_zeros_and_one_hole_that_says_where),
                TARGET_BOX_CASE(memory_in_more_runs_than_a_core_takes_is_kept_without_making_a_page),
                TARGET_BOX_CASE(what_is_swapped_out_is_left_there_when_its_return_could_kill_the_process),
                TARGET_BOX_CASE(memory_is_not_hidden_behind_more_names_than_there_is_room_for),
                TARGET_BOX_CASE(one_that_is_gone_by_then_is_a_hole_and_costs_no_other),
                TARGET_BOX_CASE(the_smallest_comes_first),
                TARGET_BOX_CASE(what_a_timer_of_its_own_would_end_comes_first_and_once),
                TARGET_BOX_CASE(what_there_was_no_time_for_is_read_whole_with_the_others),
                cmocka_unit_test(only_what_ends_a_process_at_once_dooms_it),
                cmocka_unit_test(what_is_swapped_out_counts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
