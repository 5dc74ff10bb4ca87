#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 062-attempts.sh B: what a held service tries is told: by whom, where to, how often, in status and in the ledger, over a restart of the
# agent; a flood of it costs the agent neither time nor room; and a freeze that does not complete says on whom it waits.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 062-attempts.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh

run() { box_run host "$@"; }

# from_inside NAME SCRIPT ARG...: a Python script as a process of the held service; what it says, its pid first
from_inside() {
        local name=$1
        shift
        box_sh host 'echo $$ >"/sys/fs/cgroup/$1/cgroup.procs" && shift && echo $$ && exec python3 "$@"' "${SERVICE_CGROUP[$name]}" "$@"
}

# of_hold FILTER: what jq finds in the hold's status; tried FILTER: among what its processes tried
of_hold() { run freezectl status "$HOLD" --json | run jq -rc "select(.report) | .report.holds[] | select(.id == \"$HOLD\") | $1"; }
tried() { of_hold ".tried // {} | $1"; }
of_comm() { tried "[.attempts[] | select(.comm == \"$1\") | \"\(.hook) \(.proto) \(.address) \(.port) \(.pid) \(.count)\"] | sort | join(\", \")"; }

# What the ledger says, record by record.
recorded() {
        rm -rf "$(box_dir host)/ledger" && cp -r "$(box_root host)/var/lib/freezed/ledger" "$(box_dir host)/" &&
                python3 tests/lib/read_ledger.py "$(box_dir host)/ledger" |
                jq -c "select(.kind == \"attempts\" and .id == \"$HOLD\") | $1"
}
is_recorded() { [ -n "$(recorded "$1")" ]; }
agent_pid() { run systemctl show -P MainPID freezed.service; }
agent_ticks() { run awk '{ print $14 + $15 }' "/proc/$(agent_pid)/stat"; }
agent_is_up() { run freezectl health >/dev/null 2>&1; }
rss() { run sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$(agent_pid)/status"; }

orders_boot "$B" || exit
cat >"$(box_root host)/root/leak.py" <<'PY'
import errno, socket

def name(n):
    open("/proc/self/comm", "wb").write(n)

def tries(what, f):
    try:
        f()
        print(what, "went through")
    except OSError as e:
        print(what, errno.errorcode[e.errno])

def made(*kind):
    s = socket.socket(*kind)
    s.settimeout(1)
    return s

T, U, R = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
name(b"leak")
tries("tcp4", lambda: made(socket.AF_INET, T).connect(("10.77.0.1", 443)))
tries("tcp6", lambda: made(socket.AF_INET6, T).connect(("fd77::1", 443)))
tries("mapped", lambda: made(socket.AF_INET6, T).connect(("::ffff:10.77.0.1", 444)))
tries("loopback", lambda: made(socket.AF_INET, T).connect(("127.0.0.1", 8080)))
tries("udp4", lambda: made(socket.AF_INET, U).sendto(b"x", ("10.77.0.1", 53)))
tries("udp6", lambda: made(socket.AF_INET6, U).sendto(b"x", ("fd77::1", 53)))
tries("udp connected", lambda: made(socket.AF_INET, U).connect(("10.77.0.1", 54)))
tries("fastopen", lambda: made(socket.AF_INET, T).sendto(b"x", 0x20000000, ("10.77.0.1", 445)))
tries("raw", lambda: made(socket.AF_INET, R, socket.IPPROTO_ICMP))
tries("header", lambda: made(socket.AF_INET, R, socket.IPPROTO_RAW))
tries("mptcp", lambda: made(socket.AF_INET, T, 262))
tries("listener", lambda: made(socket.AF_INET, T).bind(("0.0.0.0", 4444)))
name(b"\x1b[31m\xff\\")
tries("hostile", lambda: made(socket.AF_INET, T).connect(("10.77.0.1", 666)))
PY
cat >"$(box_root host)/root/flood.py" <<'PY'
import os, socket, sys, time

open("/proc/self/comm", "w").write(sys.argv[1])
for _ in range(os.cpu_count() - 1):
    if os.fork() == 0:
        break
n, end = 0, time.time() + float(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while time.time() < end:
    for k in range(1000):
        n += 1
        try:
            s.sendto(b"x", ("10.%d.%d.%d" % (n >> 16 & 255, n >> 8 & 255, n & 255), 1 + n % 60000))
        except PermissionError:
            pass
PY

service web 7001 && service flooder 7002 && service quiet 7003 || exit
order alice isolate quiet.service
QUIET=$ID
order alice isolate web.service
HOLD=$ID
is "a service is isolated and runs on" "$ANSWER" contained
is "its own traffic is what it tried so far, and not the self-test's" \
        "$(tried '[.attempts[] | select(.comm == "freezed-probe" or (.address | startswith("127.70.82.")))] | length')" 0

said=$(from_inside web /root/leak.py)
PID=${said%%$'\n'*}
is "nothing that a process of it tries goes through" "${said#*$'\n'}" "tcp4 EPERM
tcp6 EPERM
mapped EPERM
loopback EPERM
udp4 EPERM
udp6 EPERM
udp connected EPERM
fastopen EPERM
raw EPERM
header EPERM
mptcp EPERM
listener EPERM
hostile EPERM"
all="bind4 tcp  4444 $PID 1, connect4 tcp 10.77.0.1 443 $PID 1, connect4 tcp 10.77.0.1 445 $PID 1, connect4 tcp 127.0.0.1 8080 $PID 1, \
connect4 udp 10.77.0.1 54 $PID 1, connect6 tcp 10.77.0.1 444 $PID 1, connect6 tcp fd77::1 443 $PID 1, sendmsg4 udp 10.77.0.1 53 $PID 1, sendmsg6 udp fd77::1 53 $PID 1, sock_create icmp  0 $PID 1, \
sock_create mptcp  0 $PID 1, sock_create raw  0 $PID 1"
is "each is in its status, with who it was" "$(of_comm leak)" "$all"
is "a name that would recolour a terminal is escaped" "$(tried '[.attempts[] | select(.port == 666) | .comm] | join(",")')" '\x1b[31m\xff\x5c'
seen=$(run freezectl status "$HOLD")
like "people see it in a table" "$seen" "1 x connect, tcp to 10.77.0.1:443 by leak \\($PID\\)"
like "and IPv6 as it is written" "$seen" "1 x connect, tcp to \\[fd77::1\\]:443 by leak"
like "and sockets that could not even be made" "$seen" "1 x make a socket, mptcp by leak"
refute "with no control character in it" grep -q $'\033' <<<"$seen"
like "and what the programs counted" "$seen" "counted +[0-9]+ calls refused, packets dropped: [0-9]+ out"
is "another hold has nothing of it" "$(HOLD=$QUIET of_comm leak)" ""
# the service's own attempts may have been written down just before, and then it is a minute until the next time
check "it is in the ledger before long" box_until 120 is_recorded 'select(.attempts[] | .comm == "leak" and .port == 443)'
is "with its incident" "$(recorded .incident | sort -u)" "\"$(of_hold .incident)\""

run systemctl restart freezed.service
check "the agent is up again" box_until 60 agent_is_up
is "what was tried is still known" "$(of_comm leak)" "$all"
run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service 2>/dev/null
said=$(from_inside web /root/leak.py)
AWAY=${said%%$'\n'*}
run systemctl start freezed.service freezed-gate.socket
check "the agent was away and is back" box_until 60 agent_is_up
is "what was tried while it was away is known as well" "$(tried '[.attempts[] | select(.port == 444) | "\(.pid) \(.count)"] | join(",")')" "$AWAY 2"

before=$(recorded .n | wc -l)
order alice,bob release "$HOLD"
is "after the release" "$ANSWER" released
check "the last word on it is in the ledger" is_recorded 'select(.attempts[] | .pid == '"$AWAY"' and .port == 444 and .count == 2)'
check "in one more record at most" [ "$(($(recorded .n | wc -l) - before))" -le 1 ]

order alice isolate flooder.service
HOLD=$ID
memory=$(rss)
room=$(run freezectl health --json | run jq 'select(.report) | .report.ledger.room')
ticks=$(agent_ticks)
from_inside flooder /root/flood.py flood 5 >/dev/null
ticks=$(($(agent_ticks) - ticks))
refused=$(of_hold .targets[0].counted.refused)
echo "# $refused calls refused in 5 s; agent: $ticks ticks of 10 ms, $(($(rss) - memory)) KiB more; ledger: $((room - $(run freezectl health --json | run jq 'select(.report) | .report.ledger.room'))) bytes"
check "a flood of calls is refused ($refused)" [ "$refused" -gt 100000 ]
check "and costs the agent less than 3% of one processor" [ "$ticks" -lt 15 ]
check "nor memory" [ $(($(rss) - memory)) -lt 4096 ]
check "nor the ledger: two records at most" [ "$(recorded .n | wc -l)" -le 2 ]
# the last second's are told when the next is tried
from_inside flooder /root/flood.py flood 1.5 >/dev/null
sleep 1.2
from_inside flooder /root/leak.py >/dev/null
is "the table stays small" "$(tried '.attempts | length <= 64')" true
counted=$(of_hold '(.tried | ([.attempts[] | select(.hook != "egress" and .hook != "ingress") | .count] | add) + .others + .missed) as $t | .targets[0].counted.refused as $r | $t * 100 / $r | floor')
check "and accounts for all but the last of it ($counted%)" [ "$counted" -ge 90 ]

# Somebody's program in the way: named before anything is held, and after.
service taken 7004 && service stuck 7005 || exit
PINS=$(box_dir host)/pins
unmount_pins() { umount -l "$PINS"; }
mkdir -p "$PINS" && mount -t bpf bpf "$PINS" && box_at_exit unmount_pins || exit
# a directory in it: of one that is no bpffs itself, or has none above, bpftool makes one
bpftool prog loadall "$B/gen/bpf/isolate.bpf.o" "$PINS/x" >/dev/null 2>&1 && bpftool cgroup attach "$(cgroup_of taken)" connect4 pinned "$PINS/x/isolate_connect4" || exit
PROG=$(bpftool -j prog show pinned "$PINS/x/isolate_connect4" | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
of_target() { run jq -rc 'select(.receipt) | .receipt.targets[0] | '"$1" <<<"$SAID"; }
SAID=$(run freezectl plan isolate taken.service --key /root/alice --reason test --json 2>/dev/null)
named="connect4 /system.slice/taken.service $PROG isolate_connect false"
is "a plan names the program that would keep ours off" "$(of_target '.foreign[] | "\(.hook) \(.cgroup) \(.prog_id) \(.name) \(.overridable)"')" "$named"
is "and warns of it" "$(of_target '.warnings | index("foreign-bpf") != null')" true
order alice isolate taken.service
HOLD=$ID
# it refuses the self-test's calls as well, from before the hold: what it finds blocked proves nothing
is "the order is carried out as far as it goes" "$ANSWER" "partial foreign-bpf selftest-not-run"
is "and its receipt names the program" "$(receipt '.targets[0].foreign[] | "\(.hook) \(.cgroup) \(.prog_id) \(.name) \(.overridable)"')" "$named"
like "so does status, for people" "$(run freezectl status "$HOLD")" "FOREIGN +program $PROG \"isolate_connect\" on /system.slice/taken.service keeps ours off connect4"
bpftool cgroup detach "$(cgroup_of taken)" connect4 pinned "$PINS/x/isolate_connect4"
order alice,bob release "$HOLD"
order alice isolate taken.service
is "without it, the next order is carried out in full" "$ANSWER" contained

# A process that the kernel cannot freeze.
cat >"$(box_dir host)/stuck.c" <<'C'
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
int main(void) {
        int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
        struct uffdio_api api = { .api = UFFD_API };
        char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), c;
        struct uffdio_register r = { .range = { (unsigned long) page, 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
        struct iovec to = { &c, 1 }, from = { page, 1 };
        if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &r) < 0)
                return 1;
        return process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0 ? 2 : 3;
}
C
gcc -static -D_GNU_SOURCE -o "$(box_root host)/root/stuck" "$(box_dir host)/stuck.c" || exit
STUCK=$(box_sh host 'echo $$ >"/sys/fs/cgroup/$1/cgroup.procs" && { /root/stuck >/dev/null 2>&1 & echo $!; }' "${SERVICE_CGROUP[stuck]}")
waits() { [ "$(run cat "/proc/$STUCK/wchan")" = handle_userfault ]; }
is_decided() { waits || ! run kill -0 "$STUCK"; }
box_until 60 is_decided
if waits; then
        order alice contain stuck.service
        HOLD=$ID
        is "what cannot be frozen is partial, and isolated" "$ANSWER" "partial not-frozen"
        is "the receipt says on whom the freeze waits, and where that is" "$(receipt '.targets[0].unfrozen | map("\(.pid) \(.comm) \(.state) \(.wchan)") | join(", ")')" "$STUCK stuck D handle_userfault"
        like "so does status" "$(run freezectl status "$HOLD")" "NOT FROZEN +$STUCK stuck: state D, waits in handle_userfault"
        is "nothing of it gets out meanwhile" "$(sunk stuck; sleep 0.3; sunk stuck)" "$(sunk stuck)
$(sunk stuck)"
        run kill -KILL "$STUCK"
        frozen_now() { [ "$(of_hold .state)" = contained ]; }
        check "once that one is gone, it is contained" box_until 60 frozen_now
else
        skip "on whom a freeze waits is said" "no userfaultfd in this kernel"
fi

done_testing
