/* SPDX-License-Identifier: Apache-2.0 */

/* freezed-collect: preserves what a contained service knows, in order of volatility, into one folder. Started by
 * freezed for one snapshot with an empty environment and two descriptors; reads nothing but process ids before its
 * sandbox is up (see sandbox.h) and answers with one fixed struct (see collect_abi.h). */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sodium.h>

#include "agent/collect/binaries.h"
#include "agent/collect/core.h"
#include "agent/collect/footprint.h"
#include "agent/collect/journal.h"
#include "agent/collect/logs.h"
#include "agent/collect/nameless.h"
#include "agent/collect/packages.h"
#include "agent/collect/press.h"
#include "agent/collect/process.h"
#include "agent/collect/properties.h"
#include "agent/collect/runtime.h"
#include "agent/collect/sandbox.h"
#include "agent/collect/socket.h"
#include "agent/collect/store.h"
#include "agent/collect/tables.h"
#include "agent/collect/target.h"
#include "agent/collect/unit.h"
#include "agent/collect/units.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "policy/profile.h"
#include "policy/wildcard.h"

/* How often the cgroup is looked at again for processes that were not there: one that is not frozen can go on
 * forking. */
#define ROUNDS_MAX 4U
#define JOURNALD   "/run/systemd/journal"
/* Of everybody's journal, what goes before the order. */
#define AROUND_MS (60LL * 1000)
#define NICE      10
/* For those that a timer would end: about as long as such a timer has. */
#define DOOMED_US (1000LL * 1000)
/* Milliseconds up to here can be counted in microseconds. */
#define NUMBER_MAX (1LL << 50)

enum arg {
        FOLDER,
        RESULT,
        SINCE,
        UNTIL,
        DEADLINE,
        MAX_BYTES,
        _NUMBERS,
        CGROUP = _NUMBERS,
        UNIT,
        RECIPIENT,
        PROFILE,
        LOG
};

static const struct option options[] = {
        { "folder", required_argument, NULL, FOLDER },
        { "result", required_argument, NULL, RESULT },
        { "since", required_argument, NULL, SINCE },
        { "until", required_argument, NULL, UNTIL },
        { "deadline", required_argument, NULL, DEADLINE },
        { "max-bytes", required_argument, NULL, MAX_BYTES },
        { "cgroup", required_argument, NULL, CGROUP },
        { "unit", required_argument, NULL, UNIT },
        { "recipient", required_argument, NULL, RECIPIENT },
        { "profile", required_argument, NULL, PROFILE },
        { "log", required_argument, NULL, LOG },
        { 0 },
};

struct job {
        int64_t numbers[_NUMBERS]; /* wall ms; deadline: ms from now */
        bool given[_NUMBERS];
        const char *cgroups[COLLECT_TARGETS_MAX], *units[COLLECT_TARGETS_MAX];
        size_t n_cgroups, n_units;
        struct age_recipient recipients[AGE_RECIPIENTS_MAX];
        size_t n_recipients;
        enum profile profile;
        const char *logs[COLLECT_LOGS_MAX];
        size_t n_logs;
};

/* What others decide the length of leaves room and time for what comes after it: what the processes are for their
 * memory, that for the journal and the log files, and these for the packages. */
enum stage { STAGE_DESCRIPTORS, STAGE_PROCESSES, STAGE_MEMORY, STAGE_LOGS, STAGE_LAST };

static const struct {
        uint64_t bytes, share; /* of the budget, and no more than one of so many parts of it */
        uint64_t objects;
        int64_t eighths; /* of the time */
} stages[] = {
        [STAGE_DESCRIPTORS] = { 256U * 1024 * 1024, 4, COLLECT_OBJECTS_MAX / 4, 6 },
        [STAGE_PROCESSES] = { 256U * 1024 * 1024, 4, COLLECT_OBJECTS_MAX / 4, 4 },
        [STAGE_MEMORY] = { 256U * 1024 * 1024, 4, COLLECT_OBJECTS_MAX / 8, 2 },
        [STAGE_LOGS] = { 32U * 1024 * 1024, 8, COLLECT_OBJECTS_MAX / 32, 1 },
        [STAGE_LAST] = { 0, 1, 0, 0 },
};

static void begin_stage(const struct job *j, struct store *s, enum stage stage) {
        store_keep(s, MIN(stages[stage].bytes, (uint64_t) j->numbers[MAX_BYTES] / stages[stage].share),
                   stages[stage].objects, j->numbers[DEADLINE] * 1000 / 8 * stages[stage].eighths);
}

static bool parse_number(const char *s, int64_t *ret) {
        char *end = NULL;

        errno = 0;
        long long v = strtoll(s, &end, 10);

        if (errno != 0 || end == s || *end != '\0' || v < 0 || v > NUMBER_MAX)
                return false;
        *ret = v;
        return true;
}

