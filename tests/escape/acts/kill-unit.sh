# SPDX-License-Identifier: Apache-2.0
# systemctl kill, with Restart= behind it.
systemctl kill -s KILL "$UNIT"
