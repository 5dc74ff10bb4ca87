#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Commands into a test VM over virtio ports, whatever its network does.

In the VM:   vm_shell.py serve PORT...                     runs what comes in, one command a port at a time
Outside:     vm_shell.py call SECONDS CMD ARG... -- SOCKET...   runs CMD through the first free port, with this process's stdin, stdout and
                                                           stderr, and exits as it does; 255 when the VM does not answer in SECONDS or
                                                           goes while the command runs

Frames both ways: length, session, kind, bytes. A port is a pipe and not a connection: what a caller that was killed has left in it is told
apart by the session, a random number per call.
"""
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HEADER = struct.Struct("<I8sc")
HELLO, RUN, INPUT, OUTPUT, ERRORS, STATUS = (bytes([c]) for c in b"hrioes")
CHUNK = 32768
GONE = 255
PATIENCE = 2
DRAIN = 3
CGROUP = "/sys/fs/cgroup/vm-run"
ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb"}


class Port:
    def __init__(self, fd):
        self.fd = fd
        self.lock = threading.Lock()
        self.buffer = b""

    def send(self, session, kind, data=b""):
        frame = HEADER.pack(len(data), session, kind) + data
        with self.lock:
            while frame:
                frame = frame[os.write(self.fd, frame):]

    def receive(self, end=None):
        """The next frame; None when nobody is at the other end, or nothing has come until then."""
        while True:
            if len(self.buffer) >= HEADER.size:
                length, session, kind = HEADER.unpack_from(self.buffer)
                size = HEADER.size + length
                if len(self.buffer) >= size:
                    data, self.buffer = self.buffer[HEADER.size:size], self.buffer[size:]
                    return session, kind, data
            if end and not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                return None
            try:
                data = os.read(self.fd, CHUNK)
            except ConnectionResetError:
                data = b""
            if not data:
                self.buffer = b""
                return None
            self.buffer += data

    def pump(self, session, kind, source):
        while data := os.read(source.fileno(), CHUNK):
            self.send(session, kind, data)


class Session:
    def __init__(self, port, session, argv):
        self.port, self.session = port, session
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", env=ENV,
                                      start_new_session=True, preexec_fn=enter_cgroup)
        threading.Thread(target=self.attend, daemon=True).start()

    def attend(self):
        pumps = [threading.Thread(target=self.port.pump, args=(self.session, kind, source), daemon=True)
                 for kind, source in ((OUTPUT, self.child.stdout), (ERRORS, self.child.stderr))]
        for pump in pumps:
            pump.start()
        status = self.child.wait()
        # what it leaves in the background may keep them open for ever
        end = time.monotonic() + DRAIN
        for pump in pumps:
            pump.join(max(0, end - time.monotonic()))
        self.port.send(self.session, STATUS, bytes([status if status >= 0 else 128 - status]))

    def feed(self, data):
        try:
            if data:
                self.child.stdin.write(data)
                self.child.stdin.flush()
            else:
                self.child.stdin.close()
        except OSError:
            pass

    def abandon(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)


def enter_cgroup():
    """As a login would: in a cgroup that is no unit's, neither frozen with a unit nor left behind by one. A kernel that was told to do
    without the unified hierarchy has none."""
    if not os.path.exists("/sys/fs/cgroup/cgroup.procs"):
        return
    os.makedirs(CGROUP, exist_ok=True)
    with open(CGROUP + "/cgroup.procs", "w", encoding="ascii") as procs:
        procs.write("0")


def start(port, session, argv):
    try:
        return Session(port, session, argv)
    except OSError as e:
        port.send(session, ERRORS, f"{argv[0]}: {e.strerror}\n".encode())
        port.send(session, STATUS, bytes([127]))
        return None


def serve_port(path):
    port = Port(os.open(path, os.O_RDWR))
    running = None
    while True:
        frame = port.receive()
        if frame is None or frame[1] == HELLO:
            if running:
                running.abandon()
            running = None
        if frame is None:
            time.sleep(0.03)
            continue
        session, kind, data = frame
        if kind == HELLO:
            port.send(session, HELLO)
        elif kind == RUN:
            running = start(port, session, data.decode(errors="surrogateescape").split("\0"))
        elif kind == INPUT and running and running.session == session:
            running.feed(data)


def serve(paths):
    for path in paths:
        threading.Thread(target=serve_port, args=(path,)).start()


def free_port(paths, end):
    """Locks one of the sockets for this process and connects to it."""
    while time.monotonic() < end:
        for path in paths:
            lock = os.open(path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(path)
                return lock, Port(sock.detach())
            except OSError:
                os.close(lock)
        time.sleep(0.03)
    return None


def greet(paths, end):
    """A port that has answered and the session on it. What a VM that is still booting does not take is said again."""
    while free := free_port(paths, end):
        lock, port = free
        session = os.urandom(8)
        port.send(session, HELLO)
        while frame := port.receive(min(end, time.monotonic() + PATIENCE)):
            if frame == (session, HELLO, b""):
                return port, session
        os.close(port.fd)
        time.sleep(0.1)
        os.close(lock)
    return None


def forward_input(port, session):
    try:
        port.pump(session, INPUT, sys.stdin)
        port.send(session, INPUT)
    except OSError:
        pass


def call(seconds, argv, paths):
    greeted = greet(paths, time.monotonic() + seconds)
    if not greeted:
        return GONE
    port, session = greeted
    port.send(session, RUN, "\0".join(argv).encode(errors="surrogateescape"))
    threading.Thread(target=forward_input, args=(port, session), daemon=True).start()
    while frame := port.receive():
        if frame[0] != session:
            continue
        if frame[1] == STATUS:
            return frame[2][0]
        os.write(1 if frame[1] == OUTPUT else 2, frame[2])
    return GONE


def main(argv):
    if argv[1] == "serve":
        serve(argv[2:])
        return 0
    dash = len(argv) - 1 - argv[::-1].index("--")
    return call(float(argv[2]), argv[3:dash], argv[dash + 1:])


if __name__ == "__main__":
    # not sys.exit(): a thread may still wait for this process's stdin
    status = main(sys.argv)
    if sys.argv[1] == "call":
        os._exit(status)
