# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Host in a box: a disposable Debian 12 host with a real systemd as PID 1, its own unified cgroup tree, bpffs, network and journal.
# Sourced by host suites, the demo and the benches, which have to be run by bash as root. It boots in about half a second.
#
#   box_create NAME               a fresh host on a layer of its own over the common tree; nothing runs yet
#   box_install NAME B            installs what is built under B in it (packaging/install.sh); before or after booting
#   box_put NAME FILE PATH [MODE] copies a file into it; before or after booting
#   box_boot NAME                 boots it and returns when systemd says that it is up; also after box_halt or box_crash
#   box_run NAME CMD ARG...       runs a command in it as root with a clean environment; its exit status is the command's
#   box_sh NAME 'SCRIPT' ARG...   the same through a shell in it; ARG are $1...
#   box_net NAME                  connects it to a network namespace "outside": 10.77.0.2/24 and fd77::2/64 on host0 in the box,
#                                 10.77.0.1 and fd77::1 outside. Lasts over reboots
#   box_outside NAME CMD ARG...   runs a command outside
#   box_listen NAME CMD ARG...    starts a command outside that stays until the box is removed; its pid is in BOX_PID, what it says
#                                 in listen.log of box_dir
#   box_beacon NAME               starts the sink outside and beacon.service in the box (see beacon.py), waits for the first bytes
#   box_beats NAME                prints the last number that the beacon wrote to its heartbeat
#   box_sunk NAME                 prints how many bytes of the beacon the sink has got so far
#   box_root NAME                 prints the path of its disk as this machine sees it, booted or not
#   box_live NAME                 prints the path of its mount tree, /run and /tmp included, while it runs. A magic link: give it to
#                                 nothing that resolves links first, to which it is this machine's own root
#   box_cgroup NAME               prints the path of its root cgroup as this machine sees it
#   box_leader NAME               prints the pid of its PID 1 as this machine sees it
#   box_console NAME              prints what it said while booting
#   box_halt NAME                 shuts it down in order; its disk stays
#   box_crash NAME                every process of it is gone at once, as after a power cut; its disk stays
#   box_remove NAME               ends it and removes everything of it
#   box_at_exit 'CODE'            runs CODE before the boxes are removed when the script ends
#
# Every box is removed when the script that made it ends, however it ends; what a SIGKILL leaves behind is removed by the next script.
# Boxes of several scripts do not disturb each other. box_boot has to be called by the script itself, not in a subshell: the box ends
# with the process that booted it.

# systemd's and ip's words are read, and EPOCHREALTIME's point is taken out
export LC_ALL=C.UTF-8

BOX_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/lib/rootfs.sh
. "$BOX_LIB/rootfs.sh"
# shellcheck source=tests/lib/age.sh
. "$BOX_LIB/age.sh"

BOX_BOOT_TIMEOUT=180
BOX_HALT_TIMEOUT=90
BOX_ENV=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb)
BOX_HOOKS=()

[ "$(id -u)" -eq 0 ] || { echo "$0: must be run as root" >&2; exit 1; }
BOX_CGROUP2=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
[ -n "$BOX_CGROUP2" ] || { echo "$0: cgroup2 is not mounted on this machine" >&2; exit 1; }

# All that is known of a box is in one directory, so that subshells and the sweep of a later script know it too.
box_dir() {
        echo "$FREEZED_CACHE/boxes/$1.$$"
}

# box_at NAME: its directory and PID 1 in dir and leader, the caller's; fails when it does not run. What suites do most is to run something
# in a box, and each process that finds out where costs as much as many a command.
box_at() {
        dir=$FREEZED_CACHE/boxes/$1.$$
        read -r leader 2>/dev/null <"$dir/leader" && [ -d "/proc/$leader" ]
}

box_fail() {
        echo "box: $*" >&2
        return 1
}

# box_until SECONDS CMD ARG...: polls until CMD succeeds; 1 when it never does. The last look begins when the time is over: one that
# took all of it has seen what was in the beginning
box_until() {
        local end=$((${EPOCHREALTIME/./} + $1 * 1000000)) ms=20 late
        shift
        until
                late=$((${EPOCHREALTIME/./} >= end))
                "$@" >/dev/null 2>&1
        do
                [ "$late" -eq 0 ] || return 1
                sleep "${ms}e-3"
                # who waits for long must not keep busy what he waits for
                ms=$((ms < 160 ? ms * 2 : ms))
        done
}

