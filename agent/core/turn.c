/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/turn.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "agent/core/process.h"

static int open_file(const char *socket) {
        _cleanup_free_ char *copy = strdup(socket), *path = NULL;
        int fd;

        if (!copy || asprintf(&path, "%s/turn", dirname(copy)) < 0)
                return -ENOMEM;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        return fd < 0 ? -errno : fd;
}

/* A process's own, unlike flock(2)'s: no child has it too, and who has it is told. */
static struct flock place(unsigned i) {
        return (struct flock) { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1 };
}

static int sit(int fd) {
        for (unsigned i = 0; i < TURN_PLACES; i++) {
                struct flock l = place(i);

                if (fcntl(fd, F_SETLK, &l) == 0)
                        return 0;
                if (errno != EAGAIN && errno != EACCES)
                        return -errno;
        }
        return -EBUSY;
}

/* Nobody is looked at before there is a place: of two that come at the same time, at least one sees the other. */
int turn_take(const char *socket, struct turn *ret) {
        _cleanup_close_ int fd = open_file(socket);
        struct turn t = { 0 };
        int r = fd < 0 ? fd : sit(fd);

        for (unsigned i = 0; r == 0 && i < TURN_PLACES; i++) {
                struct flock l = place(i);

                if (fcntl(fd, F_GETLK, &l) < 0)
                        return -errno;
                if (l.l_type == F_UNLCK)
                        continue;
                if (process_is_killed(l.l_pid))
                        t.dying[t.n_dying++] = l.l_pid;
                else
                        r = -EBUSY;
        }
        if (r < 0)
                return r;
        t.fd = TAKE_FD(fd);
        *ret = t;
        return 0;
}
