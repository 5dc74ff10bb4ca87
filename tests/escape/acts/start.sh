# SPDX-License-Identifier: Apache-2.0
# Starting what runs already does nothing, but for thawing it before systemd 256.
timeout 10 systemctl start "$UNIT"
