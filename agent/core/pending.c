/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/pending.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "agent/util/io.h"

#define STATUS_MAX 16384U
#define MASK(sig)  (UINT64_C(1) << ((sig) -1))
/* signal(7): those whose default is to be ignored, to stop or to go on */
#define NOT_FATAL                                                                                        \
        (MASK(SIGCHLD) | MASK(SIGURG) | MASK(SIGWINCH) | MASK(SIGCONT) | MASK(SIGSTOP) | MASK(SIGTSTP) | \
         MASK(SIGTTIN) | MASK(SIGTTOU))

static uint64_t mask_of(const char *status, const char *name) {
        const char *line = strstr(status, name);

        return line ? strtoull(line + strlen(name), NULL, 16) : 0;
}

uint64_t pending_fatal_of(const char *status) {
        const uint64_t pending = mask_of(status, "\nSigPnd:") | mask_of(status, "\nShdPnd:");

        return pending & ~(mask_of(status, "\nSigBlk:") | mask_of(status, "\nSigIgn:") | mask_of(status, "\nSigCgt:") |
                           NOT_FATAL);
}

uint64_t pending_fatal(pid_t pid) {
        char path[32];
        struct dirent *e;
        uint64_t fatal = 0;
        DIR *d;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        d = opendir(path);
        while (d && (e = readdir(d))) {
                char name[sizeof(e->d_name) + sizeof("/status")];
                _cleanup_free_ char *status = NULL;

                (void) snprintf(name, sizeof(name), "%s/status", e->d_name);
                if (e->d_name[0] != '.' && io_read_file(dirfd(d), name, STATUS_MAX, &status, NULL) == 0)
                        fatal |= pending_fatal_of(status);
        }
        if (d)
                (void) closedir(d);
        return fatal;
}
