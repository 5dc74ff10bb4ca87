#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the DSSE vectors, or with --check says whether the files here are what it would write.

Ed25519 has no randomness, so an independent implementation (python3-cryptography) makes the very same signatures again. The first nine
vectors are the published ones (secure-systems-lab/dsse, testvectors/vectors.json); their signatures are written out below and must
come out of the signing. Every vector that is accepted has forged twins beside it, each of which has to be refused.

index.json says of each file which keys are trusted, how many of them have to have signed, and the reason id of the answer ("none": it
is accepted). An envelope is the exact bytes of its file.
"""
import base64
import hashlib
import json
import os
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dsse")
ORDER = 2**252 + 27742317777372353535851937790883648493
COMMAND = "application/vnd.freezed.command.v1+json"
TRUST = "application/vnd.freezed.trust.v1+json"
INTOTO = "application/vnd.in-toto+json"

# RFC 8032 section 7.1, TEST 1 to 3. Nobody trusts C.
SEEDS = {
    "A": "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "B": "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "C": "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
}
# The neutral element as public key: with R neutral too and S zero, the verification equation holds for every message.
NEUTRAL = bytes([1]) + bytes(31)

PUBLISHED = {
    ("A", INTOTO, b'{"_type":"https://in-toto.io/Statement/v1"}'):
        "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA==",
    ("B", INTOTO, b'{"_type":"https://in-toto.io/Statement/v1"}'):
        "c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw==",
    ("A", INTOTO, b"\xfb\xff\xbf>?"):
        "P+/KHICeR7tI6S/YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU/svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw==",
    ("A", "application/vnd.ex\u00e4mple+json", b'{"_type":"https://in-toto.io/Statement/v1"}'):
        "xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw==",
    ("A", INTOTO, b""):
        "gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg==",
    ("A", "", b'{"_type":"https://in-toto.io/Statement/v1"}'):
        "iC3q/+3Rm0+lpAJRueDmDh15PnwCfxKmS0NAfKsbv+zgulXQC/WM9trc+j1XEqlwDIg/vf/uNfebeD6sxInrDg==",
    ("A", "http://example.com/HelloWorld", b"hello world"):
        "4DHX3Zn4qpBKvEj7maE8O9u9bjXEnPLLnyXVUJ2PXJR8DSLcL3QDpFvfJOj3pB/SPHsl6Jg4boxsMb6KvuYABw==",
}


def public(key):
    if key == "neutral":
        return NEUTRAL
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEEDS[key]))
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def blob(key):
    return b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + public(key)


def keyid(key):
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob(key)).digest()).decode().rstrip("=")


def pae(type_, payload):
    utf8 = type_.encode()
    return b"DSSEv1 %d %s %d %s" % (len(utf8), utf8, len(payload), payload)


def sign(key, type_, payload):
    sig = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEEDS[key])).sign(pae(type_, payload))
    known = PUBLISHED.get((key, type_, payload))
    if known is not None and base64.b64decode(known) != sig:
        sys.exit(f"the published signature of {key} over {type_} does not come out")
    return sig


def malleate(sig):
    s = int.from_bytes(sig[32:], "little") + ORDER
    return sig[:32] + s.to_bytes(32, "little")


def std(b):
    return base64.b64encode(b).decode()


def url(b):
    return base64.urlsafe_b64encode(b).decode()


class Signature:
    def __init__(self, by, named=None, sig=None):
        self.by, self.named, self.sig = by, named, sig


def envelope(type_, payload, sigs, enc=std):
    out = []
    for s in sigs:
        member = {} if s.named is None else {"keyid": s.named}
        member["sig"] = enc(s.sig)
        out.append(member)
    return {"payload": enc(payload), "payloadType": type_, "signatures": out}


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Set:
    def __init__(self):
        self.files, self.index = {}, []

    def add(self, name, data, trusted, threshold, expect, says, **more):
        file = name + ".json"
        assert file not in self.files
        self.files[file] = data if isinstance(data, bytes) else dump(data)
        self.index.append({"file": file, "trusted": trusted, "threshold": threshold, "expect": expect, **more, "says": says})

    def signed(self, name, type_, payload, signers, says, trusted=("A", "B"), enc=std, alter=None, twins=True, **more):
        """signers: (key, key id as the envelope gives it). One vector that is accepted, and its forged twins."""
        trusted, n = list(trusted), len({k for k, _ in signers})
        true = [Signature(k, i, sign(k, type_, payload)) for k, i in signers]
        make = lambda t, p, s: (alter or (lambda e: e))(envelope(t, p, s, enc))
        self.add(name, make(type_, payload, true), trusted, n, "none", says,
                 signers=sorted({k for k, _ in signers}), pae=pae(type_, payload).hex(), **more)
        if not twins:
            return

        named = any(i is not None and i == keyid(k) for k, i in signers)
        all_false = "bad-signature" if named else "untrusted-signer"
        last_false = "bad-signature" if named else "untrusted-signer" if len(true) == 1 else "threshold"
        twin = lambda kind, env, keys, expect, says: self.add(f"{name}.forged-{kind}", env, keys, n, expect, says)
        with_last = lambda sig, i: true[:-1] + [Signature(true[-1].by, i, sig)]
        last_id = true[-1].named

        bent = bytes([payload[0] ^ 1]) + payload[1:] if payload else b"\0"
        twin("payload", make(type_, bent, true), trusted, all_false, "One bit of the payload differs from what was signed")
        twin("type", make(COMMAND if type_ != COMMAND else TRUST, payload, true), trusted, all_false,
             "The same bytes under another type")
        twin("key", make(type_, payload, with_last(sign("C", type_, payload), last_id)), trusted, last_false,
             "The last signature was made by a key that nobody trusts, under the name of one that is trusted")
        twin("malleated", make(type_, payload, with_last(malleate(true[-1].sig), last_id)), trusted, last_false,
             "S + L in place of S: a second spelling of a true signature")
        neutral_id = keyid("neutral") if named else last_id
        twin("small-order", make(type_, payload, with_last(NEUTRAL + bytes(32), neutral_id)), trusted + ["neutral"], last_false,
             "A key of small order, trusted by mistake, for which a lax verifier takes this signature under any message")


def published(v):
    """The nine, under their published ids. Their key ids ("A", "B") are no fingerprints and so name nobody here."""
    body = b'{"_type":"https://in-toto.io/Statement/v1"}'
    v.signed("01-single-signature", INTOTO, body, [("A", "A")], "One signature by a trusted key", ("A",), published="accept")
    v.signed("02-url-safe-base64", INTOTO, b"\xfb\xff\xbf>?", [("A", "A")], "Either alphabet has to be taken", ("A",), url,
             published="accept")
    sig = [Signature("A", "A", sign("A", INTOTO, body))]
    v.add("03-payload-type-swapped", envelope("application/vnd.example.other+json", body, sig), ["A"], 1, "wrong-type",
          "The type is inside the signature; this one is no type of ours either", published="reject")
    type_ = "application/vnd.ex\u00e4mple+json"
    v.add("04-non-ascii-payload-type", envelope(type_, body, [Signature("A", "A", sign("A", type_, body))]), ["A"], 1,
          "wrong-type", "Lengths count bytes (29), not characters (28); a true signature, of a type that is not ours",
          published="accept", pae=pae(type_, body).hex())
    v.signed("05-empty-payload", INTOTO, b"", [("A", "A")], "The PAE ends in a space", ("A",), published="accept")
    v.add("06-empty-payload-type", envelope("", body, [Signature("A", "A", sign("A", "", body))]), ["A"], 1, "wrong-type",
          "A true signature over no type at all", published="reject", pae=pae("", body).hex())
    v.signed("07-threshold-two-distinct-keys", INTOTO, body, [("A", "A"), ("B", "B")], "Two of two", published="accept")
    v.add("08-threshold-two-one-key-twice", envelope(INTOTO, body, sig + sig), ["A", "B"], 2, "threshold",
          "Keys are counted, not signatures", published="reject", pae=pae(INTOTO, body).hex())
    v.signed("09-threshold-two-without-keyids", INTOTO, body, [("A", None), ("B", None)], "Key ids are optional",
             published="accept")


ORDER_TEXT = b"""{"v":1,"fleet":"prod","id":"000102030405060708090a0b0c0d0e0f","verb":"contain","to":{"hosts":["%s"]},\
"targets":["unit:nginx.service"],"args":{"lease_ms":0},"iat":1795221120000,"exp":1795224720000,"severity":"P0",\
"incident":"SA-20261120-001","reason":"exploit seen"}""" % keyid("C").encode()


def commands(v):
    a, b, c = keyid("A"), keyid("B"), keyid("C")
    hello = "http://example.com/HelloWorld"
    v.add("10-hello-world", envelope(hello, b"hello world", [Signature("A", a, sign("A", hello, b"hello world"))]), ["A"], 1,
          "wrong-type", "The example of the protocol's text, signed with Ed25519", pae=pae(hello, b"hello world").hex())
    v.signed("11-command-one-signer", COMMAND, ORDER_TEXT, [("A", a)], "As freezectl signs it")
    v.signed("12-command-two-signers", COMMAND, ORDER_TEXT, [("A", a), ("B", b)], "A second person signed the same bytes")
    v.signed("13-command-without-keyids", COMMAND, ORDER_TEXT, [("A", None), ("B", None)], "Tried against every key")
    v.signed("14-command-empty-keyid", COMMAND, ORDER_TEXT, [("A", "")], "An empty key id is none")
    v.signed("15-command-foreign-keyid", COMMAND, ORDER_TEXT, [("A", "arn:aws:kms:key/1")], "Another system's key id is none")
    v.signed("16-command-url-safe", COMMAND, ORDER_TEXT, [("A", a)], "The other alphabet", enc=url)

    def extra(e):
        e["signatures"][0]["cert"] = {"not": ["signed"]}
        return {"hint": None, **e, "media": 1.5}
    v.signed("17-command-unknown-members", COMMAND, ORDER_TEXT, [("A", a)], "Unknown members of the envelope are ignored",
             alter=extra)

    text = lambda sigs: envelope(COMMAND, ORDER_TEXT, sigs)
    by_a = Signature("A", a, sign("A", COMMAND, ORDER_TEXT))
    by_c = Signature("C", c, sign("C", COMMAND, ORDER_TEXT))
    both = ["A", "B"]
    v.add("18-bystander-signature", text([by_c, by_a]), both, 1, "none",
          "A signature by a key that is not trusted does no harm and counts for nothing", signers=["A"],
          pae=pae(COMMAND, ORDER_TEXT).hex())
    v.add("19-only-a-bystander", text([by_c]), both, 1, "untrusted-signer", "True, but nobody trusts the key")
    v.add("20-no-signature", text([]), both, 1, "untrusted-signer", "Nobody signed")
    v.add("21-other-trusted-keyid", text([Signature("A", b, by_a.sig)]), both, 1, "bad-signature",
          "The key id names a trusted key that did not sign")
    v.add("22-unknown-keyid", text([Signature("A", c, by_a.sig)]), both, 1, "untrusted-signer",
          "The key id narrows the search to a key that is not trusted")
    v.add("23-one-keyid-twice", text([by_a, by_a]), both, 2, "threshold", "One key, however many signatures")
    v.add("24-one-key-under-two-ids", text([by_a, Signature("A", None, by_a.sig)]), both, 2, "threshold",
          "The same key, once named and once not")
    v.add("25-true-and-false", text([by_a, Signature("B", b, by_a.sig)]), both, 1, "bad-signature",
          "A false signature in the name of a trusted key takes the true one down")
    v.add("26-false-and-true", text([Signature("B", b, by_a.sig), by_a]), both, 1, "bad-signature",
          "... in whichever order they come")


def shapes(v):
    """Envelopes that are refused before any signature is looked at. The signature is true wherever there is one."""
    good = envelope(COMMAND, b"{}", [Signature("A", keyid("A"), sign("A", COMMAND, b"{}"))])
    text = dump(good)
    p64, sig, type_ = good["payload"].encode(), good["signatures"][0]["sig"].encode(), COMMAND.encode()
    assert p64 == b"e30=" and text.count(p64) == 1
    count = 30

    def put(name, data, expect, says):
        nonlocal count
        v.add(f"{count}-{name}", data, ["A"], 1, expect, says)
        count += 1

    def swap(old, new):
        assert text.count(old) == 1
        return text.replace(old, new)

    def without(member):
        return {k: x for k, x in good.items() if k != member}

    put("empty", b"", "malformed", "No bytes")
    put("half", text[:-1], "malformed", "The end is missing")
    put("trailing-bytes", text + b"{}", "malformed", "A second document follows")
    put("trailing-nul", text + b"\0", "malformed", "A NUL follows")
    put("byte-order-mark", b"\xef\xbb\xbf" + text, "malformed", "A byte order mark")
    put("array", b"[" + text + b"]", "malformed", "An array is no envelope")
    put("string", b'"e30="', "malformed", "Nor is a string")
    put("duplicate-payload", text[:-1] + b',"payload":"W10="}', "malformed", "Which of the two was signed?")
    put("duplicate-payload-escaped", text[:-1] + b',"p\\u0061yload":"W10="}', "malformed", "The same, in disguise")
    put("duplicate-sig", swap(b'"sig":', b'"sig":"","sig":'), "malformed", "Inside a signature too")
    put("no-payload", without("payload"), "malformed", "A member is missing")
    put("no-type", without("payloadType"), "malformed", "A member is missing")
    put("no-signatures", without("signatures"), "malformed", "A member is missing")
    put("payload-object", {**good, "payload": {}}, "malformed", "The payload is text")
    put("type-number", {**good, "payloadType": 0}, "malformed", "The type is text")
    put("signatures-object", {**good, "signatures": {"0": good["signatures"][0]}}, "malformed", "The signatures are a list")
    put("signature-string", {**good, "signatures": [sig.decode()]}, "malformed", "A signature is an object")
    put("signature-empty", {**good, "signatures": [{}]}, "malformed", "... with a sig")
    put("sig-null", {**good, "signatures": [{"sig": None}]}, "malformed", "... which is text")
    put("keyid-number", {**good, "signatures": [{"sig": sig.decode(), "keyid": 1}]}, "malformed", "A key id is text")
    put("sig-63-bytes", swap(sig, base64.b64encode(bytes(63))), "malformed", "Too short for Ed25519")
    put("sig-65-bytes", swap(sig, base64.b64encode(bytes(65))), "malformed", "Too long, though of as many characters")
    put("sig-unpadded", swap(sig, sig[:86]), "malformed", "The padding is missing")
    put("nine-signatures", {**good, "signatures": good["signatures"] * 9}, "oversize", "One more than there may be")
    put("payload-unpadded", swap(p64, b"e30"), "bad-encoding", "The padding is missing")
    put("payload-half-padded", swap(p64, b"e3=="), "bad-encoding", "Padding that hides set bits")
    put("payload-unused-bits", swap(p64, b"e31="), "bad-encoding", "Bits beyond the payload are set: a second spelling")
    put("payload-overpadded", swap(p64, b"e30=="), "bad-encoding", "Too much padding")
    put("payload-padding-only", swap(p64, b"===="), "bad-encoding", "Nothing but padding")
    put("payload-one-character", swap(p64, b"e"), "bad-encoding", "Six bits are no byte")
    # Spellings of bytes whose signature is true: only the text is wrong.
    wide = next(b for b in (b"\xfb\xff\xff%d" % i for i in range(10**6)) if b"//" in base64.b64encode(sign("A", COMMAND, b)))
    spelled = dump(envelope(COMMAND, wide, [Signature("A", keyid("A"), sign("A", COMMAND, wide))]))
    digits, e_acute = base64.b64encode(sign("A", COMMAND, wide)), "\u00e9".encode()
    put("payload-mixed-alphabets", spelled.replace(b'"+///', b'"-///'), "bad-encoding", "Both alphabets in one string")
    put("payload-not-ascii", spelled.replace(b'"+///', b'"+/' + e_acute), "bad-encoding", "Bytes from 0x80 up are no digits")
    put("sig-not-ascii", spelled.replace(digits, digits.replace(b"//", e_acute, 1)), "bad-encoding", "In a signature neither")
    put("payload-blank", swap(p64, b"e3 0="), "bad-encoding", "Blanks are not skipped")
    put("payload-newline", swap(p64, b"e30=\\n"), "bad-encoding", "Nor is an escaped newline")
    put("payload-raw-newline", swap(p64, b"e30=\n"), "malformed", "A raw newline is no JSON string")
    put("sig-unused-bits", swap(sig, sig[:85] + bytes([sig[85] + 1]) + b"=="), "bad-encoding", "A second spelling of a signature")
    put("sig-bad-character", swap(sig, b"!" + sig[1:]), "bad-encoding", "Not base64")
    put("payload-nul", swap(p64, b"e30=\\u0000"), "malformed", "A NUL would end the string early")
    put("type-nul", swap(type_, type_ + b"\\u0000x"), "malformed", "A NUL would hide what follows")
    put("member-nul", swap(b'"payload":', b'"payload\\u0000":'), "malformed", "Also in a member's name")
    put("not-utf8", swap(p64, b"e30=\xff"), "bad-encoding", "Not UTF-8")
    put("overlong-utf8", swap(b'"payload":', b'"x":"\xc0\x80","payload":'), "bad-encoding", "An overlong NUL")
    put("lone-surrogate", text[:-1] + b',"x":"\\ud800"}', "malformed", "Half a character")
    put("huge-number", text[:-1] + b',"x":1e999}', "malformed", "A number that no reader keeps")
    put("type-unknown", swap(type_, b"application/json"), "wrong-type", "Too general for anyone to sign")
    put("type-case", swap(type_, type_.upper()), "wrong-type", "Types are compared byte by byte")
    put("type-suffix", swap(type_, type_ + b" "), "wrong-type", "To the last byte")
    put("type-v2", swap(type_, type_.replace(b".v1", b".v2")), "wrong-type", "A later version is another type")


def main():
    v = Set()
    published(v)
    commands(v)
    shapes(v)
    keys = {k: {"public": public(k).hex(), "id": keyid(k), "line": "ssh-ed25519 " + std(blob(k))} for k in [*SEEDS, "neutral"]}
    index = '{"keys":{\n' + ",\n".join(f"{json.dumps(k)}:{json.dumps(x)}" for k, x in keys.items()) + '\n},\n"vectors":[\n'
    index += ",\n".join(json.dumps(x) for x in v.index) + "\n]}\n"
    files = {**v.files, "index.json": index.encode()}

    if sys.argv[1:] == ["--check"]:
        there = set(os.listdir(HERE))
        wrong = sorted(there ^ set(files))
        for name in sorted(there & set(files)):
            with open(os.path.join(HERE, name), "rb") as f:
                if f.read() != files[name]:
                    wrong.append(name)
        if wrong:
            sys.exit("not as generated: " + " ".join(wrong))
        return
    os.makedirs(HERE, exist_ok=True)
    for name in set(os.listdir(HERE)) - set(files):
        os.unlink(os.path.join(HERE, name))
    for name, data in files.items():
        with open(os.path.join(HERE, name), "wb") as f:
            f.write(data)


main()
