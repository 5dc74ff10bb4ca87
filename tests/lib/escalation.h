/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Messages as the tools write them, by the name of their file. They were made for these tests from what the tools'
 * documentation and their users show. */

#include <stdio.h>
#include <stdlib.h>

/* Never NULL; the caller's. Tests run at the top of the repository. */
static inline char *escalation_payload(const char *name, size_t *ret_n) {
        char path[256];
        char *text = calloc(1, 65536);

        (void) snprintf(path, sizeof(path), "tests/lib/escalation/%s.json", name);
        FILE *f = fopen(path, "re");
        if (!f || !text) {
                perror(path);
                abort();
        }
        *ret_n = fread(text, 1, 65535, f);
        (void) fclose(f);
        return text;
}
