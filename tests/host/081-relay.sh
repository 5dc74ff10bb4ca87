#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 081-relay.sh B: a host that takes its orders from a real nats-server at the other end of its cable, and then from a broker that lies.
# An order published contains a service, and the receipt comes where the signed id says; what is garbage, forged, or asks for an answer
# elsewhere is told nothing. The server goes away, comes back, refuses, and falls silent in the middle of a greeting, where the client
# library spins and grows: the relay ends itself, and the core carries out orders all the while. At last the host is cut off whole, and
# the relay is not.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 081-relay.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh

STATE_FILE=/run/freezed-relay/state.json
relay() { run cat "$STATE_FILE" 2>/dev/null | jq -r "$1"; }
relay_is() { [ "$(relay .state)" = "$1" ]; }
counted() { relay ".counters.$1"; }
has_counted() { [ "$(counted "$1")" -ge "$2" ]; }
pid() { run systemctl show -P MainPID freezed-relay; }
is_another() { [ "$(pid)" != "$1" ] && [ "$(pid)" != 0 ]; }

# signed FILE VERB ARG...: an order by alice, or by the people in BY, that is carried by whoever; ID is its id
signed() {
        local who keys=()
        for who in ${BY:-alice}; do keys+=(--key "/root/$who"); done
        ID=$(run freezectl "${@:2}" --incident "$INCIDENT" --reason test "${keys[@]}" --yes --out "/root/$1" --json </dev/null | jq -r .summary.id)
        run cat "/root/$1" >"$DIR/$1"
}
subject() { echo "frz.v1.test.cmd.host.$HOST_TOKEN.${1:-$ID}"; }
# publish FILE [SUBJECT] [ARG...]
publish() { nats_say pub "${2:-$(subject)}" "${@:3}" <"$DIR/$1"; }
base64_lines() { while read -r x; do base64 -d <<<"$x"; echo; done; }
# the payloads that were heard under the subject of an id
payloads() { awk -F '\t' -v s=".$ID" 'index($1, s) { print $3 }' "$DIR/answers" | jq -r .payload | base64_lines; }
is_final() { payloads | jq -se 'any(.final != false)' >/dev/null; }
# order_over FILE: publishes it and waits for the final answer; STATE is that one's state
order_over() {
        nats_listen "$DIR/answers" 0 600 "frz.v1.test.rsp.$HOST_TOKEN.$ID"
        publish "$1"
        box_until 120 is_final
        nats_deafen
        STATE=$(payloads | jq -rs 'map(select(.final != false).state) | first // "none"')
}

rootfs_path >/dev/null || exit
box_create host && box_install host "$B" && box_boot host && box_net host && box_beacon host || exit
box_sh host 'cd /root && for k in alice bob rita harold; do ssh-keygen -q -t ed25519 -N "" -f $k || exit 1; done' || exit
held_enroll --registrar rita=rita.pub --herald harold=harold.pub || exit
DIR=$(box_dir host)
HOST_ID=$(run ssh-keygen -lf /var/lib/freezed/host_key.pub | awk '{ print $2 }')
HOST_TOKEN=$(sed 's/^SHA256://; y/+\//-_/' <<<"$HOST_ID")
refute "without a configuration the relay is not started" run systemctl is-active --quiet freezed-relay.service
is "and that is no failure" "$(run systemctl is-failed freezed-relay.service)" inactive

NATS_PORT=4222
nats_start host || exit
nats_say streams test || exit
config() { printf '{"v":1,"servers":["nats://10.77.0.1:4222"],"spread_s":%s}' "$1" | run tee /etc/freezed/relay.json >/dev/null; }
config 0
run systemctl start freezed-relay.service
check "the relay finds out who it is and is ready" box_until 60 relay_is ready
is "it says of which host and fleet" "$(relay '.host + " " + .fleet')" "$HOST_ID test"
status_is_ready() { [[ $(run systemctl show -P StatusText freezed-relay) = ready* ]]; }
check "the service manager knows" box_until 60 status_is_ready
like "freezectl health tells what the relay says, and that nobody signed it" "$(run freezectl health)" 'relay +ready.*unsigned'

