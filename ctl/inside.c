/* SPDX-License-Identifier: Apache-2.0 */

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/inside.h"
#include "policy/cleanup.h"

#define PATH_SIZE 4096

static bool is_below(const char *own, const char *path) {
        const size_t n = strlen(path);

        return strncmp(own, path, n) == 0 && (own[n] == '/' || own[n] == '\0');
}

static bool has_component(const char *own, const char *name) {
        const size_t n = strlen(name);

        for (const char *at = own; n > 0 && (at = strstr(at, name)); at++)
                if (at > own && at[-1] == '/' && (at[n] == '/' || at[n] == '\0'))
                        return true;
        return false;
}

static bool is_of_user(const char *own, const char *name) {
        const struct passwd *p = getpwnam(name);
        char slice[sizeof("user-4294967295.slice")];

        if (p)
                (void) snprintf(slice, sizeof(slice), "user-%u.slice", p->pw_uid);
        else
                (void) snprintf(slice, sizeof(slice), "user-%.10s.slice", name);
        return has_component(own, slice);
}

/* True when the process of this number started this one, or who did. */
static bool descends_from(const char *own, const char *number) {
        pid_t pid = getpid();

        (void) own;
        while (pid > 0) {
                char path[32], line[512] = "";
                const char *rest;
                int parent;

                if (pid == (pid_t) atoi(number))
                        return true;
                (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
                _cleanup_fclose_ FILE *f = fopen(path, "re");
                rest = f && fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
                if (!rest || sscanf(rest, ") %*c %d", &parent) != 1)
                        return false;
                pid = parent;
        }
        return false;
}

/* What an order for the host leaves running is for the host to say. Nobody gives orders from inside a container. */
static bool (*const insides[_TARGET_MAX])(const char *own, const char *name) = {
        [TARGET_UNIT] = has_component, [TARGET_SLICE] = has_component, [TARGET_CGROUP] = is_below,
        [TARGET_USER] = is_of_user,    [TARGET_PID] = descends_from,
};

bool inside_target(const struct target *t, const char *own) {
        return insides[t->cls] && insides[t->cls](own, t->name);
}

static bool own_cgroup(char ret[static PATH_SIZE]) {
        _cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
        char line[PATH_SIZE];

        while (f && fgets(line, sizeof(line), f))
                if (strncmp(line, "0::", 3) == 0) {
                        line[strcspn(line, "\n")] = '\0';
                        memcpy(ret, line + 3, strlen(line + 3) + 1);
                        return true;
                }
        return false;
}

const struct target *inside_any(const struct command *c) {
        char own[PATH_SIZE];

        if (!verb_info(c->verb)->freezes || c->plan || !own_cgroup(own))
                return NULL;
        for (size_t i = 0; i < c->n_targets; i++)
                if (inside_target(&c->targets[i], own))
                        return &c->targets[i];
        return NULL;
}
