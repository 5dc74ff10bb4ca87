# SPDX-License-Identifier: Apache-2.0
# A memory limit under what it uses.
[ -e "$CGROUP/memory.max" ] || { echo "no memory controller here"; exit 77; }
echo 0 >"$CGROUP/memory.max"
