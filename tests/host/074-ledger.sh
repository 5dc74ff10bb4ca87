#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 074-ledger.sh B: the head of a host's ledger, who signs it, and what verify says when somebody is root on the host later: bags signed
# again, ledgers rolled back or written anew, with and without a witness that saw them before.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 074-ledger.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh

URL=http://10.77.0.1:8440
SEED=$(printf '%064d' 5)
WITNESS=$("$B/san/witness" 127.0.0.1 0 /tmp "$SEED")

run() { box_run host "$@"; }
in_box() { box_sh host "$@"; }
# verify [FOLDER]: $SAID and the exit code
verify() { SAID=$(run freezectl evidence verify "${1:-$HOLD}" 2>&1); }
list() { SAID=$(run freezectl evidence list 2>&1); }
ask() { SAID=$(run freezectl evidence witness "$URL" 2>&1); }
# A copy, because the agent goes on writing
head_of() {
        rm -rf "$D/ledger" && cp -r "$STATE/ledger" "$D/" && PYTHONPATH=tests/lib python3 -B tests/lib/read_head.py "$D/ledger" "$STATE/host_key.pem" 2>&1
}
is_signed() { [ "$(head_of | cut -d' ' -f1)" = "$(python3 tests/lib/read_ledger.py "$D/ledger" | wc -l)" ]; }
# it answers, whether all is in order or not: with a ledger of an earlier day there are holds that it does not know
is_up() { run freezectl health --json 2>/dev/null | grep -q '"report":'; }
stop_agent() { run systemctl stop freezed-core.socket freezed-gate.socket freezed-gate.service freezed.service 2>/dev/null; }
start_agent() { run systemctl start freezed-core.socket freezed-gate.socket freezed.service && box_until 60 is_up; }

orders_boot "$B" || exit
D=$(box_dir host)/ledger-test
STATE=$(box_root host)/var/lib/freezed
mkdir -p "$D/witness" "$D/elsewhere"

# --- a host by itself

service left 7001
order alice contain left.service --incident SA-20261121-001
FOLDER=$(receipt .evidence.folder)
HOLD=$ID
box_until 60 is_signed
like "the checkpoint and each epoch verify by the documents alone; after evidence another epoch begins" "$(head_of)" '^[0-9]+ 2 first,evidence$'
is "openssl verifies the checkpoint" "$(cd "$D/ledger" && sed '/^$/,$d' checkpoint >text && awk '/^—/ { print $3; exit }' checkpoint | base64 -d | tail -c 64 >sig &&
        openssl pkeyutl -verify -pubin -inkey "$STATE/host_key.pem" -rawin -in text -sigfile sig)" "Signature Verified Successfully"
verify
is "a bag that is in the ledger is whole" $? 0
like "verify says as which record, and in which epoch" "$SAID" 'ledger +[0-9]+ records in one chain; this is record [0-9]+'
like "and that no witness is named" "$SAID" 'none is named in the trust root'
is "the epoch's key is where nothing is swapped, for root alone" "$(in_box 'echo "$(stat -c "%a %U" /run/freezed/epoch) $(stat -c "%a %U %s" /run/freezed/epoch/epoch_key) $(stat -f -c %T /run/freezed/epoch) $(ls /run/freezed | grep -c epoch_key)"')" \
        "700 root 600 root 32 ramfs 0"
all_signed() { [ "$(run freezectl health --json | jq -r 'select(.report) | .report.ledger | "\(.n - .checkpoint) \(.epoch)"')" = "0 2" ]; }
check "health says how many records are signed, and in which epoch" box_until 60 all_signed
before=$(head_of | cut -d' ' -f2-)
run systemctl kill -s KILL freezed.service
box_until 60 is_up
box_until 60 is_signed
is "an agent that was killed goes on in the same epoch" "$(head_of | cut -d' ' -f2-)" "$before"

# --- a bag that root signs again

cp -a "$(box_root host)$FOLDER" "$D/bag"
cat >"$D/forge.py" <<'PY'
import base64, json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

