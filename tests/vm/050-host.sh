#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A whole host is held on a kernel without TCX, so by clsact: what is on its cable, what somebody takes off, and what is sent between
# power-on and the agent's start.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/vm_orders.sh
. tests/lib/vm_orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

B=$1
vm_or_skip "a whole host on a kernel without TCX"
vm_orders_create "$B" || exit
# one sends datagrams, segments and frames all the time, the other hands frames to the driver itself
vm_unit free.service '[Service]' 'ExecStart=/usr/local/bin/vm_spam mark-free host0' '[Install]' WantedBy=multi-user.target
cat >"$(vm_root host)/usr/local/bin/direct" <<'PY'
#!/usr/bin/python3
import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.setsockopt(263, 20, 1)
s.bind(("host0", 0))
while True:
    try:
        s.send(b"\xff" * 6 + b"\x02" * 6 + b"\x88\xb5" + b"mark-direct" + b"." * 60)
    except OSError:
        pass
    time.sleep(0.02)
PY
chmod 0755 "$(vm_root host)/usr/local/bin/direct"
vm_unit direct.service '[Unit]' After=network-online.target '[Service]' ExecStart=/usr/local/bin/direct Restart=always RestartSec=1 \
        '[Install]' WantedBy=multi-user.target
vm_orders_boot || exit
vm_sh host 'ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key && systemctl start ssh.service' </dev/null || exit

greets() { vm_outside host timeout 60 socat -u "$1:22,connect-timeout=50" - </dev/null 2>/dev/null | grep -qa ^SSH-2.0; }
uplinks() { jq -r '[.targets[0].uplinks[] | "\(.name)=\(.by),\(.direct)"] | sort | join(" ")' <<<"$RECEIPT"; }
repaired() { vm_status; vm_hold "$ID" '.repaired.repairs.uplink // 0'; }
# so_far: BEFORE is how many; a status that was not answered in time has no number
so_far() { before=$(repaired) && [ -n "$before" ]; }
put_back() { [ "$(repaired)" -gt "$1" ]; }
layer() { vm_run host freezectl health --json </dev/null | jq -R -r --arg id "$1" 'fromjson? | .report.layers[]? | select(.id == $id) | .state'; }

check "before: the service is heard" vm_hears mark-free
check "and so is what is handed to the driver directly" vm_hears mark-direct
is "the kernel has no TCX, and clsact, and netdev egress" "$(layer tcx) $(layer clsact) $(layer netdev-egress)" "no yes yes"
order alice isolate host
like "the host is isolated" "$ANSWER" '^contained'
is "by clsact, with rules for what passes that by" "$(uplinks)" "host0=clsact,true"
check "nothing of either is on the cable" vm_silent mark-free mark-direct
check "sshd answers over IPv4" greets TCP4:10.77.0.2
check "and over IPv6" greets "TCP6:[fd77::2]"
is "nothing was to be put back so far" "$(repaired)" 0

box_until 60 so_far
vm_run host tc qdisc del dev host0 clsact </dev/null
check "the queueing discipline is deleted, and put back, and that is counted" box_until 60 put_back "$before"
check "nothing is on the cable" vm_silent mark-free mark-direct
box_until 60 so_far
vm_run host nft flush ruleset </dev/null
check "the rules are flushed, and put back, and that is counted" box_until 60 put_back "$before"
check "nothing is on the cable" vm_silent mark-free mark-direct

vm_reboot host || exit
held_again() { vm_status; [ "$(vm_hold "$ID" '.targets[0].uplinks[] | select(.name == "host0") | "\(.by),\(.direct)"')" = clsact,true ]; }
check "after a reboot the hold is in force again" box_until 120 held_again
is "and between power-on and then nothing was sent" "$(vm_heard mark-free) $(vm_heard mark-direct)" "0 0"
check "nor is it now" vm_silent mark-free mark-direct

order alice,bob release "$ID"
like "it is released" "$ANSWER" '^released'
check "the service is heard again" vm_hears mark-free
is "no rules are left" "$(vm_run host nft list tables </dev/null)" ""
is "nor a filter" "$(vm_run host tc filter show dev host0 egress </dev/null)" ""
done_testing
