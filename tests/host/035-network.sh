#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 035-network.sh B: what a service that is isolated and goes on running can still reach, tried by itself and by those it talks to: both
# families, streams and datagrams, connections from before and new ones, out and in, permitted and not, in network namespaces of its own.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 035-network.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/agent.sh
. tests/lib/agent.sh

# talker NAME [LINE...]: starts NAME.service, which does what `tell NAME` says
talker() {
        local name=$1
        shift
        printf '%s\n' '[Service]' "ExecStart=/usr/bin/python3 /usr/local/bin/talker run /run/$name" "RuntimeDirectory=$name" \
                'CapabilityBoundingSet=' "$@" >"$(box_root net)/etc/systemd/system/$name.service"
        box_run net systemctl daemon-reload && box_run net systemctl start "$name.service" && box_until 5 test -S "$(box_live net)/run/$name/ctl"
}

tell() {
        local name=$1
        shift
        box_run net python3 /usr/local/bin/talker tell "/run/$name" "$@"
}

# says NAME SENTENCE ANSWER COMMAND...
says() {
        local name=$1 sentence=$2 want=$3
        shift 3
        is "$sentence" "$(tell "$name" "$@")" "$want"
}

outside() {
        box_outside net python3 - "$@"
}

# reach PEER: what somebody outside gets who connects there: echo, silence, or the name of an errno
reach() {
        outside "$1" 2>&1 <<-'PY'
	import sys
	sys.path.insert(0, "tests/lib")
	import talker, errno
	try:
	    print(talker.Talker.do_new(talker.Talker.__new__(talker.Talker), sys.argv[1]))
	except TimeoutError as e:
	    print("silence")
	except OSError as e:
	    print(errno.errorcode[e.errno])
	PY
}

agent_box net "$B" || exit
box_put net tests/lib/talker.py /usr/local/bin/talker 0755
echoed=$(box_dir net)/echo.log
box_listen net python3 tests/lib/talker.py echo "$echoed" {tcp,udp}:10.77.0.1:{8001,8002} {tcp,udp}:fd77::1:{8001,8002}
box_until 5 grep -qs listening "$echoed"
# somebody else on the host
talker other && tell other listen in tcp:127.0.0.1:9100 >/dev/null || exit
talker web || exit

# --- before
for peer in {tcp,udp}:{10.77.0.1,fd77::1}:{8001,8002}; do
        says web "$peer is there" echo open "$peer" "$peer"
done
says web "so is another service of the host" echo new tcp:127.0.0.1:9100
says web "it listens" ok listen in4 tcp:10.77.0.2:9001
says web "on both families" ok listen in6 tcp:fd77::2:9001
is "and is reached" "$(reach tcp:10.77.0.2:9001) $(reach tcp:fd77::2:9001)" "echo echo"

# --- isolated but for port 8001: by TCP with IPv4, by anything with IPv6
order isolate web.service --permit 10.77.0.1:8001/tcp --permit '[fd77::1]:8001'
hold=$(said .receipt.id)
is "it is isolated in full" "$(state)" contained
is "what is permitted has been reached by the self-test" "$(said '[.receipt.targets[0].selftest.permitted[].result] | unique | join(" ")')" reached
is "it is not frozen" "$(is_frozen system.slice/web.service && echo frozen)" ""
says web "a permitted address is reached" echo new tcp:10.77.0.1:8001
says web "by IPv6 as well" echo new tcp:fd77::1:8001
says web "by datagrams where they are permitted" echo new udp:fd77::1:8001
says web "and not where only TCP is" EPERM new udp:10.77.0.1:8001
says web "as an IPv4 address within IPv6" echo new tcp:::ffff:10.77.0.1:8001
for peer in {tcp,udp}:{10.77.0.1,fd77::1,::ffff:10.77.0.1}:8002 tcp:127.0.0.1:9100 tcp:10.77.0.9:8001 tcp:fd77::9:8001; do
        says web "$peer is refused at once" EPERM new "$peer"
done
# also to what is permitted: who has been there before may be somebody else by now, and a new one can be made
for peer in {tcp,udp}:{10.77.0.1,fd77::1}:{8001,8002}; do
        like "the connection to $peer from before is dead" "$(tell web try "$peer")" '^E(CONNABORTED|DESTADDRREQ)$'
