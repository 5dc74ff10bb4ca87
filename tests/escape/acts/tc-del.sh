# SPDX-License-Identifier: Apache-2.0
# The queueing disciplines of the uplink are deleted.
tc qdisc del dev host0 clsact || true
tc qdisc del dev host0 root || true
