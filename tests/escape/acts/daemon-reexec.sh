# SPDX-License-Identifier: Apache-2.0
# The service manager executes itself.
systemctl daemon-reexec
