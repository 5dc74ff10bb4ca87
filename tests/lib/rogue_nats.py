#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A broker that lies. It speaks as much NATS as a client needs to believe it, and does to what it carries what the file MODE says at that
moment, one word:

    honest        carries everything, once, in order
    silent-info   says INFO to who connects, and nothing ever after
    silent        answers who connects, and nothing ever after: no PONG, no message
    drop          carries nothing
    delay         carries everything 2 s late
    duplicate     carries everything three times
    reorder       keeps each message back until the next one has gone
    replay        carries everything, and all that it carried before once more
    forge         changes one character of each payload
    reply         gives each message a reply subject
    deny          refuses every subscription, and carries nothing
    flood         carries everything again and again, as fast as it is taken
    huge          says that a message of 1 GB comes, and sends bytes for ever
    shout         sends messages that nobody published for each subscription that is made meanwhile, as fast as they are taken

What a mode is for is the one who is called VICTIM, freezed-relay unless it is given; everybody else is treated honestly, so that a test can
publish and listen.
    rogue_nats.py HOST PORT MODE [SPY [VICTIM]]     prints the port when it listens; appends `subject TAB payload` of what the victim
                                                    publishes to SPY"""

import json
import socket
import sys
import threading
import time

import nats_wire

INFO = {"server_id": "ROGUE", "server_name": "rogue", "version": "2.9.10", "proto": 1, "headers": True, "max_payload": 1048576,
        "auth_required": False, "tls_required": False}
SHOUT = b"x" * 16000
HOST_TOKEN = "A" * 43
lock = threading.RLock()
clients = []
carried = []
kept = []


def mode():
    try:
        return open(MODE).read().strip()
    except OSError:
        return "honest"


def matches(pattern, subject):
    p, s = pattern.split("."), subject.split(".")
    for i, x in enumerate(p):
        if x == ">":
            return len(s) > i
        if i >= len(s) or (x != "*" and x != s[i]):
            return False
    return len(p) == len(s)


class Peer(nats_wire.Reader, threading.Thread):
    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.buf, self.subs, self.name, self.silent = sock, b"", {}, "", False
        self.sending = threading.Lock()

    def is_victim(self):
        return self.name == VICTIM

    def send(self, data):
        if self.silent:
            return
        try:
            with self.sending:  # several threads: what one says is not broken off by another
                self.sock.sendall(data)
        except OSError:
            pass

    def hears(self, subject):
        return any(matches(pattern, subject) for pattern in list(self.subs.values()))

    def deliver(self, subject, reply, data):
        for sid, pattern in list(self.subs.items()):
            if matches(pattern, subject):
                self.send(f"MSG {subject} {sid} {reply + ' ' if reply else ''}{len(data)}\r\n".encode() + data + b"\r\n")

    def run(self):
        try:
            self.send(b"INFO " + json.dumps(INFO).encode() + b"\r\n")
            while True:
                self.take(self.line())
        except OSError:
            pass
        finally:
            with lock:
                if self in clients:
                    clients.remove(self)
            self.sock.close()

    def take(self, line):
        words = line.decode(errors="replace").split()
        verb = words[0].upper() if words else ""
        if verb == "CONNECT":
            self.name = json.loads(line.split(b" ", 1)[1]).get("name", "")
            self.silent = self.is_victim() and mode() == "silent-info"
        elif verb == "PING":
            self.send(b"PONG\r\n")
            if self.is_victim() and mode() == "silent":
                self.silent = True
        elif verb == "SUB":
            self.subscribe(words)
        elif verb == "UNSUB":
            self.subs.pop(words[1], None)
        elif verb in ("PUB", "HPUB"):
            self.publish(verb, words)

    def subscribe(self, words):
        if self.is_victim() and mode() == "deny":
            self.send(f"-ERR 'Permissions Violation for Subscription to \"{words[1]}\"'\r\n".encode())
        else:
            self.subs[words[-1]] = words[1]
        if self.is_victim() and mode() == "shout":
            threading.Thread(target=shout, args=(self, words[-1], words[1].replace("*", HOST_TOKEN)), daemon=True).start()

    def publish(self, verb, words):
        data = self.exactly(int(words[-1]))
        reply = words[2] if len(words) == (4 if verb == "PUB" else 5) else ""
        if verb == "HPUB":
            data = data[int(words[-2]):]
        if self.is_victim() and SPY:
            with lock, open(SPY, "ab") as f:
                f.write(words[1].encode() + b"\t" + data + b"\n")
        with lock:
            for c in list(clients):
                if not c.is_victim():
                    c.deliver(words[1], reply, data)
                elif c.hears(words[1]):  # what it asks a stream, whenever it does, is not in the order of what it is told
                    lie(c, words[1], reply, data)


def later(c, *what):
    threading.Timer(2, c.deliver, (*what,)).start()


def flood(c, *what):
    while c in clients and mode() == "flood":
        for _ in range(100):
            c.deliver(*what)


def shout(c, sid, subject):
    lines = (f"MSG {subject} {sid} {len(SHOUT)}\r\n".encode() + SHOUT + b"\r\n") * 64
    while c in clients and mode() == "shout":
        c.send(lines)


def lie(c, subject, reply, data):
    m = mode()
    if m in ("drop", "silent", "silent-info", "deny"):
        return
    if m == "delay":
        return later(c, subject, reply, data)
    if m == "forge":
        at = len(data) // 2
        data = data[:at] + (b"A" if data[at:at + 1] != b"A" else b"B") + data[at + 1:]
    if m == "reply":
        reply = "elsewhere.of.the.rogue"
    if m == "flood":
        threading.Thread(target=flood, args=(c, subject, reply, data), daemon=True).start()
    if m == "huge":
        c.send(f"MSG {subject} {next(iter(c.subs), '1')} 1000000000\r\n".encode())
        while c in clients:
            try:
                c.sock.sendall(b"x" * 65536)
            except OSError:
                return
    if m == "reorder":
        kept.append((subject, reply, data))
        if len(kept) > 1:
            c.deliver(*kept.pop())
            c.deliver(*kept.pop())
        return
    for _ in range(3 if m == "duplicate" else 1):
        c.deliver(subject, reply, data)
    if m == "replay":
        for old in carried:
            c.deliver(*old)
    carried.append((subject, reply, data))


def main():
    s = socket.create_server((HOST, PORT))
    print(s.getsockname()[1], flush=True)
    while True:
        sock, _ = s.accept()
        p = Peer(sock)
        with lock:
            clients.append(p)
        p.start()


HOST, PORT, MODE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
SPY = sys.argv[4] if len(sys.argv) > 4 else ""
VICTIM = sys.argv[5] if len(sys.argv) > 5 else "freezed-relay"
try:
    main()
except KeyboardInterrupt:
    time.sleep(0)
