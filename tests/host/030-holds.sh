#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 030-holds.sh B: what is in force on a host is the union of its holds, for as long as they last, on whatever they name, and nothing when
# the last of them has ended. What the agent says is compared with the kernel's files, the listener and the heartbeat.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 030-holds.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

release() { order alice,bob release "$@" --incident SA-20261120-030; }
# the state of an active hold, or how one ended
# shellcheck disable=SC2016
state_of() {
        box_run host freezectl status "$1" --json |
                box_run host jq -r --arg id "$1" 'select(.report) | .report | (.holds[] | select(.id == $id) | .state), (.ended | values | "over")'
}
# the cgroups of the box, but not those of this suite's own commands
cgroups() { (cd "$(box_cgroup host)" && find . -type d ! -path './box-run*' | sort); }
programs_on() { bpftool cgroup show "$(box_cgroup host)$1" | grep -c isolate_; }
links_seen() { LINKS+=" $(receipt '[.targets[]?.links[]?.link_id] | join(" ")')"; }
LINKS=

orders_boot "$B" || exit
service one 7001 Slice=app.slice && service two 7002 Slice=app.slice && service three 7003 && service raw 7004 CapabilityBoundingSet=CAP_NET_RAW || exit
before=$(cgroups)
looks "what is not held is free" one free

# --- one unit, two holds
order alice contain three.service --severity P0
is "a unit is contained" "$ANSWER" contained
links_seen
first=$ID
looks "and it is" three contained
order bob contain three.service --severity P0
links_seen
second=$ID
release "$first"
is "one of two holds is released" "$(receipt .holds[0].state)" released
like "with the word that another one holds" "$(receipt '.flags | join(" ")') $ANSWER" held-by-other
looks "the unit stays contained" three contained
is "status knows the other one" "$(state_of "$second")" contained
is "and that this one is over" "$(state_of "$first")" over
release "$second"
is "the other one is released" "$ANSWER" released
turns "and the unit is free" three free

order alice isolate three.service
first=$ID
order bob freeze three.service
second=$ID
looks "one hold isolates and another one freezes" three contained
release "$first"
looks "what only the first one did ends with it" three frozen
release "$second"
turns "and the rest with the second" three free

# --- one verb each
order alice isolate three.service
is "isolate is called contained when all that it asks for is in force" "$ANSWER" contained
links_seen
looks "the unit runs on, and nothing of it arrives" three isolated
release "$ID"
turns "it streams again after its release" three free

order alice isolate raw.service
is "who may open packet sockets is not isolated in full" "$ANSWER" "partial packet-sockets"
looks "though the rest is in force" raw isolated
release "$ID"
order alice contain raw.service
is "frozen as well, it is" "$ANSWER" contained
release "$ID"
turns "and it is free again" raw free

connections() { sed -n 's/^connections=//p' "$(box_dir host)/sink.three"; }
n=$(connections)
order alice freeze three.service
is "freeze freezes" "$ANSWER" contained
looks "and attaches nothing" three frozen
release "$ID"
turns "after which it goes on" three free
is "with the connection that it had" "$(connections)" "$n"
order alice contain three.service
release "$ID"
turns "after contain it goes on, too" three free
if [ "$(connections)" -gt "$n" ]; then ok "but that has cut its connection"; else not_ok "but that has cut its connection"; fi

# --- permits: what all of the holds permit
order alice isolate three.service --permit 10.77.0.1:7003/tcp
loose=$ID
is "isolated but for one address" "$ANSWER" contained
is "which was reached" "$(receipt .targets[0].selftest.permitted[0].result)" reached
turns "it streams to that" three permitted
order bob isolate three.service
strict=$ID
looks "a hold without the permit takes it away" three isolated
release "$strict"
turns "and gives it back with its end" three permitted
order bob isolate three.service --permit 10.77.0.0/24:7003/tcp
wide=$ID
turns "two that both permit it permit it" three permitted
release "$loose" "$wide"
is "several holds end with one release" "$(receipt '[.holds[].state] | join(" ")')" "released released"
turns "then it is free" three free
order bob isolate three.service
strict=$ID
order alice isolate three.service --permit 10.77.0.1:7003/tcp
loose=$ID
looks "the stricter one coming first, a later permit gives nothing" three isolated
release "$strict"
turns "before the stricter one has ended" three permitted
order alice isolate three.service --permit 10.77.0.1:7999/tcp
looks "two permits that have nothing in common permit nothing" three isolated
release "$loose" "$ID"

