#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 035-no-systemd.sh B: core and gate on a machine whose PID 1 is not systemd: cgroups are used directly, and receipts say so. Runs here and
# not in a box, against a cgroup, a bpffs, a state and sockets of its own.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=$(realpath "${1:?usage: 035-no-systemd.sh BUILD}")
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/age.sh
. tests/lib/age.sh

[ "$(id -u)" -eq 0 ] || { echo "$0: must be run as root" >&2; exit 1; }
cgroup2=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
check "the core starts as any program does" "$B/freezed" --help
if [ -d /run/systemd/system ]; then
        skip "containing without systemd" "PID 1 of this machine is systemd"
        done_testing
fi
if [ -z "$cgroup2" ]; then
        skip "containing without systemd" "cgroup2 is not mounted on this machine"
        done_testing
fi

# Never above this shell's cgroup. A unit is looked for by its directory in the slices, as no service manager can be asked.
base=/freezed-035-$$.slice
CG=$cgroup2$base
T=$(mktemp -d)
PIDS=()
cleanup() {
        local status=$? pid
        set +e
        for pid in "${PIDS[@]}"; do kill "$pid"; done 2>/dev/null
        [ ! -f "$CG/cgroup.kill" ] || echo 1 >"$CG/cgroup.kill"
        for _ in $(seq 100); do
                find "$CG" -depth -type d -exec rmdir {} + 2>/dev/null
                [ -d "$CG" ] || break
                sleep 0.05
        done
        ! mountpoint -q "$T/bpf" || umount "$T/bpf"
        rm -rf --one-file-system "$T"
        exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

until_true() {
        local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
        shift
        until "$@" >/dev/null 2>&1; do
                [ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
                sleep 0.02
        done
}

mkdir -p "$CG/agent" "$CG/stream.service" "$CG/bystander" "$T"/{bpf,etc,state} && mount -t bpf bpf "$T/bpf" || exit
# A process that beats and streams to a listener on the loopback, which is outside its cgroup.
cat >"$T/stream.py" <<'PY'
import socket, sys, time
s, n = None, 0
with open(sys.argv[1], "w", buffering=1) as heart:
    while True:
        n += 1
        heart.write(f"{n}\n")
        try:
            if s is None:
                s = socket.create_connection(("127.0.0.1", int(sys.argv[2])), 0.5)
            s.send(b"x" * 100)
        except OSError:
            s = None
        time.sleep(0.02)
PY
python3 tests/lib/sink.py 127.0.0.1 0 "$T/sink" 2>/dev/null &
PIDS+=($!)
port() { ss -Hltnp | sed -n "s/.* 127.0.0.1:\([0-9]*\) .*pid=${PIDS[0]},.*/\1/p"; }
until_true 60 eval '[ -n "$(port)" ]' || exit
# in NAME CMD...: starts a command in that cgroup
in_cgroup() {
        local name=$1
        shift
        (
                echo "$BASHPID" >"$CG/$name/cgroup.procs"
                exec setpriv --bounding-set=-all "$@"
        ) >>"$T/log" 2>&1 &
        disown
}
in_cgroup stream.service python3 "$T/stream.py" "$T/heart" "$(port)"
in_cgroup bystander python3 "$T/stream.py" "$T/heart2" "$(port)"

start_agent() {
        rm -f "$T/core.sock" "$T/command.sock"
        (
                echo "$BASHPID" >"$CG/agent/cgroup.procs"
                exec "$B/freezed" --trust "$T/etc/trust.json" --policy "$T/etc/policy.json" --state "$T/state" --pins "$T/bpf/freezed" \
                        --socket "$T/core.sock" --collector "$B/freezed-collect"
        ) >>"$T/log" 2>&1 &
        CORE=$!
        PIDS+=("$CORE")
        until_true 60 test -S "$T/core.sock" || return
        (
                echo "$BASHPID" >"$CG/agent/cgroup.procs"
                exec "$B/freezed-gate" --listen "$T/command.sock" --core "$T/core.sock"
        ) >>"$T/log" 2>&1 &
        GATE=$!
        PIDS+=("$GATE")
        until_true 60 test -S "$T/command.sock"
}
ask() {
        # it keeps what lacks a signature in its working directory
        ANSWER=$(cd "$T" && "$B/freezectl" "$@" --socket "$T/command.sock" --hosts-file "$T/etc/hosts" --json 2>&1)
        EXIT=$?
        RECEIPT=$(jq -R -c 'fromjson? | .receipt // .report // empty' <<<"$ANSWER" | tail -n 1)
}
order() {
        ask "$@" --trust "$T/etc/trust.json" --reason test --incident SA-20261120-035 --key "$T/alice" --yes
}
told() { jq -r "$1 | if type == \"array\" then join(\" \") else . end" <<<"$RECEIPT"; }
frozen() { grep -qx 'frozen 1' "$CG/stream.service/cgroup.events"; }
links() { bpftool cgroup show "$CG/stream.service" | grep -c isolate_; }
beats() { tail -n 1 "$T/$1"; }
bytes() { sed -n 's/^bytes=//p' "$T/sink"; }
moves() { [ "$(beats "$1")" -gt "$2" ]; }
alive() { until_true 60 moves "$1" "$(beats "$1" 2>/dev/null || echo 0)"; }
still() {
        local n
        n=$(beats heart)
        sleep 0.3
        [ "$(beats heart)" = "$n" ]
}
hooks=$(grep -cE "^ +X\([A-Z0-9]+, \".*(CALLS|PACKETS)\)" bpf/isolate_abi.h)
held() { frozen && [ "$(links)" -eq "$hooks" ] && still; }
free() { ! frozen && [ "$(links)" -eq 0 ] && alive heart; }
nothing_left() { [ -z "$(ls "$T/bpf/freezed" | grep -xE "[0-9a-f]{32}")" ] && ! bpftool cgroup tree "$CG" | grep isolate_; }

for who in alice bob; do ssh-keygen -q -t ed25519 -N '' -f "$T/$who" || exit; done
"$B/freezectl" trust init --fleet test --responder alice="$T/alice.pub" --responder bob="$T/bob.pub" --recipient "$AGE_RECIPIENT" --key "$T/alice" --key "$T/bob" --out "$T/trust.json" >/dev/null || exit
check "core and gate run without a service manager" start_agent
check "the host is enrolled" "$B/freezectl" enroll "$T/trust.json" --config-dir "$T/etc" --state-dir "$T/state"
kill -HUP "$CORE"
answers() { ask health && [ -n "$RECEIPT" ]; }
check "the agent answers" until_true 60 answers
like "health knows of no systemd" "$(told '.systemd.version')/$(told '.layers[] | select(.id == "systemd") | .state')" '^0/no'
check "the process beats" alive heart

sunk=$(bytes)
order contain "cgroup:$base/stream.service"
ID=$(told .id)
is "a cgroup is contained" "$EXIT $(told .state) $(told .reasons)" "0 contained "
check "in the kernel" held
like "without a unit, the absence of systemd is no matter" "$(told .flags)" 'clock|^$'
check "its connection is reset at the listener" until_true 60 grep -q 'resets=[1-9]' "$T/sink"
check "who is beside it goes on" alive heart2
check "and so does its stream" test "$(bytes)" -gt "$sunk"
is "the evidence is complete" "$(told '.evidence.state')" complete
check "and verifies" sh -c 'cd "$1" && sha256sum --quiet -c manifest-sha256.txt' sh "$(told .evidence.folder)"
kill -KILL "$CORE"
wait "$CORE" 2>/dev/null
check "without the core it is held" held
until_true 60 eval '! kill -0 $GATE' && wait "$GATE" 2>/dev/null
check "both are started again" start_agent
ask status
is "status has read it back" "$EXIT $(told '.holds[0].id') $(told '.holds[0].state')" "0 $ID contained"
order release "$ID"
is "one person does not release it" "$EXIT $(told .reasons)" "3 threshold"
check "in the kernel neither" held
order release "$ID" --key "$T/bob"
is "two do" "$EXIT $(told .state)" "0 released"
check "in the kernel" free
check "nothing is left" nothing_left

order contain stream.service
is "a unit is found by its cgroup" "$EXIT $(told .state) $(told '.targets[0].cgroup')" "0 contained $base/stream.service"
like "and the receipt says that no systemd was asked" "$(told .flags)" no-systemd
check "in the kernel" held
order release --key "$T/bob"
is "it is released" "$EXIT $(told .state)" "0 released"
check "in the kernel" free
order contain "cgroup:$base/agent"
is "the agent's own cgroup is refused" "$EXIT $(told .reasons)" "3 protected"
order contain "cgroup:$base"
is "and the one above" "$EXIT $(told .reasons)" "3 protected"
check "both answer" answers
check "nothing is left" nothing_left
kill "$CORE" "$GATE" 2>/dev/null
gone() { ! kill -0 "$CORE" && ! kill -0 "$GATE"; }
check "both end when they are told to" until_true 60 gone

done_testing
