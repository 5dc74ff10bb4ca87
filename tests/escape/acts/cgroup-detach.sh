# SPDX-License-Identifier: Apache-2.0
# Every program on its cgroup is detached by name.
"$BIN/bpftool" cgroup show "$CGROUP" | awk 'NR > 1 { print $1, $2 }' | while read -r id type; do
        "$BIN/bpftool" cgroup detach "$CGROUP" "$type" id "$id"
done
