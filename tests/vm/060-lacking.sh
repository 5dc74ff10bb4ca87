#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a kernel does not have, or refuses: lockdown, BTF, the unified hierarchy. Each is said, in health beforehand and by the order; what
# can be held all the same is held, and what cannot is refused and runs on.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/vm_orders.sh
. tests/lib/vm_orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

B=$1
vm_or_skip "a kernel that lacks something"
vm_orders_create "$B" || exit
for name in held free; do
        vm_unit "$name.service" '[Service]' "ExecStart=/usr/local/bin/vm_spam mark-$name" CapabilityBoundingSet= '[Install]' \
                WantedBy=multi-user.target
done

layers() {
        vm_run host freezectl health --json </dev/null |
                jq -r -R --arg ids "$1" 'fromjson? | .report.layers // empty | map(select(.id | IN($ids | split(" ")[]))) | map("\(.id):\(.state)") | join(" ")'
}
was_repaired() { vm_status; [ "$(vm_hold "$ID" ".repaired.repairs.$1 // 0")" -gt 0 ]; }
thaw() { vm_sh host 'echo 0 >/sys/fs/cgroup/system.slice/held.service/cgroup.freeze' </dev/null; }

# holds WITHOUT: what a hold is good for where neither guard nor watch can be had
holds() {
        is "$1: health says what there is and what there is not" "$(layers "egress freezer cgroup-events guard")" \
                "egress:yes freezer:yes cgroup-events:no guard:no"
        order alice contain held.service
        like "$1: a service is contained" "$ANSWER" '^contained( |$)'
        is "$1: and its receipt says that nobody guards it, and who watches" \
                "$(receipt '[.flags[] | select(IN("unguarded", "unwatched"))] | sort | join(" ")')" "unguarded unwatched"
        check "$1: it is not heard" vm_silent mark-held
        check "$1: the other is" vm_hears mark-free
        thaw
        check "$1: who is thawed is frozen again, by the clock alone" box_until 60 was_repaired thaw
        order alice,bob release "$ID"
        like "$1: it is released" "$ANSWER" '^released( |$)'
        check "$1: and heard again" vm_hears mark-held
}

vm_orders_boot lockdown=confidentiality || exit
check "the kernel is locked down" vm_run host grep -F '[confidentiality]' /sys/kernel/security/lockdown </dev/null
holds "under lockdown"

vm_sh host 'mkdir /etc/systemd/system/freezed.service.d && printf "[Service]\nInaccessiblePaths=/sys/kernel/btf\n" \
        >/etc/systemd/system/freezed.service.d/no-btf.conf' </dev/null
vm_reboot host || exit
holds "without BTF"
order alice contain held.service
like "it is contained when the host goes down" "$ANSWER" '^contained( |$)'
hold=$ID

vm_reboot host systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 || exit
refute "there is no unified hierarchy" vm_run host grep -q cgroup2 /proc/mounts </dev/null
is "health says so" "$(layers cgroup2)" "cgroup2:no"
vm_status
is "of what was held status says why nothing is in force" "$(vm_hold "$hold" '[.state] + .reasons')" "failed no-cgroup2"
check "but nobody has started it: it is not heard" vm_silent mark-held
check "the other is" vm_hears mark-free
order alice contain free.service
is "nothing can be held" "$ANSWER" "refused no-cgroup2"
check "and what was to be runs on" vm_hears mark-free
order alice,bob release "$hold"
like "what is on disk can be released" "$ANSWER" '^released( |$)'
vm_run host systemctl start held.service </dev/null
check "and is heard again" vm_hears mark-held
done_testing