box_create() {
        local dir base
        dir=$(box_dir "$1")
        base=$(rootfs_path) || return
        [ ! -e "$dir" ] || box_fail "$1 is there already" || return
        mkdir -p "$dir"/{upper,work,root} || return
        # by pid and start time, so that a later script knows whether anyone still wants this box
        echo "$$ $(box_started $$)" >"$dir/owner"
        box_mount "$dir" "$base" || return
        rm -f "$dir/root/etc/machine-id"
        systemd-id128 new >"$dir/root/etc/machine-id" && echo "$1" >"$dir/root/etc/hostname"
}

# The layer is on the cache's disk, because fdatasync on tmpfs costs nothing and measures nothing. Where that disk cannot carry an
# overlay (it is one itself, as in a container) it is on tmpfs after all.
box_mount() {
        local dir=$1 base=$2
        mount -t overlay -o "lowerdir=$base,upperdir=$dir/upper,workdir=$dir/work" box "$dir/root" 2>/dev/null && return
        mkdir -p "$dir/tmpfs" && mount -t tmpfs -o mode=0755 box "$dir/tmpfs" && mkdir "$dir"/tmpfs/{upper,work} &&
                mount -t overlay -o "lowerdir=$base,upperdir=$dir/tmpfs/upper,workdir=$dir/tmpfs/work" box "$dir/root"
}

box_install() {
        "$BOX_LIB/../../packaging/install.sh" "$2" "$(box_root "$1")" || return
        ! box_leader "$1" >/dev/null || box_run "$1" systemctl daemon-reload
}

box_put() {
        install -D -m "${4:-0644}" "$2" "$(box_live "$1" || box_root "$1")$3"
}

box_root() {
        echo "$(box_dir "$1")/root"
}

box_live() {
        local dir leader
        box_at "$1" && echo "/proc/$leader/root"
}

box_leader() {
        local dir leader
        box_at "$1" && echo "$leader"
}

box_cgroup() {
        local cgroup
        read -r cgroup <"$FREEZED_CACHE/boxes/$1.$$/cgroup"
        echo "$cgroup/payload"
}

box_console() {
        cat "$(box_dir "$1")/console"
}

# Every process of a box is below one cgroup, so that one write ends all of them, frozen ones included. Where PID 1 is systemd the
# cgroup tree is its own: there it is a scope with Delegate=, elsewhere a cgroup beside this shell's.
box_spawn() {
        local name=$1 dir=$2 id=box-$1-$$ own
        local -a nspawn=(setpriv --pdeathsig KILL systemd-nspawn --quiet --machine="$id" --hostname="$name" --directory="$dir/root"
                --register=no --keep-unit --capability=all --system-call-filter="bpf perf_event_open pidfd_getfd landlock_create_ruleset landlock_add_rule landlock_restrict_self userfaultfd ${BOX_SYSCALLS:-}" --private-network --boot)
        if [ -d /run/systemd/system ]; then
                nspawn=(systemd-run --quiet --scope --collect --unit="$id" --property=Delegate=yes "${nspawn[@]}")
        else
                own=$(sed -n 's/^0:://p' /proc/self/cgroup)
                echo "$BOX_CGROUP2${own%/}/$id" >"$dir/cgroup"
                mkdir -p "$(cat "$dir/cgroup")" || return
        fi
        (
                [ ! -s "$dir/cgroup" ] || echo "$BASHPID" >"$(cat "$dir/cgroup")/cgroup.procs"
                echo "$BASHPID" >"$dir/nspawn"
                SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 exec setsid "${nspawn[@]}" </dev/null >>"$dir/console" 2>&1
        ) &
        disown
}

# Notes the leader: the child of nspawn that has become systemd.
box_find_leader() {
        local dir=$1 nspawn child
        nspawn=$(cat "$dir/nspawn") || return
        for child in $(cat "/proc/$nspawn/task/$nspawn/children"); do
                if [ "$(cat "/proc/$child/comm")" = systemd ] && [ "$(readlink "/proc/$child/ns/cgroup")" != "$(readlink /proc/self/ns/cgroup)" ]; then
                        [ -s "$dir/cgroup" ] || echo "$BOX_CGROUP2$(sed -n 's@^0::\(.*\)/supervisor$@\1@p' "/proc/$nspawn/cgroup")" >"$dir/cgroup"
                        echo "$child" >"$dir/leader"
                        return 0
                fi
        done
        return 1
}

