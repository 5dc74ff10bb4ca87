/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/nameless.c agent/collect/sparse.c agent/collect/maps.c agent/collect/mounts.c */
/* LINK: agent/collect/target.c agent/collect/numdir.c agent/collect/pidlist.c agent/collect/source.c */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c */
#include "lib/target_box.h"

#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "agent/collect/nameless.h"

#define LARGE (21U << 20) /* more than a well-known tool keeps of a deleted program */

static void collect(struct target_box *b) {
        target_box_freeze(b, true);
        target_box_open(b);
        nameless_collect(b->set, b->box.store);
        box_finish(&b->box);
}

static size_t count(const struct target_box *b, const char *kind) {
        size_t n = 0;

        while (box_object(&b->box, kind, n))
                n++;
        return n;
}

static void a_deleted_program_is_kept_whole_whatever_its_size(void **state) {
        struct target_box *b = *state;
        _cleanup_scratch_ struct scratch s;
        char path[128], command[1024];

        scratch_make(&s);
        (void) snprintf(path, sizeof(path), "%s/implant", s.path);
        (void) snprintf(command, sizeof(command), "cp /bin/sleep %s && head -c %u /dev/urandom >>%s && cp %s %s.kept",
                        path, LARGE, path, path, path);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
        /* it waits in the program, and its name says when it does */
        const pid_t pid = fork();

        if (pid == 0) {
                target_box_write(b, "cgroup.procs", "0");
                (void) execl(path, path, "1000", NULL);
                _exit(1);
        }
        b->pids[b->n_pids++] = pid;
        for (char comm[32] = ""; strncmp(comm, "implant", 7) != 0; (void) usleep(1000)) {
                char proc[64];

                (void) snprintf(proc, sizeof(proc), "/proc/%d/comm", (int) pid);
                _cleanup_close_ int fd = open(proc, O_RDONLY | O_CLOEXEC);

                assert_true(read(fd, comm, sizeof(comm) - 1) > 0);
        }
        assert_int_equal(unlink(path), 0);
        collect(b);
        (void) snprintf(command, sizeof(command), "cmp %s.kept %s", path,
                        box_path(&b->box, box_object(&b->box, "deleted-exe", 0)));
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
        /* mapped as well, and kept once */
        assert_int_equal(count(b, "deleted-mapping"), 0);
}

static void hold_files(void *userdata) {
        const char *dir = userdata;
        int fd;

        assert_int_equal(chdir(dir), 0);
        fd = open("gone\n\x1b[2J", O_RDWR | O_CREAT, 0600);
        assert_int_equal(write(fd, "deleted", 7), 7);
        assert_true(dup(fd) >= 0);
        assert_true(fork() >= 0);
        assert_int_equal(unlink("gone\n\x1b[2J") < 0 && errno != ENOENT, 0);
        fd = open("named", O_RDWR | O_CREAT, 0600);
        assert_int_equal(write(fd, "has a name", 10), 10);
        (void) mkfifo("fifo", 0600);
        assert_true(open("fifo", O_RDWR) >= 0);
        (void) unlink("fifo");
        fd = memfd_create("code", 0);
        assert_int_equal(write(fd, "in memory", 9), 9);
}

static void files_without_a_name_are_kept_once_and_nothing_else_is_touched(void **state) {
        struct target_box *b = *state;
        _cleanup_scratch_ struct scratch s;

        scratch_make(&s);
        target_box_spawn(b, hold_files, s.path);
        (void) usleep(20000);
        target_box_freeze(b, true);
        box_open(&b->box, 1ULL << 30);
        const char *const cgroup = b->cgroup, *const unit = "-";

        b->set = target_set_new(&cgroup, &unit, 1);
        (void) target_find_processes(b->set, b->box.store);
        assert_int_equal(b->set->n_processes, 2);
        nameless_collect(b->set, b->box.store);
        target_box_write(b, "cgroup.freeze", "0");
        box_finish(&b->box);
        bool deleted = false, memory = false;

        for (size_t i = 0; i < count(b, "deleted-file"); i++) {
                _cleanup_(scratch_bytes_done) struct scratch_bytes is =
                        box_bytes(&b->box, box_object(&b->box, "deleted-file", i));

                assert_false(is.n >= 10 && memcmp(is.data, "has a name", 10) == 0);
                if (is.n == 7 && memcmp(is.data, "deleted", 7) == 0) {
                        assert_false(deleted);
                        deleted = true;
                }
                memory |= is.n == 9 && memcmp(is.data, "in memory", 9) == 0;
        }
        assert_true(deleted && memory);
        assert_null(box_hole(&b->box, "deleted-file", 0));
        /* the child of its own */
        for (size_t i = 0; i < b->set->n_processes; i++)
                if (b->set->processes[i].pid != b->pids[0])
                        (void) kill(b->set->processes[i].pid, SIGKILL);
}

