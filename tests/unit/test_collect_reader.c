/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c */
/* LINK: agent/collect/reader.c agent/collect/sandbox.c agent/util/clock.c agent/util/io.c agent/util/fault.c */
#include "lib/collect_box.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/netlink.h>

#include "agent/collect/reader.h"

#define MIB (1024U * 1024)

static bool needs_root(void) {
        if (geteuid() == 0)
                return true;
        print_message("skip: needs root\n");
        skip();
        return false;
}

static const unsigned net_admin[] = { CAP_NET_ADMIN };

/* One reader from its start to its end. */
static void collect(struct box *b, reader_fn fn, const void *userdata) {
        const struct reader_job job = {
                .capabilities = net_admin, .n_capabilities = 1, .netns = -1, .fn = fn, .userdata = userdata
        };
        const struct index_item item = { .kind = "tables", .source = "net:[1]", .pid = 7 };
        struct reader r = READER_NULL;

        assert_int_equal(reader_start(&job, &r), 0);
        (void) reader_collect(&r, b->store, &item, READER_SILENCE_MS);
        assert_int_equal(r.fd, -EBADF);
}

/* What one reader's only hole is called. */
static void expect_hole(reader_fn fn, const void *userdata, const char *kind, const char *hole) {
        _cleanup_box_ struct box b;

        box_open(&b, 512 * MIB);
        collect(&b, fn, userdata);
        box_finish(&b);
        assert_int_equal(b.result.holes, 1);
        assert_string_equal(box_text(box_hole(&b, kind, 0), "hole"), hole);
}

static void say_two(struct reader_out *o, const void *userdata) {
        _cleanup_json_ json_t *line = json_pack("{s:s}", "name", "\x1b[2J\n");

        (void) userdata;
        (void) !reader_begin(o, "sock-tcp", "net:[1]");
        (void) !reader_line(o, line);
        (void) !reader_line(o, line);
        (void) !reader_end(o, 0, -1, false);
        (void) !reader_begin(o, "sock-udp", "net:[1]");
        (void) !reader_end(o, -EPERM, 5, true);
}

static void what_a_reader_says_is_kept_and_so_is_what_it_could_not_read(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        if (!needs_root())
                return;
        box_open(&b, MIB);
        collect(&b, say_two, NULL);
        box_finish(&b);
        assert_int_equal(b.result.objects, 1);
        assert_int_equal(b.result.holes, 1);
        assert_int_equal(box_int(box_object(&b, "sock-tcp", 0), "pid"), 7);
        assert_string_equal(box_text(box_object(&b, "sock-tcp", 0), "source"), "net:[1]");
        _cleanup_(scratch_bytes_done) struct scratch_bytes text = box_bytes(&b, box_object(&b, "sock-tcp", 0));

        assert_memory_equal(text.data, "{\"name\":\"\\u001B[2J\\n\"}\n{\"name\"", 30);
        assert_string_equal(box_text(box_hole(&b, "sock-udp", 0), "hole"), "EPERM");
        assert_int_equal(box_int(box_hole(&b, "sock-udp", 0), "expected"), 5);
        assert_true(json_is_true(json_object_get(box_hole(&b, "sock-udp", 0), "changed")));
}

static void die(struct reader_out *o, const void *userdata) {
        (void) userdata;
        (void) !reader_begin(o, "sock-tcp", "s");
        (void) !reader_write(o, "partial", 7);
        _exit(1);
}

static void a_reader_that_dies_leaves_what_it_had_said_as_cut_short(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        if (!needs_root())
                return;
        box_open(&b, MIB);
        collect(&b, die, NULL);
        box_finish(&b);
        assert_string_equal(box_text(box_hole(&b, "sock-tcp", 0), "hole"), "EPIPE");
        assert_int_equal(box_int(box_hole(&b, "sock-tcp", 0), "got"), 7);
        /* and what it would have read after that */
        assert_string_equal(box_text(box_hole(&b, "tables", 0), "hole"), "EPIPE");
}