# --- what it may
RELAY=$(pid)
is "it is nobody's user but its own, and of the group that may speak to the gate" "$(run id -nG freezed-relay | tr ' ' '\n' | sort | tr '\n' ' ')" "freezed-relay "
is "it has no capability, a filter, and gains no privileges" "$(run sed -n 's/^\(CapEff\|Seccomp\|NoNewPrivs\):\t//p' "/proc/$RELAY/status" | tr '\n' ' ')" "0000000000000000 1 2 "
is "it is in a slice below the agent's" "$(run systemctl show -P ControlGroup freezed-relay)" /freezed.slice/freezed-relay.slice/freezed-relay.service
refute "it cannot read the agent's state" run nsenter -t "$RELAY" -m setpriv --reuid freezed-relay --clear-groups ls /var/lib/freezed
check "systemd-analyze rates its exposure at most 2.0" run systemd-analyze security --threshold=20 freezed-relay.service

# --- an order
signed contain.json contain "$UNIT"
order_over contain.json
is "an order that is published contains the service; its receipt comes under its id" "$STATE" contained
check "the kernel says so too" held
order_over contain.json
is "sent again it is a duplicate" "$STATE" duplicate
release
check "released" alive

# --- what is told nothing
nats_listen "$DIR/nothing" 0 6 'frz.v1.test.rsp.>' 'elsewhere.>'
before=$(counted refused)
printf 'garbage' >"$DIR/garbage"
printf '{"payload":"e30=","payloadType":"application/vnd.freezed.command.v1+json","signatures":[{"sig":"%s"}]}' "$(head -c 64 /dev/zero | base64 -w0)" >"$DIR/forged"
publish garbage "$(subject 00000000000000000000000000000001)" --reply elsewhere.now
publish forged "$(subject 00000000000000000000000000000002)" --reply elsewhere.now
printf '{"query":"health"}' >"$DIR/query"
publish query frz.v1.test.ask.all --reply elsewhere.now
nats_heard
is "garbage, forgeries and bad queries are answered nowhere, but by the stream" "$(grep -v '"stream":"FRZ_CMD_test"' "$DIR/nothing")" ""
check "what the gate refused is counted" box_until 60 has_counted refused $((before + 1))
check "so is garbage, which the gate never saw" box_until 60 has_counted garbage 2
NONCE=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
printf '{"query":"status","nonce":"%s"}' "$NONCE" >"$DIR/query"
nats_listen "$DIR/asked" 1 60 "frz.v1.test.rsp.$HOST_TOKEN.*" 'elsewhere.>'
publish query frz.v1.test.ask.all --reply elsewhere.now
check "a question is answered" nats_heard
is "under its nonce, and not where it asked for it" "$(cut -f 1 "$DIR/asked")" "frz.v1.test.rsp.$HOST_TOKEN.$NONCE"

