# SPDX-License-Identifier: Apache-2.0
# An empty bpffs is mounted over the one with the pins.
mount -t bpf bpf /sys/fs/bpf
