#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 034-network.sh B: what a hold does to the network of a service, seen from both ends: connections of every kind are cut, what is permitted
# stays, the service serves again after a release, and nobody else notices.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 034-network.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh

# put_unit NAME LINE...: a unit of these lines
put_unit() {
        local name=$1
        shift
        printf '%s\n' "$@" >"$(box_root host)/etc/systemd/system/$name"
}
sink() { sed -n "s/^$1=//p" "$(box_dir host)/sink"; }

# tries NAME PROTO ADDRESS PORT: what comes of a byte that the service sends there: an echo, an errno, or silence
tries() {
        local name=$1
        shift
        rm -f "$(box_live host)/run/$name/answer"
        echo "$*" >"$(box_live host)/run/$name/ask.new"
        mv "$(box_live host)/run/$name/ask.new" "$(box_live host)/run/$name/ask"
        box_until 60 test -s "$(box_live host)/run/$name/answer" && cat "$(box_live host)/run/$name/answer"
}

held_boot "$B" || exit
cat >"$(box_root host)/usr/local/bin/tryer" <<'PY'
#!/usr/bin/python3
"""Sends a byte where it is told to, and says what came of it; keeps a UDP socket that was connected before."""
import errno, os, socket, sys, time
d = sys.argv[1]
kept = None
def attempt(proto, address, port):
    global kept
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        if proto == "kept":
            if kept is None:
                kept = socket.socket(family, socket.SOCK_DGRAM); kept.connect((address, port))
            s = kept
        elif proto == "udp":
            s = socket.socket(family, socket.SOCK_DGRAM)
        else:
            s = socket.socket(family, socket.SOCK_STREAM)
        s.settimeout(10)
        if proto == "tcp":
            s.connect((address, port))
        if proto == "udp":
            s.sendto(b"x", (address, port))
        else:
            s.send(b"x")
        return "echo" if s.recv(1) == b"x" else "closed"
    except socket.timeout:
        return "silence"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
while True:
    if os.path.exists(d + "/ask"):
        with open(d + "/ask") as f: proto, address, port = f.read().split()
        os.unlink(d + "/ask")
        with open(d + "/answer.new", "w") as f: f.write(attempt(proto, address, int(port)) + "\n")
        os.rename(d + "/answer.new", d + "/answer")
    time.sleep(0.01)
PY
chmod 0755 "$(box_root host)/usr/local/bin/tryer"
for name in tryer other; do
        put_unit $name.service '[Service]' "ExecStart=/usr/local/bin/tryer /run/$name" "RuntimeDirectory=$name" CapabilityBoundingSet=
done
# a server that greets and keeps the line open, and a service that has both ends of a connection in a network of its own
put_unit server.service '[Service]' "ExecStart=/usr/bin/python3 -c \"import socket; s=socket.create_server(('', 8080)); k=[]; [(k.append(c), c.send(b'served')) for c, a in iter(s.accept, None)]\"" CapabilityBoundingSet=
put_unit alone.service '[Service]' PrivateNetwork=yes "ExecStart=/usr/bin/python3 -c \"import socket,time; a=socket.create_server(('127.0.0.1',9099)); b=socket.create_connection(('127.0.0.1',9099)); c=a.accept(); time.sleep(1e6)\""
# and one that is connected to the server from a namespace that several services could share
put_unit apart.service '[Service]' NetworkNamespacePath=/run/netns/apart "ExecStart=/usr/bin/python3 -c \"import socket,time; c=socket.create_connection(('10.78.0.1',8080)); time.sleep(1e6)\""
box_sh host 'ip netns add apart && ip link add apart0 type veth peer name up0 netns apart && ip address add 10.78.0.1/24 dev apart0 && ip link set apart0 up &&
        ip -n apart address add 10.78.0.2/24 dev up0 && ip -n apart link set up0 up' || exit
put_unit handed.socket '[Socket]' ListenStream=9100 Accept=no
put_unit handed.service '[Service]' "ExecStart=/usr/bin/python3 -c \"import socket; s=socket.socket(fileno=3); [c.send(b'served') or c.close() for c, a in iter(s.accept, None)]\"" CapabilityBoundingSet=
run systemctl daemon-reload
run systemctl start tryer other server alone handed.socket || exit
for port in 7100 7101 7200; do
        box_listen host socat "TCP6-LISTEN:$port,ipv6only=0,reuseaddr,fork" PIPE
        box_listen host socat -T 5 "UDP6-LISTEN:$port,ipv6only=0,reuseaddr,fork" PIPE
