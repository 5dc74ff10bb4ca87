#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 065-host.sh B: a whole host is held, and looked at from both ends of its cable. The way in stays: ssh over both protocols, DHCP, ARP and
# neighbour discovery. Everything else is tried from the inside by root: sockets old and new, forwarding, packet sockets, also those that
# hand their packets to the driver directly, interfaces that come later, and taking the hold's programs and rules off.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 065-host.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh

DIR=
# by handle a cgroup is opened of which the kernel tells, as it is on a host that is no container
# shellcheck disable=SC2034
BOX_SYSCALLS=open_by_handle_at
box_create host && box_install host "$B" || exit
DIR=$(box_dir host)
ROOT=$(box_root host)
mkdir -p "$ROOT/etc/systemd/network" "$ROOT/root/.ssh"
printf '[Match]\nName=host0 br0 guest* late* mac*\n[Link]\nUnmanaged=yes\n' >"$ROOT/etc/systemd/network/10-others.network"
printf '[Match]\nName=dhcp0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n' >"$ROOT/etc/systemd/network/20-dhcp0.network"
ssh-keygen -q -t ed25519 -N '' -f "$DIR/key" && install -m 0600 "$DIR/key.pub" "$ROOT/root/.ssh/authorized_keys"
gcc -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -o "$ROOT/root/hotplug" tests/lib/hotplug.c || exit
# what the test itself runs in the box is not to be frozen with it
jq '.protected += ["box-run"]' policy/default-policy.json >"$ROOT/etc/freezed/policy.json" || exit
box_boot host && box_net host && box_beacon host || exit
box_sh host 'cd /root && for k in alice bob; do ssh-keygen -q -t ed25519 -N "" -f $k || exit 1; done; ssh-keygen -A' >/dev/null && held_enroll || exit
run systemctl start ssh.service || exit

box_listen host socat TCP6-LISTEN:7100,ipv6only=0,reuseaddr,fork PIPE
box_listen host socat UDP6-LISTEN:7100,ipv6only=0,reuseaddr,fork PIPE
# everything that arrives outside, whatever it is
box_listen host python3 -c 'import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("outside0", 0))
with open(sys.argv[1], "ab", 0) as f:
    while True:
        f.write(s.recv(65536) + b"\n")' "$DIR/wire"

# on_wire MARK: the bytes of MARK came out of the cable
on_wire() { grep -qa "$1" "$DIR/wire"; }
try() { run timeout 30 python3 -c "$@" 2>&1 | tail -n 1; }
TRY='import socket, sys
proto, address, port = sys.argv[1:4]
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM if proto == "udp" else socket.SOCK_STREAM)
s.settimeout(10)
try:
    s.connect((address, int(port)))
    s.send(b"x")
    print("echo" if s.recv(1) == b"x" else "closed")
except OSError as e:
    print(type(e).__name__)'
