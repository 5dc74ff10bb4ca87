# SPDX-License-Identifier: Apache-2.0
# Over D-Bus instead of systemctl.
busctl --timeout=10 call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager RestartUnit ss "$UNIT" replace