key = Ed25519PrivateKey.from_private_bytes(open(sys.argv[1], "rb").read())
envelope = json.load(open(sys.argv[2], encoding="utf-8"))
payload = json.loads(base64.b64decode(envelope["payload"]))
payload["predicate"]["objects"] = 1
body = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
kind = envelope["payloadType"].encode()
envelope["payload"] = base64.b64encode(body).decode()
envelope["signatures"][0]["sig"] = base64.b64encode(key.sign(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body))).decode()
text = open(sys.argv[2], encoding="utf-8").read()
old = json.loads(text)
text = text.replace(old["payload"], envelope["payload"]).replace(old["signatures"][0]["sig"], envelope["signatures"][0]["sig"])
open(sys.argv[2], "w", encoding="utf-8").write(text)
PY
chmod u+w "$(box_root host)$FOLDER/evidence.dsse.json"
python3 "$D/forge.py" "$STATE/host_key" "$(box_root host)$FOLDER/evidence.dsse.json"
verify
is "a statement that was signed again by the host's own key is seen" $? 3
like "as one that is not the ledger's" "$SAID" '^CONTRADICTED.*replaced'
list
like "the list tells, too" "$? $SAID" "^3 .*$HOLD +\\(replaced\\)"
in_box 'echo "$1" >/root/key.txt && chmod 600 /root/key.txt' "$AGE_IDENTITY"
SAID=$(run freezectl evidence decrypt "$HOLD" --identity /root/key.txt --out /root/replaced 2>&1)
is "it is opened, for who has to look into it, and that is not what it was" $? 3
like "by the ledger, which is told with it" "$SAID" '^OPENED .*replaced'
cp "$D/bag/evidence.dsse.json" "$(box_root host)$FOLDER/evidence.dsse.json"
verify
is "and the one that it was is whole again" $? 0

# --- a bag that somebody made up, and put beside those of the host

