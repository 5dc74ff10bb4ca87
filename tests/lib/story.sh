# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
#
# How a demo is told: steps that say what is to be seen, commands with what they answered, and what was seen from outside. The first
# thing that is not as said ends it with status 1. Sourced after box.sh.
#
#   step 'SENTENCE'                the next step
#   proof 'SENTENCE'               what was seen
#   fail 'SENTENCE'                ends the demo
#   shown PROMPT WANTED_EXIT CMD ARG...   shows PROMPT, runs CMD, shows what it says as it comes; fails on another exit status. ANSWER
#   says TEXT                      the last answer has to contain it

STEP=0
STORY_SAID=${TMPDIR:-/tmp}/story.$$
box_at_exit 'rm -f "$STORY_SAID"'
if [ -t 1 ]; then BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' PLAIN=$'\e[0m'; else BOLD='' DIM='' GREEN='' RED='' PLAIN=''; fi

step() {
        STEP=$((STEP + 1))
        printf '\n%s%2d. %s%s\n' "$BOLD" "$STEP" "$1" "$PLAIN"
}

proof() {
        printf '    %sproven%s  %s\n' "$GREEN" "$PLAIN" "$1"
}

fail() {
        printf '    %sNOT AS SAID%s  %s\n' "$RED" "$PLAIN" "$1"
        exit 1
}

# a line that is drawn again and again is many, each only when it is another one
shown() {
        local prompt=$1 wanted=$2 status
        shift 2
        printf '    %s%s%s\n' "$DIM" "$prompt" "$PLAIN"
        "$@" 2>&1 | tee "$STORY_SAID" | stdbuf -oL tr '\r' '\n' | stdbuf -oL uniq | sed -u 's/^/    | /'
        status=${PIPESTATUS[0]}
        ANSWER=$(cat "$STORY_SAID")
        [ "$status" -eq "$wanted" ] || fail "exit status $status, not $wanted"
}

says() {
        grep -qiF -- "$1" <<<"$ANSWER" || fail "the answer does not say '$1'"
}
