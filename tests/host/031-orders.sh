#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 031-orders.sh B: which orders a host carries out, which it refuses and why. After each refusal the host is as it was; beside each is an
# order that differs in nothing but what was wrong, and is carried out.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 031-orders.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

release() { order alice,bob release "$@"; }
ledger() { box_sh host 'cat /var/lib/freezed/ledger/*.log | sha256sum'; }
# the cgroups of the box that anybody has asked to freeze, or that have a program of ours
touched() {
        (cd "$(box_cgroup host)" && grep -lxr --include=cgroup.freeze 1 . | sed 's@^\.@@; s@/cgroup.freeze$@@' | sort)
        bpftool cgroup tree "$(box_cgroup host)" 2>/dev/null | grep isolate_
}
# gaps TARGET: what the receipt says of it
gaps() { receipt ".targets[] | select(.target == \"$1\") | .gaps | join(\" \")"; }
# refused 'WHAT' REASON: a case: the last order was refused with it, and nothing was done
refused() {
        is "$1: $2" "$ANSWER" "refused $2"
        is "and nothing was done" "$(touched)" ""
}
# resign FILE NEW MEMBERS WHO...: NEW in the box is FILE with these members replaced, signed by them; NAMED is its id
resign() {
        local root dir who keys=()
        root=$(box_root host)/root
        dir=$(box_dir host)
        for who in "${@:4}"; do keys+=("$root/$who"); done
        tests/lib/resign.py "$root/${1##*/}" "$3" "${keys[@]}" >"$dir/resigned" && box_put host "$dir/resigned" "$2" &&
                NAMED=$(jq -r '.payload | @base64d | fromjson | .id' "$dir/resigned")
}
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
policy() {
        echo "$1" | box_run host sh -c 'cat >/etc/freezed/policy.json'
        box_run host systemctl reload freezed.service
}

orders_boot "$B" || exit
service one 7001 && service two 7002 && service guard 7003 Slice=shared.slice || exit
box_sh host 'printf "%s\n" "[Service]" Type=oneshot RemainAfterExit=yes ExecStart=/bin/true >/etc/systemd/system/idle.service
        systemctl daemon-reload && systemctl start idle.service' || exit
is "at first nothing is held" "$(touched)" ""

# --- targets
policy '{"v":1,"protected":["guard.service"]}'
order alice freeze one.service nothing.service idle.service shared.slice two.service
is "what can be held is held, and the rest has its reasons" "$ANSWER" "partial protected no-such-target not-running"
is "a target that is not there" "$(gaps unit:nothing.service)" no-such-target
is "one that does not run" "$(gaps unit:idle.service)" not-running
is "one that has something protected in it" "$(gaps slice:shared.slice)" protected
is "and two that are held" "$(gaps unit:one.service)$(gaps unit:two.service)" ""
is "which are all that is frozen" "$(touched)" "/system.slice/one.service
/system.slice/two.service"
looks "the kernel, the heartbeat and the listener agree on the one" one frozen
looks "and on what is protected" guard free
release "$ID"
turns "they are free again" one free
order alice freeze nothing.service gone.service
refused "nothing of what was named is there" no-such-target
order alice freeze idle.service
refused "nothing of it runs" not-running
order alice freeze one.service guard.service
refused "a protected unit by its name spoils the whole order" protected
policy '{"v":1,"protected":[]}'
order alice freeze one.service shared.slice
is "it is the host's policy that protects it" "$ANSWER" contained
looks "without that it is held" guard frozen
release "$ID"
turns "until it is released" guard free
box_run host rm /etc/freezed/policy.json
box_run host systemctl reload freezed.service

for target in dbus.service dbus.socket systemd-journald.service systemd-logind.service freezed.service freezed-gate.service freezed-gate.socket \
        system.slice user.slice freezed.slice freezed-gate.slice slice:-.slice init.scope ssh.service ssh@7.service cgroup:/system.slice \
        cgroup:/init.scope cgroup:/freezed.slice cgroup:/freezed.slice/freezed-gate.slice cgroup:/system.slice/dbus.service \
        cgroup:/system.slice/dbus.service/inner cgroup:/freezed.slice/freezed.service; do
        order alice contain "$target" --severity P0
        is "nobody stops $target" "$ANSWER" "refused protected"
done
box_sh host 'ln -s /usr/lib/systemd/system/dbus.service /etc/systemd/system/harmless.service && systemctl daemon-reload'
order alice contain harmless.service --severity P0
is "nor by another name of it" "$ANSWER" "refused protected"
is "and nothing was done" "$(touched)" ""
mkdir "$(cgroup_of two)/dbus.service"
order alice freeze two.service
is "a cgroup that is merely called dbus.service spares nobody" "$ANSWER" contained
release "$ID"
rmdir "$(cgroup_of two)/dbus.service"

