#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 032-trouble.sh B: a host that is not in order can still be stopped, and lets nothing go. Each trouble is made for real, what the agent
# says is compared with what the kernel, the heartbeat and the listener say, and without the trouble the same order has the other answer.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 032-trouble.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh

STATE=/var/lib/freezed
main_pid() { run systemctl show -P MainPID freezed.service; }
health() { run freezectl health --json | jq -R -r "fromjson? | select(.report) | .report | $1"; }
on_disk() { python3 tests/lib/ledger.py "$1" "$(box_live host)$STATE/ledger/00000001.log" "$2"; }

# flagged FLAG, unflagged FLAG: whether the last receipt carries it
flagged() { [[ " $(told .flags) " == *" $1 "* ]]; }
unflagged() { [ -n "$RECEIPT" ] && ! flagged "$1"; }
# refused REASON: the last answer is that refusal
refused() { [ "$EXIT" -ne 0 ] && [ "$(state)" = refused ] && [ "$(told .reasons)" = "$1" ]; }

# carry FILE: sends what is signed in it
carry() {
        ask send "$1" --json --timeout 60s
        RECEIPT=$(jq -R -c 'fromjson? | select(.receipt) | .receipt' <<<"$ANSWER" | tail -n 1)
}

# unit NAME COMMAND: starts a service of that name in the box
unit() {
        printf '[Service]\nExecStart=%s\n' "$2" >"$(box_root host)/etc/systemd/system/$1"
        run systemctl daemon-reload && run systemctl start "$1"
}

held_boot "$B" --expires 35s || exit
unit other.service '/bin/sleep infinity' || exit
start=$EPOCHSECONDS

# --- a trust root that expires
order freeze beacon.service
check "within the life of the trust root an order is carried out" frozen
check "without a flag" unflagged root-expired
release
is "and a release too" "$(state)" released
check "which thaws" alive
order freeze other.service
while [ $((EPOCHSECONDS - start)) -lt 36 ]; do sleep 0.1; done
release
check "once it has expired nothing is released" refused root-expired
check "what was frozen is frozen" frozen other.service
order contain beacon.service
is "a stop is carried out all the same" "$(state)" contained
check "and flagged" flagged root-expired
check "and it is so" held
is "health says that the trust root is over" "$(health .trust.state)" root-expired
run freezectl health >/dev/null
is "and exits with 1" $? 1
check "a successor of the expired root is taken" box_sh host 'cd /root && freezectl trust rotate trust.json --expires 365d --key alice --key bob --out trust-2.json && freezectl enroll trust-2.json'
is_trusted() { [ "$(health .trust.state)" = valid ]; }
box_until 60 is_trusted
release
is "and then two people release what was held" "$(state)" released
check "all of it" alive
check "with nothing left" nothing_left

# --- no trust root at all
run mv /etc/freezed/trust.json /root/away.json
agent_stop && agent_start
order contain beacon.service --trust /root/trust-2.json
like "without a trust root nobody is believed" "$EXIT $ANSWER" '^3 .*"refused":"no-trust-root"'
check "and nothing is held" alive
run mv /root/away.json /etc/freezed/trust.json
agent_stop && agent_start
order contain beacon.service
is "with it the same order is carried out" "$(state)" contained
check "and it is so" held

# --- another trust root of the same fleet and version, where root begins anew
release && alive || exit
in_force() { [ "$(health .trust.sha256)" = "$(run jq -r .payload "$1" | base64 -d | sha256sum | cut -d ' ' -f 1)" ]; }
check "which trust root is in force a host tells by what it says" in_force /root/trust-2.json
check "its people make one anew" box_sh host 'cd /root && freezectl trust init --fleet test --responder alice=alice.pub --responder bob=bob.pub --key alice --key bob --out anew.json && freezectl trust rotate anew.json --expires 365d --key alice --key bob --out anew-2.json'
run mv /etc/freezed/trust.json /root/away.json
ask enroll /root/anew-2.json
like "the agent that runs does not follow it, and enroll says so" "$EXIT $ANSWER" '^4 NOT IN FORCE .*GOES ON WITH version 2 of fleet test'
check "the old one is in force" in_force /root/trust-2.json
agent_stop && agent_start
check "from the next start on it is the new one" in_force /root/anew-2.json
run mv /root/away.json /etc/freezed/trust.json
agent_stop && agent_start
check "and by the same way the old one is again" in_force /root/trust-2.json
order contain beacon.service
is "whose order is carried out" "$(state)" contained