# --- slices
order alice contain app.slice
is "a slice is contained" "$ANSWER" contained
links_seen
looks "with one unit in it" one contained
looks "and the other" two contained
turns "and nothing beside it" three free
is "by programs on the slice" "$([ "$(programs_on /app.slice)" -gt 0 ] && programs_on /app.slice/one.service)" 0
slice=$ID
order bob contain one.service
unit=$ID
# nothing can be tried in what stands still
is "a unit in it is held, too, though what is frozen cannot be tried" "$ANSWER" "partial selftest-not-run"
links_seen
release "$slice"
is "the slice is released" "$ANSWER" released
looks "the unit stays contained" one contained
turns "the other one is free" two free
release "$unit"
turns "then the unit is" one free
order alice contain app.slice
slice=$ID
order bob contain one.service
release "$ID"
looks "the other way round, the unit stays contained by the slice" one contained
looks "as does the other one" two contained
release "$slice"
turns "until the slice is released" one free
turns "with all in it" two free
order bob contain one.service
unit=$ID
order alice contain app.slice
slice=$ID
release "$slice"
looks "a slice that was held later does not free the unit" one contained
release "$unit"
turns "which is free in the end" one free
turns "and the other one was not forgotten" two free

# --- cgroups
order alice contain cgroup:/system.slice/three.service
is "a cgroup is contained by its path" "$ANSWER" contained
looks "and with it the unit that it is" three contained
path=$ID
order bob freeze three.service
unit=$ID
release "$path"
looks "the unit's own hold goes on" three frozen
release "$unit"
turns "and ends" three free

cat >"$(box_root host)/usr/local/bin/nest" <<'SH'
#!/bin/sh
cd /sys/fs/cgroup/system.slice/nest.service && mkdir inner outer && echo $$ >outer/cgroup.procs || exit
sh -c 'echo $$ >inner/cgroup.procs && exec beacon' &
n=0
while n=$((n + 1)); do echo $n >>/run/nest/outer; sleep 0.05; done
SH
chmod 755 "$(box_root host)/usr/local/bin/nest"
service nest 7005 Delegate=yes ExecStart= ExecStart=/usr/local/bin/nest || exit
SERVICE_CGROUP[nest]=/system.slice/nest.service/inner
outer() { tail -n 1 "$(box_live host)/run/nest/outer"; }
outer_runs() { local n; n=$(outer); sleep "$LOOK_S"; [ "$(outer)" -gt "$n" ]; }
order alice contain cgroup:/system.slice/nest.service/inner
is "a cgroup below a unit's is contained" "$ANSWER" contained
links_seen
inner=$ID
looks "it is" nest contained
check "and not what is beside it in the unit" box_until 60 outer_runs
is "nor is the unit's own cgroup" "$(grep frozen "$(box_cgroup host)/system.slice/nest.service/cgroup.events") $(programs_on /system.slice/nest.service)" "frozen 0 0"
order bob contain nest.service
unit=$ID
refute "the unit's hold stops that as well" outer_runs
release "$unit"
looks "released, it leaves the cgroup below contained" nest contained
check "and the rest runs" box_until 60 outer_runs
order bob contain nest.service
unit=$ID
release "$inner"
looks "the other way round the unit's hold keeps it contained" nest contained
release "$unit"
turns "until that ends" nest free
check "and the rest runs" box_until 60 outer_runs
box_run host systemctl stop nest.service

