/* SPDX-License-Identifier: Apache-2.0 */

/* debugger PID [inject]: attaches with ptrace and has the process go on: step by step, or into a system call of ours.
 * What it gets done that way is work of the service. */

#include "tests/escape/escape.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

static bool stopped(pid_t pid) {
        for (int i = 0; i < 100; i++, nap_ms(10))
                if (waitpid(pid, NULL, WNOHANG | __WALL) == pid)
                        return true;
        return false;
}

static void inject(pid_t pid) {
        struct user_regs_struct regs, call;

        for (int i = 0; i < 50; i++, nap_ms(10)) {
                if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
                        return;
                call = regs;
                call.rip -= 2; /* it waits in a system call: the instruction is just behind it */
                call.rax = SYS_getpid;
                call.orig_rax = (unsigned long long) -1;
                if (ptrace(PTRACE_SETREGS, pid, NULL, &call) < 0 || ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
                        return;
                if (!stopped(pid))
                        return;
                if (ptrace(PTRACE_GETREGS, pid, NULL, &call) == 0 && call.rax == (unsigned long long) pid &&
                    call.rip == regs.rip)
                        worked();
        }
}

int main(int argc, char *argv[]) {
        const pid_t pid = atoi(argv[1]);

        setenv("ESCAPE_N", getenv("N"), 1);
        if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0) {
                perror("ptrace");
                return 1;
        }
        if (!stopped(pid))
                return 0;
        if (argc > 2)
                inject(pid);
        for (int i = 0; i < 20; i++) {
                (void) ptrace(PTRACE_CONT, pid, NULL, NULL);
                nap_ms(20);
                (void) ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
                (void) stopped(pid);
        }
        (void) ptrace(PTRACE_DETACH, pid, NULL, NULL);
        return 0;
}
