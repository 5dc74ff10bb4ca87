/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
#include "lib/evidence_rig.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <sodium.h>

#include "agent/util/clock.h"
#include "lib/age_keys.h"

/* What stock tools say about a folder. */
#define ANY(filter, files) "jq -es 'any(.[]; " filter ")' " files
#define CHECK_SUMS         "sha256sum -c --strict --quiet manifest-sha256.txt"
#define CHECK_TAGS         "sha256sum -c --strict --quiet tagmanifest-sha256.txt"
#define CHECK_SIGNATURE                                                                                        \
        CHECK_TAGS " && openssl pkeyutl -verify -pubin -inkey host_key.pem -rawin -in tagmanifest-sha256.txt " \
                   "-sigfile tagmanifest-sha256.txt.sig"

static void complete_evidence_verifies_with_stock_tools(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        for (int i = 0; i < 3; i++)
                rig_spawn(r, NULL, NULL);
        rig_freeze(r, true);
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        assert_int_equal(d.err, 0);
        assert_true(d.counted && d.has_manifest);
        assert_int_equal(d.flags & COLLECT_CUT, 0);
        assert_true(d.objects > 3 * 12);
        assert_true(rig_shell(d.folder, CHECK_SUMS));
        assert_true(rig_shell(d.folder, CHECK_SIGNATURE));
        assert_true(rig_shell(d.folder, "test $(find . ! -type d | wc -l) = $(($(wc -l <manifest-sha256.txt) + 9))"));
        assert_true(rig_shell(d.folder, "cut -c67- manifest-sha256.txt | LC_ALL=C sort -c"));
        assert_true(rig_shell(d.folder, "test $(stat -c %a .) = 700"));
        assert_true(rig_shell(d.opened, "grep -q 'frozen 1' data/*-cgroup-events"));
        /* every process, each of its files, and what the kernel says it waits in */
        assert_true(rig_shell(d.opened,
                              "for k in status stat comm cgroup limits io wchan stack links tasks fds maps cmdline "
                              "environ; do test $(ls data/*[0-9]-$k | wc -l) = 3 || exit 1; done"));
        assert_true(rig_shell(d.opened, "ls data/*-net-tcp data/*-net-unix data/*-net-route data/*-net-packet"));
}

/* A byte of that file of a copy is changed: which check sees it. */
static void change(const struct rig_done *d, const char *file, const char *check) {
        char command[512];

        (void) snprintf(
                command, sizeof(command),
                "rm -rf ../copy && cp -a . ../copy && cd ../copy && chmod -R u+w . && f=$(ls %s | head -n 1) && "
                "b=$(od -An -tu1 -j70 -N1 $f) && printf \"\\\\$(printf %%o $((b ^ 1)))\" | "
                "dd of=$f bs=1 seek=70 conv=notrunc",
                file);
        assert_true(rig_shell(d->folder, command));
        (void) snprintf(command, sizeof(command), "cd ../copy && %s", check);
        assert_false(rig_shell(d->folder, command));
        assert_true(rig_shell(d->folder, check));
}

static void one_changed_byte_is_seen(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        r->job.order = "{\"a\":\"order long enough for a byte of it to be the one that is changed here, whichever\"}";
        d = rig_preserve(r);
        change(&d, "data/*-pack*", CHECK_SUMS);
        change(&d, "data/*-core*", CHECK_SUMS);
        change(&d, "data/*-index*", CHECK_SUMS);
        change(&d, "manifest-sha256.txt", CHECK_SIGNATURE);
        change(&d, "public.jsonl", CHECK_SIGNATURE);
        change(&d, "bag-info.txt", CHECK_SIGNATURE);
        change(&d, "order.dsse.json", CHECK_SIGNATURE);
        change(&d, "tagmanifest-sha256.txt", CHECK_SIGNATURE);
}

