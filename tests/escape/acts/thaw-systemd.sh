# SPDX-License-Identifier: Apache-2.0
# The service manager's own thaw.
timeout 10 systemctl thaw "$UNIT"
