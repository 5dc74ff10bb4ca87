#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 050-core.sh B: what the core does where two things meet: a lease that ends while somebody asks, a release of what another hold keeps,
# a start after something was undone behind its back, and answers that are larger than an envelope.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 050-core.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

run() { box_run core "$@"; }
starts() { local name; for name in "$@"; do run systemd-run -q --unit="$name" sleep infinity || return; done; }
said() { jq -r "$1" <<<"$SAID"; }
# ask ARG...: freezectl; $SAID is its objects as one: {"receipt" or "report","refused","summary"}
ask() { SAID=$(run freezectl "$@" --json 2>/dev/null </dev/null | jq -cs 'add // {}'); }
# order VERB ARG...: signed by each of $AS
order() {
        local who keys=()
        for who in ${AS:-alice}; do keys+=(--key "/root/$who"); done
        ask "$@" "${keys[@]}" --severity P0 --reason test --yes
}
release() { AS='alice bob' order release "$@"; }
state() { said 'if .receipt.state == "refused" then .receipt.reasons[0] else .receipt.state // .refused // "silent" end'; }
holds() { ask status; said '.report.holds | length'; }
hold_of() { ask status; said ".report.holds[] | select(any(.targets[]; .target == \"$1\")) | .id"; }
is_frozen() { grep -q '^frozen 1' "$(box_cgroup core)/$1/cgroup.events"; }
in_force() { is_frozen "system.slice/$1"; }
is_over() { ! in_force "$1"; }
pins() { run find /sys/fs/bpf/freezed -printf '%p %i\n' | sort; }
agent_is_up() { run freezectl health --timeout 5s --json 2>/dev/null | grep -q '"report":'; }

{ box_create core && box_install core "$B" && box_boot core && box_net core; } >/dev/null 2>&1 || exit
run sh -c 'cd /root && for n in alice bob robot; do ssh-keygen -q -t ed25519 -N "" -C "$n" -f "$n" || exit 1; done
        freezectl trust init --fleet test --responder alice=alice.pub --responder bob=bob.pub --automation robot=robot.pub \
                --recipient '"$AGE_RECIPIENT"' --key alice --key bob --out trust.json && freezectl enroll trust.json' >/dev/null || exit
box_until 60 agent_is_up

# A policy that cannot be read is not quietly another one.
is 'the host is in order' "$(run freezectl health --json | jq -rs '"\(.[0].report.policy.state) \(.[-1].summary.exit)"')" 'file 0'
run sh -c 'cp /etc/freezed/policy.json /root/policy.json && echo "{\"v\":1,\"protekted\":[]}" >/etc/freezed/policy.json && systemctl reload freezed'
box_until 60 eval 'run freezectl health --json | grep -q broken'
is 'a policy file that cannot be taken makes it unhealthy' "$(run freezectl health --json | jq -rs '"\(.[0].report.policy.state) \(.[-1].summary.exit)"')" 'broken 1'
order contain ssh.service
is 'and what it protected is protected still' "$(state)" protected
run sh -c 'cp /root/policy.json /etc/freezed/policy.json && systemctl reload freezed'
box_until 60 eval 'run freezectl health --json | grep -q "\"file\""'

# Leases that end while the core is asked something all the time.
starts asked-{1,2,3}.service
for n in 1 2 3; do AS=robot order contain "asked-$n.service" --lease "${n}s" >/dev/null; done
end=$(($(date +%s) + 13))
while [ "$(holds)" != 0 ] && [ "$(date +%s)" -lt "$end" ]; do :; done
check 'leases end in time although the core is asked for its status all the while' eval 'is_over asked-1.service && is_over asked-2.service && is_over asked-3.service'

# Answers that are larger than an envelope: many targets, and a service of many processes.
run sh -c 'cat >/root/many' <<'EOF'
#!/bin/sh
mkdir /sys/fs/cgroup/system.slice/many.service/all
echo $$ >/sys/fs/cgroup/system.slice/many.service/all/cgroup.procs
for n in $(seq 250); do
        mkdir "/sys/fs/cgroup/system.slice/many.service/cell-$n"
        sleep infinity &
        echo $! >"/sys/fs/cgroup/system.slice/many.service/cell-$n/cgroup.procs"
