# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The agent in a box: what a responder does there, and what can be seen of it without asking the agent. Sourced after box.sh.
#
#   agent_box NAME B        boots a fresh host with the agent of build B, the network of box_net, and makes it the current one ($H). Fleet
#                           "test": alice and bob respond, robot is automation; their keys are /root/NAME in the box, mallory's too
#   ctl ARG...              freezectl in the current box. $SAID is all that it said; its exit status is freezectl's
#   ask ARG...              the same with --json; $SAID is its objects as one: {"class","receipt" or "report","refused","text","summary"}
#   said FILTER             what jq finds in $SAID
#   order VERB WORD...      asks for VERB, signed by each of $AS (alice), with a severity and a reason
#   release HOLD...         the same for a release by alice and bob
#   sign FILE VERB WORD...  as order, but the signed file is put at /root/FILE and nothing is sent
#   state                   prints the state in the receipt of $SAID; of a refusal its reason, of no answer the class
#   hold_of UNIT            prints the ids of the active holds that name it
#   agent_is_up             it answers
#   agent_kill              SIGKILL to the core; returns when its successor answers
#
# The kernel's word. PATH is a cgroup below the box's root, as in system.slice/beacon.service.
#
#   cgroup PATH             prints its path as this machine sees it
#   is_frozen PATH
#   hooks PATH              prints how many programs of ours are attached to it
#   is_held PATH            frozen, and all eight programs are attached
#   is_free PATH            neither, and not asked to freeze
#   ours                    prints whatever of the agent's is in force in the box: attached programs, pins, frozen cgroups
#   is_still                the beacon neither beats nor streams, for three beats
#   lives                   it beats and streams, within five seconds

HOOKS=8
BEACON=system.slice/beacon.service

agent_box() {
        H=$1
        box_create "$H" && box_install "$H" "$2" && box_boot "$H" && box_net "$H" || return
        box_sh "$H" 'cd /root && for n in alice bob robot mallory; do ssh-keygen -q -t ed25519 -N "" -C "$n" -f "$n" || exit 1; done' || return
        agent_enroll
}

# agent_enroll ARG...: makes a trust root, with more arguments for `trust init`, and has the host follow it.
agent_enroll() {
        box_run "$H" freezectl trust init --fleet test --responder alice=/root/alice.pub --responder bob=/root/bob.pub \
                --automation robot=/root/robot.pub --key /root/alice --key /root/bob --out /root/trust.json "$@" >/dev/null &&
                box_run "$H" freezectl enroll /root/trust.json >/dev/null && agent_is_up
}

# Whatever it has to report. Not health, for which it attaches programs to try them.
agent_is_up() {
        box_run "$H" freezectl status --timeout 5s --json 2>/dev/null | grep -q '"class":"verified"'
}

core_pid() {
        box_run "$H" systemctl show -P MainPID freezed.service
}

agent_kill() {
        local pid
        pid=$(core_pid)
        # 0 is no process to a unit that has none, and this very process group to kill
        [ "${pid:-0}" -gt 1 ] && box_run "$H" kill -KILL "$pid" && box_until 10 agent_is_up
}

ctl() {
        SAID=$(box_run "$H" freezectl "$@" 2>&1 </dev/null)
}

ask() {
        local status
        SAID=$(box_run "$H" freezectl "$@" --json 2>/dev/null </dev/null)
        status=$?
        SAID=$(jq -cs 'add // {}' <<<"$SAID")
        return "$status"
}

said() {
        jq -r "$1" <<<"$SAID"
}

state() {
        said 'if .receipt.state == "refused" then .receipt.reasons[0] else .receipt.state // .refused // .class // "silent" end'
}

# The options that make a signature: by whom, how urgent, why.
signed() {
        local who
        SIGNED=(--severity P0 --reason test --yes)
        for who in ${AS:-alice}; do
                SIGNED+=(--key "/root/$who")
        done
}

order() {
        signed
        ask "$@" "${SIGNED[@]}"
}

sign() {
        local file=/root/$1
        shift
        signed
        box_run "$H" freezectl "$@" "${SIGNED[@]}" --out "$file" >/dev/null
}

release() {
        AS="alice bob" order release "$@"
}

hold_of() {
        box_run "$H" freezectl status --json | jq -r --arg t "$1" 'select(.report) | .report.holds[] | select(any(.targets[]; .target == $t)) | .id'
}

cgroup() {
        echo "$(box_cgroup "$H")/$1"
}

is_frozen() {
        grep -q '^frozen 1' "$(cgroup "$1")/cgroup.events"
}

hooks() {
        bpftool cgroup show "$(cgroup "$1")" 2>/dev/null | grep -c isolate_
}

is_held() {
        is_frozen "$1" && [ "$(hooks "$1")" -eq "$HOOKS" ]
}

is_free() {
        ! is_frozen "$1" && [ "$(cat "$(cgroup "$1")/cgroup.freeze")" = 0 ] && [ "$(hooks "$1")" -eq 0 ]
}

ours() {
        local root
        root=$(box_cgroup "$H")
        bpftool cgroup tree "$root" 2>/dev/null | grep -o 'isolate_.*'
        find "$root" -name cgroup.freeze -exec grep -l 1 {} +
        box_run "$H" find /sys/fs/bpf/freezed -mindepth 1
}

is_still() {
        local beats sunk
        beats=$(box_beats "$H") sunk=$(box_sunk "$H")
        sleep 0.17
        [ "$(box_beats "$H")/$(box_sunk "$H")" = "$beats/$sunk" ]
}

is_past() {
        [ "$(box_beats "$H")" -gt "$1" ] && [ "$(box_sunk "$H")" -gt "$2" ]
}

lives() {
        box_until 5 is_past "$(box_beats "$H")" "$(box_sunk "$H")"
}
