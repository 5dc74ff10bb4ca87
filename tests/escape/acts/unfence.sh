# SPDX-License-Identifier: Apache-2.0
# Every drop-in of the unit is deleted, and it is restarted.
rm -rf "/run/systemd/system/$UNIT.d" "/etc/systemd/system/$UNIT.d" /run/systemd/system.control/"$UNIT".d
systemctl daemon-reload
timeout 10 systemctl restart "$UNIT"
