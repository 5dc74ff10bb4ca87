#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 088-simulated.sh B: the hosts of which the bench runs thousands are hosts: freezectl believes what they sign, an order that is not for
# them is not carried out, what nobody of the trust root signed is answered with nothing, and they come back to a server that was gone.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 088-simulated.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh
# shellcheck source=tests/lib/sim.sh
. tests/lib/sim.sh

summary() { jq -r "$1" <<<"$SUMMARY"; }
counts() { summary '"\(.verified) \(.accepted) \(.refused) \(.silent)"'; }
answers() { sim_counters hosts && jq -r .answers <<<"$SIM_SAID"; }
# the payloads that were heard
payloads() { cut -f 3 "$SIM_DIR/heard" | jq -r .payload | while read -r x; do base64 -d <<<"$x"; echo; done; }
says_of() { payloads | jq -r "$1" | sort | uniq -c | awk '{ print $2, $1 }' | paste -sd ' '; }
# elsewhere FILE GROUP ID: what is for others comes to that group
elsewhere() { nats_say pub "frz.v1.bench.cmd.group.$2.$3" <"$1"; }

nats_start - && nats_say streams bench && sim_begin "$B" && sim_hosts 0 60 web && sim_hosts 60 40 db || exit
sim_start hosts 0 100 0
check "a hundred hosts connect" sim_ready hosts 120

sim_order contain web.service --to group=web
is "an order to a group is verified at each of its hosts" "$EXIT $(counts)" "0 60 0 0 0"
is "by the receipts of both stages, and by nobody else's" "$(answers)" 120
is "each names itself" "$(jq -r 'select(.class) | .receipt.host' "$ANSWER" | sort -u | wc -l)" 60
HOLD=$(summary '.ids[0]')
sim_order isolate web.service --to all --max-hosts 100
is "an order to all is verified at all" "$EXIT $(counts)" "0 100 0 0 0"
ALL=$(summary '.ids[0]')
sim_order release "$HOLD" --to group=web --key "$SIM_DIR/bob"
is "a release by two people is, too" "$EXIT $(counts)" "0 60 0 0 0"

# --- who answered in time is not silent because freezectl had no time to look
before=$(answers)
nats_listen "$SIM_DIR/carried" 1 60 "frz.v1.bench.cmd.all.*"
kill -STOP "${SIM_PID[hosts]}"
(sim_order contain late.service --to all --max-hosts 100 --timeout 5s; echo "$EXIT $(counts)" >"$SIM_DIR/late") &
LATE=$!
nats_heard
LATE_CTL=$(pgrep -P "$LATE")
kill -STOP "$LATE_CTL"
kill -CONT "${SIM_PID[hosts]}"
have_answered() { [ $(($(answers) - before)) -ge 200 ]; }
check "while freezectl stands still two hundred answers are given" box_until 60 have_answered
sleep 5
kill -CONT "$LATE_CTL"
wait "$LATE"
is "and count when it goes on, after the time" "$(cat "$SIM_DIR/late")" "0 100 0 0 0"

# --- what is for others of the same group: three orders come to each, one of them for it
# refusals: how many records of any their ledger has, and that it was read
refusals() { python3 tests/lib/read_ledger.py "$SIM_DIR/hosts/ledger.0" >"$SIM_DIR/records" && grep -c '"refusal"' "$SIM_DIR/records"; }
before=$(answers)
sim_order release "$ALL" --to group=web --wave 1,50%,100% --key "$SIM_DIR/bob"
is "three waves are verified, each of its hosts" "$EXIT $(counts) $(summary '.ids | length')" "0 60 0 0 0 3"
# the last one comes once more, in the place of the order that it releases: a duplicate at the 30 that it is for
have_said() { [ $(($(answers) - before)) -ge 90 ]; }
box_until 60 have_said
is "to the other two each says nothing, and nothing is recorded" "$(($(answers) - before)) $(refusals)" "90 0"

# --- what is not for them
nats_listen "$SIM_DIR/carried" 1 60 "frz.v1.bench.cmd.group.web.*"
sim_order freeze web.service --to group=web
nats_heard
cut -f 3 "$SIM_DIR/carried" | tr -d '\n' >"$SIM_DIR/web.order"
ID=$(summary '.ids[0]')
nats_listen "$SIM_DIR/heard" 40 60 "frz.v1.bench.rsp.*.$ID"
elsewhere "$SIM_DIR/web.order" db "$ID"
check "an order that was brought to the wrong hosts is answered by them" nats_heard
is "none of them carries it out" "$(says_of '.state + "(" + (.reasons | join(" ")) + ")"')" "refused(wrong-host) 40"
before=$(answers)
sed 's/"sig":"..../"sig":"AAAA/' "$SIM_DIR/web.order" >"$SIM_DIR/forged"
elsewhere "$SIM_DIR/forged" web "$ID"
echo garbage | nats_say pub "frz.v1.bench.cmd.group.web.$ID"
sim_order isolate other.service --to group=db
is "what nobody signed is answered with nothing" "$(($(answers) - before)) $(counts)" "40 40 0 0 0"

# --- a server that was gone
nats_stop
sim_order isolate web.service --to group=web
is "without a server nothing is sent" "$EXIT" 1
nats_start -
check "they come back" sim_ready hosts 120
nats_say streams bench
sim_order isolate again.service --to group=web
is "and are ordered again" "$EXIT $(counts)" "0 60 0 0 0"
have_caught_up() { sim_counters hosts && jq -e '.caught_up > 0' <<<"$SIM_SAID"; }
check "what they missed they asked for" box_until 120 have_caught_up

# --- a server that speaks TLS and nothing else
# encrypted ADDRESS: its certificate is for that one
encrypted() {
        nats_stop
        nats_certify "$SIM_DIR/pki" server "$1" && nats_start - "tls { cert_file: \"$SIM_DIR/pki/server.pem\", key_file: \"$SIM_DIR/pki/server.key\" }"
}
have() { sim_counters hosts && jq -e "$1" <<<"$SIM_SAID"; }
nats_certify "$SIM_DIR/pki" server 127.0.0.1 && sim_tell hosts "tls $SIM_DIR/pki/ca.pem"
encrypted 127.0.0.1 || exit
check "over TLS they come back as well" sim_ready hosts 120
before=$(answers)
NATS_URL=tls://127.0.0.1:$NATS_PORT NATS_AS=(--ca "$SIM_DIR/pki/ca.pem")
elsewhere "$SIM_DIR/web.order" web "$ID"
check "and answer" box_until 60 have ".answers >= $before + 60"
encrypted 127.0.0.9 && sim_counters hosts || exit
failed=$(jq -r .failures <<<"$SIM_SAID")
check "they do not speak to one whose certificate is for another" box_until 120 have ".failures >= $failed + 100 and .counters == 0"
done_testing
