#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What nobody but the core can do while there are holds, on a kernel that runs BPF LSM: every way is first taken without a hold, then
# refused with one, by root in the held service and by root outside, and the same calls on what is not held go on working.
set -u
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=tests/lib/vm.sh
. tests/lib/vm.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/vm_orders.sh
. tests/lib/vm_orders.sh

B=$1
vm_or_skip "the guard on a kernel that runs it"

# shellcheck disable=SC2016
HELD='rm -f /run/held.out; [ -p /run/held.in ] || mkfifo -m 600 /run/held.in'
vm_orders_create "$B" || exit
gcc -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -static -o "$(vm_root host)/usr/local/bin/guard_try" tests/lib/guard_try.c || exit
vm_unit held.service '[Service]' "ExecStartPre=/bin/sh -c '$HELD'" \
        'ExecStart=/usr/local/bin/guard_try --serve /run/held.in /run/held.out' TimeoutStopSec=2 '[Install]' WantedBy=multi-user.target
vm_unit second.service '[Service]' 'ExecStart=/bin/sleep infinity' '[Install]' WantedBy=multi-user.target
vm_unit outside.service '[Service]' 'ExecStart=/usr/local/bin/guard_try --listen' '[Install]' WantedBy=multi-user.target
vm_orders_boot || exit

CGROUP=/sys/fs/cgroup/system.slice
pid_of() { vm_run host systemctl show -P MainPID "$1" </dev/null; }

# Each prints one answer a line for the calls that come in one a line.
# shellcheck disable=SC2016
outside() {
        vm_sh host 'while read -r call arg; do guard_try "$call" "$arg"; done'
}
# shellcheck disable=SC2016
served() {
        vm_sh host 'cat >/run/calls; want=$(($(wc -l <"/run/$1.out" 2>/dev/null || echo 0) + $(wc -l </run/calls))); cat /run/calls >"/run/$1.in"
                for i in $(seq 300); do [ "$(wc -l <"/run/$1.out")" -ge "$want" ] && break; sleep 0.1; done
                tail -n "$(wc -l </run/calls)" "/run/$1.out"' "$1"
}
inside() { served held; }
late() { served late; }
born() { served born; }

# answers WHO WHEN TABLE WORD: a case for each line "CALL ARG | meaning | answer" of the table; WORD instead of the answer when given
answers() {
        local who=$1 when=$2 table=$3 word=${4:-} call meaning answer said i=0
        local -a got
        mapfile -t got < <(sed 's/ *|.*//' <<<"$table" | "$who")
        while IFS='|' read -r call meaning answer; do
                said=${got[i]:-nothing}
                is "$when: $meaning ($call) is answered ${word:-$answer}" "$said" "${word:-$answer}"
                i=$((i + 1))
        done < <(sed 's/ *| */|/g' <<<"$table")
}

# what a command in the VM says, as one word
does() {
        vm_sh host "$1" </dev/null >/dev/null 2>&1 && echo yes || echo no
}

health=$(vm_run host freezectl health --json </dev/null | jq -c '[.. | .layers? | arrays | .[] | select(.id | startswith("guard"))] | select(length > 0)')
is "every program of the guard is attached and was seen to refuse" "$(jq -r 'length > 20 and all(.state == "yes")' <<<"$health")" true
is "nothing is pinned while nothing is held" "$(does 'ls /sys/fs/bpf/freezed/guard')" no
echo "# a call without a hold takes, in ns: $(vm_run host guard_try --cost </dev/null)"
vm_run host systemctl stop freezed.service freezed-core.socket freezed-gate.socket freezed-gate.service </dev/null
echo "# without the agent at all: $(vm_run host guard_try --cost </dev/null)"
vm_run host systemctl start freezed-core.socket freezed-gate.socket freezed.service </dev/null
box_until 60 vm_run host freezectl health </dev/null >/dev/null

# --- root in a service that is isolated and runs ---------------------------------------------------------------------------------------

