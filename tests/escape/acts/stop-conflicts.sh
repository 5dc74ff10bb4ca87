# SPDX-License-Identifier: Apache-2.0
# A unit that conflicts with it is started: it is stopped, though nobody named it.
systemd-run --quiet --collect --property="Conflicts=$UNIT" sleep 5