static void the_statement_says_for_what_and_is_signed_by_the_host(void **state) {
        struct rig *r = *state;
        _cleanup_json_ json_t *statement = NULL;
        struct rig_done d;
        char command[256];

        rig_spawn(r, NULL, NULL);
        d = rig_preserve(r);
        statement = rig_statement(r, &d);
        assert_string_equal(rig_text(statement, "_type", NULL), "https://in-toto.io/Statement/v1");
        const json_t *subject = json_array_get(json_object_get(statement, "subject"), 0);

        assert_string_equal(rig_text(subject, "name", NULL), "tagmanifest-sha256.txt");
        (void) snprintf(command, sizeof(command), "echo %s  tagmanifest-sha256.txt | sha256sum -c",
                        rig_text(subject, "digest", "sha256"));
        assert_true(rig_shell(d.folder, command));
        assert_true(rig_shell(d.folder, CHECK_TAGS " && test $(wc -l <tagmanifest-sha256.txt) = 5"));
        assert_true(rig_shell(d.folder, "grep -q 'as it was signed' order.dsse.json"));
        assert_string_equal(rig_text(statement, "predicate", "state"), "complete");
        assert_string_equal(rig_text(statement, "predicate", "manifest"), "matches");
        assert_string_equal(rig_text(statement, "predicate", "incident"), "SA-20261120-001");
        assert_string_equal(rig_text(statement, "predicate", "hold"), "000102030405060708090a0b0c0d0e0f");
        const json_t *predicate = json_object_get(statement, "predicate");

        assert_int_equal(json_integer_value(json_object_get(predicate, "objects")), d.objects);
        assert_int_equal(json_integer_value(json_object_get(predicate, "holes")), d.holes);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(predicate, "collector"), "exited")), 0);
}

/* A name, a folder and a program of the attacker's choice. */
static void hostile_child(void *userdata) {
        const char *dir = userdata;
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        assert_int_equal(prctl(PR_SET_NAME, "\n\x1b[2J\xff\xfe\"\\"), 0);
        assert_int_equal(chdir(dir), 0);
        assert_int_equal(mkdir("a\n{\"file\":\"x\"}\x1b[31m\xff", 0700), 0);
        assert_int_equal(chdir("a\n{\"file\":\"x\"}\x1b[31m\xff"), 0);
        assert_int_equal(mkfifo("fifo\n", 0600), 0);
        assert_true(open("fifo\n", O_RDWR) >= 0);
        assert_true(memfd_create("mem\xff\n", 0) >= 0);
        int s = socket(AF_UNIX, SOCK_STREAM, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "s\n\x1b");
        assert_int_equal(bind(s, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(s, 1), 0);
        assert_int_equal(socket(AF_INET, SOCK_STREAM, 0) < 0, 0);
}

static void hostile_names_stay_out_of_file_names_and_are_escaped(void **state) {
        struct rig *r = *state;
        _cleanup_scratch_ struct scratch s;
        char sub[512];
        struct rig_done d;

        scratch_make(&s);
        rig_spawn(r, hostile_child, s.path);
        (void) snprintf(sub, sizeof(sub), "%s/x\x1b[2J\xff \"y\\", r->cgroup);
        assert_int_equal(mkdir(sub, 0755), 0);
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_int_equal(rmdir(sub), 0);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        assert_true(rig_shell(d.folder, CHECK_SUMS));
        assert_false(rig_shell(d.folder,
                               "find . -mindepth 2 | grep -vE '^./data/[0-9]{6}-[a-z0-9-]+(.tar|.jsonl)?.zst.age$'"));
        assert_false(rig_shell(d.opened,
                               "LC_ALL=C grep -nP '[^\\x20-\\x7e]' index.jsonl data/*-fds data/*-links data/*-tasks"));
        assert_true(rig_shell(d.opened, "jq -es 'length > 10' index.jsonl data/*-fds data/*-links data/*-tasks"));
        /* Nothing is lost: the bytes come back from where they were not text. */
        assert_true(rig_shell(
                d.opened, "jq -r .comm_b64 data/*-tasks | base64 -d | LC_ALL=C grep -qP '^\\x1b\\[2J\\xff\\xfe\"'"));
        assert_true(
                rig_shell(d.opened, "jq -r .cwd_b64 data/*-links | base64 -d | LC_ALL=C grep -qP '\\x1b\\[31m\\xff$'"));
        assert_true(rig_shell(d.opened, ANY(".source_b64", "index.jsonl")));
        assert_true(rig_shell(d.opened, ANY(".target_b64", "data/*-fds")));
        assert_true(rig_shell(d.opened, "i=$(jq -r '.target // \"\" | select(startswith(\"socket:\"))' data/*-fds | "
                                        "head -1 | tr -cd 0-9); grep -q \" $i \" data/*-net-unix"));
}

static void a_deleted_program_is_named_as_deleted(void **state) {
        struct rig *r = *state;
        _cleanup_scratch_ struct scratch s;
        struct rig_done d;

        scratch_make(&s);
        assert_true(rig_shell(s.path, "cp /bin/sleep implant"));
        rig_exec(r, scratch_path(&s, "implant"));
        assert_int_equal(unlink(scratch_path(&s, "implant")), 0);
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, ANY(".exe | endswith(\"/implant (deleted)\")", "data/*-links")));
}

