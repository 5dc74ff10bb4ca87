#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client of NATS for shell: the protocol is text, so it is spoken here and no library stands between a test and a broker.

    nats_say.py URL pub SUBJECT [--reply SUBJECT]          publishes stdin
    nats_say.py URL sub SUBJECT... [--count N] [--for S]   prints a line a message: subject, TAB, reply, TAB, payload; without --count until
                                                           S seconds are over. Says READY on stderr when it listens. Exit 1: fewer came
    nats_say.py URL ask SUBJECT                            publishes stdin and prints the first answer
    nats_say.py URL streams FLEET                          makes the fleet's two streams, as policy/PROTOCOL.md has them
    nats_say.py URL purge FLEET                            empties its stream of orders

    nats_say.py - seed FILE                                makes the seed of an nkey and prints its public half

URL is nats://HOST:PORT, or tls:// with --ca FILE; --nkey FILE logs in with a seed."""

import argparse
import base64
import json
import os
import socket
import ssl
import sys
import time

import nats_wire


class Client(nats_wire.Reader):
    def __init__(self, url, seed=None, ca=None, timeout=60):
        host, port = url.split("://", 1)[1].rsplit(":", 1)
        self.sock = socket.create_connection((host.strip("[]"), int(port)), timeout)
        self.buf = b""
        self.n = 0
        info = json.loads(self.line().split(b" ", 1)[1])
        if url.startswith("tls"):
            self.sock = ssl.create_default_context(cafile=ca).wrap_socket(self.sock, server_hostname=host.strip("[]"))
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "name": "test", "lang": "py", "version": "1"}
        if seed:
            options.update(login(seed, info["nonce"]))
        self.send(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        while True:
            line = self.line()
            if line == b"PONG":
                break
            if line.startswith(b"-ERR"):
                sys.exit(line.decode())

    def send(self, data):
        self.sock.sendall(data)

    def pub(self, subject, data, reply=""):
        self.send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")

    def sub(self, subject):
        self.n += 1
        self.send(f"SUB {subject} {self.n}\r\n".encode())

    def sync(self):
        self.send(b"PING\r\n")
        while True:
            line = self.line()
            if line == b"PONG":
                return
            if line.startswith(b"-ERR"):
                sys.exit(line.decode())

    def message(self):
        """The next one: subject, reply, payload. Headers are left out."""
        while True:
            line = self.line()
            if line == b"PING":
                self.send(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                sys.exit(line.decode())
            elif line.startswith(b"MSG "):
                words = line.decode().split()
                return words[1], words[3] if len(words) == 5 else "", self.exactly(int(words[-1]))
            elif line.startswith(b"HMSG "):
                words = line.decode().split()
                whole = self.exactly(int(words[-1]))
                return words[1], words[3] if len(words) == 6 else "", whole[int(words[-2]):]

    def ask(self, subject, data):
        inbox = "_INBOX.test." + os.urandom(8).hex()
        self.sub(inbox)
        self.pub(subject, data, inbox)
        return self.message()[2]


def login(path, nonce):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    text = open(path).read().strip()
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    key = Ed25519PrivateKey.from_private_bytes(raw[2:34])
    pub = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    sig = base64.urlsafe_b64encode(key.sign(nonce.encode())).decode().rstrip("=")
    return {"nkey": nkey(bytes([20 << 3]) + pub), "sig": sig}


def nkey(body):
    crc = 0
    for byte in body:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return base64.b32encode(body + crc.to_bytes(2, "little")).decode().rstrip("=")


def make_seed(path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    random = os.urandom(32)
    with open(path, "w") as f:
        f.write(nkey(bytes([0x90 | 0xa0 >> 5, 0xa0 << 3 & 0xff]) + random) + "\n")
    pub = Ed25519PrivateKey.from_private_bytes(random).public_key()
    print(nkey(bytes([0xa0]) + pub.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)))


def token(name):
    return name.replace(".", "~")


def streams(client, fleet):
    subjects = [f"frz.v1.{token(fleet)}.{x}" for x in ("cmd.>", "head", "trust.>", "sign.>")]
    second = 10 ** 9
    common = {"retention": "limits", "storage": "file", "discard": "old", "num_replicas": 1, "max_msg_size": 256 * 1024}
    for name, config in ((f"FRZ_CMD_{token(fleet)}", {"subjects": subjects, "max_msgs_per_subject": 1, "max_age": 7 * 86400 * second, "allow_direct": True}),
                         (f"FRZ_RSP_{token(fleet)}", {"subjects": [f"frz.v1.{token(fleet)}.rsp.>"], "max_msgs_per_subject": 4, "max_age": 86400 * second})):
        answer = json.loads(client.ask(f"$JS.API.STREAM.CREATE.{name}", json.dumps({"name": name, **common, **config}).encode()))
        if "error" in answer:
            sys.exit(json.dumps(answer["error"]))


def listen(client, subjects, count, seconds):
    for subject in subjects:
        client.sub(subject)
    client.sync()
    print("READY", file=sys.stderr, flush=True)
    end = time.monotonic() + seconds
    n = 0
    while n < count or not count:
        client.sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            subject, reply, data = client.message()
        except (socket.timeout, TimeoutError):
            break
        print(subject, reply, data.decode(errors="replace"), sep="\t", flush=True)
        n += 1
    sys.exit(0 if n >= count else 1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("url")
    p.add_argument("what", choices=["pub", "sub", "ask", "streams", "purge", "seed"])
    p.add_argument("names", nargs="+")
    p.add_argument("--reply", default="")
    p.add_argument("--nkey")
    p.add_argument("--ca")
    p.add_argument("--count", type=int, default=0)
    p.add_argument("--for", dest="seconds", type=float, default=10)
    a = p.parse_args()
    if a.what == "seed":
        return make_seed(a.names[0])
    client = Client(a.url, a.nkey, a.ca)
    if a.what == "pub":
        client.pub(a.names[0], sys.stdin.buffer.read(), a.reply)
        client.sync()
    elif a.what == "ask":
        print(client.ask(a.names[0], sys.stdin.buffer.read()).decode())
    elif a.what == "sub":
        listen(client, a.names, a.count, a.seconds)
    elif a.what == "streams":
        streams(client, a.names[0])
    else:
        print(client.ask(f"$JS.API.STREAM.PURGE.FRZ_CMD_{token(a.names[0])}", b"").decode())


try:
    main()
except nats_wire.Closed:
    sys.exit("the broker closed the connection")
except BrokenPipeError:
    pass