# --- PID 1, its bus, the agent's end
release && alive || exit
run systemctl stop dbus.socket dbus.service 2>/dev/null
refute "without a bus, busctl finds nobody" run busctl --timeout=2 status org.freedesktop.systemd1
order contain beacon.service
is "an order is carried out" "$(state)" contained
check "and it is so" held
release
is "and released" "$(state)" released
check "and that too" alive
run systemctl start dbus.socket dbus.service
kill -STOP "$(box_leader host)"
refute "while PID 1 is stuck, systemctl does not answer" run timeout 1 systemctl is-active beacon.service
order contain beacon.service
is "an order is carried out, but for what systemd has to do" "$(state) $(told .reasons)" "partial restartable"
check "in the kernel" held
check "and says that PID 1 does not know" flagged systemd-unaware
id=$(hold_id)
release "$id"
is "released, but for what systemd has to do" "$(state) $(told .reasons)" "partial persists"
check "in the kernel" alive
order contain nobody.service
check "of a unit that no cgroup is named after nothing more is said than that nobody runs" refused not-running
kill -CONT "$(box_leader host)"
order contain nobody.service
check "and when PID 1 answers, that there is none" refused no-such-target
run mv /run/systemd/private /run/systemd/private.away
order contain nobody.service
check "nor is more said when PID 1 is not reached" refused not-running
run mv /run/systemd/private.away /run/systemd/private
release "$id"
is "when PID 1 answers, that is done as well" "$(state)" released
check "and systemd starts it again" run systemctl restart beacon.service
# the heartbeat counts from 0 again: the first look may compare with the old one
check "and it goes on" box_until 60 alive

# which is answered once before PID 1 is told, and once after
promises() { run sh -c "cat $STATE/ledger/*.log" | grep -aoF '"more":true' | wc -l; }
pid=$(main_pid) before=$(promises)
kill -STOP "$(box_leader host)"
run freezectl freeze beacon.service --incident SA-20261120-004 --reason test --key /root/alice --yes >/dev/null 2>&1 &
ctl=$!
box_until 60 frozen
is_answered() { [ "$(promises)" -gt "$before" ]; }
box_until 60 is_answered
run kill -KILL "$pid"
kill -CONT "$(box_leader host)"
wait "$ctl"
box_until 60 core_is_up
refute "the core is a new one" test "$(main_pid)" = "$pid"
status
is "a freeze that died in between has its last receipt" "$(holds '"\(.state) \(.receipt.final)"')" "contained true"
refute "and no evidence, for that nobody ordered" run test -e $STATE/evidence/SA-20261120-004
release "$(hold_id)"
check "it is released" alive

order contain beacon.service
check "held" held
id=$(hold_id)
run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service
check "an agent that is stopped leaves all in force" held
agent_start
status
is "and finds it so when it starts" "$(holds .state)" contained
run systemctl restart freezed.service
box_until 60 core_is_up
check "an agent that is restarted leaves all in force" held
check "an upgrade installs" box_install host "$B"
check "and leaves all in force" held
run systemctl restart freezed.service freezed-gate.service
box_until 60 core_is_up
check "and so does the new agent" held
status
is "which says so" "$(holds .state) $(holds .id)" "contained $id"
release
check "and still lets go when two people say so" alive