done
touch /run/many
wait
EOF
run systemd-run -q --unit=many.service -p Delegate=yes -p TasksMax=infinity sh /root/many
box_until 60 run test -e /run/many
cells=() && for n in $(seq 250); do cells+=("cgroup:/system.slice/many.service/cell-$n"); done
gate=$(run systemctl show -P MainPID freezed-gate.service)
order contain "${cells[@]}" --timeout 60s
is 'an order for 250 targets is answered' "$(state)" contained
is 'its receipt names all of them' "$(said '.receipt.targets | map(.target) | unique | length')" 250
is 'its receipt says of each that it is frozen' "$(said '[.receipt.targets[] | select(.frozen)] | length')" 250
is 'its receipt says that it is shortened' "$(said .receipt.shortened)" true
many=$(said .receipt.id)
frozen=0 && for n in $(seq 250); do is_frozen "system.slice/many.service/cell-$n" && frozen=$((frozen + 1)); done
is 'all of them are frozen' "$frozen" 250
ask status
is 'their status is answered' "$(said '.report.holds[0].targets | length')" 250
release "$many"
is 'their release is answered' "$(state)" released
order plan contain "${cells[@]}" --timeout 60s
is 'a plan for them is answered' "$(said '.receipt.targets | map(select(.processes_total == 1)) | length')" 250
is 'the gate has kept its connection' "$(run systemctl show -P MainPID freezed-gate.service)" "$gate"
run systemctl kill -s KILL many.service
run systemd-run -q --unit=crowd.service -p TasksMax=infinity sh -c 'for n in $(seq 400); do sleep infinity & done; wait'
box_until 60 run sh -c '[ "$(wc -l </sys/fs/cgroup/system.slice/crowd.service/cgroup.procs)" -gt 400 ]'
order contain crowd.service
is 'of a service of many processes some are listed and all are counted' "$(said '.receipt.targets[0] | "\(.pids | length) \(.pids_total)"')" '128 401'
release "$(said .receipt.id)"

# Many targets within a slice that is held too: none of them thaws, and nobody waits for it.
for n in $(seq 8); do run systemd-run -q --slice=nest.slice --unit="nest-$n" sleep infinity; done
order freeze nest-{1,2,3,4,5,6,7,8}.service >/dev/null
inner=$(said .receipt.id)
order freeze slice:nest.slice >/dev/null
outer=$(said .receipt.id)
before=$(date +%s%N)
release "$inner"
took=$((($(date +%s%N) - before) / 1000000))
is 'what a held slice keeps frozen is released' "$(state)" released
like 'the receipt says that another hold keeps it' "$(said '.receipt.flags | join(" ")')" held-by-other
check 'the slice is still frozen' is_frozen nest.slice
check "eight of them do not take eight times the patience for one ($took ms)" [ "$took" -lt 2000 ]
order freeze nest-1.service >/dev/null
inner=$(said .receipt.id)
release "$outer"
check 'a unit that another hold keeps stays frozen when its slice is released' is_frozen nest.slice/nest-1.service
release "$inner"
refute 'the slice is let go of after that' is_frozen nest.slice
refute 'and what is in it runs' is_frozen nest.slice/nest-1.service

# A hold that ends while its evidence is collected.
run sh -c 'printf "#!/bin/sh\nsleep 5; while test -e /run/slow; do sleep 1; done\n" >/usr/local/bin/slow && chmod 755 /usr/local/bin/slow
        mkdir -p /run/systemd/system/freezed.service.d
        printf "[Service]\nExecStart=\nExecStart=/usr/sbin/freezed --collector /usr/local/bin/slow\n" >/run/systemd/system/freezed.service.d/slow.conf
        systemctl daemon-reload && systemctl restart freezed.service'
box_until 60 agent_is_up
starts brief.service let.service
AS=robot order contain brief.service --lease 1s --timeout 20s
brief=$(said .receipt.id)
is 'the last receipt of a lease that ended meanwhile tells of the lapse' "$(state)" lapsed
is 'and of the evidence' "$(said '.receipt.evidence.state')" failed
ask status "$brief"
is 'a later question gets the same' "$(said '.report.ended | "\(.state) \(.evidence.state)"')" 'lapsed failed'
order contain let.service --timeout 20s &
box_until 60 in_force let.service
(release "$(hold_of unit:let.service)")
wait $!
sleep 6
refute 'a release while evidence is collected is one' in_force let.service
# Whoever sends an order once more while it is being carried out.
starts twice.service
run freezectl contain twice.service --severity P0 --reason test --yes --key /root/alice --out /root/twice.json >/dev/null
run freezectl send /root/twice.json >/dev/null 2>&1 &
box_until 60 in_force twice.service
ask send /root/twice.json --timeout 20s
is 'who sends an order again while evidence is collected hears how it ends' "$(said '.receipt | "\(.state) \(.final) \(.receipt.state) \(.receipt.evidence.state)"')" 'duplicate true contained failed'
wait $!
# The clients go away, and what they asked for goes on.
run sh -c 'touch /run/slow
        for n in $(seq 16); do
                freezectl snapshot let.service --severity P0 --reason test --yes --key /root/alice --timeout 5s >/dev/null 2>&1 &
        done; wait'
