#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh B: one service is contained on a real host, proven, released by two people, and what it knew is opened. Each step says what is
# to be seen, does it as a person at a terminal would, and checks it from outside the agent: at the listener, in the heartbeat, in the
# kernel's files. The first step that is not as said ends the demo with status 1.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: demo.sh BUILD}
if [ "$(id -u)" -ne 0 ]; then exec sudo --preserve-env=FREEZED_CACHE "$0" "$@"; fi
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/story.sh
. tests/lib/story.sh
CTL=$(realpath "$B/freezectl")

# ctl WANTED_EXIT ARG...: runs freezectl as the responder would, shows command and answer, and checks the exit status
ctl() {
        shown "$ freezectl ${*:2}" "$1" box_run host freezectl "${@:2}"
}

there() {
        cd "$(box_dir host)/elsewhere" && "$CTL" "$@" --hosts-file known
}

# elsewhere WANTED_EXIT ARG...: the same on another machine, which is not the host and has the forensics people's secret key
elsewhere() {
        shown "elsewhere$ freezectl ${*:2}" "$1" there "${@:2}"
}

unit_cgroup() {
        echo "$(box_cgroup host)/system.slice/beacon.service"
}

is_frozen() {
        grep -q 'frozen 1' "$(unit_cgroup)/cgroup.events"
}

attached() {
        bpftool cgroup show "$(unit_cgroup)" 2>/dev/null | grep -c isolate_
}

# Neither a beat nor a byte for 400 ms, eight beats long.
is_still() {
        local beats sunk
        beats=$(box_beats host) sunk=$(box_sunk host)
        sleep 0.4
        [ "$(box_beats host)" = "$beats" ] && [ "$(box_sunk host)" = "$sunk" ]
}

is_alive() {
        local beats=$1 sunk=$2
        [ "$(box_beats host)" -gt "$beats" ] && [ "$(box_sunk host)" -gt "$sunk" ]
}

# alive_again: beats and streams
alive_again() {
        box_until 60 is_alive "$(box_beats host)" "$(box_sunk host)"
}

step "A disposable host boots: systemd, the agent's units from 'make install', a service that beats and streams"
rootfs_path >/dev/null || fail "the host's disk could not be made"
box_create host && box_install host "$B" && box_boot host && box_net host || fail "the host did not boot"
box_beacon host || fail "the beacon does not stream"
box_run host systemctl is-active --quiet freezed.service freezed-gate.socket || fail "the agent's units are not active"
proof "beacon.service has beaten $(box_beats host) times and sent $(box_sunk host) bytes to a listener in another network namespace"

step "Who may order what: two responders and one automation key, from ssh-keygen; the host is enrolled"
box_sh host 'cd /root && for n in alice bob automation mallory; do ssh-keygen -q -t ed25519 -N "" -C "$n" -f "$n" || exit 1; done' ||
        fail "ssh-keygen"
ctl 0 trust init --fleet demo --responder alice=/root/alice.pub --responder bob=/root/bob.pub \
        --automation watchtower=/root/automation.pub --recipient "$AGE_RECIPIENT" --key /root/alice --key /root/bob --out /root/trust.json
ctl 0 enroll /root/trust.json
box_until 60 box_run host freezectl health >/dev/null 2>&1
ctl 0 health
says "egress"
proof "every layer in the table was tried by attaching it to a cgroup of the agent's own; what no layer covers is listed too"

step "A plan changes nothing"
ctl 0 plan contain beacon.service --key /root/alice --severity P0 --reason "beacon talks to a stranger"
[ "$(attached)" -eq 0 ] && ! is_frozen || fail "the plan changed something"
alive_again || fail "the beacon stopped"
proof "no program is attached, nothing is frozen, the beacon goes on"

step "One person contains it"
ctl 0 contain beacon.service --key /root/alice --severity P0 --incident SA-20261120-001 --reason "beacon talks to a stranger" \
        --out /root/contain.json
ctl 0 send /root/contain.json
says "CONTAINED"
is_frozen || fail "the kernel does not say frozen"
is_still || fail "the beacon still beats or streams"
box_until 10 grep -q '^resets=[1-9]' "$(box_dir host)/sink" || fail "the listener saw no reset"
proof "kernel: frozen 1, $(attached) programs on the cgroup; listener: connection reset, then silence; heartbeat: silence"
folder=$(box_run host find /var/lib/freezed/evidence -name manifest-sha256.txt -printf '%h\n' | head -n 1)
[ -n "$folder" ] || fail "no evidence"
box_sh host "cd '$folder' && sha256sum --quiet -c manifest-sha256.txt tagmanifest-sha256.txt &&
        openssl pkeyutl -verify -pubin -inkey /var/lib/freezed/host_key.pem -rawin -in tagmanifest-sha256.txt -sigfile tagmanifest-sha256.txt.sig" ||
        fail "the evidence does not verify"
proof "evidence: sha256sum and openssl verify $(box_sh host "wc -l <'$folder/manifest-sha256.txt'") sealed files"

