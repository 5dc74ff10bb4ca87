#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 072-export.sh B: whoever reads evidence is on record, by the names that the kernel has for them; without an agent it is read all the
# same and says so. What is exported opens with the tools of others, and what the attacker wrote in names and logs stays text in all of it.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 072-export.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh
# shellcheck source=tests/lib/orders.sh
. tests/lib/orders.sh

run() { box_run host "$@"; }
in_box() { box_sh host "$@"; }

# recorded FILTER: of the custody records that the ledger has, in order
recorded() {
        rm -rf "$(box_dir host)/ledger" && cp -r "$(box_root host)/var/lib/freezed/ledger" "$(box_dir host)/" &&
                python3 tests/lib/read_ledger.py "$(box_dir host)/ledger" | jq -rc "select(.kind == \"custody\") | $1"
}
evidence() { run freezectl evidence "$@"; }

orders_boot "$B" || exit

# What the service is called by the attacker in it: names and log lines that each format, a terminal or a path could take for its own.
cat >"$(box_root host)/usr/local/lib/hostile.py" <<'PY'
import os, sys, time

names = [b"=HYPERLINK(evil)\n\x1b]0;owned\x07", b"a|b|c\\\"},{\"message\":\"forged", b"\xff\xfe,\"x\",..", "\u202egpj.exe".encode()]
held = []
for name in names:
    path = b"/run/hostile/" + name.replace(b"/", b"_")
    held.append(os.open(path, os.O_RDWR | os.O_CREAT, 0o640))
    os.write(held[-1], name)
    os.utime(path, (1000000000, 1100000000))
    os.unlink(path)
for line in [b"=cmd|' /C calc'!A0", b"\x1b[2J\x1b[31mall is well", b'"}\x0c{"message":"forged"}', b"\xff\xfe\x00raw", "\u202egpj.exe".encode(), b"@SUM(1)"]:
    os.write(1, line + b"\n")
time.sleep(1)
print("the last line", flush=True)
while True:
    time.sleep(60)
PY
cat >"$(box_root host)/etc/systemd/system/hostile.service" <<'UNIT'
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/hostile.py
RuntimeDirectory=hostile
UNIT
run systemctl daemon-reload && run systemctl start hostile.service
said_last() { run journalctl -q -u hostile.service | grep -q 'the last line'; }
box_until 60 said_last
service left 7001
order alice contain left.service hostile.service --incident SA-20261121-001
like "evidence of a contained service is there" "$(receipt .evidence.state)" '^complete$'
FOLDER=$(receipt .evidence.folder)
HOLD=$ID

# --- custody

like "reading evidence tells the record that it made" "$(evidence verify SA-20261121-001)" 'custody +record [0-9]+ of this host'
subject=$(jq -r .payload "$(box_root host)$FOLDER/evidence.dsse.json" | base64 -d | jq -r '.subject[0].digest.sha256')
is "the record says what was read, and that it was root" "$(recorded '"\(.act) \(.id) \(.sha256) \(.uid) \(.login_uid)"')" "verify $HOLD $subject 0 null"
evidence list >/dev/null
evidence show "$HOLD" >/dev/null
is "so does each other verb" "$(recorded '"\(.act) \(.id)"' | tail -n 2 | paste -sd ,)" "list null,show $HOLD"
if in_box 'echo 4711 >/proc/self/loginuid' 2>/dev/null; then
        in_box 'echo 4711 >/proc/self/loginuid && freezectl evidence show "$1"' "$HOLD" >/dev/null
        is "who logged in is named beside what sudo made of them" "$(recorded '"\(.uid) \(.login_uid)"' | tail -n 1)" "0 4711"
else
        skip "who logged in is named beside what sudo made of them" "this kernel lets nobody set a login uid"
fi
n=$(recorded .n | tail -n 1)
is "scripts are told the number" "$(evidence show "$HOLD" --json | jq -r 'select(.custody) | .custody | "\(.recorded) \(.record)"')" "true $((n + 1))"

in_box ': >/tmp/nobody'
like "an answer that no known host signed is not believed" "$(evidence list --hosts-file /tmp/nobody)" 'custody +not recorded: '

