#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""resign.py ENVELOPE MEMBERS KEY...: prints the envelope with these members of its payload replaced, signed by these OpenSSH key files.

MEMBERS is a JSON object. An id in it of 16 digits is made one of the first KEY. Without a KEY the signatures stay as they were, which is a forgery. This is how a client looks that signs what
freezectl would not.
"""
import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

with open(sys.argv[1], encoding="utf-8") as f:
    envelope = json.load(f)
payload = json.loads(base64.b64decode(envelope["payload"]))
payload.update(json.loads(sys.argv[2]))
keys = []
for name in sys.argv[3:]:
    with open(name, "rb") as f:
        key = load_ssh_private_key(f.read(), None)
    blob = base64.b64decode(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])
    keys.append((key, hashlib.sha256(blob).digest()))
if keys and len(payload.get("id") or "") == 16:
    payload["id"] += keys[0][1][:8].hex()
body = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
kind = envelope["payloadType"].encode()
envelope["payload"] = base64.b64encode(body).decode()
envelope["signatures"] = [{
    "keyid": "SHA256:" + base64.b64encode(fingerprint).decode().rstrip("="),
    "sig": base64.b64encode(key.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body))).decode(),
} for key, fingerprint in keys] or envelope["signatures"]
print(json.dumps(envelope))
