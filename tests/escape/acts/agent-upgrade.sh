# SPDX-License-Identifier: Apache-2.0
# The agent's program is replaced and restarted.
cp /usr/sbin/freezed /usr/sbin/freezed.new
mv /usr/sbin/freezed.new /usr/sbin/freezed
systemctl restart freezed.service
