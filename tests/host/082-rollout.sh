#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 082-rollout.sh B: orders to hosts elsewhere, over a real nats-server and a real relay: who is expected is known before anything is sent,
# each host is verified, accepted, refused or silent by what it signed, waves stop at the first host that is not verified, and a broker
# that garbles what it carries changes none of that.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 082-rollout.sh BUILD}
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
# roll VERB ARG...: over the broker; EXIT, ANSWER, SUMMARY and CLASSES, as in "web-1:verified"
roll() {
        order "$@" --nats "$NATS_URL"
        SUMMARY=$(jq -R -c 'fromjson? | select(.summary) | .summary' <<<"$ANSWER")
        CLASSES=$(jq -R -r 'fromjson? | select(.class) | .name + ":" + .class + (.reason // "" | if . == "" then "" else "(" + . + ")" end)' <<<"$ANSWER" | sort | paste -sd ' ')
}
summary() { jq -r "$1" <<<"$SUMMARY"; }
free() { release "$(hold_id)" >/dev/null; }

held_boot "$B" || exit
DIR=$(box_dir host)
NATS_PORT=4222
nats_start host || exit
nats_say streams test || exit
run bash -c 'cd /root && for k in rita ghost; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done
        freezectl trust rotate trust.json --registrar rita=rita.pub --key alice --key bob --out trust-2.json && freezectl enroll trust-2.json && systemctl reload freezed' >/dev/null || exit
printf '{"v":1,"servers":["%s"],"spread_s":0}' "$NATS_URL" | run tee /etc/freezed/relay.json >/dev/null
check "a registrar certifies the host" certify web-1 /var/lib/freezed/host_key.pub web
run tail -n 1 /etc/freezed/inventory.jsonl | run tee /tmp/web-1.json >/dev/null
check "which takes it" run freezectl send /tmp/web-1.json
run systemctl start freezed-relay
check "the relay is ready" box_until 60 relay_is ready

# --- nothing is sent that was not meant
roll contain "$UNIT" --to group=cache
is "a group without hosts is an error" "$EXIT" 2
roll contain "$UNIT" --to group=web --wave 1,10%
is "so are waves that end before the last host" "$EXIT" 2
like "without --yes and a terminal it is not sent" "$(run freezectl contain "$UNIT" --to group=web --nats "$NATS_URL" --reason test --key /root/alice </dev/null 2>&1)" 'say it with --yes'
check "and nothing is held" alive

# --- one host
roll contain "$UNIT" --to group=web
is "an order to a group reaches its host, which is verified" "$CLASSES" web-1:verified
is "exit 0 says so" "$EXIT" 0
check "the kernel says so too" held
free
check "released" alive
roll contain "$UNIT" --to host=web-1
is "so does one to the host" "$EXIT $CLASSES" "0 web-1:verified"
free
roll contain missing.service --to host=web-1
is "a refusal is one, and why" "$EXIT $CLASSES" "3 web-1:refused(no-such-target)"

# --- one that is there, and one that is not
certify web-2 /root/ghost.pub web
roll contain "$UNIT" --to group=web --max-hosts 1
is "more hosts than --max-hosts are refused before anything is sent" "$EXIT" 3
check "and nothing is held" alive
roll isolate "$UNIT" --to all --timeout 20s
is "who is silent is never counted as anything else" "$EXIT $CLASSES" "4 web-1:verified web-2:silent"
free
like "the page names it" "$(run freezectl isolate "$UNIT" --to group=web --nats "$NATS_URL" --timeout 15s --incident $INCIDENT --reason test --key /root/alice --yes 2>/dev/null)" 'silent +web-2'
free
# which host comes first is the salt's to say: again until both have
followed= stopped=
for ((i = 0; i < 20; i++)); do
        roll isolate "$UNIT" --to group=web --wave 1,100% --timeout 15s
        case "$EXIT $CLASSES $(summary .not_sent)" in
        "4 web-1:verified web-2:silent 0") followed=yes && free ;;
        "4 web-1:not-sent web-2:silent 1") stopped=yes && alive || break ;;
        *) echo "# $EXIT $CLASSES $ANSWER" && break ;;
        esac
        [ -n "$followed" ] && [ -n "$stopped" ] && break
done
is "when the first wave is verified the second one follows" "$followed" yes
is "when it is silent the second one is not sent, and not held" "$stopped" yes

# --- lines that nobody may have written
run bash -c 'tail -n 1 /etc/freezed/inventory.jsonl | sed "s/\"sig\":\"..../\"sig\":\"AAAA/" >>/etc/freezed/inventory.jsonl'
roll plan contain "$UNIT" --to host=web-1
is "a bad line is named and takes no other with it" "$EXIT $(summary '.bad_lines | join(" ")')" "0 3"

# --- no broker, and one that lies
nats_stop
roll contain "$UNIT" --to host=web-1
is "without a broker nothing was sent" "$EXIT" 1
check "nor held" alive
rogue_start host || exit
check "the rogue is believed to be a broker" box_until 60 relay_is ready
echo forge >"$NATS_MODE"
roll contain "$UNIT" --to host=web-1 --timeout 8s
is "what a broker forges is not believed" "$CLASSES" web-1:silent
is "and there is nobody who answered" "$EXIT" 5
done_testing
