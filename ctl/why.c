/* SPDX-License-Identifier: Apache-2.0 */

#include <stdarg.h>
#include <string.h>

#include "ctl/why.h"

int why_set(struct why *w, enum ctl_exit code, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(w->text, sizeof(w->text), fmt, ap);
        va_end(ap);
        return code;
}

int why_errno(struct why *w, int r, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(w->text, sizeof(w->text), fmt, ap);
        va_end(ap);
        size_t n = strlen(w->text);
        (void) snprintf(w->text + n, sizeof(w->text) - n, ": %s", strerror(-r));
        return CTL_MACHINE;
}
