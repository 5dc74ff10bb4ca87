#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# freezectl without an agent: trust roots, orders that are carried as files, and what it makes of a peer that is silent or lies.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

ctl=$(realpath "${1:?usage: 040-ctl.sh BUILD}/freezectl")
repo=$PWD
tmp=$(mktemp -d)
peer=
# shellcheck disable=SC2317
finish() {
        [ -z "$peer" ] || kill "$peer" 2>/dev/null
        rm -rf "$tmp"
}
trap finish EXIT
cd "$tmp" || exit 1
export HOME=$tmp TZ=UTC NO_COLOR=1
unset SSH_AUTH_SOCK XDG_CONFIG_HOME

for who in alice bob carol soar host other; do
        ssh-keygen -q -t ed25519 -N '' -C "$who@test" -f "$who" || exit 1
done
echo "web1 $(cut -d' ' -f1,2 host.pub)" >hosts
fingerprint=$(ssh-keygen -lf host.pub | cut -d' ' -f2)

# exits 'SENTENCE' CODE WORD...: freezectl ends with that code; what it said is in $said
exits() {
        local sentence=$1 want=$2 got
        shift 2
        said=$("$ctl" "$@" 2>&1 </dev/null)
        got=$?
        if [ "$got" -eq "$want" ]; then ok "$sentence"; else not_ok "$sentence" "freezectl $* ended with $got, not $want
$said"; fi
}

says() {
        like "$1" "$said" "$2"
}

# --- the tables
exits "without words it shows the screen, and that was no order" 2
says "the screen has every group" 'Stop.*Resume.*Look.*Signed files.*Who may do what'
exits "help is asked for by name" 0 help
is "the screen fits a terminal of 80 by 50" "$("$ctl" help | wc -l | awk '$1 <= 50 { print "fits" }')" fits
for verb in contain isolate freeze snapshot release extend status health plan sign approve send enroll 'trust init' 'trust show' 'trust verify' 'trust rotate'; do
        # shellcheck disable=SC2086
        exits "help tells about $verb" 0 help $verb
        [[ $said == *Example* ]] || not_ok "help for $verb has an example" "$said"
done
check "the manual is the one that the tables make" cmp <("$ctl" help man) "$repo/packaging/man/freezectl.8"
check "the completion is the one that the tables make" cmp <("$ctl" help completion) "$repo/packaging/completion/freezectl.bash"
is "the manual is well-formed" "$(man --warnings -l -E UTF-8 "$repo/packaging/man/freezectl.8" 2>&1 >/dev/null | head -n 3)" ""
completed=$(bash -c '. "$0"; COMP_WORDS=(freezectl contain --l) COMP_CWORD=2; _freezectl; echo "${COMPREPLY[*]}"' "$repo/packaging/completion/freezectl.bash")
is "the completion knows a verb's options" "$completed" --lease
exits "an unknown verb is a usage error" 2 contian x.service
exits "a verb without its words too" 2 contain
exits "an option of another verb too" 2 status --lease 10s
exits "half a verb too" 2 trust
says "and it says what is missing" 'freezectl help trust'
exits "--help beside a verb is help" 0 contain --help

