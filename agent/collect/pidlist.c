/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/pidlist.h"

#include <stdbool.h>

int pidlist_parse(const char *text, size_t n, void (*found)(pid_t pid, void *userdata), void *userdata) {
        bool digits = false;
        pid_t pid = 0;

        for (size_t i = 0; i < n; i++) {
                if (text[i] == '\n') {
                        if (!digits)
                                return -EBADMSG;
                        found(pid, userdata);
                        digits = false;
                        pid = 0;
                        continue;
                }
                if (text[i] < '0' || text[i] > '9')
                        return -EBADMSG;
                digits = true;
                pid = pid * 10 + (text[i] - '0');
                if (pid > PIDLIST_MAX_PID)
                        return -EBADMSG;
        }
        return digits ? -EBADMSG : 0;
}
