#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 010-core.sh B: the core dies, or is refused, at every single thing that it does to the world outside its memory.
#
# For each k of its effects between start and the end of a release, on a real host: it is started to be killed at its k-th effect, or
# with that effect failing; it is sent a stop order; it comes back without fault; it is sent the same file again until it answers; then
# two people release. After every step what it says is held against what the kernel says. Then the same for a core that is killed again
# at each effect of putting right what its first death left, for the end of a lease, for the release of one hold of two, for a release
# that stops between, for orders of which no hold tells, and for the very first start of a host. Three boxes work at once.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=$(realpath "${1:?usage: 010-core.sh BUILD}")
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh

WRAPPER=/usr/local/lib/freezed-with-faults
# how long an answer may take while the core is killed under it
PATIENCE=8s
# Effects that depend on the moment, as the number of its sockets does, shift the others: so many more than were counted are tried.
SLACK=3
MANY=30 # more than the effects of an order of which no hold tells

# --- the host

# The core takes one line of /run/freezed/faults at each start, and runs without fault when there is none.
install_faulty() {
        local root
        root=$(box_root "$HOST")
        mkdir -p "$root/usr/local/lib" "$root/etc/systemd/system/freezed.service.d"
        cat >"$root$WRAPPER" <<-'WRAPPER'
		#!/bin/sh
		if read -r FREEZED_FAULT </run/freezed/faults; then
		        sed -i 1d /run/freezed/faults
		        export FREEZED_FAULT FREEZED_FAULT_FILE=/run/freezed/effects
		fi 2>/dev/null
		exec /usr/sbin/freezed
	WRAPPER
        chmod 0755 "$root$WRAPPER"
        printf '[Service]\nExecStart=\nExecStart=%s\n' "$WRAPPER" >"$root/etc/systemd/system/freezed.service.d/faults.conf"
        install -m 0755 "$B/fault/freezed" "$root/usr/sbin/freezed"
        run systemctl daemon-reload
}

# restart FAULT...: the core starts with the first one, and with the next each time that it has to start again
restart() {
        printf '%s\n' "$@" >"$(box_live "$HOST")/run/freezed/faults"
        # says that it failed when the core dies as it starts
        run systemctl restart freezed.service 2>/dev/null
}

effects() {
        cat "$(box_live "$HOST")/run/freezed/effects"
}

# make_files N LABEL ARG...: N stop orders, the releases of their holds, and those that stop between, /root/LABEL-{stop,go,step}-K.json,
# signed by who has to
make_files() {
        box_sh "$HOST" '
                n=$1 label=$2
                shift 2
                stop="--severity P0 --incident SA-20261120-001 --reason sweep --yes"
                for k in $(seq "$n"); do
                        id=$(freezectl contain beacon.service "$@" $stop --expires 2h --key /root/alice --out "/root/$label-stop-$k.json" --json | jq -r ".summary.id") &&
                                freezectl release "$id" $stop --expires 1h --key /root/alice --key /root/bob --out "/root/$label-go-$k.json" >/dev/null &&
                        freezectl release "$id" --step $stop --expires 1h --key /root/alice --key /root/bob --out "/root/$label-step-$k.json" >/dev/null || exit 1
                done' "$@"
}

# make_lasting N: N snapshots, and as many extensions of the lease of one order, /root/{snapshot,extend}-K.json, each an hour longer
make_lasting() {
        box_sh "$HOST" '
                order="--severity P0 --incident SA-20261120-001 --reason sweep --yes --expires 1h --key /root/alice"
                id=$(freezectl contain beacon.service $order --lease 30m --out /root/leased-stop.json --json | jq -r ".summary.id") &&
                freezectl release "$id" $order --key /root/bob --out /root/leased-go.json || exit
                for k in $(seq "$1"); do
                        freezectl snapshot beacon.service $order --out "/root/snapshot-$k.json" &&
                                freezectl extend "$id" $order --lease "$((k % $1 * 60 + 45))m" --out "/root/extend-$k.json" || exit
                done' "$1" >/dev/null
}

LEASE_MS=0

# --- what it says, and what the kernel says