# --- trust roots
init=(trust init --fleet prod --responder alice=alice.pub --responder bob=bob.pub --automation soar=soar.pub --out)
exits "a trust root is made from ssh keys" 0 "${init[@]}" trust.json --key alice
says "and says who has signed, and that it is not enough" 'signed by +alice.*1 of 2 people.*Not enough'
exits "it is not valid before enough people have signed" 3 trust verify trust.json
says "and says why" 'trust-chain'
exits "somebody without a root key cannot sign along" 2 "${init[@]}" x.json --key soar
exits "the second person signs the file" 0 sign trust.json --key bob --yes
says "and that is enough" '2 of 2 people of the role root: enough.*enroll'
exits "now it is valid" 0 trust verify trust.json
exits "the same person cannot sign twice" 2 approve trust.json --key bob --yes
exits "it can be read" 0 trust show trust.json
says "with who may release" 'release +2 of responder'
says "and what automation may" 'contain +1 of automation, with a lease of at most 15 min; P0, P1'
is "keys have the names that ssh-keygen gives them" "$(grep -c "$(ssh-keygen -lf alice.pub | cut -d' ' -f2)" <<<"$said")" 1
python3 - trust.json forged.json <<'PY'
import base64, json, sys
e = json.load(open(sys.argv[1]))
p = base64.b64decode(e["payload"]).replace(b'"k":2', b'"k":1')
e["payload"] = base64.b64encode(p).decode()
json.dump(e, open(sys.argv[2], "w"))
PY
exits "one byte changed makes it invalid" 3 trust verify forged.json
says "as a false signature" bad-signature
exits "and nobody signs a changed one" 3 approve forged.json --key carol --yes
exits "one responder alone cannot release: the trust root says so" 2 trust init --fleet prod --responder alice=alice.pub --out x.json
says "in words" 'release takes 2 people'
exits "one key is not two people" 2 trust init --fleet prod --responder alice=alice.pub --responder bob=alice.pub --out x.json
exits "a private key is no public key" 2 trust init --fleet prod --responder alice=alice --responder bob=bob.pub --out x.json
exits "a role of somebody unknown is refused" 2 "${init[@]}" x.json --role lead=dave
exits "rules of one's own can be given" 0 "${init[@]}" own.json --role 'lead=alice,bob' --rule release:lead:2 --rule contain,isolate:soc:1 --role soc=bob --key alice --key bob
says "and only they hold then" 'release +2 of lead'
exits "a rule may be for some kinds of target" 0 "${init[@]}" kinds.json --role soc=bob --rule release:responder:2 \
        --rule isolate:soc:1:15m:P0:host,container --rule contain:soc:1:15m --key alice --key bob
says "and is shown with them" 'isolate.*container.*host'
exits "a kind that is none is refused" 2 "${init[@]}" x.json --role soc=bob --rule release:responder:2 --rule isolate:soc:1:15m:P0:pod
exits "a rule that asks too much is refused" 2 "${init[@]}" x.json --rule release:responder:3
exits "a rule that is none is refused" 2 "${init[@]}" x.json --rule release:responder
exits "without a fleet there is no trust root" 2 trust init --responder alice=alice.pub --out x.json
check "a failed trust init writes nothing" test ! -e x.json

exits "the next version is made from the last" 0 trust rotate trust.json --remove-person bob --responder carol=carol.pub --root alice,carol --out trust-2.json --key alice
exits "without the others it does not follow" 3 trust verify trust-2.json --from trust.json
exits "the new person signs" 0 approve trust-2.json --trust trust.json --key carol --yes
says "but the old ones are needed too" '1 of 2 people of the role root of version 1.*Not enough'
exits "so it still does not follow" 3 trust verify trust-2.json --from trust.json
exits "the one who leaves signs" 0 approve trust-2.json --trust trust.json --key bob --yes
exits "now it follows" 0 trust verify trust-2.json --from trust.json
exits "and does not follow itself" 3 trust verify trust-2.json --from trust-2.json
says "by the chain" trust-chain
exits "bob is not in it any more" 0 trust show trust-2.json
# a fingerprint may have his name in it
refute "bob is not named" grep -qwE "bob(:|,|$)" <<<"$said"

# --- orders as files
common=(--trust trust.json --hosts-file hosts)
exits "an order is built and signed without an agent" 0 contain beacon.service --severity Critical --incident SA-20261120-001 --reason 'talks to a stranger' \
        --permit 10.0.0.0/8:443/tcp --permit '[fd00::1]:53/udp' --permit fd00::/8 --lease 15m "${common[@]}" --key alice --out c.json
says "and says in plain words what it is" 'ORDER contain.*unit:beacon.service.*web1 \(SHA256:.*P0 \(Critical\) SA-20261120-001.*talks to a stranger.*15 min.*10.0.0.0/8 port 443 tcp'
is "openssl alone verifies it" "$(python3 - c.json <<'PY'
import base64, json, subprocess, sys
e = json.load(open("c.json"))
p, t = base64.b64decode(e["payload"]), e["payloadType"].encode()
open("pae", "wb").write(b"DSSEv1 %d %s %d %s" % (len(t), t, len(p), p))
open("sig", "wb").write(base64.b64decode(e["signatures"][0]["sig"]))
subprocess.run("ssh-keygen -e -m PKCS8 -f alice.pub >alice.pem 2>/dev/null", shell=True)
from cryptography.hazmat.primitives import serialization as s
k = s.load_ssh_public_key(open("alice.pub", "rb").read())
open("alice.pem", "wb").write(k.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))
print(subprocess.run("openssl pkeyutl -verify -pubin -inkey alice.pem -rawin -in pae -sigfile sig", shell=True, capture_output=True, text=True).stdout.strip())
PY
)" "Signature Verified Successfully"
exits "an order for a hold takes two" 0 release 0123456789abcdef0123456789abcdef "${common[@]}" --key alice --out r.json
exits "nobody approves without being asked" 2 approve r.json "${common[@]}" --key bob
before=$(cat r.json)
exits "and then the file is as it was" 2 approve r.json "${common[@]}" --key bob
is "byte by byte" "$(cat r.json)" "$before"
if command -v script >/dev/null; then
        said=$(script -qec "$ctl approve r.json ${common[*]} --key bob" /dev/null <<<n 2>&1)
        is "a no at the terminal is a no" "$?:$(cat r.json)" "3:$before"
        said=$(script -qec "$ctl approve r.json ${common[*]} --key bob" /dev/null <<<y 2>&1)
        is "a yes at the terminal is a yes" "$?" 0
        says "and it was asked after showing what it is" 'end holds.*Sign this'
