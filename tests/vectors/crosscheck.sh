#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Holds our envelopes against OpenSSL, OpenSSH and python3-cryptography, which share no code with them.
#   crosscheck.sh BUILD     (BUILD/san/vectors/dsse_tool has been built). Prints TAP.
set -u
here=$(dirname "$0")
tool=$1/san/vectors/dsse_tool
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

n=0 failed=0
# A sanitizer's finding must not pass for a refusal.
export ASAN_OPTIONS=exitcode=125 UBSAN_OPTIONS=exitcode=125
# ok NAME COMMAND...: the command succeeds.   no NAME COMMAND...: it runs to its end and says no.
ok() { name=$1; shift; "$@" >"$tmp/log" 2>&1; result $?; }
no() { name=$1; shift; "$@" >"$tmp/log" 2>&1; r=$?; [ $r -gt 0 ] && [ $r -lt 125 ]; result $?; }
result() {
        n=$((n + 1))
        if [ "$1" -eq 0 ]; then echo "ok $n - $name"; else
                echo "not ok $n - $name"; sed 's/^/# /' "$tmp/log"; failed=1
        fi
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

type=application/vnd.freezed.command.v1+json
alice=9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60
bob=4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb
payload='{"v":1,"fleet":"prod","reason":"caf\303\251"}'
if ! alice_line=$("$tool" public $alice) || ! bob_line=$("$tool" public $bob); then
        echo "Bail out! $tool does not run"
        exit 1
fi

# Everything that openssl is given is cut out of the envelope with sed and base64: none of it passes through our code.
member() { sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p" "$2"; }
unpack() { # unpack ENVELOPE LINE DIR: the PAE, the last signature and the public key as openssl wants them
        mkdir -p "$3"
        member payload "$1" | base64 -d >"$3/payload"
        member sig "$1" | base64 -d >"$3/sig"
        t=$(member payloadType "$1")
        { printf 'DSSEv1 %d %s %d ' ${#t} "$t" "$(wc -c <"$3/payload")"; cat "$3/payload"; } >"$3/pae"
        # SubjectPublicKeyInfo of Ed25519 (RFC 8410) is twelve constant bytes and the key, which is the end of the ssh blob
        { printf '\060\052\060\005\006\003\053\145\160\003\041\000'; echo "${2#* }" | base64 -d | tail -c 32; } |
                openssl pkey -pubin -inform DER -out "$3/pub.pem"
}
openssl_verifies() { openssl pkeyutl -verify -pubin -inkey "$1/pub.pem" -rawin -in "$1/pae" -sigfile "$1/sig"; }
same() { [ "$1" = "$2" ] || { echo "$1"; echo "$2"; false; }; }

# shellcheck disable=SC2059  # the payload has an escape for printf on purpose
printf "$payload" >"$tmp/payload"
"$tool" sign $type $alice <"$tmp/payload" >"$tmp/ours.json"
unpack "$tmp/ours.json" "$alice_line" "$tmp/a"
ok "the payload in our envelope is the payload that was signed" cmp "$tmp/payload" "$tmp/a/payload"
ok "openssl verifies an envelope that we made" openssl_verifies "$tmp/a"
printf '.' >>"$tmp/a/pae"
no "openssl refuses it with one byte more" openssl_verifies "$tmp/a"
unpack "$tmp/ours.json" "$bob_line" "$tmp/b"
no "openssl refuses it for another key" openssl_verifies "$tmp/b"

"$tool" sign $type $alice $bob <"$tmp/payload" >"$tmp/two.json"
unpack "$tmp/two.json" "$bob_line" "$tmp/c"
ok "openssl verifies the second signature of two" openssl_verifies "$tmp/c"
: >"$tmp/nothing"
"$tool" sign application/vnd.in-toto+json $alice <"$tmp/nothing" >"$tmp/empty.json"
unpack "$tmp/empty.json" "$alice_line" "$tmp/d"
ok "openssl verifies an empty payload that we signed" openssl_verifies "$tmp/d"

# the other way round: openssl signs
openssl_signs() { # openssl_signs DIR: an envelope over DIR/payload by a new key
        openssl genpkey -algorithm ed25519 -out "$1/key.pem" &&
                { printf 'DSSEv1 %d %s %d ' ${#type} $type "$(wc -c <"$1/payload")"; cat "$1/payload"; } >"$1/pae" &&
                openssl pkeyutl -sign -inkey "$1/key.pem" -rawin -in "$1/pae" -out "$1/sig" &&
                printf '{"payloadType":"%s","payload":"%s","signatures":[{"sig":"%s"}]}' $type \
                        "$(base64 -w0 "$1/payload")" "$(base64 -w0 "$1/sig")" >"$1/envelope.json" &&
                { printf '\000\000\000\013ssh-ed25519\000\000\000\040'
                        openssl pkey -in "$1/key.pem" -pubout -outform DER | tail -c 32; } | base64 -w0 >"$1/blob"
}
mkdir "$tmp/o"
cp "$tmp/payload" "$tmp/o/payload"
ok "openssl signs" openssl_signs "$tmp/o"
ours_verifies() { "$tool" verify "$2" <"$1" >"$tmp/out"; }
ok "we verify an envelope that openssl signed" ours_verifies "$tmp/o/envelope.json" "ssh-ed25519 $(cat "$tmp/o/blob")"
ok "... and hand on the bytes that it signed" cmp "$tmp/out" "$tmp/payload"
no "we refuse it for another key" ours_verifies "$tmp/o/envelope.json" "$alice_line"
ok "... because nobody trusts the signer" same "$(cat "$tmp/out")" untrusted-signer

if command -v ssh-keygen >/dev/null; then
        ssh-keygen -q -t ed25519 -N '' -C 'alice on call' -f "$tmp/id"
        ok "a key has the fingerprint that ssh-keygen prints" \
                same "$("$tool" id "$(cat "$tmp/id.pub")")" "$(ssh-keygen -lf "$tmp/id.pub" | cut -d' ' -f2)"
        echo "$alice_line" >"$tmp/alice.pub"
        ok "ssh-keygen reads the line that we write" \
                same "$(ssh-keygen -lf "$tmp/alice.pub" | cut -d' ' -f2)" "$("$tool" id "$alice_line")"
        ssh-keygen -q -t ecdsa -N '' -f "$tmp/ecdsa"
        no "we refuse an ECDSA key" "$tool" id "$(cat "$tmp/ecdsa.pub")"
else
        skip "fingerprints as ssh-keygen prints them" "no ssh-keygen"
fi

python=
for p in python3 /usr/bin/python3; do
        $p -c 'import cryptography.hazmat.primitives.asymmetric.ed25519' 2>/dev/null && { python=$p; break; }
done
if [ -n "$python" ]; then
        ok "the vectors are what python3-cryptography makes of the published keys" "$python" "$here/generate.py" --check
        ok "python3-cryptography signs" "$python" "$here/sign.py" "$tmp/py.json" "$tmp/py.line"
        line=$(cat "$tmp/py.line")
        ok "we verify an envelope that it signed" ours_verifies "$tmp/py.json" "$line"
        ok "... and hand on the bytes that it signed" same "$(cat "$tmp/out")" '{"made":"elsewhere"}'
        sed 's/"payload": *"e/"payload":"f/' "$tmp/py.json" >"$tmp/bent.json"
        no "we refuse it with one bit changed" ours_verifies "$tmp/bent.json" "$line"
        ok "... because the signature is false" same "$(cat "$tmp/out")" bad-signature
else
        skip "envelopes made by python3-cryptography" "python3-cryptography is not installed"
fi

echo "1..$n"
exit $failed