# query ARG...: SAID is what freezectl said. What is asked of it is read once, because jq takes longer to start than freezectl to answer:
#   ANSWER   the state in the receipt; of a refusal its reason, of no answer "silent"
#   STORED   the state in the receipt that a duplicate stands for
#   REASONS  those of the receipt
#   ID       that of the receipt
#   REPORT   "object" when there is one
#   N_HOLDS  how many it lists; nothing when it does not say
#   STATES   of its holds, GAPS with their reasons, VERBS with their verbs
#   LEASED   how many of its holds have a lease that is not over; nothing when it does not say
#   ENDED    the state in which the hold ended that was asked for
#   RECEIPT  the whole of it, when the ledger has to know it
query() {
        local what
        SAID=$(run freezectl "$@" --json 2>/dev/null </dev/null)
        for what in ANSWER STORED REASONS ID REPORT N_HOLDS STATES GAPS VERBS LEASED ENDED RECEIPT; do
                read -r "${what?}"
        done < <(jq -rs 'add // {} | .receipt as $r | .report as $p | [$p.holds[]?] as $h |
                (if $r.state == "refused" then $r.reasons[0] else $r.state // .refused // .class // "silent" end),
                $r.receipt.state, ($r.reasons // [] | join(",")), $r.id, ($p | type),
                (if $p.holds then $h | length else "" end), ([$h[].state] | join(" ")), ([$h[] | .state + ":" + (.reasons // [] | join(","))] | join(" ")), ([$h[] | .verb + ":" + .state] | join(" ")),
                (if $p.holds then [$h[] | select(.recorded != "releasing" and .lease_left_ms > 0)] | length else "" end), $p.ended.state,
                (if $r and $r.state != "refused" and $r.state != "duplicate" then $r | tojson else "" end)' <<<"$SAID" 2>/dev/null)
}

has_report() {
        query status
        [ "$REPORT" = object ]
}

# Whoever is about to die at a late effect gives none, and his successor does.
report() {
        box_until 60 has_report || wrong "the agent is not back"
}

# Whatever it has to report. Not health, for which it attaches programs to try them.
answers() {
        run freezectl status --timeout 5s --json 2>/dev/null | grep -q '"class":"verified"'
}

# 0 is no process to a unit that has none, and this very process group to kill
has_core() {
        CORE=$(run systemctl show -P MainPID freezed.service)
        [ "${CORE:-0}" -gt 1 ]
}

kill_core() {
        box_until 60 has_core && run kill -KILL "$CORE" && box_until 60 answers
}

is_held() {
        frozen && is_isolated
}

is_free() {
        ! frozen && [ "$(cat "$(cgroup_of)/cgroup.freeze")" = 0 ] && [ "$(links)" -eq 0 ]
}

# whatever of the agent's is in force: attached programs, cgroups that are asked to freeze, pins
ours() {
        local root
        root=$(box_cgroup "$HOST")
        bpftool cgroup tree "$root" 2>/dev/null | grep -o 'isolate_.*'
        find "$root" -name cgroup.freeze -exec grep -l 1 {} +
        # what the agent pins for itself stays: a ring, and who is held
        run find /sys/fs/bpf/freezed -mindepth 1 -regextype posix-extended -regex '.*/[0-9a-f]{32}(/.*)?'
        run find /etc/systemd/system /run/systemd/system -name zz-freezed-hold.conf
}

# --- what went wrong with the k at hand

wrong() {
        WRONG+=("$*")
}

# send FILE WHEN: the answer is kept for the end, where the ledger has to know it
send() {
        SENT_US=${EPOCHREALTIME/./}
        query send "/root/$1" --timeout "$PATIENCE"
        [ -z "$RECEIPT" ] || echo "$RECEIPT" >>"$RECEIPTS"
        trace "send $1: $ANSWER"
}

trace() {
        TRACE+="$*; "
}

# Who looks later than that need not find held what was held by a lease.
lease_is_over() {
        [ "$LEASE_MS" -gt 0 ] && [ $((${EPOCHREALTIME/./} - SENT_US)) -ge $((LEASE_MS * 1000)) ]
}

# Whatever it answers, it never says more than the kernel does. WHEN is for who reads the failure.
is_honest() {
        local when=$1
        case $ANSWER in
        contained) is_held || lease_is_over || wrong "$when: the receipt says contained, the kernel does not" ;;
        released) is_free || wrong "$when: the receipt says released, the kernel does not" ;;
        esac
        query status --timeout "$PATIENCE"
        trace "says $STATES"
        # A lease may end between the two looks: a status that is wrong is so the second time too.
        [[ $STATES != *contained* ]] || is_held || { query status && [[ $STATES != *contained* ]]; } ||
                is_held || wrong "$when: status says contained, the kernel does not"
}

# The core is back without fault: the hold is in full, or the order is unknown and nothing is in force that a receipt has not told of.
is_recovered() {
        local when="after the restart" first=$1
        report
        trace "then $GAPS"
        case "$N_HOLDS $GAPS" in
        '1 contained:') is_held || wrong "$when: status says contained, the kernel does not" ;;
        '1 partial:unknown-hold') [ "$first" = contained ] && is_held || wrong "$when: was $first, is in force, and is not known" ;;
        '0 ') [ "$first" != contained ] && is_free || wrong "$when: was $first, is not known, in force is: $(ours)" ;;
        *) wrong "$when: was $first, is $GAPS" ;;
        esac
}

