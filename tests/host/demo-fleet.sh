#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# demo-fleet.sh B: three hosts, a desk, and a broker that nobody has to trust. A service is contained on all of them by waves, on one that
# was down when it comes back, and on one from which the broker keeps the order, which notices it. Each step shows what was typed and
# what was answered, and is checked in the kernel of each host. The first one that is not as said ends the demo with status 1.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: demo-fleet.sh BUILD}
if [ "$(id -u)" -ne 0 ]; then exec sudo --preserve-env=FREEZED_CACHE "$0" "$@"; fi
for lib in box held nats fleet story; do
        # shellcheck source=/dev/null
        . "tests/lib/$lib.sh"
done

# ctl WANTED_EXIT ARG...: freezectl at the desk
ctl() {
        shown "$ freezectl ${*:2}" "$1" desk "${@:2}"
}

# by_hand WANTED_EXIT TYPED ARG...: the same at a terminal, where TYPED is typed when it asks for the number of hosts
by_hand() {
        shown "$ freezectl ${*:3}" "$1" at_terminal "${@:2}"
}

at_terminal() {
        cd "$DESK" && box_outside web-1 env -i "${BOX_ENV_DESK[@]}" python3 -B "$BOX_LIB/terminal.py" "go on: =$1" -- "$FLEET_B/freezectl" "${@:2}"
}

# on NAME WANTED_EXIT ARG...: freezectl on that host
on() {
        shown "$1# freezectl ${*:3}" "$2" box_run "$1" freezectl "${@:3}"
}

is_held() { HOST=$1 held; }
is_alive() { HOST=$1 alive; }
# count WHAT NAME...: "N of N" of these are held, or alive
count() {
        local name n=0
        for name in "${@:2}"; do "is_$1" "$name" && n=$((n + 1)); done
        echo "$n of $(($# - 1))"
}
# all WHAT NAME...: every one of them, as the kernel and the listeners say
all() {
        local got
        got=$(count "$@")
        [ "$got" = "$(($# - 1)) of $(($# - 1))" ] || fail "$got $1"
}
relay_is() { [ "$(fleet_relay_says "$1" .state)" = "$2" ]; }
relay_is_of() { [ "$(fleet_relay_says "$1" '.groups | join(" ")')" = "$2" ]; }
relay_misses() { [ "$(fleet_relay_says "$1" .counters.withheld)" -ge 1 ]; }
n_holds() { box_run "$1" freezectl status --json | jq -r '.report // empty | .holds | length'; }
# ids: of the orders that the last answer tells of
ids() { grep -oE '\b[0-9a-f]{32}\b' <<<"$ANSWER" | awk '!seen[$0]++'; }
FLEET=(--nats nats.json --trust trust.json)

# by alice, and then by bob, who sees what waits at the broker
release_by_two() {
        local waits
        # shellcheck disable=SC2086
        ctl 3 release $ORDERS --to group=web "${FLEET[@]}" --key alice --reason "patched and reviewed" --yes
        says "1 of 2"
        waits=$(ids | grep -vxF "$ORDERS" | head -n 1)
        ctl 0 approve "${FLEET[@]}"
        says "$waits"
        ctl 0 approve "$waits" "${FLEET[@]}" --key bob --yes
        by_hand 0 3 send "$waits" "${FLEET[@]}"
        says "3 of 3 hosts verified"
}

step "Three disposable hosts boot, each with a real systemd, the agent, and a service that beats and streams; a broker starts"
fleet_boot "$B" web-1 web-2 web-3 >/dev/null 2>&1 || fail "the hosts did not boot"
fleet_broker || fail "the broker did not start"
all alive "${FLEET_HOSTS[@]}"
proof "3 of 3 beat and stream; between them and the desk there is nats-server, and something in front of it that can lie"

step "Who may order what: responders, a registrar, a herald, from ssh-keygen; each host follows that and no server"
fleet_people alice bob rita harold || fail "ssh-keygen"
ctl 0 trust init --fleet demo --responder alice=alice.pub --responder bob=bob.pub --registrar rita=rita.pub --herald harold=harold.pub \
        --key alice --key bob --out trust.json
for name in "${FLEET_HOSTS[@]}"; do fleet_follow "$name" || fail "$name cannot be enrolled"; done
mkdir -p "$DESK/.config/freezed"
for name in "${FLEET_HOSTS[@]}"; do
        ctl 0 fleet certify --name "$name" --key-file "$name.pub" --group web --key rita --trust trust.json --out "$name.json"
        cat "$DESK/$name.json" >>"$DESK/.config/freezed/inventory.jsonl"
        box_put "$name" "$DESK/$name.json" /root/attributes.json
        on "$name" 0 send /root/attributes.json
