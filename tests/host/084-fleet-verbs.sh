#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 084-fleet-verbs.sh B: what people do about a fleet as a whole, with a real nats-server and a real host with agent and relay: the streams
# are made and compared, a herald says what is being ordered, and an order that was kept from the host is fetched; hosts are asked how they
# are, with answers among theirs that nobody gave; and the brokers' configuration keeps one host from the mail of another.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 084-fleet-verbs.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh

# fleet VERB ARG...: freezectl in the box; ANSWER, SUMMARY, EXIT
fleet() {
        ask fleet "$@" --nats "$NATS_URL" --json
        SUMMARY=$(jq -R -c 'fromjson? | select(.summary) | .summary' <<<"$ANSWER")
}
# each FILTER: of each line of ANSWER that is not the summary
each() { jq -R -r "fromjson? | select(.summary | not) | $1" <<<"$ANSWER" | paste -sd ' '; }

relay_is() { [ "$(run cat /run/freezed-relay/state.json 2>/dev/null | jq -r .state)" = "$1" ]; }
config() { printf '{"v":1,"servers":["%s"],"spread_s":%s}' "$NATS_URL" "$1" | run tee /etc/freezed/relay.json >/dev/null; }
hears() { run freezectl health --json | jq -r '.report // empty | .head.n // 0'; }
has_heard() { [ "$(hears)" -ge "$1" ]; }
# signed FILE VERB ARG...: an order by alice to the group web; ID is its id
signed() {
        ID=$(run freezectl "${@:2}" --incident "$INCIDENT" --reason test --key /root/alice --yes --out /root/order --json </dev/null | jq -r .summary.id)
        run cat /root/order | jq -r .payload | base64 -d | jq -c '.to = {group: "web", max_hosts: 9}' >"$DIR/$1"
        box_put host "$DIR/$1" /root/order
        run freezectl sign /root/order --key /root/alice --yes >/dev/null && run cat /root/order >"$DIR/$1"
}
lists() { jq -e --arg id "$ID" '.head.orders | index($id)' <<<"$(head -n 1 <<<"$ANSWER")" >/dev/null; }

held_boot "$B" || exit
DIR=$(box_dir host)
NATS_PORT=4222

# --- streams
nats_start host || exit
fleet setup
is "the streams are made" "$EXIT $(each .state)" "0 made made"
fleet setup
is "made again they are in order" "$EXIT $(each .state)" "0 in-order in-order"
echo '{"name":"FRZ_CMD_test","subjects":["frz.v1.test.cmd.>","frz.v1.test.head"],"max_age":60000000000}' >"$DIR/other"
nats_say ask '$JS.API.STREAM.UPDATE.FRZ_CMD_test' <"$DIR/other" >/dev/null
fleet setup
is "what somebody made otherwise is told, and left as it is" "$EXIT $(each .state)" "4 differs in-order"
like "with what differs" "$(each '.differences[]?.member')" 'max_age'
like "a page says so too" "$(run freezectl fleet setup --nats "$NATS_URL" </dev/null)" 'max_age is 60000000000, and has to be 604800000000000'
fleet setup --yes
is "with a yes it is brought in line" "$EXIT $(each .state)" "0 mended in-order"
fleet setup
is "and stays so" "$EXIT $(each .state)" "0 in-order in-order"
fleet inventory --out /root/fetched
is "a stream in which nobody is certified is no inventory, and makes no file" "$EXIT $(run test -e /root/fetched && echo made)" "5 "
fleet setup --fleet No.Name
is "a name that is none is wrong usage" "$EXIT" 2
nats_stop
nats_start host 'authorization { users = [ { user: x, password: y, permissions: { publish: { deny: "$JS.API.>" } } } ] }' 'no_auth_user: x' || exit
fleet setup
is "who may not make streams learns that" "$EXIT" 1
like "and what they may not" "$ANSWER" 'does not permit'
nats_stop
nats_start host 'accounts { A { users = [ { user: x, password: y } ] } }' 'no_auth_user: x' || exit
fleet setup
is "an account without JetStream has no streams" "$EXIT" 1
like "and is said to have none" "$ANSWER" 'no JetStream'
nats_stop
nats_start host '' || exit

