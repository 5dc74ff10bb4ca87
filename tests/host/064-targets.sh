#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 064-targets.sh B: containers of real runtimes, users and single processes as targets. Each beats and streams to the outside, is held,
# looked at from outside the agent, and given back.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 064-targets.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

release() { order alice,bob release "$@" --incident SA-20261121-064; }
gaps() { receipt "[.targets[] | select(.target == \"$1\") | .gaps[]] | join(\" \")"; }
frozen() { sed -n 's/^frozen //p' "$(box_cgroup host)$1/cgroup.events"; }
cgroup_of_pid() { box_run host sed -n 's/^0:://p' "/proc/$1/cgroup"; }
leftovers() { find "$(box_cgroup host)" -type d -name 'freezed-*' ! -name '*.s*'; }

# put_program PATH: it and its libraries, from this machine
put_program() {
        local f
        for f in "$1" $(ldd "$1" | grep -o '/[^ ]*'); do
                box_run host test -e "$f" || box_put host "$f" "$f" 0755
        done
}

# sink_for NAME PORT: somebody outside listens to NAME
sink_for() {
        box_run host mkdir -p "/run/$1"
        box_listen host /usr/bin/python3 "$BOX_LIB/sink.py" 10.77.0.1 "$2" "$(box_dir host)/sink.$1"
}

# the hold's last receipt tells that there is no cgroup
holds_nobody() {
        box_run host freezectl status --json | jq -se '.[0].report.holds[0].receipt.targets[0] | has("cgroup") | not' >/dev/null
}

