# SPDX-License-Identifier: Apache-2.0
# One write to its cgroup.
echo 0 >"$CGROUP/cgroup.freeze"
