#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 075-witness.sh B: a witness over TLS. One that cannot show whose it is is asked nothing, whatever else is right about it; and the unit that
# asks the right one is started by its timer, in its sandbox, with an address from its configuration, while something is held.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 075-witness.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh

SEED=$(printf '%064d' 5)
WITNESS=$("$B/san/witness" 127.0.0.1 0 /tmp "$SEED")
NAME=witness.example

run() { box_run host "$@"; }
in_box() { box_sh host "$@"; }
ask() { SAID=$(run freezectl evidence witness "$1" 2>&1); }
cosigned() { ls "$HEADS" 2>/dev/null; }

orders_boot "$B" || exit
D=$(box_dir host)/tls
HEADS=$(box_root host)/var/lib/freezed-witness
mkdir -p "$D/state"
in_box 'cd /root && freezectl trust rotate trust.json --witness "$1" --key alice --key bob --out trust2.json && freezectl enroll trust2.json' "$WITNESS" >/dev/null 2>&1
in_box "echo 10.77.0.1 $NAME other.example >>/etc/hosts"

# --- certificates: right, by authorities that nobody here knows, for another name, of yesterday, and by one that is no authority

python3 - "$D" "$NAME" <<'PY'
import datetime as dt, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec

DIR, NAME = sys.argv[1:]
NOW, DAY = dt.datetime.utcnow(), dt.timedelta(days=1)


def make(file, name, by=None, authority=False, since=NOW - DAY, until=NOW + DAY):
    key, who = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    by_key, by_cert = by or (key, None)
    cert = (x509.CertificateBuilder().subject_name(who).issuer_name(by_cert.subject if by_cert else who).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False).sign(by_key, hashes.SHA256()))
    chain = [cert] + ([by_cert] if by_cert else [])
    with open(f"{DIR}/{file}.pem", "wb") as f:
        f.write(key.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()))
        f.write(b"".join(c.public_bytes(ser.Encoding.PEM) for c in chain))
    with open(f"{DIR}/{file}.crt", "wb") as f:
        f.write(cert.public_bytes(ser.Encoding.PEM))
    return key, cert


authority = make("authority", "authority.example", authority=True)
make("right", NAME, authority)
make("unknown", NAME, make("stranger", "stranger.example", authority=True))
make("impostor", NAME, make("namesake", "authority.example", authority=True))
make("elsewhere", "elsewhere.example", authority)
make("expired", NAME, authority, since=NOW - 2 * DAY, until=NOW - DAY)
make("leaf", NAME, make("middle", "middle.example", authority))
PY

