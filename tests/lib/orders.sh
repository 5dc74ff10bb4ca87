# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # ANSWER, ID and RECEIPT are for the suites
#
# Giving orders to a host in a box and looking at what they did, for suites that do little else. To be sourced after box.sh; the box is
# called "host".
#
#   orders_boot B                     makes (unless it is there), installs, boots and connects the box; alice and bob are responders, dave and erin custodians,
#   service NAME PORT [LINE...]       starts NAME.service, a beacon that streams to PORT outside; LINE go in its [Service]
#   order WHO[,WHO] VERB ARG...       freezectl VERB ARG..., signed by these people. ANSWER is the state and the reasons, ID the order's
#                                     id, RECEIPT the receipt
#   order_send FILE                   the same for a signed file of the box
#   order_file WHO[,WHO] FILE VERB ARG...   signs, writes FILE in the box and sends nothing; ID is the order's id
#   receipt FILTER                    what jq says of RECEIPT
#   cgroup_of NAME                    its cgroup as this machine sees it
#   look NAME                         prints what NAME is like from outside the agent, in one word:
#                                         free       neither frozen nor isolated: beats and streams
#                                         permitted  programs are in force, and it beats and streams all the same
#                                         isolated   programs are in force: beats, but nothing arrives
#                                         frozen     the kernel says frozen, no program is in force: neither beats nor streams
#                                         contained  frozen and isolated, neither beats nor streams
#                                     or, when the kernel says one thing and the beacon does another, what each of them says
#   looks 'SENTENCE' NAME WORD        a case: it is so now
#   turns 'SENTENCE' NAME WORD        a case: it is so within a minute

LOOK_S=0.25

declare -A SERVICE_CGROUP=()

orders_boot() {
        { [ -d "$(box_root host)" ] || box_create host; } && box_install host "$1" && box_boot host && box_net host || return
        box_put host "$BOX_LIB/beacon.py" /usr/local/bin/beacon 0755
        box_sh host 'cd /root && for k in alice alice2 bob robot mallory dave erin; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done &&
                freezectl trust init --fleet test --responder alice=alice.pub --person alice=alice2.pub --responder bob=bob.pub \
                        --automation robot=robot.pub --custodian dave=dave.pub --custodian erin=erin.pub --recipient '"$AGE_RECIPIENT"' --key alice --key bob --out trust.json && freezectl enroll trust.json' >/dev/null || return
        box_until 60 box_run host freezectl health
}

service() {
        local name=$1 port=$2 dir
        shift 2
        dir=$(box_dir host)
        printf '%s\n' '[Service]' "ExecStart=/usr/local/bin/beacon" "Environment=BEACON_PORT=$port" "RuntimeDirectory=$name" \
                "BindPaths=/run/$name:/run/beacon" CapabilityBoundingSet= Restart=always RestartSec=100ms "$@" >"$dir/unit"
        box_put host "$dir/unit" "/etc/systemd/system/$name.service"
        box_listen host /usr/bin/python3 "$BOX_LIB/sink.py" 10.77.0.1 "$port" "$dir/sink.$name"
        box_run host systemctl daemon-reload && box_run host systemctl start "$name.service" || return
        SERVICE_CGROUP[$name]=$(box_run host systemctl show -P ControlGroup "$name.service")
        box_until 60 is_streaming "$name" || box_fail "nothing of $name arrived"
}

is_streaming() {
        [ "$(sunk "$1")" -gt 0 ]
}

sunk() {
        sed -n 's/^bytes=//p' "$(box_dir host)/sink.$1"
}

beats() {
        tail -n 1 "$(box_live host)/run/$1/heartbeat"
}

cgroup_of() {
        echo "$(box_cgroup host)${SERVICE_CGROUP[$1]}"
}

with_keys() {
        local who
        KEYS=()
        for who in ${1//,/ }; do
                KEYS+=(--key "/root/$who")
        done
}

# The last receipt counts; a refusal by the gate is no receipt; else it is whatever freezectl said.
order_said() {
        { read -r ANSWER; read -r ID; read -r RECEIPT; } < <(jq -rs '(map(.receipt | values) | last // {}) as $r | map(.refused | values) as $gate |
                if $r.state then ([$r.state] + $r.reasons | join(" ")) else "refused \($gate[0] // empty)" end, $r.id, ($r | tojson)' <<<"$1" 2>/dev/null)
        ANSWER=${ANSWER:-$1}
}

receipt() {
        jq -r "$1" <<<"$RECEIPT"
}

order() {
        with_keys "$1"
        shift
        order_said "$(box_run host freezectl "$@" "${KEYS[@]}" --reason test --yes --json 2>&1 </dev/null)"
}

order_send() {
        order_said "$(box_run host freezectl send "$1" --json 2>&1 </dev/null)"
}

order_file() {
        local file=$2
        with_keys "$1"
        shift 2
        ID=$(box_run host freezectl "$@" "${KEYS[@]}" --reason test --yes --out "$file" --json </dev/null | jq -r .summary.id)
}

# has_more beats|sunk NAME COUNT
has_more() {
        [ "$("$1" "$2")" -gt "${3:-0}" ]
}

look() {
        local cgroup beats sunk frozen programs
        cgroup=$(cgroup_of "$1")
        beats=$(beats "$1") sunk=$(sunk "$1")
        sleep "$LOOK_S"
        frozen=$(sed -n 's/^frozen //p' "$cgroup/cgroup.events")
        programs=$(bpftool cgroup show "$cgroup" effective | grep -c isolate_)
        # who may run does so when a busy machine lets him
        if [ "$frozen" = 0 ]; then
                box_until 10 has_more beats "$1" "$beats"
                [ "$programs" -gt 0 ] || box_until 10 has_more sunk "$1" "$sunk"
        fi
        beats=$(($(beats "$1") - beats)) sunk=$(($(sunk "$1") - sunk))
        case $frozen,$((programs > 0)),$((beats > 0)),$((sunk > 0)) in
                0,0,1,1) echo free ;;
                0,1,1,1) echo permitted ;;
                0,1,1,0) echo isolated ;;
                1,0,0,0) echo frozen ;;
                1,1,0,0) echo contained ;;
                *) echo "frozen $frozen, $programs programs, $beats beats, $sunk bytes" ;;
        esac
}

looks() {
        is "$1" "$(look "$2")" "$3"
}

looks_like() {
        LOOK=$(look "$1")
        [ "$LOOK" = "$2" ]
}

turns() {
        box_until 60 looks_like "$2" "$3"
        is "$1" "$LOOK" "$3"
}