# --- heads
run bash -c 'cd /root && for k in rita harold; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done' || exit
is "where the trust root names no herald there is nothing to say" "$(fleet head --once --key /root/harold; echo "$EXIT")" 3
run bash -c 'cd /root && freezectl trust rotate trust.json --registrar rita=rita.pub --herald harold=harold.pub --key alice --key bob --out trust-2.json &&
        freezectl enroll trust-2.json && systemctl reload freezed' >/dev/null || exit
run freezectl fleet certify --name web-1 --key-file /var/lib/freezed/host_key.pub --group web --key /root/rita >"$DIR/inventory"
box_put host "$DIR/inventory" /etc/freezed/inventory.jsonl
check "a registrar certifies the host" run freezectl send /etc/freezed/inventory.jsonl
config 0
run systemctl start freezed-relay
check "the relay is ready" box_until 60 relay_is ready
fleet head --once --key /root/alice
is "whoever is no herald makes no head" "$EXIT" 3
fleet head --once --key /root/harold
is "a herald makes one" "$EXIT $(each '.head.orders | length')" "0 0"
FIRST=$(each .head.n)
check "which the host hears" box_until 60 has_heard "$FIRST"
run systemctl stop freezed-relay
config 3600
signed kept contain "$UNIT"
nats_say pub "frz.v1.test.cmd.group.web.$ID" <"$DIR/kept"
printf garbage | nats_say pub frz.v1.test.cmd.all.00000000000000000000000000000001
run systemctl start freezed-relay
box_until 60 relay_is ready
check "an order that was kept from the host holds nothing" alive
fleet head --once --key /root/harold
check "the herald has it, and lists it" lists
is "and counts on" "$([ "$(each .head.n)" -gt "$FIRST" ] && echo higher)" higher
is "what nobody signed is counted" "$(each .head.strays)" 1
check "so that the host fetches it" box_until 60 held
release "$ID"
box_put host "$DIR/kept" /root/orders/kept
nats_say purge test >/dev/null
fleet head --once --key /root/harold
refute "an order that the broker has no more is not listed" lists
fleet head --once --key /root/harold --orders /root/orders
check "but from a file of orders" lists
nats_stop
fleet head --once --key /root/harold
is "without a broker there is no head" "$EXIT" 1
nats_start || exit
check "the relay is back" box_until 60 relay_is ready

# --- the herald as a service
echo '{"v":1,"servers":["'"$NATS_URL"'"]}' | run tee /etc/freezed/herald.json >/dev/null
run install -m 0600 /root/harold /etc/freezed/herald.key
FIRST=$(each .head.n)
LAST=$(hears)
run systemctl start freezed-herald
check "the service makes heads, and hosts hear them" box_until 120 has_heard $((LAST + 1))
is "it is nobody's user but its own" "$(run stat -c %U "/proc/$(run systemctl show -P MainPID freezed-herald)")" freezed-herald
check "systemd-analyze rates its exposure at most 2.0" run systemd-analyze security --threshold=20 freezed-herald.service
LAST=$(hears)
run systemctl restart freezed-herald
check "and counts on after a restart" box_until 120 has_heard $((LAST + 1))
run cp /etc/freezed/trust.json /root/whole
run truncate -s 99 /etc/freezed/trust.json
goes_on() { run journalctl -q -u freezed-herald | grep -q 'GOES ON WITH version 2 of the trust root'; }
check "a trust root that it cannot read any more is told" box_until 120 goes_on
LAST=$(hears)
check "and gone on without" box_until 120 has_heard $((LAST + 1))
run cp /root/whole /etc/freezed/trust.json

