/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/branch_path.h"

#include <string.h>

#define PREFIX "freezed-"
#define DIGITS 32U

int branch_path_make(const char *cgroup, const struct command_id *hold, char **ret) {
        char id[33];

        command_id_to_str(hold, id);
        return asprintf(ret, "%s/" PREFIX "%s", strcmp(cgroup, "/") == 0 ? "" : cgroup, id) < 0 ? -ENOMEM : 0;
}

bool branch_path_is(const char *path) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

        return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && strlen(name) == strlen(PREFIX) + DIGITS &&
               strspn(name + strlen(PREFIX), "0123456789abcdef") == DIGITS;
}

int branch_path_parent(const char *path, char **ret) {
        const char *slash = strrchr(path, '/');

        *ret = !slash || slash == path ? strdup("/") : strndup(path, (size_t) (slash - path));
        return *ret ? 0 : -ENOMEM;
}
