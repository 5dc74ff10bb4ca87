#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Holds over power cuts and reboots: what the VM's cable carries from the moment it is switched on is the judge. bpffs is memory, so all
# that was in force is gone then; what holds is what is on disk. Beside each service that is held there is a twin that is not, and that is
# heard after every boot.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/vm_orders.sh
. tests/lib/vm_orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

B=$1
CUTS=2 # power cuts while an order is carried out
vm_or_skip "holds over a power cut and a reboot"

# what is held sends to ports of its own, so that also a packet without its mark is known for its
HELD_PORT=7010 TWIN_PORT=7000
HELD=(plain early called timed isolated frozen leased)
TWINS=(twin-plain twin-called twin-timed)
declare -A HOLD=()

# sender NAME [LINE...]: a service that sends its mark; LINE go into its [Service] and what follows it
sender() {
        local name=$1 port=$HELD_PORT
        shift
        case $name in twin-*) port=$TWIN_PORT ;; esac
        vm_unit "$name.service" '[Service]' "Environment=PORT=$port" "ExecStart=/usr/local/bin/vm_spam mark-$name" CapabilityBoundingSet= "$@"
}
AT_BOOT=('[Install]' WantedBy=multi-user.target)
vm_orders_create "$B" || exit
vm_listen host socat -u "UDP4-RECV:$HELD_PORT" OPEN:/dev/null
vm_listen host socat -u "TCP4-LISTEN:$((HELD_PORT + 1)),fork,reuseaddr" OPEN:/dev/null
for name in plain isolated frozen leased twin-plain; do sender "$name" "${AT_BOOT[@]}"; done
# as early as a service can be, and with frames and a network configuration of its own
vm_unit early.service '[Unit]' DefaultDependencies=no '[Service]' "Environment=PORT=$HELD_PORT" \
        'ExecStart=/usr/local/bin/vm_spam mark-early host0' '[Install]' WantedBy=sysinit.target
for name in called twin-called; do
        sender "$name"
        vm_unit "$name.socket" '[Socket]' "ListenStream=$([ "$name" = called ] && echo 7020 || echo 7021)" '[Install]' WantedBy=sockets.target
done
for name in timed twin-timed; do
        sender "$name"
        vm_unit "$name.timer" '[Timer]' OnBootSec=1 AccuracySec=1ms '[Install]' WantedBy=timers.target
done
# what is in the kernel before anything of ours has run
vm_unit peek.service '[Unit]' DefaultDependencies=no Before=freezed-core.socket freezed.service RequiresMountsFor=/sys/fs/bpf '[Service]' \
        Type=oneshot 'ExecStart=/bin/sh -c "exec >/run/peek; stat -fc %%T /sys/fs/bpf; find /sys/fs/bpf -mindepth 1; \
                bpftool prog show | grep -e isolate_ -e host_ -e guard_ -e watch_ || :"' '[Install]' WantedBy=sysinit.target
# when it is asked to, gives the cgroup id of before to somebody who has nothing to do with it
vm_put host tests/lib/vm_same_id.py /usr/local/sbin/same_id 0755
vm_unit same.service '[Unit]' DefaultDependencies=no ConditionPathExists=/etc/same_id Before=freezed.service '[Service]' Type=oneshot \
        'ExecStart=/bin/sh -c "exec /usr/local/sbin/same_id $$(cat /etc/same_id)"' '[Install]' WantedBy=sysinit.target
# what the test itself runs in the VM is not to be frozen with the host
jq '.protected += ["vm-run", "vm-shell.service"]' policy/default-policy.json >"$(vm_root host)/etc/freezed/policy.json" || exit
vm_orders_boot || exit

run() { vm_run host "$@" </dev/null; }
# every packet that what is held has to do with, from either side, and the frames of its own
packets_of_held() { vm_packets host | grep -E "\\.[12]:($HELD_PORT|$((HELD_PORT + 1))) | 88b5 "; }
is_seen() { packets_of_held | grep -q "$1"; }
was_heard() { [ "$(vm_heard "$1")" -gt 0 ]; }
# somebody comes to the sockets
call() { vm_outside host timeout 60 bash -c 'for port in 7020 7021; do exec {fd}<>/dev/tcp/10.77.0.2/$port; done' 2>/dev/null; }
# the files that keep held units from being started
fences() { run find /etc/systemd/system /run/systemd/system -name '*freezed-hold*'; }
units() { printf '%s.service\n' "$@"; }

# keep NAME...: what the last order is good for
keep() {
        local name
        for name in "$@"; do HOLD[$name]=$ID; done
}

