# SPDX-License-Identifier: Apache-2.0
# The service manager reads its units again.
systemctl daemon-reload
