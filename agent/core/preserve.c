/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/core/preserve.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/core/seal.h"
#include "agent/util/clock.h"
#include "agent/util/collect_abi.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"

/* How often the same hold can be preserved: after each crash of the core in the middle of it, once more. */
#define FOLDERS_MAX 16U
/* Of the deadline, what the collector leaves for making what it has durable. */
#define MARGIN_SHARE  4
#define MARGIN_MAX_MS 5000
/* A process that a dead disk holds does not even die of SIGKILL; it is not waited for longer than this. */
#define LOST_US (2ULL * 1000 * 1000)
/* Nor is one that makes durable what a collector left that died. */
#define SYNC_US           (5ULL * 1000 * 1000)
#define TIMER_ACCURACY_US 1000
/* Descriptors that are moved to 0..4 in the child come from above these, so that none is overwritten before it is
 * moved. */
#define HIGH_FD 16

struct preserve {
        sd_event_source *child, *timer;
        int folder, result;
        char path[PATH_MAX];
        char pem[PATH_MAX];
        char *order; /* owned */
        struct seal_job seal;
        int64_t start_us;
        bool syncing;
        preserve_fn done;
        void (*before_seal)(void *userdata);
        void *userdata;
};

void preserve_free(struct preserve *p) {
        if (!p)
                return;
        sd_event_source_disable_unref(p->timer);
        /* Kills and reaps it: the source owns the process. */
        sd_event_source_disable_unref(p->child);
        closep(&p->folder);
        closep(&p->result);
        free(p->order);
        free(p);
}

void preserve_freep(struct preserve **p) {
        preserve_free(*p);
}

/* The incident's name was signed and checked, but here it becomes a folder. */
static bool is_folder_name(const char *s) {
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
        return n > 0 && n <= COMMAND_INCIDENT_MAX && s[n] == '\0' && s[0] != '.';
}

static int make_leaf(struct preserve *p, int parent, const char *hold) {
        size_t n = strlen(p->path);
        char name[64];

        for (unsigned i = 1; i <= FOLDERS_MAX; i++) {
                (void) snprintf(name, sizeof(name), i == 1 ? "%s" : "%s.%u", hold, i);
                if (mkdirat(parent, name, 0700) == 0) {
                        p->folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                        if (p->folder < 0 || fsync(parent) < 0)
                                return -errno;
                        int k = snprintf(p->path + n, sizeof(p->path) - n, "/%s", name);
                        return k < 0 || (size_t) k >= sizeof(p->path) - n ? -ENAMETOOLONG : 0;
                }
                if (errno != EEXIST)
                        return -errno;
        }
        /* Never into a folder that has something in it: that is evidence. */
        return -EEXIST;
}

