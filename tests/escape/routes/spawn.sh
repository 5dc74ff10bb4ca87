#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# spawn.sh HOW: has someone who is not held run a program, again and again: the service manager, on one of its many invitations; the
# kernel, which runs helpers as root; whoever runs jobs.
bin=$(dirname "$0")
n=$ESCAPE_N
units=/run/systemd/system
job=esc-job-$n
impossible() {
        echo "$*" >"/run/escape/why/$n"
        exit 77
}
job_unit() {
        printf '[Service]\nType=oneshot\nExecStart=%s/say udp %s\n' "$bin" "$n" >"$units/$job.service"
        printf '[Unit]\nStartLimitIntervalSec=0\n' >>"$units/$job.service"
}

systemd_run() { systemd-run --quiet --collect --setenv="ESCAPE_N=$n" "$bin/say" udp; }
scope() { systemd-run --quiet --scope --collect "$bin/say" udp; }
path_setup() {
        job_unit
        printf '[Path]\nPathChanged=/run/escape/%s.path\n' "$n" >"$units/$job.path"
        systemctl daemon-reload && systemctl start "$job.path"
}
path() { date >"/run/escape/$n.path"; }
socket_setup() {
        job_unit
        printf '[Socket]\nListenDatagram=/run/escape/%s.activate\nFlushPending=yes\nTriggerLimitIntervalSec=0\n' "$n" >"$units/$job.socket"
        systemctl daemon-reload && systemctl start "$job.socket"
}
socket() { python3 -c "import socket as s; s.socket(s.AF_UNIX, s.SOCK_DGRAM).sendto(b'x', '/run/escape/$n.activate')"; }
# a call to a name that the job never takes waits for it: a name for each call
bus_setup() {
        mkdir -p /usr/share/dbus-1/system-services
        for i in $(seq 200); do
                printf '[D-BUS Service]\nName=org.escape.N%s.i%s\nExec=/bin/false\nUser=root\nSystemdService=%s.service\n' "$n" "$i" "$job" \
                        >"/usr/share/dbus-1/system-services/org.escape.N$n.i$i.service"
        done
        printf '<busconfig><policy context="default"><allow send_destination_prefix="org.escape"/></policy></busconfig>\n' \
                >"/usr/share/dbus-1/system.d/org.escape.N$n.conf"
        job_unit
        systemctl daemon-reload
        busctl call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig
        i=0
}
bus() {
        i=$((i + 1))
        timeout 0.1 busctl call "org.escape.N$n.i$i" / org.freedesktop.DBus.Peer Ping
}
# armed by the service while it ran: later jobs of someone else
timer() { systemd-run --quiet --collect --on-active=1 --timer-property=AccuracySec=10ms --setenv="ESCAPE_N=$n" "$bin/say" udp; }
crond_setup() {
        mkdir -p "/run/escape/jobs.$n"
        systemd-run --quiet --unit="$job" sh -c "while :; do for j in /run/escape/jobs.$n/*; do sh \$j; rm -f \$j; done; sleep 0.05; done" 2>/dev/null
}
crond() { echo "$bin/say udp $n" >"/run/escape/jobs.$n/job"; }
# The kernel runs these on the machine itself, whatever namespaces we are in.
helper_setup() {
        systemd-detect-virt --quiet --container && impossible "a kernel helper would run outside of this container"
        old=$(cat /proc/sys/kernel/core_pattern)
        printf '#!/bin/sh\nexec %s/say udp %s\n' "$bin" "$n" >"/run/escape/helper.$n"
        chmod 755 "/run/escape/helper.$n"
}
core_setup() { helper_setup; echo "|/run/escape/helper.$n" >/proc/sys/kernel/core_pattern; ulimit -c unlimited; }
core() { sh -c 'kill -SEGV $$'; }
modprobe_setup() { helper_setup; echo "/run/escape/helper.$n" >/proc/sys/kernel/modprobe || impossible "no modprobe helper here"; }
modprobe() { ip link add "esc$n" type "nothing$$$(date +%N)"; }
# a program of a kind that the kernel does not know: it looks for a module
binfmt_setup() { modprobe_setup; }
binfmt() {
        printf '\377\376%s' "$(date +%N | tail -c 3)" >"/run/escape/unknown.$n"
        chmod 755 "/run/escape/unknown.$n"
        "/run/escape/unknown.$n"
}
key_setup() { helper_setup; install -m 755 "/run/escape/helper.$n" /sbin/request-key; }
key() { "$bin/request"; }
# the last process of a group of the older hierarchy has gone
release_setup() {
        helper_setup
        mkdir -p "/run/escape/v1.$n" && mount -t cgroup -o none,name="esc$n" none "/run/escape/v1.$n" || impossible "no cgroup v1 here"
        echo "/run/escape/helper.$n" >"/run/escape/v1.$n/release_agent"
}
release() {
        mkdir -p "/run/escape/v1.$n/job" && echo 1 >"/run/escape/v1.$n/job/notify_on_release"
        sh -c "echo 0 >/run/escape/v1.$n/job/cgroup.procs"
        sleep 0.1
        rmdir "/run/escape/v1.$n/job"
}
uevent_setup() { helper_setup; echo "/run/escape/helper.$n" >/sys/kernel/uevent_helper || impossible "no uevent helper here"; }
uevent() { echo change >/sys/class/net/lo/uevent; }

how=$1
if command -v "${how}_setup" >/dev/null; then "${how}_setup"; fi
while :; do
        "$how"
        sleep 0.1
done >/dev/null 2>&1