order snapshot let.service
is 'of seventeen snapshots at once one is not begun, and says so' "$(said '.receipt | "\(.evidence) \(.flags | map(select(. == "evidence-failed")) | length)"')" 'null 1'
is 'a snapshot that was not taken is no snapshot' "$(state)" failed
refute 'and the command says so to a script' run freezectl snapshot let.service --severity P0 --reason test --yes --key /root/alice --timeout 60s
run rm /run/slow
has_room() { order snapshot let.service --timeout 20s && [ "$(said .receipt.evidence.state)" = failed ]; }
check 'there is room for others after that' box_until 60 has_room
run rm -r /run/systemd/system/freezed.service.d
run systemctl daemon-reload

# What two holds keep frozen together does not start after a reboot before both are released.
run sh -c 'printf "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n" >/etc/systemd/system/shared.service
        systemctl daemon-reload && systemctl enable -q --now shared.service'
order freeze shared.service >/dev/null
first=$(said .receipt.id)
order freeze shared.service >/dev/null
second=$(said .receipt.id)
check 'two holds of one unit are in force' in_force shared.service
box_crash core && box_boot core
box_until 60 agent_is_up
refute 'after a reboot neither lets it start' run systemctl start shared.service
release "$first"
refute 'nor does one of them when the other is released' run systemctl start shared.service
release "$second"
check 'when both are, it starts' run systemctl start shared.service
check 'and nothing holds it' is_over shared.service

# Whoever broke into the gate: frames that only the core sends, and noise.
run systemctl stop freezed-gate.socket freezed-gate.service
run sh -c 'cat >/root/liar.py' <<'EOF'
import socket, struct
def say(kind, payload=b"", n_sigs=0, type=0):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect("/run/freezed/core.sock")
    s.settimeout(30)
    s.recv(1 << 20)
    s.send(b"FRZ1" + bytes([kind, type, n_sigs, 0]) + struct.pack(">II", 7, len(payload)) + bytes(96 * n_sigs) + payload)
    answer = s.recv(1 << 20)
    return "ended" if not answer else "kind %d" % answer[4]
print("keys:", say(3, bytes(64)), "reply:", say(4, b"x"), "refusal:", say(5, b"\x01"))
print("unsigned:", say(0, b"{}"), "of another type:", say(0, b"{}", 1, 2), "eight nobodies:", say(0, bytes(32768), 8))
EOF
restarts=$(run systemctl show -P NRestarts freezed.service)
is 'frames that only the core sends end the connection; what nobody signed is answered' "$(run python3 /root/liar.py 2>&1)" \
        'keys: ended reply: ended refusal: ended
unsigned: kind 4 of another type: kind 4 eight nobodies: kind 4'
is 'the core lives on' "$(run systemctl show -P NRestarts freezed.service)" "$restarts"
run systemctl start freezed-gate.socket
check 'and serves the next gate' box_until 60 agent_is_up

# A core whose disk hangs is killed and cannot die: it waits in the kernel, and has the ledger for as long as it does.
main_pid() { run systemctl show -P MainPID freezed.service; }
ledger_is() { [ "$(run freezectl health --timeout 5s --json 2>/dev/null | jq -r 'select(.report) | .report.ledger.ok')" = "$1" ]; }
orphans() { jq -r '.report.holds[] | select(.state == "partial") | .id' <<<"$SAID" | sort; }
disk=$(box_dir core)/disk
truncate -s 256M "$disk" && mkfs.ext4 -q "$disk" && loop=$(losetup --find --show "$disk") || exit
# a box whose disk waits cannot be removed
box_at_exit 'fsfreeze --unfreeze "$(box_live core)/var/lib/freezed" 2>/dev/null; losetup --detach "$loop"'
starts slow.service stuck.service meanwhile.service
AS=robot order contain slow.service --lease 10m >/dev/null
slow=$(said .receipt.id)
run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service
run sh -c 'mknod /dev/disk b '"$(stat -c '%Hr %Lr' "$loop")"' && mkdir /run/disk && mount /dev/disk /run/disk && cp -a /var/lib/freezed/. /run/disk/ && umount /run/disk &&
        chmod 700 /var/lib/freezed && mount /dev/disk /var/lib/freezed && chmod 700 /var/lib/freezed && mkdir -p /run/systemd/system/freezed.service.d &&
        printf "[Service]\nWatchdogSec=8\nTimeoutStopSec=2\n" >/run/systemd/system/freezed.service.d/soon.conf && systemctl daemon-reload'