# --- hosts
# class NAME: of ANSWER
class() { jq -R -r --arg n "$1" 'fromjson? | select(.name == $n) | .class + " " + .state' <<<"$ANSWER"; }
summary() { jq -r "$1" <<<"$SUMMARY"; }
run bash -c 'cd /root && ssh-keygen -q -t ed25519 -N "" -f ghost' || exit
{ cat "$DIR/inventory" && run freezectl fleet certify --name web-2 --key-file /root/ghost.pub --group web --key /root/rita; } >"$DIR/both"
box_put host "$DIR/both" /root/both
ask fleet hosts --inventory /root/both
is "without brokers the inventory is told, and that nobody was asked" "$EXIT $(grep -c web- <<<"$ANSWER") $(grep -o 'nobody was asked' <<<"$ANSWER")" "0 2 nobody was asked"
fleet hosts
is "all hosts answer, and nothing is wrong" "$EXIT $(class web-1)" "0 verified ready"
fleet hosts --inventory /root/both --timeout 20s
is "a host that answers is verified, and one that does not is silent" "$EXIT $(class web-1) $(class web-2)" "4 verified ready silent silent"
jq -R -c 'fromjson? | select(.report) | .report' <<<"$ANSWER" >"$DIR/report"
is "its report says what it is certified as" "$(jq -r .attributes.name "$DIR/report")" web-1
like "a page says so too" "$(run freezectl fleet hosts --nats "$NATS_URL")" 'web-1 +ready +0 '
token() { run ssh-keygen -lf "$1" | awk '{ print $2 }' | sed 's/^SHA256://; y/+\//-_/'; }
WEB_1=$(token /var/lib/freezed/host_key.pub) WEB_2=$(token /root/ghost.pub)
# an old answer of web-1's, which is its own, and still none to what is asked later
nats_listen "$DIR/old" 1 60 'frz.v1.test.rsp.*.*'
printf '{"query":"health","nonce":"00000000000000000000000000000007"}' | nats_say pub frz.v1.test.ask.all
nats_heard
cut -f 3 "$DIR/old" >"$DIR/answer"
nats_listen "$DIR/asked" 1 60 frz.v1.test.ask.all
run freezectl fleet hosts --nats "$NATS_URL" --inventory /root/both --timeout 25s --json >"$DIR/forged" &
FORGED=$!
nats_heard
[[ $WEB_2 == A* ]] && NOBODY=${WEB_2/?/B} || NOBODY=${WEB_2/?/A}
for who in "$WEB_2" "$NOBODY"; do nats_say pub "frz.v1.test.rsp.$who.$(cut -f 3 "$DIR/asked" | jq -r .nonce)" <"$DIR/answer"; done
wait "$FORGED"
is "answers with host keys that are not theirs are counted, and not believed" "$(jq -r 'select(.class) | .name + " " + .class' "$DIR/forged" | sort | paste -sd ' ') $(jq -r 'select(.summary) | .summary | "\(.ignored) \(.unknown)"' "$DIR/forged")" "web-1 verified web-2 silent 1 1"

