#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# fleet.sh B [HOSTS...]: what it takes to order a fleet (1000 and 10000 hosts unless said otherwise), all of it on this machine: a nats-server with
# the streams of the fleet, hosts that are simulated (tests/bench/fleet_core.h says how far), and the real freezectl. In every round, on the
# very same connections, as many bytes go the same ways and nobody looks at them: that is the floor. Then the server is killed and comes back,
# and what stands still or falls over is seen, without TLS and with it. clush and pssh reach 50 hosts over a real sshd in a namespace of its
# own. Nothing is asserted about time; it fails when a host that should be verified is not. packaging/doc/scale.md says what the figures mean.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=$(realpath "${1:?usage: fleet.sh BUILD [HOSTS...]}")
shift
if [ "$(id -u)" -ne 0 ]; then exec sudo "$0" "$B" "$@"; fi
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh
# shellcheck source=tests/lib/sim.sh
. tests/lib/sim.sh

ROUNDS=${ROUNDS:-5}
SPREAD=30
PROCESSES=2
PEERS=50
PEER_ROUNDS=${PEER_ROUNDS:-3}

say() { printf '  %-8s %s\n' BENCH "$1"; }
fail() { echo "bench: $1" >&2; exit 1; }
fact() { echo "$size $*" >>"$tmp/facts"; }
sample() { echo "$size $*" >>"$tmp/samples"; }
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# --- the machine

limits() {
        local most want=$((1000 + ${SIZES[-1]}))
        ulimit -Sn "$want" 2>/dev/null || { prlimit --pid $$ --nofile="$want:$want" 2>/dev/null && ulimit -Sn "$want"; } ||
                fail "a process may open $(ulimit -Hn) files; $want are needed: raise it with ulimit -n, or give a smaller number of hosts"
        most=$(sysctl -n net.core.somaxconn)
        [ "$most" -ge 4096 ] || echo "bench: net.core.somaxconn is $most: connections that come at once wait for a second each" >&2
        [ "$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)" -ge $((1000 + ${SIZES[-1]} / 2)) ] || fail "too little memory for ${SIZES[-1]} hosts"
}

# --- the server

# server_up [tls]: with TLS as the configuration that is shipped has it
server_up() {
        [ -n "$NATS_PORT" ] || NATS_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        NATS_URL=nats://127.0.0.1:$NATS_PORT
        {
                printf 'listen: "127.0.0.1:%s"\njetstream { store_dir: "%s/store", max_mem: 64MB, max_file: 8GB }\n' "$NATS_PORT" "$tmp"
                [ "${1:-}" != tls ] || sed -n "s@/etc/nats@$tmp/pki@; /^tls {/,/^}/p" packaging/nats/nats-server.conf
        } >"$tmp/nats.conf"
        nats_start_with "$tmp/nats.conf"
}
server() { awk -v name="$1" '$1 == name ":" { print $2 }' "/proc/$NATS_PID/status"; }
# milliseconds on a processor so far
server_cpu() { awk '{ print ($14 + $15) * 10 }' "/proc/$NATS_PID/stat"; }

# --- the hosts

each_sim() { for p in $(seq "$PROCESSES"); do "$@" "sim$p" || return; done; }
tell_one() { sim_tell "$2" "$1"; }
tell_all() { each_sim tell_one "$1"; }
# total MEMBER: what all processes say of it, together
total() {
        local p sum=0
        for p in $(seq "$PROCESSES"); do
                sim_counters "sim$p" || fail "a simulator does not answer"
                sum=$((sum + $(jq -r ".$1" <<<"$SIM_SAID")))
        done
        echo "$sum"
}
ready_one() { sim_ready "$1" 300; }
ready() { each_sim ready_one || fail "hosts are not connected after 300 s"; }
is_caught_up() { [ "$(total caught_up)" -ge "$1" ]; }

