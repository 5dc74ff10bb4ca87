#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 031-refused.sh B: what must not stop is not stopped, whatever name it is given; what is named beside it is; an order is what was signed
# and nothing else; and a plan changes nothing. On a real host, whose slices, aliases and sockets a unit test does not have.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 031-refused.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh

# put_unit NAME LINE...: a unit of these lines
put_unit() {
        local name=$1
        shift
        printf '%s\n' "$@" >"$(box_root host)/etc/systemd/system/$name"
}

# everything of the host that an order could change, but for the ledger
shape() {
        local cgroup
        cgroup=$(box_cgroup host)
        find "$cgroup" -name cgroup.freeze -exec grep -H . {} + | sort
        bpftool cgroup tree "$cgroup" 2>/dev/null | sed 's/^ *[0-9]* *//'
        run find /sys/fs/bpf /run/freezed /var/lib/freezed/evidence /run/systemd/system.control /etc/systemd/system.control 2>/dev/null | sort
}

records() {
        tests/lib/read_ledger.py "$(box_root host)/var/lib/freezed/ledger" | jq -r .kind | sort | uniq -c | tr -s ' \n' ' '
}

# refuses VERB TARGET [REASON]: nothing is done, and the reason is said
refuses() {
        order "$1" "$2"
        is "$1 $2 is refused" "$EXIT $(state) $(told .reasons)" "3 refused ${3:-protected}"
}

held_boot "$B" || exit
put_unit other.service '[Service]' 'ExecStart=/bin/sleep infinity'
put_unit idle.service '[Service]' 'ExecStart=/bin/sleep infinity'
put_unit ssh.service '[Service]' 'ExecStart=/bin/sleep infinity' Slice=app.slice
put_unit inner.service '[Service]' 'ExecStart=/bin/sleep infinity' Delegate=yes
put_unit payments-hsm1.service '[Service]' 'ExecStart=/bin/sleep infinity'
run ln -s /usr/lib/systemd/system/dbus.service /etc/systemd/system/harmless.service
run systemctl daemon-reload
run systemctl start other ssh inner payments-hsm1 || exit
run systemctl start harmless
before=$(shape)

# --- what must not stop
for target in dbus.service harmless.service systemd-journald.service init.scope slice:-.slice system.slice freezed.slice freezed.service freezed-gate.service \
        freezed-gate.slice ssh.service dbus.socket freezed-core.socket; do
        refuses contain "$target"
done
for target in /init.scope /system.slice /system.slice/dbus.service /system.slice/systemd-journald.service /freezed.slice /freezed.slice/freezed.service \
        /freezed.slice/freezed-gate.slice/freezed-gate.service; do
        refuses contain "cgroup:$target"
done
refuses isolate slice:app.slice
refuses freeze cgroup:/app.slice
for verb in isolate freeze; do
        refuses "$verb" freezed.service
        refuses "$verb" init.scope
done
# a cgroup of the bus within the bus
run mkdir /sys/fs/cgroup/system.slice/dbus.service/worker
refuses contain cgroup:/system.slice/dbus.service/worker
run rmdir /sys/fs/cgroup/system.slice/dbus.service/worker
is "nothing of the host was changed by any of that" "$(shape)" "$before"

# --- what may
run sh -c 'echo "{\"v\":1,\"protected\":[\"payments-hsm*.service\"]}" >/etc/freezed/policy.json && systemctl reload freezed.service'
refuses contain payments-hsm1.service
order contain ssh.service
is "what the policy no longer names can be stopped" "$EXIT $(state)" "0 contained"
release "$(told .id)"
# whoever may make cgroups within a service would by a name have it spared
box_sh host 'cd /sys/fs/cgroup/system.slice/inner.service && mkdir dbus.service && cat cgroup.procs >dbus.service/cgroup.procs'
order contain inner.service
is "a service that names a part of itself after the bus is not spared" "$EXIT $(state)" "0 contained"
release "$(told .id)"

# --- what is not there
before=$(shape)
refuses contain missing.service no-such-target
refuses contain idle.service not-running
refuses contain cgroup:/system.slice/missing.service no-such-target
is "nothing of the host was changed by any of that" "$(shape)" "$before"

# --- several targets
order contain beacon.service dbus.service
is "with a protected one among them, nothing is" "$EXIT $(state) $(told .reasons)" "3 refused protected"
check "of that" alive
order contain beacon.service harmless.service missing.service idle.service other.service
id=$(told .id)
is "what only the host itself knows to be so, keeps the others from nothing" "$EXIT $(state)" "4 partial"
is "the reasons are all told" "$(told '.reasons | sort')" "no-such-target not-running protected"
is "and which target each is of" "$(told '[.targets[] | .target + "=" + (.gaps | join(","))]')" \
        "unit:beacon.service= unit:harmless.service=protected unit:missing.service=no-such-target unit:idle.service=not-running unit:other.service="
check "the first is held" held
check "and the last" frozen other.service
refute "the bus is not" frozen dbus.service
is "and has no program" "$(links dbus.service)" 0
release "$id"
is "all of it is released" "$EXIT $(state)" "0 released"
check "the first goes on" alive
refute "and the last is not frozen" frozen other.service

# --- an order is what was signed
order contain beacon.service --out /root/order.json
box_sh host 'jq -c "{payload: (.payload | @base64d | sub(\"\\\"reason\\\":\\\"test\\\"\"; \"\\\"reason\\\":\\\"changed\\\"\") | @base64), payloadType, signatures: []}" /root/order.json >/root/twin.json &&
        freezectl sign /root/twin.json --key /root/bob --yes >/dev/null'
ask send /root/order.json --json
RECEIPT=$(jq -c 'select(.receipt) | .receipt' <<<"$ANSWER")
id=$(told .id)
is "an order is carried out" "$EXIT $(state)" "0 contained"
ask send /root/twin.json --json
RECEIPT=$(jq -c 'select(.receipt) | .receipt' <<<"$ANSWER")
is "other bytes with its id are refused, whoever signed them" "$EXIT $(state) $(told .reasons)" "3 refused id-reused"
check "and what is held is held" held
release "$id"
ask send /root/order.json --json
RECEIPT=$(jq -c 'select(.receipt) | .receipt' <<<"$ANSWER")
is "released, the same file is a duplicate" "$EXIT $(state) $(told .hold)" "3 duplicate ended"
check "that stops nothing" alive

# --- a plan
before=$(shape) noted=$(records)
for verb in contain isolate freeze; do
        ask plan "$verb" beacon.service --key /root/alice --reason test --yes --json
        RECEIPT=$(jq -c 'select(.receipt) | .receipt' <<<"$ANSWER")
        is "a plan to $verb says what would be held" "$EXIT $(state) $(told '[.targets[].target]')" "0 planned unit:beacon.service"
done
ask plan contain dbus.service --key /root/alice --reason test --yes --json
is "a plan for what must not stop is refused" "$EXIT $(jq -r 'select(.receipt) | .receipt.reasons[0]' <<<"$ANSWER")" "3 protected"
check "the beacon has not noticed" alive
is "nothing of the host is changed" "$(shape)" "$before"
is "and nothing is recorded" "$(records)" "$noted"
order contain beacon.service
refute "all of which an order does change: the host" test "$(shape)" = "$before"
refute "and the ledger" test "$(records)" = "$noted"
release "$(told .id)"
check "nothing is left" nothing_left
done_testing
