# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a shell suite prints, for tests/run-tests.sh to add up: `ok N - sentence`, `not ok N - sentence`, `ok N - sentence # SKIP reason`.
#
#   check 'SENTENCE' CMD ARG...    ok when the command succeeds; its output is shown when it does not
#   refute 'SENTENCE' CMD ARG...   ok when the command fails
#   is 'SENTENCE' GOT WANT         ok when both are the same text
#   like 'SENTENCE' GOT ERE        ok when the text matches
#   skip 'SENTENCE' 'REASON'       counts as skipped
#   ok / not_ok 'SENTENCE'         already decided
#   done_testing                   last line of a suite: its exit status is whether all was ok

TAP_N=0
TAP_FAILED=0

ok() {
        TAP_N=$((TAP_N + 1))
        echo "ok $TAP_N - $1"
}

not_ok() {
        TAP_N=$((TAP_N + 1))
        TAP_FAILED=$((TAP_FAILED + 1))
        echo "not ok $TAP_N - $1"
        [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/# /'
}

skip() {
        TAP_N=$((TAP_N + 1))
        echo "ok $TAP_N - $1 # SKIP $2"
}

# Run by this very shell and not in $(...): what a command sets or starts has to last.
tap_run() {
        local status
        TAP_OUT=${TMPDIR:-/tmp}/tap.$$
        "${@:2}" >"$TAP_OUT" 2>&1 && status=0 || status=$?
        printf -v "$1" '%s => %s\n%s' "${*:2}" "$status" "$(head -c 65536 "$TAP_OUT")"
        rm -f "$TAP_OUT"
        return "$status"
}

check() {
        local tap_said
        if tap_run tap_said "${@:2}"; then ok "$1"; else not_ok "$1" "$tap_said"; fi
}

refute() {
        local tap_said
        if tap_run tap_said "${@:2}"; then not_ok "$1" "$tap_said"; else ok "$1"; fi
}

is() {
        if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got:  $2
want: $3"; fi
}

like() {
        if [[ $2 =~ $3 ]]; then ok "$1"; else not_ok "$1" "got:  $2
want: /$3/"; fi
}

done_testing() {
        [ "$TAP_N" -gt 0 ] && [ "$TAP_FAILED" -eq 0 ]
        exit
}