# --- the evidence is interrupted
unit many.service "/bin/sh -c 'n=0; while [ \$n -lt 200 ]; do sleep 1000 & n=\$((n + 1)); done; wait'"
are_many() { [ "$(wc -l <"$(cgroup_of many.service)/cgroup.procs")" -ge 200 ]; }
box_until 60 are_many
core_cgroup=$(box_cgroup host)/freezed.slice/freezed.service
# The collector, once it has preserved something of that incident. It is stopped, so that what comes next is in the middle of its work.
catch() {
        [ "$(find "$(box_root host)$STATE/evidence/$1" -type f 2>/dev/null | wc -l)" -ge 3 ] || return
        local pid
        COLLECTOR=
        for pid in $(cat "$core_cgroup/cgroup.procs"); do
                if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = freezed-collect ]; then
                        kill -STOP "$pid"
                        COLLECTOR=$pid
                        return 0
                fi
        done
        return 1
}
interrupted() {
        run freezectl contain many.service --incident "$1" --reason test --key /root/alice --yes --json >"$(box_dir host)/answer" 2>&1 &
        local ctl=$! end=$((SECONDS + 60))
        until catch "$1"; do [ $SECONDS -lt $end ] || return; done
        eval "$2"
        wait "$ctl"
        RECEIPT=$(jq -R -c 'fromjson? | select(.receipt) | .receipt' "$(box_dir host)/answer" | tail -n 1)
}
many_held() { frozen many.service && is_isolated many.service; }
folder_of() { run sh -c 'ls -d /var/lib/freezed/evidence/'"$1"'/*'; }
interrupted SA-20261120-001 'kill -KILL $COLLECTOR'
check "the collector was caught at work" test -n "$COLLECTOR"
is "killed, it leaves the hold contained" "$(state)" contained
check "in the kernel as well" many_held
printf '# %s\n' "$(told '.evidence | tostring')"
like "and the receipt says how far it came" "$(told .evidence.state) $(told .flags)" '^(cut-short|failed).*evidence-(holes|failed)'
folder=$(folder_of SA-20261120-001)
# Every file that is there is whole: it is what the list says. Without a manifest it is the list that the host has signed.
is_whole() { box_sh host 'cd "$1" && [ -s public.jsonl ] && jq -R -r "fromjson? | \"\(.sha256)  \(.file)\"" public.jsonl | sha256sum --quiet -c' "$1"; }
signed_subject() { box_sh host 'cd "$1" && jq -r .payload evidence.dsse.json | base64 -d | jq -r ".subject[0].digest.sha256"' "$1"; }
check "all that it has got is whole" is_whole "$folder"
is "and the host has signed the list of it" "$(signed_subject "$folder")" "$(box_sh host 'sha256sum <"$1/tagmanifest-sha256.txt" | cut -d " " -f 1' "$folder")"
check "with what is in it" box_sh host 'cd "$1" && sha256sum --quiet -c tagmanifest-sha256.txt && grep -q public.jsonl tagmanifest-sha256.txt' "$folder"
release "$(hold_id)"
refute "released" many_held
pid=$(main_pid)
interrupted SA-20261120-002 'run kill -KILL $pid; kill -CONT $COLLECTOR'
box_until 60 core_is_up
refute "the core is a new one" test "$(main_pid)" = "$pid"
check "killed in the middle of the evidence, it leaves the hold in force" many_held
status
is "and says so" "$(holds .state)" contained
first=$(box_sh host 'ls -d /var/lib/freezed/evidence/SA-20261120-002/* | head -n 1')
check "all that was preserved until then is whole" is_whole "$first"
sealed_again() { status; [ "$(holds '.receipt.evidence.state')" = complete ] && [ "$(holds '.receipt.final')" = true ]; }
check "the new core takes the evidence again, beside it, and says so in the order's last receipt" box_until 60 sealed_again
is "in a folder of its own" "$(holds .receipt.evidence.folder)" "$first.2"
check "which is complete" box_sh host 'cd "$(ls -td /var/lib/freezed/evidence/SA-20261120-002/* | head -n 1)" && sha256sum --quiet -c manifest-sha256.txt tagmanifest-sha256.txt &&
        openssl pkeyutl -verify -pubin -inkey /var/lib/freezed/host_key.pem -rawin -in tagmanifest-sha256.txt -sigfile tagmanifest-sha256.txt.sig'