run systemctl start freezed-core.socket freezed-gate.socket freezed.service
box_until 60 ledger_is true
stuck=$(main_pid)
before=$(pins)
run fsfreeze --freeze /var/lib/freezed
run freezectl isolate stuck.service --severity P0 --reason test --yes --key /root/alice --timeout 5s >/dev/null 2>&1
another_serves() { [ "$(main_pid)" != "$stuck" ] && ledger_is false; }
check 'while a disk hangs, and the core with it, another one serves' box_until 120 another_serves
like 'the first is killed and has not ended' "$(run sh -c "grep -E '^(State|ShdPnd)' /proc/$stuck/status" | tr '\n' ' ')" '^State:.D .*ShdPnd:.*[13579bdf][0-9a-f]{2} $'
serving=$(main_pid)
is 'nothing of what it held is let go of' "$(comm -23 <(cut -d' ' -f1 <<<"$before" | grep -E '/[0-9a-f]{32}' | sort) <(pins | cut -d' ' -f1 | sort))" ""
check 'and it is in force' in_force slow.service
order contain meanwhile.service
like 'what has to stop is stopped, which says that it is not recorded' "$(said '.receipt | "\(.state) \(.flags)"')" '^contained .*ledger-failed'
check 'it is' in_force meanwhile.service
meanwhile=$(said .receipt.id)
release "$slow"
is 'nothing is released, and nobody signs that it is not' "$(state)" machine-failed
check 'in the kernel neither' in_force slow.service
ask status
check 'what it held is listed' eval '[[ "$(orphans)" == *"$slow"* ]]'
ask health
is 'of evidence nobody says that there is none' "$(said '.report.evidence.kept')" null
WORD=$(run timeout 60 /usr/sbin/freezed 2>&1)
is 'no core runs beside this one either' $? 1
like 'which has no ledger' "$WORD" 'ledger: another core has it'
is 'it did not wait for the disk itself' "$(main_pid)" "$serving"
run fsfreeze --unfreeze /var/lib/freezed
check 'when the disk answers, the first one ends, and a core takes up the ledger' box_until 60 ledger_is true
refute 'the first one is gone' run test -e "/proc/$stuck"
ask status
is 'what was held is known as before' "$(said ".report.holds[] | select(.id == \"$slow\") | .state")" contained
check 'and what was ordered meanwhile is found' eval '[[ "$(orphans)" == *"$meanwhile"* ]]'
release "$meanwhile"
refute 'and released by its id' in_force meanwhile.service
check 'not so what was held' in_force slow.service
run sh -c 'rm -r /run/systemd/system/freezed.service.d && systemctl daemon-reload'
# what the disk took of the last order, or not, was carried out
stuck=$(hold_of unit:stuck.service)
[ -z "$stuck" ] || release "$stuck"
release "$slow"
run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service
run sh -c 'cp -a /var/lib/freezed /run/state && umount /var/lib/freezed && rm -r /var/lib/freezed/* && cp -a /run/state/. /var/lib/freezed/ && systemctl daemon-reload'
run systemctl start freezed-core.socket freezed-gate.socket freezed.service
box_until 60 ledger_is true

# A ledger that is damaged where it tells of a release.
starts kept.service gone.service next.service
AS=robot order contain kept.service --lease 10m >/dev/null
kept=$(said .receipt.id)
order freeze gone.service >/dev/null
gone=$(said .receipt.id)
release "$gone"

# A second core, as somebody starts it by hand.
before=$(pins)
WORD=$(run timeout 60 /usr/sbin/freezed 2>&1)
is 'no core runs beside another' $? 1
like 'it says why' "$WORD" 'ledger: another core has it'
is 'and has touched nothing that is pinned' "$(pins)" "$before"
ask health
is 'the first one is in order' "$(said .report.ledger.ok)" true
check 'and holds what it held' in_force kept.service

run systemctl stop freezed-gate.socket freezed-gate.service freezed.service
ledger=$(box_root core)/var/lib/freezed/ledger/00000001.log
at=$(grep -abo '"verb":"release"' "$ledger" | tail -n 1 | cut -d: -f1)
printf X | dd of="$ledger" bs=1 seek="$at" conv=notrunc status=none
run systemctl start freezed.service freezed-gate.socket
box_until 60 agent_is_up
refute 'what was released is not taken again because the ledger cannot tell of it any more' in_force gone.service
check 'what is held stays held' in_force kept.service
ask status
is 'status tells what is recorded from what is so' "$(said ".report.holds[] | select(.id == \"$gone\") | \"\(.recorded) \(.state)\"")" 'contained failed'
release "$kept"
is 'nothing is released' "$(state)" ledger-failed
order extend "$kept" --lease 1h
is 'a hold can be made longer, which says that the ledger failed' "$(state) $(said '.receipt.flags | map(select(. == "ledger-failed")) | length')" 'extended 1'
order contain next.service
like 'what has to stop is stopped, which says so too' "$(said '.receipt | "\(.state) \(.flags)"')" '^contained .*ledger-failed'
check 'it is' in_force next.service

done_testing