free='socket 2,1,0 | a TCP socket, which isolation sees | ok
socket 16,3,0 | a netlink socket that looks up names | ok
use-pair | a pair of its own | ok
datagram /run/systemd/notify | the service manager is told | ok
datagram /run/systemd/journal/socket | the journal is told | ok'
cut="socket 17,3,0 | a packet socket | EPERM
socket 44,3,0 | an AF_XDP socket | EPERM
socket 38,5,0 | an AF_ALG socket | EPERM
socket 40,1,0 | a vsock socket | EPERM
socket 16,3,12 | a netlink socket to the packet filter | EPERM
packet host0 | a frame by a packet socket of before | EPERM
force | what takes CAP_NET_ADMIN | EPERM
stream @outside.stream | a proxy outside | EPERM
datagram @outside.datagram | a datagram to a process outside | EPERM
use-stream | a connection of before to a process outside | EPERM
use-inet | a datagram socket that was made outside | EPERM
splice-inet | a page that is handed to it | EPERM
stream /run/dbus/system_bus_socket | the bus, and with it the service manager | EPERM
clone-into $CGROUP/outside.service | a child born in another cgroup | EPERM
leave-kept | leaving by a descriptor of before | EPERM
leave /sys/fs/cgroup/cgroup.procs | leaving | EPERM"
home="leave $CGROUP/held.service/cgroup.procs"
# those that it could hold with itself, and each taken back
AGENT=/sys/fs/cgroup/freezed.slice/freezed.service
drag="write $CGROUP/held.service/cgroup.procs,$(pid_of freezed) | taking in the core | EPERM
write $AGENT/cgroup.procs,$(pid_of freezed) | and letting go of it | EPERM
write $CGROUP/held.service/cgroup.procs,$(pid_of outside) | taking in a bystander | EPERM
write $CGROUP/outside.service/cgroup.procs,$(pid_of outside) | and letting go of it | EPERM"

# shellcheck disable=SC2016
vm_sh host 'mkfifo -m 600 /run/alien.in && { sh -c "echo 0 >/sys/fs/cgroup/freezed.slice/freezed.service/cgroup.procs
        exec guard_try --serve /run/alien.in /run/alien.out" </dev/null >/dev/null 2>&1 & }' </dev/null
# two with a pid namespace of their own, in which the one child is 1: in the service, and outside
# shellcheck disable=SC2016
box() { vm_sh host '{ sh -c "echo 0 >$1/cgroup.procs; exec unshare -pf sleep 1000" </dev/null >/dev/null 2>&1 & echo $!; }' "$1" </dev/null; }
boxed=$(box "$CGROUP/held.service") other_box=$(box "$CGROUP/outside.service")
boxes="within $boxed,write,/sys/fs/cgroup/cgroup.procs,1 | moving one out from within its pid namespace, by its number there | EPERM
within $boxed,write,$CGROUP/held.service/cgroup.procs,1 | moving it where it is | ok"
# one in the core's cgroup that has ended and is still there, when the first hold comes
# shellcheck disable=SC2016
vm_sh host 'mkfifo -m 600 /run/ended.in && { sh -c "echo 0 >/sys/fs/cgroup/freezed.slice/freezed.service/cgroup.procs
        true & echo \$! >/run/ended.pid; exec cat /run/ended.in" </dev/null >/dev/null 2>&1 & }' </dev/null
