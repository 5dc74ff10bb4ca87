#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Going down while something is held: soon, and without a last word of what is held. And coming up without the agent.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/vm_orders.sh
. tests/lib/vm_orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

B=$1
DOWN_MS_MAX=20000 # systemd gives a process 90 s to end when it is told to, and then another 90 s
NO_BPF_LSM=lsm=lockdown,capability,landlock,yama,apparmor,tomoyo
vm_or_skip "going down while something is held"
vm_orders_create "$B" || exit
# it does not end when it is told to, and writes to disk whenever it runs
vm_unit stubborn.service '[Service]' CapabilityBoundingSet= Restart=always \
        'ExecStart=/bin/sh -c "trap : TERM; vm_spam mark-stubborn & while :; do echo >>/var/lib/beats; sleep 0.05; done"' \
        '[Install]' WantedBy=multi-user.target
vm_unit free.service '[Service]' 'ExecStart=/usr/local/bin/vm_spam mark-free' '[Install]' WantedBy=multi-user.target

beats() { vm_run host stat -c %s /var/lib/beats </dev/null; }
is_beating() { [ "$(beats)" -gt "$1" ]; }
goes_down_soon() {
        vm_run host systemctl reboot --no-block </dev/null
        vm_down host
        echo "# $1: down in $VM_DOWN_MS ms"
        if [ "$VM_DOWN_MS" -lt "$DOWN_MS_MAX" ]; then ok "$1: it goes down soon"; else not_ok "$1: it goes down soon" "$VM_DOWN_MS ms"; fi
}

# contained WHERE: what is true of the service from the order to the next boot
contain_and_reboot() {
        order alice contain stubborn.service
        like "$1: the service is contained" "$ANSWER" '^contained( |$)'
        vm_run host sync </dev/null
        last=$(beats) sent=$(vm_heard mark-stubborn)
        goes_down_soon "$1"
        is "$1: going down it has sent nothing" "$(vm_heard mark-stubborn)" "$sent"
}

vm_orders_boot "$NO_BPF_LSM" || exit
refute "BPF LSM is not there" vm_run host grep -w bpf /sys/kernel/security/lsm </dev/null
contain_and_reboot "without BPF LSM"
vm_boot host || exit
is "without BPF LSM: it has not run an instruction from the hold to the end" "$(beats)" "$last"
order alice,bob release "$ID"
like "it is released" "$ANSWER" '^released( |$)'
vm_run host systemctl start stubborn.service </dev/null
check "and runs again" box_until 60 is_beating "$last"

check "BPF LSM is there" vm_run host grep -w bpf /sys/kernel/security/lsm </dev/null
contain_and_reboot "with BPF LSM"

# Nobody is there who could hold anything: what is on disk does.
vm_power host systemd.mask=freezed.service systemd.mask=freezed-core.socket systemd.mask=freezed-gate.service systemd.mask=freezed-gate.socket
vm_wait host || exit
is "with BPF LSM: it has not run an instruction from the hold to the end" "$(beats)" "$last"
check "the bystander is heard" vm_hears mark-free
is "the agent does not run" "$(vm_run host systemctl is-active freezed.service </dev/null)" inactive
is "without the agent the service has not been started" "$(vm_run host systemctl is-active stubborn.service </dev/null)" inactive
vm_run host systemctl start stubborn.service </dev/null 2>/dev/null
is "nor can it be" "$(vm_run host systemctl is-active stubborn.service </dev/null)" inactive
is "it has sent nothing since power came on" "$(vm_heard mark-stubborn)" 0
vm_halt host
vm_boot host || exit
vm_status
is "with the agent, status says that nobody is there, and that nobody comes" \
        "$(vm_hold "$ID" '[.state] + .reasons + [.targets[].fence]')" "partial not-running stands"
is "and nothing has been sent" "$(vm_heard mark-stubborn)" 0
done_testing