box_is_up() {
        case $(box_run "$1" systemctl is-system-running 2>/dev/null) in running | degraded) ;; *) return 1 ;; esac
}

box_boot() {
        local name=$1 dir
        dir=$(box_dir "$name")
        [ -d "$dir/root/etc" ] || box_fail "$name is not there" || return
        : >"$dir/leader"
        : >"$dir/nspawn"
        : >"$dir/cgroup"
        : >"$dir/console"
        box_spawn "$name" "$dir" || return
        if ! { box_until 60 box_find_leader "$dir" && box_until "$BOX_BOOT_TIMEOUT" box_is_up "$name"; }; then
                box_console "$name" >&2
                box_fail "$name did not boot"
                return
        fi
        [ ! -e "$dir/netns" ] || box_plug "$name"
}

# A command of the test runs in a cgroup of the box that is no unit's, as a login would: neither frozen with a unit nor left behind.
box_run() {
        local dir leader cgroup
        box_at "$1" || { box_fail "$1 is not running"; return; }
        read -r cgroup <"$dir/cgroup"
        cgroup+=/payload/box-run
        shift
        [ -d "$cgroup" ] || mkdir -p "$cgroup"
        (
                echo "$BASHPID" >"$cgroup/cgroup.procs"
                exec nsenter --target "$leader" --mount --uts --ipc --net --pid --cgroup env -i "${BOX_ENV[@]}" "$@"
        )
}

box_sh() {
        local name=$1 script=$2
        shift 2
        box_run "$name" sh -c "$script" sh "$@"
}

box_net() {
        local dir ns=box-$1-$$
        dir=$(box_dir "$1")
        ip netns add "$ns" || return
        echo "$ns" >"$dir/netns"
        ip -n "$ns" link set lo up
        [ ! -s "$dir/leader" ] || box_plug "$1"
}

box_plug() {
        local dir ns leader
        dir=$(box_dir "$1")
        ns=$(cat "$dir/netns")
        leader=$(box_leader "$1") || return
        ip link add outside0 netns "$ns" type veth peer name host0 netns "$leader" || return
        ip -n "$ns" address add 10.77.0.1/24 dev outside0
        ip -n "$ns" address add fd77::1/64 dev outside0 nodad
        ip -n "$ns" link set outside0 up
        box_run "$1" ip address add 10.77.0.2/24 dev host0
        box_run "$1" ip address add fd77::2/64 dev host0 nodad
        box_run "$1" ip link set host0 up
        box_until 60 box_is_plugged "$1" || box_fail "host0 has no carrier"
}

box_is_plugged() {
        case $(box_run "$1" ip -br link show host0) in *LOWER_UP*) ;; *) return 1 ;; esac
}

box_outside() {
        local ns
        ns=$(cat "$(box_dir "$1")/netns") || return
        shift
        ip netns exec "$ns" "$@"
}

box_listen() {
        local ns log
        log=$(box_dir "$1")/listen.log
        ns=$(cat "$(box_dir "$1")/netns") || return
        shift
        ip netns exec "$ns" "$@" </dev/null >>"$log" 2>&1 &
        BOX_PID=$!
        disown
}

box_beacon() {
        local dir
        dir=$(box_dir "$1")
        box_put "$1" "$BOX_LIB/beacon.py" /usr/local/bin/beacon 0755
        box_put "$1" "$BOX_LIB/beacon.service" /etc/systemd/system/beacon.service
        box_listen "$1" /usr/bin/python3 "$BOX_LIB/sink.py" 10.77.0.1 7000 "$dir/sink"
        box_until 60 test -s "$dir/sink" || box_fail "the sink did not start" || return
        box_run "$1" systemctl daemon-reload && box_run "$1" systemctl start beacon.service || return
        box_until 60 box_is_sinking "$1" || box_fail "nothing of the beacon reached the sink"
}

box_is_sinking() {
        [ "$(box_sunk "$1")" -gt 0 ]
}