done
is "the other side has seen resets" "$(sort -u "$echoed" | grep -c '^reset')" 4
like "nobody gets in" "$(reach tcp:10.77.0.2:9001) $(reach tcp:fd77::2:9001)" '^silence silence$'
is "its neighbour goes on as before" "$(tell other new tcp:10.77.0.1:8002)" echo

release "$hold"
is "two people release it" "$(state)" released
for peer in {tcp,udp}:{10.77.0.1,fd77::1}:8002; do
        says web "released, it reaches $peer again" echo new "$peer"
done
says web "and its neighbour" echo new tcp:127.0.0.1:9100
is "its listeners were kept" "$(reach tcp:10.77.0.2:9001) $(reach tcp:fd77::2:9001)" "echo echo"

# --- connections that came in
inbound=$(box_dir net)/inbound
outside "$inbound" <<'PY' &
import pathlib, socket, sys
said = pathlib.Path(sys.argv[1])
s = socket.create_connection(("10.77.0.2", 9001))
s.send(b"x"); s.recv(1)
said.write_text("open")
s.settimeout(5)
try:
    s.recv(1)
    end = "closed"
except OSError as e:
    end = type(e).__name__
said.write_text(end)
PY
client=$!
box_until 5 grep -qs open "$inbound"
order contain web.service
is "contained" "$(state)" contained
wait "$client"
is "who was connected to it sees a reset" "$(cat "$inbound")" ConnectionResetError
release "$(said .receipt.id)"

# --- namespaces of their own
talker alone PrivateNetwork=yes
says alone "a service with a network of its own listens there" ok listen in tcp:127.0.0.1:9001
# silence, because it does one thing at a time; what counts is that it could send
says alone "and is connected to itself" silence open self tcp:127.0.0.1:9001
order isolate alone.service
is "it is isolated" "$(state)" contained
like "its connection is destroyed" "$(tell alone try self)" '^E(CONNABORTED|CONNRESET|PIPE)$'
says alone "there is no new one" EPERM new tcp:127.0.0.1:9001
release "$(said .receipt.id)"
says alone "until it is released" silence new tcp:127.0.0.1:9001

box_sh net 'ip netns add apart && ip link add apart0 type veth peer name up0 netns apart && ip address add 10.78.0.1/24 dev apart0 && ip link set apart0 up &&
        ip -n apart address add 10.78.0.2/24 dev up0 && ip -n apart link set up0 up && ip -n apart link set lo up'
talker apart NetworkNamespacePath=/run/netns/apart
tell other listen apart tcp:10.78.0.1:9002 >/dev/null
says apart "a service in a namespace of others is connected to the host" echo open host tcp:10.78.0.1:9002
order contain apart.service
is "it is contained" "$(state)" contained
is "with the connections that it has there" "$(said '.receipt.targets[0].sockets.destroyed > 0')" true
release "$(said .receipt.id)"
like "it finds them dead" "$(tell apart try host)" '^E(CONNABORTED|CONNRESET|PIPE)$'
says apart "and makes new ones" echo new tcp:10.78.0.1:9002

# --- a listener that belongs to PID 1: what comes in there is not the service's by its cgroup
talker handed Sockets=handed.socket
printf '%s\n' '[Socket]' 'ListenStream=10.77.0.2:9003' >"$(box_root net)/etc/systemd/system/handed.socket"
box_sh net 'systemctl stop handed.service; systemctl daemon-reload; systemctl start handed.socket handed.service'
box_until 5 test -S "$(box_live net)/run/handed/ctl"
order contain handed.service
is "a service with a socket from PID 1 is not contained in full" "$(state) $(said '.receipt.reasons | join(" ")')" "partial foreign-socket"
is "it says how many" "$(said '.receipt.targets[0].sockets.foreign')" 1
ask status
is "status too" "$(said '[.report.holds[].state] | join(" ")')" partial
release "$(said '.report.holds[0].id')"
is "nothing of the agent's is left" "$(ours)" ""
done_testing
