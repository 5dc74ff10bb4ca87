# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Test VM: a disposable Debian 12 with a kernel, a disk and a power switch of its own, for what a box cannot show: another kernel,
# BPF LSM, reboot and power cut. Emulated (TCG): it boots in about ten seconds, and what runs in it takes some ten times as long as
# here. One at a time on a machine: a second script waits for the first. Sourced by suites, which have to be run by bash as root;
# brings box.sh with it.
#
#   vm_missing                     prints why no VM can run on this machine; fails when one can
#   vm_or_skip SENTENCE            skips the whole suite where none can; SENTENCE is what it would have tried
#   vm_create NAME                 makes its network and the tree that its disk will have; nothing runs yet
#   vm_install NAME B              installs what is built under B in it; before its first boot
#   vm_put NAME FROM PATH [MODE]   copies a file, or a directory with all in it, into it; before or after booting
#   vm_get NAME PATH TO            copies a file or a directory out of it to the path TO; while it runs
#   vm_root NAME                   prints the path of the tree that becomes its disk at its first boot
#   vm_boot NAME [KERNEL-ARG...]   switches it on and returns when systemd says that it is up; also after vm_halt or vm_cut
#   vm_power NAME [KERNEL-ARG...]  switches it on and returns at once
#   vm_wait NAME                   waits until systemd says that it is up
#   vm_run NAME CMD ARG...         runs a command in it as root with a clean environment, stdin and all; its exit status is the
#                                  command's, 255 when the VM goes meanwhile. What it leaves in the background and keeps its
#                                  output open is not waited for longer than three seconds. Needs no network of the VM
#   vm_sh NAME 'SCRIPT' ARG...     the same through a shell in it; ARG are $1...
#   vm_outside NAME CMD ARG...     runs a command in the network namespace at the other end of its cable: 10.77.0.1 and fd77::1 on
#                                  outside0; the VM has 10.77.0.2/24 and fd77::2/64 on host0
#   vm_listen NAME CMD ARG...      starts a command there that stays until the VM is removed, reboots included; its pid is in BOX_PID
#   vm_packets NAME [BOOT]         prints every packet that was on the cable, sent and received, one a line (see pcap.py), since it
#                                  was switched on for the BOOTth time (1 is the first), by default since it last was
#   vm_capture NAME [BOOT]         prints the path of that capture
#   vm_boots NAME                  prints how often it has been switched on
#   vm_down NAME                   waits until it has switched itself off or wants to reboot. VM_DOWN_MS is how long that took
#   vm_halt NAME                   shuts it down in order
#   vm_reboot NAME [KERNEL-ARG...] reboots it in order and returns when it is up again
#   vm_cut NAME                    a power cut: what it has not written by now it never will
#   vm_console NAME                prints what it said on its serial console since it was last switched on
#   vm_remove NAME                 ends it and removes everything of it
#
# box_at_exit works as for boxes, and every VM is removed when the script that made it ends, however it ends. vm_power, vm_boot and
# vm_reboot have to be called by the script itself and not in a subshell: qemu ends with the process that started it.

# shellcheck source=tests/lib/box.sh
. "$(dirname "${BASH_SOURCE[0]}")/box.sh"
# shellcheck source=tests/lib/kernel.sh
. "$BOX_LIB/kernel.sh"

VM_BOOT_TIMEOUT=400
VM_DOWN_TIMEOUT=240
VM_CALL_TIMEOUT=240
VM_PORTS=4
VM_MEMORY=768
VM_DISK=3G
VM_MAC=52:54:00:77:00:02

vm_missing() {
        if [ "$(uname -m)" != x86_64 ]; then
                echo "the test VM is an amd64 one"
        elif ! command -v qemu-system-x86_64 >/dev/null; then
                echo "qemu-system-x86_64 is not there"
        elif [ ! -c /dev/net/tun ]; then
                echo "/dev/net/tun is not there"
        elif ! kernel_path >/dev/null 2>&1; then
                echo "no kernel for it could be fetched"
        else
                return 1
        fi
}

vm_or_skip() {
        local why
        why=$(vm_missing) || return 0
        echo "skip - $1 # $why"
        exit 0
}