# A core that was killed in the middle of a release ends it after it has begun to answer: systemd is waited for. Until then the stored
# receipt is none, or of the attempt before.
is_under_way() {
        [ "$ANSWER" = silent ] || { [ "$ANSWER" = duplicate ] && [ "$STORED" != "$1" ]; }
}

# until_answered FILE STATE: sent again until there is an answer, which has to be this or a duplicate that stands for it
until_answered() {
        local n
        for n in $(seq 20); do
                send "$1"
                is_under_way "$2" || break
                sleep 0.2
        done
        case $ANSWER$REASONS in
        "$2") ;;
        duplicate) [ "$STORED" = "$2" ] || wrong "$1: the stored receipt says $STORED" ;;
        # it is held already by an order that was lost with the ledger: nothing can be tried inside a cgroup that is frozen
        partialselftest-not-run) [[ $TRACE == *unknown-hold* ]] || wrong "$1: there is no self-test" ;;
        *) wrong "$1 is answered: $SAID" ;;
        esac
}

# contain FILE KILL: the order, under whatever fault was set; KILL: the core is killed after it
contain() {
        local first
        send "$1"
        first=$ANSWER
        is_honest "after the order"
        # An effect that failed is not the end of the process. The end comes now, so that what was left undone meets a new one.
        if "$2"; then kill_core; fi
        is_recovered "$first"
        until_answered "$1" contained
        is_held || wrong "sent again, the kernel does not hold it"
        is_still || wrong "contained, it beats or streams"
        report
        [ "$STATES" = contained ] || wrong "sent again, its holds are $GAPS"
}

# let_go FILE KILL
let_go() {
        send "$1"
        is_honest "after the release"
        if "$2"; then kill_core; fi
        until_answered "$1" released
        is_free || wrong "released, something is in force"
        report
        [ "$N_HOLDS" = 0 ] || wrong "released, status lists $GAPS"
        [ -z "$(ours)" ] || wrong "left: $(ours)"
        alive || wrong "it does not live again"
}

