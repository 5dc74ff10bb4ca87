/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/util/clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include <sodium.h>

#include "policy/cleanup.h"

/* A UUID in text: 32 hex digits and 4 dashes. */
#define BOOT_ID_TEXT 36

static struct timespec now(clockid_t id) {
        struct timespec ts = { 0 };

        /* Cannot fail for the clocks below: every kernel that runs BPF links has them. */
        (void) clock_gettime(id, &ts);
        return ts;
}

static int64_t now_ms(clockid_t id) {
        struct timespec ts = now(id);

        return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void) {
        return now_ms(CLOCK_REALTIME);
}

int64_t clock_boot_ms(void) {
        return now_ms(CLOCK_BOOTTIME);
}

int64_t clock_mono_us(void) {
        struct timespec ts = now(CLOCK_MONOTONIC);

        return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_cpu_us(void) {
        struct timespec ts = now(CLOCK_THREAD_CPUTIME_ID);

        return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

bool clock_synced(void) {
        struct timex tx = { 0 }; /* modes 0 only reads, and needs no privilege */

        /* FAIL-CLOSED: when the kernel does not tell, the clock counts as not synchronised, which is only ever a
         * note. */
        return adjtimex(&tx) >= 0 && !(tx.status & STA_UNSYNC);
}

void clock_boot_id(uint8_t ret[static 16]) {
        _cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        char text[BOOT_ID_TEXT];
        uint8_t id[16];
        size_t n = 0;

        memset(ret, 0, 16);
        if (fd < 0 || read(fd, text, sizeof(text)) != sizeof(text))
                return;
        if (sodium_hex2bin(id, sizeof(id), text, sizeof(text), "-", &n, NULL) == 0 && n == sizeof(id))
                memcpy(ret, id, sizeof(id));
}
