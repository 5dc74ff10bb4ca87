#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# 089-demo.sh B: what `make demo-fleet` shows is still so: it checks each of its steps itself, and here it is that it comes to its end.
set -u
cd "$(dirname "$0")/../.." || exit 1
B=${1:?usage: 089-demo.sh BUILD}
# shellcheck source=tests/lib/tap.sh
. tests/lib/tap.sh

check "every step of the fleet's demo is as it says" tests/host/demo-fleet.sh "$B"
done_testing