done
listening() { [ "$(box_outside host ss -Hltun | grep -c ':7[12]0')" -ge 6 ]; }
check "peers listen outside" box_until 60 listening

# --- the connection that is open, and the path of others
resets=$(sink resets)
order isolate beacon.service
is "isolated" "$EXIT $(state)" "0 contained"
more_resets() { [ "$(sink resets)" -gt "$resets" ]; }
check "the listener outside sees its connection reset" box_until 60 more_resets
bytes=$(box_sunk host) beats=$(box_beats host)
sleep 0.3
is "and gets nothing more" "$(box_sunk host)" "$bytes"
beats_on() { [ "$(box_beats host)" -gt "$beats" ]; }
check "from a service that runs on" box_until 60 beats_on
refute "which the kernel has not frozen" frozen
is "its cgroup has every program" "$(links)" "$(grep -cE "^ +X\([A-Z0-9]+, \".*(CALLS|PACKETS)\)" bpf/isolate_abi.h)"
for unit in tryer.service other.service server.service; do is "$unit has none" "$(links $unit)" 0; done
is "another service reaches the same host over TCP" "$(tries other tcp 10.77.0.1 7100)" echo
is "and over UDP and IPv6" "$(tries other udp fd77::1 7100)" echo
# a connection of somebody else, as an administrator's, lives through the hold
box_run host bash -c 'exec 3<>/dev/tcp/10.77.0.1/7100; for n in 1 2 3 4 5 6 7 8 9 10; do echo $n >&3; read -r -t 30 x <&3 || exit 1; sleep 0.1; done; echo whole' >"$(box_dir host)/whole" &
other=$!
sleep 0.2
release
order contain beacon.service
wait $other
is "a connection of somebody else outlives release and hold" "$(cat "$(box_dir host)/whole")" whole
release
check "released, the beacon streams again" alive

# --- what a service tries while it is isolated, before and after
for way in "tcp 10.77.0.1 7100" "tcp fd77::1 7100" "udp 10.77.0.1 7100" "udp fd77::1 7100" "kept 10.77.0.1 7200"; do
        # shellcheck disable=SC2086
        is "before: $way" "$(tries tryer $way)" echo
done
order isolate tryer.service
is "isolated" "$EXIT $(state)" "0 contained"
for way in "tcp 10.77.0.1 7100" "tcp fd77::1 7100" "udp 10.77.0.1 7100" "udp fd77::1 7100" "tcp 127.0.0.1 8080" "tcp ::1 8080"; do
        # shellcheck disable=SC2086
        is "isolated: $way" "$(tries tryer $way)" EPERM
done
like "isolated: a UDP socket that was connected before" "$(tries tryer kept 10.77.0.1 7200)" '^(ECONNABORTED|EPERM|EDESTADDRREQ|silence)$'
release
for way in "tcp 10.77.0.1 7100" "tcp fd77::1 7100" "udp 10.77.0.1 7100" "udp fd77::1 7100"; do
        # shellcheck disable=SC2086
        is "released: $way" "$(tries tryer $way)" echo
done

