#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 073-keep.sh B: what keeps evidence and what ends it. Legal holds, deletion by people who can order nothing else, time by the ledger's
# clock; what is left of it, for stock tools as well; an agent that dies on the way; and a disk that is full.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 073-keep.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh

run() { box_run host "$@"; }
in_box() { box_sh host "$@"; }

# ledger FILTER: of the ledger's records, in order
ledger() {
        rm -rf "$(box_dir host)/ledger" && cp -r "$(box_root host)/var/lib/freezed/ledger" "$(box_dir host)/" &&
                python3 tests/lib/read_ledger.py "$(box_dir host)/ledger" | jq -rc "$1"
}

# preserve NAME INCIDENT: evidence of a service that is let go again; HOLD is its id and FOLDER where it is
preserve() {
        order alice snapshot "$1.service" --incident "$2"
        HOLD=$ID FOLDER=$(receipt .evidence.folder)
}

# about WORDS...: an order about evidence, as order() gives others
about() {
        local who=$1
        shift
        order "$who" evidence "$@"
}

verify() { SAID=$(run freezectl evidence verify "$1" 2>&1); }
folder() { echo "$(box_root host)$FOLDER"; }
count_data() { find "$(folder)/data" -type f 2>/dev/null | wc -l; }
agent() { run systemctl show -P MainPID freezed.service; }

orders_boot "$B" || exit
service web 7001

# --- who may
preserve web SA-20261121-001
like "there is evidence" "$(count_data)" '^[1-9]'
about alice,bob delete "$HOLD"
is "two responders cannot have it deleted" "$ANSWER" "refused wrong-role"
about dave delete "$HOLD"
is "nor can one custodian" "$ANSWER" "refused threshold"
order dave,erin contain web.service
is "custodians contain nothing" "$ANSWER" "refused wrong-role"
if said=$(in_box 'cd /root && freezectl trust init --fleet x --responder alice=alice.pub --responder bob=bob.pub --custodian alice=alice.pub \
        --custodian dave=dave.pub --out /tmp/x.json' 2>&1); then not_ok "nobody is both"; else like "nobody is both" "$said" 'custodian'; fi
about alice,bob hold ffffffffffffffffffffffffffffffff
is "what is not there cannot be held" "$ANSWER" "refused no-such-evidence"

# --- legal holds
about alice hold "$HOLD"
is "a responder puts it under legal hold" "$ANSWER" "kept"
FIRST=$ID
about dave hold SA-20261121-001
is "so does a custodian, and names the incident" "$ANSWER" "kept"
SECOND=$ID
is "which is the second one" "$(receipt '.kept[0].legal_holds')" 2
like "the list tells" "$(run freezectl evidence list)" 'under legal hold'
said=$(run freezectl evidence show "$HOLD")
like "and each is told with its id and who ordered it" "$said" "$FIRST.*alice \(responder\).*$SECOND.*dave \(custodian\)"
about dave,erin delete "$HOLD"
is "what is under a legal hold is not deleted" "$ANSWER" "refused legal-hold"
about alice,bob unhold "$FIRST"
is "responders do not lift it" "$ANSWER" "refused wrong-role"
about dave,erin unhold "$FIRST"
is "custodians do" "$ANSWER" "lifted"
about dave,erin unhold "$FIRST"
is "once" "$ANSWER" "refused no-such-hold"
about dave,erin delete "$HOLD"
is "one that is lifted lifts no other" "$ANSWER" "refused legal-hold"
run systemctl kill -s KILL freezed.service
box_until 60 run freezectl health >/dev/null
about dave,erin delete "$HOLD"
is "and the other one outlives the agent" "$ANSWER" "refused legal-hold"
about dave,erin unhold "$SECOND"
is "until it is lifted too" "$ANSWER" "lifted"

