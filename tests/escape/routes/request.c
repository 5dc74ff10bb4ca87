/* SPDX-License-Identifier: Apache-2.0 */

/* request: asks the kernel for a key that nobody has, for which it starts /sbin/request-key. */

#include "tests/escape/escape.h"

#include <sys/syscall.h>

#include <linux/keyctl.h>

int main(void) {
        char name[64];

        snprintf(name, sizeof(name), "escape-%d-%llu", escape_number(), (unsigned long long) escape_now_us());
        (void) syscall(SYS_request_key, "user", name, mark(), KEY_SPEC_SESSION_KEYRING);
        return 0;
}
