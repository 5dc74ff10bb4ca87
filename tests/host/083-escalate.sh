#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 083-escalate.sh B: alerts into orders, on a host with the agent: what is ordered, what is not, what a crash, an agent that is away and a
# storm of alerts make of it; and OpenC2. Both again over a real nats-server and a real relay, with the broker going away and coming back.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 083-escalate.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh

PAYLOADS=$PWD/tests/lib/escalation
PORT=9095
TOKEN=0123456789abcdef0123456789abcdef
run() { box_run host "$@"; }
in_box() { box_sh host "$@"; }
# with this machine's programs, on the box's network
beside() { nsenter --target "$(box_leader host)" --net "$@"; }
# meanwhile CMD...: the same beside the suite; it is ended with it, or by MEANWHILE
meanwhile() {
        nsenter --target "$(box_leader host)" --net "$@" &
        MEANWHILE=$!
        disown
        box_at_exit "kill $MEANWHILE 2>/dev/null"
}
out() { cat "$(box_live host)/var/lib/escalate.out" 2>/dev/null; }
# lines FILTER: how many lines of the output are that
lines() { out | jq -c "select($1)" 2>/dev/null | wc -l; }
has() { [ "$(lines "$1")" -ge "${2:-1}" ]; }
# comes 'SENTENCE' FILTER [N]: at least so many lines are that, soon
comes() {
        if box_until 120 has "$2" "${3:-1}"; then ok "$1"; else not_ok "$1" "$(out | tail -n 8)"; fi
}
listener() {
        run systemctl stop escalate.service 2>/dev/null
        run systemctl reset-failed escalate.service 2>/dev/null
        run systemd-run -q --unit=escalate -p StandardOutput=append:/var/lib/escalate.out -p MemoryMax=256M "$@" \
                freezectl escalate --rules /root/rules.json --listen "127.0.0.1:$PORT" --token-file /root/token --key /root/robot ${EXTRA:-} &&
                box_until 60 beside bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT"
}
# post PATH FILE [HEADER]...: prints the status
post() {
        local path=$1 file=$2
        shift 2
        beside timeout 300 python3 "$BOX_LIB/post.py" "http://127.0.0.1:$PORT/$path" "$file" "$@"
}
sign_in="Authorization: Bearer $TOKEN"
# alert UNIT FINGERPRINT [STATUS [STARTS]]: a webhook of Alertmanager in $D/alert.json
alert() {
        jq -c --arg u "$1" --arg f "$2" --arg s "${3:-firing}" --arg t "${4:-2026-11-21T18:02:11Z}" \
                '.status = $s | .alerts[0] |= (.labels.unit = $u | .fingerprint = $f | .status = $s | .startsAt = $t)' "$PAYLOADS/alertmanager-firing.json" >"$D/alert.json"
}
send_alert() {
        alert "$@" && post alertmanager "$D/alert.json" "$sign_in"
}

orders_boot "$B" || exit
D=$(box_dir host)
service beacon 7001 || exit
service worker 7002 || exit
service cache 7003 || exit

cat >"$D/rules.json" <<'EOF'
{"v":1,"budgets":{"per_hour":4,"per_incident":20},"rules":[
 {"name":"critical","source":"alertmanager","match":{"labels.severity":"critical"},
  "then":{"verb":"contain","targets":["unit:{labels.unit}"],"severity":"P0","lease":"10m"},"cooldown":"1h"},
 {"name":"shell","source":"falco","match":{"rule":"Terminal shell*"},
  "then":{"verb":"freeze","targets":["cache.service"],"lease":"8s"},"max_age":"24h"},
 {"name":"ids","source":"cloudevents","match":{"type":"example.ids.alert"},
  "then":{"verb":"isolate","targets":["unit:{data.unit}"],"lease":"10m"},"max_age":"24h"}]}
EOF
box_put host "$D/rules.json" /root/rules.json 0600
echo "$TOKEN" >"$D/token"
box_put host "$D/token" /root/token 0600

# --- a rehearsal
box_put host "$PAYLOADS/alertmanager-firing.json" /root/firing.json
dry=$(in_box 'freezectl escalate --rules /root/rules.json --stdin alertmanager --dry-run </root/firing.json')
is "a rehearsal needs no key and says what would be ordered" "$(jq -rs 'map(select(.outcome == "would-order"))[0] | .verb + " " + .targets[0] + " " + .incident[0:3]' <<<"$dry")" "contain unit:beacon.service SA-"
looks "and orders nothing" beacon free
refute "and keeps nothing" run test -e /var/lib/freezed-escalate
sed 's/,"lease":"10m"//' "$D/rules.json" >"$D/wrong.json" && box_put host "$D/wrong.json" /root/wrong.json
like "rules that stop something without a lease are refused, by name" "$(run freezectl escalate --rules /root/wrong.json --stdin falco --dry-run 2>&1)" 'wrong.json: rule critical: then.lease: is missing'

