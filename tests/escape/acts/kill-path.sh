# SPDX-License-Identifier: Apache-2.0
# SIGKILL, and a file that changes activates it again.
kill -s KILL $PIDS
sleep 0.3
for _ in 1 2 3 4 5; do
        date >"/run/escape/$N.changed"
        sleep 0.1
done
