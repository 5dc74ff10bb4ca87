#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 085-distance.sh B: everything that is done to one host is done over a real nats-server and a real relay: a rollout that was ended is gone on
# with under its ids.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 085-distance.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh

relay_is() { [ "$(run cat /run/freezed-relay/state.json 2>/dev/null | jq -r .state)" = "$1" ]; }
# certify NAME KEY.pub GROUP: a line of the inventory
certify() {
        run freezectl fleet certify --name "$1" --key-file "$2" --group "$3" --key /root/rita >>"$DIR/inventory" || return
        box_put host "$DIR/inventory" /etc/freezed/inventory.jsonl
}
# far VERB ARG...: as it is, over the broker; EXIT, ANSWER, SUMMARY, CLASSES as in "web-1:verified", and ID, the last one that was sent
far() {
        ask "$@" --nats "$NATS_URL" --yes --json
        SUMMARY=$(jq -R -c 'fromjson? | select(.summary) | .summary' <<<"$ANSWER")
        CLASSES=$(jq -R -r 'fromjson? | select(.class) | .name + ":" + .class + (.reason // "" | if . == "" then "" else "(" + . + ")" end)' <<<"$ANSWER" | sort | paste -sd ' ')
        ID=$(jq -r '.ids[-1] // ""' <<<"$SUMMARY")
}
far_release() { far release "$@" --reason test --key /root/alice --key /root/bob; }
relay_has() { [ "$(run cat /run/freezed-relay/state.json 2>/dev/null | jq -r ".counters.$1")" -ge "$2" ]; }
far_order() { far "$@" --incident "$INCIDENT" --reason test --key /root/alice; }
states() { jq -R -r 'fromjson? | select(.receipt) | .receipt | (.receipt // .) | .state' <<<"$ANSWER" | paste -sd ' '; }
summary() { jq -r "$1" <<<"$SUMMARY"; }
kept() { run find /root/.local/state/freezed/rollouts -name '*.jsonl' 2>/dev/null; }
free() { release "$(hold_id)" >/dev/null; }

held_boot "$B" || exit
DIR=$(box_dir host)
NATS_PORT=4222
nats_start host || exit
nats_say streams test || exit
run bash -c 'cd /root && for k in rita ghost; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done
        freezectl trust rotate trust.json --registrar rita=rita.pub --key alice --key bob --out trust-2.json && freezectl enroll trust-2.json && systemctl reload freezed' >/dev/null || exit
printf '{"v":1,"servers":["%s"],"spread_s":0}' "$NATS_URL" | run tee /etc/freezed/relay.json >/dev/null
certify web-1 /var/lib/freezed/host_key.pub web || exit
certify ghost /root/ghost.pub ghosts || exit
run head -n 1 /etc/freezed/inventory.jsonl | run tee /tmp/web-1.json >/dev/null
run freezectl send /tmp/web-1.json >/dev/null || exit
run systemctl start freezed-relay
check "the relay is ready" box_until 60 relay_is ready

