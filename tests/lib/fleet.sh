# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Several hosts in boxes, a desk from which people command them, and a broker between that carries or lies. Sourced after box.sh, held.sh
# and nats.sh. The hosts are at 10.77.0.2, .3, ..., the broker, the desk and the listeners of the beacons at 10.77.0.1; there is no other way
# between them than the broker.
#
#   fleet_boot B NAME...          boots hosts with what is built under B, each with its beacon and connected to 10.77.0.1
#   fleet_again NAME              boots one again after box_halt or box_crash
#   fleet_people NAME...          makes ssh keys, at the desk only
#   desk ARG...                   freezectl as people at the desk run it; DESK is their directory and holds trust.json and hosts
#   fleet_follow NAME             enrols the host in DESK/trust.json; its key is DESK/NAME.pub then, and a line of DESK/hosts
#   fleet_enroll [OPTION...]      makes the trust root of a fleet "test", which alice and bob sign, and enrols all hosts in it
#   fleet_broker                  starts nats-server at 10.77.0.1:4223, and what may lie in front of it at :4222
#   fleet_herald KEY              starts a herald, behind what may lie, with DESK/KEY-herald for its state; its pid is in BOX_PID
#   fleet_relay NAME              gives the host its relay.json, for :4222, and starts its relay
#   fleet_lies NAME [WORD...]     from now on that is done to what the host hears (nats_between.py); the name "desk" is the people
#   fleet_address NAME            the host's address
#   fleet_token NAME              its name in subjects
#   fleet_relay_says NAME FILTER  what jq finds in its relay's state

FLEET_HOSTS=()
FLEET_B=
DESK=
BETWEEN_PID=
declare -A FLEET_TOKENS=()

fleet_number() {
        local i
        for i in "${!FLEET_HOSTS[@]}"; do [ "${FLEET_HOSTS[i]}" != "$1" ] || echo $((i + 2)); done
}

fleet_address() {
        if [ "$1" = desk ]; then echo 10.77.0.1; else echo "10.77.0.$(fleet_number "$1")"; fi
}

fleet_token() {
        echo "${FLEET_TOKENS[$1]}"
}

# All cables end in the network namespace outside of the first host. Both ends say who is at the other one: there is nobody else to ask.
fleet_plug() {
        local n leader ns
        n=$(fleet_number "$1")
        ns=$(cat "$(box_dir "${FLEET_HOSTS[0]}")/netns")
        leader=$(box_leader "$1") || return
        ip link add "outside$n" netns "$ns" type veth peer name host0 netns "$leader" || return
        ip -n "$ns" address add 10.77.0.1 peer "10.77.0.$n" dev "outside$n"
        ip -n "$ns" link set "outside$n" up
        box_run "$1" ip address add "10.77.0.$n" peer 10.77.0.1 dev host0
        box_run "$1" ip link set host0 up
        box_until 60 box_is_plugged "$1" || box_fail "host0 of $1 has no carrier"
}

# The first host's cable would have all of 10.77.0.0/24 at its end.
fleet_switch() {
        local ns=box-${FLEET_HOSTS[0]}-$$
        ip netns add "$ns" && ip -n "$ns" link set lo up && ip -n "$ns" address add 10.77.0.1/32 dev lo || return
        echo "$ns" >"$(box_dir "${FLEET_HOSTS[0]}")/netns"
}

fleet_beacon() {
        local name=$1 dir port
        dir=$(box_dir "$name")
        port=$((7000 + $(fleet_number "$name")))
        box_put "$name" "$BOX_LIB/beacon.py" /usr/local/bin/beacon 0755
        sed "s/^ExecStart/Environment=BEACON_PORT=$port\n&/" "$BOX_LIB/beacon.service" >"$dir/beacon.service"
        box_put "$name" "$dir/beacon.service" /etc/systemd/system/beacon.service
        box_listen "${FLEET_HOSTS[0]}" /usr/bin/python3 "$BOX_LIB/sink.py" 10.77.0.1 "$port" "$dir/sink"
        box_until 60 test -s "$dir/sink" || box_fail "the sink of $name did not start" || return
        box_run "$name" systemctl daemon-reload && box_run "$name" systemctl start beacon.service || return
        box_until 60 box_is_sinking "$name" || box_fail "nothing of the beacon of $name arrived"
}

