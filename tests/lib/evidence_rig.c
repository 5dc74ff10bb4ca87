/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/evidence_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "lib/age_keys.h"

#define POLL_US   1000
#define WAIT_US   (60LL * 1000 * 1000)
#define SLEEP_ARG "1000"

static const char *cgroup2_root(void) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct statfs fs;

        for (size_t i = 0; i < ELEMENTSOF(roots); i++)
                if (statfs(roots[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return roots[i];
        return NULL;
}

static void find_collector(struct rig *r) {
        const char *b = getenv("FREEZED_B");
        char self[400];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

        assert_true(n > 0);
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        if (b)
                (void) snprintf(r->collector, sizeof(r->collector), "%s/freezed-collect", b);
        else
                (void) snprintf(r->collector, sizeof(r->collector), "%s/../../freezed-collect", self);
        assert_int_equal(access(r->collector, X_OK), 0);
}

static void open_key(struct rig *r) {
        hostkey_free(r->key);
        assert_int_equal(hostkey_open(r->dir.path, &r->key), 0);
        r->job.key = r->key;
}

int rig_set_up(void **state) {
        const char *root = cgroup2_root();
        struct rig *r = calloc(1, sizeof(*r));
        sigset_t set;

        assert_non_null(r);
        *state = r;
        if (geteuid() != 0 || !root) {
                print_message("skip: needs root and a unified cgroup hierarchy\n");
                skip();
        }
        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGCHLD);
        assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
        scratch_make(&r->dir);
        scratch_make(&r->opened);
        find_collector(r);
        (void) snprintf(r->cgroup, sizeof(r->cgroup), "%s/freezed-test-%d", root, (int) getpid());
        assert_int_equal(mkdir(r->cgroup, 0755), 0);
        assert_true(sd_event_new(&r->event) >= 0);
        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &r->to), 0);
        r->target = (struct preserve_target) { .cgroup = r->cgroup };
        r->job = (struct preserve_job) {
                .collector = r->collector,
                .state = r->dir.path,
                .incident = "SA-20261120-001",
                .order = "{\"the order\":\"as it was signed\"}",
                .recipients = &r->to,
                .n_recipients = 1,
                .targets = &r->target,
                .n_targets = 1,
                .until_ms = clock_wall_ms(),
                .deadline_ms = 10000,
                .max_bytes = 64 << 20,
        };
        for (uint8_t i = 0; i < 16; i++)
                r->job.hold.b[i] = i;
        open_key(r);
        return 0;
}

int rig_tear_down(void **state) {
        struct rig *r = *state;

        preserve_free(r->preserve);
        if (*r->cgroup) {
                rig_freeze(r, false);
                for (size_t i = 0; i < r->n_pids; i++) {
                        (void) kill(r->pids[i], SIGKILL);
                        (void) waitpid(r->pids[i], NULL, 0);
                }
                assert_int_equal(rmdir(r->cgroup), 0);
        }
        hostkey_free(r->key);
        sd_event_unref(r->event);
        if (r->own_disk)
                assert_int_equal(umount2(r->dir.path, MNT_DETACH), 0);
        scratch_remove(&r->dir);
        scratch_remove(&r->opened);
        free(r);
        return 0;
}

static pid_t fork_into(struct rig *r, int ready[2]) {
        char path[300];
        pid_t pid;

        assert_true(r->n_pids < RIG_PROCESSES_MAX);
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid > 0) {
                r->pids[r->n_pids++] = pid;
                (void) close(ready[1]);
                return pid;
        }
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", r->cgroup);
        if (io_write_string(AT_FDCWD, path, "0") < 0)
                _exit(1);
        return 0;
}

/* End of file: the other end was closed, by exec or by hand. */
static void wait_ready(int fd) {
        char c;

        assert_int_equal(read(fd, &c, 1), 0);
        (void) close(fd);
}

pid_t rig_spawn(struct rig *r, void (*body)(void *userdata), void *userdata) {
        int ready[2];
        pid_t pid = fork_into(r, ready);

        if (pid == 0) {
                if (body)
                        body(userdata);
                (void) close(ready[1]);
                for (;;)
                        (void) pause();
        }
        wait_ready(ready[0]);
        return pid;
}

pid_t rig_exec(struct rig *r, const char *program) {
        int ready[2];
        pid_t pid = fork_into(r, ready);

        if (pid == 0) {
                (void) execl(program, program, SLEEP_ARG, NULL);
                _exit(1);
        }
        wait_ready(ready[0]);
        return pid;
}

void rig_freeze(struct rig *r, bool freeze) {
        char path[300];

        (void) snprintf(path, sizeof(path), "%s/cgroup.freeze", r->cgroup);
        assert_int_equal(io_write_string(AT_FDCWD, path, freeze ? "1" : "0"), 0);
        (void) snprintf(path, sizeof(path), "%s/cgroup.events", r->cgroup);
        for (int64_t end = clock_mono_us() + WAIT_US; clock_mono_us() < end;) {
                _cleanup_free_ char *text = NULL;

                assert_int_equal(io_read_file(AT_FDCWD, path, 4096, &text, NULL), 0);
                if (strstr(text, freeze ? "frozen 1" : "frozen 0"))
                        return;
                (void) usleep(POLL_US);
        }
        fail_msg("the cgroup did not become %s", freeze ? "frozen" : "thawed");
}