# --- a rollout that is ended is not lost
is "nothing is kept at first" "$(kept)" ""
far_order contain "$UNIT" --to host=web-1
is "an order that every host has carried out is over" "$EXIT $CLASSES" "0 web-1:verified"
is "and is not kept" "$(kept)" ""
# what a host refuses for what may pass
HELD=$(hold_id)
agent_stop
run bash -c 'cp -a /var/lib/freezed /root/state && mount -t tmpfs -o mode=0700 tmpfs /var/lib/freezed && cp -a /root/state/. /var/lib/freezed && mount -o remount,ro /var/lib/freezed'
agent_start
box_until 60 relay_is ready
far_release "$HELD" --to host=web-1
is "a host whose ledger takes no record releases nothing" "$CLASSES" "web-1:refused(ledger-failed)"
check "and holds it" held
is "so the signed release is kept" "$(kept)" "/root/.local/state/freezed/rollouts/$ID.jsonl"
agent_stop
run mount -o remount,rw /var/lib/freezed
agent_start
check "when it does, it is brought the release once more, and lets go" box_until 360 alive
ask send "$ID" --nats "$NATS_URL" --yes
like "who sends the same again hears of it" "$EXIT $ANSWER" '^0 .*1 of 1 hosts verified'
is "and it is not kept any longer" "$(kept)" ""
# two hosts, one of which never answers: it waits
is_final() { cut -f 3 "$DIR/answers" | jq -r .payload | while read -r x; do base64 -d <<<"$x"; echo; done | jq -se 'any(.final != false)'; }
nats_listen "$DIR/answers" 0 600 'frz.v1.test.rsp.>'
# a shell has what it starts in the background ignore that signal
run bash -c 'env --default-signal=INT freezectl isolate '"$UNIT"' --to all --timeout 5m --nats '"$NATS_URL"' --key /root/alice --yes >/root/stopped 2>/root/stopped.err & echo $! >/root/pid; wait $!; echo $? >/root/stopped.exit' &
waiting() { is_isolated && run grep -q '  id' /root/stopped.err; }
check "while it waits the host is isolated, and the id was said" box_until 60 waiting
box_until 60 run test -s /root/pid
box_until 60 is_final
nats_deafen
# the answer that is heard here is on its way there
sleep 2
run bash -c 'kill -INT $(cat /root/pid)'
wait
ROLLOUT=$(run awk '$1 == "id" {print $2}' /root/stopped.err)
is "Ctrl-C says what stands, which is no success" "$(run cat /root/stopped.exit)" 4
like "that one is verified and one silent" "$(run cat /root/stopped)" '1 of 2 hosts verified.* 1 silent'
like "and how to go on" "$(run cat /root/stopped)" "freezectl send $ROLLOUT --nats"
is "the signed order is kept under its id" "$(kept)" "/root/.local/state/freezed/rollouts/$ROLLOUT.jsonl"
far_order isolate "$UNIT" --to all --timeout 10s
like "who orders the same again is told of it" "$ANSWER" "freezectl send $ROLLOUT"
check "and gives another order" test "$ID" != "$ROLLOUT"
ID2=$ID
far send "$ROLLOUT" --timeout 15s
is "gone on with, it is the same order: who did it counts as verified" "$EXIT $ID $CLASSES" "4 $ROLLOUT ghost:silent web-1:verified"
status
is "and no host did anything twice: it has one hold of each order" "$(holds .id | sort -u | wc -l) $(holds .id | wc -l)" "2 2"
far_release "$ROLLOUT" "$ID2" --to host=web-1
is "two people let it go from afar, and who signed that it is released is verified" "$EXIT $CLASSES $(states)" "0 web-1:verified released"
check "released" alive
run bash -c 'rm -rf /root/.local/state/freezed'

# a crash: nothing is left of the program but what was kept before the first byte
run rm /root/pid
run bash -c 'freezectl isolate '"$UNIT"' --to all --timeout 5m --nats '"$NATS_URL"' --key /root/alice --yes >/dev/null 2>/root/stopped.err & echo $! >/root/pid; wait $!' 2>/dev/null &
check "again it waits" box_until 60 waiting
box_until 60 run test -s /root/pid
run bash -c 'kill -KILL $(cat /root/pid)'
wait
ROLLOUT=$(run awk '$1 == "id" {print $2}' /root/stopped.err)
far send "$ROLLOUT" --timeout 15s
is "killed, it can be gone on with as well" "$ID $CLASSES" "$ROLLOUT ghost:silent web-1:verified"
free
run bash -c 'rm -rf /root/.local/state && touch /root/.local/state'
far_order contain "$UNIT" --to host=web-1
is "who has no place to keep it can order all the same" "$EXIT $CLASSES" "0 web-1:verified"
like "and is told" "$ANSWER" 'cannot be kept'
run rm /root/.local/state
free
far send 0123456789abcdef0123456789abcdef
is "what is neither kept nor at the broker is nothing to go on with" "$EXIT" 3

# --- a file that somebody carried
run bash -c 'freezectl contain '"$UNIT"' --out /root/carried.json --key /root/alice --yes' >/dev/null
far send /root/carried.json
is "a signed file goes over the broker as it is" "$EXIT $CLASSES" "0 web-1:verified"
ask send /root/carried.json --json
is "and is the same by the socket" "$(jq -R -r 'fromjson? | select(.receipt) | .receipt.state' <<<"$ANSWER")" duplicate

