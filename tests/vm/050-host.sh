#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A whole host is held on a kernel without TCX, so by clsact: what is on its cable, what somebody takes off, and what is sent between
# power-on and the agent's start. Before that, what it makes of a herald's heads, whose clock is its own: synchronised, and not.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/vm_orders.sh
. tests/lib/vm_orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh

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
gcc -O2 -Wall -Wextra -Werror -static -o "$(vm_root host)/usr/local/bin/vm_clock" tests/lib/vm_clock.c || exit
D=$(mktemp -d)
# shellcheck disable=SC2016
box_at_exit 'rm -rf "$D"'
ssh-keygen -q -t ed25519 -N "" -f "$D/harold" && vm_put host "$D/harold.pub" /root/harold.pub || exit
vm_unit direct.service '[Unit]' After=network-online.target '[Service]' ExecStart=/usr/local/bin/direct Restart=always RestartSec=1 \
        '[Install]' WantedBy=multi-user.target
vm_orders_boot || exit
vm_sh host 'ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key && systemctl start ssh.service' </dev/null || exit

# greets ADDRESS: its sshd says what it is. Whoever connects is heard by it for longer, so he goes when he has read that
greets() {
        # shellcheck disable=SC2016
        vm_outside host timeout 60 bash -c 'exec 3<>"/dev/tcp/$1/22" && IFS= read -r -u 3 line && [[ $line = SSH-2.0* ]]' bash "$1" 2>/dev/null
}
uplinks() { jq -r '[.targets[0].uplinks[] | "\(.name)=\(.by),\(.direct)"] | sort | join(" ")' <<<"$RECEIPT"; }
repaired() { vm_status; vm_hold "$ID" '.repaired.repairs.uplink // 0'; }
# so_far: BEFORE is how many; a status that was not answered in time has no number
so_far() { before=$(repaired) && [ -n "$before" ]; }
put_back() { [ "$(repaired)" -gt "$1" ]; }
layer() { vm_run host freezectl health --json </dev/null | jq -R -r --arg id "$1" 'fromjson? | .report.layers[]? | select(.id == $id) | .state'; }

# --- heads
now_ms() { date +%s%3N; }
clock() { vm_run host vm_clock "$1" </dev/null; }
# head_is 'PATTERN': its state, and the number of the one that is believed
head_is() {
        HEAD=$(vm_run host freezectl health --json </dev/null | jq -R -r 'fromjson? | .report.head // empty | "\(.state) \(.n // "-")"')
        # shellcheck disable=SC2053
        [[ $HEAD = $1 ]]
}
heard() { vm_run host cat /run/freezed-relay/state.json </dev/null | jq -r .counters.envelopes; }
has_heard() { [ "$(heard)" -gt "$1" ]; }
# head_of N AHEAD LIFE: the herald's, dated so many ms ahead; returns when the host has it
head_of() {
        local count
        count=$(heard)
        echo '{"payload":"e30=","payloadType":"application/vnd.freezed.head.v1+json","signatures":[]}' >"$D/base"
        python3 -B tests/lib/resign.py "$D/base" "$(jq -cn --argjson n "$1" --argjson iat "$(($(now_ms) + $2))" --argjson life "$3" \
                '{v: 1, fleet: "test", $n, $iat, exp: ($iat + $life), trust_version: 2, orders: []}')" "$D/harold" >"$D/head"
        nats_say pub frz.v1.test.head <"$D/head" && box_until 60 has_heard "$count"
}
herald() {
        vm_listen host env -i "${BOX_ENV[@]}" "$(realpath "$B")/freezectl" fleet head --nats "$NATS_URL" --trust "$D/trust.json" --key "$D/harold" --state-dir "$D/state"
        HERALD=$BOX_PID
}
herald_ends() { kill "$HERALD" && box_until 60 eval "! kill -0 $HERALD 2>/dev/null"; }

