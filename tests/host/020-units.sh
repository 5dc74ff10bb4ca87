#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 020-units.sh B: what the installed units promise about users, capabilities, files, sockets and restarts is so, on a host with a real
# systemd. What a unit takes away is tried from inside: a program that tries it is run in place of the unit's own. What a unit leaves is
# taken away, and has to be missed.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 020-units.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

INCIDENT=SA-20261120-020
run() { box_run unit "$@"; }
show() { run systemctl show -P "$2" "$1"; }
status_of() { run sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
is_active() { [ "$(show "$1" ActiveState)" = active ]; }
main_pid() { show "$1" MainPID; }
changed_pid() { local now; now=$(main_pid "$1"); [ "$now" != 0 ] && [ "$now" != "$2" ] && is_active "$1"; }
core_is_up() { run freezectl health >/dev/null 2>&1; }

# dropin UNIT LINE...: replaces the unit's drop-in by these lines of [Service]; none: removes it
dropin() {
        local unit=$1 dir
        dir=$(box_root unit)/etc/systemd/system/$unit.d
        shift
        rm -rf "$dir"
        if [ $# -gt 0 ]; then mkdir -p "$dir" && printf '%s\n' '[Service]' "$@" >"$dir/test.conf"; fi
        run systemctl daemon-reload
}

# confined UNIT ATTEMPT...: what comes of the attempts under the unit's own confinement
confined() {
        local unit=$1
        shift
        # the gate as well, or it would start the core again by connecting
        run systemctl stop freezed-gate.socket freezed-gate.service freezed.service 2>/dev/null
        dropin "$unit" Type=oneshot Restart=no WatchdogSec=0 ExecStart= "ExecStart=/usr/lib/freezed/confined $*"
        run systemctl start "$unit"
        # what it said is there before it is read
        run journalctl --sync
        run sh -c 'journalctl -q -o cat "_SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID "$1")"' sh "$unit"
        dropin "$unit"
        run systemctl start freezed.service freezed-gate.socket freezed-gate.service
}

# order VERB ARG...: signed by alice, or with --two by both; the receipt's JSON
order() {
        local two=()
        if [ "$1" = --two ]; then two=(--key /root/bob); shift; fi
        run freezectl "$@" --incident "$INCIDENT" --reason test --key /root/alice "${two[@]}" --yes --json
}

# hold UNIT FILTER: contains the unit, prints what jq finds in the receipt, lets it go again
hold() {
        order contain "$1" --severity P0 | run jq -r "select(.receipt) | .receipt | $2" | tail -n 1
        order --two release >/dev/null
}

box_create unit || exit
check "install.sh installs into a tree that is not running" box_install unit "$B"
gcc -std=gnu11 -D_GNU_SOURCE -O2 -o "$(box_root unit)/usr/lib/freezed/confined" tests/lib/confined.c || exit
box_boot unit && box_net unit && box_beacon unit || exit
# a service of another user, with a network of its own and a cgroup that was delegated to that user
cat >"$(box_root unit)/etc/systemd/system/other.service" <<'UNIT'
[Service]
User=nobody
PrivateNetwork=yes
Delegate=yes
ExecStart=/usr/bin/python3 -c "import socket,time; a=socket.create_server(('127.0.0.1',9099)); b=socket.create_connection(('127.0.0.1',9099)); time.sleep(1e6)"
UNIT
box_sh unit 'cd /root && for k in alice bob; do ssh-keygen -q -t ed25519 -N "" -f $k; done &&
        freezectl trust init --fleet test --responder alice=alice.pub --responder bob=bob.pub --recipient '"$AGE_RECIPIENT"' --key alice --key bob --out trust.json &&
        freezectl enroll trust.json && systemctl daemon-reload && systemctl start other' >/dev/null || exit

units="freezed.service freezed-gate.service freezed-shutdown.service freezed-core.socket freezed-gate.socket freezed-relay.service freezed.slice freezed-gate.slice freezed-relay.slice"
# shellcheck disable=SC2086
is "systemd finds nothing wrong with the units" "$(run systemd-analyze verify $units 2>&1)" ""
for unit in freezed.service freezed-gate.service freezed-core.socket freezed-gate.socket; do
        check "$unit runs after a boot" is_active "$unit"
done
check "both services are up for a command" box_until 60 core_is_up
refute "no ordering cycle was broken at boot" box_sh unit 'journalctl -b | grep -i "ordering cycle"'
before() { [ "$(show freezed.service ActiveEnterTimestampMonotonic)" -lt "$(show "$1" ActiveEnterTimestampMonotonic)" ]; }
check "the core is up before the network is set up" before network-pre.target
check "and before any unit with default dependencies is started" before sysinit.target
check "systemd-analyze rates the gate's exposure at most 1.0" run systemd-analyze security --threshold=10 freezed-gate.service
for id in $(sed -n 's/^#define MESSAGE_ID_.* "\(.*\)"/\1/p' agent/util/message_id.h); do
        like "message $id is explained" "$(run journalctl --list-catalog "$id")" freezed
done

core=$(main_pid freezed.service) gate=$(main_pid freezed-gate.service)
probe=$(run cat "/proc/$core/task/$core/children")
probe=${probe%% *}
# bits 1, 2, 8, 11, 12, 19, 21 and 40 of linux/capability.h
wanted=0000010000281906
is "the core has DAC_OVERRIDE, DAC_READ_SEARCH, SETPCAP, NET_ADMIN, NET_BROADCAST, SYS_PTRACE, SYS_ADMIN and CHECKPOINT_RESTORE, and no other capability" "$(status_of "$core" CapEff) $(status_of "$core" CapBnd)" "$wanted $wanted"
is "its self-test child has CAP_DAC_OVERRIDE only" "$(status_of "$probe" CapEff) $(status_of "$probe" CapBnd)" "0000000000000002 0000000000000000"
is "the gate has no capability" "$(status_of "$gate" CapEff) $(status_of "$gate" CapBnd)" "0000000000000000 0000000000000000"
is "the gate is its own user" "$(status_of "$gate" Uid | cut -f 1)" "$(run id -u freezed-gate)"
for pid in "$core" "$probe" "$gate"; do
        is "$(run cat "/proc/$pid/comm") has a system call filter and gains no privileges" "$(status_of "$pid" Seccomp) $(status_of "$pid" NoNewPrivs)" "2 1"
done
is "the core is in the agent's own slice" "$(show freezed.service ControlGroup)" /freezed.slice/freezed.service
is "the gate is in a slice below" "$(show freezed-gate.service ControlGroup)" /freezed.slice/freezed-gate.slice/freezed-gate.service
if [ "$(run readlink "/proc/$core/ns/net")" = "$(run readlink /proc/1/ns/net)" ]; then ok "the core is in the host's network namespace"; else not_ok "the core is in the host's network namespace"; fi
if [ "$(run readlink "/proc/$gate/ns/net")" != "$(run readlink /proc/1/ns/net)" ]; then ok "the gate is not"; else not_ok "the gate is not"; fi

mode() { run stat -c '%A %U %G' "$1"; }
is "commands are taken from root and the group freeze" "$(mode /run/freezed/command.sock)" "srw-rw---- root freeze"
is "the core listens to the gate alone" "$(mode /run/freezed/core.sock)" "srw------- freezed-gate freezed-gate"
is "the state is root's" "$(mode /var/lib/freezed)" "drwx------ root root"
is "so is the host's key" "$(mode /var/lib/freezed/host_key)" "-rw------- root root"
run useradd -m member && run usermod -aG freeze member && run useradd -m stranger
as() { run setpriv --reuid "$1" --regid "$1" --init-groups "${@:2}"; }
confined_bin=/usr/lib/freezed/confined
is "a member of the group gets through to the gate" "$(as member $confined_bin connect:/run/freezed/command.sock)" "connect:/run/freezed/command.sock ok"
is "a stranger does not" "$(as stranger $confined_bin connect:/run/freezed/command.sock)" "connect:/run/freezed/command.sock EACCES"
is "a member does not get through to the core" "$(as member $confined_bin connect:/run/freezed/core.sock)" "connect:/run/freezed/core.sock EACCES"

got=$(confined freezed-gate.service read:/etc/passwd read:/var read:/root read:/usr/bin/freezectl read:/etc/freezed/policy.json \
        read:/var/lib/freezed read:/proc/1/status write:/run/freezed/x write:/tmp/x write:/x connect:/run/freezed/core.sock \
        connect:/run/systemd/private connect:/run/dbus/system_bus_socket socket:inet socket:inet6 socket:netlink socket:packet \
        socket:vsock wx bpf mount unshare ptrace setuid clock module reboot)
is "a gate that has been taken over reaches the core's socket, and no file, network, process or privilege" "$got" "read:/etc/passwd ENOENT
read:/var ENOENT
read:/root ENOENT
read:/usr/bin/freezectl ENOENT
read:/etc/freezed/policy.json ENOENT
read:/var/lib/freezed ENOENT
read:/proc/1/status ENOENT
write:/run/freezed/x EROFS
write:/tmp/x ENOENT
write:/x EROFS
connect:/run/freezed/core.sock ok
connect:/run/systemd/private ENOENT
connect:/run/dbus/system_bus_socket ENOENT
socket:inet EAFNOSUPPORT
socket:inet6 EAFNOSUPPORT
socket:netlink EAFNOSUPPORT
socket:packet EAFNOSUPPORT
socket:vsock EAFNOSUPPORT
wx EPERM
bpf SIGSYS
mount SIGSYS
unshare EPERM
ptrace SIGSYS
setuid SIGSYS
clock SIGSYS
module SIGSYS
reboot SIGSYS"

got=$(confined freezed.service read:/etc/shadow read:/var/log/journal read:/root/alice read:/tmp write:/var/lib/freezed/x \
        write:/run/freezed/x append:/sys/fs/cgroup/system.slice/beacon.service/cgroup.freeze bpf socket:unix socket:netlink \
        connect:/run/systemd/private write:/etc/freezed/x write:/usr/sbin/x write:/root/x write:/tmp/x write:/run/systemd/system/x \
        read:/dev/kmsg read:/dev/mem socket:packet socket:vsock wx kill setuid clock \
        module reboot synced adjust)
is "a core that has been taken over reads, holds and keeps its state, and does little else" "$got" "read:/etc/shadow ok
read:/var/log/journal ok
read:/root/alice ok
read:/tmp ok
write:/var/lib/freezed/x ok
write:/run/freezed/x ok
append:/sys/fs/cgroup/system.slice/beacon.service/cgroup.freeze ok
bpf ok
socket:unix ok
socket:netlink ok
connect:/run/systemd/private ok
write:/etc/freezed/x EROFS
write:/usr/sbin/x EROFS
write:/root/x EROFS
write:/tmp/x EROFS
write:/run/systemd/system/x ok
read:/dev/kmsg ENOENT
read:/dev/mem ENOENT
socket:packet EAFNOSUPPORT
socket:vsock EAFNOSUPPORT
wx EPERM
kill ok
setuid EPERM
clock EPERM
module EPERM
reboot EPERM
synced ok
adjust EPERM"
check "both services run again after that" box_until 60 core_is_up

# What is left to the core is needed: without it, it does less and says so.
summary='"\(.state), \(.evidence.holes) holes"'
is "with its units as they are, all is held and nothing of the evidence is missing" "$(hold other.service "$summary")" "contained, 0 holes"
statement='ls -td /var/lib/freezed/evidence/*/* | head -n 1 | while read -r d; do jq -r .payload $d/evidence.dsse.json | base64 -d | jq -c .predicate.flags; done'
is "and the collector had all of its sandbox" "$(box_sh unit "$statement")" "[]"
without() {
        dropin freezed.service "$1"
        run systemctl restart freezed.service
        box_until 60 core_is_up
}
without CapabilityBoundingSet=~CAP_SYS_ADMIN
like "without CAP_SYS_ADMIN it does not reach another network namespace" "$(hold other.service "$summary")" ^partial
without CapabilityBoundingSet=~CAP_NET_ADMIN
like "without CAP_NET_ADMIN it cannot isolate" "$(hold beacon.service "$summary")" ^partial
without CapabilityBoundingSet=~CAP_DAC_OVERRIDE
like "without CAP_DAC_OVERRIDE it has no say over a delegated cgroup" "$(hold other.service "$summary")" ^partial
without CapabilityBoundingSet=~CAP_SYS_PTRACE
like "without CAP_SYS_PTRACE the evidence has holes" "$(hold other.service "$summary")" ' [1-9][0-9]* holes'
without CapabilityBoundingSet=~CAP_DAC_READ_SEARCH
like "without CAP_DAC_READ_SEARCH it says so" "$(hold other.service '.flags | join(" ")')" evidence-holes
without CapabilityBoundingSet=~CAP_SETPCAP
pid=$(run sh -c 'cat /proc/$1/task/$1/children' sh "$(main_pid freezed.service)")
refute "without CAP_SETPCAP its children could regain capabilities" test "$(status_of "${pid%% *}" CapBnd)" = 0000000000000000
without SystemCallFilter=~mount_setattr
hold beacon.service "$summary" >/dev/null
is "without mount_setattr() the collector's mounts stay writable, and the evidence says so" "$(box_sh unit "$statement")" '["no-mounts"]'
without SystemCallFilter=~landlock_restrict_self
hold beacon.service "$summary" >/dev/null
is "without Landlock it runs without, and the evidence says so" "$(box_sh unit "$statement")" '["no-landlock"]'
dropin freezed.service
run systemctl restart freezed.service
box_until 60 core_is_up

# The agent's end, in every way, changes nothing for what is held.
frozen() { grep -qx 'frozen 1' "$(box_cgroup unit)/system.slice/beacon.service/cgroup.events"; }
silent() { local n; n=$(box_sunk unit); sleep 0.3; [ "$(box_sunk unit)" = "$n" ]; }
held() { frozen && silent; }
order contain beacon.service --severity P0 >/dev/null
check "held" held
core=$(main_pid freezed.service) gate=$(main_pid freezed-gate.service)
run kill -KILL "$core"
check "a killed core is back" box_until 60 changed_pid freezed.service "$core"
is "which is started anew after a tenth of a second" "$(run systemctl show -P RestartUSec freezed.service)" 100ms
check "the gate starts anew with it" box_until 60 changed_pid freezed-gate.service "$gate"
check "what was held is held" held
check "and the agent answers" box_until 60 core_is_up
gate=$(main_pid freezed-gate.service)
run kill -KILL "$gate"
check "a killed gate is back" box_until 60 changed_pid freezed-gate.service "$gate"
is "which is started anew after a tenth of a second" "$(run systemctl show -P RestartUSec freezed-gate.service)" 100ms
check "and the agent answers" box_until 60 core_is_up
for n in 1 2 3 4 5 6 7 8; do
        # 0 is no process to a unit that has none, and this very process group to kill
        box_until 60 changed_pid freezed.service "$core" && core=$(main_pid freezed.service) && [ "$core" -gt 1 ] && run kill -KILL "$core"
done
check "a core that keeps dying is started again for ever" box_until 60 core_is_up
run systemctl stop freezed.service freezed-gate.service freezed-core.socket freezed-gate.socket 2>/dev/null
check "stopped on purpose, the agent lets go of nothing" held
run systemctl start freezed-core.socket freezed-gate.socket
is "its sockets alone start it" "$(run freezectl status --json | run jq -r 'select(.summary) | .summary.exit')" 0
check "with what it held" held
dropin freezed.service WatchdogSec=1
run systemctl restart freezed.service
box_until 60 core_is_up
core=$(main_pid freezed.service)
run kill -STOP "$core"
check "a core that hangs is replaced by the watchdog" box_until 60 changed_pid freezed.service "$core"
check "what was held is held" held
dropin freezed.service
run systemctl restart freezed.service
box_until 60 core_is_up
order --two release >/dev/null
alive() { ! frozen && ! silent; }
check "and two people can let it go" box_until 60 alive

echo '{"v":1}' | run sh -c 'cat >/etc/freezed/policy.json'
core=$(main_pid freezed.service)
check "an upgrade installs" box_install unit "$B"
is "keeps the host's policy" "$(run cat /etc/freezed/policy.json)" '{"v":1}'
is "and does not stop the running agent" "$(main_pid freezed.service)" "$core"

box_halt unit && box_boot unit || exit
check "after a reboot the agent runs by itself" box_until 60 core_is_up
is "and nothing has failed" "$(run systemctl --failed --plain --no-legend)" ""

done_testing
