#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What NATS has on its wire, for either side of it: lines, and payloads of a length that a line said, with a line's end behind them.
Whoever reads has a socket `sock` and bytes `buf`."""


class Closed(OSError):
    pass


class Reader:
    def fill(self):
        more = self.sock.recv(65536)
        if not more:
            raise Closed()
        self.buf += more

    def line(self):
        while b"\r\n" not in self.buf:
            self.fill()
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line

    def exactly(self, n):
        while len(self.buf) < n + 2:
            self.fill()
        data, self.buf = self.buf[:n], self.buf[n + 2:]
        return data
