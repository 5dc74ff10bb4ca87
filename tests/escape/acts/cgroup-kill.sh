# SPDX-License-Identifier: Apache-2.0
# One write that ends all of its processes.
echo 1 >"$CGROUP/cgroup.kill"