# The lock is this script's until it ends, with all that it starts and leaves.
vm_create() {
        local name=$1 kernel root dir version
        if [ -z "${VM_LOCK:-}" ]; then
                mkdir -p "$FREEZED_CACHE" && exec {VM_LOCK}>"$FREEZED_CACHE/vm.lock" && flock "$VM_LOCK" || return
        fi
        kernel=$(kernel_path) && box_create "$name" && box_net "$name" || return
        dir=$(box_dir "$name")
        root=$(vm_root "$name")
        version=$(cat "$kernel/version")
        ln -s "$kernel" "$dir/kernel"
        echo 0 >"$dir/boots"
        mkdir -p "$root/lib/modules" && cp -r "$kernel/lib/modules/$version" "$root/lib/modules/" || return
        vm_furnish "$root"
        ip -n "$(cat "$dir/netns")" tuntap add outside0 mode tap &&
                ip -n "$(cat "$dir/netns")" address add 10.77.0.1/24 dev outside0 &&
                ip -n "$(cat "$dir/netns")" address add fd77::1/64 dev outside0 nodad &&
                ip -n "$(cat "$dir/netns")" link set outside0 up
}

# What makes a disk of a box's tree: a network, the command channel, and no login prompt on the serial line, which would take longer than all
# the rest.
vm_furnish() {
        local root=$1
        install -D -m 0755 "$BOX_LIB/vm_shell.py" "$root/usr/local/sbin/vm-shell"
        install -D -m 0644 "$BOX_LIB/vm-shell.service" "$root/etc/systemd/system/vm-shell.service"
        printf '[Match]\nMACAddress=%s\n[Link]\nName=host0\n' "$VM_MAC" >"$root/etc/systemd/network/10-host0.link"
        printf '%s\n' '[Match]' Name=host0 '[Network]' IPv6AcceptRA=no LinkLocalAddressing=no Address=10.77.0.2/24 \
                '[Address]' Address=fd77::2/64 DuplicateAddressDetection=none >"$root/etc/systemd/network/10-host0.network"
        systemctl -q --root="$root" mask serial-getty@ttyS0.service getty@tty1.service systemd-networkd-wait-online.service
        systemctl -q --root="$root" disable box-bpffs.service
        systemctl -q --root="$root" enable vm-shell.service systemd-networkd.service
}

vm_root() {
        box_root "$1"
}

vm_install() {
        box_install "$1" "$2"
}

vm_is_on() {
        local pid
        read -r pid 2>/dev/null <"$(box_dir "$1")/qemu" && [ -d "/proc/$pid" ]
}

vm_is_off() {
        ! vm_is_on "$1"
}

vm_boots() {
        cat "$(box_dir "$1")/boots"
}

vm_make_disk() {
        local dir
        dir=$(box_dir "$1")
        [ ! -e "$dir/disk" ] || return 0
        truncate -s "$VM_DISK" "$dir/disk.new" && mke2fs -q -t ext4 -d "$dir/root" "$dir/disk.new" && mv "$dir/disk.new" "$dir/disk"
}

# panic=-1 with -no-reboot: who reboots or panics switches itself off, and each boot is a qemu and a capture of its own. Without
# no_timer_check the kernel panics when this machine is too busy to give it its timer's ticks in time. thread=single: with a thread for
# each processor qemu 7.2 may go on executing the breakpoint that a kernel which patches its code (as to attach BPF LSM) has taken away
# again, for ever: some boot in thirty, at twice the speed.
vm_power() {
        local name=$1 dir boot i
        local -a qemu
        dir=$(box_dir "$name")
        shift
        vm_is_off "$name" || box_fail "$name is on" || return
        vm_make_disk "$name" || return
        boot=$(($(vm_boots "$name") + 1))
        echo "$boot" >"$dir/boots"
        qemu=(qemu-system-x86_64 -accel tcg,thread=single -machine q35 -cpu max -smp 2 -m "$VM_MEMORY"
                -nodefaults -no-user-config -display none -no-reboot
                -kernel "$dir/kernel/vmlinuz" -initrd "$dir/kernel/initrd" -serial "file:$dir/console"
                -append "console=ttyS0 loglevel=5 panic=-1 no_timer_check mitigations=off systemd.show_status=no $*"
                -drive "file=$dir/disk,format=raw,if=virtio"
                -netdev tap,id=net,ifname=outside0,script=no,downscript=no,vnet_hdr=off
                -device "virtio-net-pci,netdev=net,mac=$VM_MAC" -object "filter-dump,id=dump,netdev=net,file=$(vm_capture "$name")"
                -device virtio-rng-pci -device virtio-serial-pci)
        for ((i = 0; i < VM_PORTS; i++)); do
                qemu+=(-chardev "socket,id=port$i,path=$dir/port$i,server=on,wait=off" -device "virtserialport,chardev=port$i")
        done
        ip netns exec "$(cat "$dir/netns")" setpriv --pdeathsig KILL "${qemu[@]}" </dev/null >"$dir/qemu.log" 2>&1 &
        echo $! >"$dir/qemu"
        disown
}

