/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/util/fault.h"

#ifdef FAULT

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "policy/cleanup.h"

enum mode { MODE_OFF, MODE_KILL, MODE_FAIL, MODE_COUNT, MODE_BAD };

static struct {
        char setting[32];
        enum mode mode;
        unsigned long at;
        unsigned long effects;
} fault;

static bool parse_at(const char *s, const char *prefix, unsigned long *ret) {
        size_t n = strlen(prefix);
        char *end = NULL;

        if (strncmp(s, prefix, n) != 0 || s[n] < '0' || s[n] > '9')
                return false;
        *ret = strtoul(s + n, &end, 10);
        return *end == '\0' && *ret > 0;
}

/* Read at each effect, so that a test which forks and sets the variable in the child starts to count at one. */
static void load(void) {
        const char *setting = getenv("FREEZED_FAULT");

        if (!setting)
                setting = "";
        if (strncmp(setting, fault.setting, sizeof(fault.setting)) == 0)
                return;
        (void) snprintf(fault.setting, sizeof(fault.setting), "%s", setting);
        fault.effects = 0;
        if (*setting == '\0')
                fault.mode = MODE_OFF;
        else if (parse_at(setting, "kill:", &fault.at))
                fault.mode = MODE_KILL;
        else if (parse_at(setting, "fail:", &fault.at))
                fault.mode = MODE_FAIL;
        else if (strcmp(setting, "count") == 0)
                fault.mode = MODE_COUNT;
        else
                fault.mode = MODE_BAD;
}

static int write_count(void) {
        const char *path = getenv("FREEZED_FAULT_FILE");
        char text[32];
        int n = snprintf(text, sizeof(text), "%lu\n", fault.effects);
        _cleanup_close_ int fd = -EBADF;

        if (!path)
                return -EINVAL;
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        return write(fd, text, (size_t) n) == n ? 0 : -EIO;
}

int fault_effect(const char *what) {
        (void) what; /* for the reader of a backtrace or of strace */
        load();
        if (fault.mode == MODE_OFF)
                return 0;
        fault.effects++;
        switch (fault.mode) {
        case MODE_KILL:
                if (fault.effects == fault.at)
                        (void) raise(SIGKILL);
                return 0;
        case MODE_FAIL:
                return fault.effects == fault.at ? -EIO : 0;
        case MODE_COUNT:
                return write_count();
        default:
                /* A sweep with a misspelt setting must not look like a sweep that passed. */
                return -EINVAL;
        }
}

#endif