static void say_much(struct reader_out *o, const void *userdata) {
        static const uint8_t line[64];
        volatile bool *said = *(volatile bool *const *) userdata;

        (void) !reader_begin(o, "sock-tcp", "s");
        for (int i = 0; i < 64; i++)
                (void) !reader_write(o, line, sizeof(line));
        *said = true;
        (void) !reader_end(o, 0, -1, false);
}

static void a_reader_waits_until_it_is_listened_to(void **state) {
        volatile bool *said = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        const struct reader_job job = {
                .capabilities = net_admin, .n_capabilities = 1, .netns = -1, .fn = say_much, .userdata = &said
        };
        const struct index_item item = { .kind = "tables", .source = "s" };
        struct reader r = READER_NULL;
        _cleanup_box_ struct box b;
        int waiting = 0;

        (void) state;
        if (!needs_root())
                return;
        assert_true(said != MAP_FAILED);
        box_open(&b, MIB);
        assert_int_equal(reader_start(&job, &r), 0);
        for (int i = 0; i < 60000 && waiting < 4096 - 64; i++) {
                assert_int_equal(ioctl(r.fd, FIONREAD, &waiting), 0);
                (void) usleep(1000);
        }
        assert_in_range(waiting, 4096 - 64, 4096);
        assert_false(*said);
        assert_int_equal(reader_collect(&r, b.store, &item, READER_SILENCE_MS), 0);
        assert_true(*said);
        box_finish(&b);
        assert_int_equal(box_int(box_object(&b, "sock-tcp", 0), "bytes"), 4096);
        (void) munmap((void *) said, sizeof(*said));
}

static void hang(struct reader_out *o, const void *userdata) {
        (void) o;
        (void) userdata;
        for (;;)
                (void) poll(NULL, 0, -1);
}

static void a_reader_that_hangs_is_given_up(void **state) {
        (void) state;
        if (needs_root())
                expect_hole(hang, NULL, "tables", "ETIME");
}

/* Frames as they are on the pipe: a reader that somebody has taken over writes what he likes. */
struct lie {
        const char *bytes;
        size_t n;
};

static void tell(struct reader_out *o, const void *userdata) {
        const struct lie *l = userdata;

        (void) !write(o->fd, l->bytes, l->n);
        _exit(0);
}

#define BEGIN(kind) "\1\0\0\0\xb9\0\0\0" kind

static void lies_of_a_reader_are_holes_and_nothing_else(void **state) {
        static char wrong_kind[8 + 185] = BEGIN("../../etc"), empty_kind[8 + 185] = BEGIN(""),
                                   long_kind[8 + 185] =
                                           BEGIN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        static const struct lie lies[] = {
                { "\0\0\0\0\0\0\0\0", 8 },                                      /* no type */
                { "\5\0\0\0\0\0\0\0", 8 },                                      /* a type that there is not */
                { "\xff\xff\xff\xff\0\0\0\0", 8 },                              /* likewise */
                { "\2\0\0\0\1\0\0\0x", 9 },                                     /* bytes of no object */
                { "\2\0\0\0\xff\xff\xff\xff", 8 },                              /* more bytes than there is room for */
                { "\3\0\0\0\0\0\0\0", 8 },                                      /* the end of none */
                { "\1\0\0\0\1\0\0\0x", 9 },                                     /* a begin that is too short */
                { "\4\0\0\0\0\0\0\0", 8 },                                      /* an end without a word */
                { "\4\0\0\0\x10\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", 24 }, /* an error that is none */
                { wrong_kind, sizeof(wrong_kind) },
                { empty_kind, sizeof(empty_kind) },
                { long_kind, sizeof(long_kind) },
        };

        (void) state;
        if (!needs_root())
                return;
        for (size_t i = 0; i < ELEMENTSOF(lies); i++)
                expect_hole(tell, &lies[i], "tables", "EBADMSG");
}

