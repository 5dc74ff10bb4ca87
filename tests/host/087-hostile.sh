#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 087-hostile.sh B: three real hosts, one desk, and between them a broker that holds back, plays again, changes, makes up and forgets. No
# host does anything that its people did not order, none lets go of anything, and what was kept from somebody is noticed by him.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 087-hostile.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh
# shellcheck source=tests/lib/fleet.sh
. tests/lib/fleet.sh

now_ms() { date +%s%3N; }
# id_of KEY: an id that is this key's
id_of() {
        { head -c 8 /dev/urandom && ssh-keygen -lf "$DESK/$1.pub" | awk '{ print substr($2, 8) "=" }' | base64 -d; } | head -c 16 | od -An -tx1 | tr -d ' \n'
}
relay_is() { [ "$(fleet_relay_says "$1" .state)" = "$2" ]; }
relay_is_of() { [ "$(fleet_relay_says "$1" '.groups | join(" ")')" = "$2" ]; }
relay_has() { [ "$(fleet_relay_says "$1" ".counters.$2")" -ge "$3" ]; }
is_held() { HOST=$1 held; }
# held by more than one, whose programs are as many times as many
is_stopped() { HOST=$1 frozen && HOST=$1 is_still; }
is_alive() { HOST=$1 alive; }
all_are() {
        local name
        for name in "${@:2}"; do "is_$1" "$name" || { echo "$name is not $1"; return 1; }; done
}
n_holds() { box_run "$1" freezectl status --json | jq -r '.report // empty | .holds | length'; }

# --- what people sign, and what strangers do
# signed FILE TO MEMBERS KEY... -- VERB ARG...: an order to TO with members that freezectl would not give it. ID is the order's
signed() {
        local file=$1 to=$2 members=$3 id keys=()
        id=$(id_of "$4")
        shift 3
        while [ "$1" != -- ]; do keys+=("$DESK/$1") && shift; done
        rm -f "$DESK/base.json"
        desk "${@:2}" --to host=web-1 --key alice --incident "$INCIDENT" --reason test --trust trust.json --hosts-file hosts --yes --out base.json \
                >"$DESK/err" 2>&1 </dev/null || { cat "$DESK/err" >&2; return 1; }
        members=$(jq -cn --argjson to "$to" --arg id "$id" --argjson now "$(now_ms)" --argjson m "$members" '{$to, $id, iat: $now, exp: ($now + 600000)} + $m')
        ID=$(jq -r .id <<<"$members")
        python3 -B tests/lib/resign.py "$DESK/base.json" "$members" "${keys[@]}" >"$DESK/$file"
}
to_host() { jq -cn --arg h "SHA256:$(fleet_token "$1" | tr -- '-_' '+/')" '{hosts: [$h]}'; }
WEB='{"group":"web","max_hosts":3}'
# publish FILE SUBJECT [ARG...]: to the real server, which lets anybody
publish() { nats_say pub "$2" "${@:3}" <"$DESK/$1"; }
publish_to() { publish "$1" "frz.v1.test.cmd.host.$(fleet_token "$2").${3:-$ID}"; }
publish_web() { publish "$1" "frz.v1.test.cmd.group.web.$ID"; }
# head_of N: an empty one, by BY
head_of() {
        echo '{"payload":"e30=","payloadType":"application/vnd.freezed.head.v1+json","signatures":[]}' >"$DESK/head.base"
        python3 -B tests/lib/resign.py "$DESK/head.base" "$(jq -cn --argjson n "$1" --argjson now "$(now_ms)" \
                '{v: 1, fleet: "test", $n, iat: $now, exp: ($now + 240000), trust_version: 1, orders: []}')" "$DESK/$BY" >"$DESK/head"
        publish head frz.v1.test.head
}
last_head() { nats_say ask '$JS.API.DIRECT.GET.FRZ_CMD_test' <<<'{"last_by_subj":"frz.v1.test.head"}'; }
lists() { last_head | jq -r .payload | base64 -d | jq -e --arg id "$1" 'any(.orders[]; .id == $id)' >/dev/null; }
head_n() { box_run "$1" freezectl health --json | jq -r '.report // empty | .head.n // 0'; }
# numbers_of NAME: those of the heads by NAME in DESK/heads
numbers_of() {
        cut -f 3 "$DESK/heads" | jq -r --arg key "$(ssh-keygen -lf "$DESK/$1.pub" | awk '{ print $2 }')" \
                'select(any(.signatures[]; .keyid == $key)) | .payload | @base64d | fromjson | .n'
}
# what a host believes is by NAME, and above N
believe() {
        local host n
        for host in "${FLEET_HOSTS[@]}"; do
                n=$(head_n "$host")
                [ "$n" -gt "$2" ] && numbers_of "$1" | grep -qxF "$n" || { echo "$host believes $n"; return 1; }
        done
}
# without PID CMD...: while that herald is silent. Of two that speak in the same moment one is never the last
without() {
        local r
        kill -STOP "$1"
        "${@:2}"
        r=$?
        kill -CONT "$1"
        return "$r"
}
highest() { numbers_of "$1" | sort -n | tail -n 1; }
goes_on() { [ "$(highest "$1")" -gt "$2" ]; }
head_is_above() { [ "$(head_n web-1)" -gt "$1" ]; }