else
        skip "a no at the terminal is a no" "script(1) is not here"
        "$ctl" approve r.json "${common[@]}" --key bob --yes >/dev/null
fi
exits "it can be shown by approving once more, which is refused" 2 approve r.json "${common[@]}" --key bob --yes
says "with both people" '2 of 2 people of the role responder: enough'
python3 -c 'import json,base64; e=json.load(open("c.json")); open("payload.json","wb").write(base64.b64decode(e["payload"]))'
exits "a bare order has to be signed first" 2 approve payload.json "${common[@]}" --key bob --yes
exits "and cannot be sent" 2 send payload.json --hosts-file hosts
exits "sign wraps and signs it" 0 sign payload.json "${common[@]}" --key alice --yes --out signed.json
check "the bytes that were signed are those of the file" python3 -c 'import json,base64,sys; sys.exit(base64.b64decode(json.load(open("signed.json"))["payload"]) != open("payload.json","rb").read())'
exits "an expired order is not signed" 0 snapshot a.service "${common[@]}" --expires 1ms --key alice --out old.json
sleep 0.05
exits "by anybody" 3 approve old.json "${common[@]}" --key bob --yes
says "because it expired" expired
exits "what is neither order nor trust root is not signed" 3 sign hosts --key alice --yes
exits "a trust root is not sent" 2 send trust.json --hosts-file hosts
exits "a file that is not there is a failure" 1 send nothing.json --hosts-file hosts
python3 - c.json hostile.json <<'PY'
import base64, json, sys
e = json.load(open(sys.argv[1]))
p = json.loads(base64.b64decode(e["payload"]))
p["reason"] = "patched \u202e elbisrever"
e["payload"] = base64.b64encode(json.dumps(p).encode()).decode()
e["signatures"] = []
json.dump(e, open(sys.argv[2], "w"))
PY
exits "text that reorders what is read is shown as what it is" 0 sign hostile.json "${common[@]}" --key alice --yes
says "by a mark" 'patched \? elbisrever'

# --- what is wrong with an order is said before it is signed
exits "a target that is none" 2 contain 'no target' "${common[@]}" --key alice --out x.json
exits "a permit that is none" 2 contain a.service --permit 10.0.0.0/8:0 "${common[@]}" --key alice --out x.json
exits "a permit with host bits" 2 contain a.service --permit 10.0.0.1/8 "${common[@]}" --key alice --out x.json
exits "an incident that is none" 2 contain a.service --incident ../../etc "${common[@]}" --key alice --out x.json
says "with how it looks" 'SA-20261120-001'
exits "an order that lives too long" 2 contain a.service --expires 25h "${common[@]}" --key alice --out x.json
exits "a release that lives too long" 2 release 0123456789abcdef0123456789abcdef --expires 61m "${common[@]}" --key alice --out x.json
exits "the same target twice" 2 contain a.service unit:a.service "${common[@]}" --key alice --out x.json
exits "a hold that is none" 2 release beacon.service "${common[@]}" --key alice --out x.json
exits "a release of nothing" 2 release "${common[@]}" --key alice --out x.json
exits "an extension without its lease" 2 extend 0123456789abcdef0123456789abcdef "${common[@]}" --key alice --out x.json
exits "a plan of a release" 2 plan release 0123456789abcdef0123456789abcdef "${common[@]}" --key alice --out x.json
exits "a host that is not known" 2 contain a.service --to host=web9 "${common[@]}" --key alice --out x.json
exits "hosts that this version cannot reach" 2 contain a.service --to all "${common[@]}" --key alice --out x.json
exits "no known host at all" 1 contain a.service --trust trust.json --hosts-file none --key alice --out x.json
says "with what to do" enroll
exits "no trust root and no fleet" 1 contain a.service --trust none.json --hosts-file hosts --key alice --out x.json
exits "no key at all" 1 contain a.service "${common[@]}" --out x.json
says "with what to do" -- '--key'
check "none of them wrote anything" test ! -e x.json
said=$("$ctl" contain 'no target' --json 2>/dev/null)
is "with --json a usage error is a summary too" "$(jq -r .summary.exit <<<"$said")" 2

