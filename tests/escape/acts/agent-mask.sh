# SPDX-License-Identifier: Apache-2.0
# The agent is masked and stopped.
systemctl mask --runtime --now freezed.service freezed-core.socket