# --- a plan
before=$(ledger)
order alice plan contain one.service nothing.service --severity P0
is "a plan is made" "$ANSWER" planned
is "and says what is not there" "$(receipt '.targets[] | select(.target == "unit:nothing.service") | .missing')" no-such-target
looks "nothing was done" one free
is "nor recorded" "$(ledger)" "$before"
order alice plan contain dbus.service
refused "a plan is judged as the order would be" protected
order robot plan contain one.service
refused "by the same rules" lease-required
is "and not recorded either" "$(ledger)" "$before"
order alice freeze one.service
refute "an order is" test "$(ledger)" = "$before"
release "$ID"

# --- the same again, and almost the same
order_file alice /root/once.json contain one.service --severity P0
order_send /root/once.json
is "an order" "$ANSWER" contained
once=$ID
before=$(ledger)
order_send /root/once.json
is "sent again it is a duplicate" "$ANSWER" duplicate
is "of a hold that is active" "$(receipt .hold)" active
is "whose first receipt it carries" "$(receipt '.receipt | "\(.id) \(.state)"')" "$once contained"
is "and changes nothing in the ledger" "$(ledger)" "$before"
resign once.json /root/reused.json '{"targets":["unit:two.service"]}' alice
order_send /root/reused.json
is "the same id with other bytes" "$ANSWER" "refused id-reused"
looks "does nothing" two free
looks "nor is the first one changed" one contained
resign once.json /root/fresh.json '{"targets":["unit:two.service"],"id":"0001020304050607"}' alice
fresh=$NAMED
order_send /root/fresh.json
is "with an id of its own it is carried out" "$ANSWER" contained
looks "it is" two contained

