#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh B: figures on a disposable host with a real systemd, beside a floor and the stock tools that are measured in the same rounds, so
# that what the machine does meanwhile is in all of them alike. Nothing here is an assertion about time; it fails only when something that
# was measured did not do what it is measured for. packaging/doc/benchmarks.md says what the figures mean.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: run.sh BUILD}
if [ "$(id -u)" -ne 0 ]; then exec sudo --preserve-env=FREEZED_CACHE,ROUNDS,IDLE_S "$0" "$@"; fi
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/nats.sh
. tests/lib/nats.sh

# One number of rounds for all, given in the environment, is enough to see whether the bench works.
FLOOD_BLOCKS=${ROUNDS:-4}
FLOOD_ROUNDS=${ROUNDS:-50}
FLOOD_RATE=50000
FLOOD_CONNECTIONS=16
IDLE_S=${IDLE_S:-60}
MANY=200
MANY_ROUNDS=${ROUNDS:-20}
FORK_ROUNDS=${ROUNDS:-50}
PACKET_ROUNDS=${ROUNDS:-15}
PACKETS=200000
REPAIR_ROUNDS=${ROUNDS:-100}
PRESERVING_ROUNDS=${ROUNDS:-30}
HANGING_BLOCKS=${ROUNDS:-2}
HANGING_ROUNDS=${ROUNDS:-25}
ROUNDS=${ROUNDS:-100}

say() { printf '  %-8s %s\n' BENCH "$1"; }
fail() { echo "bench: $1" >&2; exit 1; }
run() { box_run host "$@"; }

