#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# evidence.sh B OUT: what the collector takes to preserve a process's memory, a journal and a tree of logs, beside the stock tools that
# do part of the same, in turns. Nothing here is an assertion about time; it fails only when something that was measured did not do what
# it is measured for. Lines "series name microseconds" go to OUT/samples, lines "name value" to OUT/facts.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: evidence.sh BUILD OUT} OUT=${2:?usage: evidence.sh BUILD OUT}
# a journal of its own is mounted over the machine's
[ "${EVIDENCE_MOUNTS:-}" = own ] || EVIDENCE_MOUNTS=own exec unshare --mount --propagation private "$0" "$@"
# shellcheck source=tests/lib/age.sh
. tests/lib/age.sh

ROUNDS=${ROUNDS:-5}
DENSE_ROWS=1300000 # a heap of 1 GB
SPARSE_GB=8        # of which one page in a hundred is there
ENTRIES=350000
SMALL_FILES=20000
SMALL_KB=20
LARGE_FILES=4
LARGE_MB=150

say() { printf '  %-8s %s\n' BENCH "$1"; }
fail() { echo "bench: $1" >&2; exit 1; }

cgroup2=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
cgroup=$cgroup2/freezed-bench-$$
tmp=$(mktemp -d -p /var/tmp)
mkdir "$cgroup" || exit
clean() {
        echo 1 >"$cgroup/cgroup.kill"
        until rmdir "$cgroup" 2>/dev/null; do sleep 0.1; done
        umount -q /var/log/journal /run/log/journal 2>/dev/null
        rm -rf "$tmp"
}
trap clean EXIT
trap 'exit 130' INT TERM

# spent SERIES NAME CMD ARG...: what it took goes to the series, and its peak of memory to the facts
spent() {
        local series=$1 name=$2 us kb status
        shift 2
        { read -r us kb; read -r status; } < <("$B/bench/spent" "$@" 2>>"$tmp/stderr"; echo "$?")
        [ "$status" = 0 ] || { tail -n 5 "$tmp/stderr" >&2; fail "$series: $name failed"; }
        echo "$series $name $us" >>"$OUT/samples"
        echo "peak_${series}_$name $kb" >>"$OUT/facts"
}

# kept SERIES NAME FILE...: how large it came out; it is removed, and nothing of it is left for the next to wait for
kept() {
        echo "bytes_$1_$2 $(du -cbs "${@:3}" | tail -n 1 | cut -f 1)" >>"$OUT/facts"
        rm -rf "${@:3}"
        sync -f "$tmp"
}

# collected SERIES CGROUP UNIT ARG...: the collector as the core starts it, which gives it a folder and a result as descriptors
# shellcheck disable=SC2016
collected() {
        local series=$1
        shift
        rm -rf "$tmp/bag" && mkdir "$tmp/bag"
        spent "$series" agent bash -c 'exec "$0" --folder 3 --result 4 --since 0 --until "$(date +%s%3N)" --deadline 600000 --max-bytes 20000000000 \
                --recipient "$1" --cgroup "$3" --unit "$4" "${@:5}" 3<"$2/bag" 4>"$2/result"' "$B/freezed-collect" "$AGE_RECIPIENT" "$tmp" "$@"
        [ -s "$tmp/bag/manifest-sha256.txt" ] || fail "$series: the agent made no manifest"
}

