# SPDX-License-Identifier: Apache-2.0
# What an operator or a deployment would do.
timeout 10 systemctl restart "$UNIT"