# --- who may send
like "a listener that knows nobody is none" "$(run freezectl escalate --rules /root/rules.json --listen $PORT --dry-run 2>&1)" 'who may send'
like "one that is not on loopback is encrypted" "$(run freezectl escalate --rules /root/rules.json --listen 0.0.0.0:$PORT --token-file /root/token --dry-run 2>&1)" 'takes --tls'
EXTRA="--webhook http://127.0.0.1:9096/" listener
comes "the listener listens" '.outcome == "started"'
meanwhile python3 "$BOX_LIB/collect_posts.py" 9096 "$D/posts" >/dev/null 2>&1
box_until 60 beside bash -c "exec 3<>/dev/tcp/127.0.0.1/9096"
like "two do not share what was ordered" "$(run freezectl escalate --rules /root/rules.json --stdin falco --key /root/robot 2>&1 </dev/null)" 'another one is at work there'
is "without a token nothing is taken" "$(post alertmanager "$PAYLOADS/alertmanager-firing.json")" 401
is "with a wrong one neither" "$(post alertmanager "$PAYLOADS/alertmanager-firing.json" "Authorization: Bearer ${TOKEN}0")" 401
comes "and that is told" '.outcome == "rejected" and .status == 401'
is "what is no path is none" "$(post pagerduty "$PAYLOADS/alertmanager-firing.json" "$sign_in")" 404
is "what is too large is not read" "$(post alertmanager -large "$sign_in")" 413
is "what is no alert is said to be none" "$(post alertmanager "$PAYLOADS/falco.json" "$sign_in")" 400
looks "and nothing was ordered" beacon free

# --- an alert
is "an alert is taken" "$(post alertmanager "$PAYLOADS/alertmanager-firing.json" "$sign_in")" 200
comes "its order is told" '.event == "7b1f0f8d4ad6c2e1" and .outcome == "ordered" and .rule == "critical"'
comes "and the host's receipt" '.outcome == "receipt" and .final and .state == "contained"'
looks "and the service is contained" beacon contained
is "with a lease" "$(run freezectl status --json | jq -rs '.[0].report.holds[0] | (.lease_left_ms // .lease_ms // .receipt.lease_ms) > 0' 2>/dev/null)" true
is "the same alert again" "$(post alertmanager "$PAYLOADS/alertmanager-firing.json" "$sign_in")" 200
comes "is a duplicate" '.outcome == "duplicate"'
is "which a rehearsal says, too, that is told where what was ordered is kept" \
        "$(in_box 'freezectl escalate --rules /root/rules.json --stdin alertmanager --dry-run --state-dir /var/lib/freezed </root/firing.json' | jq -rs '.[-1].outcome')" duplicate
is "and that is told a place where nothing is says so, and does not begin with nothing" \
        "$(in_box 'freezectl escalate --rules /root/rules.json --stdin alertmanager --dry-run --state-dir /var/lib/freezed-escalate </root/firing.json 2>&1 | grep -c "freezed-escalate-escalate/state.json: nothing is there"')" 1
is "one that is resolved" "$(post alertmanager "$PAYLOADS/alertmanager-resolved.json" "$sign_in")" 200
comes "says that it releases nothing" '.outcome == "resolved"'
looks "and releases nothing" beacon contained
send_alert beacon.service 7b1f0f8d4ad6c2e1 firing 2026-11-21T19:00:00Z >/dev/null
comes "an alert that fires anew while the rule cools down orders nothing" '.outcome == "cooldown"'
is "one order was given until now" "$(lines '.outcome == "ordered"')" 1
posted() { jq -rs '.[-1] | .specversion + " " + .type + " " + .data.payloadType' "$D/posts"; }
is_posted() { [ "$(posted)" = "1.0 freezed.order.contained application/vnd.freezed.receipt.v1+json" ]; }
check "the webhook got the receipt as a CloudEvent, signed by the host" box_until 60 is_posted

# --- a batch
is "a batch is taken, with one that is none" "$(post alertmanager "$PAYLOADS/alertmanager-batch.json" "$sign_in")" 200
comes "each of it is told: the one of another service is ordered" '.outcome == "ordered" and .targets[0] == "unit:worker.service"'
comes "a name that is none is refused" '.outcome == "refused" and .event == "0000000000001003"'
comes "one that no rule is for is told" '.outcome == "no-rule"'
comes "one that is no alert is told" '.outcome == "malformed"'
comes "and what was left out is told" '.outcome == "truncated" and .alerts == 3'
turns "the other service is contained" worker contained

