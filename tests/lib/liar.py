#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# liar.py SOCKET HOSTKEY ANSWER...: stands where the gate should, and answers every message with the ANSWERs in turn. What an honest agent
# never says has to come from somewhere. Prints "ready" when it listens, and every query that it hears; ends when it is killed.
#
# An ANSWER is JSON:
#   {"but":{...}}      a receipt for the order as it came, contained and final, but for these members (null takes one out)
#   {"report":{...}}   a report with these members, to the nonce that was sent
#   {"replay":true}    also: what it signs once, for the first query, it says again to every later one
#   {"key":FILE}       also: signed with that key    {"as":FILE} also: under that key's fingerprint
#   {"raw":TEXT}       these bytes    {"sleep":S}  nothing for so long    {"close":true}  nothing more
import base64
import hashlib
import json
import os
import socket
import struct
import sys
import time

from cryptography.hazmat.primitives import serialization


def load(path):
    with open(path, "rb") as f:
        return serialization.load_ssh_private_key(f.read(), None)


def fingerprint(key):
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    blob = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + raw
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def envelope(kind, payload, key, named):
    kind = f"application/vnd.freezed.{kind}.v1+json"
    body = json.dumps(payload).encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)
    sig = {"keyid": fingerprint(named), "sig": base64.b64encode(key.sign(pae)).decode()}
    return json.dumps({"payload": base64.b64encode(body).decode(), "payloadType": kind, "signatures": [sig]})


kept = {}  # by query: the first report, for whoever plays it again


def answer(a, message, host):
    key = load(a["key"]) if "key" in a else host
    named = load(a["as"]) if "as" in a else key
    said = json.loads(message)
    if "report" in a:
        payload = {"v": 1, "type": said.get("query"), "host": fingerprint(host), "nonce": said.get("nonce"), "hold": said.get("hold"), **a["report"]}
        payload = {k: v for k, v in payload.items() if v is not None}
        signed = envelope("report", payload, key, named)
        return kept.setdefault(said.get("query"), signed) if "replay" in a else signed
    body = base64.b64decode(said["payload"])
    order = json.loads(body)
    payload = {"v": 1, "type": "receipt", "host": fingerprint(host), "id": order.get("id"), "digest": hashlib.sha256(body).hexdigest(),
               "verb": order.get("verb"), "state": "contained", "reasons": [], "flags": [], "final": True,
               "targets": [{"target": t} for t in order.get("targets", [])]}
    payload.update(a.get("but", {}))
    return envelope("receipt", {k: v for k, v in payload.items() if v is not None}, key, named)


def serve(peer, answers, host):
    message = peer.recv(1 << 18)
    if message.startswith(b'{"query"'):
        print(message.decode(), flush=True)
    for a in answers:
        if not message or "close" in a:
            return
        if "sleep" in a:
            time.sleep(a["sleep"])
        else:
            peer.send((a["raw"] if "raw" in a else answer(a, message, host)).encode())
    peer.recv(1)


def main():
    path, host, answers = sys.argv[1], load(sys.argv[2]), [json.loads(a) for a in sys.argv[3:]]
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.bind(path)
        s.listen(16)
        print("ready", flush=True)
        while True:
            with s.accept()[0] as peer:
                try:
                    serve(peer, answers, host)
                except (ConnectionError, ValueError, KeyError) as e:
                    print(e, file=sys.stderr)


main()