vm_call() {
        local dir seconds=$2 i
        local -a ports=()
        dir=$(box_dir "$1")
        shift 2
        for ((i = 0; i < VM_PORTS; i++)); do
                ports+=("$dir/port$i")
        done
        python3 -IS "$BOX_LIB/vm_shell.py" call "$seconds" "$@" -- "${ports[@]}"
}

vm_run() {
        local name=$1
        shift
        vm_is_on "$name" || { box_fail "$name is not on"; return 255; }
        vm_call "$name" "$VM_CALL_TIMEOUT" "$@"
}

vm_sh() {
        local name=$1 script=$2
        shift 2
        vm_run "$name" sh -c "$script" sh "$@"
}

vm_wait() {
        local said='' end=$((SECONDS + VM_BOOT_TIMEOUT))
        while [ -z "$said" ] && vm_is_on "$1" && [ "$SECONDS" -lt "$end" ]; do
                said=$(vm_call "$1" 10 systemctl is-system-running --wait </dev/null)
        done
        case $said in
                running | degraded) ;;
                *)
                        vm_console "$1" >&2
                        cat "$(box_dir "$1")/qemu.log" >&2
                        box_fail "$1 did not boot: ${said:-no answer}"
                        ;;
        esac
}

vm_boot() {
        vm_power "$@" && vm_wait "$1"
}

vm_down() {
        local start=${EPOCHREALTIME/./}
        if ! box_until "$VM_DOWN_TIMEOUT" vm_is_off "$1"; then
                vm_console "$1" >&2
                box_fail "$1 does not go down"
                return
        fi
        # shellcheck disable=SC2034
        VM_DOWN_MS=$(((${EPOCHREALTIME/./} - start) / 1000))
}

vm_halt() {
        vm_run "$1" systemctl poweroff --no-block </dev/null
        vm_down "$1"
}

vm_reboot() {
        vm_run "$1" systemctl reboot --no-block </dev/null
        vm_down "$1" && vm_boot "$@"
}

vm_cut() {
        local pid
        read -r pid <"$(box_dir "$1")/qemu" && kill -KILL "$pid"
        box_until 60 vm_is_off "$1"
}

vm_put() {
        local name=$1 from=$2 to=$3
        if vm_is_on "$name"; then
                tar -C "$(dirname "$from")" --transform "s|^$(basename "$from")|.$to|" -c "$(basename "$from")" |
                        vm_run "$name" tar -C / --no-same-owner -x || return
                [ -z "${4:-}" ] || vm_run "$name" chmod "$4" "$to" </dev/null
        elif [ -d "$from" ]; then
                mkdir -p "$(vm_root "$name")$to" && cp -a --no-preserve=ownership "$from/." "$(vm_root "$name")$to"
        else
                box_put "$name" "$from" "$to" "${4:-0644}"
        fi
}

vm_get() {
        local to
        to=$(realpath -m "$3") && mkdir -p "${to%/*}" || return
        vm_run "$1" tar -C "$(dirname "$2")" -c "$(basename "$2")" </dev/null |
                tar -C / --no-same-owner --transform "s|^$(basename "$2")|.$to|" -x
}

vm_outside() {
        box_outside "$@"
}

vm_listen() {
        box_listen "$@"
}

vm_capture() {
        echo "$(box_dir "$1")/boot.${2:-$(vm_boots "$1")}.pcap"
}

vm_packets() {
        python3 -IS "$BOX_LIB/pcap.py" "$(vm_capture "$@")"
}

vm_console() {
        cat "$(box_dir "$1")/console"
}

vm_remove() {
        vm_is_off "$1" || vm_cut "$1"
        box_remove "$1"
}
