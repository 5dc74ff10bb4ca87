# SPDX-License-Identifier: Apache-2.0
# The agent is stopped in order.
systemctl stop freezed.service freezed-gate.service freezed-core.socket freezed-gate.socket