# "ok" or what went wrong. Whatever this k has left, the next one starts clean.
verdict() {
        if [ ${#WRONG[@]} -eq 0 ]; then
                echo ok
                return
        fi
        printf '%s | ' "${WRONG[@]}" "$TRACE" | tr '\n' ' '
        echo
        box_sh "$HOST" 'rm -rf /sys/fs/bpf/freezed/*; rm -f /etc/systemd/system/*.d/zz-freezed-hold.conf; systemctl daemon-reload; systemctl thaw beacon.service; echo 0 >/sys/fs/cgroup/system.slice/beacon.service/cgroup.freeze' 2>/dev/null
}

# sweep LABEL N FAULT...: for each k up to N an order and its release, started with the faults, in which K stands for k
sweep() {
        local label=$1 n=$2 k in_order in_release
        shift 2
        for k in $(seq "$n"); do
                WRONG=() TRACE=
                in_order=false in_release=false
                if [[ $* == fail:* ]]; then
                        if [ "$k" -le "$N_HELD" ]; then in_order=true; else in_release=true; fi
                fi
                restart "${@//K/$k}"
                contain "$label-stop-$k.json" "$in_order"
                let_go "$label-go-$k.json" "$in_release"
                verdict
        done >"$(box_dir "$HOST")/$label.verdicts" 2>&1
}

# lapse LABEL N FAULT: a lease of two seconds that ends under each fault of the end of a hold
lapse() {
        local label=$1 n=$2 fault=$3 k id LEASE_MS=2000
        for k in $(seq "$n"); do
                WRONG=() TRACE=
                restart "${fault/K/$((N_HELD + k))}"
                send "$label-stop-$k.json"
                id=$ID
                is_honest "after the order"
                [[ $fault == kill:* ]] || { box_until 60 has_ended; is_honest "at the end of the lease"; kill_core; }
                box_until 60 is_free || wrong "the lease is over, and something is in force: $(ours)"
                box_until 60 has_lapsed "$id" || wrong "it has not lapsed: $SAID"
                [ -z "$(ours)" ] || wrong "left: $(ours)"
                alive || wrong "it does not live again"
                until_answered "$label-stop-$k.json" lapsed
                verdict
        done >"$(box_dir "$HOST")/$label.verdicts" 2>&1
}

# beside LABEL N FAULT: the release of one hold under each fault, while another one keeps the unit. Not one instruction of it may run.
beside() {
        local label=$1 n=$2 fault=$3 k before
        send "$label-stop-$((n + 1)).json"
        before=$(box_beats "$HOST")/$(box_sunk "$HOST")
        for k in $(seq "$n"); do
                WRONG=() TRACE=
                send "$label-stop-$k.json"
                restart "${fault/K/$((N_START + k))}"
                send "$label-go-$k.json"
                # its programs, and whatever is left of the other's
                frozen && [ "$(links)" -ge 8 ] || wrong "the other hold is not in force"
                [[ $fault == kill:* ]] || kill_core
                until_answered "$label-go-$k.json" released
                is_held || wrong "released, the other hold is not in force"
                report
                [ "$STATES" = contained ] || wrong "released, its holds are $GAPS"
                [ "$(box_beats "$HOST")/$(box_sunk "$HOST")" = "$before" ] || wrong "it has run"
                verdict
        done >"$(box_dir "$HOST")/$label.verdicts" 2>&1
        # a fault that this many effects have not met may meet the next
        until_answered "$label-go-$((n + 1)).json" released
}

# between LABEL N FAULT: a release that stops between under each fault. Whatever happens it is isolated, and in the end it runs.
between() {
        local label=$1 n=$2 fault=$3 k
        for k in $(seq "$n"); do
                WRONG=() TRACE=
                until_answered "$label-stop-$k.json" contained
                restart "${fault/K/$((N_START + k))}"
                send "$label-step-$k.json"
                [ "$ANSWER" != thawed ] || ! frozen || wrong "the receipt says thawed, the kernel does not"
                is_isolated || wrong "it is not isolated"
                [[ $fault == kill:* ]] || kill_core
                until_answered "$label-step-$k.json" thawed
                ! frozen || wrong "thawed, it is frozen"
                is_isolated || wrong "thawed, it is not isolated"
                report
                [ "$VERBS" = isolate:contained ] || wrong "thawed, its holds are $GAPS"
                until_answered "$label-go-$k.json" released
                is_free || wrong "released, something is in force"
                [ -z "$(ours)" ] || wrong "left: $(ours)"
                alive || wrong "it does not live again"
                verdict
        done >"$(box_dir "$HOST")/$label.verdicts" 2>&1
}

# looked LABEL N: the core dies at each effect of a look at the layers, which attaches programs to a cgroup of its own. No hold comes of it.
looked() {
        local label=$1 n=$2 k
        for k in $(seq "$n"); do
                WRONG=() TRACE=
                restart "kill:$((N_START + k))"
                run freezectl health --timeout 30s >/dev/null 2>&1
                box_until 60 answers || wrong "it does not answer"
                report
                [ "$N_HOLDS" = 0 ] || wrong "it holds $GAPS"
                [ -z "$(ours)" ] || wrong "left: $(ours)"
                verdict
        done >"$(box_dir "$HOST")/$label.verdicts" 2>&1
}

# has_last_word FILE: sent again, the answer is final; WORD is the receipt that it is or carries
has_last_word() {
        send "$1"
        WORD=$(jq -cs 'add // {} | .receipt // {} | select(.final) | if .state == "duplicate" then .receipt else . end' <<<"$SAID")
        [ -n "$WORD" ]
}
word() { jq -r "$1" <<<"$WORD"; }

# What it says of a snapshot is what the host has signed of it: no more, and no less.
is_told() {
        local signed; signed=$(sha256sum "$(box_root "$HOST")/var/lib/freezed/evidence/"*/"$(word .id)"*/evidence.dsse.json 2>/dev/null | cut -d ' ' -f 1)
        case $(word '"\(.state) \(.evidence.state // "") \(.evidence.statement_sha256 // "")"') in
        "snapshot complete ${signed:-none}") ;;
        'failed failed ' | 'failed  ') [ -z "$signed" ] || wrong "failed, and is signed: $WORD" ;;
        *) wrong "signed is ${signed:-nothing}, the last word is $WORD" ;;
        esac
}