# --- a restart, and an agent that is away
listener
post alertmanager "$PAYLOADS/alertmanager-firing.json" "$sign_in" >/dev/null
comes "after a restart the same alert is a duplicate" '.outcome == "duplicate" and .event == "7b1f0f8d4ad6c2e1"' 3
run systemctl stop freezed-gate.socket freezed-gate.service
is "with no agent there an event is taken all the same" "$(jq -c '.time = (now | todate) | .data.unit = "cache.service"' "$PAYLOADS/cloudevent.json" >"$D/ce.json"; post cloudevents "$D/ce.json" "$sign_in" 'Content-Type: application/cloudevents+json')" 200
comes "its order waits" '.outcome == "waiting"'
run systemctl kill -s KILL escalate.service
run systemctl start freezed-gate.socket freezed-gate.service
looks "the program is killed, and the order is not given" cache free
listener
comes "it comes back and gives it" '.outcome == "receipt" and .state == "contained" and .rule == "ids"'
turns "and what it is about is isolated" cache isolated
order robot status >/dev/null

# --- budgets
for i in 1 2; do send_alert "x$i.service" "000000000000000$i" >/dev/null; done
comes "what the budget has left is ordered, and refused by the host for what is not there" '.outcome == "refused" and (.reasons // [] | index("no-such-target"))'
comes "and then it is used up" '.outcome == "budget"'
is "four orders were given" "$(lines '.outcome == "ordered"')" 4
python3 - "$PAYLOADS/alertmanager-firing.json" "$D/storm.json" <<'PY'
import copy, json, sys
o = json.load(open(sys.argv[1]))
one = o["alerts"][0]
for i in range(10000):
    a = copy.deepcopy(one)
    a["fingerprint"] = f"{i + 65536:016x}"
    o["alerts"].append(a)
o["alerts"].pop(0)
json.dump(o, open(sys.argv[2], "w"), separators=(",", ":"))
PY
before=$(lines '.source == "alertmanager"')
is "ten thousand alerts at once are taken" "$(post alertmanager "$D/storm.json" "$sign_in")" 200
box_until 120 has '.source == "alertmanager"' $((before + 10000))
is "and each is told" "$(($(lines '.source == "alertmanager"') - before))" 10000
is "and four orders were given" "$(lines '.outcome == "ordered"')" 4
check "and the program lives in its memory" run systemctl is-active -q escalate.service
meanwhile python3 "$BOX_LIB/post.py" "http://127.0.0.1:$PORT/alertmanager" -hang "$sign_in" >"$D/hang" 2>&1
box_until 60 grep -q hangs "$D/hang"
is "a client that never finishes keeps nobody else waiting" "$(post alertmanager "$PAYLOADS/alertmanager-resolved.json" "$sign_in")" 200
kill "$MEANWHILE"
comes "and is told when it is gone" '.outcome == "rejected" and .status == 408'

meanwhile python3 "$BOX_LIB/post.py" "http://127.0.0.1:$PORT/alertmanager" -drip >"$D/drip" 2>&1
box_until 60 grep -q drips "$D/drip"
is "nor do 64 that send their headers byte by byte, and come again when they are sent away" "$(for _ in 1 2 3; do post alertmanager "$PAYLOADS/alertmanager-resolved.json" "$sign_in"; done | sort -u)" 200
kill "$MEANWHILE"
comes "who is too slow is counted" '.outcome == "rejected" and (.why | test("headers")) and .requests > 0'

# --- a disk that is full
run systemctl stop escalate.service
in_box 'rm -rf /var/lib/freezed-escalate && mkdir /var/lib/freezed-escalate && mount -t tmpfs -o size=16k tmpfs /var/lib/freezed-escalate && ! cat /dev/zero >/var/lib/freezed-escalate/fill 2>/dev/null'
listener
order alice,bob release "$(run freezectl status worker.service --json | jq -rs '.[0].report.holds[] | select(.targets[0].target == "unit:worker.service" or .targets[0] == "unit:worker.service") | .id' 2>/dev/null | head -n 1)" >/dev/null
is "with a full disk the sender is asked to send again" "$(send_alert worker.service 00000000000000aa)" 500
comes "it is told that the state is not kept" '.outcome == "state-not-kept"'
comes "and the order is given all the same" '.outcome == "ordered" and .event == "00000000000000aa"'
is "the sender sends again" "$(post alertmanager "$D/alert.json" "$sign_in")" 200
comes "and that is a duplicate" '.outcome == "duplicate" and .event == "00000000000000aa"'
turns "what it was about is contained" worker contained
run rm /var/lib/freezed-escalate/fill
is "with room again an alert is taken" "$(send_alert cache.service 00000000000000ab)" 200
comes "and it is told that the state is kept" '.outcome == "state-kept"'
run systemctl stop escalate.service
run umount /var/lib/freezed-escalate

