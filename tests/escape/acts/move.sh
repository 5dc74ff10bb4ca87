# SPDX-License-Identifier: Apache-2.0
# Root outside moves its processes into a cgroup that nobody holds.
mkdir -p "/sys/fs/cgroup/elsewhere-$N"
for pid in $PIDS; do echo "$pid" >"/sys/fs/cgroup/elsewhere-$N/cgroup.procs"; done
