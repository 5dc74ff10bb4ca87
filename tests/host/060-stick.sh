#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 060-stick.sh B: a held unit stays held whatever is done through the service manager, by systemd 252 itself: what is asked for by hand is
# refused, what something else asks for starts nothing and ends nobody. And a release gives everything back.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 060-stick.sh BUILD}
# shellcheck source=tests/lib/box.sh
. tests/lib/box.sh
# shellcheck source=tests/lib/held.sh
. tests/lib/held.sh
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

FILE=/etc/systemd/system/beacon.service.d/zz-freezed-hold.conf

# unit NAME, its text on stdin
unit() {
        cat >"$(box_live host)/etc/systemd/system/$1"
}
fence() { status; holds '.targets[0].fence'; }
fences() { [ "$(fence)" = stands ]; }
has_file() { run test -e "$FILE"; }
# nobody runs, nobody beats, nothing arrives
silent() { [ -z "$(cat "$(cgroup_of)/cgroup.procs" 2>/dev/null)" ] && is_still; }
free() { box_until 60 alive; }
# a stop that something else asked for has ended the unit, and with it the directory that it beats in
streams() { box_until 60 has_sent "$(box_sunk host)"; }
has_sent() { [ "$(box_sunk host)" -gt "$1" ]; }
refused_by_systemd() { [ "$EXIT" -ne 0 ] && [[ $ANSWER == *"$1"* ]]; }
# by_hand VERB: systemctl VERB of the held unit is refused, and it is held
by_hand() {
        ANSWER=$(run timeout 60 systemctl "$1" beacon.service 2>&1)
        EXIT=$?
        check "systemctl $1 is refused" refused_by_systemd "${2:-it is configured to refuse manual start/stop}"
        check "and it is held" held
}

held_boot "$B" || exit
unit beacon.socket <<'U'
[Socket]
ListenStream=127.0.0.1:4444
U
unit trigger.path <<'U'
[Path]
PathExists=/run/trigger
Unit=beacon.service
U
unit trigger.timer <<'U'
[Timer]
OnActiveSec=100ms
OnUnitInactiveSec=100ms
AccuracySec=1ms
Unit=beacon.service
U
unit needs.service <<'U'
[Unit]
Requires=beacon.service
After=beacon.service
[Service]
ExecStart=/bin/sleep infinity
U
unit base.service <<'U'
[Service]
ExecStart=/bin/sleep infinity
U
unit foe.service <<'U'
[Unit]
Conflicts=beacon.service
[Service]
ExecStart=/bin/sleep infinity
U
run mkdir -p /etc/systemd/system/beacon.service.d
printf '%s\n' '[Unit]' PartOf=base.service After=base.service '[Service]' 'ExecReload=/bin/touch /run/ran' 'ExecStop=/bin/touch /run/ran' \
        'ExecStopPost=/bin/touch /run/ran' >"$(box_live host)/etc/systemd/system/beacon.service.d/own.conf"
mkdir -p "$(box_live host)/usr/share/dbus-1/system-services"
printf '%s\n' '[D-BUS Service]' Name=org.test.Beacon Exec=/bin/false User=root SystemdService=beacon.service \
        >"$(box_live host)/usr/share/dbus-1/system-services/org.test.Beacon.service"
run systemctl reload dbus.service
run systemctl daemon-reload
run systemctl start base.service

# --- by hand
order contain beacon.service
id=$(told .id)
is "a service is contained" "$(state)" contained
check "and it is so" held
is "and systemd is known to keep it so" "$(told '.targets[0].fence')" stands
like "the drop-in says whose it is" "$(run cat $FILE)" "# hold=$id"
like "and how to end that" "$(run cat $FILE)" "freezectl release"
for verb in start stop restart try-restart reload-or-restart; do
        by_hand $verb
done
by_hand reload "not applicable"
run systemctl daemon-reload
check "daemon-reload leaves it held" held
run systemctl daemon-reexec
box_until 60 run systemctl is-active base.service
check "so does daemon-reexec" held
check "and systemd keeps it so" box_until 60 fences
run systemctl set-property --runtime beacon.service CPUWeight=50
check "so does set-property" held
run systemctl disable beacon.service 2>/dev/null
check "so does disable" held
run systemctl --runtime mask beacon.service 2>/dev/null
check "so does mask" held
run systemctl --runtime unmask beacon.service 2>/dev/null
check "and unmask" held
run systemctl isolate --no-block multi-user.target
run systemctl start freezed.service freezed-gate.socket
box_until 60 core_is_up
check "and isolate" held
run systemctl start base.service
refute "nobody gets it by its name on the bus" run busctl --timeout=2 call org.test.Beacon / org.test.Beacon Go
check "and it is held" held
run systemctl kill -s CONT beacon.service
check "SIGCONT does not wake it" held

# --- asked for by others
pid=$(cat "$(cgroup_of)/cgroup.procs")
for what in "restart base.service" "start foe.service" "stop base.service"; do
        # shellcheck disable=SC2086
        run timeout 10 systemctl $what
        check "$what, which stops it, leaves it held" box_until 60 held
        is "and the process is the same" "$(cat "$(cgroup_of)/cgroup.procs")" "$pid"
done
run systemctl stop foe.service
run systemctl start needs.service
check "what requires it starts" run systemctl is-active needs.service
check "and starts nothing of it" held
is "it is the same process" "$(cat "$(cgroup_of)/cgroup.procs")" "$pid"
refute "and nothing of the unit has run" run test -e /run/ran