build() {
        local flags=(-std=gnu11 -O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -I. "-I$B/gen")
        mkdir -p "$B/bench"
        # shellcheck disable=SC2046
        gcc "${flags[@]}" -o "$B/bench/rounds" tests/bench/{rounds,orders,floor,peer}.c "$B"/policy/*.o "$B"/ctl/{sshprivkey,wire}.o \
                $(pkg-config --cflags --libs libsodium jansson libbpf) &&
                gcc "${flags[@]}" -o "$B/bench/crowd" tests/bench/crowd.c && gcc "${flags[@]}" -o "$B/bench/spent" tests/bench/spent.c && gcc "${flags[@]}" -o "$B/bench/flood" tests/bench/flood.c && gcc "${flags[@]}" -o "$B/bench/packets" tests/bench/packets.c &&
                gcc "${flags[@]}" -o "$B/bench/repairs" tests/bench/repairs.c $(pkg-config --cflags --libs libbpf)
}

unit() {
        printf '[Service]\nExecStart=/usr/local/bin/crowd %s\n' "$1" | run sh -c 'cat >"/etc/systemd/system/crowd-$1.service"' sh "$1"
}

set_up() {
        local program n
        box_create host && box_install host "$B" && box_boot host && box_net host || return
        for program in rounds crowd flood packets repairs; do
                box_put host "$B/bench/$program" "/usr/local/bin/$program" 0755
        done
        # crowd-0 is who the others are connected to
        for n in 0 1 10 100 -8; do unit "$n"; done
        box_sh host 'printf "[Service]\nExecStart=sleep infinity\n" >/etc/systemd/system/many@.service'
        run systemctl daemon-reload && run systemctl start crowd-0 crowd-1 crowd-10 crowd-100 || return
        box_sh host 'cd /root && for n in alice bob; do ssh-keygen -q -t ed25519 -N "" -C $n -f $n || exit; done
                freezectl trust init --fleet bench --responder alice=alice.pub --responder bob=bob.pub --recipient '"$AGE_RECIPIENT"' --key alice --key bob --out trust.json &&
                freezectl enroll trust.json &&
                freezectl contain crowd-1.service --key alice --severity P0 --reason flood --out /tmp/order.json && chmod 644 /tmp/order.json' \
                >/dev/null || return
        box_until 5 run freezectl health
}

# rounds SERIES PROCESSES ROUNDS [alone]: adds its lines to the series
rounds() {
        local series=$1 n=$2
        run rounds "crowd-$n.service" "system.slice/crowd-$n.service" 1 "$3" bench /root/alice /root/bob "${@:4}" >"$tmp/part" || exit
        sed "s/^/$series /" "$tmp/part" >>"$tmp/samples"
}

# One command over so many services, and one over a service that forks as fast as it can.
crowds() {
        say "$MANY_ROUNDS rounds of agent and floor for $MANY services in one command"
        box_sh host 'systemctl start $(seq -f "many@%.0f" "$1")' "$MANY" || fail "$MANY services did not start"
        run rounds "many@#.service" "system.slice/system-many.slice/many@#.service" "$MANY" "$MANY_ROUNDS" bench /root/alice /root/bob >"$tmp/part" || exit
        sed "s/^/many /" "$tmp/part" >>"$tmp/samples"
        run systemctl stop system-many.slice
        say "$FORK_ROUNDS rounds of agent, floor and stock tools for a service that forks"
        run systemctl start crowd--8 || fail "nothing forks"
        rounds fork -8 "$FORK_ROUNDS"
        run systemctl stop crowd--8
}

# What one packet of an allowed flow costs: of a service that is isolated but for this flow, and of one that nobody holds.
# packet NAME SERVICE [ADDRESS|socket]
packet() { echo "packets $1 $(run packets "/sys/fs/cgroup/system.slice/packets-$2.service" "$PACKETS" "${3:-127.0.0.1}")" >>"$tmp/samples"; }
isolate() {
        run freezectl isolate "$@" --key /root/alice --severity P0 --reason bench --yes --json | jq -rs 'map(.receipt | values) | last | .id'
}
release() {
        run freezectl release "$1" --key /root/alice --key /root/bob --reason bench --yes >/dev/null || fail "a hold was not released"
}

packets_set_up() {
        box_sh host 'for n in held plain listed; do printf "[Service]\nExecStart=sleep infinity\n" >/etc/systemd/system/packets-$n.service; done
                printf "IPAddressDeny=any\nIPAddressAllow=localhost\n" >>/etc/systemd/system/packets-listed.service
                systemctl daemon-reload && systemctl start packets-held packets-plain packets-listed' &&
                box_sh host 'cat >/run/packets.nft' <<'NFT'
table inet packets {
        set allowed { type ipv4_addr; flags interval; elements = { 127.0.0.0/8 } }
        chain in { type filter hook input priority 0; socket cgroupv2 level 2 "system.slice/packets-held.service" jump judge_in; }
        chain out { type filter hook output priority 0; socket cgroupv2 level 2 "system.slice/packets-held.service" jump judge_out; }
        chain judge_in { ip saddr @allowed accept; drop; }
        chain judge_out { ip daddr @allowed accept; drop; }
}
NFT
}

packets() {
        local hold
        say "$PACKET_ROUNDS rounds of $PACKETS packets: nothing, nft, IPAddressDeny=, the agent"
        packets_set_up || fail "the services for packets did not start"
        for _ in $(seq "$PACKET_ROUNDS"); do
                packet none held
                packet ip_deny listed
                run nft -f /run/packets.nft || fail "nft took no table"
                packet nft held
                packet nft_bystander plain
                run nft delete table inet packets
                packet socket_none plain socket
                hold=$(isolate packets-held.service --permit 127.0.0.0/8)
                packet agent held
                packet agent_bystander plain
                packet socket_watched plain socket
                release "$hold"
        done
}

# Orders that come while the memory of a large process is being preserved, over and over, and while nothing is.
preserving() {
        local background
        say "$PRESERVING_ROUNDS rounds with and without a snapshot that goes on"
        box_sh host 'printf "[Service]\nExecStart=python3 -c \"b = [str(i) * 8 for i in range(8000000)]; import time; time.sleep(1e6)\"\n" >/etc/systemd/system/heap.service
                systemctl daemon-reload && systemctl start heap' || fail "the large process did not start"
        rounds calm 10 "$PRESERVING_ROUNDS" alone
        box_sh host 'while freezectl snapshot heap.service --key /root/alice --severity P0 --reason bench --yes; do :; done' >/dev/null 2>&1 &
        background=$!
        rounds preserving 10 "$PRESERVING_ROUNDS" alone
        run systemctl stop heap
        [ "$(box_sh host 'cat /var/lib/freezed/evidence/*/*/public.jsonl' | jq -s 'map(select(.kind == "core") | .bytes) | max')" -gt 10000000 ] || fail "no memory was preserved"
        box_sh host 'pkill -f "^sh -c while freezectl"'
        wait "$background"
}