static void flood(struct reader_out *o, const void *userdata) {
        static const uint8_t chunk[32 * 1024];
        int r = reader_begin(o, "sock-tcp", "s");

        (void) userdata;
        while (r == 0)
                r = reader_write(o, chunk, sizeof(chunk));
        (void) !reader_end(o, r, -1, false);
}

/* Past what the reader's own side would allow. */
static void flood_anyway(struct reader_out *o, const void *userdata) {
        static const uint8_t chunk[32 * 1024];
        int r = reader_begin(o, "sock-tcp", "s");

        (void) userdata;
        while (r == 0) {
                o->n = 0;
                r = reader_write(o, chunk, sizeof(chunk));
        }
}

static void an_object_without_end_is_cut(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        if (!needs_root())
                return;
        expect_hole(flood, NULL, "sock-tcp", "EFBIG");
        box_open(&b, 512 * MIB);
        collect(&b, flood_anyway, NULL);
        box_finish(&b);
        assert_string_equal(box_text(box_hole(&b, "tables", 0), "hole"), "EFBIG");
        assert_in_range(box_int(box_hole(&b, "sock-tcp", 0), "got"), READER_OBJECT_MAX, READER_BYTES_MAX);
}

/* Code that an attacker runs inside a reader: answers 0 when it got what it wanted, else the errno. */
struct trial {
        const char *what;
        int (*attempt)(void);
};

static int answer(long r) {
        return r < 0 ? errno : 0;
}

static int open_inet(void) {
        return answer(socket(AF_INET, SOCK_DGRAM, 0));
}

static int open_packet(void) {
        return answer(socket(AF_PACKET, SOCK_RAW, 0));
}