static bool parse_option(struct job *j, int o) {
        if (o >= 0 && o < _NUMBERS)
                return (j->given[o] = parse_number(optarg, &j->numbers[o]));
        /* Each --cgroup is followed by its --unit. */
        if (o == CGROUP && j->n_cgroups == j->n_units && j->n_cgroups < COLLECT_TARGETS_MAX && optarg[0] == '/') {
                j->cgroups[j->n_cgroups++] = optarg;
                return true;
        }
        if (o == UNIT && j->n_units + 1 == j->n_cgroups) {
                j->units[j->n_units++] = optarg;
                return true;
        }
        if (o == PROFILE)
                return profile_from_id(optarg, &j->profile);
        if (o == LOG && j->n_logs < COLLECT_LOGS_MAX && wildcard_path_ok(optarg)) {
                j->logs[j->n_logs++] = optarg;
                return true;
        }
        return o == RECIPIENT && j->n_recipients < AGE_RECIPIENTS_MAX &&
               age_recipient_from_str(optarg, &j->recipients[j->n_recipients++]) == 0;
}

static bool parse_job(int argc, char **argv, struct job *j) {
        opterr = 0;
        for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
                if (!parse_option(j, o))
                        return false;
        for (int i = 0; i < _NUMBERS; i++)
                if (!j->given[i])
                        return false;
        return optind == argc && j->n_recipients > 0 && j->n_cgroups > 0 && j->n_cgroups == j->n_units;
}

static void note_begin(const struct job *j, struct store *s) {
        json_t *targets = json_array();

        for (size_t i = 0; i < j->n_cgroups; i++) {
                json_t *t = json_object();
                if (index_set_bytes(t, "cgroup", j->cgroups[i], strlen(j->cgroups[i])) < 0 ||
                    index_set_bytes(t, "unit", j->units[i], strlen(j->units[i])) < 0)
                        json_object_clear(t);
                (void) json_array_append_new(targets, t);
        }
        store_note(s, json_pack("{s:s, s:i, s:s, s:I, s:I, s:I, s:o}", "note", "begin", "v", 1, "profile",
                                profile_info(j->profile)->id, "started_ms", (json_int_t) clock_wall_ms(), "since_ms",
                                (json_int_t) j->numbers[SINCE], "until_ms", (json_int_t) j->numbers[UNTIL], "targets",
                                targets));
}

static void collect_memory(const struct job *j, struct target_set *t, struct store *s) {
        begin_stage(j, s, STAGE_MEMORY);
        if (!profile_info(j->profile)->memory)
                return;
        core_collect(t, s);
        nameless_collect(t, s);
}

static void collect_processes(const struct job *j, struct target_set *t, struct store *s, struct tables *tables) {
        struct socket_seen seen = { .n = 0 };

        begin_stage(j, s, STAGE_DESCRIPTORS);
        if (profile_info(j->profile)->memory)
                core_collect_doomed(t, s, DOOMED_US);
        tables_collect_netns(tables, s);

        for (unsigned round = 0; round == 0 || (round < ROUNDS_MAX && target_find_processes(t, s)); round++) {
                begin_stage(j, s, STAGE_DESCRIPTORS);
                socket_collect(t, s, &seen);
                begin_stage(j, s, STAGE_PROCESSES);
                process_collect(t, s);
        }
        for (size_t i = 0; i < seen.n; i++)
                tables_miss(tables, s, seen.names[i]);
        tables_collect_programs(tables, s);
        target_collect(t, s);
        process_collect_memory(t, s);
        store_checkpoint(s);
}

/* Without the host's part of it, which anybody can make long. */
static void collect_journals(const struct job *j, const struct units *u, struct store *s) {
        const int64_t since = j->numbers[SINCE], until = j->numbers[UNTIL];
        const struct journal_window window = { since, until }, up_to_now = { since, MAX(until, clock_wall_ms()) };

        /* what a slice's units said is in the slice's */
        for (size_t i = 0; i < u->n; i++)
                if (u->v[i].given)
                        journal_collect(s, u->v[i].name, &window);
        /* where journald never ran nothing is missing */
        if (faccessat(AT_FDCWD, JOURNALD, F_OK, 0) < 0 && errno == ENOENT)
                return;
        journal_collect_kernel(s, &up_to_now);
        journal_collect_sequence(s, &up_to_now);
}

static void collect_host_journal(const struct job *j, struct store *s) {
        const int64_t until = j->numbers[UNTIL], now = MAX(until, clock_wall_ms());

        if (faccessat(AT_FDCWD, JOURNALD, F_OK, 0) == 0)
                journal_collect_host(s, &(struct journal_window) { MAX(until - AROUND_MS, j->numbers[SINCE]), now });
}

/* The runtime's files are the host's. */
static void collect_runtimes(const struct job *j, const struct roots *roots, struct store *s) {
        const struct roots host = { .v = { roots->v[0] }, .n = 1 };

        for (size_t i = 0; i < j->n_cgroups; i++) {
                char patterns[RUNTIME_PATTERNS][WILDCARD_PATH_SIZE];
                const char *v[RUNTIME_PATTERNS];
                size_t n = runtime_patterns(j->cgroups[i], patterns);

                for (size_t k = 0; k < n; k++)
                        v[k] = patterns[k];
                if (n > 0)
                        logs_collect(s, &host, v, n);
        }
}

