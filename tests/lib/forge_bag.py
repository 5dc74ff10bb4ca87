#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""forge_bag.py KEY BAG HOLD: makes BAG one of HOLD, as whoever has the secret KEY can: order, manifest and statement fit each other, and
are signed anew where a host signs. KEY is 64 bytes as a host keeps them, or 32."""
import base64, hashlib, json, os, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEY, BAG, HOLD = sys.argv[1:]
key = Ed25519PrivateKey.from_private_bytes(open(KEY, "rb").read()[:32])
raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + raw
keyid = "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def read(name):
    with open(f"{BAG}/{name}", "rb") as f:
        return f.read()


def write(name, data):
    path = f"{BAG}/{name}"
    if os.path.exists(path):
        os.chmod(path, 0o600)
    with open(path, "wb") as f:
        f.write(data)


def sealed(envelope, payload):
    """As the host writes it: only what has to be is replaced."""
    old = json.loads(envelope)
    kind = old["payloadType"].encode()
    sig = key.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    new = envelope.decode().replace(old["payload"], base64.b64encode(payload).decode())
    new = new.replace(old["signatures"][0]["sig"], base64.b64encode(sig).decode())
    return new.replace(old["signatures"][0]["keyid"], keyid).encode()


def dump(o):
    return json.dumps(o, separators=(",", ":"), sort_keys=True).encode()


order = read("order.dsse.json")
command = json.loads(base64.b64decode(json.loads(order)["payload"]))
command["id"] = HOLD
write("order.dsse.json", sealed(order, dump(command)))
write("host_key.pem", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
tags = [line.split("  ", 1)[1] for line in read("tagmanifest-sha256.txt").decode().splitlines()]
tags = "".join(f"{hashlib.sha256(read(name)).hexdigest()}  {name}\n" for name in tags).encode()
write("tagmanifest-sha256.txt", tags)
write("tagmanifest-sha256.txt.sig", key.sign(tags))
envelope = read("evidence.dsse.json")
statement = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
statement["subject"][0]["digest"]["sha256"] = hashlib.sha256(tags).hexdigest()
statement["predicate"]["hold"] = HOLD
statement["predicate"]["command"]["sha256"] = hashlib.sha256(dump(command)).hexdigest()
write("evidence.dsse.json", sealed(envelope, dump(statement)))
