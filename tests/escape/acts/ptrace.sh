# SPDX-License-Identifier: Apache-2.0
# A debugger outside takes it and steps it.
set -- $PIDS
"$BIN/debugger" "$1"