# --- what hosts answer
hear() {
        nats_listen "$DESK/heard.$1" 0 7200 'frz.v1.test.rsp.>' 'frz.v1.test.cmd.>' 'elsewhere.>'
        LISTENERS="${LISTENERS:-} $NATS_LISTENER"
}
# heard NAME [ID]: the envelopes that it answered to ID, a line each
heard() { cat "$DESK"/heard.[0-9] | awk -F '\t' -v s="frz.v1.test.rsp.$(fleet_token "$1").${2:-$ID}" '$1 == s { print $3 }'; }
# states NAME [ID]: the final ones of these, and duplicates that come before, with their reasons
states() {
        heard "$@" | jq -r .payload | while read -r x; do base64 -d <<<"$x"; echo; done |
                jq -r 'select(.final != false or .state == "duplicate") | .state + (.reasons // [] | map(" " + .) | join(""))' | paste -sd ,
}
answered() { [[ ,$(states "$1" "${3:-$ID}"), = *",$2,"* ]]; }
# says 'SENTENCE' NAME STATE: a case: it answers ID so
says() {
        # a gate reads more slowly from who brought it much that was refused
        box_until 120 answered "$2" "$3"
        is "$1" "$(states "$2")" "$3"
}

# --- what people do at the desk
AT_DESK=(--nats nats://10.77.0.1:4222 --trust trust.json --inventory inventory.jsonl --incident "$INCIDENT" --reason test --key alice)
# roll VERB ARG...: EXIT, CLASSES as in "web-1:verified", SUMMARY
roll() {
        ANSWER=$(desk "$@" "${AT_DESK[@]}" --yes --json 2>&1 </dev/null)
        EXIT=$?
        rolled
}
# roll_until CONDITION VERB ARG...: the same, ended by hand three seconds after CONDITION holds; ID is the order's by then
roll_until() {
        local condition=$1 before roll
        shift
        before=$(sent | tail -n 1)
        (cd "$DESK" && exec ip netns exec "$(cat "$(box_dir web-1)/netns")" env -i "${BOX_ENV_DESK[@]}" \
                "$FLEET_B/freezectl" "$@" "${AT_DESK[@]}" --timeout 5m --yes --json) >"$DESK/rolled" 2>&1 </dev/null &
        roll=$!
        box_until 120 has_sent "$before"
        ID=$(sent | tail -n 1)
        box_until 120 eval "$condition"
        # what is heard here is on its way there
        sleep 3
        kill -TERM "$roll"
        wait "$roll"
        EXIT=$?
        ANSWER=$(cat "$DESK/rolled")
        rolled
}
has_sent() { [ "$(sent | tail -n 1)" != "$1" ]; }
# ids of the orders that stop, in their order
sent() {
        cat "$DESK"/heard.[0-9] | awk -F '\t' '/^frz.v1.test.cmd\./ { print $3 }' | jq -r .payload | while read -r x; do base64 -d <<<"$x"; echo; done |
                jq -r 'select(.verb and .verb != "release") | .id' | awk '!seen[$0]++'
}
rolled() {
        SUMMARY=$(jq -R -c 'fromjson? | select(.summary) | .summary' <<<"$ANSWER")
        CLASSES=$(jq -R -r 'fromjson? | select(.class) | .name + ":" + .class + (.reason // "" | if . == "" then "" else "(" + . + ")" end)' <<<"$ANSWER" | sort | paste -sd ' ')
        [ -n "$SUMMARY" ] || CLASSES=$ANSWER
}
summary() { jq -r "$1" <<<"$SUMMARY"; }
# terminal STEP... -- VERB ARG...: the same with a person who reads and types; SHOWN, EXIT
terminal() {
        local steps=()
        while [ "$1" != -- ]; do steps+=("$1") && shift; done
        SHOWN=$(cd "$DESK" && box_outside web-1 env -i "${BOX_ENV_DESK[@]}" python3 -B "$BOX_LIB/terminal.py" "${steps[@]}" -- "$FLEET_B/freezectl" "${@:2}" "${AT_DESK[@]}")
        EXIT=$?
}
# free ID NAME...: two people let it go, and these say that they did
free() {
        local id=$1 name
        shift
        signed release.json "$WEB" '{}' alice bob -- release "$id" || return
        publish_web release.json
        for name; do box_until 60 answered "$name" released || return; done
}

fleet_boot "$B" web-1 web-2 web-3 && fleet_people alice bob rita harold hanna robot mallory &&
        fleet_enroll --automation robot=robot.pub --registrar rita=rita.pub --herald harold=harold.pub --herald hanna=hanna.pub &&
        fleet_broker &&
        desk fleet setup --nats nats://10.77.0.1:4223 --trust trust.json >/dev/null || exit
# as it is now, before anything was ordered
nats_stop
cp -r "$NATS_DIR/store" "$NATS_DIR/older"
nats_start && hear 1 && fleet_herald harold || exit
HAROLD=$BOX_PID
for name in "${FLEET_HOSTS[@]}"; do
        fleet_relay "$name"
        desk fleet certify --name "$name" --key-file "$name.pub" --group web --key rita --trust trust.json >"$DESK/$name.attributes" &&
                cat "$DESK/$name.attributes" >>"$DESK/inventory.jsonl" && publish_to "$name.attributes" "$name" attributes || exit
done
formed() { relay_is_of web-1 web && relay_is_of web-2 web && relay_is_of web-3 web; }
check "three hosts are certified over the broker, and hear for their group" box_until 120 formed

# --- one host is kept in the dark: the others act, it is silent here, and knows there. What comes of it is seen at the end
fleet_lies web-3 withhold
roll_until 'answered web-1 contained && answered web-2 contained' contain "$UNIT" --to group=web
is "a host from which an order is withheld is silent, and the others are not" "$EXIT $CLASSES" "4 web-1:verified web-2:verified web-3:silent"
FIRST=$(summary '.ids[0]')
check "these are held" all_are held web-1 web-2
check "it is not" all_are alive web-3
cp "$DESK"/heard.1 "$DESK/first"
signed dark.json "$(to_host web-3)" '{}' alice -- contain "$UNIT"
publish_to dark.json web-3
DARK=$ID
# --- a stolen key is there first, of automation or of another person, with the id of that order
for thief in robot bob; do
        signed squat.json "$(to_host web-3)" "{\"id\":\"$DARK\",\"severity\":\"P1\",\"args\":{\"lease_ms\":60000}}" "$thief" -- isolate "$UNIT"
        box_put web-3 "$DESK/squat.json" /root/squat.json
        is "who has the key of $thief cannot be there before an order with its id" \
                "$(box_run web-3 freezectl send /root/squat.json --json | jq -r '.receipt | values | .state + " " + (.reasons | join(" "))')" "refused foreign-id"
done
check "it holds nothing" all_are alive web-3

# --- replay
check "two people release it" free "$FIRST" web-1 web-2
FREED=$ID
check "and it is over where it was" all_are alive web-1 web-2
OLD=$(awk -F '\t' -v id="$FIRST" 'index($1, ".cmd.") && index($1, id) { print $3; exit }' "$DESK/first")
printf '%s' "$OLD" >"$DESK/old.json"
ID=$FIRST publish_web old.json
both_again() { answered web-1 duplicate "$FIRST" && answered web-2 duplicate "$FIRST"; }
check "the order again, after its release, is a duplicate" box_until 60 both_again
ID=$FREED publish_web release.json
both_freed() { answered web-1 duplicate "$FREED" && answered web-2 duplicate "$FREED"; }
check "so is the release" box_until 60 both_freed
check "neither does anything" all_are alive web-1 web-2
both_missed() { relay_has web-3 withheld 2; }
check "by the herald its relay knows of both orders that it did not get" box_until 120 both_missed
is "those who have everything miss nothing" "$(fleet_relay_says web-1 .counters.withheld) $(fleet_relay_says web-2 .counters.withheld)" "0 0"
last_head >"$DESK/older"
cp "$DESK/harold-herald/state.json" "$DESK/older.state"
older=$(head_n web-1)
check "heads go on" box_until 120 head_is_above "$older"
came=$(fleet_relay_says web-1 .counters.envelopes)
publish older frz.v1.test.head
check "an older one comes again" box_until 60 relay_has web-1 envelopes $((came + 1))
check "which changes nothing" head_is_above "$older"

# --- answers that are none: one host gets nothing, and everything is said in its name
seed_of() { python3 -c '
import sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as K
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, NoEncryption
print(K.from_private_bytes(open(sys.argv[1], "rb").read()[:32]).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(), end="")' "$1"; }
seed_of "$(box_root web-1)/var/lib/freezed/host_key" >"$DESK/stolen"
fleet_lies web-2 drop
make_up() {
        answered web-1 contained || return
        heard web-1 | tail -n 1 >"$DESK/of-web-1"
        heard web-2 "$FIRST" | tail -n 1 >"$DESK/of-before"
        digest=$(jq -r .payload "$DESK/of-web-1" | base64 -d | jq -r .digest)
        AS=$(to_host web-2 | jq -c --arg id "$ID" --arg digest "$digest" '{host: .hosts[0], $id, $digest}')
        python3 -B tests/lib/resign.py "$DESK/of-web-1" "$AS" "$DESK/stolen" >"$DESK/as-web-2"
        python3 -B tests/lib/resign.py "$DESK/of-web-1" "$AS" "$DESK/mallory" >"$DESK/by-mallory"
        python3 -B tests/lib/resign.py "$DESK/of-web-1" "$AS" "$DESK/alice" >"$DESK/by-alice"
        python3 -B tests/lib/resign.py "$DESK/of-before" "$AS" >"$DESK/forged"
        for lie in of-web-1 of-before as-web-2 by-mallory by-alice forged; do publish "$lie" "frz.v1.test.rsp.$(fleet_token web-2).$ID"; done
}
roll_until make_up contain "$UNIT" --to group=web
is "a host that got nothing is silent, whoever answers for it" "$EXIT $CLASSES" "4 web-1:verified web-2:silent web-3:silent"
is "an old receipt, another host's, its key under this name, a stranger's, a person's and a forged one are not believed" "$(summary .ignored)" 6
check "and it is not held" all_are alive web-2
SECOND=$ID
fleet_lies web-2
check "released" free "$SECOND" web-1

# --- acts that nobody may order
signed order.json "$WEB" '{}' mallory -- contain "$UNIT"
publish_web order.json
for who in rita harold; do
        signed order.json "$WEB" '{}' $who -- contain "$UNIT"
        publish_web order.json
        says "an order by $who, who may do something else, is refused" web-1 "refused wrong-role"
done
signed order.json "$WEB" '{"fleet":"staging"}' alice -- contain "$UNIT"
publish_web order.json
says "one for another fleet of the same people is" web-1 "refused wrong-fleet"
signed order.json "$(to_host web-2)" '{}' alice -- contain "$UNIT"
publish_to order.json web-1
publish_to order.json web-2
says "one for another host is carried out there" web-2 contained
says "and nowhere else, whatever its subject is" web-1 "refused wrong-host"
THIRD=$ID
signed order.json '{"group":"web","max_hosts":3,"part":{"salt":"00112233445566ff","from":0,"below":0}}' '{}' alice -- contain "$UNIT"
publish_web order.json
for who in alice robot "alice robot" "alice mallory" "alice alice"; do
        # shellcheck disable=SC2086
        signed order.json "$(to_host web-2)" '{}' $who -- release "$THIRD"
        publish_to order.json web-2
        box_until 60 eval 'heard web-2 | grep -q payload'
        like "$who cannot release" "$(states web-2)" "^refused "
done
signed order.json "$(to_host web-2)" '{"fleet":"staging"}' alice bob -- release "$THIRD"
publish_to order.json web-2
says "nor can both of them, for another fleet" web-2 "refused wrong-fleet"
check "all that let nothing go" all_are held web-2
python3 -B tests/lib/resign.py "$DESK/web-1.attributes" '{"groups":["db"],"n":9007199254740991}' "$DESK/alice" >"$DESK/attributes"
publish_to attributes web-1 attributes
publish_to web-2.attributes web-1 attributes
came=$(fleet_relay_says web-1 .counters.envelopes)
far=$(($(now_ms) + 600000))
BY=alice head_of $far
BY=mallory head_of $far
check "heads come from who may make none" box_until 60 relay_has web-1 envelopes $((came + 2))
check "and the herald's is believed" eval '! head_is_above $((far - 1))'
is "of attributes the registrar's, and its own" "$(box_run web-1 freezectl health --json | jq -r '.report // empty | .attributes | .name + " " + (.groups | join(" "))')" "web-1 web"
check "nothing of this held anything" all_are alive web-1
check "released by two" free "$THIRD" web-2

# --- late, twice, the wrong way round
signed order.json "$WEB" "$(jq -cn --argjson now "$(now_ms)" '{iat: ($now - 90000), exp: ($now - 30000)}')" alice -- contain "$UNIT"
publish_web order.json
says "an order that was kept back until it was over is" web-1 "refused expired"
signed stop.json "$WEB" '{}' alice -- contain "$UNIT"
STOP=$ID
signed order.json "$WEB" '{}' alice bob -- release "$STOP"
publish_web order.json
ID=$STOP
publish_web stop.json
says "an order that comes after its release is buried" web-1 "refused superseded"
says "everywhere" web-2 "refused superseded"
fleet_lies web-1 duplicate reply
fleet_lies web-2 replay delay
signed order.json "$WEB" '{}' alice -- contain "$UNIT"
publish_web order.json
thrice() { [ "$(states web-1 | tr , '\n' | sort | paste -sd ,)" = contained,duplicate,duplicate ]; }
check "what is carried three times acts once" box_until 60 thrice
says "what is carried late acts" web-2 contained
check "both are held" all_are held web-1 web-2
is "once" "$(n_holds web-1) $(n_holds web-2)" "1 1"
fleet_lies web-1 forge
fleet_lies web-2 reorder
LATE=$ID
signed other.json "$WEB" '{}' alice bob -- release "$LATE"
publish_web other.json
publish_web order.json
check "a release is one, after whatever it comes" box_until 60 answered web-2 released
check "one that was changed on its way is none" all_are held web-1
fleet_lies web-1
fleet_lies web-2
check "released" free "$LATE" web-1
check "nobody answered where the broker wanted it" eval '! grep -q ^elsewhere "$DESK"/heard.1'
fleet_lies web-1 mute
roll_until 'is_held web-1' contain "$UNIT" --to host=web-1
is "a host whose answer is kept back is silent" "$EXIT $CLASSES" "5 web-1:silent"
check "which is not to say that it is not held" all_are held web-1
fleet_lies web-1
check "released" free "$(summary '.ids[0]')" web-1

# --- a person at a terminal
terminal 'go on: =2' -- isolate "$UNIT" --to group=web
like "another number than the hosts' sends nothing" "$EXIT $SHOWN" '^3 .*nothing was sent: that is not 3'
fleet_lies web-1 drop
fleet_lies web-2 drop
terminal 'go on: =3' 'wave 1 of 2: 0 verified=^C' -- contain "$UNIT" --to group=web --wave 1,100%
like "an interrupt in the first wave ends it, and what was not sent is said" "$EXIT $SHOWN" '^4 .*wave 1 of 2: 0 verified.*not sent +wave 2, for 2 hosts'
# of those outside, and not of what is ordered on this machine by others
is_at_work() { ip netns pids "$(cat "$(box_dir web-1)/netns")" | while read -r pid; do tr '\0' ' ' <"/proc/$pid/cmdline"; done 2>/dev/null | grep -q 'freezectl contain'; }
refute "nothing of it is left" is_at_work
before=$(sent | wc -l)
roll_until 'sleep 2' contain "$UNIT" --to group=web --wave 1,100%
is "a first host that is silent is the last one" "$(summary '"\(.silent) silent, \(.not_sent) not asked, exit \(.exit)"') $(($(sent | wc -l) - before))" "1 silent, 2 not asked, exit 4 1"
check "and nobody is held" all_are alive web-1 web-2 web-3
fleet_lies web-1
fleet_lies web-2
# what was sent is in the stream: two people bury it before it comes
for id in $(sent | tail -n 2); do
        signed order.json "$WEB" '{}' alice bob -- release "$id"
        publish_web order.json
        box_until 60 answered web-1 released && box_until 60 answered web-2 released
        is "a hold that has not come yet is released all the same" "$(states web-1) $(states web-2)" "released released"
done
roll contain missing.service --to group=web --wave 1,100% --timeout 60s
like "nor is anybody else asked when the first one refuses, or is kept from it" "$(summary '"\(.refused + .silent) \(.not_sent) \(.exit)"')" '^1 2 [345]$'

# --- two days of silence: what the stream has by then is over, and only what is not acts
signed held.json "$(to_host web-2)" '{}' alice -- contain "$UNIT"
publish_to held.json web-2
HELD=$ID
check "a host is held" box_until 60 is_held web-2
box_run web-2 systemctl stop freezed-relay
ago() { jq -cn --argjson now "$(now_ms)" --argjson h "$1" --argjson life "$2" '{iat: ($now - $h * 3600000), exp: ($now - ($h - $life) * 3600000)}'; }
signed then.json "$(to_host web-2)" "$(ago 48 24)" alice -- isolate "$UNIT"
publish_to then.json web-2
THEN=$ID
signed leased.json "$(to_host web-2)" "$(ago 25 24)" robot -- contain "$UNIT" --lease 15m --severity P0
publish_to leased.json web-2
LEASED=$ID
signed let.json "$(to_host web-2)" "$(ago 47 1)" alice bob -- release "$HELD"
publish_to let.json web-2
LET=$ID
signed now.json "$(to_host web-2)" "$(ago 2 3)" alice -- isolate "$UNIT"
publish_to now.json web-2
NEW=$ID
box_run web-2 systemctl start freezed-relay
# a relay that lost the first answer asks again
acted() { answered web-2 contained || answered web-2 duplicate; }
check "an order that is not over acts" box_until 120 acted
ID=$THEN says "one that is does not" web-2 "refused expired"
ID=$LEASED says "nor does automation's" web-2 "refused expired"
ID=$LET says "nor a release" web-2 "refused expired"
check "so that what was held before is held" all_are stopped web-2
is "by what it was, and by what was ordered meanwhile" "$(n_holds web-2)" 2
check "released" free "$HELD" web-2
check "both" free "$NEW" web-2
check "it runs" all_are alive web-2

# --- everything again, and then nothing
box_run web-1 systemctl restart freezed-relay
check "a host goes through all that there is in the stream" box_until 120 relay_has web-1 caught_up 10
check "which is over, and does nothing" all_are alive web-1
nats_stop
rm -rf "$NATS_DIR/store"
mv "$NATS_DIR/older" "$NATS_DIR/store"
nats_start && hear 2 || exit
fleet_lies web-3
is_withheld() { box_run web-3 freezectl health --json | jq -r '.report // empty | .head.withheld // [] | .[]' | grep -qxF "$DARK"; }
check "a server that was killed, and lost what it had confirmed, does not have the herald forget" box_until 120 lists "$DARK"
check "so the host that was kept in the dark still knows that something is missing" box_until 120 relay_has web-3 withheld 1
check "and says so with its signature" box_until 120 is_withheld
check "it has done nothing all the while" all_are alive web-3
publish_to dark.json web-3 "$DARK"
check "the order acts when it is sent again" box_until 60 answered web-3 contained "$DARK"
check "and it is held" all_are held web-3
knows_all() { ! is_withheld; }
check "and misses it no more" box_until 120 knows_all

# --- a second herald, who has counted an hour further. What comes of it is seen between the waves
nats_listen "$DESK/heads" 0 7200 frz.v1.test.head
FURTHER=$(($(now_ms) + 3600000))
mkdir "$DESK/hanna-herald" && echo '{"v":1,"n":'$FURTHER'}' >"$DESK/hanna-herald/state.json"
fleet_herald hanna
HANNA=$BOX_PID
check "a second herald, whose numbers are higher, is believed" without "$HAROLD" box_until 60 believe hanna $FURTHER

# --- a first wave that does not stay as it was
# waves_begin ARG...: two waves; ROLL is stopped while its first order is out, until a host, CANARY, has answered that
waves_begin() {
        local before
        before=$(sent | tail -n 1)
        SENT=$(sent | wc -l)
        (cd "$DESK" && exec ip netns exec "$(cat "$(box_dir web-1)/netns")" env -i "${BOX_ENV_DESK[@]}" \
                "$FLEET_B/freezectl" isolate "$UNIT" --to group=web --wave 1,100% --wait-wave 15s "$@" "${AT_DESK[@]}" --yes --json) \
                >"$DESK/rolled" 2>&1 </dev/null &
        ROLL=$!
        box_until 120 has_sent "$before"
        kill -STOP "$ROLL"
        ID=$(sent | tail -n 1)
        box_until 120 first_has_answered
}
first_has_answered() {
        for CANARY in "${FLEET_HOSTS[@]}"; do answered "$CANARY" contained && return; done
        return 1
}
waves_end() {
        kill -CONT "$ROLL"
        wait "$ROLL"
        EXIT=$?
        ANSWER=$(cat "$DESK/rolled")
        rolled
        SENT=$(($(sent | wc -l) - SENT))
        AGAIN=$(jq -R -r 'fromjson? | select(.asked_again) | .name + ":" + .asked_again' <<<"$ANSWER")
}
waves_begin --timeout 5m
check "released where it was contained" free "$ID" "$CANARY"
waves_end
is "a first host that said so and holds it no more is the last one" "$EXIT $CLASSES $AGAIN $SENT" \
        "4 $(sed "s/$CANARY:not-sent/$CANARY:verified/" <<<"web-1:not-sent web-2:not-sent web-3:not-sent") $CANARY:not-held 1"
check "the first counts on from there" box_until 60 goes_on harold $FURTHER
kill -KILL "$HAROLD"
LAST=$(highest harold)
waves_begin --timeout 40s
fleet_lies "$CANARY" mute
waves_end
is "so is one that was heard once, and never again" "$EXIT $AGAIN $SENT" "4 $CANARY:silent 1"
fleet_lies "$CANARY"
check "released" free "$ID" "$CANARY"
check "when one is killed the other goes on" box_until 60 believe hanna "$LAST"
LAST=$(highest hanna)
cp "$DESK/older.state" "$DESK/harold-herald/state.json"
fleet_herald harold
check "the killed one comes back, with a state that is behind, and is above the other" box_until 60 goes_on harold "$LAST"
check "and is believed" without "$HANNA" box_until 60 believe harold "$LAST"
PASSED=()
for name in "${FLEET_HOSTS[@]}"; do PASSED+=("$(fleet_relay_says "$name" .counters.for_others)"); done
terminal 'go on: =3' 'wave 1 of 3: 1 verified=' 'wave 3 of 3: 1 verified=' -- contain "$UNIT" --to group=web --wave 1,2,100%
like "a person who types the number sees each wave become verified" "$EXIT $SHOWN" '^0 .*VERIFIED.*3 of 3 hosts verified'
is "and of no answer that it proves nothing" "$(grep ignored <<<"$SHOWN")" ""

# --- of the order of another wave a host says nothing, writes nothing, and misses nothing
WAVES=$(sent | tail -n 3)
who_answered() { cat "$DESK"/heard.[0-9] | awk -F '\t' -v id="$1" '/^frz.v1.test.rsp/ && index($1, id) { print $1 }' | sort -u; }
answers() { for id in $WAVES; do who_answered "$id" | wc -l; done | paste -sd ' '; }
# written NAME: how many of these orders its ledger names anywhere, and that it was read
written() {
        rm -rf "$DESK/ledger" && cp -r "$(box_root "$1")/var/lib/freezed/ledger" "$DESK/" && python3 tests/lib/read_ledger.py "$DESK/ledger" >"$DESK/records" || return
        grep -oF "$WAVES" "$DESK/records" | sort -u | wc -l
}
# misses NAME: which of these are missing there by the last head, and whether it was read
misses() {
        last_head | python3 -B -c '
import base64, json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(60)
s.connect(sys.argv[1])
s.send(sys.stdin.buffer.read().strip())
report = json.loads(base64.b64decode(json.loads(s.recv(1 << 20))["payload"]))
print(report["type"], *(i for i in report["missing"] if i in sys.argv[2:]))' "$(box_live "$1")/run/freezed/command.sock" $WAVES
}
have_passed() { for i in 0 1 2; do relay_has "${FLEET_HOSTS[i]}" for_others $((PASSED[i] + 2)) || return; done; }
check "each host was brought the orders of the two other waves" box_until 60 have_passed
check "and carried out its own" all_are stopped web-1 web-2 web-3
is "each order is answered by one host" "$(answers)" "1 1 1"
is "each ledger has one of them" "$(written web-1) $(written web-2) $(written web-3)" "1 1 1"
desk fleet head --once --nats nats://10.77.0.1:4223 --trust trust.json --key harold --state-dir . >/dev/null
lists_all() { for id in $WAVES; do lists "$id" || return; done; }
check "a head lists all three" lists_all
is "has nobody miss any" "$(misses web-1) $(misses web-2) $(misses web-3)" "head head head"
box_run web-1 systemctl stop freezed-relay
box_run web-1 systemctl kill -s KILL freezed.service
HOST=web-1 box_until 60 core_is_up
is "nor one whose agent was killed" "$(misses web-1)" head
signed last.json "$WEB" "$(ago 2 1)" alice -- isolate "$UNIT"
publish_web last.json
box_run web-1 systemctl start freezed-relay
check "to which the stream brings them again, and what came after them" box_until 120 answered web-1 "refused expired"
is "which changes nothing" "$(answers) $(written web-1) $(misses web-1)" "1 1 1 1 head"
check "all are held" all_are stopped web-1 web-2 web-3
for id in $WAVES $DARK; do free "$id"; done
check "and when all is released, none is" box_until 60 all_are alive web-1 web-2 web-3
none_left() { for name in "${FLEET_HOSTS[@]}"; do HOST=$name nothing_left || return; done; }
check "and nothing is left of it in any kernel" box_until 60 none_left

GAP=$(cut -f 3 "$DESK/heads" | jq -r '.payload | @base64d | fromjson | .iat' | sort -n | awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { print gap + 0 }')
echo "# between two heads were $GAP ms at most"
check "and all the while there was no longer without a head than one lives" test "$GAP" -gt 0 -a "$GAP" -lt 90000
# heard_by NAME: whether it heard heads to the end, and what it lacks
heard_by() {
        HEARD=$(box_run "$1" freezectl health --json | tee "$DESK/health" | jq -c '.report // empty | .head | [.state != "stale", .n != null, .withheld // []]')
        [ -n "$HEARD" ] || { cat "$DESK/health"; return 1; }
}
# what was kept from the third in the dark is lost at the broker, and the heralds know
for name in web-1 web-2; do
        box_until 60 heard_by "$name"
        is "$name hears heads, and misses nothing" "$HEARD" "[true,true,[]]"
done
done_testing
