#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 086-leaf.sh B: a host whose broker is its site's, which is a leaf of the hub; both with the configuration that is shipped. It is ordered
# from the hub, from the site while the link between them is cut, and has what it missed when the link is back.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 086-leaf.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh

HUB=tls://127.0.0.1:4222 SITE=tls://10.77.0.1:4222
relay() { run cat /run/freezed-relay/state.json 2>/dev/null | jq -r "$1"; }
relay_is() { [ "$(relay .state)" = "$1" ]; }
has_counted() { [ "$(relay ".counters.$1")" -ge "$2" ]; }
at() { NATS_URL=$1 nats_say "${@:2}"; }
# signed FILE VERB ARG...: by alice, or by the people in BY; ID is its id
signed() {
        local who keys=()
        for who in ${BY:-alice}; do keys+=(--key "/root/$who"); done
        ID=$(run freezectl "${@:2}" --incident "$INCIDENT" --reason test "${keys[@]}" --yes --out "/root/$1" --json </dev/null | jq -r .summary.id)
        run cat "/root/$1" >"$D/$1"
}
subject() { echo "frz.v1.test.cmd.host.$HOST_TOKEN.${1:-$ID}"; }
# publish URL FILE [SUBJECT]
publish() { at "$1" pub "${3:-$(subject)}" <"$D/$2"; }
states() { awk -F '\t' -v s=".$ID" 'index($1, s) { print $3 }' "$D/answers" | while read -r x; do jq -r .payload <<<"$x" | base64 -d | jq -r 'select(.final != false).state'; done; }
says() { [ "$(states | head -n 1)" = "$1" ]; }
# order_at URL FILE STATE: the final receipt, heard there, says so
order_at() {
        NATS_URL=$1 nats_listen "$D/answers" 0 600 "frz.v1.test.rsp.$HOST_TOKEN.$ID"
        publish "$1" "$2"
        box_until 120 says "$3"
        local r=$?
        nats_deafen
        return $r
}
# link up|down: between the site and the hub. What goes over it when it is down is answered by a reset
link() {
        if [ "$1" = up ]; then
                nats_in nft delete table inet link
        else
                nats_in nft 'add table inet link; add chain inet link out { type filter hook output priority 0; }; add rule inet link out tcp dport 7422 reject with tcp reset'
        fi
}
leaves() { grep -c 'Leafnode connection created' "$D/leaf.log"; }
has_joined() { [ "$(leaves)" -ge "$1" ]; }
has_lost() { grep -q 'Leafnode connection closed' "$D/leaf.log"; }

held_boot "$B" || exit
D=$(box_dir host)
run bash -c 'cd /root && for k in rita harold; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done
        freezectl trust rotate trust.json --registrar rita=rita.pub --herald harold=harold.pub --key alice --key bob --out trust-2.json && freezectl enroll trust-2.json && systemctl reload freezed' >/dev/null || exit
HOST_TOKEN=$(run ssh-keygen -lf /var/lib/freezed/host_key.pub | awk '{ print $2 }' | sed 's/^SHA256://; y/+\//-_/')

# --- the hub and the site's broker, as they are shipped; the host reaches only the latter
NATS_BOX=host
PKI=$D/pki
for k in server site; do nats_certify "$PKI" "$k" 127.0.0.1 10.77.0.1 || exit; done
nats_shipped "$PKI" test "$HOST_TOKEN" 127.0.0.1 >"$PKI/hub" || exit
{
        sed "s@/etc/nats@$PKI@; s/0\.0\.0\.0/10.77.0.1/; s/nats-1\.example/127.0.0.1/" packaging/nats/leafnode.conf
        sed -n '/^authorization/,$p' "$PKI/hub"
} >"$PKI/leaf"
NATS_AS=(--nkey "$PKI/operator" --ca "$PKI/ca.pem")
nats_dir || exit
leaf_start() {
        (nats_become nats-server -c "$PKI/leaf") >>"$D/leaf.log" 2>&1 &
        LEAF=$!
        disown
        box_at_exit "kill -KILL $LEAF 2>/dev/null"
}
NATS_PORT=4222
nats_host() { echo 127.0.0.1; }
NATS_URL=$HUB
nats_start_with "$PKI/hub" && nats_say streams test || exit
leaf_start
check "the site's broker joins the hub" box_until 120 has_joined 1
box_put host "$PKI/ca.pem" /etc/freezed/ca.pem
box_put host "$PKI/host" /etc/freezed/nats.seed 0640
run chgrp freezed-relay /etc/freezed/nats.seed
echo "{\"v\":1,\"servers\":[\"$SITE\"],\"ca\":\"/etc/freezed/ca.pem\",\"nkey\":\"/etc/freezed/nats.seed\",\"spread_s\":0}" | run tee /etc/freezed/relay.json >/dev/null
signed early.json contain "$UNIT"
publish "$HUB" early.json
run systemctl start freezed-relay
check "the relay is ready at the site's broker" box_until 60 relay_is ready
check "and catches up from the hub's stream" box_until 60 held
check "which it is counted as" box_until 60 has_counted caught_up 1
release >/dev/null

# --- from the hub
signed hub.json contain "$UNIT"
check "an order that is given at the hub is answered there" order_at "$HUB" hub.json contained
check "as the kernel says" held
BY='alice bob' signed hub-free.json release "$(hold_id)"
check "and so is its release" order_at "$HUB" hub-free.json released

# --- the link is cut
link down
check "the site loses the hub" box_until 120 has_lost
JOINED=$(leaves)
check "and its host does not lose the site" relay_is ready
signed site.json contain "$UNIT"
check "an order that is given at the site is answered there" order_at "$SITE" site.json contained
check "as the kernel says" held
BY='alice bob' signed site-free.json release "$(hold_id)"
check "and so is its release" order_at "$SITE" site-free.json released
signed missed.json contain "$UNIT"
publish "$HUB" missed.json
sleep 1
check "what is ordered at the hub meanwhile does not come" alive

# --- and back
link up
check "the site finds the hub again" box_until 120 has_joined $((JOINED + 1))
now=$(date +%s%3N)
jq -cn --arg id "$ID" --arg digest "$(jq -r .payload "$D/missed.json" | base64 -d | sha256sum | cut -c 1-32)" --arg h "$(run ssh-keygen -lf /var/lib/freezed/host_key.pub | awk '{ print $2 }')" --argjson now "$now" \
        '{v: 1, fleet: "test", n: 1, iat: $now, exp: ($now + 90000), trust_version: 2, orders: [{$id, $digest, to: {hosts: [$h]}, exp: ($now + 3600000)}]}' >"$D/head.new"
box_put host "$D/head.new" /root/head.new
run freezectl sign /root/head.new --key /root/harold --yes >/dev/null && run cat /root/head.new >"$D/head"
NATS_AS[1]=$PKI/herald
# a link that is there does not carry yet what the site's hosts want to hear
is_fetched() { publish "$HUB" head frz.v1.test.head && held; }
check "the next head has the host fetch what it missed" box_until 120 is_fetched
done_testing
