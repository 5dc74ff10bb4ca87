#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A kernel of our own, 6.1 with BPF LSM, and a real systemd on it that is not in a container: the VM itself, and the core on it.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

B=$1
if why=$(vm_missing); then
        echo "skip - the core on a kernel of its own # $why"
        exit 0
fi
echo "# kernel $(cat "$(kernel_path)/origin")"
start=${EPOCHREALTIME/./}
vm_create host && vm_install host "$B" >/dev/null && vm_boot host || exit
echo "# created and booted in $(((${EPOCHREALTIME/./} - start) / 1000)) ms"

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
check "what comes to it is seen on its cable" on_cable ' udp 10\.77\.0\.1:[0-9]* > 10\.77\.0\.2:9 - 6$'
check "and what it sends" box_until 5 on_cable ' icmp 10\.77\.0\.2 > 10\.77\.0\.1 '
done_testing
