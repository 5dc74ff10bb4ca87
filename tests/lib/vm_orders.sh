# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# Giving orders to a host in a VM and looking at what they did: orders.sh for VMs. Sourced after vm.sh; the VM is called "host".
#
#   vm_orders_create B          makes it with what is built under B and with vm_spam.c; not on yet
#   vm_unit NAME.service LINE...   adds a unit to it and enables it; before its first boot
#   vm_orders_boot [KERNEL-ARG...]   boots it, makes keys and enrols: alice and bob are responders, robot is automation
#   vm_heard MARK [BOOT]        prints how often MARK was on the cable since the VM was switched on for the BOOTth time (see vm_packets)
#   vm_hears MARK               it is on the cable now, or within a minute
#   vm_silent MARK...           for one second nothing of these is on the cable; says which is
#   vm_cgroup UNIT FILE         prints that file of the unit's cgroup; fails when it has no cgroup
#   vm_programs UNIT            prints how many of the agent's programs are in force on the unit's cgroup
#   vm_status                   asks; REPORT is the answer, as JSON, empty when it is not verified
#   vm_hold ID FILTER           what jq finds in REPORT's hold ID; a list as words
#   order, order_send, order_file, receipt, ANSWER, ID, RECEIPT     as in orders.sh

# shellcheck source=tests/lib/orders.sh
. "$BOX_LIB/orders.sh"

# what orders.sh asks of its box
box_run() {
        vm_run "$@"
}

vm_orders_create() {
        vm_create host && vm_install host "$1" >/dev/null 2>&1 &&
                gcc -O2 -Wall -Wextra -Werror -static -o "$(vm_root host)/usr/local/bin/vm_spam" "$BOX_LIB/vm_spam.c" || return
        # somebody to talk to: what nobody takes is answered by a kernel, and that is traffic as well
        vm_listen host socat -u UDP4-RECV:7000 OPEN:/dev/null
        vm_listen host socat -u TCP4-LISTEN:7001,fork,reuseaddr OPEN:/dev/null
}

vm_unit() {
        local name=$1 root
        root=$(vm_root host)
        shift
        printf '%s\n' "$@" >"$root/etc/systemd/system/$name"
        systemctl -q --root="$root" enable "$name"
}

vm_orders_boot() {
        vm_boot host "$@" && vm_sh host 'cd /root && for k in alice alice2 bob robot; do ssh-keygen -q -t ed25519 -N "" -f $k || exit; done &&
                freezectl trust init --fleet test --responder alice=alice.pub --person alice=alice2.pub --responder bob=bob.pub \
                        --automation robot=robot.pub --recipient '"$AGE_RECIPIENT"' --key alice --key bob --out trust.json && freezectl enroll trust.json' \
                </dev/null >/dev/null || return
        box_until 60 vm_run host freezectl health </dev/null
}

vm_heard() {
        grep -ao "$1" "$(vm_capture host "${2:-}")" | wc -l
}

vm_has_heard() {
        [ "$(vm_heard "$1")" -gt "$2" ]
}

vm_hears() {
        box_until 60 vm_has_heard "$1" "$(vm_heard "$1")"
}

vm_silent() {
        local mark silent=0
        local -A before=()
        for mark in "$@"; do
                before[$mark]=$(vm_heard "$mark")
        done
        sleep 1
        for mark in "$@"; do
                [ "$(vm_heard "$mark")" = "${before[$mark]}" ] || { echo "$mark is heard"; silent=1; }
        done
        return "$silent"
}

vm_cgroup() {
        # shellcheck disable=SC2016
        vm_sh host 'path=$(systemctl show -P ControlGroup "$1") && [ -n "$path" ] && cat "/sys/fs/cgroup$path/$2"' "$1" "$2" </dev/null
}

vm_programs() {
        # shellcheck disable=SC2016
        vm_sh host 'path=$(systemctl show -P ControlGroup "$1") && [ -n "$path" ] && bpftool cgroup show "/sys/fs/cgroup$path"' "$1" \
                </dev/null | grep -c ' isolate_'
}

vm_status() {
        REPORT=$(vm_run host freezectl status --json </dev/null 2>/dev/null | jq -R -c 'fromjson? | select(.report) | .report' | tail -n 1)
}

vm_hold() {
        jq -r --arg id "$1" ".holds[] | select(.id == \$id) | $2 | if type == \"array\" then join(\" \") else . end" <<<"$REPORT"
}