# --- release and extend; from here on nobody is waited for in vain
head -n 1 "$DIR/inventory" >"$DIR/one" && box_put host "$DIR/one" /etc/freezed/inventory.jsonl
HELD=$(hold_id)
far_order release "$HELD" --to host=web-1
is "one person lets nothing go: it is not even sent" "$EXIT $(summary '.sent, .signatures, .needed' | paste -sd ' ')" "3 false 1 2"
check "and it is held" held
run freezectl approve "$(summary .file)" --key /root/bob --yes >/dev/null
is "and waits at the broker" "$(summary .pending)" true
far send "$(summary .file)"
is "signed by the second one it goes as a file, and lets go" "$EXIT $CLASSES $(states)" "0 web-1:verified released"
check "released" alive
far_order contain "$UNIT" --to group=web --lease 10m
far_order extend "$ID" --lease 30m --to group=web
is "a lease is extended from afar" "$EXIT $CLASSES $(states)" "0 web-1:verified extended"
free

# --- signatures of people who are not at one place
pending() { jq -R -r 'fromjson? | select(.missing != null) | "\(.id) \(.signed_by | join(",")) \(.may_sign | join(",")) \(.missing)"' <<<"$ANSWER"; }
# hang FILE ID: puts what is in FILE there as somebody would who has the broker
hang() { nats_say pub "frz.v1.test.sign.$2" <"$1"; }
far_order contain "$UNIT" --to group=web
HELD=$ID
far_order release "$HELD" --to group=web
WAITS=$(summary .id)
far approve
is "who has signed, who may, and how many are missing" "$(pending | grep "$WAITS")" "$WAITS alice bob 1"
far send "$WAITS"
is "it is not sent before it is complete" "$EXIT $CLASSES" "3 "
check "and it is held" held
# what hangs there, changed by a broker in each way that it can
nats_say ask '$JS.API.DIRECT.GET.FRZ_CMD_test' <<<'{"last_by_subj":"frz.v1.test.sign.'"$WAITS"'"}' >"$DIR/honest"
jq -c '.signatures += [range(7) | {keyid: "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\(.)", sig: ("A" * 86 + "==")}]' "$DIR/honest" >"$DIR/full"
hang "$DIR/full" "$WAITS"
far approve
is "false signatures up to the cap are not there for whoever reads it" "$(pending | grep "$WAITS")" "$WAITS alice bob 1"
jq -c --arg bob "$(run ssh-keygen -lf /root/bob.pub | awk '{print $2}')" '.signatures += [{keyid: $bob, sig: .signatures[0].sig}]' "$DIR/honest" >"$DIR/false"
hang "$DIR/false" "$WAITS"
far approve
is "one in the name of somebody who did not sign neither counts nor spoils it" "$(pending | grep "$WAITS")" "$WAITS alice bob 1"
jq -c '.payload |= (@base64d | sub("group\":\"web"; "group\":\"all") | @base64)' "$DIR/honest" >"$DIR/changed"
hang "$DIR/changed" "$WAITS"
hang "$DIR/honest" 00000000000000000000000000000001
far approve
is "what was changed is not shown as pending" "$(pending | grep -c "$WAITS") $(summary .forged)" "1 1"
ask approve "$WAITS" --nats "$NATS_URL" --key /root/bob --yes
is "nor signed" "$EXIT" 3
ask approve 00000000000000000000000000000001 --nats "$NATS_URL" --key /root/bob --yes
is "nor is one under the name of another" "$EXIT" 3
hang "$DIR/full" "$WAITS"
ask approve "$WAITS" --nats "$NATS_URL" --key /root/bob --yes
is "the second person signs what is shown in full" "$EXIT" 0
like "with whom it is for" "$ANSWER" 'group web'
far approve
is "now it is complete" "$(pending | grep "$WAITS" | awk '{print $2, $NF}')" "alice,bob 0"
hang "$DIR/honest" "$WAITS"
run bash -c 'rm -f /root/.local/state/freezed/rollouts/*'
far send "$WAITS"
is "an older one that is played again lacks the second person, and is not sent" "$EXIT $CLASSES" "3 "
ask approve "$WAITS" --nats "$NATS_URL" --key /root/bob --yes --out /root/both.json
far send "$WAITS"
is "complete, anybody sends it" "$EXIT $CLASSES $(states)" "0 web-1:verified released"
check "released" alive
ask send /root/both.json --json
is "and the file that was carried is the same order to the host" "$(jq -R -r 'fromjson? | select(.receipt) | .receipt.state' <<<"$ANSWER")" duplicate

