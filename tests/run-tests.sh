#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run-tests.sh B [BUILD...]: runs every suite there is against what was built under B, in the order in which a failure says most. BUILD is a
# command that builds what emulated machines do not need: they begin before it.
#
# A suite is a program that prints TAP: `ok N - sentence`, `not ok N - sentence`, `ok N - sentence # SKIP reason` or `skip - reason`, and
# cmocka's dialect of it. Each suite gets one line here; of a failed one all is shown but the cases that passed; what was skipped is
# listed with its reason. The last line is `N passed, N failed, N skipped`, and the exit status is 0 only when nothing failed.
#
# What is a failure although no case says so: a suite that ends with an error or before its plan, that runs longer than SUITE_TIMEOUT,
# that tests nothing, that leaves something behind, or that needs root and skips all it has.
set -u
cd "$(dirname "$0")/.." || exit 1

# Most suites need root. All run as the same user, so that what one leaves is not in the way of the other.
[ "$(id -u)" -eq 0 ] || exec sudo --preserve-env=FREEZED_CACHE "$0" "$@"

B=$(realpath "${1:?usage: run-tests.sh BUILD}")
shift
# only against a suite that hangs: the fault sweep alone takes minutes on a busy machine
SUITE_TIMEOUT=1800
export CMOCKA_MESSAGE_OUTPUT=TAP
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
unset MAKEFLAGS MAKELEVEL MFLAGS

passed=0 failed=0 skipped=0
tmp=$(mktemp -d)

# timeout hands the signal on to the suite and everything it started, whose own traps then clean up
end() {
        [ -z "$1" ] || { kill -TERM "$1" && wait "$1"; } 2>/dev/null
}