fleet_up() {
        local p
        say "$size hosts connect"
        sim_begin "$B" && sim_hosts 0 "$size" web || fail "no hosts"
        server_up || fail "no server"
        nats_say streams bench || fail "no streams"
        fact rss_server_empty "$(server VmRSS)"
        for p in $(seq "$PROCESSES"); do
                sim_start "sim$p" $(((p - 1) * size / PROCESSES)) $((size / PROCESSES)) "$SPREAD" || fail "no simulator"
        done
        ready
        # what they ask for after they connected is over
        box_until 120 is_caught_up "$size" || fail "hosts did not ask for what they missed"
        fact rss_server "$(server VmRSS)"
        fact rss_hosts "$(total rss_kb)"
        fact inventory_bytes "$(stat -c %s "$SIM_DIR/inventory.jsonl")"
}

# --- orders

# order NAME VERB: the same order, and what it took
order() {
        local core cpu out sims started
        core=$(total core_ms) sims=$(total cpu_ms) out=$(total out) cpu=$(server_cpu) started=$(now_ms)
        TIMEFORMAT='%U %S'
        { time sim_order "$2" "$1-$round.service" --to group=web --timeout 120s; } 2>"$tmp/time"
        [ "$EXIT" -eq 0 ] || fail "$2: exit $EXIT, $SUMMARY"
        sample "$1_all" $(($(now_ms) - started))
        sample "$1_last" "$(jq -s 'map(.after_ms // 0) | max' "$ANSWER")"
        sample "$1_ctl_cpu" "$(awk '{ print int(($1 + $2) * 1000) }' "$tmp/time")"
        sample "$1_server_cpu" $(($(server_cpu) - cpu))
        sample "$1_core_cpu" $(($(total core_ms) - core))
        sample "$1_hosts_cpu" $(($(total cpu_ms) - sims))
        sample "$1_bytes" $(($(total out) - out))
}

# echo NAME MESSAGES: as many bytes as the last order brought, the same ways
echo_back() {
        local each us cpu
        each=$(awk -v name="$1_bytes" '$2 == name { b = $3 } END { print int(b) }' "$tmp/samples")
        each=$((each / size / $2 - 120))
        cpu=$(server_cpu)
        tell_all "echo $each $2"
        # it is obeyed before what comes from the server later
        total cpu_ms >/dev/null
        us=$("$B/bench/fleet_floor" "$NATS_PORT" bench web 1000 $((size * $2))) || fail "no floor"
        tell_all "echo 0 0"
        total cpu_ms >/dev/null
        sample "$1_floor" $((us / 1000))
        sample "$1_floor_server_cpu" $(($(server_cpu) - cpu))
}

orders() {
        say "$ROUNDS rounds of contain and isolate for $size hosts, and their floors"
        for round in $(seq "$ROUNDS"); do
                order contain contain
                echo_back contain 2
                order isolate isolate
                echo_back isolate 1
        done
}

# --- a server that comes back

# herd NAME AT_ONCE [tls]: from the moment at which there is one again. Hosts and server are on the same processors, so what each took is apart
herd() {
        local at caught failures in sims ca=-
        [ "${3:-}" != tls ] || ca=$tmp/pki/ca.pem
        tell_all "tls $ca"
        tell_all "at-once $2"
        caught=$(total caught_up) failures=$(total failures) in=$(total in) sims=$(total cpu_ms)
        nats_stop
        server_up "${3:-}" || fail "the server did not come back"
        at=$(now_ms)
        ready
        fact "$1_ready_ms" $(($(now_ms) - at))
        fact "$1_ready_cpu_ms" "$(server_cpu)"
        fact "$1_ready_hosts_ms" $(($(total cpu_ms) - sims))
        fact "$1_failures" $(($(total failures) - failures))
        fact "$1_ready_rss" "$(server VmHWM)"
        box_until 300 is_caught_up $((caught + size)) || fail "hosts did not ask for what they missed"
        fact "$1_caught_ms" $(($(now_ms) - at))
        fact "$1_caught_bytes" $(($(total in) - in))
        fact "$1_caught_cpu_ms" "$(server_cpu)"
        fact "$1_caught_rss" "$(server VmRSS)"
        tell_all "at-once 0"
}