login() { box_outside host timeout "${LOGIN_S:-30}" ssh -q -i "$DIR/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes "root@$1" "${@:2}" 2>&1; }
uplinks() { told '[.targets[0].uplinks[] | "\(.name)=\(.by),\(.direct)"] | sort'; }

# hotplug: an interface appears whose other end is outside, and is sent through at once, as fast as it goes. FRAMES got out before the
# first US microseconds were over. It is gone afterwards.
hotplug() {
        local sender
        run /root/hotplug late2 mark-late >"$DIR/hotplug" &
        sender=$!
        sleep 0.2
        box_outside host ip link add outside2 type veth peer name late2 && box_outside host ip link set outside2 up
        box_outside host ip link set late2 netns "$(box_leader host)"
        wait "$sender"
        box_outside host ip link delete outside2
        read -r FRAMES US <"$DIR/hotplug"
}

check "ssh gets in over IPv4" test "$(login 10.77.0.2 echo in)" = in
check "and over IPv6" test "$(login fd77::2 echo in)" = in
is "before: TCP" "$(try "$TRY" tcp 10.77.0.1 7100)" echo
is "before: UDP over IPv6" "$(try "$TRY" udp fd77::1 7100)" echo
hotplug
check "before: an interface that appears is sent through ($FRAMES frames)" test "$US" -gt 1000000

# a session that is open
trap '' PIPE
coproc SESSION { LOGIN_S=1800 login 10.77.0.2 'while read -r x; do echo "got $x"; done'; }
says() { echo "$1" 2>/dev/null >&"${SESSION[1]}" && read -r -t 30 answer <&"${SESSION[0]}" && [ "$answer" = "got $1" ]; }
check "a session is open" says one
run bash -c 'exec 3<>/dev/tcp/127.0.0.1/22; read -r x <&3; echo ready; sleep 60; echo "$x"' >"$DIR/local" &
run python3 -c 'import socket, time
a = socket.create_server(("10.77.0.2", 9000)); b = socket.create_connection(("10.77.0.2", 9000)); c = a.accept()[0]
while True:
    b.send(b"x"); open("/run/local", "w").write(c.recv(1).decode()); time.sleep(0.05)' &
# DHCP on a cable of its own
box_sh host 'systemctl start systemd-networkd' || exit
NS=$(cat "$DIR/netns")
ip link add outside1 netns "$NS" type veth peer name dhcp0 netns "$(box_leader host)"
box_outside host ip address add 10.79.0.1/24 dev outside1
box_outside host ip link set outside1 up
box_listen host dnsmasq --no-daemon --no-hosts --no-resolv --port=0 --interface=outside1 --bind-interfaces --dhcp-range=10.79.0.50,10.79.0.60,2m --dhcp-leasefile="$DIR/leases" --log-dhcp
run ip link set dhcp0 up
leased() { run ip -4 -br address show dhcp0 | grep -q 10.79.0; }
check "an address is leased" box_until 60 leased

# a packet socket that hands its packets to the driver; three at a time when it is told to
run python3 -c 'import socket, time, os
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.setsockopt(263, 20, 1)
s.bind(("host0", 0))
frame = lambda mark: b"\xff" * 6 + b"\x02" * 6 + b"\x88\xb5" + mark + b"." * 60
s.send(frame(b"mark-early"))
n = 0
open("/run/gone", "w").write("0\n")
while True:
    if os.path.exists("/run/go"):
        os.unlink("/run/go")
        for _ in range(3):
            n += 1
            try: s.send(frame(b"mark-direct"))
            except OSError: pass
        open("/run/gone.new", "w").write("%d\n" % n)
        os.rename("/run/gone.new", "/run/gone")
    time.sleep(0.02)' &
wired() { on_wire mark-early; }
check "before: what is handed to the driver directly gets out" box_until 60 wired
# root makes cgroups of any name, and is in one of sshd's
run sh -c 'for i in $(seq 300); do mkdir "/sys/fs/cgroup/ssh@$i.service" || exit; done' || exit
run python3 -c 'import socket
open("/sys/fs/cgroup/ssh@1.service/cgroup.procs", "w").write("0")
s = socket.create_server(("10.77.0.2", 4444))
while True:
    c = s.accept()[0]
    c.sendall(c.recv(100))
    c.close()' &
poses() { [ "$(echo posing | box_outside host timeout 5 socat -t 2 - TCP:10.77.0.2:4444,connect-timeout=1)" = posing ]; }
check "before: one who calls his cgroup as sshd's could be is reached" box_until 60 poses
order plan isolate host
is "a plan names the interfaces, and says that nothing would stay open" "$(jq -c '.targets[0] | [([.uplinks[].name] | sort), .gaps]' <<<"$RECEIPT")" '[["dhcp0","host0"],[]]'
like "health has every layer of a host's isolation" "$(run freezectl health)" 'yes setsockopt.*yes tcx.*yes netdev-egress'
sunk=$(box_sunk host)
order isolate host
is "the host is isolated, and nothing is open" "$EXIT $(state) $(told .reasons)" "0 contained "
is "five programs are at its root" "$(bpftool cgroup show "$(box_cgroup host)" | grep -c host_)" 5
is "and one on every uplink, with rules for what passes it by" "$(uplinks)" "dhcp0=tcx,true host0=tcx,true"
check "the session that was open still is" says two
check "ssh gets in over IPv4" test "$(login 10.77.0.2 echo in)" = in
check "and over IPv6" test "$(login fd77::2 echo in)" = in
like "TCP out is refused at once" "$(try "$TRY" tcp 10.77.0.1 7100)" PermissionError
like "and over IPv6" "$(try "$TRY" tcp fd77::1 7100)" PermissionError
like "UDP too" "$(try "$TRY" udp 10.77.0.1 7100)" PermissionError
like "and DNS to anywhere" "$(try "$TRY" udp 10.77.0.1 53)" PermissionError
sleep 0.5
sunk=$(box_sunk host) beats=$(box_beats host)
sleep 0.3
is "the beacon's stream is cut" "$(box_sunk host)" "$sunk"
beats_on() { [ "$(box_beats host)" -gt "$beats" ]; }
check "while it beats on" box_until 60 beats_on
run sh -c ': >/run/local'
check "processes of the host still talk to each other by the host's own address" box_until 60 run test -s /run/local
sleep 1.5
refute "nor one whose cgroup is called as sshd's could be, be there hundreds of them" poses
refute "nobody outside reaches another service" box_outside host timeout 2 socat -u TCP:10.77.0.2:9000,connect-timeout=1 -
like "ssh makes no connection on behalf of who is logged in" "$(box_outside host timeout 6 ssh -q -i "$DIR/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -W 10.77.0.1:7100 root@10.77.0.2 </dev/null 2>&1; echo "exit $?")" 'exit [^0]'