# a client in ten lines: what the host signs is checked with nothing of ours
cat >"$(box_root host)/root/talk.py" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("/run/freezed/command.sock")
s.send(open(sys.argv[1], "rb").read().strip())
print(s.recv(1 << 20).decode())
PY
cat >"$(box_root host)/root/verify.sh" <<'SH'
cd /root && type=$(jq -r .payloadType "$1") && jq -r .payload "$1" | base64 -d >payload && jq -r '.signatures[0].sig' "$1" | base64 -d >sig || exit
{ printf 'DSSEv1 %d %s %d ' ${#type} "$type" "$(stat -c %s payload)"; cat payload; } >pae
openssl pkeyutl -verify -pubin -inkey /var/lib/freezed/host_key.pem -rawin -in pae -sigfile sig
SH
box_sh host 'python3 /root/talk.py /root/once.json >/root/receipt.json'
check "openssl verifies a receipt" box_run host sh /root/verify.sh /root/receipt.json
is "it is one" "$(box_sh host 'jq -r .payloadType /root/receipt.json; jq -r .state /root/payload')" "application/vnd.freezed.receipt.v1+json
duplicate"
is "about the bytes that were sent" "$(box_run host jq -r .digest /root/payload)" "$(box_sh host 'jq -r .payload /root/once.json | base64 -d | sha256sum | cut -c -64')"
resign receipt.json /root/lie.json '{"state":"released"}'
refute "and does not when a word of it was changed" box_run host sh /root/verify.sh /root/lie.json

release "$once" "$fresh"
order_send /root/once.json
is "an order whose hold has ended is a duplicate as well" "$ANSWER $(receipt .hold)" "duplicate ended"
turns "and holds nothing" one free
turns "nor does the other" two free

# --- what is wrong with an order
order_file alice /root/good.json freeze one.service
good=$ID
now=$(now_ms)
other=SHA256:F34nin7tcaYH6WR5LSWSfj6weFBPfBpuyUUoPFP9YjA
n=0
# wrong 'WHAT' REASON MEMBERS WHO...: good.json with these members is refused
wrong() {
        n=$((n + 1))
        resign good.json "/root/wrong-$n.json" "$3" "${@:4}"
        order_send "/root/wrong-$n.json"
        refused "$1" "$2"
}
wrong "for another host" wrong-host "{\"to\":{\"hosts\":[\"$other\"]}}" alice
wrong "for a group, which this host is in none of" wrong-host '{"to":{"group":"web","max_hosts":9}}' alice
wrong "for another fleet" wrong-fleet '{"fleet":"staging"}' alice
wrong "from the past" expired "{\"iat\":$((now - 1200000)),\"exp\":$((now - 600000))}" alice
wrong "of a version to come" unknown-version '{"v":2}' alice
wrong "with a member that nobody knows" unknown-field '{"unless":"friday"}' alice
wrong "longer valid than any order may be" bad-field "{\"exp\":$((now + 90000000))}" alice
wrong "forged" bad-signature '{"reason":"other"}'
wrong "by a stranger" untrusted-signer '{"reason":"other"}' mallory
wrong "by automation without a lease" lease-required '{"severity":"P0"}' robot
wrong "by automation at a severity that is not its own" severity '{"severity":"P2","args":{"lease_ms":60000}}' robot
wrong "by another person under its id" foreign-id '{"reason":"other"}' bob
order_send /root/good.json
is "as it was signed it is carried out" "$ANSWER" contained
looks "it is" one frozen
resign good.json /root/ahead.json "{\"id\":\"0011223344556677\",\"targets\":[\"unit:two.service\"],\"iat\":$((now + 1200000)),\"exp\":$((now + 1800000))}" alice
ahead=$NAMED
order_send /root/ahead.json
is "a stop order from the future is carried out" "$ANSWER" contained
like "with the word that the clocks differ" "$(receipt '.flags | join(" ")')" clock-skew
resign good.json /root/all.json '{"id":"ffeeddccbbaa9988","to":{"all":true,"max_hosts":500}}' bob
all=$NAMED
order_send /root/all.json
is "one to all hosts is for this one, too" "$ANSWER" contained

# --- releases
release "$ahead" "$all"
turns "what other people and other orders held is free" two free
looks "one is not, for its first hold" one frozen
order_file alice /root/release.json release "$good"
order_send /root/release.json
is "a release by one person" "$ANSWER" "refused threshold"
is "lacks another one" "$(receipt '"\(.have) of \(.need)"')" "1 of 2"
looks "and releases nothing" one frozen
order alice,alice2 release "$good"
is "two keys of one person are one person" "$ANSWER $(receipt '"\(.have) of \(.need)"')" "refused threshold 1 of 2"
order alice,robot release "$good"
is "nor does automation count" "$ANSWER $(receipt '"\(.have) of \(.need)"')" "refused threshold 1 of 2"
resign release.json /root/early.json "{\"iat\":$((now + 1200000)),\"exp\":$((now + 1800000))}" alice bob
order_send /root/early.json
is "a release from the future" "$ANSWER" "refused not-yet-valid"
resign release.json /root/stale.json "{\"iat\":$((now - 1200000)),\"exp\":$((now - 600000))}" alice bob
order_send /root/stale.json
is "a release from the past" "$ANSWER" "refused expired"
resign release.json /root/newer.json '{"root_version":9}' alice bob
order_send /root/newer.json
is "a release by people who know a newer trust root" "$ANSWER" "refused root-stale"
resign release.json /root/other.json '{"fleet":"staging"}' alice bob
order_send /root/other.json
is "a release of another fleet" "$ANSWER" "refused wrong-fleet"
looks "none of these released anything" one frozen
check "the other person signs the very same file" box_run host freezectl approve /root/release.json --key /root/bob --yes
order_send /root/release.json
is "then it is a release" "$ANSWER" released
turns "and the unit is free" one free

# --- who may do what
order_file robot /root/robot.json freeze one.service --severity P0 --lease 10m
order_file robot /root/slice.json freeze shared.slice --severity P0 --lease 10m
rules=$(box_sh host 'jq -r .payload /root/trust.json | base64 -d | jq -c "{version: 2, rules: [.rules[] | if .role == \"automation\" and .verb != \"extend\" then .targets = [\"unit\"] else . end]}"')
resign trust.json /root/trust-2.json "$rules" alice bob
check "the next trust root allows automation units only" box_run host freezectl enroll /root/trust-2.json
order_send /root/slice.json
refused "a slice" target-class
order_send /root/robot.json
is "a unit" "$ANSWER" contained
looks "it is held" one frozen
release "$ID" >/dev/null
key=$(box_run host cut -d ' ' -f 1,2 /root/alice.pub)
# people FILTER: the people of the trust root in force, changed
people() { box_sh host 'jq -r .payload /root/trust-2.json | base64 -d | jq -c "{version: 3, people: (.people | $1)}"' "$1"; }
resign trust-2.json /root/shared.json "$(people ".bob.keys += [\"$key\"]")" alice bob
refute "two people with one key are no trust root" box_run host freezectl enroll /root/shared.json
resign trust-2.json /root/trust-3.json "$(people ".alice.keys = [\"$key\"]")" alice bob
check "one with a key less is" box_run host freezectl enroll /root/trust-3.json
order alice2 freeze two.service
refused "and who lost it is a stranger" untrusted-signer
order alice freeze two.service
is "while the other key goes on" "$ANSWER" contained
refute "nobody makes such a one either" box_sh host 'cd /root && freezectl trust init --fleet test --responder alice=alice.pub --responder bob=alice.pub --key alice --out own.json'

done_testing
