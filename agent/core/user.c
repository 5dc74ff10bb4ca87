/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/user.h"

#include <pwd.h>
#include <string.h>

int user_uid(const char *passwd, const struct target *t, uint32_t *ret) {
        _cleanup_fclose_ FILE *f = NULL;
        const struct passwd *p;

        if (target_uid(t, ret))
                return 0;
        f = fopen(passwd, "re");
        if (!f)
                return -errno;
        while ((p = fgetpwent(f)))
                if (strcmp(p->pw_name, t->name) == 0) {
                        *ret = p->pw_uid;
                        return 0;
                }
        return -ENOENT;
}

int user_cgroup(uint32_t uid, char **ret) {
        return asprintf(ret, "/user.slice/user-%u.slice", uid) < 0 ? -ENOMEM : 0;
}
