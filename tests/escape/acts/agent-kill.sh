# SPDX-License-Identifier: Apache-2.0
# The agent is killed.
systemctl kill -s KILL freezed.service freezed-gate.service