# is_longer K: the lease is the one of the K-th extension, which is an hour longer than the one before
is_longer() {
        [ "$(word '.state + " " + .holds[0].state')" = "extended extended" ] || wrong "the last word is $WORD"
        report
        local left=$(($(jq -s 'add | .report.holds[0].lease_left_ms' <<<"$SAID") / 60000 - $1 * 60))
        [ "$left" -gt 0 ] && [ "$left" -le 45 ] || wrong "extended, and of $1 h 45 min are left $left min above the hours"
}

is_let_go() {
        [ "$(word '.state + " " + .holds[0].was')" = "released unknown" ] || wrong "the last word is $WORD"
        is_free && [ -z "$(ours)" ] && alive || wrong "released, in force is: $(ours)"
}
only_restart() { restart "$3"; }
hold_and_forget() { until_answered "${1%-go}-stop-$2.json" contained && : >"$RECEIPTS" && start_without /var/lib/freezed/ledger "$3"; }

# spoken LABEL BEFORE CHECK: an order of which no hold tells, and death at each of its effects: in the end it has a last word
spoken() {
        local label=$1 before=$2 check=$3 k from n=
        "$before" "$label" "$MANY" count
        box_until 60 answers && from=$(effects) && box_until 60 has_last_word "$label-$MANY.json" && n=$(($(effects) - from + SLACK))
        [ "${n:-0}" -gt "$SLACK" ] && [ "$n" -lt "$MANY" ] || n=
        echo "${n:-some}" >"$(box_dir "$HOST")/$label.n"
        for k in $(seq "${n:-0}"); do
                WRONG=() TRACE=
                "$before" "$label" "$k" "kill:$((from + k))"
                box_until 60 has_last_word "$label-$k.json" || wrong "there is no last word: $SAID"
                "$check" "$k"
                verdict
        done >"$(box_dir "$HOST")/$label.verdicts" 2>&1
}

has_ended() { query status; [ "$LEASED" = 0 ]; }
has_lapsed() { query status "$1"; [ "$ENDED" = lapsed ]; }

# judge BOX LABEL N SENTENCE: counts what a sweep has printed
judge() {
        local line k=0
        while IFS= read -r line; do
                k=$((k + 1))
                is "$4 $k: it says what is so, and ends as it has to" "$line" ok
        done <"$(box_dir "$1")/$2.verdicts"
        is "$2: every effect was tried" "$k" "$3"
}
# how many a sweep counted itself
tried() { cat "$(box_dir "$1")/$2.n"; }

# start_without FILES FAULT: these are gone
start_without() {
        run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service 2>/dev/null
        box_sh "$HOST" "rm -rf $1"
        echo "$2" >"$(box_live "$HOST")/run/freezed/faults"
        run systemctl start freezed-core.socket freezed.service freezed-gate.socket freezed-gate.service 2>/dev/null
}

