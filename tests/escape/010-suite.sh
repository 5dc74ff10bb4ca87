#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 010-suite.sh B [ROUTE...]: every route of routes.table is tried against a service that is contained and one that is isolated. A route
# that got out, had something run or killed is a failure, unless the receipt, the status or health had named it beforehand. What the
# peers do on the same routes is in packaging/doc/escape.md, which `make escape` writes.
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

try() {
        local name outcome detail said
        escape_box "$B" "$1" || { not_ok "a box for $1"; return; }
        while IFS=$'\t' read -r name outcome detail said; do
                case $outcome in
                blocked | repaired | gap) ok "$1, $name: $outcome${detail:+: $detail}" ;;
                impossible) skip "$1, $name" "$detail" ;;
                -) ;;
                *) not_ok "$1, $name: $outcome: $detail" "${said:+it said: $said}" ;;
                esac
        done < <(escape_drive "$@")
        box_remove "$1"
}

escape_build "$B" || exit
try contain "$@"
try isolate "$@"
done_testing
