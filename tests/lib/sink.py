#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sink.py ADDRESS PORT FILE: the listener outside. Takes every connection, counts, and keeps the counters in FILE.

FILE is replaced as a whole, at most every 10 ms and at once when a connection comes or goes, so a reader never sees half of it:
    bytes=N             of all connections
    lines=N
    connections=N       ever taken
    open=N              not closed yet
    resets=N            ended by an RST, which is what destroying the peer's socket looks like from here
    last_ms=N           CLOCK_BOOTTIME of the last byte
    1 10.77.0.2:4711 bytes=N lines=N open|closed|reset      one line for each of the last 50 connections
"""
import collections
import os
import selectors
import socket
import sys
import time

SHOWN = 50
WRITE_EVERY_S = 0.01


class Peer:
    def __init__(self, number, sock, address):
        self.number, self.sock, self.address = number, sock, address
        self.bytes = self.lines = 0
        self.state = "open"

    def line(self):
        return f"{self.number} {self.address} bytes={self.bytes} lines={self.lines} {self.state}\n"


class Sink:
    def __init__(self, address, port, path):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.path, self.last_ms = path, 0
        # sums are kept and not made: what comes by the thousand must not wait for them
        self.peers, self.taken = collections.deque(maxlen=SHOWN), 0
        self.bytes = self.lines = self.open = self.resets = 0
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server((address, port), family=family, backlog=64)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.written = 0.0
        self.write()

    def write(self):
        total = {
            "bytes": self.bytes,
            "lines": self.lines,
            "connections": self.taken,
            "open": self.open,
            "resets": self.resets,
            "last_ms": self.last_ms,
        }
        with open(self.path + ".new", "w", encoding="ascii") as f:
            f.writelines(f"{k}={v}\n" for k, v in total.items())
            f.writelines(p.line() for p in self.peers)
        os.rename(self.path + ".new", self.path)
        self.written = time.monotonic()

    def accept(self):
        sock, address = self.listener.accept()
        sock.setblocking(False)
        self.taken += 1
        self.open += 1
        peer = Peer(self.taken, sock, f"{address[0]}:{address[1]}")
        self.peers.append(peer)
        self.selector.register(sock, selectors.EVENT_READ, peer)
        self.write()

    def close(self, peer, state):
        peer.state = state
        self.open -= 1
        self.resets += state == "reset"
        self.selector.unregister(peer.sock)
        peer.sock.close()
        self.write()

    def read(self, peer):
        try:
            data = peer.sock.recv(1 << 16)
        except OSError:
            return self.close(peer, "reset")
        if not data:
            return self.close(peer, "closed")
        lines = data.count(b"\n")
        peer.bytes += len(data)
        peer.lines += lines
        self.bytes += len(data)
        self.lines += lines
        self.last_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000
        return None

    def run(self):
        dirty = False
        while True:
            for key, _ in self.selector.select(WRITE_EVERY_S if dirty else None):
                if key.data is None:
                    self.accept()
                else:
                    self.read(key.data)
                dirty = True
            if dirty and time.monotonic() - self.written >= WRITE_EVERY_S:
                self.write()
                dirty = False


if __name__ == "__main__":
    Sink(sys.argv[1], int(sys.argv[2]), sys.argv[3]).run()
