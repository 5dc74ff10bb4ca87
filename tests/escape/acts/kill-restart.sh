# SPDX-License-Identifier: Apache-2.0
# SIGKILL, and Restart= brings it back.
kill -s KILL $PIDS