box_beats() {
        tail -n 1 "$(box_live "$1")/run/beacon/heartbeat"
}

box_sunk() {
        sed -n 's/^bytes=//p' "$(box_dir "$1")/sink"
}

# The nspawn process goes when its box has; a frozen or killed child of it is reaped by then.
box_is_gone() {
        local nspawn
        nspawn=$(cat "$(box_dir "$1")/nspawn" 2>/dev/null)
        [ -z "$nspawn" ] || [ ! -d "/proc/$nspawn" ]
}

box_halt() {
        box_run "$1" systemctl poweroff || return
        box_until "$BOX_HALT_TIMEOUT" box_is_gone "$1" || box_fail "$1 did not shut down"
        box_end "$(box_dir "$1")"
}

box_crash() {
        box_end "$(box_dir "$1")"
}

box_is_empty() {
        [ ! -d "$1" ] || grep -q '^populated 0' "$1/cgroup.events"
}

box_remove_cgroup() {
        [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} +
}

# Ends all processes of the box in that directory and removes its cgroups. nspawn also leaves empty ones in the named hierarchy of a
# hybrid machine, and a directory in /run.
box_end() {
        local dir=$1 cgroup id nspawn
        cgroup=$(cat "$dir/cgroup" 2>/dev/null)
        nspawn=$(cat "$dir/nspawn" 2>/dev/null)
        if [ -n "$cgroup" ] && [ -d "$cgroup" ]; then
                echo 1 >"$cgroup/cgroup.kill"
                box_until 60 box_is_empty "$cgroup" || box_fail "processes of $dir are left"
                # where systemd owns the tree it removes it as well
                box_until 60 box_remove_cgroup "$cgroup" || box_fail "$cgroup is left"
        elif [ -n "$nspawn" ] && grep -qs "box-" "/proc/$nspawn/cmdline"; then
                kill -KILL "$nspawn" || true
        fi
        id=$(basename "$dir")
        id=box-${id%.*}-${id##*.}
        [ ! -d "/sys/fs/cgroup/systemd/$id" ] || find "/sys/fs/cgroup/systemd/$id" -depth -type d -exec rmdir {} +
        rm -rf "/run/systemd/nspawn/propagate/$id"
        : >"$dir/leader"
}

# One that forks while it is killed leaves somebody.
box_netns_is_empty() {
        ip netns pids "$1" 2>/dev/null | xargs -r kill -KILL 2>/dev/null
        [ -z "$(ip netns pids "$1" 2>/dev/null)" ]
}

box_remove_dir() {
        local dir=$1 m
        box_end "$dir"
        if [ -s "$dir/netns" ]; then
                box_until 60 box_netns_is_empty "$(cat "$dir/netns")" || box_fail "processes outside of $dir are left"
                ip netns delete "$(cat "$dir/netns")"
        fi
        for m in "$dir/root" "$dir/tmpfs"; do
                ! mountpoint -q "$m" || box_until 5 umount "$m" || umount -l "$m"
        done
        # never through a mount that is still there
        rm -rf --one-file-system "$dir"
}

box_remove() {
        box_remove_dir "$(box_dir "$1")"
}

# When a process started, in clock ticks since boot: with the pid, a name that is not used again.
box_started() {
        sed -n 's/.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

# Removes the boxes of scripts that are no more.
box_sweep() {
        [ -d "$FREEZED_CACHE/boxes" ] || return 0
        (
                # scripts that start together would otherwise remove the same one
                flock 9
                for dir in "$FREEZED_CACHE"/boxes/*; do
                        read -r pid started 2>/dev/null <"$dir/owner" || continue
                        [ "$(box_started "$pid")" = "$started" ] || box_remove_dir "$dir"
                done
        ) 9<"$FREEZED_CACHE/boxes"
}

box_at_exit() {
        BOX_HOOKS+=("$1")
}

box_cleanup() {
        local status=$? dir hook
        set +e
        trap '' INT TERM HUP
        for hook in "${BOX_HOOKS[@]}"; do
                eval "$hook"
        done
        for dir in "$FREEZED_CACHE"/boxes/*."$$"; do
                [ ! -d "$dir" ] || box_remove_dir "$dir"
        done
        exit "$status"
}

trap box_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
box_sweep