static int open_unix(void) {
        return answer(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int write_file(void) {
        return answer(open("/dev/shm/freezed-escaped", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int open_folder(void) {
        return answer(open("/dev/shm", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
}

static int write_sysctl(void) {
        return answer(open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC));
}

static int enter_namespace(void) {
        int fd = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
        return answer(setns(fd, CLONE_NEWNET));
}

static int execute(void) {
        return answer(execl("/bin/true", "true", NULL));
}

static int fork_child(void) {
        return answer(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int signal_parent(void) {
        return answer(kill(getppid(), 0));
}

static int trace_parent(void) {
        return answer(ptrace(PTRACE_SEIZE, 1, 0, 0));
}

static int load_bpf(void) {
        union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER };
        return answer(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

static int detach_bpf(void) {
        union bpf_attr attr = { 0 };
        return answer(syscall(SYS_bpf, BPF_LINK_DETACH, &attr, sizeof(attr)));
}

static int make_code(void) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? errno : 0;
}

static int reach_folder(void) {
        /* the collector's descriptors are closed */
        for (int fd = 3; fd < 64; fd++)
                if (fcntl(fd, F_GETFL) >= 0 && openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0)
                        return 0;
        return EBADF;
}

static const struct trial forbidden[] = {
        { "open an internet socket", open_inet },
        { "open a packet socket", open_packet },
        { "open a local socket", open_unix },
        { "make a file", write_file },
        { "make an unnamed file", open_folder },
        { "change a setting", write_sysctl },
        { "enter a namespace", enter_namespace },
        { "execute", execute },
        { "fork", fork_child },
        { "signal", signal_parent },
        { "trace", trace_parent },
        { "load BPF", load_bpf },
        { "detach BPF", detach_bpf },
        { "map code", make_code },
        { "reach the folder", reach_folder },
};

static int open_netlink(void) {
        return answer(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
}

static void try_one(struct reader_out *o, const void *userdata) {
        const struct trial *t = userdata;
        char text[16];

        (void) snprintf(text, sizeof(text), "%d", t->attempt());
        (void) !reader_begin(o, "answer", t->what);
        (void) !reader_write(o, text, strlen(text) + 1);
        (void) !reader_end(o, 0, -1, false);
}

static int try(const struct trial *t) {
        _cleanup_box_ struct box b;

        box_open(&b, MIB);
        collect(&b, try_one, t);
        box_finish(&b);
        _cleanup_(scratch_bytes_done) struct scratch_bytes text = box_bytes(&b, box_object(&b, "answer", 0));

        return atoi((const char *) text.data);
}

static void a_reader_can_ask_the_kernel_and_nothing_else(void **state) {
        const struct trial asks = { "ask", open_netlink };

        (void) state;
        if (!needs_root())
                return;
        assert_int_equal(try(&asks), 0);
        for (size_t i = 0; i < ELEMENTSOF(forbidden); i++)
                if (try(&forbidden[i]) == 0)
                        fail_msg("%s", forbidden[i].what);
        assert_int_equal(access("/dev/shm/freezed-escaped", F_OK), -1);
}

/* The test above would pass as well if these things were impossible anyway. */
static void it_is_the_sandbox_that_forbids_it(void **state) {
        static int (*const free_ones[])(void) = { open_inet,    open_packet,   open_unix,  open_folder,
                                                  write_sysctl, signal_parent, fork_child, make_code };

        (void) state;
        if (!needs_root())
                return;
        for (size_t i = 0; i < ELEMENTSOF(free_ones); i++) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(free_ones[i]() == 0 ? 0 : 1);
                assert_int_equal(scratch_wait(pid), 0);
        }
}

static void capabilities(struct reader_out *o, const void *userdata) {
        _cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        (void) userdata;
        (void) !reader_begin(o, "status", "s");
        while (f && getline(&line, &size, f) > 0)
                (void) !reader_write(o, line, strlen(line));
        (void) !reader_write(o, "", 1);
        (void) !reader_end(o, 0, -1, false);
}

static void a_reader_keeps_one_capability(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        if (!needs_root())
                return;
        box_open(&b, MIB);
        collect(&b, capabilities, NULL);
        box_finish(&b);
        _cleanup_(scratch_bytes_done) struct scratch_bytes text = box_bytes(&b, box_object(&b, "status", 0));

        /* capability 12 is CAP_NET_ADMIN */
        assert_non_null(strstr((const char *) text.data, "CapPrm:\t0000000000001000\nCapEff:\t0000000000001000\n"
                                                         "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\n"
                                                         "NoNewPrivs:\t1\nSeccomp:\t2\n"));
}

static void a_namespace_that_cannot_be_entered_is_a_hole(void **state) {
        const struct index_item item = { .kind = "tables", .source = "net:[1]" };
        struct reader r = READER_NULL;
        _cleanup_box_ struct box b;

        (void) state;
        if (!needs_root())
                return;
        box_open(&b, MIB);
        const struct reader_job job = {
                .capabilities = net_admin, .n_capabilities = 1, .netns = b.folder, .fn = say_two
        };

        assert_int_equal(reader_start(&job, &r), 0);
        assert_int_equal(reader_collect(&r, b.store, &item, READER_SILENCE_MS), -EINVAL);
        box_finish(&b);
        assert_int_equal(b.result.objects, 0);
        assert_string_equal(box_text(box_hole(&b, "tables", 0), "hole"), "EINVAL");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_a_reader_says_is_kept_and_so_is_what_it_could_not_read),
                cmocka_unit_test(a_reader_that_dies_leaves_what_it_had_said_as_cut_short),
                cmocka_unit_test(a_reader_waits_until_it_is_listened_to),
                cmocka_unit_test(a_reader_that_hangs_is_given_up),
                cmocka_unit_test(lies_of_a_reader_are_holes_and_nothing_else),
                cmocka_unit_test(an_object_without_end_is_cut),
                cmocka_unit_test(a_reader_can_ask_the_kernel_and_nothing_else),
                cmocka_unit_test(it_is_the_sandbox_that_forbids_it),
                cmocka_unit_test(a_reader_keeps_one_capability),
                cmocka_unit_test(a_namespace_that_cannot_be_entered_is_a_hole),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
