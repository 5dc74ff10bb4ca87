#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A broker that lies, in front of one that does not: who connects here talks to the real server through it, streams and all. What it
does to whom says the file DIR/ADDRESS, by the client's address, in words:

    withhold    no order: none that is published, and of none that is stored does the stream know anything. All else comes
    drop        nothing that is published for it comes, and what it asks of the stream is not answered
    mute        no answer that it publishes comes to anybody
    delay       what is published for it comes 3 s late
    duplicate   comes three times
    reorder     each message is kept back until the next one has gone
    replay      comes with all that came before
    forge       one character is another one
    reply       has a reply subject that asks for the answer elsewhere

    nats_between.py HOST PORT SERVER-PORT DIR"""

import os
import socket
import sys
import threading

import nats_wire

NOT_FOUND = b"NATS/1.0 404 Message Not Found\r\n\r\n"


class Side(nats_wire.Reader):
    def __init__(self, sock):
        self.sock, self.buf, self.lock = sock, b"", threading.Lock()

    def send(self, data):
        with self.lock:
            try:
                self.sock.sendall(data)
            except OSError:
                pass

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Message:
    """MSG SUBJECT SID [REPLY] N, HMSG SUBJECT SID [REPLY] HEADERS N."""

    def __init__(self, line, data):
        self.words, self.data = line.decode().split(), data
        self.headers = int(self.words[-2]) if self.words[0] == "HMSG" else 0
        self.subject = self.words[1]
        # what the stream gives says in a header where it was published
        stored = [x for x in data[:self.headers].decode(errors="replace").split("\r\n") if x.startswith("Nats-Subject: ")]
        self.of = stored[0].split(" ", 1)[1] if stored else self.subject

    def text(self, data=None, reply=None):
        data = self.data if data is None else data
        sizes = [str(self.headers), str(len(data))] if self.headers else [str(len(data))]
        words = self.words[:3] + ([reply] if reply else self.words[3:-len(sizes)]) + sizes
        return " ".join(words).encode() + b"\r\n" + data + b"\r\n"

    def not_found(self):
        return f"HMSG {self.subject} {self.words[2]} {len(NOT_FOUND)} {len(NOT_FOUND)}\r\n".encode() + NOT_FOUND + b"\r\n"


class Between:
    def __init__(self, client, address):
        self.client, self.address = Side(client), address
        self.server = Side(socket.create_connection((HOST, SERVER_PORT)))
        self.kept, self.carried = [], []

    def lies(self):
        try:
            return open(os.path.join(DIR, self.address)).read().split()
        except OSError:
            return []

    def pump(self, take, source, target):
        try:
            while True:
                take(source.line())
        except (OSError, ValueError):
            pass
        source.close()
        target.close()

    def up(self, line):
        words = line.split()
        if not words or words[0].upper() not in (b"PUB", b"HPUB"):
            return self.server.send(line + b"\r\n")
        data = self.client.exactly(int(words[-1]))
        if not (b".rsp." in words[1] and "mute" in self.lies()):
            self.server.send(line + b"\r\n" + data + b"\r\n")

    def down(self, line):
        if line.split(b" ", 1)[0] not in (b"MSG", b"HMSG"):
            return self.client.send(line + b"\r\n")
        m = Message(line, self.server.exactly(int(line.split()[-1])))
        lies = self.lies()
        if "withhold" in lies and ".cmd." in m.of:
            if m.of != m.subject:
                self.client.send(m.not_found())
        elif "drop" in lies:
            return
        elif m.subject.startswith("frz."):
            self.lie(lies, m)
        else:
            self.client.send(m.text())

    def lie(self, lies, m):
        data, reply = m.data, None
        if "forge" in lies:
            at = len(data) // 2
            data = data[:at] + (b"B" if data[at:at + 1] == b"A" else b"A") + data[at + 1:]
        if "reply" in lies:
            reply = "elsewhere.of.the.liar"
        text = m.text(data, reply)
        if "delay" in lies:
            threading.Timer(3, self.client.send, (text,)).start()
        elif "reorder" in lies and not self.kept:
            self.kept.append(text)
        else:
            again = self.carried if "replay" in lies else []
            for t in [text] * (3 if "duplicate" in lies else 1) + self.kept + again:
                self.client.send(t)
            self.kept = []
        self.carried.append(text)


def serve(client, address):
    try:
        b = Between(client, address)
    except OSError:
        client.close()
        return
    threading.Thread(target=b.pump, args=(b.up, b.client, b.server), daemon=True).start()
    b.pump(b.down, b.server, b.client)


def main():
    s = socket.create_server((HOST, PORT))
    while True:
        sock, address = s.accept()
        threading.Thread(target=serve, args=(sock, address[0]), daemon=True).start()


HOST, PORT, SERVER_PORT, DIR = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
try:
    main()
except KeyboardInterrupt:
    pass