# --- the link works
run ip neigh flush all; box_outside host ip neigh flush all
check "with every neighbour forgotten, ARP finds them again" test "$(login 10.77.0.2 echo in)" = in
check "and so does neighbour discovery" test "$(login fd77::2 echo in)" = in
acks() { grep -c DHCPACK "$DIR/listen.log"; }
before=$(acks)
run networkctl renew dhcp0
renewed() { [ "$(acks)" -gt "$before" ]; }
check "a lease is renewed" box_until 60 renewed
run systemctl restart systemd-networkd
before=$(acks)
run networkctl renew dhcp0
check "also by a client that was restarted since" box_until 60 renewed
run systemctl restart ssh.service
again() { [ "$(login 10.77.0.2 echo in)" = in ]; }
check "sshd, restarted, answers again" box_until 60 again

# --- what has no socket of the host
run ip netns add guest
run ip link add guest0 type veth peer name up0 netns guest
run sh -c 'ip link add br0 type bridge; ip link set guest0 master br0; ip link set guest0 up; ip link set br0 up; ip address add 10.80.0.1/24 dev br0
        ip -n guest address add 10.80.0.2/24 dev up0; ip -n guest link set up0 up; ip -n guest route add default via 10.80.0.1; sysctl -qw net.ipv4.ip_forward=1'
box_outside host ip route add 10.80.0.0/24 via 10.77.0.2
like "a guest behind a bridge is refused" "$(run ip netns exec guest python3 -c "$TRY" udp 10.77.0.1 7100 2>&1 | tail -n 1)" PermissionError
RAW='import socket, sys, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
if sys.argv[2] == "bypass":
    s.setsockopt(263, 20, 1)
s.bind((sys.argv[3], 0))
frame = b"\xff" * 6 + b"\x02" * 6 + struct.pack("!H", int(sys.argv[4], 16)) + sys.argv[1].encode() + b"." * 60
try:
    for _ in range(3): s.send(frame)
    print("sent")
except OSError as e:
    print(type(e).__name__)'
try "$RAW" mark-packet qdisc host0 88b5
try "$RAW" mark-arp qdisc host0 0806
like "none can be told to pass the queueing disciplines by" "$(try "$RAW" mark-bypass bypass host0 88b5)" PermissionError
like "nor any AF_XDP socket be set up" "$(try 'import socket
s = socket.socket(44, socket.SOCK_RAW)
s.setsockopt(283, 3, 64)')" PermissionError
more() { [ "$(run cat /run/gone)" -gt "$1" ]; }
run touch /run/go
check "one that was told before sends" box_until 60 more 0
sleep 0.2
refute "and gets nothing out" on_wire mark-direct
refute "no packet socket of root gets a frame out" on_wire mark-packet
refute "not even one that says it is ARP" on_wire mark-arp

# --- interfaces that come later
run sh -c 'ip link add mac0 link host0 type macvlan mode bridge && ip link set mac0 up && ip address add 10.77.0.9/24 dev mac0'
run sh -c 'ip link add late0 type veth peer name late1 && ip link set late0 up'
sleep 0.3
try "$RAW" mark-macvlan qdisc mac0 88b5
refute "a macvlan made since is no way out" on_wire mark-macvlan
hotplug
echo "# an interface that appears let $FRAMES frames out in $US us"
check "an interface that appears is closed within a second, however fast somebody is" test "$US" -lt 1000000
status
is "and every interface has its program and its rules" "$(holds '[.targets[0].uplinks[] | select(.by == "none" or (.direct | not)) | .name] | length')" 0