# --- a freeze that is not ours
box_run host systemctl freeze three.service
looks "somebody has frozen a unit" three frozen
order alice contain three.service
is "it is contained as far as what is frozen can be tried" "$ANSWER" "partial selftest-not-run"
looks "and is" three contained
release "$ID"
looks "released, it is frozen as it was" three frozen
is "says systemd, too" "$(box_run host systemctl show -P FreezerState three.service)" frozen
box_run host systemctl thaw three.service
turns "and can be thawed by whoever froze it" three free

# --- leases
has_lapsed() { box_run host freezectl status "$1" --json | box_run host jq -es 'any(.[]; .report.ended.state == "lapsed")'; }
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
thawed() { grep -q 'frozen 0' "$(cgroup_of "$1")/cgroup.events"; }
# leased NAME MS: an order of its own; it began to count between SENT and ANSWERED of it
leased() {
        SENT[$1]=$(now_ms)
        order alice contain "$1.service" --lease "$(($2 / 1000))s"
        ANSWERED[$1]=$(now_ms)
        # whoever looks for it may come late
        rm -f "$(box_dir host)/ended.$1"
        { box_until 120 thawed "$1" && now_ms >"$(box_dir host)/ended.$1"; } &
}
# ends NAME SENTENCE MS: the lease of MS is kept, and not exceeded by two seconds
ends() {
        local now
        box_until 120 test -s "$(box_dir host)/ended.$1"
        now=$(cat "$(box_dir host)/ended.$1")
        if [ $((now - SENT[$1])) -ge "$3" ] && [ $((now - ANSWERED[$1])) -le $(($3 + 2000)) ]; then
                ok "$2"
        else
                not_ok "$2" "between $((now - ANSWERED[$1])) and $((now - SENT[$1])) ms, not $3"
        fi
}
declare -A SENT=() ANSWERED=()
core=$(box_run host systemctl show -P MainPID freezed.service)
order alice contain raw.service
unleased=$ID
leased two 20000
two=$ID
SENT[two]=$(now_ms)
order alice extend "$two" --lease 50s
ANSWERED[two]=$(now_ms)
is "a lease is extended" "$ANSWER" extended
leased three 20000
three=$ID
leased one 35000
links_seen
order alice extend "$two" --lease 1s
is "and not shortened by a shorter one" "$(receipt '.holds[0].lease_left_ms > 8000')" true
order alice extend "$unleased" --lease 1s
is "a hold without a lease does not get one" "$(receipt '.holds[0].lease_left_ms')" null
box_run host kill -KILL "$core"
looks "the agent is killed, the hold goes on" one contained
box_until 60 box_run host freezectl health
refute "another one comes" test "$(box_run host systemctl show -P MainPID freezed.service)" = "$core"
ends three "a lease ends by itself, not early, and after a restart" 20000
turns "with all of the hold" three free
box_until 60 has_lapsed "$three"
check "and is called lapsed" has_lapsed "$three"
looks "one that has not ended is kept" one contained
ends one "until it ends" 35000
looks "an extended one is kept beyond its first end" two contained
ends two "and ends when it was extended to" 50000
turns "then it is free" two free
looks "what has no lease stays" raw contained
release "$unleased"
turns "until it is released" raw free