# --- lines
jq -c '(.time = (now | todate)), (.time = "2020-01-01T00:00:00Z"), (.time = "2099-01-01T00:00:00Z")' "$PAYLOADS/falco.json" >"$D/falco.jsonl"
{ head -c 10485760 /dev/zero | tr '\0' x; echo; printf '{"rule":"\xff"}\nno json\n'; } >>"$D/falco.jsonl"
box_put host "$D/falco.jsonl" /root/falco.jsonl
said=$(in_box 'freezectl escalate --rules /root/rules.json --stdin falco --key /root/robot --state-dir /root/lines --json </root/falco.jsonl')
is "of each line it is told what became of it" "$(jq -rs 'map(.outcome | values) | unique | join(" ")' <<<"$said")" "malformed mended ordered oversize receipt stale started"
is "what is dated ahead is no fresher than what is old" "$(jq -rs 'map(select(.outcome == "stale")) | length' <<<"$said")" 2
is "and with --json the receipt is there as it was signed" "$(jq -rs 'map(select(.specversion))[-1].data.payloadType' <<<"$said")" "application/vnd.freezed.receipt.v1+json"

# --- certificates
(
        cd "$D" && openssl req -x509 -newkey ed25519 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2 &&
                openssl req -newkey ed25519 -nodes -keyout key.pem -out s.csr -subj /CN=localhost && openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -days 2 -out cert.pem &&
                openssl req -newkey ed25519 -nodes -keyout client.key -out c.csr -subj /CN=client && openssl x509 -req -in c.csr -CA ca.pem -CAkey ca.key -days 2 -out client.pem
        mkdir -p other && openssl req -x509 -newkey ed25519 -nodes -keyout other/client.key -out other/client.pem -subj /CN=client -days 2
) >/dev/null 2>&1
for f in ca.pem cert.pem key.pem; do box_put host "$D/$f" "/root/tls/$f" 0600; done
run systemd-run -q --unit=escalate -p StandardOutput=append:/var/lib/escalate.out freezectl escalate --rules /root/rules.json --listen 127.0.0.1:$PORT --tls /root/tls --dry-run
box_until 60 beside bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT"
tls() { beside timeout 300 python3 "$BOX_LIB/post.py" "https://127.0.0.1:$PORT/alertmanager" "$PAYLOADS/alertmanager-firing.json" --ca "$D/ca.pem" "$@"; }
is "without a certificate nothing is taken" "$(tls)" 403
is "with one that somebody else signed neither" "$(tls --cert "$D/other")" 403
is "with the right one it is" "$(tls --cert "$D")" 200
run systemctl stop escalate.service

# --- what is shipped, as it is: the unit, the rules under the trust root that the README makes, and what starts with the tools
free_all() {
        local incident
        for incident in $(run freezectl status --json | jq -rs '[.[0].report.holds[].incident] | unique[]'); do
                order alice,bob release --incident "$incident" >/dev/null
        done
}
free_all
for f in rules.json freezed-escalate-tetragon.service; do box_put host "packaging/escalation/$f" "/root/shipped/$f" 0644; done
in_box 'cp /root/shipped/rules.json /etc/freezed/escalate.json && cp /root/shipped/*.service /etc/systemd/system && cp /root/robot /etc/freezed/escalate.key &&
        cp /root/token /etc/freezed/escalate.token && rm -rf /var/lib/freezed-escalate && systemctl daemon-reload && mkdir /var/log/tetragon && : >/var/log/tetragon/tetragon.log &&
        mkfifo /run/falco'
