#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 074-logs.sh B: what a snapshot takes besides memory, on a host with a real systemd: the journal around the order and the proof that
# nothing of it is missing, log files of the host's policy as the host and as the service sees them, what systemd has in force, packages
# and digests, and what is ours. Each compared with what the tools of others say.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 074-logs.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh

run() { box_run host "$@"; }
in_box() { box_sh host "$@"; }
root=$(box_root host)

# take INCIDENT: opens its evidence; OUT is what was in it
take() {
        OUT=$(box_dir host)/out.$1
        tests/lib/open_bag.sh "$(find "$root/var/lib/freezed/evidence/$1" -mindepth 1 -maxdepth 1 | sort | tail -n 1)" "$(box_dir host)/identity" "$OUT"
}
index() { jq -rs "map(select($1)) | $2" "$OUT/index.jsonl"; }
# of KIND SOURCE: the object's content
of() {
        local file
        file=$(jq -r --arg k "$1" --arg s "$2" 'select(.kind == $k and .source == $s and .sha256) | .member // (.file | sub(".*/"; "") | sub("[.]zst[.]age$"; ""))' "$OUT/index.jsonl" | tail -n 1)
        [ -n "$file" ] && cat "$OUT/data/$file"
}
hole() { jq -r --arg s "$1" 'select(.hole and .source == $s) | .hole' "$OUT/index.jsonl" | sort -u; }

orders_boot "$B" || exit
echo "$AGE_IDENTITY" >"$(box_dir host)/identity"

