# SPDX-License-Identifier: Apache-2.0
# The agent is stopped by signal, and the service thawed while nobody looks.
pid=$(systemctl show -P MainPID freezed.service)
kill -STOP "$pid"
echo 0 >"$CGROUP/cgroup.freeze"
sleep 1
kill -CONT "$pid"
