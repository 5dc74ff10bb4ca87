# SPDX-License-Identifier: Apache-2.0
# Stopped: what it had in memory is gone.
timeout 10 systemctl stop "$UNIT"