cat >"$(box_root host)/usr/local/lib/ask.py" <<'PY'
import socket, struct, sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("/run/freezed/core.sock")
s.recv(1 << 18)
act, size = int(sys.argv[1]), int(sys.argv[2])
s.send(b"FRZ1" + bytes([6, 0, 0, 0]) + struct.pack(">II", 5, size) + bytes(64)[:size - 1] + bytes([act]))
answer = s.recv(1 << 18)
print("closed" if not answer else {4: "reply", 5: "refusal"}[answer[4]])
PY
before=$(recorded .n | wc -l)
is "a peer that is not root makes no record: the gate's own user" "$(run setpriv --reuid freezed-gate --clear-groups python3 /usr/local/lib/ask.py 1 65)" refusal
is "nor does an act that there is not" "$(run python3 /usr/local/lib/ask.py 200 65)" refusal
is "a frame of another size ends the connection" "$(run python3 /usr/local/lib/ask.py 1 64)" closed
is "none of them is in the ledger" "$(recorded .n | wc -l)" "$before"
is "the same question, well put, is" "$(run python3 /usr/local/lib/ask.py 1 65) $(recorded .n | wc -l)" "reply $((before + 1))"

before=$(recorded .n | wc -l)
out=$(in_box 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do freezectl evidence show "$1" & done | grep -c "custody *record"; wait' "$HOLD")
is "many at once are each recorded" "$out $(recorded .n | wc -l)" "12 $((before + 12))"

in_box 'cp -r "$1" /home/copy && chown -R 12345 /home/copy' "$FOLDER"
like "who is not root reads a copy, and hears that this is not recorded" \
        "$(run setpriv --reuid 12345 --clear-groups env HOME=/home freezectl evidence show /home/copy/ 2>&1)" 'not recorded: only root'
run systemctl stop freezed-core.socket freezed-gate.socket freezed-gate.service freezed.service
out=$(evidence verify "$HOLD")
is "without an agent evidence is verified all the same" $? 0
like "which says that it is not recorded" "$out" 'not recorded: (there is no|no) agent'
run systemctl start freezed-core.socket freezed-gate.socket freezed.service
check "the agent is back, with its records" box_until 60 run freezectl health

# --- the bag as it is sealed

D=$(box_dir host)/out
mkdir -p "$D"
box_sh host 'cat /etc/freezed/hosts' >"$D/known"
printf '%s\n' "$AGE_IDENTITY" >"$D/key.txt"
out=$(evidence export "$HOLD" --out /root/case.tar)
is "a host exports what it has preserved" $? 0
like "and has a record of it" "$out" 'custody +record [0-9]+'
is "which is the last one" "$(recorded '"\(.act) \(.id)"' | tail -n 1)" "export $HOLD"
refute "an export overwrites nothing" run freezectl evidence export "$HOLD" --out /root/case.tar
is "and leaves nothing when it fails" "$(in_box 'ls -d /root/case.tar.* 2>/dev/null | wc -l')" 0
refute "a bag for others is not made where the disk is full" in_box 'mkdir /root/small && mount -t tmpfs -o size=64k none /root/small && freezectl evidence export "$1" --out /root/small/case' "$HOLD"
is "and nothing of it stays" "$(in_box 'ls -A /root/small | wc -l; umount /root/small')" 0
cp "$(box_root host)/root/case.tar" "$D/"
check "tar opens it" tar -xf "$D/case.tar" -C "$D"
is "in one directory" "$(tar -tf "$D/case.tar" | cut -d/ -f1 | sort -u)" case
bag() { (cd "$D/$1" && sha256sum --quiet -c tagmanifest-sha256.txt && sha256sum --quiet -c manifest-sha256.txt) 2>&1; }
is "sha256sum verifies it as a bag" "$(bag case)" ""
is "every file of it is listed" "$(cd "$D/case" && find data -type f | sort)" "$(sed 's/^[^ ]*  //' "$D/case/manifest-sha256.txt" | sort)"
is "its Payload-Oxum is that of its payload" "$(sed -n 's/^Payload-Oxum: //p' "$D/case/bag-info.txt")" \
        "$(cd "$D/case" && find data -type f -printf '%s\n' | awk '{ n++; s += $1 } END { printf "%d.%d", s, n }')"

# readme N: the commands of the README, as it has them
commands() { sed -n 's/^    //p' "$1/README.txt"; }
like "its README says how, and openssl and sha256sum find what the host signed" \
        "$(cd "$D/case" && commands . | sed -n '1,/manifest-sha256.txt --quiet/p' | sed -n '/^sha256sum/,/^sha256sum --quiet -c tagmanifest-sha256.txt$/p' | bash -e 2>&1)" 'Signature Verified Successfully'
is "the command for the fingerprint prints that of the host" \
        "SHA256:$(cd "$D/case/data/evidence" && commands "$D/case" | sed -n '/^{ printf/,/base64$/p' | bash | tr -d =)" "$(awk '{ print $2, $3 }' "$D/known" | ssh-keygen -lf - | awk '{ print $2 }')"
is "what its README says opens the index by hand" "$(cd "$D/case/data/evidence" && commands "$D/case" | grep '^for f in' | bash | jq -rc 'select(.note == "end") | .note')" end
ctl() { "$B/freezectl" evidence "$@" --hosts-file "$D/known"; }
check "and freezectl, elsewhere, that it is whole and of that host" ctl verify "$D/case/"
is "it has what the ledger says of the hold, its own record the last of it" "$(jq -r .kind "$D/case/data/ledger.jsonl" | sort -u | paste -sd ' ') $(tail -n 1 "$D/case/data/ledger.jsonl" | jq -r .act)" "custody evidence order outcome export"
leaf=$(tail -n 1 "$D/case/data/ledger.jsonl" | tr -d '\n' | { printf '\0'; cat; } | sha256sum | cut -d' ' -f1)
is "each line is a leaf of its tree, as the README says" "$(python3 tests/lib/read_ledger.py "$(box_dir host)/ledger" | jq -r "select(.hash == \"$leaf\") | .act")" export
is "and the proof that what was signed is a record of it" "$(head -n 1 "$D/case/data/evidence/evidence.tlog-proof" | cut -c1-6)" "c2sp.o"
payload() { jq -r .payload "$D/$1/data/custody.dsse.json" | base64 -d; }
is "the host's word for the record is in it" "$(payload case | jq -r '"\(.type) \(.act) \(.id)"')" "custody export $HOLD"
check "nothing in it is in the clear but what everybody may know" sh -c '! grep -rqa "hostile.py\|the last line\|HYPERLINK" "$1"' sh "$D/case"

# --- the bag as it is opened

out=$(ctl export "$D/case/" --identity "$D/key.txt" --out "$D/open")
is "who has the key exports it opened" $? 0
is "which sha256sum verifies as a bag" "$(bag open)" ""
like "whose README says how the host's word is verified, too" \
        "$(cd "$D/open" && commands . | sed -n '/^cd data/,/^sha256sum --quiet -c tagmanifest-sha256.txt$/p' | bash -e 2>&1)" 'Signature Verified Successfully'
like "with a core of each process" "$(ls "$D"/open/data/cores)" '^[0-9]{6}-[0-9]+\.core'
is "no name in it is the attacker's" "$(cd "$D/open" && find . | grep -v '^[a-zA-Z0-9._/-]*$')" ""
is "nobody else can look into it" "$(find "$D/open" -perm /077 | wc -l)" 0
other=$(age-keygen 2>/dev/null) && printf '%s\n' "$other" >"$D/other.txt"
refute "who has another key does not" ctl export "$D/case/" --identity "$D/other.txt" --out "$D/none"
is "and gets nothing" "$(ls -d "$D"/none* 2>/dev/null)" ""
printf '# none yet\n' >"$D/strangers"
stranger() { "$B/freezectl" evidence "$@" --hosts-file "$D/strangers" 2>&1; }
out=$(stranger decrypt "$D/case/" --identity "$D/key.txt" --out "$D/strange")
like "of a host that is not known nothing is opened, and it is told what makes it known" "$? $out" '^3 .*add "NAME ssh-ed25519 [^ ]*" to'
line=$(sed -n 's/.*"NAME \(ssh-ed25519 [^"]*\)".*/\1/p' <<<"$out")
out=$(stranger export "$D/case/" --identity "$D/key.txt" --out "$D/strange")
is "nor exported in the clear" "$? $(find "$D" -maxdepth 1 -name 'strange*' ! -name strangers)" "3 "
out=$(stranger export "$D/case/" --out "$D/strange")
is "as it is sealed it goes on, in doubt" $? 5
echo "web-1 $line" >"$D/strangers"
out=$(stranger decrypt "$D/case/" --identity "$D/key.txt" --out "$D/known.open")
like "the line that was told makes it known" "$out" '^OPENED .*each as the index says'
refute "what was changed is exported by nobody" sh -c 'cp -r "$1/case" "$1/bad" && f=$(ls "$1"/bad/data/evidence/data/*core* | head -n 1) && dd if="$f" bs=1 skip=300 count=1 2>/dev/null | tr "\000-\377" "\001-\377\000" | dd of="$f" bs=1 seek=300 conv=notrunc 2>/dev/null && exec "$2/freezectl" evidence export "$1/bad/" --hosts-file "$1/known" --out "$1/bad.out"' sh "$D" "$B"

out=$(unshare -m sh -c 'mount --bind /dev/null /lib/systemd/systemd-journal-remote && exec "$1/freezectl" evidence export "$2/case/" --identity "$2/key.txt" --hosts-file "$2/known" --out "$2/plain"' sh "$B" "$D")
like "without systemd-journal-remote the journal is exported, and not rebuilt" "$? $out" '^0.*0 of them rebuilt; that takes systemd-journal-remote'
is "whose export is the same" "$(cd "$D/plain/data/journal" && sha256sum -- *)" "$(cd "$D/open/data/journal" && sha256sum -- *.export)"
cp -r "$D/case" "$D/nobody" && rm "$D/nobody/data/evidence/evidence.dsse.json"
out=$(ctl export "$D/nobody/data/evidence" --out "$D/nobody.out" 2>&1)
like "what nobody signed is not exported, and that is said" "$? $out" '^3 .*nothing is exported that is not what a host signed'

# --- a collector that was killed

cat >"$(box_root host)/etc/systemd/system/large.service" <<'UNIT'
[Service]
ExecStart=/usr/bin/python3 -c "import os, time; held = os.urandom(400 << 20); print('ready', flush=True); time.sleep(10000)"
UNIT
run systemctl daemon-reload && run systemctl start large.service
is_large() { run journalctl -q -u large.service | grep -q ready; }
box_until 120 is_large
# what there is before the first part of the index is in none
kill_collector() { in_box 'for i in $(seq 4000); do for d in /var/lib/freezed/evidence/SA-20261121-009/*; do if grep -qs "\"kind\":\"index\"" "$d/public.jsonl"; then kill -KILL $(pidof freezed-collect) && exit; fi; done; sleep 0.05; done'; }
kill_collector &
order alice snapshot large.service --incident SA-20261121-009
wait $!
like "a collector that is killed leaves evidence that is cut short" "$(receipt '.evidence.state')" cut-short
out=$(evidence export SA-20261121-009 --out /root/cut.tar)
is "which is exported as what it is" $? 4
tar -xf "$(box_root host)/root/cut.tar" -C "$D"
is "as a bag that sha256sum verifies" "$(bag cut)" ""
check "and whose README verifies what was sealed" sh -c 'cd "$1/cut/data/evidence" && sed -n "s/^    \(jq .*\)/\1/p" ../../README.txt | sh -e' sh "$D"
out=$(ctl export "$D/cut/" --identity "$D/key.txt" --out "$D/cut.open")
is "it opens as far as it goes" "$? $(bag cut.open)" "4 "
like "and says how far" "$out" 'opened +[1-9][0-9]* objects.*cut short'

# --- what was deleted

order alice snapshot left.service --incident SA-20261121-008
order dave,erin evidence delete "$ID"
is "two custodians delete evidence" "$ANSWER" deleted
out=$(evidence export SA-20261121-008 --out /root/gone.tar)
is "whose export is not all of it" $? 4
tar -xf "$(box_root host)/root/gone.tar" -C "$D"
is "and is a bag that sha256sum verifies" "$(bag gone)" ""
is "with the tombstone and the order for it" "$(cd "$D/gone/data/evidence" && ls tombstone.dsse.json deletion.dsse.json)" "deletion.dsse.json
tombstone.dsse.json"
like "and a README that says so" "$(cat "$D/gone/README.txt")" 'The sealed files were deleted'
like "freezectl says that it was deleted, and not that it was changed" "$(ctl verify "$D/gone/" 2>&1)" 'deleted'
like "and when is in the timeline" "$(cat "$D/gone/data/timeline.timesketch.jsonl")" 'Evidence deleted'

undocumented() {
        local name
        (cd "$D" && find case open -maxdepth 2 -mindepth 1 -printf '%f\n' | sort -u) | while read -r name; do
                grep -q "$name" packaging/doc/evidence.md || echo "$name"
        done
        jq -r 'select(.source or .source_b64) | keys[]' "$D/open/data/index.jsonl" | sort -u | while read -r name; do
                grep -q "\`$name\`" packaging/doc/evidence.md || echo "$name"
        done
}
is "all of it is in packaging/doc/evidence.md: every file, every member of the index" "$(undocumented | grep -vx data)" ""

# --- the tools of others

python3 - "$D/open/data" >"$D/judged" 2>&1 <<'PY'
import csv, datetime, json, pathlib, re, sys

data = pathlib.Path(sys.argv[1])
types, n = {}, 0
# as Timesketch takes it: mandatory members, microseconds, one type for each member, 3 lines or more
for line in (data / "timeline.timesketch.jsonl").read_bytes().split(b"\n")[:-1]:
    assert re.fullmatch(rb"[ -~]+", line), line
    o = json.loads(line)
    assert {"message", "datetime", "timestamp", "timestamp_desc"} <= o.keys(), o
    assert type(o["timestamp"]) is int and o["message"], o
    at = datetime.datetime.fromisoformat(o["datetime"])
    assert round(at.timestamp() * 1000000) == o["timestamp"], o
    for k, v in o.items():
        assert types.setdefault(k, type(v)) is type(v), k
        assert not isinstance(v, str) or not re.search("[\x00-\x1f\x7f-\x9f\u202e]", v), o
        assert len(str(v)) < 32766
    n += 1
assert n >= 3
# as DFIR-IRIS takes it, which splits it into lines before it knows of quotes
columns = "event_date,event_tz,event_title,event_category,event_content,event_raw,event_source,event_assets,event_iocs,event_tags".split(",")
rows = list(csv.DictReader((data / "timeline.iris.csv").read_text().splitlines(), delimiter=","))
assert len(rows) >= 3
for row in rows:
    assert list(row) == columns and None not in row.values(), row
    datetime.datetime.fromisoformat(row["event_date"] + row["event_tz"])
    assert not any(v.lstrip()[:1] in tuple("=+-@|%") for k, v in row.items() if v and k not in ("event_tz",)), row
print("good")
PY
is "the timelines are as Timesketch and DFIR-IRIS take them" "$(cat "$D/judged")" good
lines() { jq -rc "$1" "$D/open/data/timeline.timesketch.jsonl"; }
is "the order is in it, with its reason and who signed" "$(lines 'select(.category == "order") | .message' | grep -c "^contain unit:left.service, unit:hostile.service ordered .*SHA256:")" 1
check "and that it was carried out, as the ledger of the host has it" grep -q 'contain contained, in [0-9]* us' "$D/open/data/timeline.timesketch.jsonl"
is "and who read it before" "$(lines 'select(.timestamp_desc == "Evidence accessed") | .message' | grep -c 'custody export, by uid 0')" 1
is "each line that the attacker logged is one line, and only text" "$(lines 'select(.category == "journal" and .unit == "hostile.service" and (.message | test("calc|well|forged|raw|gpj|SUM|last"))) | .message' | sort -u | wc -l)" 7
is "none of them became an event of its own" "$(lines 'select(.message == "forged")')" ""
is "names that are not UTF-8 can be told apart" "$(lines 'select(.category == "object" and (.origin | test("/fd/"))) | .origin' | sort | uniq -d)" ""
is "an entry that is in several journals is one line" "$(lines 'select(.category == "journal" and .unit == "hostile.service" and .message == "the last line") | .message' | wc -l)" 1
is "and all of them are there" "$(lines 'select(.category == "journal") | 1' | wc -l)" "$(cat "$D"/open/data/journal/*.export | grep -a '^__CURSOR=' | sort -u | wc -l)"
check "mactime takes the bodyfile" sh -c 'mactime -d -b "$1/open/data/bodyfile.txt" -z UTC >"$1/mactime"' sh "$D"
is "and has the times that the attacker gave the files that he deleted" "$(grep -c '^Tue Nov 09 2004 11:33:20' "$D/mactime") $(grep -c '^Sun Sep 09 2001 01:46:40' "$D/mactime")" "4 4"
check "journalctl verifies the journal that was rebuilt" sh -c 'for f; do journalctl --verify --file "$f" || exit; done' sh "$D"/open/data/journal/*.journal
is "and reads as many entries as were exported" "$(for f in "$D"/open/data/journal/*.journal; do journalctl -q --file "$f" -o json; done | wc -l)" "$(cat "$D"/open/data/journal/*.export | grep -ac '^__CURSOR=')"
core=$(find "$D/open/data/cores" -name '*.core' | sort | head -n 1)
like "gdb, as the README starts it, opens a core" "$(cd "$D/open/data" && commands .. | sed -n '/^gdb /,/core$/p' | sed 's,PROGRAM,/usr/bin/python3,; s,cores/000012-4711.core,'"'$core'"',; s,-q -nx,& -batch,' | bash 2>&1)" 'LWP [0-9]+'
like "gdb opens each core" "$(for f in "$D"/open/data/cores/*.core; do gdb -q -batch -ex 'info threads' -core "$f" 2>&1; done)" 'LWP [0-9]+'
is "every object is somewhere, under its number" "$(jq -r 'select(.sha256) | .sha256' "$D/open/data/index.jsonl" | sort)" \
        "$(cd "$D/open/data" && sha256sum objects/* cores/* journal/*.export | awk '{ print $1 }' | sort)"

done_testing
