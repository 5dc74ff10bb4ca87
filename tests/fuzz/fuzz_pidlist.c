/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/pidlist.c */
#include <stdint.h>

#include "agent/collect/pidlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void found(pid_t pid, void *userdata) {
        size_t *n = userdata;

        if (pid < 0 || pid > PIDLIST_MAX_PID)
                __builtin_trap();
        (*n)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        size_t n = 0, lines = 0;
        int r = pidlist_parse((const char *) data, size, found, &n);

        for (size_t i = 0; i < size; i++)
                lines += data[i] == '\n';
        if (r == 0 ? n != lines : r != -EBADMSG || n > lines)
                __builtin_trap();
        return 0;
}
