#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 061-watch.sh B: what was put in force stays in force while the agent runs. Each part of a hold is undone by root's own tools; it is put
# back by itself, counted, and nobody has to ask. Printed for each: how long it took by the agent's own measure, how many turns of the
# service's loop (one in 50 ms) and how many of its bytes got through meanwhile.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 061-watch.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh

watch() { run freezectl health --json 2>/dev/null | jq -R -r "fromjson? | select(.report) | .report.watch | $1" | head -n 1; }
repairs() { watch ".repairs.$1"; }
has_repaired() { [ "$(repairs "$1")" -gt "$2" ]; }
has_procs() { grep -q . "$1/cgroup.procs"; }
journal() {
        run journalctl --sync
        run journalctl -q -o json "MESSAGE_ID=$(sed -n "s/^#define MESSAGE_ID_$1 \"\(.*\)\"/\1/p" agent/util/message_id.h)" | grep -c .
}
records() { run freezectl health --json | jq -R -r 'fromjson? | select(.report) | .report.ledger.n' | head -n 1; }
link_id() { jq -r ".holds[0].targets[0].links[] | select(.hook == \"$1\") | .link_id" <<<"$REPORT"; }

is_contained() { status && [ "$EXIT $(holds .state)" = "0 contained" ]; }

contain() {
        order contain beacon.service
        ID=$(told .id)
        status
        is "$1: contained" "$EXIT $(holds .state)" "0 contained"
}
let_go() {
        release "$ID"
        is "$1: released" "$(state)" released
        check "$1: alive, nothing left" alive
        check "$1: no pin, no program, no freeze" nothing_left
}
# undone 'SENTENCE' KIND CMD ARG...: CMD undoes it; it is held again and a repair of that kind is counted, and status says contained
undone() {
        local sentence=$1 kind=$2 before beats sunk
        shift 2
        before=$(repairs "$kind") beats=$(box_beats host) sunk=$(box_sunk host)
        "$@"
        check "$sentence: the repair is counted" box_until 60 has_repaired "$kind" "$before"
        check "$sentence: it is held again" box_until 60 held
        status
        box_until 60 is_contained
        is "$sentence: contained, says status" "$EXIT $(holds .state)" "0 contained"
        echo "# $sentence: $(watch '"\(.latency_us.last) us"'), $(($(box_beats host) - beats)) beats, $(($(box_sunk host) - sunk)) bytes"
}
is_told() {
        status "$ID"
        is "$1: and by status of the hold, with its latency" "$(jq -r ".holds[0].repaired | .repairs.$2 > 0 and .latency_us.worst > 0" <<<"$REPORT")" true
}

held_boot "$B" || exit
is "the kernel tells of events" "$(watch .source)" kernel
is "without a hold nothing wakes up" "$(watch .every_us)" 0

# --- thawed
contain "thawed"
thaw() { echo 0 >"$(cgroup_of)/cgroup.freeze"; }
thaw_unit() { run systemctl thaw beacon.service; }
seen=$(journal REPAIRED)
undone "thawed in cgroupfs" thaw thaw
is_told "thawed in cgroupfs" thaw
check "thawed in cgroupfs: the journal has it" box_until 60 eval '[ "$(journal REPAIRED)" -gt "$seen" ]'
check "thawed in cgroupfs: its receipt says that it was put back" box_until 60 eval 'status; [[ " $(holds .receipt.flags) " == *" re-enforced "* ]]'
undone "thawed by systemctl" thaw thaw_unit

# --- links, pins, maps
status
for hook in $(jq -r '.holds[0].targets[0].links[].hook' <<<"$REPORT"); do
        status
        undone "link of $hook detached" link bpftool link detach id "$(link_id "$hook")"
done
status
prog=$(bpftool -j link show id "$(link_id egress)" | jq .prog_id)
refute "a program that a link holds cannot be detached by its id" bpftool cgroup detach "$(cgroup_of)" egress id "$prog" multi
for map in $(bpftool -j prog show id "$prog" | jq '.map_ids[]'); do
        [ "$(bpftool -j map show id "$map" | jq -r .name)" = isolate_policy ] || continue
        size=$(bpftool -j map show id "$map" | jq .bytes_value)
        # shellcheck disable=SC2046
        refute "the permits cannot be edited" bpftool map update id "$map" key 0 0 0 0 value $(printf '255 %.0s' $(seq "$size"))
done
undone "pins removed" pin box_sh host 'rm -r /sys/fs/bpf/freezed/*-* /sys/fs/bpf/freezed/[0-9a-f]*[0-9a-f]/* 2>/dev/null; rmdir /sys/fs/bpf/freezed/*/ 2>/dev/null; :'
check "pins removed: they are there again" box_until 60 eval 'run ls "/sys/fs/bpf/freezed/$ID" | grep -q egress'
let_go "thawed and detached"

