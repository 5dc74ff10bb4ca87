#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: runs a command on a pty of its own and, each time the text that is waited for has come, types what follows it.

    terminal.py TEXT=TYPED... -- CMD ARG...     TYPED ends with Enter; ^C as a whole is the interrupt key; empty: only wait for TEXT

Prints what is shown as it comes. Exit: the command's, 128 + N when signal N ended it, 99 when a text did not come within five minutes."""

import os
import pty
import select
import signal
import sys
import time

at = sys.argv.index("--")
steps = [x.split("=", 1) for x in sys.argv[1:at]]
pid, fd = pty.fork()
if pid == 0:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it, and a person's do not
    os.execvp(sys.argv[at + 1], sys.argv[at + 1:])
shown, seen, end = "", 0, time.monotonic() + 300
while True:
    ready = select.select([fd], [], [], max(0, end - time.monotonic()))[0]
    try:
        data = os.read(fd, 65536) if ready else b""
    except OSError:
        data = b"" if not steps else None
    if not data:
        break
    shown += data.decode(errors="replace")
    os.write(1, data.replace(b"\r\n", b"\n"))
    while steps and steps[0][0] in shown[seen:]:
        text, typed = steps.pop(0)
        seen = shown.index(text, seen) + len(text)
        if typed:
            os.write(fd, b"\x03" if typed == "^C" else typed.encode() + b"\n")
if steps:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
status = os.waitpid(pid, 0)[1]
if steps:
    sys.exit(99)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
