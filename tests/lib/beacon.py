#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The service that gets contained: it beats, and it streams to the outside.

Every 50 ms it appends the next number to /run/beacon/heartbeat, so that one missing instruction shows, and sends the same number with
1 KiB of ballast down one TCP connection to 10.77.0.1:7000, so that one missing or one leaked packet shows. A lost connection is opened
again at once and for ever. What happens to it is on stdout, which is the journal. Only modules of python3-minimal.
"""
import errno
import os
import socket
import sys
import time

PEER = (os.environ.get("BEACON_HOST", "10.77.0.1"), int(os.environ.get("BEACON_PORT", "7000")))
HEARTBEAT = "/run/beacon/heartbeat"
PERIOD_S = 0.05
BALLAST = "x" * 1015


class Stream:
    """One connection at a time; never blocks, so that a black hole does not stop the heart."""

    def __init__(self):
        self.sock = None
        self.up = False
        self.said = None

    def say(self, what):
        if what != self.said:
            print(what, flush=True)
            self.said = what

    def drop(self, err):
        self.say(f"no stream: {errno.errorcode.get(err, err)}")
        self.sock.close()
        self.sock, self.up = None, False

    def open(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        err = self.sock.connect_ex(PEER)
        if err not in (0, errno.EINPROGRESS):
            self.drop(err)

    def send(self, n):
        if self.sock is None:
            self.open()
            if self.sock is None:
                return
        try:
            self.sock.send(f"{n:08d}{BALLAST}\n".encode())
            self.up = True
            self.say("streaming")
        except BlockingIOError:
            pass  # not connected yet, or the peer's window is full
        except OSError as e:
            self.drop(e.errno)


def main():
    stream, n, due = Stream(), 0, time.monotonic()
    with open(HEARTBEAT, "w", buffering=1, encoding="ascii") as heart:
        while True:
            n += 1
            heart.write(f"{n}\n")
            stream.send(n)
            due = max(due + PERIOD_S, time.monotonic() - PERIOD_S)
            time.sleep(max(0, due - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
