/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Another cgroup, which no unit has and no hold is on, to be in for a while. */

#include "tests/escape/escape.h"

#include <sys/stat.h>

#define CGROUPS "/sys/fs/cgroup"

static char own_cgroup[256];

static inline void write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                fprintf(stderr, "%s: %m\n", path);
        close(fd);
}

static inline const char *elsewhere(void) {
        static char path[64];

        snprintf(path, sizeof(path), CGROUPS "/elsewhere-%d", escape_number());
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                impossible("mkdir of a cgroup");
        return path;
}

static inline void read_own_cgroup(void) {
        char line[200] = "";
        FILE *f = fopen("/proc/self/cgroup", "re");

        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, "0::", 3) == 0) {
                        line[strcspn(line, "\n")] = 0;
                        snprintf(own_cgroup, sizeof(own_cgroup), CGROUPS "%s", line + 3);
                }
        if (f)
                fclose(f);
}

static inline void enter(const char *cgroup) {
        char path[300];

        snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
        write_file(path, "0");
}

static inline void go_elsewhere(void) {
        read_own_cgroup();
        enter(elsewhere());
}

static inline void come_back(void) {
        enter(own_cgroup);
}
