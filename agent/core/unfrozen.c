/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/unfrozen.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "agent/util/io.h"

#define FILE_MAX 4096U

/* Where a task waits that the kernel counts as frozen. get_signal has the trap inlined in most builds; who waits for
 * its vfork() child is let stay there. */
static const char *const traps[] = { "get_signal", "do_freezer_trap", "kernel_clone", "wait_for_vfork_done" };

/* Stopped and traced tasks count as frozen, dead ones do not count. */
static const char settled[] = "TtZXx";

static void make_printable(char *s) {
        for (; *s; s++)
                if (*s < 0x20 || *s > 0x7e)
                        *s = '?';
}

static int read_file(pid_t pid, pid_t tid, const char *name, char **ret) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int) pid, (int) tid, name);
        return io_read_file(AT_FDCWD, path, FILE_MAX, ret, NULL);
}

/* "812 (any ) bytes (at all) S 1 ..." */
static bool read_stat(pid_t pid, pid_t tid, struct unfrozen *ret) {
        _cleanup_free_ char *text = NULL;
        const char *begin, *end;

        if (read_file(pid, tid, "stat", &text) < 0)
                return false;
        begin = strchr(text, '(');
        end = strrchr(text, ')');
        if (!begin || !end || end < begin || end[1] != ' ' || !end[2])
                return false;
        (void) snprintf(ret->comm, sizeof(ret->comm), "%.*s", (int) MIN(end - begin - 1, 63), begin + 1);
        make_printable(ret->comm);
        ret->state = end[2];
        return true;
}

static bool is_unfrozen(pid_t pid, pid_t tid, struct unfrozen *ret) {
        _cleanup_free_ char *wchan = NULL;

        *ret = (struct unfrozen) { .pid = pid, .tid = tid };
        if (!read_stat(pid, tid, ret) || strchr(settled, ret->state))
                return false;
        if (read_file(pid, tid, "wchan", &wchan) == 0 && strcmp(wchan, "0") != 0)
                (void) snprintf(ret->wchan, sizeof(ret->wchan), "%s", wchan);
        make_printable(ret->wchan);
        for (size_t k = 0; k < ELEMENTSOF(traps); k++)
                if (strcmp(traps[k], ret->wchan) == 0)
                        return false;
        return true;
}

static bool find_thread(pid_t pid, struct unfrozen *ret) {
        bool found = false;
        char path[32];
        struct dirent *e;
        DIR *d;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        d = opendir(path);
        while (d && !found && (e = readdir(d))) {
                const pid_t tid = e->d_name[0] == '.' ? 0 : (pid_t) strtol(e->d_name, NULL, 10);

                found = tid > 0 && is_unfrozen(pid, tid, ret);
        }
        if (d)
                (void) closedir(d);
        return found;
}

void unfrozen_find(const pid_t *pids, size_t n, struct unfrozen_list *ret) {
        *ret = (struct unfrozen_list) { 0 };
        for (size_t i = 0; i < n && ret->n < UNFROZEN_MAX; i++)
                ret->n += find_thread(pids[i], &ret->v[ret->n]);
}

json_t *unfrozen_to_json(const struct unfrozen_list *l) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < l->n; i++) {
                const struct unfrozen *u = &l->v[i];

                (void) json_array_append_new(array,
                                             json_pack("{si si ss ss# ss}", "pid", (int) u->pid, "tid", (int) u->tid,
                                                       "comm", u->comm, "state", &u->state, 1, "wchan", u->wchan));
        }
        return array;
}
