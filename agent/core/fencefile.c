/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/fencefile.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "agent/util/fault.h"
#include "agent/util/io.h"

#define FILE_MAX (64U * 1024)
#define HOLD_TAG "\n# hold="
#define DIR_END  ".d"

/* Every kind of unit. RefuseManualStart= and RefuseManualStop= also refuse what comes in through D-Bus activation,
 * StartTransientUnit() under the same name, and a restart. They do not refuse jobs that a dependency asks for, so a
 * start finds a condition that is never true (there is a "/"), and a stop finds nothing that it may kill.
 *
 * A condition and not an assertion: what requires the held unit, and a target of the boot may, starts without it
 * instead of failing with it. FAIL-OPEN: the host has to come up, or nobody can help it.
 *
 * Before= is for a shutdown, which goes the other way: what is held is killed first and stopped then, because systemd
 * thaws what it stops. */
#define SHUTDOWN "freezed-shutdown.service"
#define UNIT_SECTION              \
        "\n[Unit]\n"              \
        "RefuseManualStart=yes\n" \
        "RefuseManualStop=yes\n"  \
        "IgnoreOnIsolate=yes\n"   \
        "StopWhenUnneeded=no\n"   \
        "FailureAction=none\n"    \
        "SuccessAction=none\n"    \
        "StartLimitAction=none\n" \
        "Before=" SHUTDOWN "\n"   \
        "ConditionPathExists=!/\n"

/* KillMode=none: a stop that a dependency asks for, or a watchdog that expires, ends the unit and not the processes,
 * which are evidence. Nothing of the unit is run on such an occasion either: it would run in a cgroup that is frozen at
 * best. A held process does not use up RuntimeMaxSec= and does not take the others with it when the OOM killer finds
 * it. */
#define SERVICE_SECTION            \
        "\n[Service]\n"            \
        "Restart=no\n"             \
        "KillMode=none\n"          \
        "ExecReload=\n"            \
        "ExecStop=\n"              \
        "ExecStopPost=\n"          \
        "RuntimeMaxSec=infinity\n" \
        "OOMPolicy=continue\n"

#define SCOPE_SECTION     \
        "\n[Scope]\n"     \
        "KillMode=none\n" \
        "RuntimeMaxSec=infinity\n"

/* A slice has an assertion: what is to be started in it requires it, and that is what must not start. */
static const struct {
        const char *suffix, *section;
} kinds[] = {
        { ".service", UNIT_SECTION SERVICE_SECTION },
        { ".scope", UNIT_SECTION SCOPE_SECTION },
        { ".slice", UNIT_SECTION "AssertPathExists=!/\n" },
};

static const char *sections_of(const char *unit) {
        const char *dot = strrchr(unit, '.');

        for (size_t k = 0; dot && k < ELEMENTSOF(kinds); k++)
                if (strcmp(dot, kinds[k].suffix) == 0)
                        return kinds[k].section;
        return UNIT_SECTION;
}