# --- an address that comes later
programs() { status; holds '[.targets[0].uplinks[] | "\(.name)=\(.prog_id)"] | sort | join(" ")'; }
before=$(programs)
run ip address add 10.81.0.1/24 dev host0
its_own() { [ "$(try "$TRY" tcp 10.81.0.1 22)" = closed ]; }
check "the host reaches itself by an address that it did not have" box_until 60 its_own
is "for which no interface was given another program" "$(programs)" "$before"
run ip address del 10.81.0.1/24 dev host0

# --- taking it off
repaired() { status; holds '.repaired.repairs.uplink // 0'; }
is "nothing was to be put back so far" "$(repaired)" 0
run nft 'add table netdev others { chain out { type filter hook egress device "host0" priority 5; policy accept; }; }'
run nft flush ruleset
run tc qdisc del dev host0 clsact 2>/dev/null
try "$RAW" mark-flush qdisc host0 88b5
refute "flushing nft and tc does not open it" on_wire mark-flush
put_back() { [ "$(repaired)" -gt "$1" ]; }
check "the rules are put back, and that is counted" box_until 60 put_back 0
all_put_back() { status; [ "$(holds '[.targets[0].uplinks[] | select(.direct | not) | .name] | length')" = 0 ]; }
box_until 60 all_put_back
is "on every interface" "$(holds '[.targets[0].uplinks[] | select(.direct | not) | .name] | length')" 0
sent=$(run cat /run/gone)
run touch /run/go
check "the packet socket goes on" box_until 60 more "$sent"
sleep 0.2
refute "in vain" on_wire mark-direct
before=$(repaired)
run bpftool link detach pinned "$(run sh -c 'ls /sys/fs/bpf/freezed/*/uplink_* | head -n 1')"
check "a program that is taken off an interface is put back, and that is counted" box_until 60 put_back "$before"
pid=$(run systemctl show -P MainPID freezed)
run kill -9 "$pid"
like "nor does killing the agent" "$(try "$TRY" tcp 10.77.0.1 7100)" PermissionError
check "which comes back" box_until 60 core_is_up
status
is "and says the same of the hold" "$(holds '[.state] + .reasons')" 'contained'
check "with rules that fit the new programs" test "$(login 10.77.0.2 echo in)" = in
run nft 'add table netdev others { chain out { type filter hook egress device "host0" priority 5; policy accept; }; }'
release
is "released" "$EXIT $(state)" "0 released"
check "nothing is left" nothing_left
is "nor on the interfaces" "$(run bpftool net 2>/dev/null | grep -c host_uplink)" 0
is "nobody else's table has gone" "$(run nft list tables)" "table netdev others"
is "TCP out again" "$(try "$TRY" tcp 10.77.0.1 7100)" echo
is "UDP out again" "$(try "$TRY" udp fd77::1 7100)" echo
check "and the beacon streams again" alive

# --- the self-test
order isolate host --permit 10.77.0.1:7100/tcp
is "a permitted address is tried, and one that is not" "$(told '[.targets[0].selftest | .new, .permitted[].result]')" "blocked reached"
is "what is permitted is reached by everyone" "$(try "$TRY" tcp 10.77.0.1 7100)" echo
like "at that port alone" "$(try "$TRY" udp 10.77.0.1 7100)" PermissionError
release
# answers once, and then not even with a reset
box_listen host socat TCP-LISTEN:7300,reuseaddr PIPE
box_until 60 box_outside host sh -c 'ss -Hltn sport = :7300 | grep -q .'
box_outside host nft 'add table inet quiet; add chain inet quiet out { type filter hook output priority 0; }; add rule inet quiet out tcp sport 7300 tcp flags & rst == rst drop'
order isolate host --permit 10.77.0.1:7300/tcp
like "an address that answered and does not any more takes the isolation back" "$(state) $(told .reasons)" 'failed .*management-cut'
is "so that nobody is locked out" "$(try "$TRY" tcp 10.77.0.1 7100)" echo
sleep 1.5
is "and it stays so" "$(try "$TRY" tcp 10.77.0.1 7100) $(bpftool cgroup show "$(box_cgroup host)" | grep -c host_)" "echo 0"
release
check "nothing is left" nothing_left

