# SPDX-License-Identifier: Apache-2.0
# The agent's own cgroup is frozen, and the service thawed.
echo 1 >/sys/fs/cgroup/freezed.slice/cgroup.freeze
echo 0 >"$CGROUP/cgroup.freeze"
sleep 1
echo 0 >/sys/fs/cgroup/freezed.slice/cgroup.freeze