# --- groups and heads
# with_payload FILE WHO FILTER: what is signed in FILE, changed, and signed by WHO
with_payload() {
        jq -r .payload "$DIR/$1" | base64 -d | jq -c "$3" >"$DIR/new"
        box_put host "$DIR/new" /root/new
        run freezectl sign /root/new --key "/root/$2" --yes >/dev/null && run cat /root/new >"$DIR/$1"
}
# head_of N [ID DIGEST]: a head that names this order
head_of() {
        local now
        now=$(date +%s%3N)
        jq -cn --argjson n "$1" --argjson now "$now" --arg id "${2:-}" --arg digest "${3:-}" '{v: 1, fleet: "test", n: $n, iat: $now, exp: ($now + 90000), trust_version: 1,
                orders: [{$id, $digest, to: {group: "web", max_hosts: 9}, exp: ($now + 3600000)} | select(.id != "")]}' >"$DIR/new"
        box_put host "$DIR/new" /root/new
        run freezectl sign /root/new --key /root/harold --yes >/dev/null && run cat /root/new >"$DIR/head" && publish head frz.v1.test.head
}
run freezectl fleet certify --name web-17 --group web --serial 1 --key /root/rita --out /root/attributes --json >/dev/null
run cat /root/attributes >"$DIR/attributes"
nats_listen "$DIR/answers" 1 60 "frz.v1.test.rsp.$HOST_TOKEN.attributes"
publish attributes "$(subject attributes)"
check "attributes come the same way, and are answered as that" nats_heard
in_group() { [ "$(relay '.groups | join(" ")')" = web ]; }
check "the relay hears for the group that the host is of now" box_until 60 in_group
signed group.json contain "$UNIT"
with_payload group.json alice '.to = {group: "web", max_hosts: 9}'
nats_listen "$DIR/answers" 0 600 "frz.v1.test.rsp.$HOST_TOKEN.$ID"
publish group.json "frz.v1.test.cmd.group.web.$ID"
check "an order to the group is carried out" box_until 60 is_final
nats_deafen
check "as the kernel says" held
release
run systemctl stop freezed-relay.service
config 3600
signed missed.json contain "$UNIT"
with_payload missed.json alice '.to = {group: "web", max_hosts: 9}'
publish missed.json "frz.v1.test.cmd.group.web.$ID"
run systemctl start freezed-relay.service
box_until 60 relay_is ready
head_of 1
check "a head that names nothing brings nothing" alive
head_of 2 "$ID" "$(jq -r .payload "$DIR/missed.json" | base64 -d | sha256sum | cut -c 1-32)"
check "one that names an order which has not come has it fetched at once" box_until 60 held
release
head_of 3 00000000000000000000000000000bad 00000000000000000000000000000bad
sleep 1
head_of 4 00000000000000000000000000000bad 00000000000000000000000000000bad
withholds() { [ "$(relay '.withheld | join(" ")')" = "$1" ]; }
check "what a head names and the broker does not have is told, by its id" box_until 60 withholds 00000000000000000000000000000bad
like "health shows it" "$(run freezectl health)" 'withheld +00000000000000000000000000000bad'
config 0

# --- away, and back
run systemctl stop freezed-relay.service
signed offline.json contain "$UNIT"
publish offline.json
run systemctl start freezed-relay.service
check "an order that came while it was away is caught up" box_until 60 held
check "and counted as such" box_until 60 has_counted caught_up 1
release
nats_stop
check "a server that is killed is noticed" box_until 60 relay_is connecting
signed gone.json contain "$UNIT"
nats_start || exit
check "when it is back the relay is" box_until 60 relay_is ready
order_over gone.json
is "and takes orders" "$STATE" contained
release

# --- deaf
nats_stop
nats_start host 'authorization { users = [ { user: host, password: x, permissions: { publish: ">", subscribe: { deny: "frz.v1.test.cmd.all.*" } } } ] }' 'no_auth_user: host' || exit
check "a host that may not hear what it has to says so" box_until 60 relay_is deaf
is "and what" "$(relay .subject)" 'frz.v1.test.cmd.all.*'
like "health shows it" "$(run freezectl health)" 'deaf.*cmd.all'
nats_stop
nats_start host 'authorization { users = [ { user: host, password: x, permissions: { subscribe: ">", publish: { deny: "frz.v1.test.rsp.>" } } } ] }' 'no_auth_user: host' || exit
hears() { relay_is ready || relay_is mute; }
box_until 60 hears
publish query frz.v1.test.ask.all
check "one that may not answer says so" box_until 60 relay_is mute
like "and where" "$(relay .subject)" "^frz\.v1\.test\.rsp\.$HOST_TOKEN\.[0-9a-f]{32}$"
nats_stop

