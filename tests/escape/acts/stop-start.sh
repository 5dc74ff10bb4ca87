# SPDX-License-Identifier: Apache-2.0
# Stopped, and started anew.
timeout 10 systemctl stop "$UNIT"
timeout 10 systemctl start "$UNIT"
