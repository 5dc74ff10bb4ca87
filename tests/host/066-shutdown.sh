#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 066-shutdown.sh B: a host goes down soon while something is held that does not end when it is told to, and what is held runs no
# instruction meanwhile. Both are tried without freezed-shutdown.service, and the second then without the core, and have to be missed.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 066-shutdown.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

# by handle a cgroup is opened of which the kernel tells, as it is on a host that is no container
# shellcheck disable=SC2034
BOX_SYSCALLS=open_by_handle_at
SLOW_S=10
STOP_S=4 # what systemd gives a process to end, once for its unit and once for the host; 90 by default
box_create host || exit
mkdir -p "$(box_root host)/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStopSec=%ss\n' "$STOP_S" >"$(box_root host)/etc/systemd/system.conf.d/test.conf"
# add NAME ON-SIGTERM
add() {
        printf '%s\n' '[Service]' "ExecStart=/bin/sh -c 'trap \"$2\" TERM; while :; do echo >>/var/lib/beats.$1; sleep 0.05; done'" \
                "ExecStop=/bin/sh -c 'echo >/var/lib/stop.$1'" Restart=always CapabilityBoundingSet= '[Install]' WantedBy=multi-user.target \
                >"$(box_root host)/etc/systemd/system/$1.service"
        systemctl -q --root="$(box_root host)" enable "$1.service"
}
# slow to stop, and nothing to do with what is held; the second one is stopped once the first one is, which is after end-held
for name in first second; do
        printf '%s\n' '[Unit]' "$([ $name = first ] && echo After=second.service)" '[Service]' Type=oneshot RemainAfterExit=yes \
                ExecStart=/bin/true "ExecStop=/bin/sh -c 'sleep 1; echo >/var/lib/stop.$name'" TimeoutStopSec=$((3 * SLOW_S)) \
                '[Install]' WantedBy=multi-user.target >"$(box_root host)/etc/systemd/system/$name.service"
        systemctl -q --root="$(box_root host)" enable $name.service
done
# what the test itself runs in the box is not to be frozen with it
mkdir -p "$(box_root host)/etc/freezed"
jq '.protected += ["box-run"]' policy/default-policy.json >"$(box_root host)/etc/freezed/policy.json" || exit
add stubborn ':'
add isolated 'echo >/var/lib/ended; exit'
orders_boot "$B" || exit

# Not whether all is in order: what is held and was not started by the boot is none of that.
core_is_up() { box_run host freezectl health --json 2>/dev/null | grep -q '"report":'; }
beats() { stat -c %s "$(box_root host)/var/lib/beats.$1"; }
down() {
        local start=${EPOCHREALTIME/./}
        box_halt host
        DOWN_MS=$(((${EPOCHREALTIME/./} - start) / 1000))
        echo "# down in $DOWN_MS ms"
}

order alice contain stubborn.service
contained=$ID
is "one service is contained" "$ANSWER" contained
order alice isolate isolated.service
isolated=$ID
is "another one is isolated and runs" "$ANSWER" contained
refute "nobody stops what kills in a shutdown" box_run host systemctl stop freezed-shutdown.service
box_run host /usr/lib/freezed/end-held
is "called at another time it kills nothing" "$(box_run host cat /sys/fs/cgroup/system.slice/stubborn.service/cgroup.events | sort | paste -sd ' ')" "frozen 1 populated 1"
before=$(beats stubborn)
down
if [ "$DOWN_MS" -lt $((STOP_S * 1000)) ]; then ok "nobody waits for the frozen one"; else not_ok "nobody waits for the frozen one" "$DOWN_MS ms"; fi
is "it has not run an instruction since the order" "$(beats stubborn)" "$before"
refute "nor has its ExecStop=" test -e "$(box_root host)/var/lib/stop.stubborn"
check "the isolated one was told to end" test -e "$(box_root host)/var/lib/ended"

# boot_and_release ID...: what is held has not been started by the boot, and can be again
boot_and_release() {
        box_boot host || exit
        box_until 60 core_is_up
        is "after a boot it has not been started" "$(beats stubborn) $(box_run host systemctl is-active stubborn.service)" "$before inactive"
        for hold in "$@"; do
                order alice,bob release "$hold"
                like "it is released" "$ANSWER" '^released( |$)'
        done
        box_run host systemctl start stubborn.service
        is "and can be started again" "$(box_run host systemctl is-active stubborn.service)" active
}

boot_and_release "$contained" "$isolated"
# a frozen host: what systemd starts to stop a unit is frozen like anything else, and is not waited for
order alice contain host
like "the host is contained" "$ANSWER" '^(contained|partial)( |$)'
host=$ID
rm -f "$(box_root host)"/var/lib/stop.{first,second}
down
if [ "$DOWN_MS" -lt $((SLOW_S * 1000)) ]; then ok "nobody waits for a command that stops a unit"; else not_ok "nobody waits for a command that stops a unit" "$DOWN_MS ms"; fi
is "which has not been carried out" "$(find "$(box_root host)/var/lib" -name stop.first -o -name stop.second)" ""
before=$(beats stubborn)
boot_and_release "$host"

# everybody is in the cgroup of an isolated host, systemd too: nobody is told to end before systemd does it
box_run host systemctl stop stubborn.service
box_run host systemctl start first.service second.service
order alice isolate host
like "the host is isolated" "$ANSWER" '^(contained|partial)( |$)'
host=$ID
rm -f "$(box_root host)"/var/lib/stop.{first,second}
down
is "what stops a unit is carried out on a host that is only isolated" "$(find "$(box_root host)/var/lib" -name stop.first -o -name stop.second | wc -l)" 2
box_boot host || exit
box_until 60 core_is_up
order alice,bob release "$host"
like "it is released" "$ANSWER" '^released( |$)'

# systemd thaws it, tells it to end, and waits; the core, which is the last to end, freezes it again
rm "$(box_root host)/usr/lib/freezed/end-held"
order alice contain stubborn.service
before=$(beats stubborn)
down
if [ "$DOWN_MS" -ge $((STOP_S * 1000)) ]; then ok "without the unit the host waits for it"; else not_ok "without the unit the host waits for it" "$DOWN_MS ms"; fi
ran=$(($(beats stubborn) - before))
before=$(beats stubborn)
if [ "$ran" -le 1 ]; then ok "and the core freezes it again"; else not_ok "and the core freezes it again" "it ran for $ran beats"; fi

boot_and_release "$ID"
order alice contain stubborn.service
before=$(beats stubborn)
box_run host systemctl kill -s STOP --kill-who=main freezed.service
down
if [ "$(beats stubborn)" -gt $((before + 1)) ]; then ok "without either it runs"; else not_ok "without either it runs"; fi
done_testing