# --- an order is cancelled before a host that is away has had it
# kept_of ID: what the stream has under the subject of that order
kept_of() { nats_say ask '$JS.API.DIRECT.GET.FRZ_CMD_test' <<<'{"last_by_subj":"frz.v1.test.cmd.group.web.'"$1"'"}' | jq -r '.payload | @base64d | fromjson | .verb'; }
run systemctl stop freezed-relay
far_order contain "$UNIT" --to group=web --timeout 3s
is "a host that is away is silent" "$EXIT $CLASSES" "5 web-1:silent"
run systemctl start freezed-relay
check "and carries the order out when it is back" box_until 60 frozen
free
run systemctl stop freezed-relay
far_order contain "$UNIT" --to group=web --timeout 3s
CANCELLED=$ID
far_release "$CANCELLED" --to group=web --timeout 3s
is "so is it about the release of such an order" "$EXIT $CLASSES" "5 web-1:silent"
is "which no host has taken: the order stays where it is" "$(kept_of "$CANCELLED")" contain
run systemctl start freezed-relay
box_until 60 relay_is ready
far send "$ID"
is "which it has first when it is back" "$EXIT $CLASSES $(states)" "0 web-1:verified released"
check "so that it never carries the order out" alive
is "taken, the release is in the order's place" "$(kept_of "$CANCELLED")" release
far send "$CANCELLED" --timeout 60s
is "not even when somebody still brings it" "$EXIT $CLASSES" "3 web-1:refused(superseded)"
check "and nothing was held" alive
# the release is over when the host comes back, and the order is not
run systemctl stop freezed-relay
far_order contain "$UNIT" --to group=web --timeout 1s
CANCELLED=$ID
far_release "$CANCELLED" --to group=web --expires 1s --timeout 1s
is "nobody has taken that one either" "$EXIT $CLASSES $(kept_of "$CANCELLED")" "5 web-1:silent contain"
sleep 1
run systemctl start freezed-relay
box_until 60 relay_is ready
far send "$ID"
is "a release that is over lets nothing go, and is taken where there is nothing" "$EXIT $CLASSES $(states)" "0 web-1:verified released"
far send "$CANCELLED" --timeout 60s
is "so it calls off what the host never began" "$EXIT $CLASSES" "3 web-1:refused(superseded)"
check "and nothing was held" alive
# whatever each was addressed to; the order lies in the stream as before, in front of its release
run systemctl stop freezed-relay
far_order contain "$UNIT" --to all --expires 4h --timeout 1s
TO_ALL=$ID
far_order contain "$UNIT" --to host=web-1 --timeout 1s
TO_HOST=$ID
far_release "$TO_ALL" --to group=web --timeout 1s
like "who gives a release that does not take the order's place, and is over before it, is told" "$ANSWER" "The order $TO_ALL is addressed to all and stays"
far_release "$TO_HOST" --to group=web --wave 100% --timeout 1s
refute "but of no order that is over before it" grep -q "stays in the stream" <<<"$ANSWER"
run systemctl start freezed-relay
box_until 60 relay_is ready
far send "$ID"
is "a release that came in waves, to other hosts than the order, is there first as well" "$EXIT $CLASSES $(states)" "0 web-1:verified released"
far send "$TO_HOST"
is "so that the order to the host is not carried out" "$EXIT $CLASSES" "3 web-1:refused(superseded)"
far send "$TO_ALL"
is "nor is the one to all" "$EXIT $CLASSES" "3 web-1:refused(superseded)"
check "and nothing was held either time" alive

