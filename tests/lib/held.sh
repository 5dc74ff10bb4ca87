# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2120
#
# What the suites about holds have in common: one box with the agent, a beacon, people with keys, and what the kernel says. Sourced after
# box.sh. The box is the one that HOST names.
#
#   held_boot B [TRUST_OPTION...]  boots HOST with what is built under B, its beacon and an enrolled trust root of alice, bob (responders)
#   run CMD ARG...                 in the box
#   order VERB ARG...              as alice; EXIT is freezectl's status, ANSWER all it printed (JSON), RECEIPT the last receipt's payload
#   release [ARG...]               as alice and bob
#   told FILTER                    what jq finds in RECEIPT, reasons and flags as one line of words
#   state                          the receipt's state
#   status [ARG...]                asks; sets REPORT, EXIT and ANSWER
#   holds FILTER                   what jq finds in each hold of REPORT
#   hold_id                        the id of the newest hold
#   cgroup_of UNIT                 its cgroup, as this machine sees it
#   frozen / links [UNIT]          what the kernel's files and bpftool say of it
#   held / alive [UNIT]            the beacon: frozen, isolated, no beat and no byte for 300 ms; the contrary
#   core_is_up                     the agent answers
#   agent_stop / agent_start       core, gate and their sockets; until it answers
#   nothing_left                   no pin of a hold, no program and no frozen cgroup anywhere in the box

HOST=host
# how many programs isolate a cgroup
HOOKS=$(grep -cE '^ +X\([A-Z0-9]+, ".*(CALLS|PACKETS)\)' bpf/isolate_abi.h)
UNIT=beacon.service
INCIDENT=SA-20261120-030

run() {
        box_run "$HOST" "$@"
}

ask() {
        ANSWER=$(run freezectl "$@" 2>&1)
        EXIT=$?
}

order() {
        ask "$@" --incident "$INCIDENT" --reason test --key /root/alice --yes --json
        RECEIPT=$(jq -R -c 'fromjson? | select(.receipt) | .receipt' <<<"$ANSWER" | tail -n 1)
}

release() {
        order release --key /root/bob "$@"
}

told() {
        jq -r "$1 | if type == \"array\" then join(\" \") else . end" <<<"$RECEIPT"
}

state() {
        told .state
}

status() {
        ask status --json "$@"
        REPORT=$(jq -R -c 'fromjson? | select(.report) | .report' <<<"$ANSWER" | tail -n 1)
}

holds() {
        jq -r ".holds[] | $1 | if type == \"array\" then join(\" \") else . end" <<<"$REPORT"
}

hold_id() {
        status
        jq -r '.holds | max_by(.made_ms) | .id' <<<"$REPORT"
}

cgroup_of() {
        echo "$(box_cgroup "$HOST")/system.slice/${1:-$UNIT}"
}

frozen() {
        grep -qx 'frozen 1' "$(cgroup_of "$@")/cgroup.events"
}

# how many of our programs the kernel has on it
links() {
        bpftool cgroup show "$(cgroup_of "$@")" 2>/dev/null | grep -c isolate_
}

is_isolated() {
        [ "$(links "$@")" -eq "$HOOKS" ]
}

is_still() {
        local beats sunk
        beats=$(box_beats "$HOST") sunk=$(box_sunk "$HOST")
        sleep 0.3
        [ "$(box_beats "$HOST")" = "$beats" ] && [ "$(box_sunk "$HOST")" = "$sunk" ]
}

held() {
        frozen && is_isolated && is_still
}

# who has only just been started has no heartbeat to begin with, and counts from one again
has_moved() {
        local beats
        beats=$(box_beats "$HOST" 2>/dev/null)
        [ -n "$beats" ] && [ "$beats" != "$1" ] && [ "$(box_sunk "$HOST")" -gt "$2" ]
}

alive() {
        ! frozen && [ "$(links)" -eq 0 ] && box_until 60 has_moved "$(box_beats "$HOST" 2>/dev/null)" "$(box_sunk "$HOST")"
}

core_is_up() {
        run freezectl health --json 2>/dev/null | grep -q '"report":'
}

agent_stop() {
        run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service
}

agent_start() {
        run systemctl start freezed-core.socket freezed.service freezed-gate.socket freezed-gate.service && box_until 60 core_is_up
}

nothing_left() {
        local cgroup
        cgroup=$(box_cgroup "$HOST")
        [ -z "$(run ls /sys/fs/bpf/freezed | grep -xE '[0-9a-f]{32}')" ] && ! bpftool cgroup tree "$cgroup" 2>/dev/null | grep isolate_ &&
                ! grep -rlx --include=cgroup.events 'frozen 1' "$cgroup"
}

held_enroll() {
        box_sh "$HOST" 'cd /root && freezectl trust init --fleet test --responder alice=alice.pub --responder bob=bob.pub --recipient '"$AGE_RECIPIENT"' --key alice --key bob --out trust.json "$@" &&
                freezectl enroll trust.json' "$@" >/dev/null || return
        box_until 60 core_is_up
}

held_boot() {
        local b=$1
        shift
        rootfs_path >/dev/null || return
        box_create "$HOST" && box_install "$HOST" "$b" && box_boot "$HOST" && box_net "$HOST" && box_beacon "$HOST" || return
        box_sh "$HOST" 'cd /root && for k in alice bob; do ssh-keygen -q -t ed25519 -N "" -f $k || exit 1; done' || return
        held_enroll "$@"
}
