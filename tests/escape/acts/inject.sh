# SPDX-License-Identifier: Apache-2.0
# A debugger outside has it make system calls: write and send.
set -- $PIDS
"$BIN/debugger" "$1" inject
