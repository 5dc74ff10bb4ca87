/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bounds a call into the client library, which may spin, grow or block for ever when its peer goes silent (libnats
 * 3.4.1: nats.c issue 706). There is no way to get such a call back, so the process ends at once, whatever holds which
 * lock, with a status of its own, and the service manager starts it anew. The core notices nothing. */

#define LEASH_STATUS 75 /* EX_TEMPFAIL */

/* Once, before the first thread. Takes SIGALRM. -errno. */
int leash_open(void) __attribute__((__warn_unused_result__));
/* Unless leash_off() is called within so many milliseconds the process ends and says that it was because of what, a
 * literal. Not to be nested. */
void leash_on(const char *what, unsigned ms);
void leash_off(void);