# --- enrolment, in directories of its own
mkdir -p etc state
enroll=(enroll --config-dir etc --state-dir state --name web1)
exits "a host without a key cannot be enrolled" 1 "${enroll[@]}" trust.json
says "with what to do" 'systemctl start freezed'
check "and nothing was installed" test ! -e etc/trust.json
cp host.pub state/host_key.pub
exits "half a trust root is not installed" 3 "${enroll[@]}" forged.json
exits "a host is enrolled" 0 "${enroll[@]}" trust.json
check "the trust root is installed as it is" cmp trust.json etc/trust.json
is "for everybody to read" "$(stat -c %a etc/trust.json)" 644
is "and the host is known by its key" "$(cat etc/hosts)" "$(cat hosts)"
exits "enrolling again changes nothing" 0 "${enroll[@]}" trust.json
exits "a trust root that does not follow is refused" 3 "${enroll[@]}" own.json
check "and the old one stays" cmp trust.json etc/trust.json
exits "its successor is installed" 0 "${enroll[@]}" trust-2.json
exits "and the way back is closed" 3 "${enroll[@]}" trust.json
cp other.pub state/host_key.pub
exits "a host that comes back with another key is not taken for the same" 3 "${enroll[@]}" trust-2.json
says "with what to do" 'take that line out'

# --- a peer that is not what it should be
sock=$tmp/gate.sock
talk=("${common[@]}" --socket "$sock" --timeout 1s)
# liar ANSWER...
liar() {
        [ -z "$peer" ] || { kill "$peer" && wait "$peer"; } 2>/dev/null
        rm -f ready
        python3 "$repo/tests/lib/liar.py" "$sock" host "$@" >ready 2>liar.err &
        peer=$!
        for _ in $(seq 1200); do [ -s ready ] && return; sleep 0.05; done
        echo "# the peer did not start"
}
order=(contain beacon.service "${talk[@]}" --key alice)

exits "nobody there is silence" 5 "${order[@]}"
says "and nothing was sent" 'SILENT.*nothing was sent'
check "the signed order is kept" compgen -G 'contain-*.json'
liar '{"sleep":3}'
exits "an agent that does not answer is silence" 5 "${order[@]}"
says "of which nothing is known" 'not known whether it acted'
liar '{"close":true}'
exits "an agent that hangs up is silence" 5 "${order[@]}"
rm -f contain-*.json

liar '{"but":{"targets":[{"target":"unit:beacon.service","frozen":true}],"phases_us":{"total":14250}}}'
exits "a receipt of the known host about this order is success" 0 "${order[@]}"
is "and the verdict is the first line" "$(head -n 1 <<<"$said")" "CONTAINED beacon.service on web1 (14.2 ms)"
refute "nothing is kept of a success" compgen -G 'contain-*.json'
said=$("$ctl" "${order[@]}" --json 2>/dev/null </dev/null)
is "with --json there is a line a host and a summary" "$(jq -rc '[.name // .summary.exit, .class // .summary.verified] | join(" ")' <<<"$said" | paste -sd,)" "web1 verified,0 1"
is "the host is named by its fingerprint" "$(head -n 1 <<<"$said" | jq -r .host)" "$fingerprint"

for lie in '{"key":"other"}' '{"key":"other","as":"host"}' '{"but":{"digest":"00"}}' '{"but":{"id":"00000000000000000000000000000000"}}' '{"but":{"host":"SHA256:x"}}' \
        '{"but":{"type":"status"}}' '{"but":{"v":2}}' '{"report":{"state":"contained"}}' '{"raw":"{\"state\":\"contained\"}"}' '{"raw":"CONTAINED"}'; do
        liar "$lie"
        exits "not believed: $lie" 1 "${order[@]}"
        is "and never shown as success" "$(head -n 1 <<<"$said" | cut -d' ' -f1)" UNVERIFIED
