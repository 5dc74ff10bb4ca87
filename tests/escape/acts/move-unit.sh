# SPDX-License-Identifier: Apache-2.0
# Root outside moves its processes into another running unit.
systemd-run --quiet --collect --unit="esc-haven-$N" sleep 10
for pid in $PIDS; do echo "$pid" >"/sys/fs/cgroup/system.slice/esc-haven-$N.service/cgroup.procs"; done