# container 'RUNTIME OPTION...' NAME PORT [NETNS]: a beacon in a container of a runtime that is used alone
container() {
        local runtime=$1 name=$2 port=$3 netns=${4:-}
        sink_for "$name" "$port"
        container_again "$runtime" "$name" "$port" "$netns" || return
        box_until 60 is_streaming "$name" || box_fail "nothing of $name arrived"
}
# the same once more, by what there is of it
container_again() {
        # shellcheck disable=SC2016
        box_sh host 'mkdir -p "/srv/$1" && cd "/srv/$1" && jq --arg name "$1" --arg port "$2" --arg netns "$3" \
                "del(.linux.seccomp, .process.rlimits, .linux.resources.devices) | .root = {path: \"/srv/root\", readonly: true} |
                .process.terminal = false | .process.args = [\"/usr/local/bin/beacon\"] | .process.env += [\"BEACON_PORT=\(\$port)\"] |
                .mounts += [{destination: \"/run/beacon\", type: \"bind\", source: \"/run/\(\$name)\", options: [\"rbind\", \"rw\"]}] |
                .linux.namespaces |= map(select(.type != \"network\")) |
                if \$netns == \"\" then . else .linux.namespaces += [{type: \"network\", path: \"/run/netns/\(\$netns)\"}] end" \
                /srv/spec.json >config.json && '"$1"' run --detach --pid-file pid "$1" </dev/null >/dev/null 2>err || { cat err; exit 1; }' "$2" "$3" "${4:-}" || return
        SERVICE_CGROUP[$2]=$(cgroup_of_pid "$(box_run host cat "/srv/$2/pid")")
}

orders_boot "$B" || exit
# shellcheck disable=SC2016
box_sh host 'mkdir -p /srv/root && mount --bind / /srv/root' || exit

# --- containers of runtimes that are used alone
if [ -x /usr/bin/crun ] && [ -x /usr/sbin/runc ]; then
        put_program /usr/bin/crun
        put_program /usr/sbin/runc
        box_sh host 'cd /srv && crun spec && mv config.json spec.json' || exit
        port=7100
        while read -r name runtime; do
                port=$((port + 1))
                container "$runtime" "$name" "$port" || exit
                looks "$runtime: what runs in a container is free" "$name" free
                order alice contain "container:$name"
                is "$runtime: it is contained by its name" "$ANSWER" contained
                looks "$runtime: and it is" "$name" contained
                is "$runtime: all of what the runtime made for it is held" \
                        "$(receipt '.targets[0].cgroup')" "${SERVICE_CGROUP[$name]%/container}"
                release "$ID"
                is "$runtime: and released" "$ANSWER" released
                turns "$runtime: it is free again" "$name" free
        done <<'EOF'
web-1 crun --systemd-cgroup
web-2 crun
web-3 runc --systemd-cgroup
web-4 runc
EOF

        # --- one with a network of its own
        # shellcheck disable=SC2016
        box_sh host 'ip netns add inner && ip link add veth0 type veth peer name eth0 netns inner && ip addr add 10.88.0.1/24 dev veth0 &&
                ip link set veth0 up && ip -n inner addr add 10.88.0.2/24 dev eth0 && ip -n inner link set eth0 up &&
                ip -n inner link set lo up && ip -n inner route add default via 10.88.0.1 && echo 1 >/proc/sys/net/ipv4/ip_forward' || exit
        box_outside host ip route add 10.88.0.0/24 via 10.77.0.2
        container "crun --systemd-cgroup" netted 7110 inner || exit
        looks "a container with a network namespace of its own is free" netted free
        order alice contain container:netted
        is "it is contained" "$ANSWER" contained
        looks "and what it would send through its veth is not sent" netted contained
        is "its connections were destroyed in there" "$(receipt '.targets[0].sockets.destroyed > 0')" true
        release "$ID"
        turns "it is free again" netted free
        order alice isolate container:netted
        looks "isolated it runs, and nothing of it arrives" netted isolated
        release "$ID"
        turns "and is free again after that" netted free

        # --- names that somebody else gives
        service evil 7120 Delegate=yes || exit
        # shellcheck disable=SC2016
        box_sh host 'cd "/sys/fs/cgroup$1" && mkdir crun-web-1.scope web-2 && for c in crun-web-1.scope web-2; do sleep 1000 & echo $! >$c/cgroup.procs; done' \
                "${SERVICE_CGROUP[evil]}"
        order alice contain container:web-1 container:web-2
        is "cgroups that a service calls like a container divert nothing" "$ANSWER" contained
        looks "the one with a scope is held" web-1 contained
        looks "and the one without" web-2 contained
        release "$ID"
        # shellcheck disable=SC2016
        box_sh host 'mkdir /sys/fs/cgroup/more.slice /sys/fs/cgroup/more.slice/web-2; sleep 1000 & echo $! >/sys/fs/cgroup/more.slice/web-2/cgroup.procs'
        order alice contain container:web-2
        is "of two that go by one name none is held" "$ANSWER" "refused ambiguous-target"
        is "and the receipt names them" "$(receipt '.targets[0].several | sort | join(" ")')" "/more.slice/web-2 /web-2"
        order alice contain cgroup:/web-2
        is "the path tells which" "$ANSWER" contained
        release "$ID"
        order alice contain container:web-9
        is "one that is not there is no target" "$ANSWER" "refused no-such-target"

        # --- made anew
        box_sh host 'echo 1 >/sys/fs/cgroup/more.slice/web-2/cgroup.kill'
        order alice contain container:web-2
        is "the one that is left is held by its name" "$ANSWER" contained
        box_sh host 'crun delete --force web-2' >/dev/null 2>&1
        check "while it is gone nobody else is taken for it" box_until 60 holds_nobody
        # crun waits for a child that is frozen as soon as it is there, and may go on only when it is released
        container_again crun web-2 7102 &
        crun=$!
        turns "a held container that is made anew is held" web-2 contained
        release "$ID"
        check "its runtime goes on at the release" wait "$crun"
        turns "and so does the container" web-2 free
else
        skip "containers of crun and runc" "crun and runc are not installed"
fi

# --- podman, which has conmon beside each container
if [ -x /usr/bin/podman ] && [ -x /usr/bin/conmon ]; then
        put_program /usr/bin/podman
        put_program /usr/bin/conmon
        box_sh host 'mkdir -p /etc/containers && echo "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}" >/etc/containers/policy.json &&
                printf "[storage]\ndriver=\"vfs\"\nrunroot=\"/run/podman\"\ngraphroot=\"/var/lib/podman\"\n" >/etc/containers/storage.conf &&
                printf "[containers]\ndefault_ulimits=[]\n[engine]\nevents_logger=\"file\"\n" >/etc/containers/containers.conf'
        for manager in systemd cgroupfs; do
                name=pod-$manager
                [ "$manager" = systemd ] && port=7131 || port=7132
                sink_for "$name" "$port"
                # without controllers, RLIMIT_MEMLOCK and an image there is only this much of podman; the cgroups are its own
                id=$(box_run host podman --cgroup-manager "$manager" --runtime crun run --privileged --pids-limit 0 --ulimit host -d --net host \
                        --name "$name" -v "/run/$name:/run/beacon" -e "BEACON_PORT=$port" --rootfs /srv/root /usr/local/bin/beacon 2>/dev/null)
                pid=$(box_run host podman inspect -f '{{.State.Pid}}' "$name")
                SERVICE_CGROUP[$name]=$(cgroup_of_pid "$pid")
                box_until 60 is_streaming "$name"
                looks "podman, $manager: the container is free" "$name" free
                order alice contain "container:${id:0:12}"
                is "podman, $manager: it is contained by the beginning of its id" "$ANSWER" contained
                looks "podman, $manager: and it is" "$name" contained
                conmon=$(box_run host pidof conmon | awk '{ print $1 }')
                unlike=$(cgroup_of_pid "$conmon")
                is "podman, $manager: conmon is not in what is held" "$(receipt ".targets[0].pids | index($conmon)") $(frozen "$unlike" 2>/dev/null)" "null 0"
                release "$ID"
                turns "podman, $manager: it is free again" "$name" free
        done
        box_run host podman pause pod-systemd >/dev/null 2>&1
        is_paused() { [ "$(frozen "${SERVICE_CGROUP[pod-systemd]}")" = 1 ]; }
check "a container is paused" box_until 60 is_paused
        id=$(box_run host podman inspect -f '{{.Id}}' pod-systemd)
        order alice contain "container:$id"
        like "and contained" "$ANSWER" '^(contained|partial selftest-not-run)'
        release "$ID"
        is "given back it is paused" "$(frozen "${SERVICE_CGROUP[pod-systemd]}") $(box_run host podman inspect -f '{{.State.Status}}' pod-systemd)" "1 paused"
        box_run host podman unpause pod-systemd >/dev/null 2>&1
        turns "and goes on when podman says so" pod-systemd free
else
        skip "containers of podman" "podman and conmon are not installed"
fi

# --- a user, in a session's place and in a service
box_run host useradd -u 1000 -m alice || exit
service session 7140 Slice=user-1000.slice User=alice || exit
service job 7141 User=alice || exit
service other 7142 || exit
order alice contain user:alice
is "a user is held where his sessions are, and what runs elsewhere is a gap" "$ANSWER" "partial elsewhere"
is "the receipt names where that is" "$(receipt '.targets[0].elsewhere | "\(.processes) \(.cgroups | join(" "))"')" "1 /system.slice/job.service"
looks "what is in his slice is contained" session contained
looks "what is in a service is not" job free
looks "nor what is somebody else's" other free
release "$ID"
turns "it is free again" session free
order alice contain user:1000 job.service
is "with the service named too, all of the user is held" "$ANSWER" contained
looks "in his slice" session contained
looks "and in the service" job contained
release "$ID"
turns "all is free again" job free
order alice plan contain user:alice
is "a plan names what runs elsewhere" "$(receipt '.targets[0].elsewhere.cgroups | join(" ")')" /system.slice/job.service
order alice contain user:root
is "root is protected, since he is who releases" "$ANSWER" "refused protected"
order alice contain user:nobody-here
is "a user that is not there is no target" "$ANSWER" "refused no-such-target"
order alice contain user:4000000000
is "one who runs nothing has nothing to hold" "$ANSWER" "refused not-running"

# --- one process of several
printf '#!/bin/sh\n(while :; do echo x >>/run/multi/worker; sleep 0.05; done) &\nexec /usr/local/bin/beacon\n' >"$(box_dir host)/multi"
box_put host "$(box_dir host)/multi" /usr/local/bin/multi 0755
service multi 7150 ExecStart= ExecStart=/usr/local/bin/multi Restart=no || exit
main=$(box_run host systemctl show -P MainPID multi.service)
worker=$(box_run host pgrep -P "$main")
works() { local n; n=$(wc -c <"$(box_live host)/run/multi/worker"); sleep 0.3; [ "$(wc -c <"$(box_live host)/run/multi/worker")" -gt "$n" ]; }
check "a service of two processes works" box_until 60 works
order alice contain "pid:$worker"
is "one that forks all the time is contained" "$ANSWER" contained
refute "and does not work" works
looks "the service runs on" multi free
is "the manager knows the service as it was" "$(box_run host systemctl show -P MainPID -P ActiveState multi.service | xargs)" "$main active"
is "and whose the process is" "$(cgroup_of_pid "$worker")" "${SERVICE_CGROUP[multi]}/freezed-$ID"
box_run host systemctl kill --kill-whom=main --signal=KILL freezed.service
box_until 60 box_run host freezectl health
refute "the core is killed, and it does not work" works
is "the next one knows" "$(box_run host freezectl status "$ID" --json | jq -r 'select(.report).report.holds[0].state')" contained
release "$ID"
is "it is released" "$ANSWER" released
check "and works again" box_until 60 works
is "where it was" "$(cgroup_of_pid "$worker")" "${SERVICE_CGROUP[multi]}"
is "and nothing is left" "$(leftovers)" ""

order alice contain "pid:$main"
is "the other one is contained, and the first is its child" "$ANSWER" contained
refute "so both stop" works
is "nothing of the service is left running" "$(receipt '.targets[0].pids_total >= 2')" true
release "$ID"
turns "they are free again" multi free
box_run host systemctl restart multi.service
is "the service can be restarted" "$(box_run host systemctl is-active multi.service)" active
order alice contain "pid:$main"
is "a process that has ended is no target" "$ANSWER" "refused no-such-target"
main=$(box_run host systemctl show -P MainPID multi.service)
order alice contain "pid:$main"
box_run host systemctl kill --kill-whom=all --signal=KILL multi.service
box_until 60 box_run host sh -c '! systemctl is-active -q multi.service'
release "$ID"
is "one that was killed while it was held is released all the same" "$ANSWER" released
is "and nothing is left of that either" "$(leftovers)" ""
for pid in 1 2 "$(box_run host systemctl show -P MainPID freezed.service)" "$(box_run host systemctl show -P MainPID dbus.service)"; do
        order alice contain "pid:$pid"
        like "process $pid must run" "$ANSWER" '^refused (protected|no-such-target|not-running)'
done

# --- a slice with slices, services and containers in it, and whom it hits
printf '[Unit]\nRequires=leaf.service\nAfter=leaf.service\n[Service]\nExecStart=/bin/sleep infinity\n' >"$(box_dir host)/unit"
box_put host "$(box_dir host)/unit" /etc/systemd/system/needs.service
service leaf 7160 Slice=tree-branch.slice User=alice || exit
service root 7161 Slice=tree.slice || exit
box_run host systemctl start needs.service
box_sh host 'cd /sys/fs/cgroup/tree.slice && mkdir -p d && mkdir d/docker-5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d.scope &&
        { sleep 1000 & echo $! >/sys/fs/cgroup/tree.slice/d/docker-5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d.scope/cgroup.procs; }'
order alice contain tree.slice
is "a slice is contained" "$ANSWER" contained
looks "what is in it" root contained
looks "and what is in a slice of it" leaf contained
for c in tree.slice tree.slice/tree-branch.slice tree.slice/tree-branch.slice/leaf.service tree.slice/root.service; do
        is "$c is frozen" "$(frozen "/$c")" 1
done
is "the receipt says how many cgroups that is" "$(receipt '.targets[0].cgroups')" 6
is "which units" "$(receipt '.targets[0].units | map(select(startswith("docker") | not)) | sort | join(" ")')" "leaf.service root.service"
like "which containers" "$(receipt '.targets[0].containers | join(" ")')" '^docker-5eedf00d'
is "and whose processes" "$(receipt '.targets[0].users | sort | join(" ")')" "alice root"
release "$ID"
turns "it is free again" leaf free
turns "all of it" root free
order alice plan contain leaf.service
is "a plan says who needs a unit" "$(receipt '.targets[0].dependents | join(" ")')" needs.service
is "and has changed nothing" "$(frozen "${SERVICE_CGROUP[leaf]}")" 0
id=5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed
box_sh host 'd=$(printf "/sys/fs/cgroup/tree.slice/\377/%s" "$1") && mkdir -p "$d" && { sleep 1000 & echo $! >"$d/cgroup.procs"; }' "$id"
order alice plan contain "container:$id"
is "it names a target whose path is no text" "$(receipt '.targets[0].cgroup')" "\\/tree.slice/\\xff/$id"

# --- aliases
printf '[Unit]\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nAlias=myssh.service\n' >"$(box_dir host)/ssh.service"
box_put host "$(box_dir host)/ssh.service" /etc/systemd/system/ssh.service
box_sh host 'systemctl daemon-reload && systemctl enable -q ssh.service && systemctl start ssh.service' 2>/dev/null
order alice contain myssh.service
is "an alias of what is protected is protected" "$ANSWER" "refused protected"

done_testing