# the container of the tools' messages
CONTAINER=docker-9f2b1c40d7ae5b3c1de2f4a6078c9b1$(printf '%033d' 0)
in_box 'systemd-run -q --scope --unit="$1" sleep infinity >/dev/null 2>&1 &' "$CONTAINER"
refute "the unit is not enabled" run systemctl is-enabled -q freezed-escalate.service
check "and starts when it is told to" run systemctl start freezed-escalate.service
box_until 60 beside bash -c "exec 3<>/dev/tcp/127.0.0.1/$PORT"
# said UNIT FILTER [N]: so many lines of what the unit said are that
said() { [ "$(run journalctl -q -o cat -u "$1" | grep '^{' | jq -c "select($2)" | wc -l)" -ge "${3:-1}" ]; }
says() {
        if box_until 120 said "$2" "$3" "${4:-1}"; then ok "$1"; else not_ok "$1" "$(run journalctl -q -o cat -u "$2" | tail -n 8)"; fi
}
alert worker.service 00000000000000bb && jq -c '.alerts[0].labels.freeze = "contain"' "$D/alert.json" >"$D/shipped.json"
is "it takes alerts, as a user of its own" "$(post alertmanager "$D/shipped.json" "$sign_in")" 200
says "and orders" freezed-escalate '.outcome == "receipt" and .rule == "beacon" and .state == "contained"'
echo '{"unit":"cache.service","verdict":"exfiltration"}' >"$D/data.json"
is "it takes a CloudEvent whose attributes are headers" "$(post cloudevents "$D/data.json" "$sign_in" 'Content-Type: application/json' 'ce-specversion: 1.0' \
        'ce-type: example.ids.alert' 'ce-source: https://ids.example/a%20b' 'CE-ID: b-1' "ce-time: $(date -u +%FT%TZ)")" 200
says "and orders what its rule says" freezed-escalate '.outcome == "receipt" and .event == "b-1" and .rule == "ids" and .state == "contained"'
is "and a batch of them" "$(post cloudevents "$PAYLOADS/cloudevents-batch.json" "$sign_in" 'Content-Type: application/cloudevents-batch+json')" 200
says "each is told" freezed-escalate '.source == "cloudevents" and .outcome == "stale"' 2
{ printf '#!/bin/sh\nexec <>/run/falco\n' && sed -n 's/^  program: "\(.*\)"$/\1/p' packaging/escalation/falco.yaml; } >"$D/falco.sh"
box_put host "$D/falco.sh" /root/falco.sh 0755
run systemd-run -q --unit=falco sh /root/falco.sh
falco() { jq -c --arg o "$1" '.time = (now | todate) | .output = $o' "$PAYLOADS/falco.json" >"$(box_live host)/run/falco"; }
falco_said() { run cat /var/log/freezed-escalate.jsonl | jq -e "select($1)" >/dev/null 2>&1; }
falco_says() {
        if box_until 60 falco_said "$2"; then ok "$1"; else not_ok "$1" "$(run cat /var/log/freezed-escalate.jsonl) $(run journalctl -q -o cat -u falco)"; fi
}
falco first
falco_says "what Falco starts works beside the unit, and does not wait for the end of its input" '.outcome == "receipt" and .rule == "shell-in-container" and .state == "contained"'
falco second
falco_says "nor does it end with an alert" '.outcome == "cooldown"'
check "what reads Tetragon's file is a unit that starts" run systemctl start freezed-escalate-tetragon
is_tailed() { in_box 'ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q tetragon.log'; }
box_until 60 is_tailed
jq -c '.time = (now | todate)' "$PAYLOADS/tetragon-kprobe.json" >>"$(box_live host)/var/log/tetragon/tetragon.log"
says "and an event of Tetragon is an order" freezed-escalate-tetragon '.outcome == "receipt" and .rule == "egress-unlisted" and .final and .state != "refused"'
check "that the kernel has" bash -c 'bpftool cgroup show "$1" effective | grep -q isolate_' - "$(box_cgroup host)/system.slice/$CONTAINER.scope"
is "so each rule that is shipped has stopped something" "$({ run journalctl -q -o cat -u freezed-escalate -u freezed-escalate-tetragon | grep '^{'; run cat /var/log/freezed-escalate.jsonl; } |
        jq -rs 'map(select(.outcome == "receipt" and .state != "refused").rule) | unique[]')" "$(jq -r '[.rules[].name] | sort[]' packaging/escalation/rules.json)"
run systemctl stop freezed-escalate.service freezed-escalate-tetragon.service falco.service
free_all

