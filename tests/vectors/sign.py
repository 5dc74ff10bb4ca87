#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sign.py ENVELOPE LINE: signs a command with a new key as a stranger would, from the specification alone and with his own habits:
spaces after colons, members in another order, URL-safe base64."""
import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TYPE = b"application/vnd.freezed.command.v1+json"
PAYLOAD = b'{"made":"elsewhere"}'

key = Ed25519PrivateKey.generate()
line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
sig = key.sign(b"DSSEv1 %d %b %d %b" % (len(TYPE), TYPE, len(PAYLOAD), PAYLOAD))
envelope = {
    "signatures": [{"sig": base64.urlsafe_b64encode(sig).decode(), "keyid": "SHA256:" + base64.b64encode(digest).decode().rstrip("=")}],
    "payloadType": TYPE.decode(),
    "payload": base64.urlsafe_b64encode(PAYLOAD).decode(),
}
with open(sys.argv[1], "w", encoding="ascii") as f:
    json.dump(envelope, f, indent=1)
with open(sys.argv[2], "w", encoding="ascii") as f:
    f.write(line)
