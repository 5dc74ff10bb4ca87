# SPDX-License-Identifier: Apache-2.0
# SIGKILL, and a timer activates it again.
kill -s KILL $PIDS
sleep 1.2
