/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/journal.c agent/collect/journal_match.c agent/collect/runtime.c agent/collect/sequence.c agent/collect/export.c agent/collect/guard.c */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c agent/collect/source.c */
/* LINK: agent/util/clock.c agent/util/io.c agent/util/fault.c */
#include "lib/collect_box.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "agent/collect/guard.h"
#include "agent/collect/journal.h"
#include "agent/util/io.h"

/* A real journald, in a mount namespace where /run and /var/log are empty, and a real unit in its eyes: a cgroup with a
 * unit's name. */
#define JOURNALD   "/lib/systemd/systemd-journald"
#define WAIT_US    (60LL * 1000 * 1000)
#define BIG        (300U * 1024)
#define HUGE_FIELD (40U * 1024 * 1024)
#define FUZZ_COUNT 60U

static struct {
        bool up;
        pid_t journald;
        char unit[64], slice[64];
        char cgroups[3][160];
        size_t n_cgroups;
} world;

static const char *const hierarchies[] = { "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };

static bool shell(const char *command) {
        return system(command) == 0; /* NOLINT: fixed commands */
}

static bool wait_for(const char *command) {
        for (int64_t end = clock_mono_us() + WAIT_US; clock_mono_us() < end; (void) usleep(20000))
                if (shell(command))
                        return true;
        return false;
}

static void make_cgroups(void) {
        for (size_t i = 0; i < ELEMENTSOF(hierarchies); i++) {
                char procs[96], *path = world.cgroups[world.n_cgroups];

                (void) snprintf(procs, sizeof(procs), "%s/cgroup.procs", hierarchies[i]);
                if (access(procs, W_OK) < 0)
                        continue;
                (void) snprintf(path, sizeof(world.cgroups[0]), "%s/%s/%s", hierarchies[i], world.slice, world.unit);
                if (io_mkdirs(path, 0755) == 0)
                        world.n_cgroups++;
        }
        assert_true(world.n_cgroups > 0);
}

static void remove_cgroups(void) {
        while (world.n_cgroups > 0) {
                char *path = world.cgroups[--world.n_cgroups];

                assert_int_equal(rmdir(path), 0);
                *strrchr(path, '/') = '\0';
                assert_int_equal(rmdir(path), 0);
        }
}

static void start_journald(void) {
        world.journald = fork();
        assert_true(world.journald >= 0);
        if (world.journald == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) execl(JOURNALD, JOURNALD, NULL);
                _exit(1);
        }
        assert_true(wait_for("test -S /run/systemd/journal/socket && test -e /run/systemd/journal/stdout"));
}

static void stop_journald(void) {
        if (world.journald <= 0)
                return;
        (void) kill(world.journald, SIGTERM);
        (void) waitpid(world.journald, NULL, 0);
        world.journald = 0;
}

static void send_field(const char *message, const void *field, size_t n) {
        const struct iovec v[] = { { (char *) message, strlen(message) }, { (char *) field, n } };

        if (sd_journal_sendv(v, field ? 2 : 1) < 0)
                _exit(2);
}

/* As the service: text, control characters, bytes that are not text, a field beyond every default limit. */
static void log_as_unit(void) {
        static const char esc[] = "EVIL=\x1b[2J\nSPOOFED=1", raw[] = "RAW=a\0b\xff\n\nc", empty[] = "EMPTY=";
        char *big = malloc(BIG);

        memset(big, 'z', BIG);
        memcpy(big, "BIG=", 4);
        send_field("MESSAGE=plain", NULL, 0);
        send_field("MESSAGE=gr\xc3\xbc\xc3\x9f", esc, sizeof(esc) - 1);
        send_field("MESSAGE=two\nlines", raw, sizeof(raw) - 1);
        send_field("MESSAGE=\xff\xfe", empty, sizeof(empty) - 1);
        send_field("MESSAGE=big", big, BIG);
        free(big);
        (void) usleep(300000);
        send_field("MESSAGE=second half", NULL, 0);
        send_field("MESSAGE=last by the unit", NULL, 0);
}

static pid_t start_unit(void) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid != 0)
                return pid;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (size_t i = 0; i < world.n_cgroups; i++) {
                char procs[200];

                (void) snprintf(procs, sizeof(procs), "%s/cgroup.procs", world.cgroups[i]);
                if (io_write_string(AT_FDCWD, procs, "0") < 0)
                        _exit(1);
        }
        log_as_unit();
        for (;;)
                (void) pause();
}