# --- OpenC2
c2() { in_box 'printf "%s\n" "$1" | freezectl openc2 --key "/root/$2" --lease 10m' "$1" "$2"; }
said=$(c2 '{"action":"query","target":{"features":["versions","profiles","pairs"]}}' robot)
is "it says what it can" "$(jq -r '"\(.status) \(.results.profiles[0]) \(.results.pairs.cancel[0])"' <<<"$said")" "200 x-frz command"
said=$(c2 '{"action":"stop","target":{"x-frz:unit":"worker.service"},"command_id":"c-7","args":{"duration":600000,"x-frz":{"severity":"P0"}}}' robot)
is "a command is an order, and its response has the receipt" "$(jq -r '"\(.status) \(.results["x-frz"].command_id) \(.results["x-frz"].receipt.payloadType)"' <<<"$said")" "200 c-7 application/vnd.freezed.receipt.v1+json"
hold=$(jq -r '.results["x-frz"].id' <<<"$said")
is "contain is answered when it is done" "$(c2 '{"action":"contain","target":{"er:service":{"name":"beacon.service"}},"args":{"x-frz":{"severity":"P0","incident":"SA-20261121-958"}}}' robot | jq -r .status)" 200
looks "as the kernel says" beacon contained
is "deny, too" "$(c2 '{"action":"deny","target":{"x-frz:unit":"cache.service"},"args":{"x-frz":{"severity":"P1","incident":"SA-20261121-959"}}}' robot | jq -r .status)" 200
looks "and what is denied goes on" cache isolated
said=$(c2 '{"action":"investigate","target":{"x-frz:unit":"cache.service"},"args":{"x-frz":{"severity":"P1"}}}' robot)
is "automation may not investigate, unless a rule of the trust root says so" "$(jq -r '"\(.status) \(.status_text[0:10])"' <<<"$said")" "403 wrong-role"
said=$(c2 '{"action":"investigate","target":{"x-frz:unit":"cache.service"},"args":{"x-frz":{"snapshot":"logs"}}}' alice)
is "a responder may" "$(jq -r '"\(.status) \(.results["x-frz"].receipt.payloadType)"' <<<"$said")" "200 application/vnd.freezed.receipt.v1+json"
is "what wants no response gets none" "$(c2 '{"action":"query","target":{"features":[]},"args":{"response_requested":"none"}}' robot)" ""
is "and a query's has its id" "$(c2 '{"action":"query","target":{"features":["versions"]},"command_id":"q-1"}' robot | jq -r '"\(.results.versions[0]) \(.results["x-frz"].command_id)"')" "1.0 q-1"
said=$(c2 '{"action":"cancel","target":{"command":"'"$hold"'"}}' robot)
is "automation cannot cancel it" "$(jq -r .status <<<"$said")" 403
said=$(c2 '{"action":"cancel","target":{"command":"'"$hold"'"}}' alice)
is "one person alone neither" "$(jq -r '"\(.status) \(.status_text[0:9])"' <<<"$said")" "403 threshold"
jq -c '.results["x-frz"].order' <<<"$said" >"$D/cancel.json"
box_put host "$D/cancel.json" /root/cancel.json
is "but another can approve what is in the response" "$(in_box 'cd /root && freezectl approve cancel.json --key bob --yes >/dev/null && freezectl send cancel.json --yes --json' 2>&1 | jq -rs '.[0].receipt.state')" released
order_file alice /root/c.json contain worker.service --lease 10m --severity P0
is "an order is exported as the command that would order it" "$(run freezectl openc2 --export /root/c.json | jq -r '.action + " " + .target["x-frz:unit"] + " \(.args.duration)"')" "contain worker.service 600000"
is "what is no command has its status" "$(c2 '{"action":"delete","target":{"file":{}}}' robot | jq -r .status)" 501

# --- the fleet: over a broker, from a desk that is this same host
NATS_PORT=4222
nats_start host || exit
nats_say streams test || exit
in_box 'cd /root && for k in rita ghost; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done
        freezectl trust rotate trust.json --registrar rita=rita.pub --key alice --key bob --out trust-2.json && freezectl enroll trust-2.json && systemctl reload freezed &&
        freezectl fleet certify --name web-1 --key-file /var/lib/freezed/host_key.pub --group web --key rita >web-1.json &&
        freezectl fleet certify --name gone-1 --key-file ghost.pub --group gone --key rita >gone-1.json && cat web-1.json gone-1.json >/etc/freezed/inventory.jsonl &&
        freezectl send web-1.json' >/dev/null || exit
