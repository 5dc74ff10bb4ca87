/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <string.h>

#include "ctl/inside.h"
#include "policy/cleanup.h"

#define PATH_SIZE 4096

bool inside_target(const struct target *t, const char *own) {
        const size_t n = strlen(t->name);
        const char *at = own;

        if (t->cls == TARGET_CGROUP)
                return strncmp(own, t->name, n) == 0 && (own[n] == '/' || own[n] == '\0');
        while ((at = strstr(at, t->name))) {
                if (at > own && at[-1] == '/' && (at[n] == '/' || at[n] == '\0'))
                        return true;
                at++;
        }
        return false;
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