gone() { [ ! -d "/proc/$COLLECTOR" ]; }
check "the first collector is gone" box_until 60 gone
release "$(hold_id)"
refute "and it is released by two people" many_held
check "with nothing left" nothing_left
pid=$(main_pid)
interrupted SA-20261120-003 'id=$(hold_id); release "$id"; run kill -KILL $pid; kill -CONT $COLLECTOR'
box_until 60 core_is_up
refute "released and killed in the middle of the evidence, the core is a new one" test "$(main_pid)" = "$pid"
status "$id"
is "the order has its last receipt" "$(jq -r '.ended | "\(.verb) \(.state) \(.final)"' <<<"$REPORT")" "contain released true"
like "which says that there is no evidence, and where the beginning of it is" "$(jq -r '.ended | "\(.flags | join(" ")) \(.evidence.state) \(.evidence.folder)"' <<<"$REPORT")" "evidence-failed.* failed $STATE/evidence/SA-20261120-003/$id\$"
run systemctl stop many.service

# --- the ledger on a disk that is full
agent_stop
run cp -a $STATE /root/kept
run mount -t tmpfs -o size=12m,mode=0700 tmpfs $STATE
run cp -a /root/kept/host_key /root/kept/host_key.pem /root/kept/host_key.pub $STATE
agent_start
run sh -c "cat /dev/zero >$STATE/full 2>/dev/null"
refute "the disk is full" run sh -c "echo x >$STATE/more"
order contain beacon.service
is "on a full disk an order is carried out" "$(state)" contained
check "and it is so" held
check "and recorded: there is no flag" unflagged ledger-failed
like "only the evidence has no room" "$(told .flags)" 'evidence-(failed|holes)'
release
is "a release is recorded too" "$(state)" released
check "and done" alive
agent_stop
on_disk fill 10000
agent_start
order isolate beacon.service
check "the last room is used" unflagged ledger-failed
id=$(told .id)
# until not even an order fits, which is smaller than its outcome
for _ in 1 2 3 4 5 6 7 8; do
        order freeze beacon.service
done
check "when no record fits any more, a stop says so" flagged ledger-failed
check "and acts" held
unwritten=$(told .id)
# the members of a record are in the order of their names
is_recorded() { run sh -c "cat $STATE/ledger/*.log" | grep -qaE "\"id\":\"$unwritten\"[^{}]*\"kind\":\"order\""; }
refute "the ledger does not tell of it" is_recorded
release "$id"
check "nothing is released" refused ledger-failed
check "in the kernel neither" held
run rm $STATE/full
run mount -o remount,size=64m $STATE
check "with room on the disk it is recorded, though nobody asks for it" box_until 60 is_recorded
pid=$(main_pid)
run kill -KILL "$pid"
box_until 60 core_is_up
refute "the core is a new one" test "$(main_pid)" = "$pid"
status
is "which knows that hold by its ledger" "$(jq -r ".holds[] | select(.id == \"$unwritten\") | .state" <<<"$REPORT")" contained
check "and holds it" held
has_room() { [ "$(health .ledger.room)" -gt 1000000 ]; }
box_until 60 has_room
release
is "with room on the disk, two people release" "$(state)" released
check "and all is as before" alive

