# SPDX-License-Identifier: Apache-2.0
# ExecReload= is a process in the service's cgroup, and the thaw of it before systemd 256.
timeout 10 systemctl reload "$UNIT"