void rig_own_disk(struct rig *r, const char *options) {
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        assert_int_equal(mount("evidence", r->dir.path, "tmpfs", 0, options), 0);
        r->own_disk = true;
        open_key(r);
}

void rig_script(struct rig *r, const char *body) {
        FILE *f;

        (void) snprintf(r->collector, sizeof(r->collector), "%s/collector", r->dir.path);
        f = fopen(r->collector, "we");
        assert_non_null(f);
        (void) fprintf(f, "#!/bin/sh\nPATH=/usr/bin:/bin\n%s", body);
        assert_int_equal(fchmod(fileno(f), 0700), 0);
        assert_int_equal(fclose(f), 0);
}

void rig_on_done(const struct preserved *p, void *userdata) {
        struct rig *r = userdata;

        r->done = (struct rig_done) {
                .state = p->state,
                .counted = p->counted,
                .has_manifest = p->has_manifest,
                .objects = p->objects,
                .holes = p->holes,
                .bytes = p->bytes,
                .flags = p->flags,
                .took_us = p->took_us,
                .err = p->err,
        };
        (void) snprintf(r->done.folder, sizeof(r->done.folder), "%s", p->folder);
        memcpy(r->done.manifest_sha256, p->manifest_sha256, sizeof(r->done.manifest_sha256));
        r->is_done = true;
        /* As the core does: from within the callback. */
        preserve_free(TAKE_PTR(r->preserve));
}

void rig_start(struct rig *r) {
        r->is_done = false;
        assert_int_equal(preserve_start(r->event, &r->job, rig_on_done, r, &r->preserve), 0);
}

struct rig_done rig_wait(struct rig *r) {
        for (int64_t end = clock_mono_us() + WAIT_US; !r->is_done && clock_mono_us() < end;)
                assert_true(sd_event_run(r->event, WAIT_US) >= 0);
        assert_true(r->is_done);
        return r->done;
}

struct rig_done rig_preserve(struct rig *r) {
        rig_start(r);
        return rig_wait(r);
}

pid_t rig_collector(const struct rig *r) {
        char path[96];
        _cleanup_free_ char *children = NULL;
        char *save = NULL;

        (void) snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int) getpid());
        assert_int_equal(io_read_file(AT_FDCWD, path, 65536, &children, NULL), 0);
        for (char *word = strtok_r(children, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                pid_t pid = (pid_t) atoi(word);
                bool ours = false;

                for (size_t i = 0; i < r->n_pids; i++)
                        ours |= r->pids[i] == pid;
                if (!ours)
                        return pid;
        }
        fail_msg("no collector runs");
        return -1;
}

void rig_open(struct rig *r, struct rig_done *d) {
        char command[4096];

        (void) snprintf(d->opened, sizeof(d->opened), "%s/%u", r->opened.path, r->n_opened++);
        (void) snprintf(command, sizeof(command),
                        "mkdir %s && echo " AGE_KEYS_SECRET " >%s/key && tests/lib/open_bag.sh %s %s/key %s", d->opened,
                        d->opened, d->folder, d->opened, d->opened);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
}

pid_t rig_stop_collector(const struct rig *r, off_t public_bytes) {
        pid_t pid = rig_collector(r);
        char path[256], hold[33];
        struct stat st;

        command_id_to_str(&r->job.hold, hold);
        (void) snprintf(path, sizeof(path), "%s/evidence/%s/%s/public.jsonl", r->job.state, r->job.incident, hold);
        for (int64_t end = clock_mono_us() + WAIT_US; clock_mono_us() < end;)
                if (public_bytes == 0 || (stat(path, &st) == 0 && st.st_size >= public_bytes)) {
                        siginfo_t si = { 0 };

                        assert_int_equal(kill(pid, SIGSTOP), 0);
                        assert_int_equal(waitid(P_PID, (id_t) pid, &si, WSTOPPED | WEXITED | WNOWAIT), 0);
                        assert_int_equal(si.si_code, CLD_STOPPED);
                        return pid;
                }
        fail_msg("the list did not grow to %ld bytes", (long) public_bytes);
        return -1;
}

bool rig_shell(const char *dir, const char *command) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

                if (chdir(dir) < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
                        _exit(126);
                (void) execl("/bin/bash", "bash", "-o", "pipefail", "-c", command, NULL);
                _exit(127);
        }
        return scratch_wait(pid) == 0;
}

json_t *rig_statement(const struct rig *r, const struct rig_done *d) {
        _cleanup_(dsse_done) struct dsse envelope = DSSE_NULL;
        enum reason reason = REASON_INTERNAL;
        uint64_t who = 0;
        char path[600];

        (void) snprintf(path, sizeof(path), "%s/evidence.dsse.json", d->folder);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(path);

        assert_int_equal(dsse_parse((const char *) b.data, b.n, &envelope, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        assert_int_equal(envelope.type, DSSE_EVIDENCE);
        assert_int_equal(dsse_verify(&envelope, hostkey_public(r->key), 1, &who, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        json_t *o = json_loadb((const char *) envelope.payload, envelope.n_payload, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(o);
        return o;
}

const char *rig_text(const json_t *object, const char *a, const char *b) {
        const json_t *o = json_object_get(object, a);
        const char *text = json_string_value(b ? json_object_get(o, b) : o);

        assert_non_null(text);
        return text;
}
