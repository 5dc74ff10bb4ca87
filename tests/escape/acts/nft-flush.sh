# SPDX-License-Identifier: Apache-2.0
# Another firewall's script begins with the usual line.
nft flush ruleset