# --- a policy with log files, and a service that has mounts of its own
cat >"$root/etc/freezed/policy.json" <<'JSON'
{"v":1,"evidence":{"window_ms":900000,"logs":["/var/log/app","/var/log/auth.log*","/srv/nowhere.log"],"profiles":{"logs":{"window_ms":1000}}}}
JSON
run systemctl reload freezed.service
in_box 'mkdir -p /var/log/app/old /opt/inside && cd /var/log/app && echo "of the host" >app.log && echo old >old/app.log.1 &&
        ln -s /etc/shadow shadow.log && mkfifo pipe.log && touch "$(printf "evil\n\033[2Jname")" && echo two >two-a.log && ln two-a.log two-b.log &&
        echo "of the service alone" >/opt/inside/app.log && echo "sshd: alice" >/var/log/auth.log'
service app 7001 BindPaths=/opt/inside:/var/log/app 'Environment=SETTING=from-the-file'
in_box 'mkdir -p /run/systemd/system/app.service.d && printf "[Service]\nLimitNOFILE=4242\n" >/run/systemd/system/app.service.d/late.conf' &&
        run systemctl daemon-reload
run systemctl set-property --runtime app.service CPUWeight=77
run logger -t somebody 'said by another'
is_said() { run journalctl -q -t somebody | grep -q 'said by another'; }
box_until 60 is_said
order alice contain app.service --incident SA-20261121-001
like "evidence is there" "$(receipt .evidence.state)" '^complete$'
take SA-20261121-001

is "a log file of the host's" "$(of log /var/log/app/app.log)" "of the host"
is "and one in a directory below" "$(of log /var/log/app/old/app.log.1)" old
is "and one that a pattern stands for" "$(of log /var/log/auth.log)" "sshd: alice"
pid=$(index '.kind == "log" and .pid' '.[0].pid')
is "as the service sees it, another" "$(of log "/proc/$pid/root/var/log/app/app.log")" "of the service alone"
is "a link is not followed" "$(hole /var/log/app/shadow.log)" ELOOP
is "a pipe is not opened" "$(hole /var/log/app/pipe.log)" EOPNOTSUPP
is "one that is nowhere is told of" "$(hole /srv/nowhere.log)" ENOENT
is "two names of one file are one object that says so" "$(index '.kind == "log" and .stat.nlink == 2' length)" 1
check "a hostile name is in the index alone, and escaped" grep -qF 'evil\n\u001B[2Jname' "$OUT/index.jsonl"

like "what the manager has in force" "$(of unit-properties 'systemctl show')" 'LimitNOFILE=4242'
like "set at run time too" "$(of unit-properties 'systemctl show')" 'CPUWeight=77'
like "with where it is from" "$(of unit-properties 'systemctl show')" 'DropInPaths=.*late.conf'
like "the drop-in itself" "$(of unit-dropin /run/systemd/system/app.service.d/late.conf)" 4242

python=$(readlink -f "$root/usr/bin/python3")
is "the digest of its program is the right one" \
        "$(jq -r 'select(.path | test("/python3[.0-9]*$")) | .sha256' "$OUT"/data/*-binaries)" "$(sha256sum <"$python" | cut -d' ' -f1)"
is "with the package and its version" "$(jq -r 'select(.path | test("/python3[.0-9]*$")) | .package + " " + .version' "$OUT"/data/*-binaries)" \
        "$(basename "$python")-minimal $(run dpkg-query -W -f '${Version}' "$(basename "$python")-minimal")"
check "dpkg's database" cmp "$OUT"/data/*-dpkg-status "$root/var/lib/dpkg/status"
is "the collector names itself" "$(jq -r '.programs[] | select(.what == "collector") | .sha256' "$OUT"/data/*-footprint)" \
        "$(sha256sum <"$root/usr/lib/freezed/freezed-collect" | cut -d' ' -f1)"
is "and the core" "$(jq -r '.programs[] | select(.what == "core") | .sha256' "$OUT"/data/*-footprint)" "$(sha256sum <"$root/usr/sbin/freezed" | cut -d' ' -f1)"
check "and its pins" grep -q '/sys/fs/bpf/freezed/' "$OUT"/data/*-footprint
check "its policy" cmp "$OUT"/data/*"$(index '.kind == "agent-config" and (.source | test("policy"))' '.[0].member')" "$root/etc/freezed/policy.json"

# --- the journal
check "the unit's journal" grep -qa MESSAGE= "$OUT"/data/*-journal
check "everybody's of the last minute" grep -qa 'said by another' "$OUT"/data/*-journal-host
check "which the unit's does not have" test "$(grep -ca 'said by another' "$OUT"/data/*-journal)" = 0
is "no entry is missing" "$(jq -s 'map(.gaps | length) | add' "$OUT"/data/*-journal-sequence)" 0
is "of as many as there are" \
        "$(jq -s 'map(.entries) | add' "$OUT"/data/*-journal-sequence)" \
        "$(run journalctl -q -o json | jq -s --argjson t "$(jq -s 'map(.last_us) | max' "$OUT"/data/*-journal-sequence)" \
                'map(select((.__REALTIME_TIMESTAMP | tonumber) <= $t)) | length')"

# --- who takes a file of the journal away is seen
for i in 1 2 3; do run logger -t chatter "number $i" && run journalctl --sync && run journalctl --rotate; done
in_box 'set -- $(ls /var/log/journal/*/system@*.journal /run/log/journal/*/system@*.journal 2>/dev/null | sort) && rm "$2"'
order alice snapshot app.service --incident SA-20261121-002 --profile logs
like "a snapshot of logs alone" "$(receipt .state)" '^snapshot$'
take SA-20261121-002
check "has no memory" test -z "$(find "$OUT/data" -name '*-core')"
check "has the log files" test -n "$(of log /var/log/app/app.log)"
is "and the statement says so" "$(run freezectl evidence show SA-20261121-002 --json | jq -r '.evidence.statement.profile // empty')" logs
# the window of that profile is a second, so that the order above is not in it, nor what was taken away
order alice snapshot app.service --incident SA-20261121-003
take SA-20261121-003
check "what was taken away has numbers" test "$(jq -s 'map(.gaps | length) | add' "$OUT"/data/*-journal-sequence)" -gt 0
is "and is a hole" "$(index '.kind == "journal-sequence" and .hole' 'map(.hole) | unique | .[]')" ENODATA

# --- a slice is what runs in it
in_box 'for u in one two; do printf "[Service]\nSlice=apps-%s.slice\nExecStart=/bin/sh -c \"echo said by %s; exec sleep 1000\"\n" $u $u >/etc/systemd/system/$u.service; done;
        systemctl daemon-reload && systemctl start one.service two.service'
said() { run journalctl -q -u one.service -u two.service | grep -c 'said by' | grep -qx 2; }
box_until 60 said
order alice contain apps.slice --incident SA-20261121-004
take SA-20261121-004
is "the units of a slice have their files" "$(index '.kind == "unit-file" and .sha256' 'map(.source) | unique | map(select(test("(one|two).service"))) | length')" 2
like "and their properties" "$(of unit-properties 'systemctl show' | grep -c '^Id=\(one\|two\).service')" '^2$'
is "and their words are in the slice's journal" "$(grep -cah '^MESSAGE=said by' "$OUT"/data/*-journal | awk '{ n += $1 } END { print n }')" 2

# --- a process is of its unit
order alice snapshot "pid:$(run systemctl show -P MainPID one.service)" --incident SA-20261121-006
take SA-20261121-006
check "the unit of a process has its file" test -n "$(of unit-file /etc/systemd/system/one.service)"
is "and its properties" "$(of unit-properties 'systemctl show' | grep '^Id=')" 'Id=one.service'
is "and its journal" "$(grep -ah '^MESSAGE=said by' "$OUT"/data/*-journal)" 'MESSAGE=said by one'

# --- a container: what its runtime keeps of it, and nobody listed
id=$(printf '%064x' 4711)
in_box 'mkdir -p "/var/lib/docker/containers/$1" && cd "/var/lib/docker/containers/$1" && echo "{\"log\":\"said inside\"}" >"$1-json.log" &&
        echo "{\"Image\":\"app\"}" >config.v2.json && mkdir ../other && echo no >../other/x.log &&
        systemd-run -q --unit="docker-$1.service" sleep 1000' "$id"
box_until 60 run systemctl is-active -q "docker-$id.service"
order alice snapshot "docker-$id.service" --incident SA-20261121-005
take SA-20261121-005
is "the log of a container" "$(of log "/var/lib/docker/containers/$id/$id-json.log")" '{"log":"said inside"}'
is "and how it was started" "$(of log "/var/lib/docker/containers/$id/config.v2.json")" '{"Image":"app"}'
is "and of no other" "$(index '.kind == "log" and (.source | test("docker"))' length)" 2

# --- what it is called is written down
documented() {
        local kind pattern missing=
        while read -r kind; do
                while read -r pattern; do
                        # shellcheck disable=SC2053
                        [[ $kind == $pattern ]] && continue 2
                done <<<"$1"
                missing+="$kind "
        done
        echo "$missing"
}
patterns=$(sed -n '/^## What is collected/,/^## A line/p' packaging/doc/evidence.md | grep '^| `' | cut -d'|' -f2 | grep -o '`[^`]*`' | tr -d '`')
is "every kind is in the document" "$(jq -r 'select(.sha256) | .kind' "$(box_dir host)"/out.*/index.jsonl | sort -u | documented "$patterns")" ""
done_testing
