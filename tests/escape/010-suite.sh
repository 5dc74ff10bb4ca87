#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 010-suite.sh B [ROUTE...]: one route of routes.table for each way that a hold has to stop it, or the named ones, against services that are
# contained and ones that are isolated. A failure is a route that got out, had something run or killed and was not named, and on a kernel
# like that of packaging/doc/escape.md one that came further than it says. `make escape` tries all of them, and the peers, and writes that
# table.
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

ROUTES=(tcp4 udp6 ping4 raw4 hdrincl6 mptcp tcp4-before udp4-connected raw4-before tcp-server listen-backlog tcp-repair
        udp-inherited raw-inherited tcp-hoarded ping-inherited scm-in-udp scm-out-udp pidfd-getfd socket-activated-tcp
        queued-tcp queued-inherited queued-orphans sendfile io-uring-timers
        packet-raw packet-bypass-new packet-ring xdp reflect-tc sockmap join-igmp tun proxy-tcp proxy-unix proxy-file
        move-self move-clone move-below signal-kill kill-unit restart stop-start restart-always reload socket-activation
        thaw-cgroup thaw-systemd move-outside ptrace enter link-detach map-edit)
[ $# -gt 0 ] || set -- "${ROUTES[@]}"

# expected PRODUCT ROUTE: what the table has of it; nothing when it is of another kernel
expected() {
        grep -q "kernel $(uname -r | cut -d. -f1-2)\." packaging/doc/escape.md || return
        awk -F ' *[|] *' -v product="freezed $1" -v route="$2" '
                $2 == "route" { for (i = 3; i < NF; i++) if ($i == product) column = i }
                $2 == route && column { print $column; exit }' packaging/doc/escape.md
}

# How far it got. Between blocked and repaired there is but luck: what root outside undid was put back before anything showed, or after.
# So there is between blocked and what the kernel repeats whenever its timers say so.
rank() {
        case $1 in
        blocked* | repaired* | "gap: kernel-packets"*) echo 0 ;;
        gap*) echo 1 ;;
        *escaped*) echo 2 ;;
        *) echo 3 ;;
        esac
}

judge() {
        local product=$1 name outcome detail said was n=0
        while IFS=$'\t' read -r name outcome detail said; do
                n=$((n + 1))
                was=$(expected "$product" "$name")
                if [ "$outcome" = - ]; then
                        continue
                elif [[ $outcome == impossible && ($detail != "no hold"* || $was == "no hold") ]]; then
                        skip "$product, $name" "$detail"
                elif [[ $outcome == blocked || $outcome == repaired || $outcome == gap ]] && [ "$(rank "$outcome: $detail")" -le "$(rank "$was")" ]; then
                        ok "$product, $name: $outcome: $detail"
                else
                        not_ok "$product, $name: $outcome: $detail" "the table has: $was"$'\n'"it said: $said"
                fi
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