# front PORT CERTIFICATE: the witness behind it
front() {
        box_listen host socat "OPENSSL-LISTEN:$1,bind=10.77.0.1,reuseaddr,fork,cert=$D/$2.pem,verify=0" TCP4:10.77.0.1:8440
}
box_listen host "$B/san/witness" 10.77.0.1 8440 "$D/state" "$SEED"
box_until 60 eval 'ask http://10.77.0.1:8440; [ $? = 3 ]'
LOG=${SAID##* }
kill "$BOX_PID"
box_until 60 eval "! kill -0 $BOX_PID 2>/dev/null"
box_listen host "$B/san/witness" 10.77.0.1 8440 "$D/state" "$SEED" "$LOG"
front 8443 right
front 8444 unknown
front 8445 elsewhere
front 8446 expired
front 8447 leaf
front 8448 impostor
listens() { box_outside host ss -Hltn "sport = :$1" | grep -q .; }
for port in 8440 8443 8444 8445 8446 8447 8448; do box_until 60 listens "$port"; done
answered() { grep -cE '^[0-9]{3} ' "$(box_dir host)/listen.log"; }
before=$(answered)

# --- who is not to be believed

ask "https://$NAME:8443"
is "a host without authorities asks nobody over TLS" $? 1
like "and says what is missing" "$SAID" 'no certificates of authorities.*/etc/ssl/certs'
box_put host "$D/authority.crt" /etc/ssl/certs/ca-certificates.crt
# refuses CASE URL ERE: a case that nothing was asked of it, and why
refuses() {
        ask "$2"
        is "$1 is refused" $? 3
        like "$1: why" "$SAID" "so nothing was asked: .*$3"
}
refuses "a certificate by an authority that is not the host's" "https://$NAME:8444" 'self.signed certificate in certificate chain'
refuses "one by an authority that has the name of the right one" "https://$NAME:8448" ''
refuses "one for another name" "https://$NAME:8445" 'no alternative certificate subject name matches'
refuses "the right one, asked for by another name" "https://other.example:8443" 'no alternative certificate subject name matches'
refuses "the right one, asked for by address" "https://10.77.0.1:8443" 'no alternative certificate subject name matches'
refuses "one of yesterday" "https://$NAME:8446" 'expired'
refuses "one that a certificate signed which is no authority's" "https://$NAME:8447" 'invalid CA'
# its answer, or its hanging up, whichever comes first
refuses "one that does not talk TLS" "https://$NAME:8440" '(wrong version|SSL_ERROR_SYSCALL)'
ask "https://$NAME:8449"
is "and one that is not there is no answer" $? 5
is "no word of that reached the witness" "$(answered)" "$before"
is "and nothing is kept as if somebody had signed it" "$(cosigned)" ""

# --- who is

service left 7001
order alice contain left.service --incident SA-20261121-001
HOLD=$ID
is "something is held" "$(look left)" contained
head_is_there() { ask "https://$NAME:8443"; }
check "the right certificate is asked, and the witness signs" box_until 60 head_is_there
like "what it saw" "$SAID" '^COSIGNED.*witness.example/w1 saw [0-9]+ records'
like "is kept" "$(cosigned)" '^cosigned\.[0-9a-f]{8}$'
is "and proves the evidence" "$(run freezectl evidence verify "$HOLD" >/dev/null 2>&1; echo $?)" 0

# --- the unit, by its timer

# conf URL
conf() { printf 'URL=%s\n' "$1" | in_box 'cat >/etc/freezed/witness.conf'; }
shown() { run systemctl show -P "$1" freezed-witness.service; }
in_box 'rm -f /var/lib/freezed-witness/cosigned.*'
conf "https://$NAME:8444"
run systemctl start freezed-witness.service 2>/dev/null
is "the unit fails for a witness that is refused" "$(shown Result) $(shown ExecMainStatus)" "exit-code 3"
tells() { run journalctl -q -u freezed-witness.service -o cat | grep -q 'certificate is not accepted'; }
check "which the journal tells" box_until 60 tells
is "and keeps nothing" "$(cosigned)" ""
run systemctl reset-failed freezed-witness.service
conf "https://$NAME:8444 https://$NAME:8443"
# one more time at which it is started, so that nobody waits ten seconds here
in_box 'mkdir -p /run/systemd/system/freezed-witness.timer.d && printf "[Timer]\nOnActiveSec=100ms\nAccuracySec=10ms\n" >/run/systemd/system/freezed-witness.timer.d/soon.conf &&
        systemctl daemon-reload && systemctl start freezed-witness.timer'
has_run() { [ -n "$(cosigned)" ] && [ "$(shown ActiveState)" != activating ]; }
check "its timer starts it, and it has the head signed by the second of two" box_until 60 has_run
is "the first is still told of" "$(shown ExecMainStatus)" 3
conf "https://$NAME:8443"
run systemctl start freezed-witness.service
is "with the right one alone it succeeds" "$(shown Result)" success
is "in its sandbox" "$(shown CapabilityBoundingSet),$(shown ProtectSystem),$(shown ReadWritePaths)" ",strict,/var/lib/freezed-witness"
is "what is held stays so" "$(look left)" contained
order alice,bob release "$HOLD"
is "until it is released" "$ANSWER" released

done_testing
