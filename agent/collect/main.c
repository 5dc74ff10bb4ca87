/* SPDX-License-Identifier: Apache-2.0 */

/* freezed-collect: preserves what a contained service knows, in order of volatility, into one folder. Started by
 * freezed for one snapshot with an empty environment and two descriptors; reads nothing but process ids before its
 * sandbox is up (see sandbox.h) and answers with one fixed struct (see collect_abi.h). */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>

#include "agent/collect/journal.h"
#include "agent/collect/process.h"
#include "agent/collect/sandbox.h"
#include "agent/collect/socket.h"
#include "agent/collect/store.h"
#include "agent/collect/target.h"
#include "agent/collect/unit.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"

/* How often the cgroup is looked at again for processes that were not there: one that is not frozen can go on
 * forking. */
#define ROUNDS_MAX 4U
/* Of the byte budget, what a long journal has to leave for the unit files after it. */
#define UNITS_KEEP (1024U * 1024)
/* Milliseconds up to here can be counted in microseconds. */
#define NUMBER_MAX (1LL << 50)

enum arg { FOLDER, RESULT, SINCE, UNTIL, DEADLINE, MAX_BYTES, _NUMBERS, CGROUP = _NUMBERS, UNIT };

static const struct option options[] = {
        { "folder", required_argument, NULL, FOLDER },
        { "result", required_argument, NULL, RESULT },
        { "since", required_argument, NULL, SINCE },
        { "until", required_argument, NULL, UNTIL },
        { "deadline", required_argument, NULL, DEADLINE },
        { "max-bytes", required_argument, NULL, MAX_BYTES },
        { "cgroup", required_argument, NULL, CGROUP },
        { "unit", required_argument, NULL, UNIT },
        { 0 },
};

struct job {
        int64_t numbers[_NUMBERS]; /* wall ms; deadline: ms from now */
        bool given[_NUMBERS];
        const char *cgroups[COLLECT_TARGETS_MAX], *units[COLLECT_TARGETS_MAX];
        size_t n_cgroups, n_units;
};

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
        return false;
}

static bool parse_job(int argc, char **argv, struct job *j) {
        opterr = 0;
        for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
                if (!parse_option(j, o))
                        return false;
        for (int i = 0; i < _NUMBERS; i++)
                if (!j->given[i])
                        return false;
        return optind == argc && j->n_cgroups > 0 && j->n_cgroups == j->n_units;
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
        store_note(s, json_pack("{s:s, s:i, s:I, s:I, s:I, s:o}", "note", "begin", "v", 1, "started_ms",
                                (json_int_t) clock_wall_ms(), "since_ms", (json_int_t) j->numbers[SINCE], "until_ms",
                                (json_int_t) j->numbers[UNTIL], "targets", targets));
}

static void collect_processes(struct target_set *t, struct store *s) {
        struct socket_seen seen = { .n = 0 };

        for (unsigned round = 0; round == 0 || (round < ROUNDS_MAX && target_find_processes(t, s)); round++) {
                socket_collect(t, s, &seen);
                process_collect(t, s);
        }
        target_collect(t, s);
        process_collect_memory(t, s);
}

static bool is_first(const struct job *j, size_t i) {
        for (size_t k = 0; k < i; k++)
                if (strcmp(j->units[k], j->units[i]) == 0)
                        return false;
        return strcmp(j->units[i], "-") != 0;
}

static void collect_units(const struct job *j, struct store *s) {
        const struct journal_window window = { j->numbers[SINCE], j->numbers[UNTIL] };
        _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        store_keep(s, MIN((uint64_t) UNITS_KEEP, (uint64_t) j->numbers[MAX_BYTES] / 4));
        for (size_t i = 0; i < j->n_units; i++)
                if (is_first(j, i))
                        journal_collect(s, j->units[i], &window);
        store_keep(s, 0);
        for (size_t i = 0; i < j->n_units; i++)
                if (is_first(j, i))
                        unit_collect(s, root, j->units[i]);
}

/* From the folder to a result, or an exit code. */
static int run(const struct job *j, int *folder, struct collect_result *ret) {
        const struct store_limits store_limits = {
                .max_bytes = (uint64_t) j->numbers[MAX_BYTES],
                .deadline_us = clock_mono_us() + j->numbers[DEADLINE] * 1000,
        };
        const struct sandbox_limits limits = {
                .max_bytes = (uint64_t) j->numbers[MAX_BYTES] + COLLECT_INDEX_MAX,
                .cpu_seconds = (uint64_t) j->numbers[DEADLINE] / 1000 + 2,
        };
        _cleanup_(store_freep) struct store *s = NULL;
        _cleanup_(target_set_freep) struct target_set *t = NULL;
        if (sandbox_limit(&limits) < 0)
                return COLLECT_EXIT_SANDBOX;
        bool own_mounts = sandbox_mounts(folder) == 0;

        if (store_open(*folder, &store_limits, &s) < 0)
                return COLLECT_EXIT_FAILED;
        t = target_set_new(j->cgroups, j->units, j->n_cgroups);
        if (!t)
                return COLLECT_EXIT_FAILED;
        if (!own_mounts)
                store_flag(s, COLLECT_NO_MOUNTS);
        note_begin(j, s);
        /* Before the walls are up, because /proc/PID/stack opens for CAP_SYS_ADMIN only. All that is read for it is
         * digits. */
        (void) target_find_processes(t, s);
        if (sandbox_enter() < 0)
                return COLLECT_EXIT_SANDBOX;
        collect_processes(t, s);
        if (sandbox_landlock(*folder) < 0)
                store_flag(s, COLLECT_NO_LANDLOCK);
        collect_units(j, s);
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

        if (!parse_job(argc, argv, &job))
                return COLLECT_EXIT_USAGE;
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