# --- the next trust roots, over the fleet
version() { run freezectl health --json | jq -R -r 'fromjson? | select(.report) | .report.trust.version'; }
version_is() { [ "$(version)" = "$1" ]; }
# root N ARG...: makes version N from the one before, signed by alice and bob; carol is new in 3
root() { run bash -c 'cd /root && n=$1 && shift && freezectl trust rotate "trust-$((n - 1)).json" "$@" --key alice --key bob --out "trust-$n.json" >/dev/null' - "$@"; }
run bash -c 'cd /root && ssh-keygen -q -t ed25519 -N "" -f carol'
root 3 --responder carol=carol.pub
root 4 --retention 30d
root 5 --retention 60d
far trust send /root/trust-3.json
is "the next version is in force where the host's signed receipt says so" "$EXIT $CLASSES" "0 web-1:verified"
is "and there it is" "$(version)" 3
far trust send /root/trust-3.json
is "once more it is the same" "$EXIT $CLASSES" "0 web-1:verified"
nats_say pub frz.v1.test.trust.2 < <(run cat /root/trust-2.json)
nats_say pub frz.v1.test.trust.5 < <(run cat /root/trust-5.json)
run bash -c 'cd /root && jq -c ".signatures |= .[:1]" trust-4.json >one.json'
ask trust send /root/one.json --nats "$NATS_URL" --yes
is "one that lacks a signature is not sent" "$EXIT" 3
nats_say pub frz.v1.test.trust.4 < <(run cat /root/one.json)
sleep 1
is "neither an older one, nor one too far, nor one that lacks a signature counts, whoever brings it" "$(version)" 3
ask trust send /root/trust-5.json --json
is "nor by the socket" "$EXIT $(jq -R -r 'fromjson? | select(.receipt) | .receipt.reasons[0]' <<<"$ANSWER")" "3 trust-chain"
run systemctl restart freezed
check "after a restart it is in force" box_until 60 version_is 3
run systemctl stop freezed-relay
nats_say pub frz.v1.test.trust.4 < <(run cat /root/trust-4.json)
nats_say pub frz.v1.test.trust.5 < <(run cat /root/trust-5.json)
run systemctl start freezed-relay
check "a host that was away takes one after the other" box_until 60 version_is 5
far_order contain "$UNIT" --to host=web-1
far release "$ID" --to host=web-1 --reason test --key /root/alice --key /root/carol --trust /root/trust-5.json
is "who is new in it lets go" "$EXIT $CLASSES" "0 web-1:verified"

# --- whoever was removed does not come back with an older file
STATE=/var/lib/freezed/trust.json
# again CMD ARG...: what CMD does while the agent is away
again() { run systemctl stop freezed && run "$@" && run systemctl start freezed; }
again rm $STATE 2>/dev/null
check "a trust root that is lost is what the ledger has of it" box_until 60 version_is 5
is "and is kept again" "$(run jq -r .payload $STATE)" "$(run jq -r .payload /root/trust-5.json)"
again cp /root/trust-3.json $STATE 2>/dev/null
check "likewise one that somebody put back" box_until 60 version_is 5
again truncate -s 99 $STATE 2>/dev/null
check "and a damaged one" box_until 60 version_is 5
check "which the log tells" box_until 60 run sh -c 'journalctl -u freezed -q | grep -c "trust.json was lost, and is what the ledger has of it, version 5" | grep -qx 3'
ask enroll /root/trust-3.json
is "none that came before it is enrolled" "$EXIT" 3
like "with what would follow" "$ANSWER" 'has version 5 .* has to be version 6'
root 6
ask enroll /root/trust-6.json --json
is "what follows it is, and is in force" "$EXIT $(version)" "0 6"
run rm /etc/freezed/trust.json
run bash -c 'cd /root && freezectl trust init --fleet test --responder bob=bob.pub --responder carol=carol.pub --recipient "$1" --key bob --key carol --out anew.json >/dev/null' - "$AGE_RECIPIENT"
ask enroll /root/anew.json
is "a fleet that root makes anew is not said to be in force while the agent goes on with the old one" "$EXIT $(version)" "4 6"
like "with what to do" "$ANSWER" 'systemctl restart freezed'
run systemctl restart freezed
check "then it is, and nothing of the old one comes back" box_until 60 version_is 1
done_testing
