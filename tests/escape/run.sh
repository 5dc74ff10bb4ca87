#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh B [DIR]: the escape suite as a table: every route against freezed and its peers on this machine's kernel, in boxes, and against
# freezed on the kernel of the test VM. Writes packaging/doc/escape.md. DIR keeps what each run said, and what is there already is not
# run again.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=$(realpath "${1:?usage: run.sh BUILD [DIR]}")
if [ "$(id -u)" -ne 0 ]; then exec sudo --preserve-env=FREEZED_CACHE "$0" "$@"; fi
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/escape/lib.sh
. tests/escape/lib.sh
DIR=${2:-$B/escape-run}
HERE=(contain isolate systemctl-freeze IPAddressDeny nft crun-pause)
VM=(contain isolate)

say() { printf '  %-8s %s\n' ESCAPE "$1"; }
kept() { [ -s "$DIR/$1" ]; }
keep() { mv "$DIR/$1.new" "$DIR/$1"; }

mkdir -p "$DIR" && escape_build "$B" || exit
for product in "${HERE[@]}"; do
        kept "here.$product" && continue
        say "$product, kernel $(uname -r)"
        escape_box "$B" host >/dev/null 2>&1 && escape_drive host "$product" >"$DIR/here.$product.new" && keep "here.$product" || exit
        box_remove host
done
uname -r >"$DIR/here.kernel"
if why=$(vm_missing); then
        say "no VM: $why"
else
        for product in "${VM[@]}"; do
                kept "vm.$product" && continue
                say "$product, in the VM"
                escape_vm "$B" host >/dev/null 2>&1 && vm_run host uname -r </dev/null >"$DIR/vm.kernel" &&
                        escape_drive_vm host "$product" >"$DIR/vm.$product.new" && keep "vm.$product" || exit
                vm_remove host
        done
fi
date +%F >"$DIR/date"
tests/escape/table.py "$DIR" >packaging/doc/escape.md && say "packaging/doc/escape.md"