# --- deletion
verify "$HOLD"
is "all of it is still there" "$?" 0
n=$(count_data)
order_file dave /tmp/delete.json evidence delete "$HOLD"
run freezectl approve /tmp/delete.json --key /root/erin --yes >/dev/null 2>&1
order_send /tmp/delete.json
is "two custodians have it deleted" "$ANSWER" "deleted"
is "and are told what of" "$(receipt '"\(.kept[0].id) \(.kept[0].state)"')" "$HOLD deleted"
is "nothing of the data is there" "$([ -e "$(folder)/data" ] && echo data)" ""
is "the manifests are" "$(cd "$(folder)" && sha256sum --quiet -c tagmanifest-sha256.txt 2>&1)" ""
like "and tell what was there" "$(cat "$(folder)/manifest-sha256.txt")" "data/000001-"
order_send /tmp/delete.json
is "sent once more it does nothing, and the answer is the same" "$(receipt .receipt.state)" deleted
verify "$HOLD"
is "verify does not take it for whole" "$?" 4
like "nor for changed" "$SAID" '^DELETED.*it was ordered.*dave \(custodian\).*erin \(custodian\)'
like "the list says so" "$(run freezectl evidence list)" "deleted .*$HOLD"
is "the tombstone counts what was there" "$(jq -r .payload "$(folder)/tombstone.dsse.json" | base64 -d | jq .predicate.files)" "$n"
is "openssl verifies it" "$(cd "$(folder)" && t=$(jq -r .payloadType tombstone.dsse.json) && jq -r .payload tombstone.dsse.json | base64 -d >/tmp/p.$$ &&
        jq -r '.signatures[0].sig' tombstone.dsse.json | base64 -d >/tmp/s.$$ &&
        { printf 'DSSEv1 %d %s %d ' ${#t} "$t" "$(stat -c %s /tmp/p.$$)"; cat /tmp/p.$$; } >/tmp/a.$$ &&
        openssl pkeyutl -verify -pubin -inkey host_key.pem -rawin -in /tmp/a.$$ -sigfile /tmp/s.$$; rm -f /tmp/[psa].$$)" "Signature Verified Successfully"
is "the ledger has the order, then the end" "$(ledger 'select(.verb == "evidence-delete" or .kind == "deleted") | .kind' | tr '\n' ' ')" "order deleted "
is "with the tombstone's digest" "$(ledger 'select(.kind == "deleted") | .tombstones[]')" "$(sha256sum "$(folder)/tombstone.dsse.json" | cut -d' ' -f1)"
about dave,erin delete "$HOLD"
is "there is nothing left to delete" "$ANSWER" "refused no-such-evidence"
GONE=$(folder)

# --- a tombstone excuses nothing that it is not about
preserve web SA-20261121-002
one=$(find "$(folder)/data" -type f | sort | head -n 1)
rm "$one"
cp "$GONE/tombstone.dsse.json" "$(folder)/"
verify "$HOLD"
is "the tombstone of another folder is seen" "$?" 3
like "and named" "$SAID" 'bad-tombstone'
jq -c '.signatures[0].sig |= (.[0:8] | ascii_downcase) + .[8:]' "$GONE/tombstone.dsse.json" >"$GONE/t" && mv "$GONE/t" "$GONE/tombstone.dsse.json"
verify "$GONE"
SAID=$(run freezectl evidence verify "${GONE#"$(box_root host)"}" 2>&1)
is "one whose signature was changed is too" "$?" 3
like "and what is missing is missing" "$SAID" 'missing'

# --- what is still held
order alice contain web.service --incident SA-20261121-003
HELD=$ID FOLDER=$(receipt .evidence.folder)
about dave,erin delete "$HELD"
is "evidence of what is still held is not deleted" "$ANSWER" "refused still-held"
order alice,bob release "$HELD"
about dave,erin delete "$HELD"
is "after its release it is" "$ANSWER" "deleted"

# --- the agent dies
preserve web SA-20261121-004
order_file dave,erin /tmp/delete2.json evidence delete "$HOLD"
in_box 'freezectl send /tmp/delete2.json --json >/tmp/answer 2>&1 & systemctl kill -s KILL freezed.service; wait' 2>/dev/null
box_until 60 run freezectl health >/dev/null
is_over() { ledger "select(.kind == \"deleted\") | .id" | grep -q "$HOLD" || ! ledger "select(.verb == \"evidence-delete\") | .envelope" | tail -n 1 |
        jq -r .payload | base64 -d | grep -q "$HOLD"; }
box_until 60 is_over
if ledger 'select(.kind == "deleted") | .id' | grep -q "$HOLD"; then
        is "an agent that was killed finishes what was recorded" "$([ -e "$(folder)/data" ] && echo data)" ""
        order_send /tmp/delete2.json
        is "and answers for it" "$(receipt .receipt.state)" deleted
else
        verify "$HOLD"
        is "an agent that was killed before it was recorded has not begun" "$?" 0
        order_send /tmp/delete2.json
        is "and begins when it is asked again" "$(receipt .state)" deleted
fi

# --- a deletion that fails, and is tried again
# told ID: what the journal has, or has soon, of one of the published messages about HOLD: the order, and how it begins
journal_of() { run journalctl -q -o json MESSAGE_ID="$(sed -n "s/^#define MESSAGE_ID_$1 \"\(.*\)\"/\1/p" agent/util/message_id.h)" HOLD="$HOLD"; }
is_told() { journal_of "$1" | grep -q .; }
told() {
        box_until 60 is_told "$1"
        journal_of "$1" | jq -rs '.[0] | "\(.COMMAND_ID) \(.MESSAGE)"'
}
# in_the_way: nothing of ours is a directory with something in it
in_the_way() { mkdir "$(folder)/data/alien" && : >"$(folder)/data/alien/file"; }
# state FILE: what who sends the order again is told became of it
state_of() { order_send "$1"; receipt '.receipt | "\(.state) \(.reasons | join(" "))\(.kept | map(" " + .state) | join(""))"'; }
tries_again() { preserve web SA-20261121-099; }
is_deleted() { [ "$(state_of "$1")" = "deleted  deleted" ]; }
preserve web SA-20261121-014
DELETED=$HOLD
in_the_way
order_file dave,erin /tmp/delete3.json evidence delete "$HOLD"
BY=$ID
order_send /tmp/delete3.json
is "what cannot be deleted is said to be" "$ANSWER $(receipt '.kept[0].state')" "partial not-deleted deleting"
like "the journal tells, for who watches it" "$(told NOT_DELETED)" "^$BY Evidence could not be deleted"
is "who asks again is told the same" "$(state_of /tmp/delete3.json)" "partial not-deleted deleting"
FIRST=$FOLDER
tries_again
FOLDER=$FIRST HOLD=$DELETED
is "also when it was tried once more" "$(state_of /tmp/delete3.json)" "partial not-deleted deleting"
is "which is no record of its own" "$(ledger "select(.kind == \"outcome\" and .id == \"$BY\") | .reasons | contains([\"not-deleted\"])" | paste -sd ,)" "true"
run systemctl kill -s KILL freezed.service
box_until 60 run freezectl health >/dev/null
is "nor is it after a restart" "$(state_of /tmp/delete3.json)" "partial not-deleted deleting"
rm -r "$(folder)/data/alien"
tries_again
FOLDER=$FIRST HOLD=$DELETED
check "when what was in the way is gone, it is deleted, and that is what one is told" box_until 60 is_deleted /tmp/delete3.json
is "by a record of its own" "$(ledger "select(.kind == \"outcome\" and .id == \"$BY\") | .reasons | contains([\"not-deleted\"])" | paste -sd ,)" "true,false"
like "and the journal tells" "$(told DELETED)" "^$BY Evidence was deleted: it was ordered"
preserve web SA-20261121-015
in_the_way
order_file dave,erin /tmp/delete4.json evidence delete "$HOLD"
order_send /tmp/delete4.json
is "once more" "$ANSWER" "partial not-deleted"
run systemctl stop freezed-core.socket freezed-gate.socket freezed-gate.service freezed.service 2>/dev/null
rm -r "$(folder)/data/alien"
run systemctl start freezed-core.socket freezed-gate.socket freezed.service
box_until 60 run freezectl health >/dev/null
check "a start of the agent is another try" box_until 60 is_deleted /tmp/delete4.json
is "of which nothing is left" "$([ -e "$(folder)/data" ] && echo data)" ""

# --- time
in_box 'cd /root && freezectl trust rotate /etc/freezed/trust.json --retention 15s --key alice --key bob --out trust-2.json && freezectl enroll trust-2.json' >/dev/null &&
        run systemctl reload freezed.service
preserve web SA-20261121-005
SHORT=$FOLDER SHORT_ID=$HOLD
preserve web SA-20261121-006
about alice hold "$HOLD"
KEEPER=$ID
is_gone() { [ -e "$(box_root host)$1/tombstone.dsse.json" ] && ! [ -e "$(box_root host)$1/data" ]; }
box_until 60 is_gone "$SHORT"
check "when its time is over it is deleted" is_gone "$SHORT"
like "and it is told why" "$(run freezectl evidence show "$SHORT_ID")" 'the time for which it is kept was over'
HOLD=$SHORT_ID
like "and to who watches the journal, twice" "$(told EXPIRED),$(told DELETED)" '^null The time .* is over,null Evidence was deleted: its time was over'
is_recorded() { ledger 'select(.kind == "deleted") | .id' | grep -q "$SHORT_ID"; }
box_until 60 is_recorded
is "that it was over is a record before that" "$(ledger "select(.id == \"$SHORT_ID\" and (.kind == \"expiry\" or .kind == \"deleted\")) | .kind" | tr '\n' ' ')" "expiry deleted "
check "what is under a legal hold outlives its time" test -d "$(folder)/data"
about dave,erin unhold "$KEEPER"
box_until 60 is_gone "$FOLDER"
check "and no more than that" is_gone "$FOLDER"
check "what was promised before is not shortened" test -e "$GONE/manifest-sha256.txt"

# --- room: what is sealed is not given up for what is new
in_box 'cd /root && freezectl trust rotate trust-2.json --retention 365d --key alice --key bob --out trust-3.json && freezectl enroll trust-3.json' >/dev/null &&
        run systemctl reload freezed.service
quota() {
        echo "{\"v\":1,\"evidence\":{\"quota_bytes\":$1}}" | run sh -c 'cat >/etc/freezed/policy.json' && run systemctl reload freezed.service
}
flags() { receipt '.flags | map(select(endswith("room") or startswith("evidence"))) | join(" ")'; }
used() { ledger 'if .kind == "evidence" then [.id, .sealed] elif .kind == "deleted" then [.id, null] else empty end' |
        jq -s 'reduce .[] as $r ({}; .[$r[0]] = (if $r[1] then (.[$r[0]] // 0) + $r[1] else 0 end)) | add'; }
preserve web SA-20261121-007
FIRST=$HOLD FIRST_FOLDER=$FOLDER
quota $(($(used) + 1000000))
preserve web SA-20261121-008
is "near its quota a host takes no more, and says why" "$(flags)" "evidence-failed no-room"
quota $(($(used) + 1100000))
preserve web SA-20261121-008
like "with a little left it takes what fits, and says so" "$(receipt .evidence.state) $(flags)" '^cut-short (little-room evidence-holes|evidence-holes little-room)$'
check "which is no more than was left" test "$(receipt .evidence.sealed)" -le 1100000
verify "$FIRST"
is "and all that was there before is there" "$?" 0
run rm /etc/freezed/policy.json && run systemctl reload freezed.service

# --- a disk that is full
full() { run sh -c 'fallocate -l "$(($(stat -f -c "%a * %S" /var/lib/freezed) - 4096))" /var/lib/freezed/filler'; }
in_box 'systemctl stop freezed.service && mount -t tmpfs -o size=128m,mode=0700 state /mnt && cp -a /var/lib/freezed/. /mnt/ &&
        mount --bind /mnt /var/lib/freezed && systemctl start freezed.service' >/dev/null 2>&1
box_until 60 run freezectl health >/dev/null
is_reserved() { [ "$(run sh -c 'find /var/lib/freezed/reserve -type f -size 1024k | wc -l')" -eq 12 ]; }
box_until 60 is_reserved
check "something is set aside" is_reserved
is "and health knows" "$(run freezectl health --json | jq -r '.report.evidence.reserved // empty')" true
check "the disk is full" full
preserve web SA-20261121-009
is "on a full disk no evidence is taken" "$(flags)" "evidence-failed no-room"
verify "$FIRST"
is "none is given up" "$?" 0
about alice hold "$FIRST"
is "it can be put under legal hold all the same" "$ANSWER" "kept"
about dave,erin unhold "$ID"
about dave,erin delete "$FIRST"
is "and deleted, which is what makes room" "$ANSWER" "deleted"
like "with a tombstone" "$(run freezectl evidence verify "$FIRST" 2>&1)" '^DELETED'
check "what was set aside was given up for that" test "$(run sh -c 'ls /var/lib/freezed/reserve | wc -l')" -lt 12
run rm /var/lib/freezed/filler
preserve web SA-20261121-010
is "then there is room again" "$(receipt .evidence.state)" complete
box_until 60 is_reserved
check "also for what is set aside" is_reserved

done_testing
