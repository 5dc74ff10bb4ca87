#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# shell.sh B [KERNEL-ARG...]: a shell in a fresh test VM in which what is built under B is installed, for people. Line by line and without a
# terminal: its commands go through the same channel as those of a suite. The VM is gone when it ends.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh

B=$(realpath "${1:?usage: shell.sh BUILD [KERNEL-ARG...]}")
shift
! vm_missing >&2 || exit 1
vm_create host && vm_install host "$B" >/dev/null && vm_boot host "$@" || exit
echo "Its disk, console and captures are in $(box_dir host). ^D ends it." >&2
vm_run host bash -i
