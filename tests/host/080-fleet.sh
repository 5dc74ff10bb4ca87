#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 080-fleet.sh B: what a host decides for a fleet, without any network. Attributes and who certifies them, orders to groups and parts,
# how many hosts a role may reach, and heads of which something is missing; across crashes of the agent and new trust roots.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 080-fleet.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh

run() { box_run host "$@"; }
in_box() { box_sh host "$@"; }
ledger() {
        rm -rf "$(box_dir host)/ledger" && cp -r "$(box_root host)/var/lib/freezed/ledger" "$(box_dir host)/" &&
                python3 tests/lib/read_ledger.py "$(box_dir host)/ledger" | jq -rc "$1"
}
health() { run freezectl health --json | jq -r ".report // empty | $1"; }
answers() { run freezectl health --json | grep -q '"report":'; }
restart() { run systemctl kill -s KILL freezed.service && box_until 60 answers; }
rotate() {
        local next=$((VERSION + 1))
        in_box "cd /root && freezectl trust rotate trust-$VERSION.json $* --key alice --key bob --out trust-$next.json && freezectl enroll trust-$next.json" >/dev/null &&
                run systemctl reload freezed.service && VERSION=$next && is_version
}
is_version() { box_until 60 eval '[ "$(health .trust.version)" = $VERSION ]'; }