done
proof "3 of 3 enrolled, and certified as hosts of the group web"

step "The broker's streams, and each host's relay"
echo '{"v":1,"servers":["nats://10.77.0.1:4222"]}' >"$DESK/nats.json"
ctl 0 fleet setup "${FLEET[@]}"
for name in "${FLEET_HOSTS[@]}"; do fleet_relay "$name"; done
for name in "${FLEET_HOSTS[@]}"; do box_until 60 relay_is_of "$name" web || fail "$name does not hear for its group"; done
proof "3 of 3 relays are ready and hear for the group"

step "A plan: whom would it hit?"
ctl 0 plan contain beacon.service --to group=web "${FLEET[@]}" --key alice --severity P0 --reason "beacon talks to a stranger" --yes
says "3 hosts expected"
all alive "${FLEET_HOSTS[@]}"
proof "nothing changed: 3 of 3 beat and stream"

step "One person contains it by waves: one host first, then the others, each only when every one before is verified"
by_hand 0 3 contain beacon.service --to group=web --wave 1,100% "${FLEET[@]}" --key alice --severity P0 --incident SA-20261121-001 \
        --reason "beacon talks to a stranger"
says "3 of 3 hosts verified"
all held "${FLEET_HOSTS[@]}"
ORDERS=$(ids)
proof "kernel and listeners: $(count held "${FLEET_HOSTS[@]}") frozen and silent"

step "Two people let it go: what the first one signs waits at the broker for the second"
release_by_two
all alive "${FLEET_HOSTS[@]}"
proof "3 of 3 beat and stream again"

step "A host lies down; the others are contained, and it is silent: which is never taken for anything else"
box_halt web-3 || fail "it does not shut down"
ctl 4 contain beacon.service --to group=web --timeout 10s "${FLEET[@]}" --key alice --severity P0 --reason "it is back" --yes
says "2 of 3 hosts verified"
says "1 silent"
ORDERS=$(ids)
all held web-1 web-2
proof "2 of 2 that are up are frozen and silent"

step "It comes back, finds the order in the stream, and is contained; the same order once more asks all how they are"
fleet_again web-3 || fail "web-3 did not boot"
box_until 120 is_held web-3 || fail "web-3 is not held"
by_hand 0 3 send "$ORDERS" "${FLEET[@]}"
says "3 of 3 hosts verified"
proof "3 of 3 are held; the two that were, by the hold that they had: $(n_holds web-1) and $(n_holds web-2) hold"
release_by_two
all alive "${FLEET_HOSTS[@]}"
proof "released by two people: 3 of 3 beat and stream"

step "The broker begins to lie: it keeps an order from web-2, and says that there is none"
fleet_lies web-2 withhold
ctl 4 contain beacon.service --to group=web --timeout 10s "${FLEET[@]}" --key alice --severity P0 --reason "again" --yes
says "2 of 3 hosts verified"
ORDERS=$(ids)
all held web-1 web-3
all alive web-2
ctl 0 fleet head --once "${FLEET[@]}" --key harold --state-dir .
sleep 1
ctl 0 fleet head --once "${FLEET[@]}" --key harold --state-dir .
box_until 60 relay_misses web-2 || fail "web-2 does not know"
shown "web-2# freezectl health | grep -E '^  (head|relay|withheld) '" 0 box_sh web-2 "freezectl health | grep -E '^  (head|relay|withheld) '"
says "withheld     $ORDERS"
proof "noticed on both sides: the desk counts a host as silent, and the herald's signed heads name to that host what it did not get"

step "It stops lying; the next head brings the order, and two people end it all"
fleet_lies web-2
ctl 0 fleet head --once "${FLEET[@]}" --key harold --state-dir .
box_until 120 is_held web-2 || fail "web-2 is not held"
by_hand 0 3 send "$ORDERS" "${FLEET[@]}"
says "3 of 3 hosts verified"
release_by_two
all alive "${FLEET_HOSTS[@]}"
nothing_is_left() { local name; for name in "${FLEET_HOSTS[@]}"; do HOST=$name nothing_left || return; done; }
box_until 60 nothing_is_left || fail "something is left in a kernel"
proof "3 of 3 beat and stream; no program, no pin is left on any host"
printf '\n%sAll %d steps are as said.%s\n' "$BOLD" "$STEP" "$PLAIN"