static void log_dump(const char *message, const void *field, size_t n) {
        char dump[128];

        (void) snprintf(dump, sizeof(dump), "COREDUMP_UNIT=%s", world.unit);
        const struct iovec v[] = { { (char *) message, strlen(message) },
                                   { (char *) "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1", 43 },
                                   { dump, strlen(dump) },
                                   { (char *) field, n } };

        assert_int_equal(sd_journal_sendv(v, ELEMENTSOF(v)), 0);
}

/* What privileged daemons say about the unit, and what has nothing to do with it. */
static void log_about_unit(pid_t unit_pid) {
        char object[64];

        (void) snprintf(object, sizeof(object), "OBJECT_PID=%d", (int) unit_pid);
        send_field("MESSAGE=about the unit", object, strlen(object));
        log_dump("MESSAGE=it dumped core", "X=1", 3);
        send_field("MESSAGE=of no concern", NULL, 0);
}

/* All of it is in the journal then. */
static bool log_all(void) {
        pid_t unit = start_unit();
        char command[256];
        bool there;

        (void) snprintf(command, sizeof(command), "journalctl -q -u %s | grep -q 'last by the unit'", world.unit);
        there = wait_for(command);
        log_about_unit(unit);
        there = there && wait_for("journalctl -q | grep -q 'of no concern'");
        assert_int_equal(kill(unit, SIGKILL), 0);
        assert_int_equal(scratch_wait(unit), -SIGKILL);
        return there;
}

static int set_up(void **state) {
        (void) state;
        if (geteuid() != 0 || access(JOURNALD, X_OK) < 0 || access("/etc/machine-id", R_OK) < 0)
                return 0;
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        assert_int_equal(mount("run", "/run", "tmpfs", 0, NULL), 0);
        assert_int_equal(mount("log", "/var/log", "tmpfs", 0, NULL), 0);
        assert_int_equal(io_mkdirs("/run/systemd/journal", 0755), 0);
        (void) snprintf(world.slice, sizeof(world.slice), "frzj%d.slice", (int) getpid());
        (void) snprintf(world.unit, sizeof(world.unit), "frzj%d.service", (int) getpid());
        make_cgroups();
        start_journald();
        world.up = log_all();
        return world.up ? 0 : -1;
}

static int tear_down(void **state) {
        (void) state;
        stop_journald();
        remove_cgroups();
        return 0;
}

static bool is_up(void) {
        if (world.up)
                return true;
        print_message("skip: needs root, systemd-journald and a machine id\n");
        skip();
        return false;
}

static void collect(struct box *b, const char *unit, int64_t since_ms, int64_t until_ms) {
        const struct journal_window window = { since_ms, until_ms };

        box_open(b, 64U << 20);
        journal_collect(b->store, unit, &window);
        box_finish(b);
}

/* Byte for byte what journalctl exports, and that it is what the cases below think it is. */
static void assert_same_as_journalctl(const struct box *b, const char *unit, const char *more) {
        const json_t *o = box_object(b, "journal", 0);
        char command[512];

        assert_non_null(o);
        (void) snprintf(command, sizeof(command),
                        "journalctl -q --no-pager -o export --unit=%s %s >/run/expected && cmp /run/expected %s", unit,
                        more, box_path(b, o));
        assert_true(shell(command));
        assert_null(box_hole(b, "journal", 0));
}

static unsigned count_entries(const struct box *b) {
        _cleanup_(scratch_bytes_done) struct scratch_bytes bytes = box_bytes(b, box_object(b, "journal", 0));
        unsigned n = 0;

        for (size_t i = 0; i + 9 < bytes.n; i++)
                n += memcmp(bytes.data + i, "__CURSOR=", 9) == 0 && (i == 0 || bytes.data[i - 1] == '\n');
        return n;
}

static void journal_of_a_unit_is_what_journalctl_exports(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        if (!is_up())
                return;
        collect(&b, world.unit, 0, clock_wall_ms());
        assert_same_as_journalctl(&b, world.unit, "");
        /* seven of its own, one about it, one core dump */
        assert_int_equal(count_entries(&b), 9);
        _cleanup_(scratch_bytes_done) struct scratch_bytes bytes = box_bytes(&b, box_object(&b, "journal", 0));

        assert_non_null(memmem(bytes.data, bytes.n, "RAW\n\x07\0\0\0\0\0\0\0a\0b\xff\n\nc\n", 20));
        assert_true(bytes.n > BIG);
        assert_null(memmem(bytes.data, bytes.n, "of no concern", 13));
}