printf '{"v":1,"servers":["%s"],"spread_s":0}' "$NATS_URL" | run tee /etc/freezed/relay.json >/dev/null
run systemctl start freezed-relay
relay_is() { [ "$(run cat /run/freezed-relay/state.json 2>/dev/null | jq -r .state)" = "$1" ]; }
check "a relay is there" box_until 60 relay_is ready
cat >"$D/fleet.json" <<'EOF'
{"v":1,"budgets":{"hosts_per_incident":1},"rules":[
 {"name":"web","source":"cloudevents","match":{"type":"example.ids.alert","data.group":"web"},
  "then":{"verb":"isolate","targets":["unit:{data.unit}"],"lease":"10m","to":"group=web","incident":"SA-20261121-{data.incident}"},"max_age":"24h"},
 {"name":"gone","source":"cloudevents","match":{"type":"example.ids.alert","data.group":"gone"},
  "then":{"verb":"isolate","targets":["unit:{data.unit}"],"lease":"10m","to":"group=gone","incident":"SA-20261121-{data.incident}"},"max_age":"24h"},
 {"name":"nobody","source":"cloudevents","match":{"type":"example.ids.alert","data.group":"nobody"},
  "then":{"verb":"isolate","targets":["unit:{data.unit}"],"lease":"10m","to":"group=nobody"},"max_age":"24h"},
 {"name":"everybody","source":"cloudevents","match":{"type":"example.ids.alert","data.group":"all"},
  "then":{"verb":"isolate","targets":["unit:{data.unit}"],"lease":"10m","to":"all","max_hosts":1},"max_age":"24h"},
 {"name":"here","source":"falco","match":{"rule":"Terminal shell*"},
  "then":{"verb":"freeze","targets":["cache.service"],"lease":"8s"},"max_age":"24h"}]}
EOF
box_put host "$D/fleet.json" /root/rules.json 0600
: >"$(box_live host)/var/lib/escalate.out"
run rm -rf /var/lib/freezed-escalate
# there UNIT GROUP ID [INCIDENT]: an event about a part of the fleet; prints the status
there() {
        jq -c --arg u "$1" --arg g "$2" --arg i "$3" --arg n "${4:-951}" \
                '.time = (now | todate) | .data.unit = $u | .data.group = $g | .data.incident = $n | .id = $i' "$PAYLOADS/cloudevent.json" >"$D/ce.json"
        post cloudevents "$D/ce.json" "$sign_in" 'Content-Type: application/cloudevents+json'
}
free_all
: >"$D/posts"
fleet() { EXTRA="--nats $NATS_URL --webhook http://127.0.0.1:9096/" listener; }
fleet
comes "it is connected to the broker" '.outcome == "broker-up"'
is "an event about a group is taken" "$(there beacon.service web f1)" 200
comes "and says how many hosts of the inventory it is for" '.outcome == "ordered" and .event == "f1" and .group == "web" and .max_hosts == 1'
comes "the broker has the order" '.outcome == "sent" and .event == "f1"'
comes "the host's receipt comes" '.outcome == "receipt" and .event == "f1" and .host == "web-1" and .state == "contained"'
turns "and the kernel says so" beacon isolated
comes "and all of them have answered" '.outcome == "done" and .event == "f1" and .hosts == 1 and .verified == 1 and .silent == 0'
check "the webhook got what the host signed" box_until 60 is_posted
is "an event about a group without hosts is taken" "$(there beacon.service nobody f2)" 200
comes "and refused before anything is signed" '.outcome == "refused" and .event == "f2"'
there worker.service all f3 >/dev/null
comes "so is one that is for more hosts than its rule allows" '.outcome == "refused" and .event == "f3"'
there worker.service web f4 >/dev/null
comes "the hosts of an incident are those that are expected" '.outcome == "budget" and .event == "f4"'

# --- a broker that is down
nats_stop
comes "that no broker is there is told" '.outcome == "broker-down"'
is "an event is taken all the same" "$(there worker.service web f6 953)" 200
comes "its order is kept" '.outcome == "waiting" and .event == "f6"'
jq -c '.time = (now | todate)' "$PAYLOADS/falco.json" >"$D/falco.json"
is "what is for this host is not kept waiting" "$(post falco "$D/falco.json" "$sign_in")" 200
comes "and is done" '.outcome == "receipt" and .rule == "here" and .final'
run systemctl kill -s KILL escalate.service
fleet
comes "a crash forgets nothing of it" '.outcome == "waiting" and .event == "f6"' 2
nats_start || exit
comes "when a broker is back the order is sent" '.outcome == "sent" and .event == "f6"'
comes "and done" '.outcome == "done" and .event == "f6" and .verified == 1'
turns "and the kernel says so again" worker isolated
is "the event ordered once" "$(lines '.outcome == "ordered" and .event == "f6"')" 1
there worker.service web f6 953 >/dev/null
comes "and is known when it comes again" '.outcome == "duplicate" and .event == "f6"'
# shellcheck disable=SC2016
in_box 'main=$(systemctl show -P MainPID escalate.service) && for p in $(cat /sys/fs/cgroup/system.slice/escalate.service/cgroup.procs); do [ "$p" = "$main" ] || kill -KILL "$p"; done'
comes "without the process that talks to brokers it ends, and says so" '.outcome == "ended"'
fleet

