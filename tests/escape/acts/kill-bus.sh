# SPDX-License-Identifier: Apache-2.0
# SIGKILL, and a call to its name on the bus activates it again.
kill -s KILL $PIDS
sleep 0.3
mkdir -p /usr/share/dbus-1/system-services
printf '[D-BUS Service]\nName=org.escape.V%s\nExec=/bin/false\nUser=root\nSystemdService=%s\n' "$N" "$UNIT" \
        >"/usr/share/dbus-1/system-services/org.escape.V$N.service"
printf '<busconfig><policy context="default"><allow send_destination="org.escape.V%s"/></policy></busconfig>\n' "$N" \
        >"/usr/share/dbus-1/system.d/org.escape.V$N.conf"
busctl --quiet call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig
busctl --timeout=1 call "org.escape.V$N" / org.freedesktop.DBus.Peer Ping || true