done
liar '{"raw":"{\"refused\":\"bad-signature\",\"text\":\"x\"}"}'
exits "the gate's refusal is a refusal" 3 "${order[@]}"
says "and marked as unsigned" 'REFUSED bad-signature.*unsigned'
liar '{"but":{"state":"partial","reasons":["no-bpf"]}}'
exits "partial is partial" 4 "${order[@]}"
says "with the gap's sentence and what to do" 'no-bpf: The kernel refused.*->'
liar '{"but":{"targets":[{"target":"unit:beacon.service","frozen":false}]}}'
exits "contained but not frozen is not success" 4 "${order[@]}"
says "and is called what it is" CONTRADICTORY
liar '{"but":{"state":"from-the-future"}}'
exits "a state that is not known is not success" 1 "${order[@]}"

rm -f contain-*.json
liar '{"but":{"final":false}}' '{"sleep":0.2}' '{"but":{"evidence":{"state":"complete","folder":"/x","objects":3,"holes":0,"bytes":9}}}'
exits "the final receipt follows the preliminary one" 0 "${order[@]}"
says "which was told at once" 'the final receipt is still to come'
says "and has the evidence" 'complete: 3 objects'
liar '{"but":{"final":false}}' '{"sleep":3}'
exits "containment without its evidence is not the whole of it" 4 "${order[@]}"
says "and says which part is proven" 'CONTAINED.*UNFINISHED'

