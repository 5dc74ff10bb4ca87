#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run-tests.sh B: runs every suite there is against what was built under B, in the order in which a failure says most.
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
# only against a suite that hangs: the fault sweep alone takes minutes on a busy machine
SUITE_TIMEOUT=1800
export CMOCKA_MESSAGE_OUTPUT=TAP
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
unset MAKEFLAGS MAKELEVEL MFLAGS

passed=0 failed=0 skipped=0 child='' lane=''
tmp=$(mktemp -d)

# timeout hands the signal on to the suite and everything it started, whose own traps then clean up
end() {
        [ -z "$1" ] || { kill -TERM "$1" && wait "$1"; } 2>/dev/null
}

finish() {
        local status=$?
        trap '' INT TERM HUP
        end "$child"
        end "$lane"
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
        echo "$status $((SECONDS - start))" "$(left_behind "$dir" | paste -sd ' ')" >"$dir/end"
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
        rm -rf "$3"
}

# suite PRIVILEGED NAME CMD ARG...
suite() {
        local privileged=$1 name=$2
        shift 2
        run "$tmp/suite" "$@"
        judge "$privileged" "$name" "$tmp/suite"
}

# each FUNCTION FILE...: for the files that are there
each() {
        local function=$1 file
        shift
        for file in "$@"; do
                [ ! -e "$file" ] || "$function" "$file"
        done
}

# From the source to its program: one that was not built is a failure, one whose source is gone is not run.
unit() {
        local name=${1##*/test_}
        suite no "unit/${name%.c}" "$B/san/unit/test_${name%.c}"
}

fuzz() {
        local name=${1##*/fuzz_}
        name=${name%.c}
        # shellcheck disable=SC2016
        suite no "fuzz/$name" bash -o pipefail -c '"$0" "$1" 2>&1 | tail -n 100 && echo "ok 1 - replayed"' "$B/san/fuzz/fuzz_$name" "tests/fuzz/corpus/$name"
}

script() {
        suite yes "${1#tests/}" "$1" "$B"
}

vm_dir() {
        echo "$tmp/${1//\//-}"
}

# Beside the suites in boxes, which wait most of their time.
vm_lane() {
        trap 'end "$child"; exit 143' TERM
        for file in "$@"; do run "$(vm_dir "$file")" "$file" "$B"; done
}

# A VM may be impossible where boxes are not, and then its suites skip all they have.
vm() {
        judge no "${1#tests/}" "$(vm_dir "$1")"
}

# what a run that was killed has left
bash -c '. tests/lib/box.sh' || exit 1
stale_cgroups | while read -r dir; do remove_cgroup "$dir"; done
each unit tests/unit/test_*.c
each fuzz tests/fuzz/fuzz_*.c
suite no lint tests/lint.sh
each script tests/vectors/*.sh
vm_lane tests/vm/[0-9]*.sh &
lane=$!
each script tests/host/[0-9]*.sh
each script tests/escape/[0-9]*.sh
each script tests/fault/*.sh
wait "$lane"
lane=
each vm tests/vm/[0-9]*.sh

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
