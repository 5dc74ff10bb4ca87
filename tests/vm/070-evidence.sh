#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Evidence on the oldest kernel that there is a package of: without PAGEMAP_SCAN, and with the guard in force, which refuses everybody but
# the core and its collector what the collector does to a frozen process, and everybody what lies where the agent keeps its ledger: the unit
# that has that signed by a witness has to do without. The kernel's tables, which are modules there: with every program of the agent loaded
# nothing of them is missing, and what asking for them loaded is told.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/vm_orders.sh
. tests/lib/vm_orders.sh
# shellcheck source=tests/lib/age.sh
. tests/lib/age.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

B=$1
vm_or_skip "evidence on an older kernel, behind the guard"
vm_orders_create "$B" || exit
gcc -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -static -pthread -o "$(vm_root host)/usr/local/bin/held_memory" tests/lib/held_memory.c || exit
gcc -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -static -o "$(vm_root host)/usr/local/bin/guard_try" tests/lib/guard_try.c || exit
for name in held free; do
        vm_unit "$name.service" '[Service]' ExecStart=/usr/local/bin/held_memory '[Install]' WantedBy=multi-user.target
done
vm_unit talks.service '[Service]' "ExecStart=/usr/local/bin/vm_spam mark-talks" '[Install]' WantedBy=multi-user.target
# shellcheck disable=SC2119
vm_orders_boot || exit
check "somebody is heard, and so has a neighbour" vm_hears mark-talks

SEED=$(printf '%064d' 5)
D=$(mktemp -d)
mkdir "$D/witness"
# shellcheck disable=SC2016
box_at_exit 'rm -rf "$D"'
printf '%s\n' "$AGE_IDENTITY" >"$D/key.txt"

# shellcheck disable=SC2016
traces() {
        vm_sh host 'guard_try trace "$(systemctl show -P MainPID "$1")"' "$1" </dev/null
}
# shellcheck disable=SC2016
tracer() {
        vm_sh host 'sed -n "s/^TracerPid:\t//p" "/proc/$(systemctl show -P MainPID held.service)/status"' </dev/null
}

refute "this kernel is too old for PAGEMAP_SCAN" vm_run host grep -E '^(Linux version )?([7-9]|6\.([7-9]|[1-9][0-9]))' /proc/sys/kernel/osrelease </dev/null
is "the guard is in force" "$(vm_run host freezectl health --json </dev/null | jq -r -R 'fromjson? | .report.layers // empty | .[] | select(.id == "guard") | .state')" yes
is "health says to whom evidence is sealed" \
        "$(vm_run host freezectl health --json </dev/null | jq -r -R 'fromjson? | .report.trust.recipients // empty | .[]')" "$AGE_RECIPIENT"
order alice contain held.service --timeout 120s
like "a service is contained" "$ANSWER" '^contained( |$)'
is "and all that it knows is kept" "$(receipt .evidence.state)" complete
is "root may trace what is not held" "$(traces free.service)" ok
is "and not what is" "$(traces held.service)" EPERM
check "it is frozen still" vm_sh host 'grep -q "frozen 1" /sys/fs/cgroup/system.slice/held.service/cgroup.events' </dev/null