fleet_boot() {
        local name
        FLEET_B=$(realpath "$1")
        shift
        FLEET_HOSTS=("$@")
        rootfs_path >/dev/null || return
        for name; do
                box_create "$name" && box_install "$name" "$FLEET_B" && box_boot "$name" || return
                [ "$name" != "$1" ] || fleet_switch || return
                fleet_plug "$name" && fleet_beacon "$name" || return
        done
        DESK=$(box_dir "$1")/desk
        mkdir -p "$DESK/lies" || return
        BOX_ENV_DESK=("${BOX_ENV[@]}" HOME="$DESK")
}

# The beacon first: what comes over the cable may be an order that keeps it from being started.
fleet_again() {
        box_boot "$1" && box_run "$1" systemctl start beacon.service && fleet_plug "$1"
}

fleet_people() {
        local name
        for name; do ssh-keygen -q -t ed25519 -N "" -C "$name" -f "$DESK/$name" || return; done
}

desk() {
        (cd "$DESK" && box_outside "${FLEET_HOSTS[0]}" env -i "${BOX_ENV_DESK[@]}" "$FLEET_B/freezectl" "$@")
}

fleet_follow() {
        box_put "$1" "$DESK/trust.json" /root/trust.json && box_run "$1" freezectl enroll /root/trust.json >/dev/null || return
        cp "$(box_root "$1")/var/lib/freezed/host_key.pub" "$DESK/$1.pub" || return
        sed "s/^/$1 /" "$DESK/$1.pub" >>"$DESK/hosts"
        FLEET_TOKENS[$1]=$(ssh-keygen -lf "$DESK/$1.pub" | awk '{ print $2 }' | sed 's/^SHA256://; y/+\//-_/')
        HOST=$1 box_until 60 core_is_up
}

fleet_enroll() {
        local name
        desk trust init --fleet test --responder alice=alice.pub --responder bob=bob.pub "$@" --key alice --key bob --out trust.json >/dev/null || return
        for name in "${FLEET_HOSTS[@]}"; do fleet_follow "$name" || return; done
}

fleet_between_is_up() {
        box_outside "${FLEET_HOSTS[0]}" python3 -c 'import socket; socket.create_connection(("10.77.0.1", 4222), 1)'
}

fleet_broker() {
        NATS_PORT=4223
        nats_start "${FLEET_HOSTS[0]}" || return
        box_listen "${FLEET_HOSTS[0]}" python3 -B "$BOX_LIB/nats_between.py" 10.77.0.1 4222 4223 "$DESK/lies"
        BETWEEN_PID=$BOX_PID
        box_until 60 fleet_between_is_up || box_fail "what is in front of the broker did not start"
}

fleet_herald() {
        box_listen "${FLEET_HOSTS[0]}" env -i "${BOX_ENV_DESK[@]}" "$FLEET_B/freezectl" fleet head --nats nats://10.77.0.1:4223 --trust "$DESK/trust.json" \
                --key "$DESK/$1" --state-dir "$DESK/$1"
}

fleet_relay() {
        printf '{"v":1,"servers":["nats://10.77.0.1:4222"],"spread_s":0}' >"$DESK/relay.json"
        box_put "$1" "$DESK/relay.json" /etc/freezed/relay.json
        box_run "$1" systemctl start freezed-relay
}

fleet_relay_says() {
        box_run "$1" cat /run/freezed-relay/state.json 2>/dev/null | jq -r "$2"
}

fleet_lies() {
        local file
        file=$DESK/lies/$(fleet_address "$1")
        shift
        # as a whole: nobody reads half a word
        echo "$*" >"$file.new" && mv "$file.new" "$file"
}