int fencefile_render(const struct fencefile *f, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return -ENOMEM;
        (void) fprintf(out,
                       "# freezed holds %s: it is not started, stopped or reloaded.\n"
                       "# Ask `freezectl status`; `freezectl release HOLD` ends it and takes this file away.",
                       f->unit);
        for (size_t i = 0; i < f->n; i++) {
                char id[33];

                command_id_to_str(&f->holds[i], id);
                (void) fprintf(out, HOLD_TAG "%s", id);
        }
        (void) fprintf(out, "\n%s", sections_of(f->unit));
        if (fclose(out) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        return 0;
}

void fencefile_parse(const char *text, struct fencefile *f) {
        f->n = 0;
        for (const char *at = strstr(text, HOLD_TAG); at; at = strstr(at, HOLD_TAG)) {
                struct command_id hold;
                char id[33];

                at += strlen(HOLD_TAG);
                (void) snprintf(id, sizeof(id), "%s", at);
                if (command_id_from_str(id, &hold) == 0 && !fencefile_has(f, &hold) && fencefile_add(f, &hold) < 0)
                        return; /* more holds than there can be */
        }
}

static int unit_dir(const char *unit, char ret[static NAME_MAX + 1]) {
        return strchr(unit, '/') || snprintf(ret, NAME_MAX + 1, "%s" DIR_END, unit) > NAME_MAX ? -EINVAL : 0;
}

static int file_path(const char *unit, char ret[static PATH_MAX]) {
        char name[NAME_MAX + 1];
        int r = unit_dir(unit, name);

        if (r == 0)
                (void) snprintf(ret, PATH_MAX, "%s/" FENCEFILE_NAME, name);
        return r;
}

static int open_dir(int at, const char *path) {
        int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int fencefile_read(const char *dir, const char *unit, struct fencefile *ret) {
        _cleanup_close_ int at = open_dir(AT_FDCWD, dir);
        _cleanup_free_ char *text = NULL, *ours = NULL;
        char path[PATH_MAX];
        int r = at < 0 ? at : file_path(unit, path);

        if (r == 0)
                r = io_read_file(at, path, FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        (void) snprintf(ret->unit, sizeof(ret->unit), "%s", unit);
        fencefile_parse(text, ret);
        r = fencefile_render(ret, &ours);
        return r < 0 ? r : strcmp(text, ours) == 0 ? 0 : -EUCLEAN;
}

static int remove_file(int at, const char *name) {
        _cleanup_close_ int fd = open_dir(at, name);
        int r = fd < 0 ? fd : fault_effect("fence-remove");

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (unlinkat(fd, FENCEFILE_NAME, 0) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (fsync(fd) < 0)
                return -errno;
        /* somebody else's drop-ins stay, and their directory with them */
        (void) unlinkat(at, name, AT_REMOVEDIR);
        return 0;
}

int fencefile_write(const char *dir, const struct fencefile *f) {
        _cleanup_close_ int at = open_dir(AT_FDCWD, dir), fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        char name[NAME_MAX + 1];
        int r = at < 0 ? at : unit_dir(f->unit, name);

        if (r < 0)
                return r;
        if (f->n == 0)
                return remove_file(at, name);
        r = fencefile_render(f, &text);
        if (r == 0)
                r = fault_effect("fence-write");
        if (r < 0)
                return r;
        if (mkdirat(at, name, 0755) < 0) {
                if (errno != EEXIST)
                        return -errno;
        } else if (fchmodat(at, name, 0755, 0) < 0 || fsync(at) < 0) {
                return -errno; /* others than root read it, too: systemctl does, to show it */
        }
        fd = open_dir(at, name);
        return fd < 0 ? fd : io_replace_file(fd, FENCEFILE_NAME, text, strlen(text), 0644);
}

int fencefile_stat(const char *dir, const char *unit, struct stat *ret) {
        _cleanup_close_ int at = open_dir(AT_FDCWD, dir);
        char path[PATH_MAX];
        int r = at < 0 ? at : file_path(unit, path);

        if (r < 0)
                return r;
        return fstatat(at, path, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

int fencefile_each(const char *dir, int (*fn)(const struct fencefile *f, void *userdata), void *userdata) {
        DIR *d = opendir(dir);
        struct dirent *e;
        int r = 0;

        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while (r >= 0 && (e = readdir(d))) {
                const size_t n = strlen(e->d_name);
                struct fencefile f;
                char unit[NAME_MAX + 1];
                int got;

                if (n <= strlen(DIR_END) || strcmp(e->d_name + n - strlen(DIR_END), DIR_END) != 0)
                        continue;
                (void) snprintf(unit, sizeof(unit), "%.*s", (int) (n - strlen(DIR_END)), e->d_name);
                got = fencefile_read(dir, unit, &f);
                if (got == 0 || got == -EUCLEAN)
                        r = fn(&f, userdata);
        }
        (void) closedir(d);
        return MIN(r, 0);
}

bool fencefile_has(const struct fencefile *f, const struct command_id *hold) {
        for (size_t i = 0; i < f->n; i++)
                if (command_id_equal(&f->holds[i], hold))
                        return true;
        return false;
}

int fencefile_add(struct fencefile *f, const struct command_id *hold) {
        if (f->n == ELEMENTSOF(f->holds))
                return -ENOSPC;
        f->holds[f->n++] = *hold;
        return 0;
}

void fencefile_remove(struct fencefile *f, const struct command_id *hold) {
        for (size_t i = 0; i < f->n; i++)
                if (command_id_equal(&f->holds[i], hold)) {
                        memmove(&f->holds[i], &f->holds[i + 1], (f->n - i - 1) * sizeof(*f->holds));
                        f->n--;
                        return;
                }
}