# What a hold on the whole host costs those whom it lets through: on the loopback, and on the way to a permitted address.
host_packets() {
        local hold
        say "$PACKET_ROUNDS rounds of $PACKETS packets and sockets with the whole host held, and without"
        box_outside host nft 'table inet sink { chain in { type filter hook prerouting priority -300; udp dport 7199 drop; }; }' || fail "no sink"
        for _ in $(seq "$PACKET_ROUNDS"); do
                packet local_none plain
                packet path_none plain 10.77.0.1
                hold=$(isolate host --permit 10.77.0.1:7199/udp)
                packet local_host plain
                packet path_host plain 10.77.0.1
                release "$hold"
        done
}

# How soon the kernel says again that something is held which somebody undid. The stock tools have nobody who would put it back.
repairs() {
        local who hold
        say "$REPAIR_ROUNDS rounds of undoing a hold, put back by the agent and by the floor"
        # shellcheck disable=SC2016
        box_sh host 'cd /sys/fs/cgroup && mkdir elsewhere && for who in agent floor; do
                for dir in $who $who.made; do mkdir $dir && (echo 0 >$dir/cgroup.procs && exec sleep infinity) & done; done; sleep 0.2' </dev/null >/dev/null 2>&1
        hold=$(run freezectl contain cgroup:/agent cgroup:/agent.made --key /root/alice --severity P0 --reason bench --json |
                jq -rs 'map(.receipt | values) | last | .id')
        for who in floor agent; do
                run repairs "$who" "/sys/fs/cgroup/$who" /sys/fs/cgroup/elsewhere "$REPAIR_ROUNDS" >"$tmp/part" || fail "$who: what was undone was not put back"
                sed "s/^/repairs $who-/" "$tmp/part" >>"$tmp/samples"
        done
        run freezectl release "$hold" --key /root/alice --key /root/bob --reason bench --yes >/dev/null || fail "a hold was not released"
        box_sh host 'echo 0 >/sys/fs/cgroup/floor/cgroup.freeze; for dir in agent floor agent.made floor.made; do echo 1 >/sys/fs/cgroup/$dir/cgroup.kill; done'
}

core_pid() { run systemctl show -P MainPID freezed.service; }
gate_pid() { run systemctl show -P MainPID freezed-gate.service; }
relay_pid() { run systemctl show -P MainPID freezed-relay.service; }
rss() { run sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }
# kB that are there, its share of what several have, and what is its own alone
memory() { run awk '/^Rss:/ { r = $2 } /^Pss:/ { p = $2 } /^Private_(Clean|Dirty):/ { own += $2 } END { print r, p, own }' "/proc/$1/smaps_rollup"; }
# milliseconds that the processes of a unit were on a processor, with what the kernel did for them
cpu_ms() { awk '/^usage_usec/ { printf "%d\n", $2 / 1000 }' "$(box_cgroup host)$(run systemctl show -P ControlGroup "$1")/cpu.stat"; }
# what a process and its children were put on a processor for, all threads: voluntarily and not
switches() { run sh -c 'cat /proc/"$1"/task/*/status' sh "$1" | awk '/^voluntary/ { v += $2 } /^nonvoluntary/ { n += $2 } END { print v, n }'; }

fact() { echo "$1 $2" >>"$tmp/facts"; }

containment() {
        local n
        for n in 1 10 100; do
                say "$ROUNDS rounds of agent, floor and stock tools, for a service of $n"
                rounds "n$n" "$n" "$ROUNDS"
        done
}

flood() {
        local block flooder
        rounds warm 10 10 alone
        fact core_before "$(rss "$(core_pid)")"
        fact gate_before "$(rss "$(gate_pid)")"
        for block in $(seq "$FLOOD_BLOCKS"); do
                say "quiet and under $FLOOD_RATE forged commands a second, block $block of $FLOOD_BLOCKS, $FLOOD_ROUNDS rounds each"
                rounds quiet 10 "$FLOOD_ROUNDS" alone
                run setpriv --reuid nobody --regid nogroup --groups freeze flood /tmp/order.json "$FLOOD_RATE" "$FLOOD_CONNECTIONS" >"$tmp/flood" &
                flooder=$!
                sleep 1
                rounds flood 10 "$FLOOD_ROUNDS" alone
                fact gate_during "$(rss "$(gate_pid)")"
                run pkill -TERM -x flood
                wait "$flooder"
                fact offered "$(cat "$tmp/flood")"
        done
        fact core_after "$(rss "$(core_pid)")"
        fact gate_after "$(rss "$(gate_pid)")"
}