# --- processes
contain "moved"
elsewhere=$(box_cgroup host)/elsewhere
mkdir "$elsewhere"
pid=$(head -n 1 "$(cgroup_of)/cgroup.procs")
is_back() { grep -qx "$pid" "$(cgroup_of)/cgroup.procs"; }
undone "process moved out" moved eval 'echo "$pid" >"$elsewhere/cgroup.procs"'
check "process moved out: it is back" box_until 60 is_back
refute "a thread cannot be moved out alone" eval 'echo "$pid" >"$elsewhere/cgroup.threads"'
let_go "moved"

# A service of several processes, all of which go at once; what one of them forks outside comes back as well.
run systemd-run -q --unit=crowd.service sh -c 'for n in 1 2 3 4 5 6; do sleep infinity & done; wait'
box_until 60 eval '[ "$(wc -l <"$(cgroup_of crowd.service)/cgroup.procs")" -eq 7 ]'
order freeze crowd.service
ID=$(told .id)
crowd() { [ "$(wc -l <"$(cgroup_of crowd.service)/cgroup.procs")" -eq 7 ] && frozen crowd.service; }
mapfile -t pids <"$(cgroup_of crowd.service)/cgroup.procs"
for pid in "${pids[@]}"; do echo "$pid" >"$elsewhere/cgroup.procs"; done
check "all processes moved out: all are back and frozen" box_until 60 crowd
release "$ID"
run systemctl stop crowd.service

run systemd-run -q --unit=forks.service sh -c 'while :; do sleep 0.01 & wait; done'
box_until 60 has_procs "$(cgroup_of forks.service)"
order freeze forks.service
ID=$(told .id)
for _ in 1 2 3 4 5 6 7 8 9 10; do
        while read -r pid; do echo "$pid" >"$elsewhere/cgroup.procs" 2>/dev/null; done <"$(cgroup_of forks.service)/cgroup.procs"
        sleep 0.05
done
check "a process that forks while it is outside: nobody stays there" box_until 60 eval '! has_procs "$elsewhere"'
check "a process that forks while it is outside: all are frozen" box_until 60 frozen forks.service
release "$ID"
run systemctl stop forks.service

# --- a plain cgroup, removed and made again by a script
lone=$(box_cgroup host)/lone
heart() { box_sh host 'mkdir -p /sys/fs/cgroup/lone && (echo 0 >/sys/fs/cgroup/lone/cgroup.procs; exec sh -c "while :; do echo >>/run/lone; sleep 0.01; done") </dev/null >/dev/null 2>&1 &'; }
lone_beats() { cat "$(box_live host)/run/lone" 2>/dev/null | wc -l; }
lone_held() {
        local n
        grep -qx 'frozen 1' "$lone/cgroup.events" && [ "$(bpftool cgroup show "$lone" | grep -c isolate_)" -eq "$HOOKS" ] || return
        n=$(lone_beats)
        sleep 0.1
        [ "$n" = "$(lone_beats)" ]
}
heart
box_until 60 test -s "$(box_live host)/run/lone"
order contain cgroup:/lone
ID=$(told .id)
check "a plain cgroup is held" lone_held
for n in 1 2 3 4 5; do
        before=$(repairs replaced)
        echo 1 >"$lone/cgroup.kill"
        box_until 60 rmdir "$lone"
        run rm -f /run/lone
        heart
        check "made again ($n): it is held" box_until 60 lone_held
        check "made again ($n): which is counted" box_until 60 has_repaired replaced "$before"
        echo "# made again ($n): $(watch .latency_us.last) us, $(lone_beats) beats"
done
check "made again: contained, says status" box_until 60 eval 'status && [ "$(holds .state)" = contained ]'
box_until 60 has_procs "$lone"
pid=$(head -n 1 "$lone/cgroup.procs")
before=$(repairs moved)
echo "$pid" >"$elsewhere/cgroup.procs"
rmdir "$lone" 2>/dev/null
check "moved out and the cgroup removed: both are back" box_until 60 lone_held
check "moved out and the cgroup removed: it is counted" box_until 60 has_repaired moved "$before"
release "$ID"
is "made again: released" "$(state)" released
n=$(lone_beats)
check "made again: and alive" box_until 60 eval '[ "$(lone_beats)" -gt "$n" ]'
echo 1 >"$lone/cgroup.kill"
box_until 60 rmdir "$lone"

