/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/properties.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/collect/source.h"
#include "agent/util/io.h"

#define SYSTEMD   "/run/systemd/system"
#define SYSTEMCTL "/bin/systemctl"
/* Some 8 KiB a unit. */
#define OUTPUT_MAX (16U * 1024 * 1024)
#define ARGS_FIXED 5U
#define CHUNK_SIZE (16U * 1024)

static const struct index_item item = { .kind = "unit-properties", .source = "systemctl show" };

/* The names that the collector writes, each with its NUL, as arguments. */
static int read_names(int fd, char **args, size_t n_args) {
        static char names[UNITS_MAX * (UNIT_NAME_MAX + 1)];
        size_t n = 0, k = 0;

        while (n < sizeof(names)) {
                ssize_t got = read(fd, names + n, sizeof(names) - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        break;
                n += (size_t) got;
        }
        for (size_t i = 0; i < n && k < n_args; i += strlen(names + i) + 1)
                args[k++] = names + i;
        args[k] = NULL;
        return k > 0 ? 0 : -ENODATA;
}

static void run(int names, int output) {
        static char *args[ARGS_FIXED + UNITS_MAX + 1] = { (char *) SYSTEMCTL, (char *) "show", (char *) "--all",
                                                          (char *) "--no-pager", (char *) "--" };
        static char *const environment[] = { NULL };
        const struct rlimit size = { OUTPUT_MAX, OUTPUT_MAX };
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
            dup2(output, STDOUT_FILENO) < 0 || setrlimit(RLIMIT_FSIZE, &size) < 0)
                _exit(1);
        if (dup2(names, 3) < 0 || close_range(4, ~0U, 0) < 0 || read_names(3, args + ARGS_FIXED, UNITS_MAX) < 0)
                _exit(1);
        (void) close(3);
        (void) alarm(PROPERTIES_SECONDS);
        (void) execve(args[0], args, environment);
        _exit(1);
}

static int start(struct properties *p) {
        _cleanup_close_ int names = -EBADF;
        const pid_t self = getpid();
        int ends[2];

        p->output = memfd_create("properties", MFD_CLOEXEC);
        if (p->output < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        names = ends[0];
        p->ask = ends[1];
        p->pid = fork();
        if (p->pid < 0)
                return -errno;
        if (p->pid == 0) {
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self)
                        _exit(1);
                run(names, p->output);
        }
        return 0;
}

void properties_start(struct properties *ret) {
        *ret = PROPERTIES_NULL;
        if (access(SYSTEMD, F_OK) < 0)
                return;
        ret->err = start(ret);
        if (ret->err < 0)
                ret->pid = 0;
}

void properties_ask(struct properties *p, const struct units *u) {
        for (size_t i = 0; p->pid > 0 && p->err == 0 && i < u->n; i++)
                if (units_name_ok(u->v[i].name))
                        p->err = io_write_all(p->ask, u->v[i].name, strlen(u->v[i].name) + 1);
        closep(&p->ask);
        p->ask = -EBADF;
        p->asked = p->pid > 0 && u->n > 0;
}

/* How it ended. The deadline may be nearer than its end. */
static int wait_for(struct properties *p, struct store *s) {
        int status = 0;
        pid_t pid;

        while ((pid = waitpid(p->pid, &status, WNOHANG)) == 0 && !store_over(s))
                (void) nanosleep(&(struct timespec) { .tv_nsec = 10L * 1000 * 1000 }, NULL);
        if (pid < 0)
                return -errno;
        if (pid == 0)
                return -ETIME;
        p->pid = 0;
        if (WIFSIGNALED(status))
                return WTERMSIG(status) == SIGALRM ? -ETIME : -EFBIG;
        return WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* Memory, not a file of the host's: nothing is said of it but what is in it. */
static void copy(struct properties *p, struct store *s, int err) {
        char chunk[CHUNK_SIZE];
        int r = store_begin(s, &item);
        off_t at = 0;
        ssize_t got;

        while (r == 0 && (got = pread(p->output, chunk, sizeof(chunk), at)) > 0) {
                r = store_write(s, chunk, (size_t) got);
                at += got;
        }
        store_end(s, err < 0 ? err : r, -1, false);
}

void properties_collect(struct properties *p, struct store *s) {
        if (p->err < 0)
                store_hole(s, &item, p->err, -1);
        else if (p->asked)
                copy(p, s, wait_for(p, s));
}

void properties_done(struct properties *p) {
        closep(&p->ask);
        closep(&p->output);
        *p = PROPERTIES_NULL;
}