# --- read-only
order contain beacon.service
id=$(told .id)
agent_stop
run mount -o remount,ro $STATE
agent_start
status
is "a ledger on a read-only disk is read: what it tells of is known" "$(jq -r ".holds[] | select(.id == \"$id\") | .state" <<<"$REPORT")" contained
release "$id"
check "and not released" refused ledger-failed
agent_stop
run mount -o remount,rw $STATE
agent_start
release "$id"
check "until it can be written" alive
agent_stop
run mount -o remount,ro $STATE
agent_start
is "on a read-only disk health says that the ledger is not in order" "$(health .ledger.ok)" false
run freezectl contain beacon.service --incident "$INCIDENT" --reason test --key /root/alice --yes --out /root/once.json >/dev/null
carry /root/once.json
is "a stop is carried out" "$(state)" contained
check "and it is so" held
check "and says that nobody could write it down" flagged ledger-failed
carry /root/once.json
is "sent again it is known, and nothing more is waited for" "$(told '"\(.state) \(.final) \(has("receipt"))"') $EXIT" "duplicate true false 4"
check "since nobody could write down what came of it" flagged ledger-failed
release
check "nothing is released" refused ledger-failed
check "in the kernel neither" held
agent_stop
run mount -o remount,rw $STATE
agent_start
id=$(run ls /sys/fs/bpf/freezed | grep -xE '[0-9a-f]{32}')
release "$id"
check "writable again, two people release it by its id" alive
check "with nothing left" nothing_left
agent_stop
run umount $STATE
run rm -r /root/kept
# systemd still believes that the agent's state is a mount
run systemctl daemon-reload
agent_start

# --- a ledger that was changed, and one that is lost
order contain beacon.service
id=$(told .id)
agent_stop
on_disk flip 3
agent_start
is "a bit that changed in an old record is noticed" "$(health .ledger.ok)" false
check "what was held is held" held
order freeze beacon.service
is "a stop is carried out" "$(state)" contained
check "and flagged" flagged ledger-failed
release "$id"
check "nothing is released" refused ledger-failed
check "in the kernel neither" held
agent_stop
on_disk flip 3
agent_start
is "with the bit as it was the ledger verifies" "$(health .ledger.ok)" true
status
is "and the hold is known" "$(jq -r ".holds[] | select(.id == \"$id\") | .state" <<<"$REPORT")" contained
# what was ordered meanwhile is in no ledger, and is listed all the same
# shellcheck disable=SC2046
release $(jq -r '.holds[].id' <<<"$REPORT")
check "two people release it, and what was ordered in the meantime" alive
check "with nothing left" nothing_left

order contain beacon.service
id=$(told .id)
agent_stop
run rm -r $STATE/ledger
agent_start
check "without the ledger all that was held is held" held
status
is "status has found it, and does not call it contained" "$(holds '[.id, .state] + .reasons')" "$id partial unknown-hold"
is "and exits with 4" "$EXIT" 4
order release "$id"
check "one person does not release it" refused threshold
check "in the kernel neither" held
release "$id"
is "two people release it by its id" "$(state)" released
check "and it goes on" alive
check "with nothing left" nothing_left
status
is "and nothing is listed" "$(jq '.holds | length' <<<"$REPORT")" 0

# --- who may come near
mode() { run stat -c '%a %U %G' "$1"; }
is "commands come from root and the group freeze" "$(mode /run/freezed/command.sock)" "660 root freeze"
is "frames come from the gate" "$(mode /run/freezed/core.sock)" "600 freezed-gate freezed-gate"
is "the state is root's" "$(mode $STATE) / $(mode $STATE/ledger/00000001.log) / $(mode $STATE/evidence)" "700 root root / 600 root root / 700 root root"
try() { run setpriv --reuid nobody --regid nogroup --groups "$1" freezectl status --json --hosts-file /etc/freezed/hosts | jq -R -c 'fromjson? | select(.summary) | .summary.exit'; }
gid=$(run getent group freeze | cut -d : -f 3)
is "a member of the group is answered" "$(try "$gid")" 0
is "somebody else is not" "$(try 65534 2>/dev/null)" 1

done_testing