static void journal_of_a_slice_has_all_that_runs_in_it(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        if (!is_up())
                return;
        collect(&b, world.slice, 0, clock_wall_ms());
        assert_same_as_journalctl(&b, world.slice, "");
        assert_int_equal(count_entries(&b), 7);
}

static void journal_keeps_to_its_window(void **state) {
        _cleanup_box_ struct box all, late, none;
        char first[64] = "", more[96];
        int64_t middle;

        (void) state;
        if (!is_up())
                return;
        collect(&all, world.unit, 0, clock_wall_ms());
        _cleanup_(scratch_bytes_done) struct scratch_bytes bytes = box_bytes(&all, box_object(&all, "journal", 0));
        const char *stamp = memmem(bytes.data, bytes.n, "__REALTIME_TIMESTAMP=", 21);

        assert_non_null(stamp);
        (void) snprintf(first, sizeof(first), "%.16s", stamp + 21);
        middle = atoll(first) / 1000 + 150;
        collect(&late, world.unit, middle, clock_wall_ms());
        (void) snprintf(more, sizeof(more), "--since=@%lld.%03lld", (long long) (middle / 1000),
                        (long long) (middle % 1000));
        assert_same_as_journalctl(&late, world.unit, more);
        assert_int_equal(count_entries(&late), 4);
        collect(&none, world.unit, 0, 1000);
        assert_int_equal(box_int(box_object(&none, "journal", 0), "bytes"), 0);
}

static void journal_of_a_unit_that_never_was_is_empty_not_a_hole(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        if (!is_up())
                return;
        collect(&b, "never-was.service", 0, clock_wall_ms());
        assert_int_equal(box_int(box_object(&b, "journal", 0), "bytes"), 0);
        assert_int_equal(b.result.holes, 0);
}

static void journal_beyond_the_budget_is_cut(void **state) {
        const struct journal_window window = { 0, clock_wall_ms() };
        _cleanup_box_ struct box b;

        (void) state;
        if (!is_up())
                return;
        box_open(&b, 1000);
        journal_collect(b.store, world.unit, &window);
        box_finish(&b);
        /* more than fits a pack, and sealed more than that: nothing of it */
        assert_null(box_object(&b, "journal", 0));
        assert_string_equal(box_text(box_hole(&b, "journal", 0), "hole"), "EFBIG");
}

/* The program itself, within its limits: unpacking this field would take more memory than it has. */
static void journal_field_too_large_to_unpack_costs_nothing_but_itself(void **state) {
        char self[400], command[1024];
        _cleanup_free_ char *huge = malloc(HUGE_FIELD);
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        (void) state;
        if (!is_up())
                return;
        assert_true(n > 0);
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        memset(huge, 'z', HUGE_FIELD);
        memcpy(huge, "HUGE=", 5);
        log_dump("MESSAGE=before", "X=1", 3);
        log_dump("MESSAGE=with the huge one", huge, HUGE_FIELD);
        log_dump("MESSAGE=hidden behind it", "X=1", 3);
        assert_true(wait_for("journalctl -q -n 5 | grep -q 'hidden behind it'"));
        (void) snprintf(command, sizeof(command),
                        "mkdir -m 700 /run/out && %s/../../freezed-collect --folder 3 --result 4 --since 0 --until "
                        "9999999999999 --deadline 20000 "
                        "--max-bytes 100000000 --recipient " AGE_KEYS_PUBLIC
                        " --cgroup %s --unit %s 3</run/out 4>/dev/null",
                        self, world.cgroups[world.n_cgroups - 1], world.unit);
        assert_true(shell(command));
        assert_true(shell("cd /run/out && sha256sum -c --quiet manifest-sha256.txt"));
        assert_true(shell("echo " AGE_KEYS_SECRET " >/run/key && tests/lib/open_bag.sh /run/out /run/key /run/opened"));
        assert_true(shell("grep -qa '^MESSAGE=hidden behind it$' /run/opened/data/*-journal"));
        assert_true(shell("grep -qa '^MESSAGE=with the huge one$' /run/opened/data/*-journal"));
        assert_false(shell("grep -qa '^HUGE' /run/opened/data/*-journal"));
        assert_true(shell("jq -es 'any(.[]; .hole == \"E2BIG\" and (.source | test(\", entry s=\")))' "
                          "/run/opened/index.jsonl >/run/jq"));
}