# certify N GROUP...: signed by KEY, sent; ANSWER
certify() {
        local n=$1 group
        local -a groups=()
        shift
        for group; do groups+=(--group "$group"); done
        run freezectl fleet certify --name web-17 "${groups[@]}" --serial "$n" --key "/root/${KEY:-rita}" --out "/tmp/attributes.$n" --json >/dev/null &&
                order_send "/tmp/attributes.$n"
}
# payload_of FILE: of the box
payload_of() { run cat "$1" | jq -r .payload | base64 -d; }
# to TO [VERB]: an order that alice signs, with this as its "to"; ANSWER and ID
to() { to_file "$@" && order_send /tmp/to.json; }
# to_file TO [VERB]: the same, not sent
to_file() {
        order_file "${WHO:-alice}" /tmp/base.json "${2:-isolate}" web.service ${LEASE:+--lease "$LEASE"} ${SEVERITY:+--severity "$SEVERITY"}
        payload_of /tmp/base.json | jq -c ".to = $1" >"$(box_dir host)/to" && box_put host "$(box_dir host)/to" /tmp/to.json
        run freezectl sign /tmp/to.json --key "/root/${WHO:-alice}" --yes >/dev/null
}
# carried TO: as the relay brings it; SAID, and ID
carried() {
        to_file "$1"
        run cat /tmp/to.json | jq -c '{carried: .}' >"$(box_dir host)/carried" && box_put host "$(box_dir host)/carried" /tmp/carried && tell /tmp/carried
        ID=$(payload_of /tmp/to.json | jq -r .id)
}
# what the ledger has of ID; of the agent's start there always is something
records() { ledger "select(.kind == \"start\" or .id == \"$ID\") | .kind" | sort -u | paste -sd ' '; }
free() { [ -z "$ID" ] || order alice,bob release "$ID"; }
# head N ORDERS [IAT-OFFSET [LIFE]]: signed by BY, said to the gate; SAID is the payload of the answer, or the refusal
head_of() {
        local now=$(($(date +%s%3N) + ${3:-0}))
        echo "{\"v\":1,\"fleet\":\"test\",\"n\":$1,\"iat\":$now,\"exp\":$((now + ${4:-90000})),\"trust_version\":1,\"orders\":$2}" >"$(box_dir host)/head"
        box_put host "$(box_dir host)/head" /tmp/head.json && run freezectl sign /tmp/head.json --key "/root/${BY:-harold}" --yes >/dev/null && tell /tmp/head.json
}
tell() {
        SAID=$(run cat "$1" | python3 -c '
import base64, json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.settimeout(60)
s.send(sys.stdin.buffer.read().strip())
a = json.loads(s.recv(1 << 20))
print(base64.b64decode(a["payload"]).decode() if "payload" in a else json.dumps(a))' "$(box_live host)/run/freezed/command.sock")
}
said() { jq -rc "$1" <<<"$SAID"; }
# listed ID TO [DIGEST]: in a head; without DIGEST it is an order that there is not
listed() { echo "{\"id\":\"$1\",\"digest\":\"${3:-$1}\",\"to\":$2,\"exp\":$(($(date +%s%3N) + 3600000))}"; }
came() { receipt '.digest[:32]'; }
misses() { said '.missing[]' | grep -qxF "$1"; }
# squat WHO ID ARG...: a small order of WHO's own that has that id; ANSWER
squat() {
        order_file "$1" /tmp/base.json isolate web.service "${@:3}"
        payload_of /tmp/base.json | jq -c --arg id "$2" '.id = $id | .reason = "small"' >"$(box_dir host)/squat" && box_put host "$(box_dir host)/squat" /tmp/squat.json
        run freezectl sign /tmp/squat.json --key "/root/$1" --yes >/dev/null && order_send /tmp/squat.json
}

orders_boot "$B" || exit
service web 7001
in_box 'cd /root && for k in rita harold hugo; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done && cp trust.json trust-1.json'
VERSION=1
HOST=$(run freezectl health --json | jq -r '.report.host // empty')

# --- before anybody certifies
like "nobody is a registrar yet" "$(run freezectl fleet certify --group web --key /root/rita 2>&1)" 'names nobody as registrar'
is "a host is of no group" "$(health .attributes)" null
to '{"group":"web","max_hosts":5}'
is "and takes no order to one" "$ANSWER" "refused wrong-host"
like "who releases certifies nothing" "$(in_box 'cd /root && freezectl trust init --fleet x --responder alice=alice.pub --responder bob=bob.pub --registrar alice=alice.pub --out /tmp/x.json' 2>&1)" registrar
check "a trust root that names a registrar and a herald is enrolled" rotate --registrar rita=rita.pub --herald harold=harold.pub
run freezectl trust show >"$(box_dir host)/shown"
like "and tells who they are" "$(cat "$(box_dir host)/shown")" 'registrar *rita'

# --- attributes
certify 3 web eu
is "a registrar's are taken" "$ANSWER" certified
is "health tells" "$(health '.attributes | [.n, .name, (.groups | join("+"))] | join(" ")')" "3 web-17 web+eu"
like "in words too" "$(run freezectl health)" 'certified *as web-17, groups: web, eu'
order_send /tmp/attributes.3
is "the same again is no news" "$ANSWER" certified
certify 2 db
is "lower ones are not taken" "$ANSWER" "refused attributes-stale"
like "freezectl says before whose key it takes" "$(run freezectl fleet certify --group web --key /root/harold 2>&1)" 'key of a registrar'
payload_of /tmp/attributes.3 | jq -c '.n = 9 | .groups = ["db"]' >"$(box_dir host)/forged"
box_put host "$(box_dir host)/forged" /tmp/forged
run freezectl sign /tmp/forged --key /root/alice --yes >/dev/null
order_send /tmp/forged
is "a responder certifies nothing" "$ANSWER" "refused wrong-role"
in_box "ssh-keygen -q -t ed25519 -N '' -f /tmp/other && freezectl fleet certify --key-file /tmp/other.pub --name other --group db --serial 9 --key /root/rita --out /tmp/others" >/dev/null
order_send /tmp/others
is "those of another host are not its own" "$ANSWER" "refused wrong-host"
is "all of that changed nothing" "$(health '.attributes.groups | join("+")')" "web+eu"
is "the ledger has what counted" "$(ledger 'select(.kind == "attributes") | "\(.serial) \(.name)"')" "3 web-17"
check "the agent is killed and comes back" restart
is "and is of the same groups" "$(health '.attributes | "\(.n) \(.groups | join("+"))"')" "3 web+eu"
certify 2 db
is "and knows what is lower" "$ANSWER" "refused attributes-stale"

run rm /var/lib/freezed/attributes.json
check "it is killed once more, and their file is gone" restart
is "the ledger has them" "$(health '.attributes | "\(.n) \(.groups | join("+"))"')" "3 web+eu"
check "and the file is there again" run test -s /var/lib/freezed/attributes.json

# --- groups and parts
to '{"group":"web","max_hosts":5}' contain
is "an order to its group is carried out" "$ANSWER" contained
looks "really" web contained
free
to '{"group":"db","max_hosts":5}'
is "one to another group is not" "$ANSWER" "refused wrong-host"
place=$(python3 -c '
import base64, hashlib, sys
host = base64.b64decode(sys.argv[1].split(":")[1] + "=")
print(int.from_bytes(hashlib.sha256(bytes.fromhex("00112233445566ff") + host).digest()[:4], "big"))' "$HOST")
part() { echo "{\"group\":\"web\",\"max_hosts\":5,\"part\":{\"salt\":\"00112233445566ff\",\"from\":$1,\"below\":$2}}"; }
to "$(part "$place" $((place + 1)))"
is "the wave that it is in holds it" "$ANSWER" contained
free
to "$(part $((place + 1)) 4294967296)"
is "the one after that does not" "$ANSWER" "refused wrong-host"
to "$(part "$place" $((place + 1)) | jq -c 'del(.group) | .all = true')"
is "a wave of all is the same" "$ANSWER" contained
free
carried "$(part $((place + 1)) 4294967296)"
is "what the relay brings for another wave is passed over, unsigned" "$(said 'keys + [.refused] | join(" ")')" "refused text wrong-host"
PASSED=$ID
is "and leaves no record" "$(records) $(health .counters.for_others)" "start 1"
carried "$(part "$place" $((place + 1)))"
is "what it brings for this one holds" "$(said .state)" contained
free
carried "$(part $((place + 1)) 4294967296 | jq -c '.group = "db"')"
is "a wave of another group is answered and recorded" "$(said '"\(.state) \(.reasons | join(" "))"') $(records)" "refused wrong-host refusal start"
WHO=robot carried "$(part $((place + 1)) 4294967296)"
is "so is one by who may not order it" "$(said '"\(.state) \(.reasons | join(" "))"') $(records)" "refused wrong-host refusal start"
is "neither is passed over" "$(health .counters.for_others)" 1
WHO=robot LEASE=5m SEVERITY=P1 to '{"all":true,"max_hosts":51}'
is "automation reaches no more than 50 hosts" "$ANSWER" "refused too-broad"
WHO=robot LEASE=5m SEVERITY=P1 to '{"all":true,"max_hosts":50}'
is "but so many" "$ANSWER" contained
free
certify 4
is "attributes without groups are taken" "$ANSWER" certified
to '{"group":"web","max_hosts":5}'
is "and end what was" "$ANSWER" "refused wrong-host"
certify 9007199254740991 web
is "the highest serial is one" "$ANSWER" certified

# --- heads
is "no head has been heard" "$(health .head.state)" unknown
ANY=ffffffffffffffffffffffffffffff01 OURS=ffffffffffffffffffffffffffffff02 THEIRS=ffffffffffffffffffffffffffffff03
head_of 7 "[$(listed $ANY '{"all":true,"max_hosts":9}'),$(listed $OURS '{"group":"web","max_hosts":9}'),$(listed $THEIRS '{"group":"db","max_hosts":9}')]"
is "a herald's head is taken" "$(said '"\(.type) \(.taken) \(.n) \(.trust_version)"')" "head true 7 2"
is "and what has not come is named" "$(said '.missing | join(" ")')" "$ANY $OURS"
is "by a host that signs it" "$(said .host)" "$HOST"
synced=$(health .clock.synced)
is "a clock that is vouched for makes it fresh, and no other" "$(health .head.state)" "$([ "$synced" = true ] && echo fresh || echo unknown)"
is "health tells which head it is" "$(health .head.n)" 7
is "so does status" "$(run freezectl status --json | jq -r '.report.head.n // empty')" 7
head_of 6 '[]'
is "an older one is not taken" "$(said '"\(.taken) \(.reason)"')" "false head-stale"
head_of 8 '[]' -100000
is "one that is over is not" "$([ "$synced" = true ] && said .reason || echo expired)" expired
BY=rita head_of 9 '[]'
is "a registrar is no herald" "$(said '"\(.taken) \(.reason)"')" "false wrong-role"
BY=mallory head_of 9 '[]'
is "nor is a stranger, of whom the gate tells nothing to the core" "$(said .refused)" untrusted-signer
head_of 9007199254740991 '[]'
is "a number may be the highest" "$(said .taken)" true
head_of 10 '[]'
is "and then no other is higher" "$(said .reason)" head-stale
order alice isolate web.service
is "which is no matter for an order" "$ANSWER" contained
head_of 9007199254740991 "[$(listed "$ID" '{"all":true,"max_hosts":9}' "$(came)")]"
check "what came is not missing" eval '! said ".missing[]" | grep -q "$ID"'
free
is "nor for a release" "$ANSWER" released
order alice contain nosuch.service
refused=$ID
check "the agent is killed once more" restart
head_of 11 "[$(listed "$refused" '{"all":true,"max_hosts":9}' "$(came)"),$(listed "$PASSED" "$(part $((place + 1)) 4294967296)")]"
is "with the head its number is forgotten" "$(said .taken)" true
is "and that an order came which was refused, but of one for another wave there is nothing to know" "$(said '.missing | join(" ")')" "$refused"
order_file alice /tmp/refused.json contain nosuch.service
refused=$ID
order_send /tmp/refused.json
head_of 12 "[$(listed "$refused" '{"all":true,"max_hosts":9}' "$(came)")]"
check "until it comes again" eval '! said ".missing[]" | grep -q "$refused"'
like "freezectl sends no heads" "$(run freezectl send /tmp/head.json 2>&1)" 'is a head'

# --- somebody is here first, with the id of another's order
order_file alice /tmp/real.json isolate web.service
REAL=$ID NAMED=$(listed "$ID" '{"all":true,"max_hosts":9}' "$(payload_of /tmp/real.json | sha256sum | cut -c 1-32)")
squat robot "$REAL" --lease 5m --severity P1
is "automation takes no id of a person's order" "$ANSWER" "refused foreign-id"
squat bob "$REAL"
is "nor does another person" "$ANSWER" "refused foreign-id"
head_of 13 "[$NAMED]"
check "so that the order is missing" misses "$REAL"
order_send /tmp/real.json
is "and carried out when it comes" "$ANSWER" contained
head_of 14 "[$NAMED]"
refute "and is missing no more" misses "$REAL"
free
order_file alice /tmp/real.json isolate web.service
REAL=$ID NAMED=$(listed "$ID" '{"all":true,"max_hosts":9}' "$(payload_of /tmp/real.json | sha256sum | cut -c 1-32)")
squat alice "$REAL"
is "the very key may take it" "$ANSWER" contained
head_of 15 "[$NAMED]"
check "but what the head names is another order, and missing" misses "$REAL"
free
order_send /tmp/real.json
is "until it comes, and its receipt says what became of it" "$ANSWER" "refused id-reused"
head_of 16 "[$NAMED]"
refute "and then it has come" misses "$REAL"

# --- another trust root
check "a trust root without these two" rotate --remove-person rita --remove-person harold
is "ends the force of what they certified" "$(health .attributes)" null
run rm /var/lib/freezed/attributes.json
check "also when the file is lost and the agent killed" restart
is "the ledger does not give it back" "$(health .attributes)" null
is "and of what they said" "$(health .head.state)" none
to '{"group":"web","max_hosts":5}'
is "of no group again" "$ANSWER" "refused wrong-host"
check "a trust root with others" rotate --registrar hugo=hugo.pub --herald hugo=hugo.pub
KEY=hugo certify 2 web
is "begins anew, whatever number a thief came to" "$ANSWER" certified
BY=hugo head_of 1 '[]'
is "with heads as well" "$(said .taken)" true
to '{"group":"web","max_hosts":5}'
is "and orders to the group are carried out" "$ANSWER" contained
free

# --- what cannot be recorded
in_box 'systemctl stop freezed.service && mount -t tmpfs -o size=128m,mode=0700 state /mnt && cp -a /var/lib/freezed/. /mnt/ &&
        mount --bind /mnt /var/lib/freezed && systemctl start freezed.service' >/dev/null 2>&1
box_until 60 answers
# what the agent sets aside would otherwise be taken while the rest is filled
is_reserved() { [ "$(run sh -c 'find /var/lib/freezed/reserve -type f -size 1024k | wc -l')" -eq 12 ]; }
box_until 60 is_reserved
run sh -c 'fallocate -l "$(($(stat -f -c "%a * %S" /var/lib/freezed)))" /var/lib/freezed/filler'
KEY=hugo certify 5 db
is "on a disk that is full attributes are not taken" "$ANSWER" "refused machine-failed"
is "and the host is what it was" "$(health '.attributes.groups | join("+")')" web
run rm /var/lib/freezed/filler
order_send /tmp/attributes.5
is "they are when there is room again" "$ANSWER" certified
is "and from then on" "$(health '.attributes.groups | join("+")')" db

done_testing