# --- the configuration that is shipped: TLS, an nkey and permissions for each host
PKI=$DIR/pki
# the server's certificate is for that address
certified() { nats_certify "$PKI" server "$1"; }
certified 10.77.0.1
nats_shipped "$PKI" test "$HOST_TOKEN" 10.77.0.1 >"$PKI/conf" || exit
NATS_URL=tls://10.77.0.1:4222
NATS_AS=(--nkey "$PKI/operator" --ca "$PKI/ca.pem")
nats_start_with "$PKI/conf" && nats_say streams test || exit
sed "s@/etc/nats@$PKI@; s/site\.\(pem\|key\)/server.\1/" packaging/nats/leafnode.conf >"$PKI/leaf"
check "a site's broker reads its configuration" nats-server -t -c "$PKI/leaf"
box_put host "$PKI/ca.pem" /etc/freezed/ca.pem
box_put host "$PKI/host" /etc/freezed/nats.seed 0640
run chgrp freezed-relay /etc/freezed/nats.seed
echo '{"v":1,"servers":["tls://10.77.0.1:4222"],"ca":"/etc/freezed/ca.pem","nkey":"/etc/freezed/nats.seed","spread_s":0}' | run tee /etc/freezed/relay.json >/dev/null
run systemctl stop freezed-relay
signed shipped.json contain "$UNIT"
publish shipped.json
run systemctl start freezed-relay
check "with the configuration that is shipped, over TLS and with its nkey, the relay is ready" box_until 60 relay_is ready
check "and has caught up" box_until 60 held
nats_listen "$DIR/answers" 0 600 "frz.v1.test.rsp.$HOST_TOKEN.$ID"
publish shipped.json
# which may be under way
is_duplicate() { payloads | jq -se 'any(.state == "duplicate")' >/dev/null; }
check "and may answer" box_until 120 is_duplicate
nats_deafen
release
NATS_AS=(--nkey "$PKI/host" --ca "$PKI/ca.pem")
like "whoever has a host's key hears no other host" "$(nats_say sub 'frz.v1.test.rsp.*.*' --for 1 2>&1)" 'Permissions Violation'
like "and orders nothing" "$(publish shipped.json 2>&1)" 'Permissions Violation'
nats_stop
certified 10.77.0.9
nats_start_with "$PKI/conf" || exit
why() { [[ $(relay .why) = *SSL* ]]; }
check "a server whose certificate is for another is not spoken to" box_until 60 why
NATS_AS=()
nats_stop
config 0

# --- a broker that lies
rogue_start host || exit
says() { echo "$1" >"$NATS_MODE"; }
fresh() { run systemctl restart freezed-relay && box_until 60 relay_is ready; }
check "the rogue is believed to be a broker" fresh
says drop
signed lost.json contain "$UNIT"
publish lost.json
says duplicate
nats_listen "$DIR/answers" 0 600 "frz.v1.test.rsp.$HOST_TOKEN.$ID"
publish lost.json
once() { [ "$(payloads | jq -rs 'map(select(.final != false or .state == "duplicate").state) | sort | join(" ")')" = "contained duplicate duplicate" ]; }
check "dropped, then carried three times: it acts once" box_until 60 once
nats_deafen
release
says forge
signed changed.json contain "$UNIT"
before=$(counted envelopes)$(counted garbage)
publish changed.json
seen() { [ "$(counted envelopes)$(counted garbage)" != "$before" ]; }
check "an order with one character changed comes" box_until 60 seen
check "and does nothing" alive
says reorder
signed one.json contain "$UNIT"
ONE=$ID
BY='alice bob' signed two.json release "$ONE"
publish one.json "$(subject "$ONE")"
publish two.json
is_buried() { grep -q superseded <(awk -F '\t' -v s=".$ONE" 'index($1, s) { print $2 }' "$NATS_SPY" | jq -r .payload | base64_lines); }
check "a release that comes before its order buries it" box_until 60 is_buried
check "so the service runs" alive
says replay
signed three.json contain "$UNIT"
publish three.json
check "a new order among all the old ones is carried out" box_until 60 held
is "and is the only hold" "$(status; jq '.holds | length' <<<"$REPORT")" 1
release
says reply
printf '{"query":"status","nonce":"%s"}' "$NONCE" >"$DIR/query"
publish query frz.v1.test.ask.all
answered() { grep -q "^frz.v1.test.rsp.$HOST_TOKEN.$NONCE" "$NATS_SPY"; }
check "a reply subject that the broker made up is not used" box_until 60 answered
is "by nobody" "$(grep -c '^elsewhere' "$NATS_SPY")" 0
says delay
signed late.json contain "$UNIT"
order_over late.json
is "an order that is carried late is an order" "$STATE" contained
release
before=$(counted envelopes)
says flood
publish late.json
check "orders that were carried out come again without end" box_until 60 has_counted envelopes $((before + 100))
order contain "$UNIT"
is "and keep the core from none" "$(state)" contained
release
says honest

