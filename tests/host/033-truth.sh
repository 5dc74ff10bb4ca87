#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 033-truth.sh B: what status says is what the kernel says. Each part of a hold is undone by root's own tools while the agent cannot look,
# because it is stopped; then it is killed. Its successor puts back what was undone and says that it did. What is undone while it looks is
# 061's.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 033-truth.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh

# journal EVENT: how many entries with that message id the box's journal has
journal() {
        local id
        id=$(sed -n "s/^#define MESSAGE_ID_$1 \"\(.*\)\"/\1/p" agent/util/message_id.h)
        # what was said is there before it is read
        run journalctl --sync
        run journalctl -q -o json "MESSAGE_ID=$id" | grep -c .
}
field() { run journalctl --sync; run journalctl -q -o json "MESSAGE_ID=$(sed -n "s/^#define MESSAGE_ID_$1 \"\(.*\)\"/\1/p" agent/util/message_id.h)" | tail -n 1 | jq -r ".$2"; }
health_exits() {
        run freezectl health >/dev/null 2>&1
        is "$1" $? "$2"
}
restart() { run systemctl restart freezed.service && box_until 60 core_is_up; }

# contained 'SENTENCE': a new hold, and status calls it contained, as does the kernel
contain() {
        order contain beacon.service
        ID=$(told .id)
        status
        is "$1: contained, says status" "$EXIT $(holds .state)" "0 contained"
        check "$1: and the kernel" held
}
# has_reasons REASON...: all of these are among the hold's
has_reasons() {
        local reason
        for reason in "$@"; do [[ " $(holds .reasons) " == *" $reason "* ]] || return; done
}
# undone 'SENTENCE' CMD ARG...: the same while the agent is stopped
undone() {
        local sentence=$1
        shift
        CORE=$(run systemctl show -P MainPID freezed.service)
        run kill -STOP "$CORE"
        "$@"
        refute "$sentence: the kernel does not hold it" held
}
# put_back 'SENTENCE': the agent is killed, and the next one enforces the hold again and says so in the receipt, in status and in the journal
put_back() {
        local before
        before=$(journal RECOVERED)
        run kill -KILL "$CORE"
        box_until 60 core_is_up
        check "$1: a new agent puts it back, in the kernel" held
        status
        is "$1: contained, says status" "$EXIT $(holds .state)" "0 contained"
        like "$1: and its receipt that it was put back" "$(holds .receipt.flags)" "(^| )re-enforced( |$)"
        is "$1: and the journal" "$(journal RECOVERED)" $((before + 1))
        is "$1: with hold and reason" "$(field RECOVERED HOLD) $(field RECOVERED REASON)" "$ID re-enforced"
}
let_go() {
        release "$ID"
        is "$1: released" "$(state)" released
        check "$1: alive, nothing left" alive
        check "$1: no pin, no program, no freeze" nothing_left
}

held_boot "$B" || exit
health_exits "a host in order is healthy" 0

thaw() { echo 0 >"$(cgroup_of)/cgroup.freeze" && box_until 60 grep -q 'frozen 0' "$(cgroup_of)/cgroup.events"; }
contain "thawed in cgroupfs"
before=$(journal RECOVERED)
restart
is "an agent that finds all in force puts nothing back" "$(journal RECOVERED)" "$before"
undone "thawed in cgroupfs" thaw
put_back "thawed in cgroupfs"
let_go "thawed in cgroupfs"

thaw_unit() { run systemctl thaw beacon.service; box_until 60 grep -q 'frozen 0' "$(cgroup_of)/cgroup.events"; }
contain "thawed by systemctl"
undone "thawed by systemctl" thaw_unit
put_back "thawed by systemctl"
let_go "thawed by systemctl"

contain "link detached"
link=$(jq -r '.holds[0].targets[0].links[] | select(.hook == "egress") | .link_id' <<<"$REPORT")
undone "link detached" bpftool link detach id "$link"
is "link detached: the kernel has one program less" "$(links)" $((HOOKS - 1))
check "link detached: and its pin is still there" box_sh host 'ls /sys/fs/bpf/freezed/*/*egress'
put_back "link detached"
let_go "link detached"

# its links are held open by the agent, so they go with it
unpin() { box_sh host 'rm /sys/fs/bpf/freezed/*/*connect4' && thaw; }
contain "pin removed"
undone "pin removed" unpin
is "pin removed: the kernel has no program less while the agent lives" "$(links)" "$HOOKS"
put_back "pin removed"
let_go "pin removed"

undo_all() { box_sh host 'rm -r /sys/fs/bpf/freezed/*'; thaw_unit; }
contain "all undone"
undone "all undone" undo_all
put_back "all undone"
let_go "all undone"

# systemd refuses that as long as it has our drop-in, so whoever does it takes that away first
restart_unit() { run systemctl revert beacon.service && run systemctl restart beacon.service; }
contain "unit restarted"
cgroup_id=$(stat -c %i "$(cgroup_of)")
undone "unit restarted" restart_unit
refute "unit restarted: it is another cgroup" test "$(stat -c %i "$(cgroup_of)")" = "$cgroup_id"
check "unit restarted: which beats" box_until 60 alive
put_back "unit restarted"
let_go "unit restarted"

# --- journal and health
made=$(journal HOLD_MADE)
order contain beacon.service
id=$(told .id)
is "a hold is in the journal" "$(journal HOLD_MADE)" $((made + 1))
is "with its id" "$(field HOLD_MADE COMMAND_ID)" "$id"
health_exits "a host with a hold in full is healthy" 0
order release "$id"
is "a refusal is in the journal" "$(field REFUSED COMMAND_ID) $(field REFUSED REASON)" "$(told .id) threshold"
release "$id"
is "so is a release" "$(field RELEASED COMMAND_ID)" "$(told .id)"
order contain beacon.service --lease 20s
id=$(told .id)
check "a lease holds" held
box_until 60 alive
lapse_is_told() { [ "$(field LAPSED HOLD)" = "$id" ]; }
check "and its end is in the journal" box_until 60 lapse_is_told
order freeze other.service
like "what is not there is refused" "$EXIT $(state) $(told .reasons)" '^3 refused no-such-target$'
order contain beacon.service no-such.service
id=$(told .id)
is "of two targets one of which is not there, the hold is partial" "$EXIT $(state) $(told .reasons)" "4 partial no-such-target"
is "which is in the journal" "$(field HOLD_PARTIAL COMMAND_ID)" "$id"
health_exits "a host with a partial hold says so" 4
release "$id"
check "and is released" alive
health_exits "after which it is healthy" 0

# After a reboot there is no cgroup to hold. systemd does not start the unit, and says so; that is all there is, and not called contained.
contain "host rebooted"
run systemctl -q enable beacon.service
sunk=$(box_sunk host)
box_crash host && box_boot host || exit
is "host rebooted: the service did not start" "$(run systemctl is-active beacon.service)" inactive
status
is "host rebooted: it is not called contained" "$EXIT $(holds '[.state] + .reasons')" "4 partial not-running"
is "host rebooted: systemd is known to keep it so" "$(holds '.targets[0].fence')" stands
is "host rebooted: nobody says that anything was put back" "$(holds '[.receipt.state] + (.receipt.flags - ["unguarded", "proxies", "kernel-packets"])') $(run journalctl -q -b -o json -u freezed.service | grep -c put.back)" "partial 0"
health_exits "host rebooted: health says so too" 4
refute "host rebooted: nobody starts it" run systemctl start beacon.service
is "host rebooted: not a byte came of it" "$(box_sunk host)" "$sunk"
release "$ID"
is "host rebooted: released" "$(state)" released
check "host rebooted: it starts" run systemctl start beacon.service
check "host rebooted: alive, nothing left" box_until 60 alive
check "host rebooted: no pin, no program, no freeze" nothing_left

run mv /etc/freezed/trust.json /root/away.json
restart
health_exits "a host without a trust root is not in order" 1
run mv /root/away.json /etc/freezed/trust.json
restart
health_exits "with it, it is" 0
run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service 2>/dev/null
run freezectl health >/dev/null 2>&1
like "an agent that is stopped is not healthy" $? '^[15]$'

done_testing
