# SPDX-License-Identifier: Apache-2.0
# The file system of the pins is unmounted.
umount -l /sys/fs/bpf