/* Listens on a port of the loopback of a network namespace of its own. */
static void listen_apart(uint16_t port) {
        const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
        int s;

        assert_int_equal(unshare(CLONE_NEWNET), 0);
        s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(s, (const struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(s, 1), 0);
}

static void *thread_apart(void *ready) {
        listen_apart(0x1002);
        assert_int_equal(write(*(int *) ready, "x", 1), 1);
        (void) pause();
        return NULL;
}

static void child_apart(void *userdata) {
        pthread_t thread;
        int ends[2];
        char c;

        (void) userdata;
        listen_apart(0x1001);
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(pthread_create(&thread, NULL, thread_apart, &ends[1]), 0);
        assert_int_equal(read(ends[0], &c, 1), 1);
}

static void each_network_namespace_is_read_once_that_of_one_thread_too(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        rig_spawn(r, NULL, NULL);
        rig_spawn(r, child_apart, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, "test $(ls data/*-net-tcp | wc -l) = 3"));
        assert_true(rig_shell(d.opened, "grep -l ':1001 00000000:0000 0A' data/*-net-tcp"));
        assert_true(rig_shell(d.opened, "grep -l ':1002 00000000:0000 0A' data/*-net-tcp"));
}

static void the_collector_that_runs_out_of_time_seals_what_it_has(void **state) {
        struct rig *r = *state;
        char script[1024];
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        (void) snprintf(script, sizeof(script),
                        "exec %s --folder 3 --result 4 --since 0 --until 0 --deadline 0 --max-bytes 1000000 "
                        "--recipient " AGE_KEYS_PUBLIC " --cgroup %s --unit -\n",
                        r->collector, r->cgroup);
        rig_script(r, script);
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_int_equal(d.state, PRESERVE_CUT_SHORT);
        assert_true(d.flags & COLLECT_CUT_TIME);
        assert_true(rig_shell(d.folder, CHECK_SUMS " && " CHECK_SIGNATURE));
        assert_true(rig_shell(d.opened, ANY(".hole == \"ETIME\"", "index.jsonl")));
}

static void a_second_snapshot_never_touches_the_first(void **state) {
        struct rig *r = *state;
        struct rig_done first, second;

        rig_spawn(r, NULL, NULL);
        first = rig_preserve(r);
        second = rig_preserve(r);
        assert_string_not_equal(first.folder, second.folder);
        assert_true(rig_shell(first.folder, CHECK_SUMS " && " CHECK_SIGNATURE));
        assert_true(rig_shell(second.folder, CHECK_SUMS " && " CHECK_SIGNATURE));
}

/* Every object that the index names is there and is what the index says. */
#define CHECK_INDEX                                                                                    \
        "jq -r 'select(.sha256) | .sha256 + \"  data/\" + (.member // (.file | ltrimstr(\"data/\") | " \
        "rtrimstr(\".zst.age\")))' index.jsonl >sums && test -s sums && sha256sum -c --strict --quiet sums"
/* Every file is listed, but the one that may have got its name and no line any more. */
#define CHECK_PUBLIC                                                                    \
        "jq -r '.sha256 + \"  \" + .file' public.jsonl >../sums && test -s ../sums && " \
        "sha256sum -c --strict --quiet ../sums && test $(($(ls data | wc -l) - $(wc -l <../sums))) -le 1"