step "The same signed file again, and four that must be refused"
ctl 0 send /root/contain.json
says "duplicate"
box_sh host 'sed "s/\"payload\":\"eyJ/\"payload\":\"eyK/" /root/contain.json >/root/forged.json'
ctl 3 send /root/forged.json
says "bad-signature"
ctl 3 contain beacon.service --key /root/mallory --severity P0 --reason "let me in"
says "untrusted-signer"
ctl 0 contain beacon.service --key /root/alice --severity P0 --reason "too late" --expires 1s --out /root/late.json
sleep 1.5
ctl 3 send /root/late.json
says "expired"
ctl 3 contain beacon.service --key /root/alice --severity P0 --reason "another fleet's order" --fleet staging
says "wrong-fleet"
HOLD=$(box_run host freezectl status --json | jq -r 'select(.report) | .report.holds[0].id')
[ -n "$HOLD" ] || fail "status does not list the hold"
ctl 0 release "$HOLD" --key /root/automation --reason "all clear" --yes --out /root/auto-release.json
ctl 3 send /root/auto-release.json
says "wrong-role"
is_frozen && is_still || fail "something of that changed the hold"
proof "one duplicate, five refusals, each with its own reason; the hold is untouched"

step "The agent is killed"
pid=$(box_run host systemctl show -p MainPID --value freezed.service)
box_run host kill -KILL "$pid"
is_frozen && is_still || fail "the hold ended with the agent"
box_until 60 box_run host freezectl health >/dev/null || fail "the agent did not come back"
[ "$(box_run host systemctl show -p MainPID --value freezed.service)" != "$pid" ] || fail "it is the same process"
ctl 0 status
says "contained"
is_frozen && is_still || fail "the hold ended with the restart"
proof "contained throughout; what status says was read from the kernel by the new process"

step "Release: one person is not enough, two are"
ctl 0 release "$HOLD" --key /root/alice --reason "patched and reviewed" --out /root/release.json
ctl 3 send /root/release.json
says "1 of 2"
is_frozen && is_still || fail "one signature was enough"
ctl 0 approve /root/release.json --key /root/bob --yes
beats=$(box_beats host) sunk=$(box_sunk host)
ctl 0 send /root/release.json
says "RELEASED"
box_until 60 is_alive "$beats" "$sunk" || fail "the beacon did not come back"
[ "$(attached)" -eq 0 ] || fail "programs are still attached"
[ -z "$(box_run host ls /sys/fs/bpf/freezed | grep -xE '[0-9a-f]{32}')" ] || fail "pins are left"
proof "it beats and streams again; no program, no pin is left"

step "What it knew: listed and verified on the host, which cannot open it; exported, and opened where the secret key is"
ctl 0 evidence list
says "$HOLD"
ctl 0 evidence verify "$HOLD"
says "WHOLE"
ctl 0 evidence export "$HOLD" --out /root/case
mkdir "$(box_dir host)/elsewhere" && cp -r "$(box_root host)/root/case" "$(box_dir host)/elsewhere/case" || fail "the export cannot be carried"
box_sh host 'cat /etc/freezed/hosts' >"$(box_dir host)/elsewhere/known"
printf '%s\n' "$AGE_IDENTITY" >"$(box_dir host)/elsewhere/key.txt"
elsewhere 0 evidence verify case/
says "by the proof in the folder"
elsewhere 0 evidence export case/ --identity key.txt --out opened
says "OPENED"
opened=$(box_dir host)/elsewhere/opened
(cd "$opened" && sha256sum --quiet -c manifest-sha256.txt tagmanifest-sha256.txt) || fail "what was opened does not verify"
cores=("$opened"/data/cores/*.core)
grep -q "beacon" "${cores[0]}" || fail "its memory is not there"
grep -qs '"message":' "$opened/data/timeline.timesketch.jsonl" || fail "there is no timeline"
box_sh host 'cd /root/case/data/evidence && ! grep -lr "BEACON_PORT" data' || fail "the host can read what is sealed"
proof "$(find "$opened/data/objects" -type f | wc -l) objects in the clear, among them the memory of ${#cores[@]} process for gdb, $(wc -l <"$opened/data/timeline.timesketch.jsonl") lines of a timeline; on the host the same is sealed"
echo "one more bit" >>"$(find "$(box_dir host)/elsewhere/case/data/evidence/data" -type f | head -n 1)"
elsewhere 3 evidence verify case/
says "CHANGED"
proof "one changed file, and it is no evidence any more"

step "Automation may hold for a while, and the hold ends by itself"
ctl 0 contain beacon.service --key /root/automation --severity P0 --lease 30s --reason "detection rule 4711"
says "CONTAINED"
LEASED=$(box_run host freezectl status --json | jq -r 'select(.report) | .report.holds[0].id')
is_frozen && is_still || fail "it is not held"
beats=$(box_beats host) sunk=$(box_sunk host)
box_until 120 is_alive "$beats" "$sunk" || fail "the lease did not end"
box_until 60 box_sh host "freezectl status $LEASED | grep -q -i lapsed"
ctl 0 status "$LEASED"
says "lapsed"
proof "the lease ran out, the beacon is back, the receipt says lapsed"

step "Health"
ctl 0 health
printf '\n%sAll %d steps are as said.%s\n' "$BOLD" "$STEP" "$PLAIN"