static int make_folder(struct preserve *p, const struct preserve_job *job) {
        _cleanup_close_ int parent = -EBADF;
        char hold[33];
        const char *incident = job->incident && job->incident[0] ? job->incident : hold;
        int r = fault_effect("evidence-folder");

        if (r < 0)
                return r;
        command_id_to_str(&job->hold, hold);
        if (!is_folder_name(incident))
                return -EINVAL;
        int n = snprintf(p->path, sizeof(p->path), "%s/evidence/%s", job->state, incident);

        if (n < 0 || (size_t) n >= sizeof(p->path))
                return -ENAMETOOLONG;
        r = io_mkdirs(p->path, 0700);
        if (r < 0)
                return r;
        parent = open(p->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return parent < 0 ? -errno : make_leaf(p, parent, hold);
}

/* Room for every argument; the numbers are kept here because the vector only points. */
struct arguments {
        char numbers[4][24];
        char recipients[AGE_RECIPIENTS_MAX][AGE_RECIPIENT_SIZE];
        const char *v[18 + 2 * COLLECT_LOGS_MAX + 2 * AGE_RECIPIENTS_MAX + 4 * COLLECT_TARGETS_MAX + 1];
        size_t n;
};

static void add_number(struct arguments *a, size_t i, const char *name, long long value) {
        (void) snprintf(a->numbers[i], sizeof(a->numbers[i]), "%lld", value);
        a->v[a->n++] = name;
        a->v[a->n++] = a->numbers[i];
}

static void fill_arguments(struct arguments *a, const struct preserve_job *job) {
        int64_t margin = MIN(job->deadline_ms / MARGIN_SHARE, (int64_t) MARGIN_MAX_MS);

        a->n = 0;
        a->v[a->n++] = job->collector;
        a->v[a->n++] = "--folder";
        a->v[a->n++] = "3";
        a->v[a->n++] = "--result";
        a->v[a->n++] = "4";
        /* A clock near the epoch, and a window that reaches back beyond it. */
        add_number(a, 0, "--since", MAX(job->since_ms, 0));
        add_number(a, 1, "--until", job->until_ms);
        add_number(a, 2, "--deadline", job->deadline_ms - margin);
        add_number(a, 3, "--max-bytes", (long long) job->max_bytes);
        a->v[a->n++] = "--profile";
        a->v[a->n++] = profile_info(job->profile)->id;
        for (size_t i = 0; i < job->n_recipients; i++) {
                age_recipient_to_str(&job->recipients[i], a->recipients[i]);
                a->v[a->n++] = "--recipient";
                a->v[a->n++] = a->recipients[i];
        }
        for (size_t i = 0; i < job->n_logs; i++) {
                a->v[a->n++] = "--log";
                a->v[a->n++] = job->logs[i];
        }
        for (size_t i = 0; i < job->n_targets; i++) {
                a->v[a->n++] = "--cgroup";
                a->v[a->n++] = job->targets[i].cgroup;
                a->v[a->n++] = "--unit";
                a->v[a->n++] = job->targets[i].unit ? job->targets[i].unit : "-";
        }
        a->v[a->n] = NULL;
}

_Static_assert(COLLECT_FOLDER_FD == 3 && COLLECT_RESULT_FD == 4, "the arguments above say so");

/* Nothing of the core goes into the child but the two descriptors: no environment, no signal disposition, no descriptor
 * that someone forgot to mark. Positive errno, as posix_spawn(3) has it. */
static int set_up(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr, const int fds[static 5]) {
        sigset_t all, none;
        int r = 0;

        (void) sigfillset(&all);
        (void) sigemptyset(&none);
        for (int i = 0; r == 0 && i < 5; i++)
                r = posix_spawn_file_actions_adddup2(actions, fds[i], i);
        if (r == 0)
                r = posix_spawn_file_actions_addclosefrom_np(actions, 5);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(attr, &all);
        if (r == 0)
                r = posix_spawnattr_setsigmask(attr, &none);
        if (r == 0)
                r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
        return r;
}

static int spawn(const struct arguments *a, int folder, int result, pid_t *ret) {
        _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        _cleanup_close_ int in = null < 0 ? -EBADF : fcntl(null, F_DUPFD_CLOEXEC, HIGH_FD);
        _cleanup_close_ int dir = fcntl(folder, F_DUPFD_CLOEXEC, HIGH_FD);
        _cleanup_close_ int out = fcntl(result, F_DUPFD_CLOEXEC, HIGH_FD);
        const int fds[5] = { in, in, in, dir, out };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        char *const environment[] = { NULL };
        int r;

        if (in < 0 || dir < 0 || out < 0)
                return -errno;
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attr);
        if (r == 0) {
                r = set_up(&actions, &attr, fds);
                if (r == 0)
                        r = posix_spawn(ret, a->v[0], &actions, &attr, (char *const *) a->v, environment);
                (void) posix_spawnattr_destroy(&attr);
        }
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static void read_result(struct preserve *p) {
        /* One byte more than there may be: a longer answer is none. */
        struct {
                struct collect_wire wire;
                uint8_t more;
        } buf;
        ssize_t n = read(p->result, &buf, sizeof(buf));

        p->seal.has_result = n == (ssize_t) sizeof(buf.wire) && collect_unpack(&buf.wire, &p->seal.result);
}

static void seal(struct preserve *p) {
        struct preserved out;

        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        if (p->before_seal)
                p->before_seal(p->userdata);
        seal_folder(p->folder, &p->seal, &out);
        out.folder = p->path;
        out.took_us = clock_mono_us() - p->start_us;
        p->done(&out, p->userdata);
}

static int on_synced(sd_event_source *s, const siginfo_t *si, void *userdata) {
        struct preserve *p = userdata;

        (void) s;
        p->seal.synced = si->si_code == CLD_EXITED && si->si_status == 0;
        seal(p);
        return 0;
}

/* In a process of its own, because the disk takes its time and the core has none. It holds nothing else open: not even
 * a disk that never answers keeps what is locked here from the next core. */
static int start_sync(struct preserve *p) {
        sd_event *event = sd_event_source_get_event(p->timer);
        const unsigned folder = (unsigned) p->folder;
        int r = fault_effect("evidence-sync");
        pid_t pid = r < 0 ? -1 : fork();

        if (pid < 0)
                return r < 0 ? r : -errno;
        if (pid == 0) {
                if ((folder > 0 && close_range(0, folder - 1, 0) < 0) || close_range(folder + 1, ~0U, 0) < 0)
                        _exit(1);
                _exit(syncfs(p->folder) < 0);
        }
        sd_event_source_disable_unref(TAKE_PTR(p->child));
        r = sd_event_add_child(event, &p->child, pid, WEXITED, on_synced, p);
        if (r >= 0)
                r = sd_event_source_set_time_relative(p->timer, SYNC_US);
        return r < 0 ? r : sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

static void finish(struct preserve *p) {
        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(p->child, SD_EVENT_OFF);
        read_result(p);
        /* What one left that did not live to make it durable is, before it is signed. */
        p->syncing = p->seal.exit.code != COLLECT_EXIT_DONE && !p->seal.exit.lost && start_sync(p) >= 0;
        if (!p->syncing)
                seal(p);
}

static int on_left_child(sd_event_source *s, const siginfo_t *si, void *userdata) {
        (void) si;
        (void) userdata;
        /* the loop lets go of it with that */
        return sd_event_source_set_floating(s, false);
}

/* Waiting for it would be waiting for the disk that it waits for. It is reaped when that lets it end, whoever else has
 * gone by then. */
static void leave_child(struct preserve *p) {
        sd_event *event = sd_event_source_get_event(p->child);
        pid_t pid = 0;
        int r = sd_event_source_get_child_pid(p->child, &pid);

        (void) sd_event_source_set_child_process_own(p->child, false);
        p->child = sd_event_source_disable_unref(p->child);
        if (r >= 0)
                (void) sd_event_add_child(event, NULL, pid, WEXITED, on_left_child, NULL);
}

static int on_exit_of_child(sd_event_source *s, const siginfo_t *si, void *userdata) {
        struct preserve *p = userdata;

        (void) s;
        if (si->si_code == CLD_EXITED)
                p->seal.exit.code = si->si_status;
        else
                p->seal.exit.signal = si->si_status;
        finish(p);
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        struct preserve *p = userdata;

        if (p->syncing) {
                leave_child(p);
                seal(p);
                return 0;
        }
        if (p->seal.exit.deadline) {
                p->seal.exit.lost = true;
                leave_child(p);
                finish(p);
                return 0;
        }
        p->seal.exit.deadline = true;
        (void) sd_event_source_send_child_signal(p->child, SIGKILL, NULL, 0);
        (void) sd_event_source_set_time(s, usec + LOST_US);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int watch(struct preserve *p, sd_event *event, pid_t pid, int64_t deadline_ms) {
        int r = sd_event_add_child(event, &p->child, pid, WEXITED, on_exit_of_child, p);

        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return r;
        }
        (void) sd_event_source_set_child_process_own(p->child, true);
        return sd_event_add_time_relative(event, &p->timer, CLOCK_MONOTONIC, (uint64_t) deadline_ms * 1000,
                                          TIMER_ACCURACY_US, on_timer, p);
}

static int start_collector(struct preserve *p, sd_event *event, const struct preserve_job *job) {
        _cleanup_free_ struct arguments *a = malloc(sizeof(*a));
        _cleanup_close_ int write_end = -EBADF;
        int ends[2], r = fault_effect("evidence-spawn");
        pid_t pid;

        if (!a)
                return -ENOMEM;
        if (r < 0)
                return r;
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        p->result = ends[0];
        write_end = ends[1];
        fill_arguments(a, job);
        r = spawn(a, p->folder, write_end, &pid);
        return r < 0 ? r : watch(p, event, pid, job->deadline_ms);
}

static bool is_in_range(const struct preserve_job *job) {
        return job->n_recipients > 0 && job->n_recipients <= AGE_RECIPIENTS_MAX && job->n_targets > 0 &&
               job->n_targets <= COLLECT_TARGETS_MAX && job->n_logs <= COLLECT_LOGS_MAX && job->deadline_ms > 0 &&
               job->deadline_ms <= COMMAND_INT_MAX / 1000 && job->until_ms >= job->since_ms && job->until_ms >= 0 &&
               job->max_bytes <= (uint64_t) COMMAND_INT_MAX;
}

static int prepare(const struct preserve_job *job, struct preserve *p) {
        p->folder = p->result = -EBADF;
        p->start_us = clock_mono_us();
        p->seal = (struct seal_job) {
                .key = job->key,
                .pem = p->pem,
                .hold = job->hold,
                .profile = job->profile,
                .since_ms = job->since_ms,
                .until_ms = job->until_ms,
                .position = job->position,
                .started_ms = clock_wall_ms(),
                .exit = { .code = -1 },
        };
        memcpy(p->seal.digest, job->digest, sizeof(p->seal.digest));
        p->seal.n_recipients = MIN(job->n_recipients, (size_t) AGE_RECIPIENTS_MAX);
        memcpy(p->seal.recipients, job->recipients, p->seal.n_recipients * sizeof(job->recipients[0]));
        if (job->order) {
                p->seal.order = p->order = strdup(job->order);
                if (!p->order)
                        return -ENOMEM;
        }
        (void) snprintf(p->seal.incident, sizeof(p->seal.incident), "%s", job->incident ? job->incident : "");
        int n = snprintf(p->pem, sizeof(p->pem), "%s/host_key.pem", job->state);

        return n < 0 || (size_t) n >= sizeof(p->pem) ? -ENAMETOOLONG : 0;
}

int preserve_start(sd_event *event, const struct preserve_job *job, preserve_fn done, void *userdata,
                   struct preserve **ret) {
        _cleanup_(preserve_freep) struct preserve *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->done = done;
        p->before_seal = job->before_seal;
        p->userdata = userdata;
        r = prepare(job, p);
        if (r == 0 && !is_in_range(job))
                r = -EINVAL;
        if (r == 0)
                r = make_folder(p, job);
        if (r < 0)
                return r;
        r = start_collector(p, event, job);
        if (r < 0) {
                /* Succeeds only while it is empty. */
                (void) rmdir(p->path);
                return r;
        }
        *ret = TAKE_PTR(p);
        return 0;
}