# --- a unit that is started anew, whoever keeps the service manager from it or does not
run mkdir -p /etc/systemd/system/beacon.service.d
run sh -c 'printf "[Service]\nRestart=always\nRestartSec=50ms\n" >/etc/systemd/system/beacon.service.d/again.conf; systemctl daemon-reload'
contain "killed"
beats=$(box_beats host) sunk=$(box_sunk host) pid=$(head -n 1 "$(cgroup_of)/cgroup.procs")
another() { has_procs "$(cgroup_of)" && [ "$(head -n 1 "$(cgroup_of)/cgroup.procs")" != "$pid" ]; }
# Root is as fast as the agent, which may have the file in force again before the service manager has come to what it is told: he tries again.
outrun() {
        box_sh host 'rm -f /etc/systemd/system/beacon.service.d/*freezed*; systemctl daemon-reload
                systemctl kill -s KILL beacon.service; systemctl --no-block start beacon.service'
        box_until 2 another
}
check "killed and started anew: another one is there" box_until 60 outrun
check "killed and started anew: it is held" box_until 60 held
is "killed and started anew: not one byte of it" "$(box_sunk host)" "$sunk"
echo "# killed and started anew: $(watch .latency_us.last) us, and it had $(box_beats host 2>/dev/null | grep -c .) heartbeat"
check "killed and started anew: contained, says status" box_until 60 eval 'status && [ "$(holds .state)" = contained ]'
release "$ID"
is "killed: released" "$(state)" released
run rm -rf /etc/systemd/system/beacon.service.d
run sh -c 'systemctl daemon-reload; systemctl restart beacon.service'
check "killed: it runs" box_until 60 alive

# --- isolated and running on: whatever gets out is what the repair was too late for
order isolate beacon.service
ID=$(told .id)
isolated() { is_isolated && { sunk=$(box_sunk host) && sleep 0.3 && [ "$(box_sunk host)" = "$sunk" ]; }; }
check "isolated" isolated
status
for hook in egress connect4; do
        before=$(repairs link) sunk=$(box_sunk host)
        status
        bpftool link detach id "$(link_id "$hook")"
        check "isolated, link of $hook detached: it is isolated again" box_until 60 isolated
        check "isolated, link of $hook detached: which is counted" box_until 60 has_repaired link "$before"
        echo "# isolated, link of $hook detached: $(watch .latency_us.last) us at most, $(($(box_sunk host) - sunk)) bytes"
done
before=$(repairs moved)
pid=$(head -n 1 "$(cgroup_of)/cgroup.procs")
echo "$pid" >"$elsewhere/cgroup.procs"
check "isolated and moved out: it is back" box_until 60 grep -qx "$pid" "$(cgroup_of)/cgroup.procs"
check "isolated and moved out: which is counted" box_until 60 has_repaired moved "$before"
release "$ID"
check "isolated: alive again" box_until 60 alive

# --- isolated, and its children are made right in another cgroup, which moves nobody
gcc -std=gnu11 -D_GNU_SOURCE -O2 -o "$(box_live host)/usr/local/bin/born_outside" tests/lib/born_outside.c || exit
born=$(box_cgroup host)/system.slice/born.service
has_spoken() { [ "$(box_sunk host)" -gt "$1" ]; }
is_silent() { local n; n=$(box_sunk host); sleep 0.5; [ "$(box_sunk host)" = "$n" ]; }
outside_link() { bpftool -j link show | jq --argjson p "$(bpftool -j cgroup show "$(box_cgroup host)" | jq '.[] | select(.name == "watch_socket") | .id')" '.[] | select(.prog_id == $p) | .id'; }
run systemctl stop beacon.service
sunk=$(box_sunk host)
run systemd-run -q --unit=born.service /usr/local/bin/born_outside /sys/fs/cgroup/elsewhere
check "born outside: they speak" box_until 60 has_spoken "$sunk"
order isolate born.service
ID=$(told .id)
# who was outside before is not held, and ends
sleep 3
sunk=$(box_sunk host)
before=$(repairs moved)
sleep 2
is "born outside: not one byte of them" "$(box_sunk host)" "$sunk"
check "born outside: which is counted" box_until 60 has_repaired moved "$before"
is_told "born outside" moved
echo "# born outside: $(($(repairs moved) - before)) repairs in 2 s, $(watch '"p50 \(.latency_us.p50) us, worst \(.latency_us.worst) us, failed \(.failed)"')"
before=$(repairs link)
sunk=$(box_sunk host)
bpftool link detach id "$(outside_link)"
check "born outside, and who refuses them sockets detached: which is counted" box_until 60 has_repaired link "$before"
check "born outside, and who refuses them sockets detached: they are silent again" box_until 60 is_silent
echo "# born outside, and who refuses them sockets detached: $(($(box_sunk host) - sunk)) bytes"
release "$ID"
is "born outside: released" "$(state)" released
sunk=$(box_sunk host)
check "born outside: they speak again" box_until 60 has_spoken "$sunk"
is "born outside: nothing at the top is left" "$(bpftool cgroup show "$(box_cgroup host)" | grep -c watch_socket)" 0
run systemctl stop born.service
run systemctl start beacon.service
check "born outside: the beacon as before" box_until 60 alive

