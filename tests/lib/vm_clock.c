/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says to the kernel what a daemon of NTP says to it: that something disciplines the clock, or that nothing does. The
 * time stays as it is. For a VM, whose kernel is its own.
 *
 *   vm_clock synced|unsynced
 */
#include <string.h>
#include <sys/timex.h>

#define ERROR_US 1000

int main(int argc, char **argv) {
        struct timex tx = { .modes = ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR,
                            .maxerror = ERROR_US,
                            .esterror = ERROR_US };

        if (argc != 2)
                return 2;
        tx.status = strcmp(argv[1], "synced") == 0 ? 0 : STA_UNSYNC;
        return adjtimex(&tx) < 0;
}