# --- certified from afar
certify() { run freezectl fleet certify --name "$1" --key-file "$2" "${@:3}" --key /root/rita; }
# certified FILE TIMEOUT: sends $DIR/FILE; sets CLASSES as in "web-1:verified"
certified() {
        box_put host "$DIR/$1" "/root/$1"
        ask send "/root/$1" --nats "$NATS_URL" --yes --json --timeout "$2"
        SUMMARY=$(jq -R -c 'fromjson? | select(.summary) | .summary' <<<"$ANSWER")
        CLASSES=$(jq -R -r 'fromjson? | select(.class) | .name + ":" + .class + (.reason | if . then "(" + . + ")" else "" end)' <<<"$ANSWER" | sort | paste -sd ' ')
}
groups() { run freezectl health --json | jq -r '.report // empty | .attributes.groups | sort | join(",")'; }
ignores() { fleet inventory --inventory /root/two && [ "$(summary .ignored)" = "$1" ]; }
{ certify web-1 /var/lib/freezed/host_key.pub --group web --group eu && certify web-2 /root/ghost.pub --group web; } >"$DIR/two"
certified two 20s
is "a file of two hosts certifies each over the brokers, and says who is silent" "$EXIT $CLASSES" "4 web-1:verified web-2:silent"
is "the receipt is that of attributes" "$(jq -R -r 'fromjson? | select(.receipt) | .receipt | .id + " " + .state' <<<"$ANSWER")" "attributes certified"
is "and the host is of the new group" "$(groups)" eu,web
fleet inventory --out /root/fetched
is "the inventory of the stream is that file" "$EXIT $(run cat /root/fetched | sort)" "0 $(sort "$DIR/two")"
tail -n 1 "$DIR/two" | jq -c '.payload |= (@base64d | sub("web-2"; "web-9") | @base64)' >"$DIR/forged"
nats_say pub frz.v1.test.cmd.host.forged.attributes <"$DIR/forged"
printf garbage | nats_say pub frz.v1.test.cmd.host.garbage.attributes
check "what no registrar signed is counted there" box_until 60 ignores 2
is "and is not in it" "$EXIT $(summary .hosts) $(jq -R -c 'fromjson? | select(.payload)' <<<"$ANSWER" | sort)" "0 2 $(sort "$DIR/two")"
certified forged 5s
is "nor is it sent" "$EXIT $CLASSES" "3 "
head -n 1 "$DIR/two" | cat - "$DIR/forged" >"$DIR/mixed"
certified mixed 60s
is "beside a line that counts it is told, and the same again is certified again" "$EXIT $CLASSES $(summary '.bad_lines | join(",")')" "4 web-1:verified 2"
certify web-1 /var/lib/freezed/host_key.pub --group db --serial 1 >"$DIR/older"
certified older 60s
is "an older one is refused" "$EXIT $CLASSES" "3 web-1:refused(attributes-stale)"
is "and changes nothing" "$(groups)" eu,web
fleet inventory --inventory /root/two --out /root/fetched
is "that the stream has it instead is told, and takes nobody out of a file" "$EXIT $(summary '.lacking[] | .name + ":" + .is') $(run cat /root/fetched | sort)" "4 web-1:older $(sort "$DIR/two")"
certified mixed 60s
fleet inventory --inventory /root/two
is "until it is sent again" "$EXIT" 0
run cp /root/two /root/both

signed held contain "$UNIT"
nats_say pub "frz.v1.test.cmd.group.web.$ID" <"$DIR/held"
box_until 60 held
fleet hosts --timeout 60s
is "what a host holds is told" "$(class web-1) $(jq -R -r 'fromjson? | select(.report) | .report.holds.active' <<<"$ANSWER")" "verified holding 1"

# --- watch
run freezectl fleet watch --nats "$NATS_URL" >"$DIR/watched" 2>&1 &
WATCH=$!
saw() { grep -qE "$1" "$DIR/watched"; }
check "watching prints a line for each host" box_until 60 saw 'web-1: holding: 1 holds'
release "$ID"
check "and one for a change" box_until 60 saw 'web-1: holding -> ready'
silent() { grep -c 'web-1.*silent' "$DIR/watched"; }
before=$(silent)
nats_stop
check "that the broker is away is one" box_until 60 saw 'nats://'
is "and says nothing about hosts" "$(silent)" "$before"
nats_start || exit
check "and that it is back" box_until 60 saw 'answer again'
kill "$WATCH"
wait "$WATCH" 2>/dev/null
run cat /etc/freezed/trust.json >"$DIR/trust"
box_outside host python3 -B tests/lib/terminal.py 'web-1 =' 'Ctrl-C=' 'Ctrl-C=^C' -- "$B/freezectl" fleet watch --nats "$NATS_URL" \
        --trust "$DIR/trust" --inventory "$DIR/inventory" >"$DIR/shown"
is "on a terminal it is drawn in place, until somebody ends it" "$(grep -o $'\e\\[H' "$DIR/shown" | wc -l) $(grep -c $'\e\\[2J' "$DIR/shown")" "2 1"