herds() {
        say "the server is killed and comes back to $size hosts, which come as the relay does, and all at once"
        herd jitter 0
        herd at_once 1
        sample_idle
        say "the same with TLS"
        nats_certify "$tmp/pki" server 127.0.0.1 || fail "no certificate"
        herd tls_jitter 0 tls
        herd tls_at_once 1 tls
}

# What connections cost that do nothing but look whether the server is there.
sample_idle() {
        local cpu
        sleep 5
        cpu=$(server_cpu)
        sleep 10
        fact idle_cpu_ms $((($(server_cpu) - cpu) / 10))
}

fleet_down() {
        local p
        for p in $(seq "$PROCESSES"); do sim_stop "sim$p"; done
        nats_stop
        rm -rf "$tmp/store"
        sim_end
}

# --- peers

# A sshd for all of 127.0.0.0/8 of a namespace, which nothing else is in.
peers_up() {
        mkdir -p "$tmp/ssh" /run/sshd
        ssh-keygen -q -t ed25519 -N '' -f "$tmp/ssh/host" && ssh-keygen -q -t ed25519 -N '' -f "$tmp/ssh/id" || return
        install -m 0600 "$tmp/ssh/id.pub" "$tmp/ssh/authorized"
        printf '%s\n' 'Port 22' "HostKey $tmp/ssh/host" "AuthorizedKeysFile $tmp/ssh/authorized" 'StrictModes no' 'MaxStartups 1000' 'UsePAM no' \
                'PermitRootLogin yes' "PidFile $tmp/ssh/pid" >"$tmp/ssh/sshd_config"
        printf '%s\n' 'StrictHostKeyChecking no' 'UserKnownHostsFile /dev/null' 'LogLevel ERROR' "IdentityFile $tmp/ssh/id" >"$tmp/ssh/config"
        for ((i = 1; i <= PEERS; i++)); do echo "127.0.1.$i"; done >"$tmp/ssh/hosts"
        unshare -n sh -c 'ip link set lo up && exec /usr/sbin/sshd -D -e -f "$1"' - "$tmp/ssh/sshd_config" >"$tmp/ssh/log" 2>&1 &
        SSHD_PID=$!
        disown
        box_at_exit 'kill "$SSHD_PID" 2>/dev/null'
        box_until 10 peer ssh -F "$tmp/ssh/config" 127.0.1.1 true
}
peer() { nsenter -t "$SSHD_PID" -n "$@"; }
peer_round() {
        local started
        started=$(now_ms)
        peer "${@:2}" >"$tmp/ssh/out" 2>&1 || fail "$1: $(tail -n 3 "$tmp/ssh/out")"
        sample "$1" $(($(now_ms) - started))
}
peers() {
        size=$PEERS
        say "$PEER_ROUNDS rounds of clush and pssh for $PEERS hosts"
        peers_up || fail "no sshd: $(cat "$tmp/ssh/log")"
        for round in $(seq "$PEER_ROUNDS"); do
                peer_round clush clush -o "-F $tmp/ssh/config" -f "$PEERS" -w "127.0.1.[1-$PEERS]" true
                peer_round pssh parallel-ssh -x "-F $tmp/ssh/config" -p "$PEERS" -h "$tmp/ssh/hosts" true
        done
        kill "$SSHD_PID"
}

SIZES=("$@")
[ $# -gt 0 ] || SIZES=(1000 10000)
tmp=$(mktemp -d)
box_at_exit 'rm -rf "$tmp"'
size=0
fact load_before "$(cut -d ' ' -f 1 /proc/loadavg)"
limits
for size in "${SIZES[@]}"; do
        fleet_up
        orders
        herds
        fleet_down
done
peers
size=0
fact load_after "$(cut -d ' ' -f 1 /proc/loadavg)"
python3 tests/bench/fleet_table.py "$tmp/samples" "$tmp/facts"