# --- what stays open, and is said
run python3 -c 'import socket, time
s = socket.socket(44, socket.SOCK_RAW)
open("/run/xsk", "w").close()
time.sleep(60)' &
xsk_is_there() { run test -e /run/xsk; }
box_until 60 xsk_is_there
order isolate host
is "an AF_XDP socket from before is a gap" "$(state) $(told .reasons)" "partial packet-sockets"
release
run pkill -f /run/xsk
xsk_is_gone() { ! run pgrep -f /run/xsk; }
box_until 60 xsk_is_gone
printf '%s\n' '#include <linux/bpf.h>' '__attribute__((section("xdp"), used)) int pass(struct xdp_md *c) { return 2; }' |
        clang -O2 -target bpf -x c -I"/usr/include/$(gcc -dumpmachine)" -c -o "$ROOT/root/pass.o" - || exit
run sh -c 'bpftool prog load /root/pass.o /sys/fs/bpf/pass type xdp && bpftool net attach xdpgeneric pinned /sys/fs/bpf/pass dev dhcp0'
order plan isolate host
is "a plan says that an XDP program would be one" "$(told '.targets[0].gaps')" loaded-bpf
order isolate host
is "and it is" "$(state) $(told .reasons)" "partial loaded-bpf"
release
run sh -c 'bpftool net detach xdpgeneric dev dhcp0; rm /sys/fs/bpf/pass'

# --- contained
order contain host
is "the host is contained" "$EXIT $(state) $(told .reasons)" "0 contained "
check "the beacon is frozen" frozen
check "sshd answers" test "$(login 10.77.0.2 echo in)" = in
check "one whose cgroup is called as sshd's could be is frozen as well" grep -qx 'frozen 1' "$(box_cgroup host)/ssh@1.service/cgroup.events"
refute "PID 1 runs" grep -qx 'frozen 1' "$(box_cgroup host)/init.scope/cgroup.events"
STARTS=20
for k in $(seq "$STARTS"); do run systemd-run -q --no-block --unit="late$k.service" sh -c "touch /root/ran$k; sleep 1000"; done
late_frozen() { local k; for k in $(seq "$STARTS"); do frozen "late$k.service" || return; done; }
check "what is started since is frozen too" box_until 60 late_frozen
for k in $(seq "$STARTS"); do
        frozen "late$k.service" || echo "# late$k: $(run systemctl show -p ActiveState,SubState,FreezerState "late$k.service" | tr '\n' ' ')$(tr '\n' ' ' <"$(box_cgroup host)/system.slice/late$k.service/cgroup.events" 2>&1)"
done
echo "# of $STARTS units started on a frozen host $(run sh -c 'ls /root/ran* 2>/dev/null' | wc -l) ran before they were frozen"
# who connects to one that is stuck waits for it, and is in its queue for as long
queue() { run ss -xlH src /run/systemd/private | awk '{ print $3 }'; }
kill -STOP "$(box_leader host)"
sleep 3
queued=$(queue)
sleep 10
echo "# a PID 1 that is stuck was asked $queued times in 3 s, and $(($(queue) - queued)) times in 10 s"
check "one that is stuck is not waited for each second" test $(($(queue) - queued)) -le 2
kill -CONT "$(box_leader host)"
release
is "released" "$EXIT $(state)" "0 released"
check "the beacon lives" alive
refute "and so does who was started meanwhile" frozen late1.service
check "nothing is left" nothing_left

# --- a power cut while it is contained: the boot takes longer than it takes to find out what has been started
printf '%s\n' '[Unit]' Before=ssh.service '[Service]' Type=oneshot 'ExecStart=/bin/sleep 4' '[Install]' WantedBy=multi-user.target >"$DIR/slow.service"
box_put host "$DIR/slow.service" /etc/systemd/system/slow.service
run systemctl -q enable slow.service ssh.service beacon.service
order contain host
is "the host is contained" "$EXIT $(state)" "0 contained"
programs=$(bpftool cgroup show "$(box_cgroup host)" | grep -c host_)
box_crash host && box_boot host || exit
check "after a power cut it comes up, and sshd answers" box_until 60 again
is "cut off as before" "$(try "$TRY" tcp 10.77.0.1 7100) $(bpftool cgroup show "$(box_cgroup host)" | grep -c host_)" "PermissionError $programs"
refute "what was frozen has not been started" run systemctl is-active beacon.service
run systemd-run -q --unit=another.service sleep 1000
check "what is started when it is up is frozen" box_until 60 frozen another.service
release
is "released" "$EXIT $(state)" "0 released"
run systemctl start beacon.service
check "the beacon lives" box_until 60 alive
check "nothing is left" nothing_left
done_testing
