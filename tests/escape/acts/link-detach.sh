# SPDX-License-Identifier: Apache-2.0
# Every BPF link of the product is detached by force.
"$BIN/bpftool" link show pinned /sys/fs/bpf/none >/dev/null 2>&1 || true
for pin in $(find /sys/fs/bpf/freezed -type f -path "*$HOLD*"); do "$BIN/bpftool" link detach pinned "$pin" || true; done
