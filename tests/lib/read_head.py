#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""read_head.py DIR KEY.pem: verifies the checkpoint and the epochs of a ledger as policy/PROTOCOL.md and C2SP describe them, knowing
nothing of the agent. Prints `SIZE EPOCH WHY,...`: how many records are signed, in which epoch, and why each epoch began."""
import base64
import hashlib
import json
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from read_ledger import records


def root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()


def raw(key):
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(name, key):
    return hashlib.sha256(name.encode() + b"\n\x01" + raw(key)).digest()[:4]


def check_note(note, name, key):
    """The note's text, once it is seen to be signed by this key under this name."""
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    for line in signatures.splitlines():
        dash, who, value = line.split(" ")
        value = base64.b64decode(value, validate=True)
        if dash == "\u2014" and who == name and value[:4] == key_id(name, key):
            key.verify(value[4:], text.encode())
            return text
    sys.exit(f"not signed by {name}")


def main(directory, pem):
    directory = pathlib.Path(directory)
    host = load_pem_public_key(pathlib.Path(pem).read_bytes())
    blob = base64.b64decode(host.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    origin = "freezed/" + hashlib.sha256(blob).hexdigest()
    note = (directory / "checkpoint").read_text(encoding="utf-8")
    name, size, head = check_note(note, origin, host).splitlines()
    leaves, epochs, signer = [], [], None
    for _, _, body, stored in records(directory):
        record = json.loads(body)
        if record["kind"] == "epoch":
            own = Ed25519PublicKey.from_public_bytes(bytes.fromhex(record["public"]))
            message = "freezed epoch v1\n%s\n%d %s\n%s\n%d %s\n" % (
                origin, record["epoch"], record["why"], record["public"], record["size"], record["root"])
            by = host if record["why"] in ("first", "boot", "lost") else signer
            by.verify(bytes.fromhex(record["sig"]), message.encode())
            assert record["size"] == len(leaves) and record["root"] == root(leaves).hex() and record["epoch"] == len(epochs) + 1
            epochs.append(record["why"])
            signer = own
            if record["n"] <= int(size):
                in_force = own
        leaves.append(bytes.fromhex(stored))
    assert name == origin and base64.b64encode(root(leaves[:int(size)])).decode() == head, "the root is another"
    check_note(note, origin + "/epoch", in_force)
    print(size, len(epochs), ",".join(epochs))


if __name__ == "__main__":
    main(*sys.argv[1:])