static void a_killed_collector_leaves_a_usable_folder_that_says_so(void **state) {
        struct rig *r = *state;
        _cleanup_json_ json_t *statement = NULL;
        struct rig_done d;

        for (int i = 0; i < 100; i++)
                rig_spawn(r, NULL, NULL);
        /* what others write to a disk that they share is made durable too, and takes its time */
        rig_own_disk(r, "size=64m");
        rig_start(r);
        assert_int_equal(kill(rig_stop_collector(r, 350), SIGKILL), 0);
        d = rig_wait(r);
        assert_int_equal(d.state, PRESERVE_CUT_SHORT);
        assert_false(d.counted || d.has_manifest);
        /* made durable by the core; what it says where the disk refuses is test_preserve_sync's */
        assert_int_equal(d.flags, 0);
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, CHECK_INDEX));
        assert_true(rig_shell(d.folder, CHECK_PUBLIC));
        statement = rig_statement(r, &d);
        const json_t *subject = json_array_get(json_object_get(statement, "subject"), 0);
        char command[256];

        assert_string_equal(rig_text(subject, "name", NULL), "tagmanifest-sha256.txt");
        (void) snprintf(command, sizeof(command), "echo %s  tagmanifest-sha256.txt | sha256sum -c",
                        rig_text(subject, "digest", "sha256"));
        assert_true(rig_shell(d.folder, command));
        assert_string_equal(rig_text(statement, "predicate", "state"), "cut-short");
        assert_string_equal(rig_text(statement, "predicate", "manifest"), "absent");
        const json_t *how = json_object_get(json_object_get(statement, "predicate"), "collector");

        assert_int_equal(json_integer_value(json_object_get(how, "killed")), SIGKILL);
        assert_true(json_is_false(json_object_get(how, "deadline")));
        assert_null(json_object_get(json_object_get(statement, "predicate"), "objects"));
}

static void a_collector_that_hangs_is_killed_at_the_deadline(void **state) {
        struct rig *r = *state;
        _cleanup_json_ json_t *statement = NULL;
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        r->job.deadline_ms = 400;
        rig_start(r);
        pid_t pid = rig_stop_collector(r, 0);

        d = rig_wait(r);
        assert_in_range(d.took_us, 390000, 60000000);
        assert_int_not_equal(d.state, PRESERVE_COMPLETE);
        assert_int_equal(kill(pid, 0), -1);
        statement = rig_statement(r, &d);
        const json_t *how = json_object_get(json_object_get(statement, "predicate"), "collector");

        assert_true(json_is_true(json_object_get(how, "deadline")));
}

static void the_byte_budget_cuts_and_says_so(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        for (int i = 0; i < 5; i++)
                rig_spawn(r, NULL, NULL);
        r->job.max_bytes = 20000;
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_int_equal(d.state, PRESERVE_CUT_SHORT);
        assert_true(d.flags & COLLECT_CUT_BYTES);
        assert_true(d.bytes > 0);
        assert_true(rig_shell(d.folder, CHECK_SUMS " && " CHECK_SIGNATURE));
        assert_true(rig_shell(d.folder, "test $(cat $(ls data/* | grep -v index) | wc -c) -le 20000"));
        assert_true(rig_shell(d.opened, ANY(".hole == \"EFBIG\"", "index.jsonl")));
        assert_true(rig_shell(d.opened, ANY(".note == \"end\" and .flags == [\"cut-bytes\"]", "index.jsonl")));
}

/* Memory that no compression makes less. */
static void fill_memory(void *userdata) {
        const size_t n = *(size_t *) userdata;
        uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_true(p != MAP_FAILED);
        randombytes_buf(p, n);
}

static void a_disk_without_room_becomes_holes(void **state) {
        static size_t large = 8 << 20;
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        rig_spawn(r, fill_memory, &large);
        rig_own_disk(r, "size=8m");
        d = rig_preserve(r);
        assert_int_equal(d.state, PRESERVE_CUT_SHORT);
        assert_true(d.flags & COLLECT_CUT_SPACE);
        assert_true(d.objects > 5);
        assert_true(rig_shell(d.folder, CHECK_SUMS " && " CHECK_SIGNATURE));
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, ANY(".hole == \"ENOSPC\" and .kind == \"core\"", "index.jsonl")));
}

static void a_full_disk_is_reported_not_survived_by_luck(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        rig_own_disk(r, "size=256k,nr_inodes=60");
        assert_false(rig_shell(r->job.state, "head -c 1m /dev/zero >fill"));
        d = rig_preserve(r);
        assert_int_equal(d.state, PRESERVE_FAILED);
        assert_int_equal(d.err, -ENOSPC);
}

