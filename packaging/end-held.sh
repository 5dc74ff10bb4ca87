#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Ends what is held, because the host goes down: see freezed-shutdown.service. What is frozen is killed by the kernel, cgroup by cgroup
# and all at once: a frozen task dies frozen, so that not one instruction of it is run. What is isolated only runs, and is told to end as
# systemd would tell it, which leaves that to us. Where
# BPF LSM keeps what is frozen from being killed, it neither ends nor runs, and nobody waits for it.
set -u
WAIT_S=10
ROOT=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)

# systemd says "stopping" when it is on its way to shutdown.target, and never otherwise
[ "$(systemctl is-system-running)" = stopping ] || exit 0
# read by the core (agent/core/latecomer.h)
touch /run/freezed/going-down

# held WHAT: the cgroups with that pin. A pin is PINS/HOLD/CGROUP_WHAT, with the cgroup's id in hex, which is its directory's inode. The
# root has one when the host is held, and everybody is in it: systemd, the core and this.
held() {
        for pin in /sys/fs/bpf/freezed/*/*_"$1"; do
                id=${pin##*/}
                [ "$id" = "*_$1" ] || find "$ROOT" -mindepth 1 -type d -inum "$((0x${id%_*}))"
        done | sort -u
}

frozen=$(held freeze)
for cgroup in $frozen; do
        echo 1 >"$cgroup/cgroup.kill"
done

isolated=$(held egress | grep -vxF -e "$frozen" -e '')
for cgroup in $isolated; do
        find "$cgroup" -name cgroup.procs -exec cat {} + | xargs -r kill -TERM
done
for cgroup in $isolated; do
        while grep -q '^populated 1' "$cgroup/cgroup.events" && [ "$WAIT_S" -gt 0 ]; do
                WAIT_S=$((WAIT_S - 1))
                sleep 1
        done
        echo 1 >"$cgroup/cgroup.kill"
done