# --- the drop-in is taken away
run rm $FILE
check "who removes the drop-in finds it back" box_until 60 has_file
check "and systemd still keeps it so" box_until 60 fences
run sh -c "echo >$FILE"
check "who empties it finds it as it was" box_until 60 run grep -q RefuseManualStart $FILE
run systemctl revert beacon.service 2>/dev/null
check "systemctl revert does not last" box_until 60 has_file
check "and systemd reads it again" box_until 60 fences
by_hand restart

# --- a release gives it back
release "$id"
is "it is released" "$(state)" released
is "and says who survived" "$(told '.holds[0].thawed[0] | "\(.processes) \(.survived)"')" "1 1"
refute "the drop-in is gone" has_file
is "in systemd, too" "$(run systemctl show -P DropInPaths beacon.service)" ""
check "it goes on" streams
is "as the same process" "$(cat "$(cgroup_of)/cgroup.procs")" "$pid"
check "it can be restarted" run systemctl restart beacon.service
check "and is free" free

# --- killed
order contain beacon.service
run systemctl kill -s KILL beacon.service
box_until 60 silent
sleep 1
check "killed, it is not restarted, as Restart=always would have it" silent
run systemctl start needs.service
check "what requires it does not start it either" silent
status
is "status says that nobody is there, and that nobody comes" "$(holds '[.state] + .reasons + [.targets[0].fence]')" "partial not-running stands"
sleep 6 # PID 1 is asked every five seconds whether somebody came back
has_hung_up() { [ "$(run ss -xH state established | grep -c /run/systemd/private)" -eq 0 ]; }
check "the agent keeps no connection to systemd, which would be sent all that happens" box_until 60 has_hung_up
run systemctl start beacon.socket
run sh -c 'for n in 1 2 3; do timeout 1 python3 -c "import socket; socket.create_connection((\"127.0.0.1\", 4444)).recv(1)"; done' >/dev/null 2>&1
check "a connection to its socket does not start it" silent
run touch /run/trigger
run systemctl start trigger.path
sleep 0.5
check "its path unit does not start it" silent
run systemctl start trigger.timer
sleep 0.5
check "its timer does not start it" silent
refute "its name on the bus does not start it" run busctl --timeout=2 call org.test.Beacon / org.test.Beacon Go
refute "nobody gets it as a transient unit of that name" run systemd-run --unit=beacon.service sleep 1
check "nothing of it runs" silent
run systemctl stop trigger.timer trigger.path beacon.socket
run rm /run/trigger
release "$(hold_id)"
is "it is released" "$(state)" released
check "and can be started" run systemctl start beacon.service
check "and is free" free

# --- two holds, a signal that waits, a reboot
order isolate beacon.service
first=$(told .id)
is "an isolated unit is kept as well" "$(told '.targets[0].fence')" stands
refute "it cannot be restarted" run systemctl restart beacon.service
order freeze beacon.service
second=$(told .id)
release "$first"
is "one of two holds is released" "$(state)" released
check "the other one still has the drop-in" has_file
refute "and it cannot be restarted" run systemctl restart beacon.service
kill -ABRT "$(cat "$(cgroup_of)/cgroup.procs")"
release "$second"
is "the other one is released" "$(state)" released
like "with the word that a signal waited" "$(told .flags)" pending-signals
is "which one, and that nobody survived it" "$(told '.holds[0].thawed[0] | "\(.signalled[0].signals[0]) \(.survived)"')" "6 0"
refute "the drop-in is gone" has_file
run systemctl start beacon.service
check "it is free" free
order contain beacon.service
run systemctl -q enable beacon.service
box_crash host && box_boot host || exit
check "after a power cut it does not start" silent
is "and the hold says so" "$(status; holds '[.state] + .reasons + [.targets[0].fence]')" "partial not-running stands"
release "$(hold_id)"
check "released, it starts" run systemctl start beacon.service
check "and is free" free

# --- a slice
unit sliced.service <<'U'
[Service]
ExecStart=/bin/sleep infinity
Slice=app.slice
U
run systemctl daemon-reload
run systemctl start sliced.service
order freeze app.slice
is "a slice is frozen" "$(state)" contained
refute "what is in it cannot be restarted, which would thaw it" run systemctl restart sliced.service
slice=$(box_cgroup host)/app.slice
is "it is as frozen as before" "$(cat "$slice/cgroup.freeze") $(grep frozen "$slice/cgroup.events")" "1 frozen 1"
release "$(hold_id)"
is "it is released" "$(state)" released
check "and what is in it can be restarted" run systemctl restart sliced.service
is "no drop-in of ours is left anywhere" "$(run find /etc/systemd/system /run/systemd/system -name 'zz-freezed*')" ""

# --- an orphan
order contain beacon.service
id=$(told .id)
run systemctl stop freezed-gate.socket freezed-gate.service freezed-core.socket freezed.service
run rm -r /var/lib/freezed/ledger
run systemctl start freezed-core.socket freezed.service freezed-gate.socket freezed-gate.service
box_until 60 core_is_up
check "without the ledger it is held" held
refute "and systemd keeps it so" run systemctl restart beacon.service
status
like "status lists the unit with the hold" "$(holds '[.id] + [.targets[].target | values]')" "$id .*unit:beacon.service"
release "$id"
refute "its release takes the drop-in away" has_file
check "and it is free" free

done_testing
