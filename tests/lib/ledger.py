#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What happens to a segment of a ledger, by nothing but what policy/PROTOCOL.md says of it.

ledger.py fill FILE LEFT   appends valid records of refusals until about LEFT bytes of the segment are unused
ledger.py flip FILE N      changes one bit in the body of the N-th record; the second time it is as before
"""
import hashlib
import json
import os
import sys

RECORD_MAX = 200 * 1024
OVERHEAD = 36


def records(data):
    at = 0
    while at + OVERHEAD <= len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        if size == 0:
            break
        yield at, data[at + 4:at + 4 + size]
        at += OVERHEAD + size


def fill(file, data, left):
    found = list(records(data))
    at = found[-1][0] + OVERHEAD + len(found[-1][1])
    last = found[-1][1]
    while len(data) - at - left > 1024:
        body = json.loads(last)
        body = {k: body[k] for k in ("boot", "t_boot", "t_wall", "floor", "n")} | {"kind": "refusal", "id": "", "reason": "expired"}
        body["n"] += 1
        body["prev"] = hashlib.sha256(b"\0" + last).hexdigest()
        body["digest"] = "0" * (min(RECORD_MAX, len(data) - at - left) - 512)
        last = json.dumps(body, separators=(",", ":")).encode()
        os.pwrite(file, len(last).to_bytes(4, "big") + last + hashlib.sha256(b"\0" + last).digest(), at)
        at += OVERHEAD + len(last)


def flip(file, data, number):
    at, body = list(records(data))[number - 1]
    at += 4 + len(body) // 2
    os.pwrite(file, bytes([data[at] ^ 1]), at)


def main():
    file = os.open(sys.argv[2], os.O_RDWR)
    data = os.pread(file, os.fstat(file).st_size, 0)
    {"fill": fill, "flip": flip}[sys.argv[1]](file, data, int(sys.argv[3]))


if __name__ == "__main__":
    main()
