#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""read_ledger.py DIR [KEY]: reads a ledger as policy/PROTOCOL.md describes it, knowing nothing of the agent; prints its records, one a line.

Exits 1, and says why, unless every record's hash, number and link to its predecessor are right and, when KEY is given, every receipt in
it is signed by that key. To what it prints it adds "hash", and "payload": what an order's or an outcome's envelope holds.
"""
import base64
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile


def pae(envelope):
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def verify(key, envelope):
    with tempfile.TemporaryDirectory() as d:
        message, signature = pathlib.Path(d, "m"), pathlib.Path(d, "s")
        message.write_bytes(pae(envelope))
        signature.write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
        subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", message, "-sigfile", signature],
                       check=True, stdout=subprocess.DEVNULL)


def records(directory):
    """Every record of every file in order: (file, offset, body, hash)."""
    for path in sorted(directory.glob("*.log")):
        data, at = path.read_bytes(), 0
        while at + 4 <= len(data):
            n = int.from_bytes(data[at:at + 4], "big")
            if n == 0:
                break
            body, stored = data[at + 4:at + 4 + n], data[at + 4 + n:at + 36 + n]
            if hashlib.sha256(b"\0" + body).digest() != stored:
                sys.exit(f"{path.name} at {at}: the hash does not match")
            yield path.name, at, body, stored.hex()
            at += 36 + n
        if any(data[at:]):
            sys.exit(f"{path.name} at {at}: something follows the last record")


def main(directory, key=None):
    previous, number = "0" * 64, 0
    for name, at, body, stored in records(pathlib.Path(directory)):
        record = json.loads(body)
        number += 1
        if record["n"] != number or record["prev"] != previous:
            sys.exit(f"{name} at {at}: not record {number}, or not the successor of the one before")
        previous = stored
        envelope = record.get("envelope") or record.get("receipt")
        if envelope:
            envelope = json.loads(envelope)
            record["payload"] = json.loads(base64.b64decode(envelope["payload"]))
            if key and record["kind"] == "outcome":
                verify(key, envelope)
        record["hash"] = stored
        print(json.dumps(record))


if __name__ == "__main__":
    main(*sys.argv[1:])