# --- permitted addresses, and what lies next to them
permits() {
        local sentence=$1 permit=$2 way=$3 wanted=$4
        # shellcheck disable=SC2086
        is "with $permit permitted, $way: $sentence" "$(tries tryer $way)" "$wanted"
}
order isolate tryer.service --permit 10.77.0.1:7100/tcp
is "isolated but for one port" "$EXIT $(state) $(told '[.targets[0].selftest.permitted[].result]')" "0 contained reached"
P=10.77.0.1:7100/tcp
permits "reached" $P "tcp 10.77.0.1 7100" echo
permits "the next port is not" $P "tcp 10.77.0.1 7101" EPERM
permits "nor the same of the other protocol" $P "udp 10.77.0.1 7100" EPERM
permits "nor the same host by IPv6" $P "tcp fd77::1 7100" EPERM
permits "nor the next host" $P "tcp 10.77.0.2 8080" EPERM
release
order isolate tryer.service --permit '[fd77::1]:7100/udp'
P='[fd77::1]:7100/udp'
permits "reached" $P "udp fd77::1 7100" echo
permits "the next port is not" $P "udp fd77::1 7101" EPERM
permits "nor the same of the other protocol" $P "tcp fd77::1 7100" EPERM
permits "nor the same host by IPv4" $P "udp 10.77.0.1 7100" EPERM
release
order isolate tryer.service --permit 10.77.0.0/31
P=10.77.0.0/31
permits "any port" $P "tcp 10.77.0.1 7101" echo
permits "any protocol" $P "udp 10.77.0.1 7200" echo
permits "the first address beyond is not" $P "tcp 10.77.0.2 8080" EPERM
permits "nor is IPv6" $P "tcp fd77::1 7100" EPERM
permits "nor an IPv4-mapped address of another host" $P "tcp ::ffff:10.77.0.2 8080" EPERM
permits "but a mapped one of this is" $P "tcp ::ffff:10.77.0.1 7100" echo
release
order isolate tryer.service --permit '[fd77::/64]'
P='[fd77::/64]'
permits "reached" $P "tcp fd77::1 7101" echo
permits "IPv4 is not" $P "tcp 10.77.0.1 7101" EPERM
release
order isolate tryer.service --permit '10.77.0.1:7100/udp'
permits "reached" "10.77.0.1:7100/udp" "udp 10.77.0.1 7100" echo
permits "TCP is not" "10.77.0.1:7100/udp" "tcp 10.77.0.1 7100" EPERM
release
is "with no permit left, nothing is refused" "$(tries tryer tcp 10.77.0.1 7101)" echo

# --- a server
serves() { [ "$(box_outside host timeout "${2:-10}" bash -c 'exec 3<>"/dev/tcp/10.77.0.2/$1" && read -r -N 6 x <&3; echo "$x"' bash "$1" 2>/dev/null)" = served ]; }
check "a server serves" box_until 60 serves 8080
box_outside host timeout 120 python3 -c 'import socket
s = socket.create_connection(("10.77.0.2", 8080))
try:
    while s.recv(100): pass
    print("closed")
except ConnectionResetError: print("reset")' >"$(box_dir host)/client" 2>&1 &
client=$!
established() { box_run host ss -Htn state established '( sport = :8080 )' | grep -q .; }
box_until 60 established
order contain server.service
is "contained" "$EXIT $(state) $(told '.targets[0].sockets.listeners')" "0 contained 1"
wait "$client"
is "its client is told at once" "$(cat "$(box_dir host)/client")" reset
refute "and nobody is served" serves 8080 2
check "its listener is still there" box_sh host 'ss -Htln sport = :8080 | grep -q .'
release
check "released, it serves again by the same listener" box_until 60 serves 8080

# --- another network namespace
inside() { nsenter --target "$(head -n 1 "$(cgroup_of alone.service)/cgroup.procs")" --net ss -Htn state established | wc -l; }
is "in a network of its own a service has a connection" "$(inside)" 2
order contain alone.service
is "contained: it is destroyed there" "$(state) $(inside)" "contained 0"
# each end is one; the self-test has connections of its own
like "and the receipt says so" "$(told '.targets[0].sockets | [.destroyed, .left]')" '^[2-9] 0$'
check "it is frozen, in the kernel" frozen alone.service
release

connected() { run ss -Htn state established dst 10.78.0.2 | wc -l; }
run systemctl start apart.service
check "from a shared namespace a service is connected to another one of the host" box_until 60 eval '[ "$(connected)" = 1 ]'
order contain apart.service
is "contained: both ends are gone" "$EXIT $(state) $(run ip netns exec apart ss -Htn state established | wc -l) $(connected)" "0 contained 0 0"
release

# --- a socket that somebody else made
check "a socket-activated service serves" box_until 60 serves 9100
order contain handed.service
is "its listener belongs to PID 1: the receipt says so, and exits with 4" "$EXIT $(state) $(told .reasons)" "4 partial foreign-socket"
check "it is frozen all the same" frozen handed.service
refute "and serves nobody" serves 9100 2
status
is "status says the same" "$EXIT $(holds '[.state] + .reasons')" "4 partial foreign-socket"
release
check "released, it serves again" box_until 60 serves 9100
check "nothing is left" nothing_left

done_testing