/* What lies on disk, in order of how soon it may be gone. What may be long leaves room and time for what is small. */
static void collect_files(const struct job *j, const struct units *u, const struct roots *roots, struct properties *p,
                          struct binaries *b, struct store *s) {
        _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        for (size_t i = 0; i < u->n; i++)
                unit_collect(s, root, u->v[i].name);
        properties_collect(p, s);
        begin_stage(j, s, STAGE_LOGS);
        collect_journals(j, u, s);
        collect_runtimes(j, roots, s);
        logs_collect(s, roots, j->logs, j->n_logs);
        collect_host_journal(j, s);
        begin_stage(j, s, STAGE_LAST);
        packages_collect(s, roots, b);
        binaries_put(s, b);
}

/* From the folder to a result, or an exit code. */
static int run(const struct job *j, int *folder, struct collect_result *ret) {
        const struct store_limits store_limits = {
                .recipients = j->recipients,
                .n_recipients = j->n_recipients,
                .max_bytes = (uint64_t) j->numbers[MAX_BYTES],
                .deadline_us = clock_mono_us() + j->numbers[DEADLINE] * 1000,
        };
        const struct sandbox_limits limits = {
                .max_bytes = (uint64_t) j->numbers[MAX_BYTES] + COLLECT_INDEX_MAX,
                .cpu_seconds = ((uint64_t) j->numbers[DEADLINE] / 1000 + 2) * (1 + PRESS_WORKERS),
        };
        _cleanup_(store_freep) struct store *s = NULL;
        _cleanup_(target_set_freep) struct target_set *t = NULL;
        _cleanup_(roots_done) struct roots roots = { .n = 0 };
        _cleanup_(tables_freep) struct tables *tables = NULL;
        _cleanup_(binaries_done) struct binaries binaries = { .v = NULL };
        _cleanup_(properties_done) struct properties properties = PROPERTIES_NULL;
        _cleanup_free_ struct units *units = NULL;

        if (sandbox_limit(&limits) < 0)
                return COLLECT_EXIT_SANDBOX;
        const struct footprint footprint = { .core = getppid(), .synced = clock_synced() };

        properties_start(&properties);
        bool own_mounts = sandbox_mounts(folder) == 0;

        if (store_open(*folder, &store_limits, &s) < 0)
                return COLLECT_EXIT_FAILED;
        t = target_set_new(j->cgroups, j->units, j->n_cgroups);
        if (!t)
                return COLLECT_EXIT_FAILED;
        if (!own_mounts)
                store_flag(s, COLLECT_NO_MOUNTS);
        note_begin(j, s);
        /* Before the walls are up, because /proc/PID/stack opens for CAP_SYS_ADMIN only, and so do network namespaces.
         * All that is read for it is digits and names of cgroups. */
        (void) target_find_processes(t, s);
        tables = tables_start(t, s);
        units = units_find(t, s);
        if (!units)
                return COLLECT_EXIT_FAILED;
        properties_ask(&properties, units);
        if (sandbox_enter() < 0)
                return COLLECT_EXIT_SANDBOX;
        store_start_threads(s);
        collect_processes(j, t, s, tables);
        collect_memory(j, t, s);
        roots_open(t, s, &roots);
        binaries_find(t, &roots, s, &binaries);
        target_end_pass(t, s);
        begin_stage(j, s, STAGE_LAST);
        footprint_collect(s, &footprint);
        store_stop_threads(s);
        if (sandbox_landlock(*folder) < 0)
                store_flag(s, COLLECT_NO_LANDLOCK);
        store_start_threads(s);
        collect_files(j, units, &roots, &properties, &binaries, s);
        return store_finish(s, ret) < 0 ? COLLECT_EXIT_FAILED : COLLECT_EXIT_DONE;
}

#ifdef __SANITIZE_ADDRESS__
/* Looking for leaks at exit takes a process of its own, which the sandbox forbids. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
        return "detect_leaks=0";
}
#endif

int main(int argc, char **argv) {
        struct job job = { .n_cgroups = 0 };
        struct collect_result result;
        struct collect_wire wire;
        int code;

        if (sodium_init() < 0)
                return COLLECT_EXIT_FAILED;
        if (!parse_job(argc, argv, &job))
                return COLLECT_EXIT_USAGE;
        /* beside the core, which has more urgent things to do */
        (void) setpriority(PRIO_PROCESS, 0, NICE);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGXFSZ, SIG_IGN);
        int folder = (int) job.numbers[FOLDER];

        code = run(&job, &folder, &result);
        if (code != COLLECT_EXIT_DONE)
                return code;
        collect_pack(&result, &wire);
        return io_write_all((int) job.numbers[RESULT], &wire, sizeof(wire)) < 0 ? COLLECT_EXIT_FAILED
                                                                                : COLLECT_EXIT_DONE;
}
