/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/numdir.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <linux/kcmp.h>

DIR *numdir_open(int at, const char *path) {
        _cleanup_close_ int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (d)
                (void) TAKE_FD(fd);
        return d;
}

void numdir_closep(DIR **d) {
        if (*d)
                (void) closedir(*d);
}

const char *numdir_next(DIR *d) {
        for (const struct dirent *e; (e = readdir(d));)
                if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
                        return e->d_name;
        return NULL;
}

bool numdir_own_files(pid_t pid, pid_t tid) {
        return syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) != 0;
}