# --- who may do what at the brokers
run systemctl stop freezed-relay freezed-herald
{
        run freezectl fleet nkey /etc/freezed/nats.seed --name web-1
        echo '# people'
        for who in operator=alice herald=harold automation=robot; do run freezectl fleet nkey "/root/${who#*=}.seed" --name "$who"; done
} >"$DIR/nkeys"
box_put host "$DIR/nkeys" /root/nkeys
run freezectl fleet nats-config --inventory /root/both --nkeys /root/nkeys >"$DIR/authorization" 2>"$DIR/missing"
is "a host without an nkey is named" "$? $(grep -o 'no nkey of web-2' "$DIR/missing")" "4 no nkey of web-2"
is "an nkey is made once" "$(run freezectl fleet nkey /etc/freezed/nats.seed --name web-1)" "$(head -n 1 "$DIR/nkeys")"
is "and is nobody else's to read" "$(run stat -c %a /etc/freezed/nats.seed)" 600
run freezectl fleet nkey /root/web-2.seed --name web-2 >>"$DIR/nkeys"
box_put host "$DIR/nkeys" /root/nkeys
run freezectl fleet nats-config --inventory /root/both --nkeys /root/nkeys >"$DIR/authorization"
is "with all of them it is whole" $? 0
nats_stop
printf 'listen: "10.77.0.1:4222"\njetstream { store_dir: "%s/store" }\ninclude "authorization"\n' "$NATS_DIR" >"$DIR/conf"
check "nats-server reads it" nats-server -t -c "$DIR/conf"
nats_start_with "$DIR/conf" || exit
for who in alice harold robot web-2; do run cat "/root/$who.seed" >"$DIR/$who.seed"; done
as() { printf '{"v":1,"servers":["%s"],"nkey":"%s"%s}' "$NATS_URL" "$1" "${2:-}"; }
as /etc/freezed/nats.seed ',"spread_s":0' | run tee /etc/freezed/relay.json >/dev/null
for who in alice harold robot; do as "/root/$who.seed" | run tee "/root/$who.json" >/dev/null; done
run chown freezed-relay /etc/freezed/nats.seed
run systemctl start freezed-relay
check "a host connects by its nkey, and is ready" box_until 60 relay_is ready
NATS_URL_ALL=$NATS_URL
NATS_URL=/root/harold.json
fleet head --once --key /root/harold
is "a herald may say heads" "$EXIT" 0
check "which hosts hear" box_until 60 has_heard "$(each .head.n)"
fleet hosts --timeout 60s
is "and asks nobody" "$EXIT $(grep -c 'does not permit' <<<"$ANSWER")" "1 2"
NATS_URL=/root/robot.json
fleet setup
is "what orders by itself may not see to the streams" "$EXIT $(grep -c 'does not permit' <<<"$ANSWER")" "1 2"
fleet hosts --timeout 60s
is "and asks nobody" "$EXIT $(grep -c 'does not permit' <<<"$ANSWER")" "1 2"
NATS_URL=/root/alice.json
fleet setup
is "an operator may see to the streams" "$EXIT" 0
fleet hosts --timeout 60s
is "and ask the hosts, which may answer" "$(class web-1)" "verified ready"
certified mixed 60s
is "certify them" "$CLASSES" web-1:verified
fleet inventory
is "and read who is certified" "$EXIT $(summary .hosts)" "0 2"
NATS_URL=$NATS_URL_ALL
# may WHO sub|pub SUBJECT
may() {
        local NATS_AS=(--nkey "$DIR/$1.seed")
        ! nats_say "$2" "$3" --for 0.3 </dev/null 2>&1 | grep -q 'Permissions Violation'
}
check "a host hears what is for it" may web-2 sub "frz.v1.test.cmd.host.$WEB_2.*"
check "and answers in its name" may web-2 pub "frz.v1.test.rsp.$WEB_2.$ID"
refute "it hears nothing that is for another" may web-2 sub "frz.v1.test.cmd.host.$WEB_1.*"
refute "nor what another answers" may web-2 sub 'frz.v1.test.rsp.*.*'
refute "nor what a broker answers another" may web-2 sub "_INBOX.$WEB_1.*"
refute "it answers in nobody else's name" may web-2 pub "frz.v1.test.rsp.$WEB_1.$ID"
refute "it orders nothing" may web-2 pub "frz.v1.test.cmd.all.$ID"
refute "and says no head" may web-2 pub frz.v1.test.head
refute "a herald orders nothing" may harold pub "frz.v1.test.cmd.all.$ID"
refute "an operator says no head" may alice pub frz.v1.test.head
refute "nor empties a stream" may alice pub '$JS.API.STREAM.PURGE.FRZ_CMD_test'
done_testing