# --- silence
# hangs: a relay that is started into silence; it has to end itself. PEAK is the most memory it had, in KiB
hangs() {
        local old kib
        run systemctl restart freezed-relay
        old=$(pid)
        echo 0 >"$DIR/peak"
        until is_another "$old"; do
                kib=$(run sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$old/status" 2>/dev/null)
                [ "${kib:-0}" -le "$(cat "$DIR/peak")" ] || echo "$kib" >"$DIR/peak"
                [ "$SECONDS" -lt "$HANGS_END" ] || return 1
                sleep 0.2
        done
}
says silent-info
HANGS_END=$((SECONDS + 180))
hangs &
SILENCE=$!
for i in 1 2; do
        order contain "$UNIT"
        is "while the greeting hangs the core carries out order $i" "$(state)" contained
        release
done
check "a relay that hangs in a greeting ends itself and comes back" wait "$SILENCE"
says_why() { run journalctl -q -u freezed-relay --no-pager | grep -q status=75; }
check "with the status that says why" box_until 60 says_why
check "it had $(cat "$DIR/peak") KiB of memory at most" test "$(cat "$DIR/peak")" -gt 1000 -a "$(cat "$DIR/peak")" -lt 65536
says honest
check "and it is ready when the broker speaks again" box_until 60 relay_is ready
says silent
gone_silent() { relay_is connecting; }
publish query frz.v1.test.ask.all
check "a broker that falls silent is noticed by pings" box_until 60 gone_silent
says honest
check "and left for one that speaks" box_until 60 relay_is ready
old=$(pid)
says huge
publish query frz.v1.test.ask.all
is_over() { ! relay_is ready || is_another "$old"; }
check "a message without end ends the relay or its connection" box_until 60 is_over
order contain "$UNIT"
is "and no order" "$(state)" contained
release
says honest
nats_stop

# --- the whole host is cut off
nats_start host '' || exit
check "the real server again" box_until 60 relay_is ready
order isolate host
is "the host is isolated" "$(state)" contained
check "a broker that the policy does not name is lost with the rest" box_until 60 relay_is connecting
release
check "until the hold ends" box_until 60 relay_is ready
jq '.brokers = [{"net": "10.77.0.1", "port": 4222, "proto": "tcp"}]' policy/default-policy.json >"$DIR/policy.json"
box_put host "$DIR/policy.json" /etc/freezed/policy.json
run systemctl reload freezed.service
order isolate host
is "it is isolated again, with the broker in its policy" "$(state)" contained
sleep 1
is "the relay's connection was not cut" "$(relay .state)" ready
run systemctl restart freezed-relay
check "and a new one can be made" box_until 60 relay_is ready
refute "by the relay alone" run python3 -c 'import socket; socket.create_connection(("10.77.0.1", 4222), 2)'
refute "and to nobody else" run bash -c 'echo $$ >/sys/fs/cgroup/freezed.slice/freezed-relay.slice/freezed-relay.service/cgroup.procs; exec 3<>/dev/tcp/10.77.0.1/7000'
HOLD=$(hold_id)
BY='alice bob' signed free.json release "$HOLD"
order_over free.json
is "so that the release comes over the network" "$STATE" released
done_testing