# --- one of two leaves at the first sign of an order, before there is a hold to watch
gcc -std=gnu11 -D_GNU_SOURCE -O2 -o "$(box_live host)/usr/local/bin/leaves" tests/lib/leaves.c || exit
leaves=$(cgroup_of leaves.service)
has_two() { [ "$(grep -c . "$leaves/cgroup.procs")" = 2 ]; }
has_left() { has_procs "$elsewhere" || has_repaired moved "$before"; }
both_back() { has_two && ! has_procs "$elsewhere"; }
for verb in isolate contain isolate contain; do
        run systemd-run -q --unit=leaves.service -p CapabilityBoundingSet= leaves /sys/fs/cgroup/{system.slice/leaves.service,elsewhere}
        box_until 60 has_two
        before=$(repairs moved)
        order "$verb" leaves.service
        ID=$(told .id)
        # whom the freeze has overtaken is not told of
        [ "$verb" = contain ] || check "$verb, and one leaves at once: it has" box_until 60 has_left
        check "$verb, and one leaves at once: it is back" box_until 60 both_back
        echo "# $verb, and one leaves at once: $(($(repairs moved) - before)) brought back, the order said $(state) $(told .reasons)"
        check "$verb, and one leaves at once: contained, says status" box_until 60 is_contained
        release "$ID"
        is "$verb, and one leaves at once: released" "$(state)" released
        run systemctl stop leaves.service
done

# --- a storm: repaired each time, recorded rarely, and commands are answered
contain "storm"
records=$(records) before=$(repairs thaw)
while thaw; do :; done &
storm=$!
box_at_exit 'kill "$storm" 2>/dev/null'
slow=0
for _ in 1 2 3 4 5; do
        start=${EPOCHREALTIME/./}
        status
        [ "$EXIT" -le 4 ] || slow=$((slow + 1))
        echo "# storm: status after $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
done
check "storm: many repairs" box_until 60 has_repaired thaw $((before + 100))
kill "$storm"
wait "$storm" 2>/dev/null
is "storm: every question is answered" "$slow" 0
check "storm: it is held when it is over" box_until 60 held
check "storm: few records" eval '[ $(($(records) - records)) -le 12 ]'
echo "# storm: $(($(repairs thaw) - before)) repairs, $(($(records) - records)) records, $(watch '"p50 \(.latency_us.p50) us, worst \(.latency_us.worst) us"')"
let_go "storm"

# --- the agent is killed in between
contain "agent killed"
core=$(run systemctl show -P MainPID freezed.service)
run kill -STOP "$core"
pid=$(head -n 1 "$(cgroup_of)/cgroup.procs")
thaw
echo "$pid" >"$elsewhere/cgroup.procs"
run kill -KILL "$core"
box_until 60 core_is_up
check "agent killed, its hold thawed and its process moved out: all is back" box_until 60 held
check "agent killed: the process too" box_until 60 grep -qx "$pid" "$(cgroup_of)/cgroup.procs"
check "agent killed: contained, says status" box_until 60 eval 'status && [ "$(holds .state)" = contained ]'
let_go "agent killed"

# --- and what its links run is exchanged before the next one is there
gcc -std=gnu11 -D_GNU_SOURCE -O2 -I. -o "$(box_live host)/usr/local/bin/pass_all" tests/escape/routes/pass_all.c $(pkg-config --cflags --libs libbpf) || exit
order isolate beacon.service
ID=$(told .id)
sunk=$(box_sunk host) before=$(journal RECOVERED)
run systemctl stop freezed.service freezed-core.socket
box_sh host 'pass_all "$1"' "$ID" >/dev/null
check "agent away, its programs exchanged: it speaks" box_until 60 has_spoken "$sunk"
run systemctl start freezed-core.socket freezed.service
check "agent away, its programs exchanged: isolated again" box_until 60 is_silent
check "agent away, its programs exchanged: contained, says status" box_until 60 is_contained
check "agent away, its programs exchanged: which is told" box_until 60 eval '[ "$(journal RECOVERED)" -gt "$before" ]'
release "$ID"
is "agent away, its programs exchanged: released" "$(state)" released
is "agent away, its programs exchanged: and told once" "$(journal RECOVERED)" $((before + 1))

# --- the file system of the pins
contain "unmounted"
before=$(repairs pin)
box_sh host 'umount -l /sys/fs/bpf && mount -t bpf bpf /sys/fs/bpf'
check "unmounted: it is held" box_until 60 held
sleep 1
status
echo "# unmounted: $(repairs pin) - $before pins put back, status says $(holds '[.state] + .reasons')"
release "$ID"
echo "# unmounted: release says $(state) $(told .reasons)"
rmdir "$elsewhere"

done_testing
