#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A kernel of our own, 6.1 with BPF LSM, and a real systemd on it that is not in a container: the VM itself, and the core on it.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/vm_orders.sh
. tests/lib/vm_orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

B=$1
vm_or_skip "the core on a kernel of its own"
echo "# kernel $(cat "$(kernel_path)/origin")"
start=${EPOCHREALTIME/./}
vm_orders_create "$B" || exit
vm_unit spam.service '[Service]' 'ExecStart=/usr/local/bin/vm_spam mark-spam' CapabilityBoundingSet= '[Install]' WantedBy=multi-user.target
vm_unit free.service '[Service]' 'ExecStart=/usr/local/bin/vm_spam mark-free' '[Install]' WantedBy=multi-user.target
vm_orders_boot || exit
echo "# created, booted and enrolled in $(((${EPOCHREALTIME/./} - start) / 1000)) ms"

like "PID 1 is systemd on a 6.1 kernel" "$(vm_sh host 'echo $(cat /proc/1/comm) $(uname -r)')" '^systemd 6\.1\.'
is "no unit has failed" "$(vm_run host systemctl --failed --plain --no-legend)" ""
like "BPF LSM is live" "$(vm_run host cat /sys/kernel/security/lsm)" '(^|,)bpf(,|$)'
is "PID 1 has mounted bpffs" "$(vm_run host stat -fc %T /sys/fs/bpf)" bpf_fs

vm_run host sh -c 'exit 7'
is "a command's exit status comes back" $? 7
is "its arguments arrive as they are" "$(vm_run host printf '%s|' 'a b' '' '$HOME' '*')" 'a b||$HOME|*|'
is "its input arrives" "$(head -c 300000 /dev/zero | vm_run host wc -c)" 300000
like "it runs outside every unit" "$(vm_run host cat /proc/self/cgroup)" '0::/vm-run$'
tree=$(box_dir host)/there/a
mkdir -p "$tree/b" && echo 1 >"$tree/b/c" && chmod 0700 "$tree/b/c"
vm_put host "$tree" /srv/x && vm_get host /srv/x "$(box_dir host)/back"
is "a directory goes in and comes out" "$(cd "$(box_dir host)/back" && find . -type f -printf '%P %m ' && cat b/c)" "b/c 700 1"

# nobody listens there, and its kernel says so
vm_outside host bash -c 'echo hello >/dev/udp/10.77.0.2/9'
on_cable() { vm_packets host | grep "$1"; }
check "what comes to it is seen on its cable" box_until 60 on_cable ' udp 10\.77\.0\.1:[0-9]* > 10\.77\.0\.2:9 - 6$'
check "and what it sends" box_until 60 on_cable ' icmp 10\.77\.0\.2 > 10\.77\.0\.1 '

# what the core gives here that it cannot give where the other suites run, and what it still does not
layers=$(vm_run host freezectl health --json </dev/null | jq -r 'select(.report) | .report.layers[] | .id + "=" + .state')
is "every layer of the cgroup is there" "$(grep -cE '^(connect4|connect6|sendmsg4|sendmsg6|bind4|bind6|egress|ingress|freezer|destroy-sockets|selftest)=yes$' <<<"$layers")" 11

check "the service is heard" vm_hears mark-spam
order alice isolate spam.service
like "it is isolated" "$ANSWER" '^contained( |$)'
check "and not heard any more" vm_silent mark-spam
is "but runs" "$(vm_cgroup spam.service cgroup.events | grep frozen)" "frozen 0"
check "a bystander is heard all the same" vm_hears mark-free
order alice,bob release "$ID"
like "two people release it" "$ANSWER" '^released( |$)'
check "and it is heard again" vm_hears mark-spam
order alice contain spam.service
like "it is contained" "$ANSWER" '^contained( |$)'
is "the kernel says that it is frozen" "$(vm_cgroup spam.service cgroup.events | grep frozen)" "frozen 1"
check "all is silent" vm_silent mark-spam
vm_status
is "status says so" "$(vm_hold "$ID" .state)" contained
order alice,bob release "$ID"
check "released once more, it is heard" vm_hears mark-spam
is "no program of ours is left on it" "$(vm_programs spam.service)" 0
is "no pin of a hold is left" "$(vm_run host find /sys/fs/bpf/freezed -mindepth 1 -regextype posix-extended -regex '.*/[0-9a-f]{32}(/.*)?' </dev/null)" ""

# The unit's sandbox, tried from inside: as root with every capability, in the core's own mounts. What is refused is refused by them.
# writes PID PATH...: which of these can be opened for writing
writes() {
        # shellcheck disable=SC2016
        vm_sh host 'pid=$1 && shift && for path; do
                if nsenter --target "$pid" --mount sh -c ": >>\"\$1\"" sh "$path" 2>/dev/null; then echo "$path"; fi
        done' "$@" </dev/null
}
core=$(vm_run host systemctl show -P MainPID freezed.service </dev/null)
is "nothing of what runs the machine can be written from inside of the core" "$(writes "$core" /proc/sys/kernel/core_pattern \
        /proc/sys/kernel/modprobe /proc/sys/net/ipv4/ip_forward /proc/sys/vm/overcommit_memory /proc/sysrq-trigger \
        /sys/kernel/mm/transparent_hugepage/enabled /sys/class/net/host0/mtu /sys/kernel/uevent_helper /sys/module/printk/parameters/time \
        /etc/passwd /etc/freezed/trust.json /usr/bin/true /boot/x /root/x /home/x /var/log/x /var/lib/x /opt/x /srv/x /run/x \
        /run/systemd/generator/x.service /dev/vda /dev/kmsg /dev/mem)" ""
is "the same writes succeed beside it" "$(writes 1 /proc/sys/kernel/core_pattern /sys/class/net/host0/mtu /run/x /var/lib/x)" \
        '/proc/sys/kernel/core_pattern
/sys/class/net/host0/mtu
/run/x
/var/lib/x'
is "what it works with can" "$(writes "$core" /var/lib/freezed/x /run/freezed/x /sys/fs/cgroup/cgroup.procs)" '/var/lib/freezed/x
/run/freezed/x
/sys/fs/cgroup/cgroup.procs'
exposure=$(vm_run host systemd-analyze security --no-pager freezed.service freezed-gate.service </dev/null |
        sed -n 's/.*exposure level for \(.*\): \([0-9.]*\) .*/\1 \2/p')
echo "# systemd-analyze security: ${exposure//$'\n'/, }"
# a tenth of it is ProtectClock=, which would keep the core from asking whether the clock is synchronised; it cannot set one, says 020
is "systemd's own audit of the units finds no more open than is known" \
        "$(awk '$2 > ($1 == "freezed.service" ? 5.1 : 1) || n++ > 1; END { if (n != 2) print n }' <<<"$exposure")" ""
done_testing