# --- OpenC2 about a device elsewhere
# away COMMAND TIMEOUT [WHO]
away() { in_box 'printf "%s\n" "$1" | freezectl openc2 --key "/root/$4" --lease 10m --nats "$2" --timeout "$3"' "$1" "$NATS_URL" "$2" "${3:-robot}"; }
whole='{"action":"contain","target":{"device":{"hostname":"web-1"}},"command_id":"d-1","args":{"er":{"device_containment":"network_isolation",
        "permitted_addresses":{"ipv4_net":["10.77.0.1/32"]}},"x-frz":{"severity":"P0","incident":"SA-20261121-960"}}}'
free_all
said=$(away "${whole//$'\n'/}" 60s)
is "a device of the inventory answers, and that automation may not have all of it" "$(jq -r '"\(.status) \(.status_text[0:12]) \(.results["x-frz"].receipt.payloadType)"' <<<"$said")" \
        "403 target-class application/vnd.freezed.receipt.v1+json"
said=$(away "${whole//$'\n'/}" 60s alice)
# a host that is isolated comes back to the broker, where the order still is: what it answers then has the receipt of the first time in it
is "a responder may have it isolated" \
        "$(jq -r '"\(.status) \(.results["x-frz"].receipt.payload | @base64d | fromjson | (.receipt // .) | "\(.state) \(.reasons)")"' <<<"$said")" "200 contained []"
like "and it is" "$(run python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("10.77.0.99", 9))' 2>&1 | tail -n 1)" PermissionError
looks "but for what is permitted" beacon free
order alice,bob release --incident SA-20261121-960 >/dev/null
is "one of none is not found" "$(away '{"action":"deny","target":{"device":{"hostname":"web-9"}}}' 5s | jq -r .status)" 404
jq -c '.time = (now | todate) | .data.unit = "worker.service" | .data.group = "gone" | .data.incident = "952"' "$PAYLOADS/cloudevent.json" >"$D/ce.json"
box_put host "$D/ce.json" /root/ce.json
in_box 'freezectl escalate --rules /root/rules.json --stdin cloudevents --key /root/robot --state-dir /root/gone --nats "$1" --expires 10s </root/ce.json; echo "{\"exit\":$?}"' "$NATS_URL" >"$D/gone" 2>/dev/null
is "who stays silent is waited for until the order is over, and named" "$(jq -rs 'map(select(.outcome == "silent"))[0] | .silent_hosts[0]' "$D/gone") $(jq -rs '.[-1].exit' "$D/gone")" "gone-1 5"
nats_stop
said=$(away '{"action":"deny","target":{"device":{"hostname":"web-1"}}}' 3s)
is "without a broker the signed order is in the response" "$(jq -r '"\(.status) \(.results["x-frz"].order.payloadType)"' <<<"$said")" "503 application/vnd.freezed.command.v1+json"
run systemctl stop escalate.service

# --- a broker that says more than anybody can take, to the unit as it is shipped
echo shout >"$NATS_MODE"
rogue_start host freezectl
printf '[Service]\nExecStart=\nExecStart=/usr/bin/freezectl escalate --rules %%d/rules --key %%d/key --listen 127.0.0.1:9095 --token-file %%d/token --nats %s\n' "$NATS_URL" >"$D/nats.conf"
box_put host "$D/nats.conf" /etc/systemd/system/freezed-escalate.service.d/nats.conf 0644
in_box 'cp /root/rules.json /etc/freezed/escalate.json && rm -rf /var/lib/freezed-escalate && systemctl daemon-reload && systemctl start freezed-escalate'
says "the unit is connected to it" freezed-escalate '.outcome == "broker-up"'
there beacon.service gone g1 961 >/dev/null
says "answers that nobody gave come faster than they are taken" freezed-escalate '.outcome == "answers-lost" or (.outcome == "broker-down" and .why == "the broker says more than can be taken")'
is "and an event is taken meanwhile" "$(there worker.service web g2 962)" 200
says "and is ordered" freezed-escalate '.outcome == "ordered" and .event == "g2"'
is "and nothing of it was killed" "$(run systemctl show -P NRestarts freezed-escalate) $(run systemctl is-active freezed-escalate)" "0 active"
# where no controller bounds it, what its processes had, with what they share
had=$(while read -r pid; do sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$pid/status"; done <"$(box_cgroup host)$(run systemctl show -P ControlGroup freezed-escalate)/cgroup.procs" | paste -sd +)
check "it had $((had)) KiB at most" test "$((had))" -gt 1000 -a "$((had))" -lt 262144
run systemctl stop freezed-escalate

done_testing
