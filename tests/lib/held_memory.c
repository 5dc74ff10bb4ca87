/* SPDX-License-Identifier: Apache-2.0 */

/* A service that knows things: in four threads, each at a place in its code that has a name; in memory that it lets
 * nobody read; in a memfd and in a file without a name. It says nothing and waits. */

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PLACE ((char *) 0x300000000000)
#define PAGE  4096UL

__attribute__((noinline)) static void *waits_in_its_thread(void *userdata) {
        for (;;)
                (void) pause();
        return userdata;
}

static int keep_files(void) {
        int fd = memfd_create("code", 0);
        char path[64];

        /* there may be two of this program */
        (void) snprintf(path, sizeof(path), "/var/tmp/held-memory.%d", (int) getpid());
        if (fd < 0 || write(fd, "mark-in-memfd", 13) != 13)
                return -1;
        fd = open(path, O_RDWR | O_CREAT, 0600);
        return fd < 0 || write(fd, "mark-in-deleted", 15) != 15 || unlink(path) < 0 ? -1 : 0;
}

int main(void) {
        char *p = mmap(PLACE, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
                       0);
        pthread_t t;

        if (p != PLACE || keep_files() < 0)
                return 1;
        strcpy(p, "mark-in-memory");
        strcpy(p + PAGE, "mark-that-is-hidden");
        if (mprotect(p + PAGE, PAGE, PROT_NONE) < 0)
                return 1;
        for (int i = 0; i < 3; i++)
                if (pthread_create(&t, NULL, waits_in_its_thread, NULL) != 0)
                        return 1;
        (void) waits_in_its_thread(NULL);
        return 0;
}
