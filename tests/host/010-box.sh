#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The host in a box itself: what the other suites prove in it is worth as much as this.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

rootfs_path >/dev/null || exit
start=${EPOCHREALTIME/./}
box_create one && box_boot one || exit
ms=$(((${EPOCHREALTIME/./} - start) / 1000))
echo "# created and booted in $ms ms"
if [ "$ms" -lt 10000 ]; then ok "a box boots within ten seconds"; else not_ok "a box boots within ten seconds" "$ms ms"; fi

is "PID 1 is systemd" "$(box_run one cat /proc/1/comm)" systemd
is "no unit has failed" "$(box_run one systemctl --failed --plain --no-legend)" ""
is "cgroup2 is the only hierarchy" "$(box_run one stat -fc %T /sys/fs/cgroup)" cgroup2fs
is "bpffs is mounted before anything else runs" "$(box_run one stat -fc %T /sys/fs/bpf)" bpf_fs
is "it has a name of its own" "$(box_run one hostname)" one
is "it has no way out of this machine" "$(box_run one ip route show default)" ""

box_run one sh -c 'exit 7'
is "a command's exit status comes back" $? 7
is "its arguments arrive as they are" "$(box_run one printf '%s|' 'a b' '' '$HOME' '*')" 'a b||$HOME|*|'
is "its input arrives" "$(echo hello | box_run one cat)" hello
is "nothing of this machine's environment is in it" "$(FREEZED_SECRET=1 box_run one env | grep -c FREEZED)" 0
like "it runs outside every unit" "$(box_run one cat /proc/self/cgroup)" '0::/box-run$'

check "it is connected to the outside" box_net one
check "the beacon streams to a listener outside" box_beacon one
box_listen one socat -u 'TCP6-LISTEN:7001,bind=[fd77::1],reuseaddr' "CREATE:$(box_root one)/six"
box_until 60 box_outside one sh -c 'ss -Hltn sport = :7001 | grep -q .'
box_sh one 'bash -c "echo six >/dev/tcp/fd77::1/7001"'
check "IPv6 gets there too" box_until 60 grep -q six "$(box_root one)/six"
said() { box_run one journalctl -q -u beacon -o cat | grep streaming; }
check "what a service says is in the journal" box_until 60 said

box_run one systemctl freeze beacon.service
is "systemctl freeze freezes, says the kernel" "$(grep frozen "$(box_cgroup one)/system.slice/beacon.service/cgroup.events")" "frozen 1"
before=$(box_beats one)/$(box_sunk one)
sleep 0.3
is "a frozen beacon neither beats nor streams" "$(box_beats one)/$(box_sunk one)" "$before"
box_run one systemctl thaw beacon.service
beats_again() { [ "$(box_beats one)" -gt "${before%/*}" ] && [ "$(box_sunk one)" -gt "${before#*/}" ]; }
check "a thawed one does both again" box_until 60 beats_again

# a cgroup program of systemd's own: what attaching needs is there
box_run one systemctl set-property --runtime beacon.service IPAddressDeny=any
silent() { local n; n=$(box_sunk one); sleep 0.3; [ "$(box_sunk one)" = "$n" ]; }
check "cgroup BPF programs take effect in it" box_until 60 silent
box_run one systemctl set-property --runtime beacon.service IPAddressDeny=

box_create two && box_boot two
box_net two
is "a second box does not see the first one's processes" "$(box_run two sh -c 'grep -l beacon /proc/[0-9]*/comm')" ""
refute "nor its listener" box_sh two 'timeout 2 bash -c "echo >/dev/tcp/10.77.0.1/7000"'

boot_id=$(box_run one cat /proc/sys/kernel/random/boot_id)
box_run one systemctl -q enable beacon.service
box_sh one 'echo kept >/root/file'
check "it shuts down in order" box_halt one
refute "then nothing runs in it" box_run one true
check "and boots again" box_boot one
is "with what was on its disk" "$(box_run one cat /root/file)" kept
if [ "$(box_run one cat /proc/sys/kernel/random/boot_id)" != "$boot_id" ]; then ok "with another boot id"; else not_ok "with another boot id"; fi
sunk=$(box_sunk one)
streams_again() { [ "$(box_sunk one)" -gt "$sunk" ]; }
check "and with its connection to the same listener" box_until 60 streams_again

box_run one systemctl freeze beacon.service
check "a crash ends even what is frozen" box_crash one
check "after which it boots" box_boot one

dir=$(box_dir one) cgroup=$(box_cgroup one) ns=$(cat "$dir/netns") sink=$BOX_PID
box_remove one
refute "removed, its disk is gone" test -e "$dir"
refute "and its mount" grep -q "$dir" /proc/self/mountinfo
refute "and its cgroup" test -e "$cgroup"
refute "and its network" ip netns exec "$ns" true
refute "and what ran outside for it" test -d "/proc/$sink"
check "the other one still runs" box_run two true

# A script that is killed cannot clean up. Its hosts die with it; the next script removes what is left.
{ bash -c '. tests/lib/box.sh; box_create orphan && box_boot orphan && box_net orphan && box_dir orphan && kill -KILL $$' >"$(box_dir two)/orphan"; } 2>/dev/null
dir=$(cat "$(box_dir two)/orphan")
ns=$(cat "$dir/netns") nspawn=$(cat "$dir/nspawn")
dead() { [ ! -d "/proc/$nspawn" ] || grep -q '^State:.*zombie' "/proc/$nspawn/status"; }
check "a box ends with the script that booted it" box_until 60 dead
box_sweep
refute "and is swept away by the next script" test -e "$dir"
refute "with its network" ip netns exec "$ns" true

done_testing