is "the service opens what it will keep" "$(echo "keep $CGROUP/held.service/cgroup.procs" | inside)" ok
answers inside "without a hold" "$free" ok
answers inside "without a hold" "$cut" ok
is "it goes home" "$(echo "$home" | inside)" ok
answers inside "without a hold" "$drag" ok
answers outside "without a hold" "$boxes" ok
# shellcheck disable=SC2016
maps=$(vm_sh host 'bpftool -j map show | jq -r ".[] | select(.name | IN(\"cgroup_site\", \"cgroup_name\", \"cgroup_held\",
                \"cgroup_born\", \"cgroup_ring\", \"isolate_ring\")).id"' </dev/null)
order alice isolate held.service
is "isolated; that a socket of before was made outside is said" "$ANSWER" "partial foreign-socket"
is "no receipt says unguarded here" "$(receipt '.flags | index("unguarded")')" null
answers inside "isolated" "$free"
answers inside "isolated" "$cut"
answers inside "isolated" "$drag
write $CGROUP/held.service/cgroup.procs,1 | taking in the service manager, which would not come home by itself | EPERM"
answers inside "isolated" "$home | moving itself where it is | ok"
# shellcheck disable=SC2016
is "who has the pid of one of the core that is gone can be moved" "$(vm_sh host 'read -r pid </run/ended.pid; : >/run/ended.in
        while [ -d "/proc/$pid" ]; do sleep 0.1; done
        for i in $(seq 50); do
                echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid; sleep 10 </dev/null >/dev/null 2>&1 &
                [ $! -ne "$pid" ] || exec guard_try write "/sys/fs/cgroup/cgroup.procs,$pid"
        done' </dev/null)" ok
answers outside "isolated" "$boxes
within $other_box,write,/sys/fs/cgroup/cgroup.procs,1 | the same of a bystander | ok"
answers outside "bystanders of an isolated service" "$(grep -E '^(socket|force|stream|datagram)' <<<"$cut")" ok
refused=$(sed 's/^/open-map /' <<<"$maps" | outside | sort | uniq -c | xargs)
is "isolated: nobody writes to the maps of who watches it" "$refused" "6 EPERM"
# shellcheck disable=SC2016
links=$(vm_sh host 'bpftool -j link show | jq -r ".[] | select(.type == \"cgroup\").id" | while read -r id; do
        guard_try detach "$id"; done | sort | uniq -c | xargs' </dev/null)
like "isolated: nor are their programs detached, at the top neither" "$links" '^[0-9]+ EPERM$'
pid=$(pid_of held)
answers outside "isolated" "trace $pid | tracing it | EPERM
memory $pid | its memory | EACCES"
# Who changes the bytes between the guard's look and the kernel's may move it: then it is denied by its mark, and brought back.
# shellcheck disable=SC2016
echo "# a second thread that changes what is written to cgroup.procs: $(vm_sh host 'guard_try race "/sys/fs/cgroup/cgroup.procs,$$,$1"' "$pid" </dev/null)"
at_home() { [ "$(vm_run host cat "/proc/$pid/cgroup" </dev/null)" = "0::/system.slice/held.service" ]; }
check "it is where it was, or is so again" box_until 60 at_home
agent=$(pid_of freezed)
is_core_home() { [ "$(vm_run host cat "/proc/$agent/cgroup" </dev/null)" = "0::/freezed.slice/freezed.service" ]; }
echo "# the same, from within, to take in the core: $(inside <<<"race $CGROUP/held.service/cgroup.procs,0,$agent")"
check "the core is where it was, or is so again" box_until 60 is_core_home
first=$ID
order alice isolate second.service
second=$ID
is "a second service is isolated" "$ANSWER" contained
# what a runtime does for one that starts in the container: it takes it in, all its threads, or makes it there
# shellcheck disable=SC2016
late=$(vm_sh host 'mkfifo -m 600 /run/late.in /run/born.in; { guard_try --beside /run/late.in /run/late.out </dev/null >/dev/null 2>&1 & echo $!; }' </dev/null)
# shellcheck disable=SC2016
vm_sh host 'guard_try --born "$1" /run/born.in /run/born.out </dev/null >/dev/null 2>&1' "$CGROUP/held.service" </dev/null
born=$(vm_run host pgrep -f /run/born.in </dev/null)
answers outside "a newcomer to an isolated service" "write $CGROUP/held.service/cgroup.procs,$late | being taken in | ok
write /sys/fs/cgroup/cgroup.procs,$late | being taken out again | EPERM
write /sys/fs/cgroup/cgroup.procs,$born | being taken out when it was born there | EPERM"
# The same without a race and for longer: by one who went to the core's cgroup before the first hold, and who stops the core.
is "one who came to the core's cgroup in time moves it" "$(served alien <<<"kill $agent,19
write /sys/fs/cgroup/cgroup.procs,$pid
write /sys/fs/cgroup/cgroup.procs,$late
write /sys/fs/cgroup/cgroup.procs,$born" | xargs)" "ok ok ok ok"
is "it is outside" "$(vm_run host cat "/proc/$pid/cgroup" </dev/null)" "0::/"
answers inside "moved out" "socket 2,1,0 | a TCP socket | EPERM
socket 2,2,0 | a UDP socket | EPERM
socket 17,3,0 | a packet socket | EPERM
stream @outside.stream | a proxy outside | EPERM
force | what takes CAP_NET_ADMIN | EPERM"
answers late "moved out, who was taken in" "socket 2,1,0 | a TCP socket | EPERM"
vm_sh host 'cat >/run/again' <<<'echo ok >>/run/late.out; exec guard_try --beside /run/late.in /run/late.out'
is "the thread that asks executes another program, and is the only one then" "$(late <<<"exec /run/again")" ok
answers late "by another program" "socket 2,1,0 | a TCP socket | EPERM"
answers born "moved out, who was born there" "socket 2,1,0 | a TCP socket | EPERM"
answers outside "moved out" "write $CGROUP/second.service/cgroup.procs,$born | being taken into what a second hold isolates | ok"
answers born "there" "socket 2,1,0 | a TCP socket, which that may have | EPERM"
is "he is moved out of that as well" "$(served alien <<<"write /sys/fs/cgroup/cgroup.procs,$born")" ok
answers born "moved out of both" "leave $CGROUP/second.service/cgroup.procs | going where he was last | EPERM
leave $CGROUP/held.service/cgroup.procs | going home | ok"
is "the core goes on" "$(served alien <<<"kill $agent,18")" ok
check "and brings it back" box_until 60 at_home
is "he takes the core into what it holds" "$(served alien <<<"write $CGROUP/held.service/cgroup.procs,$agent")" ok
is "which is guarded there as well" "$(vm_run host guard_try kill "$agent,9" </dev/null)" EPERM
check "and goes home" box_until 60 is_core_home
order alice,bob release "$second"
order alice,bob release "$first"
is "released" "$ANSWER" released
answers inside "after the release" "$free" ok
is "and packet sockets again" "$(echo socket 17,3,0 | inside)" ok

# --- root outside, and a service that is frozen ------------------------------------------------------------------------------------------

# those that leave it as it is, before; a bystander takes the rest
vm_run host systemctl restart held.service outside.service </dev/null
pid=$(pid_of held) other=$(pid_of outside) agent=$(pid_of freezed)
harmless() {
        cat <<-TABLE
	kill $pid,18 | SIGCONT | EPERM
	kill $pid,23 | a signal that is ignored | EPERM
	trace $pid | tracing it | EPERM
	memory $pid | its memory | EACCES
	write $CGROUP/held.service/cgroup.freeze,0 | thawing | EPERM
	write /sys/fs/cgroup/cgroup.procs,$(printf 0x%x "$pid") | moving it out, in hexadecimal | EPERM
	write /sys/fs/cgroup/cgroup.procs,$(printf 0%o "$pid") | moving it out, in octal | EPERM
	write /sys/fs/cgroup/cgroup.procs,+$pid | moving it out, with a sign | EPERM
	write $CGROUP/held.service/cgroup.procs,$other | moving a bystander to it | EPERM
	write $CGROUP/outside.service/cgroup.procs,$other | and back | ok
	write $CGROUP/held.service/cgroup.procs,$pid | moving it where it is | EPERM
	write $AGENT/cgroup.freeze,0 | thawing the core | EPERM
	write $AGENT/memory.max,max | the memory limit of the core | EPERM
	write $AGENT/cpu.max,max | what it has of the processors | EPERM
	write /sys/fs/cgroup/freezed.slice/cgroup.freeze,0 | thawing what it lies in | EPERM
	write /sys/fs/cgroup/freezed.slice/memory.max,max | the memory limit of what it lies in | EPERM
	write /sys/fs/cgroup/cgroup.procs,$agent | moving the core | EPERM
	write $AGENT/cgroup.procs,$agent | and back | EPERM
	from /sys/fs/cgroup/init.scope,write,$AGENT/cgroup.procs,0 | becoming the core, as a child of the service manager's cgroup | EPERM
	write $CGROUP/held.service/memory.max,max | its memory limit | EPERM
	write $CGROUP/memory.max,max | the memory limit of what it lies in | EPERM
	TABLE
}
fatal="kill $pid,1 | SIGHUP | EPERM
kill $pid,6 | SIGABRT | EPERM
kill $pid,9 | SIGKILL | EPERM
kill $pid,10 | SIGUSR1 | EPERM
kill $pid,15 | SIGTERM | EPERM
write $CGROUP/held.service/cgroup.kill,1 | killing its cgroup | EPERM
write $CGROUP/cgroup.kill,1 | killing what it lies in | EPERM
write /sys/fs/cgroup/cgroup.procs,$pid | moving it out | EPERM
write $CGROUP/outside.service/cgroup.procs,$pid | moving it to another service | EPERM
write $CGROUP/outside.service/cgroup.procs,1 | moving the service manager | EPERM
write $CGROUP/outside.service/cgroup.threads,$pid | moving its thread | EPERM
writev /sys/fs/cgroup/cgroup.procs,$pid | moving it out by writev | EPERM
kill $agent,9 | SIGKILL to the core | EPERM
trace $agent | tracing the core | EPERM
write $AGENT/cgroup.procs,0 | becoming the core | EPERM
write /sys/fs/cgroup/init.scope/cgroup.procs,0 | becoming the service manager | EPERM
write $AGENT/cgroup.freeze,1 | freezing the core | EPERM
write $AGENT/cgroup.kill,1 | killing the core's cgroup | EPERM
write /sys/fs/cgroup/freezed.slice/cgroup.freeze,1 | freezing what it lies in | EPERM
write /sys/fs/cgroup/freezed.slice/cgroup.kill,1 | killing what it lies in | EPERM
from /sys/fs/cgroup/init.scope,write,$CGROUP/held.service/cgroup.freeze,0 | thawing it as a child of the service manager's cgroup | EPERM
from /sys/fs/cgroup/init.scope,kill,$agent,9 | killing the core as one | EPERM
from $AGENT,kill,$pid,9 | killing it as a child of the core's cgroup | EPERM"
twin="kill $other,18 | SIGCONT to a bystander | ok
trace $other | tracing a bystander | ok
memory $other | the memory of a bystander | ok
write $CGROUP/outside.service/cgroup.freeze,1 | freezing a bystander | ok
write $CGROUP/outside.service/cgroup.freeze,0 | thawing a bystander | ok
write /sys/fs/cgroup/cgroup.procs,$other | moving a bystander | ok
write $CGROUP/outside.service/cgroup.procs,$other | and back | ok
write $CGROUP/outside.service/memory.max,max | the memory limit of a bystander | ok
kill $other,9 | killing a bystander | ok"

answers outside "without a hold" "$(harmless)" ok
order alice contain held.service
hold=$ID
is "contained" "$ANSWER" contained
is "the service manager could be told" "$(receipt '.flags | index("systemd-unaware")')" null
echo "# a call of a bystander with a hold takes, in ns: $(vm_run host guard_try --cost </dev/null)"
answers outside "frozen" "$(harmless)"
answers outside "frozen" "$fatal"
answers outside "with a hold" "$twin"
is "asking whether it is there is answered" "$(vm_run host guard_try kill "$pid,0" </dev/null)" ok
is "the service manager does not thaw it" "$(does 'systemctl thaw held')" no
is "nor kill it" "$(does 'systemctl kill -s KILL held')" no
is "and its cgroup is not removed" "$(vm_sh host "rmdir $CGROUP/held.service 2>&1" </dev/null | grep -c 'not permitted')" 1
is "it is still frozen" "$(vm_cgroup held cgroup.events | grep -c 'frozen 1')" 1

# --- what lies deep -----------------------------------------------------------------------------------------------------------------------

# deep N: a process that many levels below the root; its pid
# shellcheck disable=SC2016
deep() {
        vm_sh host 'mkdir -p "/sys/fs/cgroup$1" && { setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $! | tee "/sys/fs/cgroup$1/cgroup.procs"; }' "$1" </dev/null
}
d23=/d$(printf '/%s' $(seq 2 23)) d24=/e$(printf '/%s' $(seq 2 24)) d30=/f$(printf '/%s' $(seq 2 30))
first=$(deep "$d23") too=$(deep "$d24") under=$(deep "$d30")
order alice contain "cgroup:$d23"
shallow=$ID
is "no receipt says unguarded at a depth of 23" "$(receipt '.flags | index("unguarded")')" null
is "and it is guarded" "$(vm_run host guard_try kill "$first,15" </dev/null)" EPERM
order alice contain "cgroup:$d24"
deeper=$ID
is "one says so at 24" "$(receipt '.flags | index("unguarded") != null')" true
is "and it is true" "$(vm_run host guard_try kill "$too,15" </dev/null)" ok
order alice contain cgroup:/f/2/3
is "who lies 27 levels below what is held is guarded" "$(vm_run host guard_try kill "$under,15" </dev/null)" EPERM
order alice,bob release "$ID"
order alice,bob release "$deeper"
order alice,bob release "$shallow"
is "released" "$ANSWER" released

# --- what is the core's own ----------------------------------------------------------------------------------------------------------------

link=$(vm_sh host 'bpftool -j link show | jq -r "[.[] | select(.type == \"cgroup\")][-1].id"' </dev/null)
is "its links are not detached" "$(vm_run host guard_try detach "$link" </dev/null)" EPERM
maps=$(vm_sh host 'for i in $(seq 60); do guard_try open-map $i; done | sort | uniq -c | tr -s "\n " " "' </dev/null)
like "its maps are not opened for writing, those of others are" "$maps" '[1-9] EPERM'
while IFS='|' read -r what do other; do
        is "$what is refused" "$(does "$do")" no
        [ -z "$other" ] || is "$what, but of others, is not" "$(does "$other")" yes
done <<-'TABLE'
	unpinning|rm /sys/fs/bpf/freezed/guard/guard_holds|mkdir /sys/fs/bpf/x && rmdir /sys/fs/bpf/x
	removing a hold's pins|rm /sys/fs/bpf/freezed/*/*_egress|
	renaming the pins|mv /sys/fs/bpf/freezed /sys/fs/bpf/f|mkdir /sys/fs/bpf/x && mv /sys/fs/bpf/x /sys/fs/bpf/y && rmdir /sys/fs/bpf/y
	unmounting bpffs|umount /sys/fs/bpf|mount -t tmpfs none /mnt && umount /mnt
	unmounting bpffs lazily|umount -l /sys/fs/bpf|mount -t tmpfs none /mnt && umount -l /mnt
	unmounting what bpffs is on|umount -l /sys|
	moving bpffs|mount --move /sys/fs/bpf /mnt|
	mounting over the pins|mount -t tmpfs none /sys/fs/bpf/freezed|unshare -m mount -t tmpfs none /sys/fs/bpf
	making bpffs read-only|mount -o remount,ro /sys/fs/bpf|mount -o remount,rw /
	mounting over the ledger|mount -t tmpfs none /var/lib/freezed/ledger|unshare -m mount --bind /var /var
	mounting over what leads to the ledger|mount -t tmpfs none /var/lib|mount -t tmpfs none /srv && umount /srv
	removing the ledger|rm /var/lib/freezed/ledger/00000001.log|touch /var/lib/x && rm /var/lib/x
	moving the ledger|mv /var/lib/freezed/ledger /root/ledger|mkdir /var/lib/x && mv /var/lib/x /var/lib/y && rmdir /var/lib/y
	moving what it is in|mv /var/lib/freezed /var/lib/f|
	cutting the ledger|truncate -s 0 /var/lib/freezed/ledger/00000001.log|echo x >/var/lib/x && truncate -s 0 /var/lib/x && rm /var/lib/x
	writing to the host's key|echo x >>/var/lib/freezed/host_key|echo x >>/var/lib/x && rm /var/lib/x
	removing the fence|rm /etc/systemd/system/held.service.d/zz-freezed-hold.conf|touch /etc/systemd/system/held.service.d/a.conf && rm /etc/systemd/system/held.service.d/a.conf
	emptying the fence|: >/etc/systemd/system/held.service.d/zz-freezed-hold.conf|
	removing the evidence|rmdir /var/lib/freezed/evidence|mkdir /var/lib/x && rmdir /var/lib/x
TABLE
is "the ledger is read by who may" "$(does 'cat /var/lib/freezed/ledger/00000001.log')" yes

# --- the core goes and comes ------------------------------------------------------------------------------------------------------------------

is_new() { local now; now=$(pid_of freezed) && [ "${now:-0}" != 0 ] && [ "$now" != "$agent" ]; }
is "one who came to the core's cgroup in time freezes the core with what it holds" \
        "$(served alien <<<"write $CGROUP/held.service/cgroup.procs,$agent")" ok
is "even there it is killed by the service manager alone" "$(vm_run host guard_try kill "$agent,9" </dev/null) $(does 'systemctl kill -s KILL --kill-who=main freezed')" "EPERM yes"
check "and is started again" box_until 60 is_new
box_until 60 vm_run host freezectl health </dev/null >/dev/null
agent=$(pid_of freezed)
is "nothing but what was held is held" "$(vm_cgroup held cgroup.procs | xargs)" "$pid"

# tries to kill what is held, for as long as there is no core, and once more when it is back; prints what was answered
# shellcheck disable=SC2016
meanwhile='n=0; "$@"; while [ $n -lt 40 ]; do guard_try kill '$pid',15; n=$((n + 1)); done | sort -u | tr "\n" " "'
is "killed by the service manager, it leaves the guard" "$(vm_sh host "$meanwhile" systemctl kill -s KILL --kill-who=main freezed </dev/null)" "EPERM "
box_until 60 vm_run host freezectl health </dev/null >/dev/null
is "and is another process then" "$([ "$(pid_of freezed)" != "$agent" ] && echo yes)" yes
vm_status
is "which holds what was held" "$(vm_hold "$hold" .state)" contained
agent=$(pid_of freezed)
# an upgrade: another file in the same place
is "it is upgraded" "$(does 'cp /usr/sbin/freezed /usr/sbin/freezed.new && mv /usr/sbin/freezed.new /usr/sbin/freezed')" yes
is "while it restarts nobody gets at what is held" "$(vm_sh host "$meanwhile" systemctl restart --no-block freezed </dev/null)" "EPERM "
box_until 60 is_new
box_until 60 vm_run host freezectl health </dev/null >/dev/null
vm_status
is "the new one holds it too" "$(vm_hold "$hold" .state) $([ "$(pid_of freezed)" != "$agent" ] && echo new)" "contained new"
is "and has all programs" "$(vm_run host freezectl health --json </dev/null | jq -r '.. | .layers? | arrays | .[] | select(.id == "guard").state')" yes
is "of which no second set is pinned" "$(vm_sh host 'ls /sys/fs/bpf/freezed/guard | grep -c _new' </dev/null)" 0
agent=$(pid_of freezed)
is "it is guarded itself" "$(vm_run host guard_try kill "$agent,9" </dev/null)" EPERM

order alice,bob release "$hold"
is "released" "$ANSWER" released
is "the unit runs for the service manager as well" "$(vm_run host systemctl show -P FreezerState held </dev/null)" running
is "nothing is pinned any more" "$(does 'ls /sys/fs/bpf/freezed/guard')" no
vm_run host systemctl restart outside.service </dev/null
other=$(pid_of outside) agent=$(pid_of freezed)
answers outside "after the release" "$(harmless)" ok
is "its cgroup takes what it is told" "$(vm_run host guard_try write "/sys/fs/cgroup/cgroup.procs,$pid" </dev/null)" ok
is "the ledger can be written to again" "$(does ': >>/var/lib/freezed/ledger/00000001.log')" yes
is "the service manager restarts it" "$(does 'systemctl restart held')" yes
# whoever is let through on a whole host is not guarded against who moves there
order alice isolate host
is "of a whole host it is said, guard or not" "$(receipt '.flags | index("unguarded") != null')" true
order alice,bob release "$ID"
is "released" "$ANSWER" released
done_testing
