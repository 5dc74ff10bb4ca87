# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Hosts by the thousand on the loopback, for a suite and for the bench: tests/bench/fleet_sim. Sourced after nats.sh; ends with the script.
#
#   sim_begin B                    a directory in memory (SIM_DIR) with people and a trust root, of which alice may order, rita certify
#   sim_hosts FROM COUNT GROUP     makes hosts, and their lines in SIM_DIR/inventory.jsonl
#   sim_start NAME FROM COUNT SPREAD_S   they connect to the server at NATS_PORT, in a process of that name
#   sim_ready NAME SECONDS         waits until all of them are connected, once more than at the last call
#   sim_tell NAME LINE             a line of fleet_sim's input
#   sim_counters NAME              what it says it has done, in SIM_SAID
#   sim_stop NAME
#   sim_order VERB ARG...          freezectl as alice over NATS_URL. EXIT, ANSWER (its lines of JSON, a file) and SUMMARY

declare -A SIM_FD SIM_PID SIM_READY
SIM_DIR=

sim_begin() {
        SIM_B=$(realpath "$1")
        SIM_DIR=$(mktemp -d /tmp/fleet.XXXXXX) || return
        box_at_exit 'sim_end'
        mount -t tmpfs -o mode=0700 fleet "$SIM_DIR" && mkdir "$SIM_DIR/hosts" && ANSWER=$SIM_DIR/answer || return
        local who
        for who in alice bob rita hera; do ssh-keygen -q -t ed25519 -N '' -C "$who" -f "$SIM_DIR/$who" || return; done
        (cd "$SIM_DIR" && "$SIM_B/freezectl" trust init --fleet bench --responder alice=alice.pub --responder bob=bob.pub --registrar rita=rita.pub \
                --herald hera=hera.pub --key alice --key bob --out trust.json >/dev/null)
}

sim_end() {
        local name
        for name in "${!SIM_PID[@]}"; do sim_stop "$name"; done
        [ -n "$SIM_DIR" ] || return 0
        umount "$SIM_DIR"
        rmdir "$SIM_DIR"
        SIM_DIR=
}

sim_hosts() {
        "$SIM_B/bench/fleet_make" "$SIM_DIR/trust.json" "$SIM_DIR/rita" "$SIM_DIR/hosts" "$@" >>"$SIM_DIR/inventory.jsonl"
}

# The pipe is opened for both ways: neither opening it nor writing to it waits for a program that is not there.
sim_start() {
        local name=$1 fd
        rm -rf "$SIM_DIR/$name.in" "$SIM_DIR/hosts/ledger.$2"
        mkfifo "$SIM_DIR/$name.in" && exec {fd}<>"$SIM_DIR/$name.in" || return
        "$SIM_B/bench/fleet_sim" "$NATS_PORT" "$SIM_DIR/trust.json" "$SIM_DIR/hosts" "$2" "$3" "$4" <"$SIM_DIR/$name.in" >"$SIM_DIR/$name.out" \
                2>"$SIM_DIR/$name.err" {fd}>&- &
        SIM_PID[$name]=$!
        disown
        SIM_FD[$name]=$fd
        SIM_READY[$name]=0
}

sim_is_ready() {
        [ "$(grep -c '^{"ready"' "$SIM_DIR/$1.out")" -gt "${SIM_READY[$1]}" ]
}

sim_ready() {
        box_until "$2" sim_is_ready "$1" || { cat "$SIM_DIR/$1.err" >&2; return 1; }
        SIM_READY[$1]=$(grep -c '^{"ready"' "$SIM_DIR/$1.out")
}

sim_tell() { echo "$2" >&"${SIM_FD[$1]}"; }

sim_has_said() { [ "$(grep -c '^{"counters"' "$SIM_DIR/$1.out")" -gt "$2" ]; }

sim_counters() {
        local before
        before=$(grep -c '^{"counters"' "$SIM_DIR/$1.out")
        sim_tell "$1" counters
        box_until 60 sim_has_said "$1" "$before" || return
        SIM_SAID=$(grep '^{"counters"' "$SIM_DIR/$1.out" | tail -n 1)
}

sim_is_gone() { ! kill -0 "${SIM_PID[$1]}" 2>/dev/null; }

sim_stop() {
        local fd=${SIM_FD[$1]}
        kill -KILL "${SIM_PID[$1]}" 2>/dev/null
        box_until 60 sim_is_gone "$1"
        exec {fd}>&-
        unset "SIM_PID[$1]" "SIM_FD[$1]"
}

sim_order() {
        # what freezectl leaves for who goes on with it is left there
        (cd "$SIM_DIR" && exec "$SIM_B/freezectl" "$@" --trust "$SIM_DIR/trust.json" --inventory "$SIM_DIR/inventory.jsonl" --key "$SIM_DIR/alice" --incident SA-20261121-086 \
                --severity P0 --reason test --nats "$NATS_URL" --yes --json </dev/null >"$ANSWER" 2>"$ANSWER.err")
        EXIT=$?
        SUMMARY=$(tail -n 1 "$ANSWER" | jq -c .summary)
}