# first_start FAULT: the start of a host that has no state yet
first_start() {
        start_without '/var/lib/freezed/* /etc/freezed/hosts /etc/freezed/trust.json /run/freezed/effects' "$1"
}

# The key that it signs with is the one that it shows, the ledger takes records, and no kill makes it another host.
is_sound() {
        local key
        key=$(cat "$(box_root "$HOST")/var/lib/freezed/host_key.pub")
        box_until 60 run freezectl enroll /root/trust.json || return
        box_until 60 answers && kill_core && run freezectl health && [ "$(cat "$(box_root "$HOST")/var/lib/freezed/host_key.pub")" = "$key" ]
}

has_key() {
        [ -s "$(box_root "$HOST")/var/lib/freezed/host_key.pub" ]
}

# anew_each LABEL FAULT N: a first start under each fault, and the next one
anew_each() {
        local k
        for k in $(seq "$3"); do
                WRONG=() TRACE=
                first_start "$2:$k"
                box_until 60 has_key || wrong "it has no key"
                is_sound >/dev/null || wrong "it is not sound after the next start"
                verdict
        done >"$(box_dir "$HOST")/$1.verdicts" 2>&1
}

# Every receipt that anyone got is on the disk, unless it says itself that it is not; and no order was taken up twice.
ledger_is_right() {
        local root records
        root=$(box_root "$HOST")/var/lib/freezed
        records=$(box_dir "$HOST")/records
        run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service
        check "$HOST: the ledger verifies from its first record to its last" sh -c 'tests/lib/read_ledger.py "$1" "$2" >"$3"' sh "$root/ledger" "$root/host_key.pem" "$records"
        is "$HOST: every receipt is in it" "$(jq -c --slurpfile r <(jq -c 'select(.payload and .kind == "outcome") | .payload' "$records") \
                'select((.flags | index("ledger-failed") | not) and ([.] | inside($r) | not))' "$RECEIPTS")" ""
        is "$HOST: no order is in it twice" "$(jq -r 'select(.kind == "order") | .id' "$records" | sort | uniq -d)" ""
        echo "# $HOST: $(wc -l <"$records") records, $(wc -l <"$RECEIPTS") receipts"
}

faulty_box() {
        HOST=$1
        held_boot "$B" && install_faulty && RECEIPTS=$(box_dir "$1")/receipts && : >"$RECEIPTS"
}

# --- before anything fails

faulty_box one || exit
WRONG=() TRACE=
make_files 4 count || exit
restart count
N_START=$(effects)
send count-stop-1.json
is "with nothing failing it is contained" "$ANSWER" contained
N_HELD=$(effects)
send count-go-1.json
is "and released" "$ANSWER" released
N_ALL=$(effects)
echo "# effects: $N_START to start, $((N_HELD - N_START)) to contain and preserve, $((N_ALL - N_HELD)) to release"
if [ "$N_START" -ge 2 ] && [ "$N_HELD" -ge 20 ] && [ "$N_ALL" -ge 30 ]; then ok "its effects are seen"; else not_ok "its effects are seen"; fi

# in the middle of the order, and in the middle of the release
MID_ORDER=$((N_START + (N_HELD - N_START) / 2))
MID_RELEASE=$(((N_HELD + N_ALL) / 2))
restart "kill:$MID_ORDER" count
send count-stop-2.json
box_until 60 answers
N_AGAIN=$(effects)
send count-go-2.json
restart "kill:$MID_RELEASE" count
send count-stop-3.json
send count-go-3.json
box_until 60 answers
N_ANEW=$(effects)
send count-stop-4.json
restart count
send count-step-4.json
is "with nothing failing it is thawed and stays isolated" "$ANSWER" thawed
N_STEP=$(($(effects) - N_START + SLACK))
send count-go-4.json
is "interrupted in the middle of both, it is released in the end" "$(ours)" ""
restart count
box_until 60 answers
run freezectl health >/dev/null
N_LOOK=$(($(effects) - N_START))
echo "# effects: $N_STEP to stop between, $N_LOOK to look at the layers"
if [ "$N_LOOK" -ge 10 ]; then ok "the effects of a look are seen"; else not_ok "the effects of a look are seen"; fi
echo "# effects: $N_AGAIN to put right an order that died at effect $MID_ORDER, $N_ANEW a release that died at effect $MID_RELEASE"
N_ALL=$((N_ALL + SLACK)) N_AGAIN=$((N_AGAIN + SLACK)) N_ANEW=$((N_ANEW + SLACK))

