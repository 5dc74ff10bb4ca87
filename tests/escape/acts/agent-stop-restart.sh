# SPDX-License-Identifier: Apache-2.0
# The agent is stopped, the service restarted, and the agent never comes back.
systemctl stop freezed.service freezed-gate.service freezed-core.socket freezed-gate.socket
timeout 10 systemctl restart "$UNIT"
