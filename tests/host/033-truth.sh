#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 033-truth.sh B: what status says is what the kernel says. Each part of a hold is undone behind the agent's back by root's own tools; from
# then on status must not say `contained`, and before it must, or it would prove nothing. A restart of the agent puts back what was undone
# and says that it did.
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
        run journalctl -q -o json "MESSAGE_ID=$id" | grep -c .
}
field() { run journalctl -q -o json "MESSAGE_ID=$(sed -n "s/^#define MESSAGE_ID_$1 \"\(.*\)\"/\1/p" agent/util/message_id.h)" | tail -n 1 | jq -r ".$2"; }
health_exits() {
        run freezectl health >/dev/null 2>&1
        is "$1" $? "$2"
}
restart() { run systemctl restart freezed.service && box_until 10 core_is_up; }

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
# lost 'SENTENCE' 'EXIT STATE' REASON...: status has seen it and names these reasons, and whatever follows from them
lost() {
        local sentence=$1 wanted=$2
        shift 2
        status
        is "$sentence: status does not say contained" "$EXIT $(holds .state)" "$wanted"
        check "$sentence: and says why: $*" has_reasons "$@"
        status "$ID"
        is "$sentence: nor of the hold by its id" "$EXIT $(holds .state)" "$wanted"
        run freezectl status >"$(box_dir host)/page" 2>&1
        refute "$sentence: nor on the page for people" grep -q '^ *CONTAINED' "$(box_dir host)/page"
}
# put_back 'SENTENCE': a restart of the agent enforces the hold again and says so in the receipt, in status and in the journal
put_back() {
        local before
        before=$(journal RECOVERED)
        restart
        check "$1: a new agent puts it back, in the kernel" held
        status
        is "$1: contained, says status" "$EXIT $(holds .state)" "0 contained"
        is "$1: and its receipt that it was put back" "$(holds .receipt.flags)" re-enforced
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

contain "thawed in cgroupfs"
before=$(journal RECOVERED)
restart
is "an agent that finds all in force puts nothing back" "$(journal RECOVERED)" "$before"
echo 0 >"$(cgroup_of)/cgroup.freeze"
box_until 2 grep -q 'frozen 0' "$(cgroup_of)/cgroup.events"
lost "thawed in cgroupfs" "4 partial" not-frozen
put_back "thawed in cgroupfs"
let_go "thawed in cgroupfs"

contain "thawed by systemctl"
run systemctl thaw beacon.service
box_until 2 grep -q 'frozen 0' "$(cgroup_of)/cgroup.events"
refute "thawed by systemctl: the kernel has thawed it" frozen
lost "thawed by systemctl" "4 partial" not-frozen
put_back "thawed by systemctl"
let_go "thawed by systemctl"

contain "link detached"
link=$(jq -r '.holds[0].targets[0].links[] | select(.hook == "egress") | .link_id' <<<"$REPORT")
bpftool link detach id "$link"
is "link detached: the kernel has one program less" "$(links)" $((HOOKS - 1))
check "link detached: and its pin is still there" box_sh host 'ls /sys/fs/bpf/freezed/*/*egress'
lost "link detached" "4 partial" link-lost
put_back "link detached"
let_go "link detached"

contain "pin removed"
box_sh host 'rm /sys/fs/bpf/freezed/*/*connect4'
box_until 2 test "$(links)" -eq 7
is "pin removed: the kernel has one program less" "$(links)" $((HOOKS - 1))
lost "pin removed" "4 partial" link-lost
put_back "pin removed"
let_go "pin removed"

contain "all undone"
box_sh host 'rm -r /sys/fs/bpf/freezed/*; systemctl thaw beacon.service'
box_until 2 grep -q 'frozen 0' "$(cgroup_of)/cgroup.events"
lost "all undone" "1 failed" not-frozen link-lost
put_back "all undone"
let_go "all undone"

contain "unit restarted"
cgroup_id=$(stat -c %i "$(cgroup_of)")
# systemd refuses that as long as it has our drop-in, so whoever does it takes that away first
run systemctl revert beacon.service
run systemctl restart beacon.service
refute "unit restarted: it is another cgroup" test "$(stat -c %i "$(cgroup_of)")" = "$cgroup_id"
check "unit restarted: which beats" box_until 20 alive
lost "unit restarted" "1 failed" cgroup-replaced
health_exits "unit restarted: health says so too" 4
put_back "unit restarted"
let_go "unit restarted"

# A hold is on a cgroup: whoever root moves out of it goes on. Status shows that nobody is held any more, though the cgroup is as frozen
# and cut off as before; when they come back, with connections that they made outside, it shows that as well.
contain "process moved out"
pid=$(head -n 1 "$(cgroup_of)/cgroup.procs")
is "process moved out: status counts it while it is in" "$(holds '.targets[0].pids_total')" 1
mkdir "$(box_cgroup host)/elsewhere" && echo "$pid" >"$(box_cgroup host)/elsewhere/cgroup.procs"
check "process moved out: it goes on" box_until 5 has_moved "$(box_beats host)" "$(box_sunk host)"
status
is "process moved out: status counts it no more, and its last receipt still does" "$(holds '[.targets[0].pids_total, .receipt.targets[0].pids_total]')" "0 1"
is "process moved out: what holds nobody is not contained" "$(holds '"\(.state) \(.reasons[0])"')" "partial not-running"
echo "$pid" >"$(cgroup_of)/cgroup.procs"
box_until 2 grep -q 'frozen 1' "$(cgroup_of)/cgroup.events"
lost "process moved back" "4 partial" foreign-socket
rmdir "$(box_cgroup host)/elsewhere"
restart
status
echo "# after a restart of the agent: $(holds '[.state] + .reasons')"
let_go "process moved out"

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
order contain beacon.service --lease 3s
id=$(told .id)
check "a lease holds" held
box_until 8 alive
is "and its end is in the journal" "$(field LAPSED HOLD)" "$id"
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
lost "host rebooted" "4 partial" not-running
is "host rebooted: systemd is known to keep it so" "$(holds '.targets[0].fence')" stands
is "host rebooted: nobody says that anything was put back" "$(holds '[.receipt.state] + .receipt.flags') $(run journalctl -q -b -o json -u freezed.service | grep -c put.back)" "partial 0"
health_exits "host rebooted: health says so too" 4
refute "host rebooted: nobody starts it" run systemctl start beacon.service
is "host rebooted: not a byte came of it" "$(box_sunk host)" "$sunk"
release "$ID"
is "host rebooted: released" "$(state)" released
check "host rebooted: it starts" run systemctl start beacon.service
check "host rebooted: alive, nothing left" box_until 5 alive
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