static void the_collector_runs_in_its_sandbox(void **state) {
        struct rig *r = *state;
        char command[512];
        struct rig_done d;

        for (int i = 0; i < 100; i++)
                rig_spawn(r, NULL, NULL);
        r->job.max_bytes = 1 << 30;
        r->job.deadline_ms = 120000;
        rig_start(r);
        pid_t pid = rig_stop_collector(r, 1);

        /* capability 2 is CAP_DAC_READ_SEARCH, 19 is CAP_SYS_PTRACE, 40 is CAP_CHECKPOINT_RESTORE */
        (void) snprintf(command, sizeof(command),
                        "cd /proc/%d && grep -q '^Seccomp:.2' status && grep -q '^NoNewPrivs:.1' status && "
                        "grep -q '^CapEff:.0000010000080004' status && grep -q '^CapPrm:.0000010000080004' status && "
                        "grep -q '^CapBnd:.0000000000000000' status && test $(wc -c <environ) = 0 && "
                        "! grep -v ' ro,' mounts",
                        (int) pid);
        assert_true(rig_shell("/", command));
        /* busy on every processor it does not end before its deadline, which is five seconds before the core's */
        (void) snprintf(command, sizeof(command),
                        "cd /proc/%d && test $(ls task | wc -l) -gt 1 && "
                        "test $(awk '/^Max cpu time/ { print $4 }' limits) -ge $((115 * $(ls task | wc -l)))",
                        (int) pid);
        assert_true(rig_shell("/", command));
        assert_int_equal(kill(pid, SIGCONT), 0);
        d = rig_wait(r);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        assert_int_equal(d.flags & COLLECT_NO_MOUNTS, 0);
}

static void a_name_that_would_lead_elsewhere_is_refused(void **state) {
        static const char *const names[] = { "..", "../x", "a/b", ".hidden", "a b", "a\n" };
        struct rig *r = *state;
        struct preserve *p = NULL;

        rig_spawn(r, NULL, NULL);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                r->job.incident = names[i];
                assert_int_equal(preserve_start(r->event, &r->job, rig_on_done, r, &p), -EINVAL);
                assert_null(p);
        }
        assert_false(rig_shell(r->job.state, "ls evidence"));
}

static void a_hold_without_incident_has_a_folder_of_its_own(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        r->job.incident = "";
        d = rig_preserve(r);
        assert_non_null(
                strstr(d.folder, "/evidence/000102030405060708090a0b0c0d0e0f/000102030405060708090a0b0c0d0e0f"));
}

static void a_cgroup_that_is_gone_or_none_is_a_hole(void **state) {
        static const struct preserve_target targets[] = { { "/sys/fs/cgroup/absent", NULL }, { "/tmp", NULL } };
        struct rig *r = *state;
        struct rig_done d;

        r->job.targets = targets;
        r->job.n_targets = ELEMENTSOF(targets);
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        assert_int_equal(d.holes, 2);
        assert_true(rig_shell(d.opened, ANY(".hole == \"ENOENT\" and .kind == \"cgroup\"", "index.jsonl")));
        assert_true(rig_shell(d.opened, ANY(".hole == \"EMEDIUMTYPE\" and .source == \"/tmp\"", "index.jsonl")));
}

/* Collectors that someone has taken over. The struct is as collect_abi.h has it; the digest is all zero. */
#define SAY_DONE "printf 'FZCOLLCT\\0\\0\\0\\2' >&4; head -c 68 /dev/zero >&4\n"
#define MAKE     "cd /proc/self/fd/3 && mkdir data && echo x >public.jsonl\n"

