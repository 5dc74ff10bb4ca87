# SPDX-License-Identifier: Apache-2.0
# Something that it is part of is restarted.
printf '[Service]\nExecStart=sleep infinity\n' >"/run/systemd/system/esc-$NAME-with.service"
systemctl daemon-reload
timeout 10 systemctl restart "esc-$NAME-with.service"