finish() {
        local status=$? lane
        trap '' INT TERM HUP
        for lane in $(jobs -pr); do end "$lane"; done
        rm -rf "$tmp"
        exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# count FILE: ok, failed, skipped, and how many there should be if the suite says so
count() {
        awk '
                /^not ok [0-9]+ # SKIP/ || /^ok [0-9]+.*# SKIP/ || /^skip - / { skip++; next }
                /^not ok/ { bad++; next }
                /^ok/ { good++; next }
                /^1\.\.[0-9]+/ { plan += substr($0, 4) }
                END { print good + 0, bad + 0, skip + 0, plan + 0 }' "$1"
}

show_skips() {
        awk -v suite="$1" '
                /^skip: / { why = substr($0, 7); next }
                /^skip - / { printf "  SKIP     %s: %s\n", suite, substr($0, 8); next }
                /# SKIP/ {
                        what = $0; reason = $0
                        sub(/^(not )?ok [0-9]+ ?(- )?/, "", what); sub(/ ?# SKIP.*/, "", what); sub(/.*# SKIP ?/, "", reason)
                        # cmocka puts the name where the reason should be; the reason is what the case printed before
                        if (what == "") { what = reason; reason = why }
                        printf "  SKIP     %s: %s (%s)\n", suite, what, reason != "" ? reason : "no reason given"
                }
                { why = "" }' "$2"
}

# The cgroups of unit tests that are no more, in every hierarchy: their names end in the test's pid.
stale_cgroups() {
        local dir pid
        for dir in /sys/fs/cgroup/{,*/}{freezed-unit-,freezed-test-,frzj}[0-9]*; do
                pid=${dir##*/}
                pid=${pid//[!0-9]/}
                [ ! -d "$dir" ] || [ -d "/proc/$pid" ] || echo "$dir"
        done
}

remove_cgroup() {
        [ ! -e "$1/cgroup.kill" ] || echo 1 >"$1/cgroup.kill"
        find "$1" -depth -type d -exec rmdir {} +
}

# left_behind DIR: what the suite that just ended has not cleaned up: hosts whose script is gone (another run's have one), cgroups,
# temporary files
left_behind() {
        local owner pid rest
        stale_cgroups
        for owner in "${FREEZED_CACHE:-/var/cache/freezed-tests}"/boxes/*/owner; do
                [ -e "$owner" ] && read -r pid rest <"$owner" && [ ! -d "/proc/$pid" ] && echo "${owner%/owner}"
        done
        find "$1/tmp" -mindepth 1 -maxdepth 1
}

# run DIR CMD ARG...: DIR/out is what it said then, DIR/end its exit status, how many seconds it took and what it left
run() {
        local dir=$1 status start=$SECONDS
        shift
        mkdir -p "$dir/tmp"
        TMPDIR=$dir/tmp timeout --kill-after=60 "$SUITE_TIMEOUT" "$@" >"$dir/out" 2>&1 </dev/null &
        child=$!
        wait "$child" 2>/dev/null
        status=$?
        child=
        echo "$status $((SECONDS - start))" "$(left_behind "$dir" | paste -sd ' ')" >"$dir/end.new"
        mv "$dir/end.new" "$dir/end"
}

# judge PRIVILEGED NAME DIR: what becomes of the run in DIR
judge() {
        local privileged=$1 name=$2 out=$3/out status took good bad skip plan left what=''
        read -r status took left <"$3/end"
        read -r good bad skip plan < <(count "$out")
        if [ "$status" -eq 124 ]; then
                what="did not end within $SUITE_TIMEOUT s"
        elif [ $((good + bad + skip)) -lt "$plan" ]; then
                what="ended with status $status after $((good + bad + skip)) of $plan cases"
        elif [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
                what="ended with status $status"
        elif [ $((good + bad + skip)) -eq 0 ]; then
                what="tested nothing"
        elif [ "$privileged" = yes ] && [ $((good + bad)) -eq 0 ]; then
                what="skipped all of its cases"
        elif [ -n "$left" ]; then
                what="left behind: $left"
        fi
        [ -z "$what" ] || bad=$((bad + 1))
        passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
        if [ "$bad" -gt 0 ]; then
                printf '  FAIL     %-40s %s\n' "$name" "${what:-$bad failed}"
                grep -vE '^ok [0-9]+' "$out" | sed 's/^/        | /'
        else
                printf '  PASS     %-40s %4d cases %4d s\n' "$name" "$good" "$took"
        fi
        show_skips "$name" "$out"
        rm -rf "$out" "$3/tmp" # the directory stays: it is how a lane knows that the suite was taken
}

# What there is to know of a file that is a suite, or has one made of it: NAME, CMD, and whether it needs root.

# From the source to its program: one that was not built is a failure, one whose source is gone is not run.
unit() {
        local name=${1##*/test_}
        NAME=unit/${name%.c} PRIVILEGED=no
        CMD=("$B/san/unit/test_${name%.c}")
}

fuzz() {
        local name=${1##*/fuzz_}
        name=${name%.c}
        NAME=fuzz/$name PRIVILEGED=no
        # shellcheck disable=SC2016
        CMD=(bash -o pipefail -c '"$0" "$1" 2>&1 | tail -n 100 && echo "ok 1 - replayed"' "$B/san/fuzz/fuzz_$name" "tests/fuzz/corpus/$name")
}

lint() {
        NAME=lint PRIVILEGED=no CMD=("$1")
}

script() {
        NAME=${1#tests/} PRIVILEGED=yes CMD=("$1" "$B")
}

# A VM may be impossible where boxes are not, and then its suites skip all they have. An emulated machine is some ten times slower than
# what it stands for, and what runs in it is given the same time as anywhere: it goes before what runs beside it, where that is allowed. Where
# the scheduler weighs sessions (autogroup), a nice process goes before those of its own session only, and each box has one of its own.
vm() {
        # shellcheck disable=SC2016
        NAME=${1#tests/} PRIVILEGED=no CMD=(nice -n -15 setsid --wait bash -c '{ echo -15 >/proc/self/autogroup; } 2>/dev/null; exec "$@"' vm "$1" "$B")
}

dir_of() {
        echo "$tmp/${1//\//-}"
}

# lane KIND FILE...: runs those that no other lane has taken
lane() {
        local kind=$1 file child=''
        shift
        trap 'end "$child"; exit 143' TERM
        for file in "$@"; do
                mkdir "$(dir_of "$file")" 2>/dev/null || continue
                "$kind" "$file"
                run "$(dir_of "$file")" "${CMD[@]}"
        done
}

# in_lanes N KIND FILE...: N at once; says nothing
in_lanes() {
        local n=$1 i
        shift
        for ((i = 0; i < n; i++)); do lane "$@" & done
}

# judge_each KIND FILE...: as soon as it has ended, in this order. A suite whose lane was killed has failed.
judge_each() {
        local kind=$1 file dir
        shift
        for file in "$@"; do
                dir=$(dir_of "$file")
                until [ -e "$dir/end" ] || [ -z "$(jobs -pr)" ]; do sleep 0.1; done
                [ -e "$dir/end" ] || { mkdir -p "$dir" && echo "137 0" >"$dir/end" && : >>"$dir/out"; }
                "$kind" "$file"
                judge "$PRIVILEGED" "$NAME" "$dir"
        done
}

# each N KIND FILE...: N at once, judged as they end
each() {
        in_lanes "$@"
        shift
        judge_each "$@"
}

# what a run that was killed has left
bash -c '. tests/lib/box.sh' || exit 1
stale_cgroups | while read -r dir; do remove_cgroup "$dir"; done
shopt -s nullglob
# In boxes that do not disturb each other. The longest first and short ones last, so that the lanes end together, and before most of the others
# those of fleets, which wait for most of their time and leave the processors to what runs beside them.
scripts=(tests/fault/*.sh tests/host/08*.sh tests/escape/[0-9]*.sh tests/host/0{3[02],5,6,7}*.sh tests/host/0[0-4]*.sh)
# an emulated machine keeps one processor busy: from the beginning, beside all others
lane vm tests/vm/[0-9]*.sh &
vms=$!
# what is built stays whose it was when that was not root
[ -z "${SUDO_UID:-}" ] || [ $# -eq 0 ] || set -- sudo -u "#$SUDO_UID" "$@"
[ $# -eq 0 ] || "$@" || exit 1
# Some of them wait for most of their time, and those that do it for longest go first. Those that wait for the disk wait for each other: no
# more than two of them at once.
mapfile -t others < <(printf '%s\n' tests/unit/test_{relay,host_packet}*.c tests/unit/test_*.c | grep -vE '/test_(collect|core|preserve)')
in_lanes 2 unit tests/unit/test_{collect,core,preserve}*.c tests/unit/test_{relay,host_packet}*.c tests/unit/test_*.c
in_lanes 2 unit "${others[@]}"
judge_each unit tests/unit/test_*.c
each 2 fuzz tests/fuzz/fuzz_*.c
each 1 lint tests/lint.sh
each 1 script tests/vectors/*.sh
in_lanes 2 script "${scripts[@]}"
# and with both processors twice as many
for _ in 1 2; do
        {
                while kill -0 "$vms" 2>/dev/null; do sleep 1; done
                lane script "${scripts[@]}"
        } &
done
judge_each script tests/host/0[5-9]*.sh tests/host/0[0-4]*.sh tests/escape/[0-9]*.sh tests/fault/*.sh
judge_each vm tests/vm/[0-9]*.sh

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