static void journal_of_the_host_is_everything(void **state) {
        const struct journal_window window = { 0, clock_wall_ms() };
        _cleanup_box_ struct box b;
        char command[256];

        (void) state;
        if (!is_up())
                return;
        box_open(&b, 256U << 20);
        journal_collect_host(b.store, &window);
        journal_collect_kernel(b.store, &window);
        box_finish(&b);
        (void) snprintf(command, sizeof(command), "journalctl -q -o export >/run/expected && cmp /run/expected %s",
                        box_path(&b, box_object(&b, "journal-host", 0)));
        assert_true(shell(command));
        (void) snprintf(command, sizeof(command),
                        "journalctl -q -o export _TRANSPORT=kernel _TRANSPORT=audit >/run/expected && cmp "
                        "/run/expected %s",
                        box_path(&b, box_object(&b, "journal-kernel", 0)));
        assert_true(shell(command));
}

static json_t *sequence_of(struct box *b, const struct journal_window *window, struct scratch_bytes *ret) {
        const json_t *o;

        box_open(b, 64U << 20);
        journal_collect_sequence(b->store, window);
        box_finish(b);
        o = box_object(b, "journal-sequence", 0);
        assert_non_null(o);
        *ret = box_bytes(b, o);
        return json_loads((const char *) ret->data, JSON_DISABLE_EOF_CHECK, NULL);
}

/* Nothing is missing; a file in the middle is taken away by somebody; that shows, and what is missing has a name. */
static void journal_from_which_a_file_was_taken_shows_the_gap(void **state) {
        const struct journal_window window = { 0, clock_wall_ms() + 60000 };
        _cleanup_(scratch_bytes_done) struct scratch_bytes before = { 0 }, after = { 0 };
        _cleanup_json_ json_t *whole = NULL, *holed = NULL;
        _cleanup_box_ struct box a, b;

        (void) state;
        if (!is_up())
                return;
        for (unsigned i = 0; i < 3; i++) {
                send_field("MESSAGE=one of many", NULL, 0);
                assert_true(wait_for("test \"$(journalctl -q -n 1 -o cat)\" = 'one of many'"));
                assert_true(shell("journalctl -q --sync && journalctl -q --rotate"));
                (void) usleep(10000);
        }
        send_field("MESSAGE=the last", NULL, 0);
        assert_true(wait_for("journalctl -q -n 1 -o cat | grep -q 'the last'"));
        whole = sequence_of(&a, &window, &before);
        assert_int_equal(json_array_size(json_object_get(whole, "gaps")), 0);
        assert_null(box_hole(&a, "journal-sequence", 0));
        assert_true(shell("set -- $(ls /run/log/journal/*/system@*.journal | sort) && test $# -ge 2 && rm \"$2\""));
        holed = sequence_of(&b, &window, &after);
        assert_true(json_array_size(json_object_get(holed, "gaps")) > 0);
        assert_string_equal(box_text(box_hole(&b, "journal-sequence", 0), "hole"), "ENODATA");
        assert_true(box_int(holed, "entries") < box_int(whole, "entries"));
        assert_int_equal(box_int(holed, "last"), box_int(whole, "last"));
}

/* From here on journald is stopped and the file is ours to spoil. */

static int find_journal(char *ret, size_t n) {
        _cleanup_free_ char *id = NULL;
        int r = io_read_file(AT_FDCWD, "/etc/machine-id", 64, &id, NULL);

        if (r == 0)
                (void) snprintf(ret, n, "/run/log/journal/%.32s/system.journal", id);
        return r;
}

/* In a child: what is tested is that nothing kills it. */
static void collect_in_child(void (*meanwhile)(const char *path, unsigned round), const char *path, unsigned round) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                const struct journal_window window = { 0, clock_wall_ms() };
                struct box b;

                box_open(&b, 64U << 20);
                journal_collect(b.store, world.unit, &window);
                _exit(store_finish(b.store, &b.result) < 0 ? 1
                                                           : (scratch_remove(&b.dir), scratch_remove(&b.opened), 0));
        }
        if (meanwhile)
                meanwhile(path, round);
        assert_int_equal(scratch_wait(pid), 0);
}

