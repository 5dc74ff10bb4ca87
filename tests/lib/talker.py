#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A service that opens, keeps and tries connections when it is told to, and who it talks to. Only modules of python3-minimal.

talker.py run DIR               the service: takes one command for each connection to DIR/ctl
talker.py tell DIR COMMAND...   sends one and prints the answer
talker.py echo LOG PEER...      the other side: sends back what it gets; PEER is tcp:ADDRESS:PORT or udp:...; writes "reset ADDRESS PORT"
                                or "closed ADDRESS PORT" to LOG when a connection to its own ADDRESS PORT ends

Commands:
    new PEER            opens, tries, closes
    open NAME PEER      opens and keeps under a name
    try NAME            sends a byte on it and waits for it to come back
    listen NAME PEER    listens there, and echoes on whatever it accepts
    served NAME         how many connections have been accepted
Answers: "echo"; "silence" after PATIENCE; or the name of an errno, as in EPERM, with " late" when it took as long as that.
"""
import errno
import selectors
import socket
import sys
import time

PATIENCE_S = 0.3
KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def peer(text):
    kind, rest = text.split(":", 1)
    address, port = rest.rsplit(":", 1)
    return KINDS[kind], socket.AF_INET6 if ":" in address else socket.AF_INET, (address, int(port))


def server(text):
    kind, family, address = peer(text)
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(address)
    if kind == socket.SOCK_STREAM:
        sock.listen()
    sock.setblocking(False)
    return sock


class Talker:
    def __init__(self, directory):
        self.selector = selectors.DefaultSelector()
        self.kept, self.count = {}, {}
        self.ctl = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ctl.bind(f"{directory}/ctl")
        self.ctl.listen()
        self.watch(self.ctl, self.command)

    def watch(self, sock, then):
        self.selector.register(sock, selectors.EVENT_READ, then)

    def command(self, ctl):
        client, _ = ctl.accept()
        with client:
            words = client.recv(4096).decode().split()
            start = time.monotonic()
            try:
                answer = getattr(self, "do_" + words[0])(*words[1:])
            except TimeoutError as e:
                answer = errno.errorcode.get(e.errno, "silence")
            except OSError as e:
                answer = errno.errorcode.get(e.errno, str(e))
            if answer not in ("echo", "silence") and time.monotonic() - start > PATIENCE_S / 2:
                answer += " late"
            client.send(answer.encode())

    def connect(self, text):
        kind, family, address = peer(text)
        sock = socket.socket(family, kind)
        sock.settimeout(PATIENCE_S)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return sock

    def attempt(self, sock):
        sock.send(b"x")
        return "echo" if sock.recv(16) else "closed"

    def do_new(self, text):
        with self.connect(text) as sock:
            return self.attempt(sock)

    def do_open(self, name, text):
        self.kept[name] = self.connect(text)
        return self.do_try(name)

    def do_try(self, name):
        return self.attempt(self.kept[name])

    def do_listen(self, name, text):
        self.count[name] = 0

        def accept(sock):
            self.count[name] += 1
            self.watch(sock.accept()[0], self.echo)
        self.kept[name] = server(text)
        self.watch(self.kept[name], accept)
        return "ok"

    def do_served(self, name):
        return str(self.count[name])

    def echo(self, sock):
        try:
            data = sock.recv(4096)
            if data:
                sock.send(data)
                return
        except OSError:
            pass
        self.selector.unregister(sock)
        sock.close()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)


class Echo:
    def __init__(self, log, peers):
        self.selector = selectors.DefaultSelector()
        self.log = open(log, "w", buffering=1, encoding="ascii")
        for text in peers:
            sock = server(text)
            self.selector.register(sock, selectors.EVENT_READ, self.accept if text.startswith("tcp") else self.datagram)
        self.log.write("listening\n")

    def accept(self, sock):
        client, _ = sock.accept()
        self.selector.register(client, selectors.EVENT_READ, self.stream)

    def datagram(self, sock):
        data, sender = sock.recvfrom(4096)
        sock.sendto(data, sender)

    def stream(self, sock):
        try:
            data = sock.recv(4096)
            how = "closed"
            if data:
                sock.send(data)
                return
        except OSError:
            how = "reset"
        self.log.write(f"{how} {sock.getsockname()[0]} {sock.getsockname()[1]}\n")
        self.selector.unregister(sock)
        sock.close()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                key.data(key.fileobj)


def tell(directory, *words):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(5)
    sock.connect(f"{directory}/ctl")
    sock.send(" ".join(words).encode())
    print(sock.recv(4096).decode())


if __name__ == "__main__":
    if sys.argv[1] == "run":
        Talker(sys.argv[2]).run()
    elif sys.argv[1] == "echo":
        Echo(sys.argv[2], sys.argv[3:]).run()
    else:
        tell(*sys.argv[2:])