rm -f ./*-????????.json
release=(release 0123456789abcdef0123456789abcdef "${talk[@]}" --key alice)
liar '{"but":{"state":"refused","reasons":["threshold"],"have":1,"need":2}}'
exits "a release by one is refused" 3 "${release[@]}"
is "with the count first" "$(head -n 1 <<<"$said")" "REFUSED threshold: have 1 of 2"
says "who has signed" 'signed by +alice'
file=$(compgen -G 'release-????????.json')
says "and the exact commands" "freezectl approve ./$file.*freezectl send ./$file"
exits "the other person signs the kept file" 0 approve "$file" "${common[@]}" --key bob --yes
liar '{"but":{"state":"released","targets":null,"holds":[{"id":"0123456789abcdef0123456789abcdef","state":"released","was":"contained","held_ms":12345,"targets":["unit:beacon.service"]}]}}'
exits "and it is sent as it is" 0 send "$file" "${talk[@]}"
is "with how long it was held" "$(head -n 1 <<<"$said")" "RELEASED after 12.3 s: beacon.service on web1"
rm -f ./*-????????.json
liar '{"but":{"state":"refused","reasons":["expired"]}}'
exits "what was refused for good is not kept" 3 "${release[@]}"
refute "no file" compgen -G 'release-????????.json'
printf '{"payload":"e30=","payloadType":"application/vnd.freezed.command.v1+json","signatures":[{"keyid":"","sig":"%s=="}]}' "$(printf 'A%.0s' {1..86})" >strange.json
liar '{"but":{"state":"refused","reasons":["bad-field"],"id":null}}'
exits "an order that cannot be read here is sent all the same" 3 send strange.json "${talk[@]}"
says "and the host says no" bad-field

liar '{"report":{"holds":[{"id":"0123456789abcdef0123456789abcdef","verb":"contain","state":"contained","incident":"SA-20261120-001","severity":"P0","targets":[{"target":"unit:beacon.service","frozen":true}]}]}}'
exits "status is told" 0 status "${talk[@]:2}"
says "with the hold and its release" 'CONTAINED beacon.service.*freezectl release 0123456789abcdef0123456789abcdef'
exits "by target" 0 status beacon.service "${talk[@]:2}"
exits "what is not held is not success when it was named" 3 status other.service "${talk[@]:2}"
exits "an incident's holds are named by the host" 0 release --incident SA-20261120-001 "${common[@]}" --socket "$sock" --key alice --out ri.json
says "and signed by their ids" 'hold:0123456789abcdef0123456789abcdef'
exits "an incident without holds releases nothing" 3 release --incident SA-20261120-002 "${common[@]}" --socket "$sock" --key alice --out rj.json
liar '{"report":{"shortened":true,"omitted":3,"holds":[{"id":"0123456789abcdef0123456789abcdef","verb":"contain","state":"contained","incident":"SA-20261120-001","targets_total":9}]}}'
exits "nor are some of its holds all of them" 3 release --incident SA-20261120-001 "${common[@]}" --socket "$sock" --key alice --out rs.json
says "where the answer had no room for more" '3 more holds had no room.*name the holds'
refute "and nothing is signed" test -e rs.json
liar '{"report":{"shortened":true,"omitted":3,"holds":[]}}'
exits "nor is there nothing to release" 3 release --incident SA-20261120-001 "${common[@]}" --socket "$sock" --key alice --out rs.json
says "for the same reason" '3 more holds had no room'
liar '{"report":{"holds":[],"ended":{"state":"lapsed","held_ms":10000,"id":"0123456789abcdef0123456789abcdef"}}}'
exits "a hold that is over is told with its last receipt" 0 status 0123456789abcdef0123456789abcdef "${talk[@]:2}"
says "as what it is" 'NOTHING HELD.*LAPSED after 10.0 s'
liar '{"replay":true,"report":{"holds":[{"id":"0123456789abcdef0123456789abcdef","verb":"contain","state":"contained","incident":"SA-20261120-001","targets":[]}]}}'
exits "a report that answers the question is believed" 0 status "${talk[@]:2}"
exits "the same one played again is not" 1 status "${talk[@]:2}"
is "it is never shown as what it says" "$(head -n 1 <<<"$said" | cut -d' ' -f1)" UNVERIFIED
says "but as what it is" 'not in answer to this question.*old report, played again'
exits "nor may it name the holds of an incident" 1 release --incident SA-20261120-001 "${common[@]}" --socket "$sock" --key alice --out rl.json
says "for the same reason" 'cannot be believed.*played again'
is "each question had 128 bits of its own" "$(sed 1d ready | jq -r .nonce | grep -xE '[0-9a-f]{32}' | sort -u | wc -l)" 3
liar '{"replay":true,"report":{"holds":[]}}'
exits "what was said of all holds" 0 status "${talk[@]:2}"
exits "may not stand in for an answer about one" 1 status 0123456789abcdef0123456789abcdef "${talk[@]:2}"
is "which alone is asked about" "$(sed 1d ready | jq -r '.hold // "all"' | paste -sd,)" all,0123456789abcdef0123456789abcdef
liar '{"replay":true,"report":{"ledger":{"ok":true},"trust":{"state":"valid","fleet":"prod","version":1},"holds":{"active":0,"partial":0}}}'
exits "health that answers the question is believed" 0 health "${talk[@]:2}"
exits "old health is not" 1 health "${talk[@]:2}"
says "and says so" 'UNVERIFIED.*played again'
liar '{"report":{"hold":"0123456789abcdef0123456789abcdef","holds":[]}}'
exits "an answer about one hold is not one about all" 1 status "${talk[@]:2}"
says "and says so" 'UNVERIFIED.*asked something else on the way'
liar '{"report":{"hold":null,"holds":[]}}'
exits "nor the other way round" 1 status 0123456789abcdef0123456789abcdef "${talk[@]:2}"
liar '{"report":{"nonce":null,"holds":[]}}'
exits "a report without a nonce is an old one too" 1 status "${talk[@]:2}"
liar '{"report":{"wall_ms":1,"holds":[]}}'
exits "and no clock is asked how old a report is" 0 status "${talk[@]:2}"
liar '{"key":"other","report":{"holds":[]}}'
exits "nor that of a stranger" 1 status "${talk[@]:2}"
exits "nor may a stranger name the holds of an incident" 1 release --incident SA-20261120-001 "${common[@]}" --socket "$sock" --key alice --out rk.json
liar '{"report":{"ledger":{"ok":true},"trust":{"state":"valid","fleet":"prod","version":1},"holds":{"active":0,"partial":0},"layers":[{"id":"connect4","state":"no","why":"EPERM"}]}}'
exits "health is told" 0 health "${talk[@]:2}"
says "with what this kernel cannot do" 'HEALTHY web1.*no +connect4: EPERM'
echo "web2 $(cut -d' ' -f1,2 other.pub)" >>hosts
exits "with several known hosts the agent is asked which one it is" 1 "${order[@]}"
liar '{"report":{}}' # to both questions
exits "and its answer is used" 1 "${order[@]}"
exits "a file for one of several hosts needs its name" 2 contain a.service "${common[@]}" --key alice --out x.json
exits "and takes it" 0 contain a.service "${common[@]}" --to host=web2 --key alice --out x.json
says "as given" 'web2'
sed -i 2d hosts
liar '{"report":{"ledger":{"ok":false},"trust":{"state":"valid"}}}'
exits "an agent that cannot record is not healthy" 1 health "${talk[@]:2}"

done_testing