# --- automation
order robot contain one.service
is "automation may not hold without a lease" "$ANSWER" "refused lease-required"
order robot contain one.service --severity P0 --lease 16m
is "nor with one longer than its rule" "$ANSWER" "refused lease-too-long"
order robot contain one.service --severity P2 --lease 1m
is "nor at any severity" "$ANSWER" "refused severity"
looks "nothing came of these" one free
echo '{"v":1,"automation_budget_ms":600000,"automation_day_ms":1200000}' | box_run host sh -c 'cat >/etc/freezed/policy.json'
box_run host systemctl reload freezed.service
order robot contain one.service --severity P0 --lease 400s --incident SA-20261120-001
is "it may with a lease" "$ANSWER" contained
held=$ID
looks "which holds" one contained
order robot contain two.service --severity P0 --lease 400s --incident SA-20261120-001
is "until the incident's budget is used up" "$ANSWER" "refused budget"
looks "then it holds nothing more" two free
order robot contain two.service --severity P0 --lease 200s --incident SA-20261120-001
is "what is left of it can be used" "$ANSWER" contained
release "$ID"
order robot contain two.service --severity P0 --lease 1s --incident SA-20261120-001
is "a released hold gives nothing back" "$ANSWER" "refused budget"
order robot contain two.service --severity P0 --lease 400s --incident SA-20261120-002
is "another incident has a budget of its own" "$ANSWER" contained
release "$ID"
order robot extend "$held" --severity P0 --lease 15m
is "extending costs as well" "$ANSWER" "refused budget"
order robot contain two.service --severity P0 --lease 201s --incident SA-20261120-003
is "and no incident has more than there is left of the day" "$ANSWER" "refused budget"
core=$(box_run host systemctl show -P MainPID freezed.service)
box_run host kill -KILL "$core"
box_until 60 box_run host freezectl health
refute "the agent is killed, another one comes" test "$(box_run host systemctl show -P MainPID freezed.service)" = "$core"
order robot contain two.service --severity P0 --lease 201s --incident SA-20261120-003
is "which a restart does not give back" "$ANSWER" "refused budget"
order robot contain two.service --severity P0 --lease 100s --incident SA-20261120-003
is "nor takes" "$ANSWER" contained
release "$ID"
order alice contain two.service --lease 400s
persons=$ID
order robot extend "$persons" --severity P0 --lease 410s
is "automation does not extend what a person holds" "$ANSWER" "refused not-owner"
order alice extend "$persons" --lease 410s
is "a person does" "$ANSWER" extended
order robot release "$persons"
is "automation releases nothing" "$ANSWER" "refused wrong-role"
looks "what the person holds is held" two contained
order alice extend "$held" --severity P0 --lease 10m
is "a person extends what automation holds" "$ANSWER" extended
release "$persons" "$held"
turns "and two release it" one free

# --- a release that is there first
order_file alice /root/late.json contain one.service
late=$ID
order_file alice /root/later.json contain one.service
later=$ID
release "$late"
is "what was never ordered here can be released" "$ANSWER" released
like "with the word that it is not known" "$(receipt '.flags | join(" ")')" unknown-hold
order_send /root/late.json
is "its order comes too late" "$ANSWER" "refused superseded"
looks "and does nothing" one free
order_send /root/later.json
is "one that was not released does" "$ANSWER" contained
release "$later"

# --- the end
turns "all is free: one" one free
turns "two" two free
turns "three" three free
turns "raw" raw free
is "nothing is held" "$(box_run host freezectl status --json | box_run host jq -r 'select(.report) | .report.holds | length')" 0
is "no program is attached anywhere in the box" "$(bpftool cgroup tree "$(box_cgroup host)" 2>/dev/null | grep -c isolate_)" 0
is "no pin is left" "$(box_run host find /sys/fs/bpf/freezed -regextype posix-extended -regex '.*/[0-9a-f]{32}(/.*)?')" ""
left() { for id in $LINKS; do bpftool link show id "$id" 2>/dev/null; done; }
if [ -n "${LINKS// /}" ]; then is "no link that a receipt named is left" "$(left)" ""; else not_ok "no receipt named a link"; fi
is "no cgroup is left" "$(cgroups)" "$before"
order alice contain one.service
links_seen
refute "all of which is there while something is held: links" test -z "$(left)"
refute "pins" test -z "$(box_run host find /sys/fs/bpf/freezed -regextype posix-extended -regex '.*/[0-9a-f]{32}(/.*)?')"
refute "programs" test "$(bpftool cgroup tree "$(box_cgroup host)" 2>/dev/null | grep -c isolate_)" = 0
release "$ID"

done_testing