# has SERIES KIND BYTES: what was preserved is all there
has() {
        local got
        got=$(for f in "$tmp"/bag/data/*-index.jsonl.zst.age; do age -d -i "$tmp/identity" "$f" | zstd -dqc; done |
                jq -s --arg kind "$2" 'map(select(.kind == $kind and .hole == null) | .bytes) | add // 0')
        [ "$got" -ge "$3" ] || fail "$1: $got bytes of $2 where $3 were expected"
}

# process SCRIPT: a process in the cgroup that has filled its memory
process() {
        mkfifo "$tmp/ready"
        (echo 0 >"$cgroup/cgroup.procs" && exec python3 -c "$1" >"$tmp/ready") &
        read -r _ <"$tmp/ready"
        rm "$tmp/ready"
        pid=$!
}

# cored SERIES NAME LEVEL PID
# shellcheck disable=SC2016
cored() {
        spent "$1" "$2" bash -c 'gcore -a -o "$1/core" "$2" >/dev/null && zstd "$3" -q --rm "$1"/core.*' - "$tmp" "$4" "$3"
        kept "$1" "$2" "$tmp"/core.*.zst
}

# memory SERIES SCRIPT BYTES: gcore waits for ever for what a cgroup's freezer stopped, so that it is stopped by a signal for gcore
memory() {
        local series=$1 pid
        say "$ROUNDS rounds of the memory of a process ($series): agent, gcore and zstd"
        process "$2"
        for _ in $(seq "$ROUNDS"); do
                echo 1 >"$cgroup/cgroup.freeze"
                collected "$series" "$cgroup" -
                has "$series" core "$3"
                kept "$series" agent "$tmp/bag"
                echo 0 >"$cgroup/cgroup.freeze"
                kill -STOP "$pid"
                cored "$series" gcore -3 "$pid"
                cored "$series" gcore1 -1 "$pid"
                kill -CONT "$pid"
        done
        kill -KILL "$pid"
        wait "$pid" 2>/dev/null
}

# journal_make: what journald would have written of a unit, in $tmp/journal
journal_make() {
        local machine
        machine=$(cat /etc/machine-id)
        mkdir -p "$tmp/journal/$machine" "$tmp/none" /var/log/journal
        python3 - "$ENTRIES" >"$tmp/entries" <<'PY'
import random, sys, time
random.seed(2)
start = int(time.time() * 1e6) - 3600 * 1000000
for i in range(int(sys.argv[1])):
    text = f"GET /api/v1/orders/{random.randrange(100000)} {random.choice((200, 200, 304, 500))} from 10.{random.randrange(256)}.{random.randrange(256)}.7 in {random.random():.3f} s"
    print(f"__REALTIME_TIMESTAMP={start + i * 1000}\n__MONOTONIC_TIMESTAMP={i * 1000}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n_TRANSPORT=stdout\n"
          f"_PID={4000 + i % 8}\n_UID=33\n_GID=33\n_COMM=app\n_EXE=/usr/bin/app\n_SYSTEMD_UNIT=app.service\n_SYSTEMD_SLICE=system.slice\n"
          f"_HOSTNAME=bench\nPRIORITY=6\nSYSLOG_IDENTIFIER=app\nMESSAGE={text}\n")
PY
        /lib/systemd/systemd-journal-remote -o "$tmp/journal/$machine/system.journal" "$tmp/entries" >/dev/null 2>&1 || fail "the journal was not made"
        rm "$tmp/entries"
        mount --bind "$tmp/journal" /var/log/journal && { [ ! -d /run/log/journal ] || mount --bind "$tmp/none" /run/log/journal; } || fail "no journal of its own"
}

# journal: a journal directory of its own takes the place of the machine's, for the agent and for journalctl alike
# shellcheck disable=SC2016
journal() {
        say "$ROUNDS rounds of $ENTRIES journal entries: agent, journalctl"
        journal_make
        for _ in $(seq "$ROUNDS"); do
                collected journal "$cgroup" app.service
                spent journal journalctl bash -c 'journalctl -q -u app.service -o export >"$1/export"' - "$tmp"
                has journal journal "$(stat -c %s "$tmp/export")"
                kept journal agent "$tmp/bag"
                kept journal journalctl "$tmp/export"
        done
}

# tree_make: log files as an application and its web server leave them
tree_make() {
        mkdir -p "$tmp/tree"
        python3 - "$tmp/tree" "$SMALL_FILES" "$SMALL_KB" "$LARGE_FILES" "$LARGE_MB" <<'PY' || fail "the tree was not made"
import os, random, sys
random.seed(3)
root, small, small_kb, large, large_mb = sys.argv[1], *map(int, sys.argv[2:])
lines = [f"2026-11-20T{random.randrange(24):02}:{random.randrange(60):02}:{random.randrange(60):02}.{random.randrange(1000):03} INFO worker-{random.randrange(64)} order={random.randrange(10**9)} "
         f"from=10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)} took={random.random():.4f} GET /api/v1/items/{random.randrange(10**6)}\n" for _ in range(200000)]
def write(path, size):
    with open(path, "w") as f:
        while f.tell() < size:
            f.writelines(random.choices(lines, k=100))
for i in range(small):
    os.makedirs(f"{root}/{i // 200}", exist_ok=True)
    write(f"{root}/{i // 200}/{i}.log", small_kb * 1000)
for i in range(large):
    write(f"{root}/large.{i}.log", large_mb * 1000000)
PY
}

# tree: what is preserved of log files is read from the disk's cache by all of them
# shellcheck disable=SC2016
tree() {
        say "$ROUNDS rounds of $SMALL_FILES small and $LARGE_FILES large log files: agent, tar, borg, restic"
        tree_make
        export BORG_PASSPHRASE=bench RESTIC_PASSWORD=bench BORG_BASE_DIR=$tmp/borg.base XDG_CACHE_HOME=$tmp/cache
        for _ in $(seq "$ROUNDS"); do
                collected tree "$cgroup" - --profile logs --log "$tmp/tree"
                has tree log "$(du -cb --apparent-size "$tmp"/tree/large.* | tail -n 1 | cut -f 1)"
                kept tree agent "$tmp/bag"
                spent tree tar bash -c 'tar -C "$1" -c tree | zstd -q -1 | tee "$1/tree.tar.zst" | sha256sum' - "$tmp"
                kept tree tar "$tmp/tree.tar.zst"
                # evidence is on the disk when the agent says so
                spent tree tarsync bash -c 'tar -C "$1" -c tree | zstd -q -1 | tee "$1/tree.tar.zst" | sha256sum && sync -f "$1"' - "$tmp"
                kept tree tarsync "$tmp/tree.tar.zst"
                borg init -e repokey-blake2 2>/dev/null "$tmp/repo" && spent tree borg borg create -C zstd,1 "$tmp/repo::tree" "$tmp/tree"
                kept tree borg "$tmp/repo"
                restic -q -r "$tmp/repo" init && spent tree restic restic -q -r "$tmp/repo" backup "$tmp/tree"
                kept tree restic "$tmp/repo"
                rm -rf "$tmp/borg.base" "$tmp/cache"
        done
}

echo "$AGE_IDENTITY" >"$tmp/identity"
memory dense "
import random
random.seed(1)
rows = [{'id': i, 'name': 'user-%d' % (i * 7919 % 1000003), 'v': [random.random() for _ in range(6)], 's': str(i) * 8} for i in range($DENSE_ROWS)]
print(flush=True)
while True: __import__('time').sleep(1000)" $((900 * 1024 * 1024))
memory sparse "
import mmap
m = mmap.mmap(-1, $SPARSE_GB << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, $SPARSE_GB << 30, 409600): m[at:at + 8] = at.to_bytes(8, 'little')
print(flush=True)
while True: __import__('time').sleep(1000)" $((SPARSE_GB * 10 * 1024 * 1024))
journal
tree