static void a_lying_collector_is_not_believed(void **state) {
        static const char *const scripts[] = {
                "exit 0\n",
                MAKE SAY_DONE "exit 0\n",
                MAKE "echo '0  data/x' >manifest-sha256.txt\n" SAY_DONE "exit 0\n",
                MAKE "mkfifo manifest-sha256.txt\n" SAY_DONE "exit 0\n",
                MAKE "ln -s /etc/shadow manifest-sha256.txt\n" SAY_DONE "exit 0\n",
                MAKE "truncate -s 1T manifest-sha256.txt\n" SAY_DONE "exit 0\n",
                MAKE "ln -s /etc/passwd tagmanifest-sha256.txt; ln -s /etc/passwd .evidence.dsse.json.new\n" SAY_DONE,
                MAKE SAY_DONE "printf x >&4; exit 0\n",
                "echo nothing but words >&4; exit 0\n",
                "exit 3\n",
        };
        struct rig *r = *state;

        for (size_t i = 0; i < ELEMENTSOF(scripts); i++) {
                _cleanup_json_ json_t *statement = NULL;
                struct rig_done d;

                rig_script(r, scripts[i]);
                d = rig_preserve(r);
                assert_int_equal(d.state, PRESERVE_FAILED);
                /* what it left is not what it told of, and not signed */
                assert_true(rig_shell(d.folder, CHECK_SIGNATURE));
                assert_true(rig_shell(d.folder, "! grep -q ' manifest-sha256.txt' tagmanifest-sha256.txt"));
                statement = rig_statement(r, &d);
                assert_string_equal(rig_text(statement, "predicate", "state"), "failed");
        }
        assert_true(rig_shell("/", "test -s /etc/passwd && test ! -L /etc/passwd"));
}

static void a_missing_collector_is_an_error_and_leaves_no_folder(void **state) {
        struct rig *r = *state;
        struct preserve *p = NULL;

        r->job.collector = "/nonexistent/freezed-collect";
        assert_int_equal(preserve_start(r->event, &r->job, rig_on_done, r, &p), -ENOENT);
        assert_true(rig_shell(r->job.state, "test -z \"$(ls -A evidence/*)\""));
}

static void a_freed_snapshot_kills_its_collector(void **state) {
        struct rig *r = *state;

        rig_spawn(r, NULL, NULL);
        rig_start(r);
        pid_t pid = rig_collector(r);

        preserve_free(TAKE_PTR(r->preserve));
        assert_int_equal(kill(pid, 0), -1);
        assert_int_equal(errno, ESRCH);
}

static void a_fault_at_each_effect_is_an_answer(void **state) {
        struct rig *r = *state;
        struct preserve *p = NULL;
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        assert_int_equal(setenv("FREEZED_FAULT", "fail:1", 1), 0);
        assert_int_equal(preserve_start(r->event, &r->job, rig_on_done, r, &p), -EIO);
        assert_false(rig_shell(r->job.state, "ls evidence"));
        assert_int_equal(setenv("FREEZED_FAULT", "", 1), 0);
        (void) fault_effect("restart the count");
        assert_int_equal(setenv("FREEZED_FAULT", "fail:2", 1), 0);
        assert_int_equal(preserve_start(r->event, &r->job, rig_on_done, r, &p), -EIO);
        assert_int_equal(setenv("FREEZED_FAULT", "", 1), 0);
        (void) fault_effect("restart the count");
        assert_int_equal(setenv("FREEZED_FAULT", "fail:3", 1), 0);
        d = rig_preserve(r);
        assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
        assert_int_equal(d.state, PRESERVE_FAILED);
        assert_int_equal(d.err, -EIO);
        assert_true(rig_shell(d.folder, CHECK_SUMS " && test ! -e evidence.dsse.json"));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(complete_evidence_verifies_with_stock_tools),
                CASE(one_changed_byte_is_seen),
                CASE(the_statement_says_for_what_and_is_signed_by_the_host),
                CASE(hostile_names_stay_out_of_file_names_and_are_escaped),
                CASE(a_deleted_program_is_named_as_deleted),
                CASE(each_network_namespace_is_read_once_that_of_one_thread_too),
                CASE(the_collector_that_runs_out_of_time_seals_what_it_has),
                CASE(a_second_snapshot_never_touches_the_first),
                CASE(a_killed_collector_leaves_a_usable_folder_that_says_so),
                CASE(a_collector_that_hangs_is_killed_at_the_deadline),
                CASE(the_byte_budget_cuts_and_says_so),
                CASE(a_disk_without_room_becomes_holes),
                CASE(a_full_disk_is_reported_not_survived_by_luck),
                CASE(the_collector_runs_in_its_sandbox),
                CASE(a_name_that_would_lead_elsewhere_is_refused),
                CASE(a_hold_without_incident_has_a_folder_of_its_own),
                CASE(a_cgroup_that_is_gone_or_none_is_a_hole),
                CASE(a_lying_collector_is_not_believed),
                CASE(a_missing_collector_is_an_error_and_leaves_no_folder),
                CASE(a_freed_snapshot_kills_its_collector),
                CASE(a_fault_at_each_effect_is_an_answer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