# Orders that come while the relay's client library spins in a greeting that hangs, and while there is no relay.
hanging() {
        local block
        NATS_BOX=host NATS_PORT=4222
        echo '{"v":1,"servers":["nats://10.77.0.1:4222"],"spread_s":0}' >"$tmp/relay.json"
        box_put host "$tmp/relay.json" /etc/freezed/relay.json
        for block in $(seq "$HANGING_BLOCKS"); do
                say "$HANGING_ROUNDS rounds without a relay, and with one whose broker hangs in its greeting, block $block of $HANGING_BLOCKS"
                rounds unlinked 10 "$HANGING_ROUNDS" alone
                rogue_start host && echo silent-info >"$NATS_MODE" && run systemctl start freezed-relay || fail "no relay"
                sleep 1
                rounds hanging 10 "$HANGING_ROUNDS" alone
                # it ends itself when it has spun for long, and begins anew
                [ "$(run systemctl show -P NRestarts freezed-relay)" -gt 0 ] || [ "$(cpu_ms freezed-relay)" -gt 200 ] || fail "the relay did not spin"
                run systemctl stop freezed-relay
                nats_stop
        done
}

# A broker outside, as it is shipped: TLS, a certificate that has to be right, the host known by its nkey.
relay_is() { [ "$(run cat /run/freezed-relay/state.json | jq -r .state)" = "$1" ]; }
relay_up() {
        local token
        token=$(run ssh-keygen -lf /var/lib/freezed/host_key.pub | awk '{ print $2 }' | sed 's/^SHA256://; y/+\//-_/')
        NATS_BOX=host NATS_PORT=4222 NATS_URL=tls://10.77.0.1:4222 NATS_AS=(--nkey "$tmp/nats/operator" --ca "$tmp/nats/ca.pem")
        nats_certify "$tmp/nats" server 10.77.0.1 && nats_shipped "$tmp/nats" bench "$token" 10.77.0.1 >"$tmp/nats/conf" &&
                nats_start_with "$tmp/nats/conf" && nats_say streams bench || return
        box_put host "$tmp/nats/ca.pem" /etc/freezed/ca.pem && box_put host "$tmp/nats/host" /etc/freezed/nats.seed 0640 &&
                run chgrp freezed-relay /etc/freezed/nats.seed || return
        echo "{\"v\":1,\"servers\":[\"$NATS_URL\"],\"ca\":\"/etc/freezed/ca.pem\",\"nkey\":\"/etc/freezed/nats.seed\",\"spread_s\":0}" >"$tmp/relay.json"
        box_put host "$tmp/relay.json" /etc/freezed/relay.json && run systemctl start freezed-relay && box_until 60 relay_is ready
}

# What a flood leaves behind is over before this is called: the gate looks at a limited uid until its account is full again.
idle() {
        local who
        local -A pid unit=([core]=freezed [gate]=freezed-gate [relay]=freezed-relay)
        say "$IDLE_S s of nothing to do"
        relay_up || fail "no relay"
        sleep 5
        pid=([core]=$(core_pid) [gate]=$(gate_pid) [relay]=$(relay_pid))
        pid[probe]=$(run pgrep -P "${pid[core]}" | head -n 1)
        for who in "${!pid[@]}"; do fact "memory_$who" "$(memory "${pid[$who]}")"; done
        for who in "${!pid[@]}"; do fact "from_$who" "$(switches "${pid[$who]}")"; done
        for who in "${!unit[@]}"; do fact "cpu_from_$who" "$(cpu_ms "${unit[$who]}")"; done
        sleep "$IDLE_S"
        for who in "${!pid[@]}"; do fact "to_$who" "$(switches "${pid[$who]}")"; done
        for who in "${!unit[@]}"; do fact "cpu_to_$who" "$(cpu_ms "${unit[$who]}")"; done
        relay_is ready || fail "the relay lost its broker"
        run systemctl stop freezed-relay
        nats_stop
}

tmp=$(mktemp -d)
box_at_exit 'rm -rf "$tmp"'
load=$(cut -d ' ' -f 1 /proc/loadavg)
build || fail "the programs do not build"
say "booting a host"
set_up || fail "the host did not come up"
containment
crowds
packets
host_packets
repairs
preserving
flood
hanging
idle
tests/bench/evidence.sh "$B" "$tmp" || fail "the evidence was not measured"
fact load_before "$load"
fact load_after "$(cut -d ' ' -f 1 /proc/loadavg)"
fact idle_s "$IDLE_S"
python3 tests/bench/table.py "$tmp/samples" "$tmp/facts"