ask() { SAID=$(vm_run host freezectl evidence witness http://10.77.0.1:8440 </dev/null 2>&1); }
# shellcheck disable=SC2016
vm_sh host 'cd /root && freezectl trust rotate trust.json --witness "$1" --key alice --key bob --out trust2.json && freezectl enroll trust2.json' \
        "$("$B/san/witness" 127.0.0.1 0 /tmp "$SEED")" </dev/null >/dev/null 2>&1
vm_listen host "$B/san/witness" 10.77.0.1 8440 "$D/witness" "$SEED"
box_until 60 eval 'ask; [ $? = 3 ]'
kill "$BOX_PID"
box_until 60 eval "! kill -0 $BOX_PID 2>/dev/null"
vm_listen host "$B/san/witness" 10.77.0.1 8440 "$D/witness" "$SEED" "${SAID##* }"
vm_run host sh -c 'echo URL=http://10.77.0.1:8440 >/etc/freezed/witness.conf' </dev/null
check "while it is held, the unit has the ledger's head signed by a witness" vm_run host systemctl start freezed-witness.service </dev/null
vm_run host freezectl evidence verify "$ID" </dev/null >"$D/said" 2>&1
is "which proves the evidence" $? 0
like "by whom" "$(cat "$D/said")" 'witness.example/w1 saw [0-9]+ records'

vm_get host "$(receipt .evidence.folder)" "$D/bag"
vm_sh host 'cat /etc/freezed/hosts' </dev/null >"$D/known"
"$B/freezectl" evidence verify "$D/bag/" --hosts-file "$D/known" >"$D/said" 2>&1
is "elsewhere it is whole, and in doubt for want of a witness" $? 5
"$B/freezectl" evidence decrypt "$D/bag/" --hosts-file "$D/known" --identity "$D/key.txt" --out "$D/open" >"$D/said" 2>&1
is "and opened, each object what the index says" $? 0
core=$(ls "$D"/open/objects/*-core)
gdb() { command gdb -q -nx -batch "$@" -core "$core" "$(vm_root host)/usr/local/bin/held_memory" 2>&1; }
is "gdb finds every thread" "$(gdb -ex 'info threads' | grep -cE '^[* ] +[0-9]+ ')" 4
is "each where it waits" "$(gdb -ex 'thread apply all backtrace' | grep -c waits_in_its_thread)" 4
like "its memory is there" "$(gdb -ex 'x/s 0x300000000000')" mark-in-memory
like "also where nobody may read it" "$(gdb -ex 'x/s 0x300000001000')" mark-that-is-hidden
check "the memfd is kept" grep -qs mark-in-memfd "$D"/open/objects/*-deleted-file
check "and the file without a name" grep -qs mark-in-deleted "$D"/open/objects/*-deleted-file
is "no hole is of its memory" "$(jq -r 'select(.hole and .kind == "core") | .source' "$D/open/index.jsonl")" ""

# --- the kernel's tables -------------------------------------------------------------------------------------------------------------------

check "its evidence is sealed" test -e "$D/bag/evidence.dsse.json"
check "it opens" tests/lib/open_bag.sh "$D/bag" "$D/key.txt" "$D/tables"

# any KIND FILTER: some line of an object of that kind is like that
any() {
        cat "$D"/tables/data/*-"$1" 2>/dev/null | jq -es "any(.[]; $2)" >/dev/null
}
is "no table is a hole" "$(jq -r 'select(.hole and (.kind | test("^(sock|table|bpf|nft|netns|tables|modules)"))) | "\(.kind) \(.hole)"' "$D/tables/index.jsonl")" ""
check "the interface is there" any table-interfaces '.name == "host0" and .address'
check "the neighbour is" any table-neighbours '.dst == "10.77.0.1" and .lladdr'
check "the route is" any table-routes '.dst == "10.77.0.0" and .dst_len == 24'
check "sockets of every kind are" any sock-unix '.path == "/run/systemd/notify"'
check "the agent's own programs are" any bpf-programs '.name == "watch_make" and (.map_ids | length) > 0'
check "and its maps" any bpf-maps '.name == "cgroup_site" and .type == "hash"'
check "and what they are attached to" any bpf-attachments '.type == "cgroup" and .cgroup > 0'
check "the guard's programs, too" any bpf-programs '.type == "lsm" and .attach_btf_id > 0'
check "which ones act on the held cgroup is said" any bpf-cgroups '(.cgroup | endswith("/held.service")) and (.programs | length) > 0'
# the agent tries programs all the while: one of those that stay
id=$(cat "$D"/tables/data/*-bpf-programs | jq -r 'select(.name == "watch_make").id' | head -n 1)
member=$(jq -r --arg s "program $id" 'select(.kind == "bpf-insns" and .source == $s).member' "$D/tables/index.jsonl")
is "the instructions of one are as many as the kernel says" "$(stat -c %s "$D/tables/data/$member")" \
        "$(cat "$D"/tables/data/*-bpf-programs | jq -r --argjson id "$id" 'select(.id == $id).xlated_prog_len')"
before=$(cut -d ' ' -f 1 "$D"/tables/data/*-modules | sort) after=$(cut -d ' ' -f 1 "$D"/tables/data/*-modules-after | sort)
like "what was loaded is kept" "$before" 'virtio_net'
echo "# loaded by asking: $(comm -13 <(echo "$before") <(echo "$after") | paste -sd ' ')"
is "what asking loaded are tables of sockets, or rules" "$(comm -13 <(echo "$before") <(echo "$after") | grep -vE '_diag$|^nf|^nft|^x_tables|^lib|^vsock|^vmw_|^xsk|^tls' | paste -sd ' ')" ""

order alice,bob release "$ID"
like "it is released" "$ANSWER" '^released( |$)'
is "and runs, traced by nobody" "$(tracer)" 0
done_testing