# --- at every effect

N_END=$((N_ALL - N_HELD))
faulty_box two && faulty_box three || exit
HOST=one && make_files "$N_ALL" fail && make_files "$N_ANEW" anew && make_files "$N_STEP" step-kill && make_lasting "$MANY" || exit
HOST=two && make_files "$N_ALL" kill && make_files "$N_AGAIN" again && make_files "$N_STEP" step-fail && make_lasting "$MANY" || exit
HOST=three && make_files "$N_END" lapse-kill --lease 2s && make_files "$N_END" lapse-fail --lease 2s || exit
make_files $((N_END + 1)) beside-kill && make_files $((N_END + 1)) beside-fail && make_files "$MANY" orphan || exit
# in_box NAME COMMAND...
in_box() {
        HOST=$1 RECEIPTS=$(box_dir "$1")/receipts
        shift
        "$@"
}
(in_box one sweep fail "$N_ALL" fail:K && in_box one sweep anew "$N_ANEW" "kill:$MID_RELEASE" kill:K
        in_box one between step-kill "$N_STEP" kill:K
        in_box one spoken snapshot only_restart is_told) &
one=$!
(in_box two sweep kill "$N_ALL" kill:K && in_box two sweep again "$N_AGAIN" "kill:$MID_ORDER" kill:K
        in_box two between step-fail "$N_STEP" fail:K
        in_box two until_answered leased-stop.json contained && in_box two spoken extend only_restart is_longer
        in_box two until_answered leased-go.json released) &
two=$!
(
        # before what its ledger has to know
        in_box three spoken orphan-go hold_and_forget is_let_go
        in_box three lapse lapse-kill "$N_END" kill:K && in_box three lapse lapse-fail "$N_END" fail:K
        in_box three beside beside-kill "$N_END" kill:K && in_box three beside beside-fail "$N_END" fail:K
        in_box three looked look-kill "$N_LOOK"
) &
wait "$one" "$two" "$!"
judge one fail "$N_ALL" "a failure of effect"
judge two kill "$N_ALL" "death at effect"
judge two again "$N_AGAIN" "death in an order and again, while recovering from that, at effect"
judge one anew "$N_ANEW" "death in a release and again, while recovering from that, at effect"
judge three lapse-kill "$N_END" "death at the end of a lease at effect"
judge three lapse-fail "$N_END" "at the end of a lease a failure of effect"
judge three beside-kill "$N_END" "one hold of two is released: death at effect"
judge three beside-fail "$N_END" "one hold of two is released: a failure of effect"
judge three look-kill "$N_LOOK" "a look at the layers: death at effect"
judge one step-kill "$N_STEP" "a release that stops between: death at effect"
judge two step-fail "$N_STEP" "a release that stops between: a failure of effect"
judge one snapshot "$(tried one snapshot)" "a snapshot: death at effect"
judge two extend "$(tried two extend)" "an extension: death at effect"
judge three orphan-go "$(tried three orphan-go)" "a release of what the ledger has forgotten: death at effect"
for HOST in one two three; do
        RECEIPTS=$(box_dir "$HOST")/receipts
        ledger_is_right
done

# --- at every effect of a host's first start
HOST=one
first_start count
box_until 60 has_key
N_FIRST=$(effects)
echo "# effects: $N_FIRST to start for the first time"
if [ "$N_FIRST" -gt "$N_START" ]; then ok "a first start does more than a later one"; else not_ok "a first start does more than a later one"; fi
N_FIRST=$((N_FIRST + 1))
in_box one anew_each first-kill kill "$N_FIRST" &
one=$!
in_box two anew_each first-fail fail "$N_FIRST" &
wait "$one" "$!"
judge one first-kill "$N_FIRST" "a host's first start: death at effect"
judge two first-fail "$N_FIRST" "a host's first start: a failure of effect"
done_testing
