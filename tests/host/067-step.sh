#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 067-step.sh B: a release that stops between. What waits for the frozen is shown first; they are thawed and stay isolated, also when the
# agent dies; only the second release gives them their network.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 067-step.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

beats_on() { [ "$(box_beats host)" -gt "$1" ]; }
both() { frozen && [ "$(links)" -eq $((2 * HOOKS)) ] && is_still; }
# it runs, nothing of it arrives, and the kernel says why
isolated() {
        local beats sunk
        beats=$(box_beats host)
        ! frozen && is_isolated && box_until 60 beats_on "$beats" || return
        sunk=$(box_sunk host)
        sleep 0.3
        [ "$(box_sunk host)" = "$sunk" ]
}
# what status says of the hold, and its receipt there
says() { holds '.verb + " " + .state'; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }
kill_core() {
        local pid
        pid=$(run systemctl show -P MainPID freezed.service)
        [ "$pid" -gt 1 ] && run kill -KILL "$pid" && box_until 60 core_is_up
}

held_boot "$B" || exit

# --- one hold
order contain beacon.service
id=$(told .id)
is "it is contained" "$(state)" contained
release "$id" --step
is "a release that stops between says that it is thawed" "$(state)" thawed
is "and ends well" "$EXIT" 0
like "and says that it is still isolated" "$(told .flags)$(told .reasons)" still-isolated
is "and what was held lives" "$(told '.holds[0].thawed[0] | .processes == .survived and .processes > 0')" true
check "it runs and is cut off" isolated
status "$id"
is "the hold goes on as one that isolates" "$(says)" "isolate contained"
is "its own receipt says so too" "$(holds '.receipt | .verb + " " + .state')" "isolate contained"
run systemctl start beacon.service 2>/dev/null
refute "the service manager does not restart it" run systemctl restart beacon.service
check "it still runs and is cut off" isolated
release "$id" --step
is "a second step has nothing to thaw" "$(state)" thawed
check "and changes nothing" isolated
kill_core
check "the agent dies and comes back: it runs and is cut off" isolated
status "$id"
is "and status says so" "$(says)" "isolate contained"
echo 1 >"$(cgroup_of)/cgroup.freeze"
check "who freezes it now is not undone by the agent" box_until 60 frozen
sleep 1.5
check "not later either" frozen
echo 0 >"$(cgroup_of)/cgroup.freeze"
release "$id"
is "the second release ends it" "$(state)" released
check "it has its network back" alive
check "nothing is left" nothing_left

# --- the agent dies between the record and the thaw
order contain beacon.service
id=$(told .id)
order contain beacon.service
other=$(told .id)
release "$id" --step
is "a step of one of two holds" "$(state)" thawed
like "says that another one keeps it" "$(told .flags)$(told .reasons)" held-by-other
check "and it stays frozen" both
release "$other"
is "the other one is released" "$(state)" released
check "then it runs and is cut off by the first" isolated
release "$id"
check "and is free in the end" alive
check "with nothing left" nothing_left

# --- what does not isolate has nothing to stop at
order freeze beacon.service
release "$(told .id)" --step
is "the step of a freeze is its end" "$(told '.holds[0].state')" released
check "it is free" alive
check "nothing of it is left" nothing_left
release 00112233445566778899aabbccddeeff --step
like "a step of an unknown hold says so" "$(told .reasons)$(told .flags)" unknown-hold
is "and buries nothing" "$(told '.holds[0].state')" unknown

# --- what waits for the frozen
order contain beacon.service
id=$(told .id)
pid=$(head -n 1 "$(cgroup_of)/cgroup.procs")
kill -ABRT "$pid"
status "$id"
is "status shows the signal that waits" "$(holds '.targets[0].signalled | map(.signals[]) | join(" ")')" 6
release "$id" --step
like "the release says so" "$(told .reasons)$(told .flags)" pending-signals
is "names it" "$(told '.holds[0].thawed[0].signalled[0].signals | join(" ")')" 6
check "and it does not survive" box_until 60 is_gone "$pid"
release "$(hold_id)"
run systemctl reset-failed beacon.service 2>/dev/null
run systemctl start beacon.service
box_until 60 alive
cat >"$(box_live host)/etc/systemd/system/dog.service" <<'U'
[Service]
NotifyAccess=all
WatchdogSec=10
ExecStart=/bin/sh -c 'while :; do systemd-notify WATCHDOG=1; sleep 0.2; done'
U
run systemctl daemon-reload
run systemctl start dog.service
order contain dog.service
id=$(told .id)
like "that a unit has a watchdog is said" "$(told .flags)" unit-watchdog
expired() { status "$id" && [ "$(holds '.targets[0].watchdog_expired')" = true ]; }
check "status says that it ran out" box_until 60 expired
release "$id"
is "the release says so before it thaws" "$(told '.holds[0].thawed[0].watchdog_expired')" true
run systemctl stop dog.service

done_testing