MADE=$(printf '%032d' 42)
BASE=$(dirname "$(box_root host)$FOLDER")
# make_up KEY: one for an order that never was
make_up() { rm -rf "${BASE:?}/$MADE" && cp -a "$D/bag" "$BASE/$MADE" && python3 tests/lib/forge_bag.py "$1" "$BASE/$MADE" "$MADE"; }
make_up "$STATE/host_key"
verify "$MADE"
is "one for an order that never was is no evidence, though the host's key signed it" $? 3
like "which the ledger tells" "$SAID" '^CONTRADICTED.*not-ordered'
SAID=$(run freezectl evidence show "$MADE" 2>&1)
is "nor is it shown as such" $? 3
is "or exported" "$(run freezectl evidence export "$MADE" --out /root/made >/dev/null 2>&1; echo $?) $(run sh -c 'ls -d /root/made' 2>/dev/null)" "3 "
cut=$(cd "$BASE/$MADE" && ls data/*-index.jsonl.zst.age | tail -n 1)
rm "$BASE/$MADE/$cut" && sed -i "\\|  $cut\$|d" "$BASE/$MADE/manifest-sha256.txt"
python3 tests/lib/forge_bag.py "$STATE/host_key" "$BASE/$MADE" "$MADE"
in_box 'echo "$1" >/root/key.txt && chmod 600 /root/key.txt' "$AGE_IDENTITY"
SAID=$(run freezectl evidence decrypt "$MADE" --identity /root/key.txt --out /root/made-open 2>&1)
like "that not all of it opens does not hide that the ledger speaks against it" "$? $(tr '\n' ' ' <<<"$SAID")" '^3 OPENED IN PART.*not-ordered'
head -c 32 /dev/urandom >"$D/stranger"
make_up "$D/stranger"
verify "$MADE"
is "one that another key signed does not belong there" $? 3
like "and is told of as that" "$SAID" '^CONTRADICTED.*foreign'
like "the list marks it" "$(run freezectl evidence list)" "$MADE +\(by an unknown host\)"
cp -r "$BASE/$MADE" "$D/elsewhere/"
: >"$D/nobody"
SAID=$("$B/freezectl" evidence verify "$D/elsewhere/$MADE/" --hosts-file "$D/nobody" 2>&1)
is "elsewhere it is that of an unknown host" $? 5
like "which proves nothing" "$SAID" '^UNKNOWN HOST.*unknown-host'
SAID=$("$B/freezectl" evidence show "$D/elsewhere/$MADE/" --hosts-file "$D/nobody" 2>&1)
is "nor is it shown as anything else" $? 5
like "but as what it claims" "$SAID" 'claims to be +SHA256:'
cp -r "$D/elsewhere/$MADE" "$D/elsewhere/unsigned" && openssl genpkey -algorithm ed25519 | openssl pkey -pubout >"$D/elsewhere/unsigned/host_key.pem"
SAID=$("$B/freezectl" evidence show "$D/elsewhere/unsigned/" --hosts-file "$D/nobody" 2>&1)
is "what not even the key in it signed is none" $? 3
rm "$BASE/$MADE/evidence.dsse.json"
verify "$MADE"
is "one that nobody signed, for an order that never was, neither" $? 3
like "is no evidence" "$SAID" '^NOT SIGNED.*not-ordered'
rm -rf "${BASE:?}/$MADE"
mkdir "$BASE/$HOLD.2"
SAID=$(run freezectl evidence verify "$FOLDER.2/" 2>&1)
is "one that nobody signed, for an order that was, is incomplete" $? 4
like "as when the host died" "$SAID" '^NOT SIGNED.*no-statement.*not-recorded'
SAID=$(run freezectl evidence show "$FOLDER.2/" 2>&1)
is "and nothing is shown of it" $? 4
rmdir "$BASE/$HOLD.2"
mv "$(box_root host)$FOLDER/evidence.dsse.json" "$D/taken"
verify
is "a statement that was taken away is missed" $? 3
like "by the ledger" "$SAID" '^NOT SIGNED.*statement-gone'
list
like "and in the list" "$? $SAID" "^3 .*$HOLD +\\(statement-gone\\)"
mv "$D/taken" "$(box_root host)$FOLDER/evidence.dsse.json"
verify
is "and all is well with it back" $? 0
list
is "in the list as well" $? 0
mv "$(box_root host)$FOLDER" "$D/taken"
list
like "a folder that was taken away is missed" "$? $SAID" "^3 .* gone +[0-9]+ objects .*$FOLDER"
is "also by scripts" "$(run freezectl evidence list --json | jq -r 'select(.gone) | .gone | "\(.folder) \(.deleted)"')" "$FOLDER false"
mv "$D/taken" "$(box_root host)$FOLDER"
mv "$STATE/evidence" "$D/taken"
list
like "as are all of them" "$? $SAID" "^3 .* gone +[0-9]+ objects .*$FOLDER"
mv "$D/taken" "$STATE/evidence"
mv "$STATE/evidence" "$D/taken" && mv "$STATE/host_key.pub" "$D/"
list
like "with the key gone too the list is not one of nothing" "$? $(tr '\n' ' ' <<<"$SAID")" '^3 +no-key'
mv "$D/taken" "$STATE/evidence" && mv "$D/host_key.pub" "$STATE/"
mv "$STATE/ledger/00000001.log" "$STATE/ledger/aside"
ln -s aside "$STATE/ledger/00000001.log"
list
like "a ledger that cannot be read keeps nothing out of the list" "$? $(tr '\n' ' ' <<<"$SAID")" "^3 .*$FOLDER .*unreadable"
SAID=$(run freezectl evidence decrypt "$HOLD" --identity /root/key.txt --out /root/unread 2>&1)
like "nor what was sealed closed" "$? $(tr '\n' ' ' <<<"$SAID")" '^3 .*00000001.log: .*OPENED .*unreadable'
SAID=$(run freezectl evidence export "$HOLD" --out /root/unread-bag 2>&1)
like "or here" "$? $(run ls /root/unread-bag/data)" '^3 .*evidence'
mv "$STATE/ledger/aside" "$STATE/ledger/00000001.log"
list
is "and with it back all is well" $? 0

# --- a witness

ask
is "without a witness in the trust root nobody is asked" $? 3
in_box 'cd /root && freezectl trust rotate trust.json --witness "$1" --key alice --key bob --out trust2.json && freezectl enroll trust2.json' "$WITNESS" >/dev/null 2>&1
like "the trust root names it" "$(run freezectl trust show /etc/freezed/trust.json)" 'witness.example/w1\+'
verify
is "what no witness of the trust root has seen is not proven" $? 5
like "and says why" "$SAID" '^WHOLE, IN DOUBT.*unwitnessed'
ask
is "a witness that is not there" $? 5
box_listen host "$B/san/witness" 10.77.0.1 8440 "$D/witness" "$SEED"
witness_pid=$BOX_PID
box_until 60 eval 'ask; [ $? = 3 ]'
like "one that does not know the host is told by whom it can be known" "$SAID" 'its key, for the witness: freezed/[0-9a-f]{64}\+[0-9a-f]{8}\+'
LOG=${SAID##* }
witness_restart() { kill "$witness_pid"; box_until 60 eval "! kill -0 $witness_pid 2>/dev/null"; box_listen host "$B/san/witness" 10.77.0.1 8440 "$D/witness" "$SEED" "$LOG"; witness_pid=$BOX_PID; }
witness_restart
box_until 60 eval 'ask; [ $? = 0 ]'
like "one that does signs" "$SAID" '^COSIGNED.*witness.example/w1 saw [0-9]+ records'
verify
is "what it saw is proven" $? 0
like "by whom and since when" "$SAID" 'witness +witness.example/w1 saw [0-9]+ records on'
stop_agent && cp -a "$STATE/ledger" "$D/day-one" && start_agent
order bob isolate left.service --incident SA-20261121-002
box_until 60 is_signed
ask
is "it signs again, with a proof from where it was" $? 0
ask
is "and again, when nothing has happened" $? 0
took_three() { [ "$(grep -c '^200' "$(box_dir host)/listen.log")" -ge 3 ]; }
check "once it had to be told the size, or never" box_until 60 took_three

# --- the units that ask it

printf 'URL=%s\n' "$URL" | in_box 'cat >/etc/freezed/witness.conf'
in_box 'rm -f /var/lib/freezed-witness/cosigned.*'
run systemctl start freezed-witness.service
is "the unit of the timer has it signed, without a capability" "$(ls "$STATE"-witness/cosigned.* | wc -l)" 1
is "and the timer is enabled" "$(run systemctl is-enabled freezed-witness.timer)" enabled

# --- a witness that is not what it should be

: >"$D/witness/liar"
rm -f "$STATE"-witness/cosigned.*
ask
is "what it signs instead of the head is not taken" "$? $(ls "$STATE"-witness/cosigned.* 2>/dev/null)" "3 "
rm "$D/witness/liar"
echo 1000000000 >"$D/witness/time"
ask
verify
is "a witness that saw it before it began, by the host's clock" $? 5
like "is a doubt about a clock" "$SAID" 'future'
rm "$D/witness/time"
box_until 60 eval 'ask; verify; [ $? = 0 ]'

cat >"$D/hostile.py" <<'PY'
import http.server, time

ANSWERS = {"big": (200, b"x" * (1 << 20)), "lines": (200, "\u2014 witness.example/w1 AAAA\n".encode() * 40), "empty": (200, b""),
           "escape": (200, b"\x1b[2J\x1b]0;owned\x07\n"), "size": (409, b"-1\n"), "sizes": (409, b"99999999999999999999999\n"),
           "same": (409, b"0\n"), "more": (409, b"9007199254740993\n"), "status": (599, b""), "elsewhere": (302, b"")}


class Witness(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        case = self.path.split("/")[1]
        self.rfile.read(int(self.headers["Content-Length"]))
        if case == "hang":
            time.sleep(60)
        status, body = ANSWERS.get(case, (500, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "file:///etc/hostname")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("10.77.0.1", 8441), Witness).serve_forever()
PY
box_listen host /usr/bin/python3 "$D/hostile.py"
before=$(sha256sum "$STATE"-witness/cosigned.*)
box_until 60 eval 'run freezectl evidence witness http://10.77.0.1:8441/empty >/dev/null 2>&1; [ $? = 3 ]'
said=
for case in big lines empty escape size sizes same more status elsewhere hang; do
        said+="$case $(run freezectl evidence witness "http://10.77.0.1:8441/$case" --timeout "$([ "$case" = hang ] && echo 2s || echo 60s)" >"$D/said" 2>&1; echo $?) "
        grep -q $'\x1b' "$D/said" && said+="escapes "
done
is "whatever else a witness answers is no signature, and no time without end" "$said" \
        'big 5 lines 3 empty 3 escape 3 size 3 sizes 3 same 3 more 3 status 3 elsewhere 3 hang 5 '
is "a witness is asked by HTTP alone" "$(run freezectl evidence witness file:///etc/ >/dev/null 2>&1; echo $?)" 5
is "and what the right one signed is still there" "$(sha256sum "$STATE"-witness/cosigned.*)" "$before"

# --- elsewhere

run freezectl evidence export "$HOLD" --out /root/case >/dev/null 2>&1
cp -r "$(box_root host)/root/case" "$D/elsewhere/case"
in_box 'cat /etc/freezed/hosts' >"$D/known"
in_box 'cat /etc/freezed/trust.json' >"$D/trust.json"
elsewhere() { SAID=$("$B/freezectl" evidence verify "$D/elsewhere/case/data/evidence/" --hosts-file "$D/known" --trust "$D/trust.json" 2>&1); }
elsewhere
is "an export is proven without its host" $? 0
like "by the record in it, and the witness" "$SAID" 'record [0-9]+ of [0-9]+, by the proof.*witness.example/w1 saw'
is "sha256sum takes the export for whole" "$(cd "$D/elsewhere/case" && sha256sum --quiet -c manifest-sha256.txt 2>&1)" ""
sed -i 's/^index .*/index 1/' "$D/elsewhere/case/data/evidence/evidence.tlog-proof"
elsewhere
is "a proof of something else proves nothing" $? 3
rm "$D/elsewhere/case/data/evidence/evidence.tlog-proof"
elsewhere
is "and without a proof it is in doubt" $? 5

# --- root, later

stop_agent
cp -a "$STATE/ledger" "$D/day-two"
cp "$STATE"-witness/cosigned.* "$D/"
rm -rf "$STATE/ledger" && cp -a "$D/day-one" "$STATE/ledger"
verify
is "a ledger of an earlier day is seen by what the witness signed" $? 3
like "which is more" "$SAID" 'witness-saw-other'
cp "$D/day-two/checkpoint" "$STATE/ledger/"
rm -f "$STATE"-witness/cosigned.*
verify
is "or by what the host signed" $? 3
like "which is more too" "$SAID" 'rolled-back'
run systemctl start freezed-core.socket freezed-gate.socket freezed.service
box_until 60 eval 'run freezectl health --json 2>/dev/null | grep -q "\"ok\":false"'
run freezectl health >/dev/null 2>&1
is "the agent takes no record in it, and is not healthy" $? 1
stop_agent
rm -rf "$STATE/ledger" && cp -a "$D/day-one" "$STATE/ledger"
rm -f "$STATE"-witness/cosigned.*
start_agent
ask
is "one that is right in itself is seen when the witness is asked" $? 3
like "which has seen more" "$SAID" 'rolled back'
in_box 'rm -f /run/freezed/epoch/epoch_key; systemctl restart freezed.service' >/dev/null 2>&1
box_until 60 is_up
order bob isolate left.service --incident SA-20261121-003
box_until 60 is_signed
like "a key that was taken away shows as lost" "$(head_of)" 'lost$'
ask
is "and what went on from there is another history to the witness" $? 3

done_testing