static void truncate_later(const char *path, unsigned round) {
        (void) usleep(round * 200);
        assert_int_equal(truncate(path, 4096), 0);
}

static void journal_that_is_corrupt_or_truncated_never_kills_the_reader(void **state) {
        char path[128];
        struct stat st;
        unsigned seed = 20261120;

        (void) state;
        if (!is_up())
                return;
        /* what is spoiled is all that there is of the unit */
        assert_true(shell("rm /run/log/journal/*/system@*.journal"));
        assert_true(log_all());
        stop_journald();
        assert_int_equal(find_journal(path, sizeof(path)), 0);
        assert_int_equal(stat(path, &st), 0);
        _cleanup_(scratch_bytes_done) struct scratch_bytes good = scratch_read(path);

        for (unsigned round = 0; round < FUZZ_COUNT; round++) {
                int fd = open(path, O_WRONLY | O_CLOEXEC);

                /* the head, where the header and the first objects are, and everything */
                for (unsigned i = 0; i < 40; i++) {
                        size_t range = i % 2 ? 8192 : good.n;
                        uint8_t byte = (uint8_t) rand_r(&seed);

                        assert_int_equal(pwrite(fd, &byte, 1, (off_t) ((size_t) rand_r(&seed) % range)), 1);
                }
                (void) close(fd);
                collect_in_child(NULL, path, round);
                scratch_write(path, good.data, good.n);
        }
        for (unsigned round = 0; round < FUZZ_COUNT; round++) {
                collect_in_child(truncate_later, path, round);
                scratch_write(path, good.data, good.n);
        }
}

static void journal_that_is_not_there_is_a_hole(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        if (!is_up())
                return;
        stop_journald();
        assert_true(shell("rm -rf /run/log/journal /var/log/journal"));
        collect(&b, world.unit, 0, clock_wall_ms());
        assert_null(box_object(&b, "journal", 0));
        assert_string_equal(box_text(box_hole(&b, "journal", 0), "hole"), "ENOENT");
}

static int read_mapped(void *userdata) {
        return *(volatile char *) userdata;
}

static int fault_again(void *userdata) {
        int r = guard_run(read_mapped, userdata);
        return r == -EFAULT ? guard_run(read_mapped, userdata) : r;
}

static void guard_turns_sigbus_into_an_error_as_often_as_it_comes(void **state) {
        _cleanup_scratch_ struct scratch s;
        _cleanup_close_ int fd = -EBADF;

        (void) state;
        scratch_make(&s);
        fd = open(scratch_path(&s, "file"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, 8192), 0);
        char *map = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);

        assert_true(map != MAP_FAILED);
        assert_int_equal(guard_run(read_mapped, map), 0);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(guard_run(read_mapped, map), -EFAULT);
        assert_int_equal(fault_again(map), -EFAULT);
        /* outside of it SIGBUS is what it was */
        pid_t pid = fork();

        if (pid == 0) {
                (void) signal(SIGBUS, SIG_DFL);
                _exit(guard_run(read_mapped, map) == -EFAULT ? read_mapped(map) : 1);
        }
        assert_int_equal(scratch_wait(pid), -SIGBUS);
        assert_int_equal(munmap(map, 8192), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(journal_of_a_unit_is_what_journalctl_exports),
                cmocka_unit_test(journal_of_a_slice_has_all_that_runs_in_it),
                cmocka_unit_test(journal_keeps_to_its_window),
                cmocka_unit_test(journal_of_a_unit_that_never_was_is_empty_not_a_hole),
                cmocka_unit_test(journal_beyond_the_budget_is_cut),
                cmocka_unit_test(journal_of_the_host_is_everything),
                cmocka_unit_test(journal_field_too_large_to_unpack_costs_nothing_but_itself),
                cmocka_unit_test(journal_from_which_a_file_was_taken_shows_the_gap),
                cmocka_unit_test(journal_that_is_corrupt_or_truncated_never_kills_the_reader),
                cmocka_unit_test(journal_that_is_not_there_is_a_hole),
                cmocka_unit_test(guard_turns_sigbus_into_an_error_as_often_as_it_comes),
        };
        return cmocka_run_group_tests(tests, set_up, tear_down);
}
