#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 010-suite.sh B [ROUTE...]: the routes of routes.table that can be tried together are tried against a service that is contained and one
# that is isolated. A route that got out, had something run or killed is a failure, unless the receipt, the status or health has named it.
# `make escape` tries the others too, and the peers, and writes packaging/doc/escape.md.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 010-suite.sh BUILD [ROUTE...]}
shift
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/escape/lib.sh
. tests/escape/lib.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

# with routes named, those, whatever they are
[ $# -gt 0 ] || export ESCAPE_TOGETHER=1

judge() {
        local product=$1 name outcome detail said n=0
        while IFS=$'\t' read -r name outcome detail said; do
                n=$((n + 1))
                case $outcome in
                blocked | repaired | gap) ok "$product, $name: $outcome${detail:+: $detail}" ;;
                impossible) skip "$product, $name" "$detail" ;;
                -) ;;
                *) not_ok "$product, $name: $outcome: $detail" "${said:+it said: $said}" ;;
                esac
        done <"$(box_dir "$product")/results"
        [ "$n" -gt 0 ] || not_ok "$product: the routes were tried"
}

escape_build "$B" && escape_box "$B" contain && escape_box "$B" isolate || exit
for product in contain isolate; do
        escape_drive "$product" "$product" "$@" >"$(box_dir "$product")/results" &
        driving+=($!)
done
wait "${driving[@]}"
judge contain
judge isolate
done_testing