static void hold_sparse(void *userdata) {
        const char *dir = userdata;
        int fd;

        assert_int_equal(chdir(dir), 0);
        fd = open("sparse", O_RDWR | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(unlink("sparse"), 0);
        assert_int_equal(ftruncate(fd, 1LL << 40), 0);
        assert_int_equal(pwrite(fd, "first", 5, 4096), 5);
        assert_int_equal(pwrite(fd, "last", 4, (1LL << 40) - 4), 4);
}

static void of_a_file_with_gaps_the_data_is_kept_and_where_it_belongs(void **state) {
        struct target_box *b = *state;
        _cleanup_scratch_ struct scratch s;
        const json_t *o, *note = NULL;
        size_t i;

        scratch_make(&s);
        target_box_spawn(b, hold_sparse, s.path);
        collect(b);
        json_array_foreach(b->box.index, i, o) {
                const char *what = json_string_value(json_object_get(o, "note"));

                if (what && strcmp(what, "sparse") == 0)
                        note = o;
        }
        assert_non_null(note);
        assert_int_equal(box_int(note, "size"), 1LL << 40);
        const json_t *runs = json_object_get(note, "runs");
        json_int_t bytes = 0;

        assert_int_equal(json_array_size(runs), 2);
        for (i = 0; i < 2; i++)
                bytes += json_integer_value(json_array_get(json_array_get(runs, i), 1));
        bool found = false;

        for (i = 0; i < count(b, "deleted-file"); i++) {
                const json_t *object = box_object(&b->box, "deleted-file", i);
                _cleanup_(scratch_bytes_done) struct scratch_bytes is = box_bytes(&b->box, object);

                found |= (json_int_t) is.n == bytes && memmem(is.data, is.n, "first", 5) &&
                         memcmp(is.data + is.n - 4, "last", 4) == 0;
        }
        assert_true(found);
}

static void map_deleted(void *userdata) {
        const char *dir = userdata;
        int fd;

        assert_int_equal(chdir(dir), 0);
        fd = open("lib.so", O_RDWR | O_CREAT, 0600);
        assert_int_equal(write(fd, "library", 7), 7);
        assert_true(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
        assert_int_equal(close(fd), 0);
        assert_int_equal(unlink("lib.so"), 0);
}

static void a_deleted_library_that_only_a_mapping_holds_is_kept(void **state) {
        struct target_box *b = *state;
        _cleanup_scratch_ struct scratch s;

        scratch_make(&s);
        target_box_spawn(b, map_deleted, s.path);
        collect(b);
        assert_int_equal(count(b, "deleted-mapping"), 1);
        _cleanup_(scratch_bytes_done) struct scratch_bytes is =
                box_bytes(&b->box, box_object(&b->box, "deleted-mapping", 0));

        assert_int_equal(is.n, 7);
        assert_memory_equal(is.data, "library", 7);
}

/* only against one that never ends */
#define ENDS_S 60U

static void answer(int fd, uint64_t unique, int error, const void *bytes, size_t n) {
        struct fuse_out_header h = { .len = (uint32_t) (sizeof(h) + n), .unique = unique, .error = error };
        const struct iovec v[] = { { &h, sizeof(h) }, { (void *) (uintptr_t) bytes, n } };

        (void) !writev(fd, v, 2);
}

/* A file system with files of whatever name that can be opened and removed. What it says of them is good for no time at
 * all, so each look at one is a question. */
static void serve(int fd) {
        static uint8_t request[1 << 17];
        const struct fuse_attr dir = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
        const struct fuse_attr file = { .ino = 2, .mode = S_IFREG | 0600, .nlink = 1, .size = 5 };
        const struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 4096 };
        const struct fuse_entry_out entry = { .nodeid = 2, .generation = 1, .attr = file };
        const struct fuse_open_out opened = { .fh = 1 };

        /* the pipe of who waits for the other one */
        for (int i = 3; i < 64; i++)
                if (i != fd)
                        (void) close(i);
        while (read(fd, request, sizeof(request)) > 0) {
                const struct fuse_in_header *in = (const struct fuse_in_header *) request;
                const struct fuse_attr_out attr = { .attr = in->nodeid == 1 ? dir : file };

                if (in->opcode == FUSE_INIT)
                        answer(fd, in->unique, 0, &init, sizeof(init));
                else if (in->opcode == FUSE_LOOKUP)
                        answer(fd, in->unique, 0, &entry, sizeof(entry));
                else if (in->opcode == FUSE_GETATTR)
                        answer(fd, in->unique, 0, &attr, sizeof(attr));
                else if (in->opcode == FUSE_OPEN)
                        answer(fd, in->unique, 0, &opened, sizeof(opened));
                else if (in->opcode == FUSE_UNLINK)
                        answer(fd, in->unique, 0, NULL, 0);
                else if (in->opcode != FUSE_FORGET && in->opcode != FUSE_BATCH_FORGET)
                        answer(fd, in->unique, -ENOSYS, NULL, 0);
        }
        _exit(0);
}

/* Holds two files of a file system that is served from the same cgroup, one of them without a name. */
static void hold_own_files(void *userdata) {
        const char *dir = userdata;
        const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        char options[64], path[128];

        (void) snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
        if (fuse < 0 || mount("test", dir, "fuse.test", 0, options) < 0)
                _exit(1);
        if (fork() == 0)
                serve(fuse);
        (void) close(fuse);
        (void) snprintf(path, sizeof(path), "%s/named", dir);
        if (open(path, O_RDONLY | O_CLOEXEC) < 0)
                _exit(1);
        (void) snprintf(path, sizeof(path), "%s/gone", dir);
        if (open(path, O_RDONLY | O_CLOEXEC) < 0 || unlink(path) < 0 || memfd_create("code", MFD_CLOEXEC) < 0)
                _exit(1);
}

static void files_that_the_frozen_service_itself_serves_are_not_waited_for(void **state) {
        struct target_box *b = *state;
        _cleanup_scratch_ struct scratch s;
        const char *const cgroup = b->cgroup, *const unit = "-";

        if (access("/dev/fuse", R_OK | W_OK) < 0) {
                print_message("skip: no /dev/fuse to serve a file system with\n");
                skip();
        }
        scratch_make(&s);
        target_box_spawn(b, hold_own_files, s.path);
        target_box_freeze(b, true);
        box_open(&b->box, 1ULL << 30);
        b->set = target_set_new(&cgroup, &unit, 1);
        (void) target_find_processes(b->set, b->box.store);
        assert_int_equal(b->set->n_processes, 2);
        (void) alarm(ENDS_S);
        nameless_collect(b->set, b->box.store);
        (void) alarm(0);
        target_box_write(b, "cgroup.kill", "1");
        assert_int_equal(umount2(s.path, MNT_DETACH), 0);
        box_finish(&b->box);
        assert_string_equal(box_text(box_hole(&b->box, "deleted-file", 0), "hole"), "EREMOTE");
        assert_null(box_hole(&b->box, "deleted-file", 1));
        /* the memfd, which is nobody's to serve */
        assert_int_equal(count(b, "deleted-file"), 1);
}

/* Files that have a name, or are known, take time as well. */
static void after_its_time_nothing_is_looked_at_and_that_is_said(void **state) {
        struct target_box *b = *state;

        target_box_spawn(b, NULL, NULL);
        target_box_freeze(b, true);
        target_box_open(b);
        store_keep(b->box.store, 0, 0, BOX_FAR_US);
        nameless_collect(b->set, b->box.store);
        box_finish(&b->box);
        assert_string_equal(box_text(box_hole(&b->box, "deleted-file", 0), "hole"), "ETIME");
        assert_null(box_hole(&b->box, "deleted-file", 1));
        assert_true(b->box.result.flags & COLLECT_CUT_TIME);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TARGET_BOX_CASE(a_deleted_program_is_kept_whole_whatever_its_size),
                TARGET_BOX_CASE(files_without_a_name_are_kept_once_and_nothing_else_is_touched),
                TARGET_BOX_CASE(of_a_file_with_gaps_the_data_is_kept_and_where_it_belongs),
                TARGET_BOX_CASE(a_deleted_library_that_only_a_mapping_holds_is_kept),
                TARGET_BOX_CASE(files_that_the_frozen_service_itself_serves_are_not_waited_for),
                TARGET_BOX_CASE(after_its_time_nothing_is_looked_at_and_that_is_said),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