nats_start host && nats_say streams test >/dev/null || exit
# shellcheck disable=SC2016
vm_sh host 'cd /root && freezectl trust rotate trust.json --herald harold=harold.pub --key alice --key bob --out trust-2.json >&2 && freezectl enroll trust-2.json >&2 &&
        echo "$1" >/etc/freezed/relay.json && systemctl start freezed-relay && cat trust-2.json' '{"v":1,"servers":["'"$NATS_URL"'"],"spread_s":0}' \
        </dev/null >"$D/trust.json" 2>/dev/null || exit
herald
check "a head comes, and by a clock that nobody vouches for it may be an old one" box_until 60 head_is 'unknown [1-9]*'
clock synced
check "by one that is synchronised it is fresh" head_is 'fresh [1-9]*'
clock unsynced
check "no more when that is over" head_is 'unknown [1-9]*'
clock synced
check "and again when it is back" head_is 'fresh [1-9]*'
herald_ends
head_of "$(now_ms)" 0 4000
check "when the herald says no more, the host says so as soon as its last head is over" box_until 120 head_is 'stale -'
head_of "$(now_ms)" -95000 90000
check "a head that is over is not fresh" head_is 'stale -'
head_of "$(now_ms)" 660000 90000
check "nor one from further ahead than any clock may be" head_is 'stale -'
clock unsynced
FAR=$(($(now_ms) + 2 * 24 * 3600 * 1000))
head_of $FAR 3600000 240000
check "which a host whose clock may be wrong cannot know" head_is "unknown $FAR"
clock synced
refute "until it is right" head_is 'fresh *'
is "and then believes it no more" "${HEAD#* }" -
herald
check "the herald is back, and its lower number fresh" box_until 60 head_is 'fresh [1-9]*'
herald_ends

# --- the whole host
check "before: the service is heard" vm_hears mark-free
check "and so is what is handed to the driver directly" vm_hears mark-direct
is "the kernel has no TCX, and clsact, and netdev egress" "$(layer tcx) $(layer clsact) $(layer netdev-egress)" "no yes yes"
order alice isolate host
like "the host is isolated" "$ANSWER" '^contained'
is "by clsact, with rules for what passes that by" "$(uplinks)" "host0=clsact,true"
check "nothing of either is on the cable" vm_silent mark-free mark-direct
check "sshd answers over IPv4" greets 10.77.0.2
check "and over IPv6" greets fd77::2
box_until 60 so_far
is "nothing was to be put back so far" "$before" 0

vm_run host tc qdisc del dev host0 clsact </dev/null
check "the queueing discipline is deleted, and put back, and that is counted" box_until 60 put_back "$before"
check "nothing is on the cable" vm_silent mark-free mark-direct
box_until 60 so_far
vm_run host tc filter add dev host0 egress protocol all prio 1 handle 7 bpf bytecode '1,6 0 0 4294967295' flowid 1:1 </dev/null
check "a filter that lets all through before it is asked is itself put behind, and that is counted" box_until 60 put_back "$before"
check "nothing is on the cable" vm_silent mark-free mark-direct
vm_run host tc filter del dev host0 egress prio 1 handle 7 bpf </dev/null
box_until 60 so_far
vm_run host nft flush ruleset </dev/null
check "the rules are flushed, and put back, and that is counted" box_until 60 put_back "$before"
check "nothing is on the cable" vm_silent mark-free mark-direct

vm_reboot host || exit
held_again() {
        vm_status
        NOW=$(vm_hold "$ID" '.targets[0].uplinks[] | select(.name == "host0") | "\(.by),\(.direct)"')
        [ "$NOW" = clsact,true ]
}
box_until 120 held_again
is "after a reboot the hold is in force again" "${NOW:-no such hold: ${REPORT:0:300}}" clsact,true
is "and between power-on and then nothing was sent" "$(vm_heard mark-free) $(vm_heard mark-direct)" "0 0"
check "nor is it now" vm_silent mark-free mark-direct

order alice,bob release "$ID"
like "it is released" "$ANSWER" '^released'
check "the service is heard again" vm_hears mark-free
is "no rules are left" "$(vm_run host nft list tables </dev/null)" ""
is "nor a filter" "$(vm_run host tc filter show dev host0 egress </dev/null)" ""
done_testing