# What is true after each boot while they are held.
after_boot() {
        local how=$1 name
        call
        for name in "${TWINS[@]}"; do check "$how: $name is heard" vm_hears "mark-$name"; done
        is "$how: neither a pin nor a program was there before anything of ours ran" "$(run cat /run/peek)" bpf_fs
        vm_status
        for name in "${HELD[@]}"; do
                like "$how: status says that nobody of $name is there, and that nobody comes" \
                        "$(vm_hold "${HOLD[$name]}" '[.state] + .reasons + [.targets[].fence]')" '^partial not-running stands( stands)*$'
        done
        is "$how: the ledger's epoch is begun by the host's key, and says that it is for the boot" \
                "$(run sh -c 'grep -aho "\"why\":\"[a-z]*\"" /var/lib/freezed/ledger/*.log' | grep -v evidence | tail -n 1)" '"why":"boot"'
        # shellcheck disable=SC2046
        is "$how: none of them has been started" "$(run systemctl is-active $(units "${HELD[@]}") | sort -u)" inactive
}

# silent_boot HOW: that boot is over, and from power on to power off there was nothing
silent_boot() {
        is "$1: not one packet of what is held was on the cable, from power on to the end" "$(packets_of_held | head -n 3)" ""
        is "$1: nor the mark of any, on any packet" "$(for name in "${HELD[@]}"; do vm_heard "mark-$name"; done | sort -u)" 0
}

# --- services ----------------------------------------------------------------------------------------------------------------------------

call
for name in "${HELD[@]}" "${TWINS[@]}"; do check "$name is heard while nothing is held" vm_hears "mark-$name"; done
for what in udp 'tcp .* S 0' 88b5; do
        check "its packets are seen on the cable: $what" box_until 60 is_seen " $what"
done
# ids are given out one after the other: one that is not given to anybody at boot before it is asked for
vm_sh host 'cd /sys/fs/cgroup && python3 -c "import os; [(os.mkdir(\"x\"), os.rmdir(\"x\")) for i in range(200)]" && systemctl restart plain.service' </dev/null || exit
id=$(run stat -c %i /sys/fs/cgroup/system.slice/plain.service)
order alice contain plain.service early.service called.service
is "services are contained: one that is started at boot, one before all others, and one by a socket, which is not its own" \
        "$ANSWER" "partial foreign-socket"
keep plain early called
order robot contain leased.service --lease 10m
like "one is contained until its lease ends" "$ANSWER" '^contained( |$)'
keep leased
order_file alice /root/isolate.json isolate isolated.service
start=${EPOCHREALTIME/./}
order_send /root/isolate.json
order_ms=$(((${EPOCHREALTIME/./} - start) / 1000))
like "one is isolated and runs on" "$ANSWER" '^contained( |$)'
keep isolated
records=$(run freezectl health --json | jq -r 'select(.report) | .report.ledger.n')
run sync # those are at rest now; this one is not
order alice freeze frozen.service timed.service
vm_cut host
like "two are frozen, one of them by a timer's making" "$ANSWER" '^contained( |$)'
keep frozen timed

vm_boot host || exit
after_boot "after a power cut"
is "the ledger is whole" "$(run freezectl health --json |
        jq -r --argjson n "$records" 'select(.report) | .report.ledger | .ok and .n > $n')" true
left=$(vm_hold "${HOLD[leased]}" .lease_left_ms)
if [ "${left:-0}" -gt 0 ] && [ "$left" -lt 600000 ]; then ok "the lease goes on"; else not_ok "the lease goes on" "$left"; fi
order_send /root/isolate.json
is "an order that was carried out before is not carried out again" "$ID $ANSWER" "${HOLD[isolated]} duplicate"
vm_sh host 'echo "$1" >/etc/same_id' "$id" </dev/null
run systemctl reboot --no-block
vm_down host || exit
silent_boot "after a power cut"

vm_boot host || exit
after_boot "after a reboot"
is "somebody has the cgroup id that was held before the boots" "$(run stat -c %i /sys/fs/cgroup/same)" "$id"
forks() { run grep -q . /sys/fs/cgroup/same/cgroup.procs && run grep -qx 'frozen 0' /sys/fs/cgroup/same/cgroup.events; }
check "and is neither frozen nor taken away" forks
is "nor is anybody where it was held" "$(run find /sys/fs/cgroup -name plain.service)" ""
vm_sh host 'rm /etc/same_id; echo 1 >/sys/fs/cgroup/same/cgroup.kill' </dev/null
silent_boot "after a reboot"
# shellcheck disable=SC2046
order alice,bob release $(printf '%s\n' "${HOLD[@]}" | sort -u)
like "two people release them all" "$ANSWER" '^released( |$)'
# shellcheck disable=SC2046
run systemctl start $(units "${HELD[@]}")
for name in "${HELD[@]}"; do check "$name is heard again" vm_hears "mark-$name"; done
is "nothing is left that keeps a unit from starting" "$(fences)" ""

# --- the host ----------------------------------------------------------------------------------------------------------------------------

# what the VM has sent that is neither the management path nor what makes a link work
strays() {
        vm_packets host | grep -vE '^[0-9.]+ (arp |[a-z0-9]+ (10\.77\.0\.1|\[fd77::1\])[: ]|tcp (10\.77\.0\.2|\[fd77::2\]):22 |udp 0\.0\.0\.0:68 > |icmp6 [^ ]+ > [^ ]+ (13[1-7]|143) )'
}
# Who is ordered before nothing runs beside whatever brings the host's hold back: health says so, and early.service is such a unit. Frames
# are all that it can send, since no interface has an address by then.
early() { strays | grep ' 88b5 '; }
n_early() { early | wc -l; }
late() { strays | grep -v ' 88b5 '; }
answers() { vm_outside host timeout 60 bash -c 'exec 3<>/dev/tcp/10.77.0.2/22 && read -r banner <&3 && [[ $banner == SSH-* ]]'; }
host_links() { vm_hold "$ID" '[.targets[0].links[].link_id] | sort'; }
is_up() { [[ $(run systemctl is-system-running) =~ ^(running|degraded)$ ]]; }
isnt() { refute "$1" test "$2" = "$3"; }
host_pins() { run find "/sys/fs/bpf/freezed/$ID" -type f | wc -l; }

# one key: an RSA one takes an emulated machine a quarter of a minute
run sh -c 'ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key; systemctl -q enable --now ssh' >/dev/null 2>&1
check "the management path answers" answers
order alice isolate host
like "the host is isolated" "$ANSWER" '^(contained|partial)( |$)'
vm_status
links=$(host_links) pins=$(host_pins)
vm_cut host

vm_boot host || exit
how="a held host, after a power cut"
is "$how: neither a pin nor a program was there before anything of ours ran" "$(run cat /run/peek)" bpf_fs
vm_status
is "$how: there are as many pins as before" "$(host_pins)" "$pins"
isnt "$how: of other links" "$(host_links)" "$links"
check "$how: the management path answers" box_until 60 answers
check "$how: who was there before it is not heard any more" vm_silent mark-early
let_out=$(n_early)
echo "# a unit that waits for nothing sent $let_out frames before the host was held again, in $(early | awk 'NR == 1 { a = $1 } { b = $1 } END { printf "%d", (b - a) * 1000 }') ms"
is "$how: health says that such a unit may" "$(run freezectl health --json | jq -r '.. | .layers? | arrays | .[] | select(.id == "early-boot").state')" no
is "$how: services run" "$(run systemctl is-active plain.service early.service twin-plain.service | sort -u)" active
is "$how: nothing but the management path was on the cable since power came on" "$(late | head -n 3)" ""
order alice contain host
like "it is frozen as well" "$ANSWER" '^(contained|partial)( |$)'
run systemctl reboot --no-block
vm_down host || exit
is "$how: nor until the end" "$(late | head -n 3)" ""
is "$how: nor did that unit send another frame" "$(n_early)" "$let_out"

vm_power host
vm_call host "$VM_BOOT_TIMEOUT" true </dev/null || exit
how="a contained host, after a reboot"
check "$how: it comes up" box_until 240 is_up
check "$how: the management path answers" answers
is "$how: what was frozen has not been started" "$(run systemctl is-active plain.service)" inactive
is "$how: nothing but the management path was on the cable since power came on" "$(strays | head -n 3)" ""
vm_status
like "$how: both holds are in force" "$(jq -r '[.holds[].state] | join(" ")' <<<"$REPORT")" '^(contained|partial) (contained|partial)$'
# shellcheck disable=SC2046
order alice,bob release $(jq -r '.holds[].id' <<<"$REPORT")
like "two people release the host" "$ANSWER" '^released( |$)'
is "nothing is left that keeps a unit from starting" "$(fences)" ""
run systemctl start plain.service
check "and what was frozen is heard again" vm_hears mark-plain

# --- the order is on its way when power fails --------------------------------------------------------------------------------------------

# what there is of it after the boot: the hold's state, whether the service runs, whether it was heard since power came on, how many fences
outcome() {
        local state heard=silent
        state=$(vm_hold "$ID" '[.state] + .reasons + [.targets[].fence]')
        # who is not held is heard some time after its twin, or before
        if [ -z "$state" ]; then box_until 60 was_heard mark-plain; fi
        was_heard mark-plain && heard=heard
        echo "${state:-free}: $(run systemctl is-active plain.service), $heard, $(fences | wc -l)"
}
said=$(box_dir host)/said
for ((i = 1; i <= CUTS; i++)); do
        ms=$((order_ms * i / (CUTS + 1)))
        order_file alice /root/cut.json contain plain.service
        vm_run host freezectl send /root/cut.json --json </dev/null >"$said" 2>&1 &
        sent=$!
        sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
        vm_cut host
        wait "$sent"
        vm_boot host || exit
        how="power cut after $ms of $order_ms ms"
        check "$how: the twin is heard" vm_hears mark-twin-plain
        vm_status
        got=$(outcome)
        like "$how: it is held from power on, or not at all, and status says which" "$got" \
                '^(free: active, heard, 0|partial not-running stands: inactive, silent, 1|contained stands: active, silent, 1)$'
        if grep -q '"receipt"' "$said"; then
                like "$how: there was a receipt, so it is held" "$got" silent
        fi
        [ "${got%%:*}" = free ] || { order alice,bob release "$ID" && run systemctl start plain.service; }
done
done_testing
